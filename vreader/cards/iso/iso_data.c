/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading and writing the content of files. */
#include <string.h>

#include "vreader/cards/iso/iso_card.h"

/* Makes the EF of a short identifier current; 0 means the current one stays. */
static bool choose_sfi(struct iso_card *card, uint8_t sfi)
{
	for (int i = 0; sfi && i < FILES; i++) {
		if (card->files[i].parent != card->current_df || card->files[i].sfi != sfi)
			continue;
		card->current_ef = i;
		card->current_record = 0;
		return true;
	}
	return sfi == 0;
}

/* The current EF when it is of that kind and open to us; else NULL with sw set. */
static struct file *usable_ef(struct iso_card *card, enum file_kind kind, struct apdu_answer *ans)
{
	struct file *f = card->current_ef >= 0 ? &card->files[card->current_ef] : NULL;

	if (!f)
		ans->sw = SW_NO_CURRENT_EF;
	else if (f->kind != kind)
		ans->sw = SW_WRONG_FILE_KIND;
	else if (f->protected && !card->verified)
		ans->sw = SW_SECURITY_STATUS;
	else
		return f;
	return NULL;
}

/* Resolves P1 P2 of READ and UPDATE BINARY (ISO 7816-4 §11.3.1). */
static struct file *binary_target(struct iso_card *card, const struct apdu_command *cmd,
	struct apdu_answer *ans, size_t *offset)
{
	struct file *f;

	*offset = (size_t)cmd->p1 << 8 | cmd->p2;
	if (cmd->p1 & 0x80) {
		*offset = cmd->p2;
		if (cmd->p1 & 0x60 || !choose_sfi(card, cmd->p1 & 0x1F)) {
			ans->sw = cmd->p1 & 0x60 ? SW_WRONG_P1P2 : SW_FILE_NOT_FOUND;
			return NULL;
		}
	}
	f = usable_ef(card, FILE_TRANSPARENT, ans);
	if (f && *offset >= f->size) {
		ans->sw = SW_WRONG_OFFSET;
		return NULL;
	}
	return f;
}

void iso_read_binary(struct iso_card *card, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	size_t offset;
	struct file *f = binary_target(card, cmd, ans, &offset);
	bool all = cmd->ne == 65536 || (cmd->ne == 256 && !cmd->extended);

	if (!f)
		return;
	if (cmd->ne == 0 || cmd->nc) {
		ans->sw = SW_WRONG_LENGTH;
		return;
	}
	ans->len = f->size - offset;
	ans->sw = SW_OK;
	if (ans->len > cmd->ne)
		ans->len = cmd->ne;
	else if (ans->len < cmd->ne && !all)
		ans->sw = SW_END_OF_FILE;
	memcpy(ans->data, f->data + offset, ans->len);
}

void iso_update_binary(
	struct iso_card *card, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	size_t offset;
	struct file *f = binary_target(card, cmd, ans, &offset);

	if (!f)
		return;
	if (cmd->nc == 0 || cmd->nc > f->size - offset) {
		ans->sw = cmd->nc ? SW_NO_SPACE : SW_WRONG_LENGTH;
		return;
	}
	memcpy(f->data + offset, cmd->data, cmd->nc);
	ans->sw = SW_OK;
}

/* Resolves P1 P2 of READ and UPDATE RECORD, record number in P1 (ISO 7816-4 §11.4.1). */
static struct file *record_target(struct iso_card *card, const struct apdu_command *cmd,
	struct apdu_answer *ans, size_t *record)
{
	struct file *f;

	if (!choose_sfi(card, cmd->p2 >> 3)) {
		ans->sw = SW_FILE_NOT_FOUND;
		return NULL;
	}
	f = usable_ef(card, FILE_RECORDS, ans);
	if (!f)
		return NULL;
	*record = cmd->p1 ? cmd->p1 : card->current_record;
	if (*record == 0 || *record > f->size / f->record_size) {
		ans->sw = SW_RECORD_NOT_FOUND;
		return NULL;
	}
	return f;
}

void iso_read_record(struct iso_card *card, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	size_t record, at;
	struct file *f = record_target(card, cmd, ans, &record);

	if (!f)
		return;
	if (cmd->ne == 0 || cmd->nc) {
		ans->sw = SW_WRONG_LENGTH;
		return;
	}
	at = (record - 1) * f->record_size;
	switch (cmd->p2 & 0x07) {
	case 4:
		ans->len = f->record_size;
		break;
	case 5:
		ans->len = f->size - at;
		break;
	default:
		ans->sw = SW_WRONG_P1P2;
		return;
	}
	if (ans->len > cmd->ne)
		ans->len = cmd->ne;
	memcpy(ans->data, f->data + at, ans->len);
	ans->sw = SW_OK;
}

void iso_update_record(
	struct iso_card *card, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	size_t record;
	struct file *f = record_target(card, cmd, ans, &record);

	if (!f)
		return;
	if ((cmd->p2 & 0x07) != 4) {
		ans->sw = SW_WRONG_P1P2;
		return;
	}
	if (cmd->nc != f->record_size) {
		ans->sw = SW_WRONG_LENGTH;
		return;
	}
	memcpy(f->data + (record - 1) * f->record_size, cmd->data, cmd->nc);
	card->current_record = (uint8_t)record;
	ans->sw = SW_OK;
}
