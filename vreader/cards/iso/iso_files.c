/* SPDX-License-Identifier: BSD-3-Clause */
/* The tree of files, and what SELECT finds in it. */
#include <string.h>

#include "vreader/bytes.h"
#include "vreader/cards/ber.h"
#include "vreader/cards/iso/iso_card.h"

static const struct file file_table[FILES] = {
	[F_MF] = { .fid = FID_MF, .parent = F_MF, .kind = FILE_DF },
	[F_DIR] = { .fid = 0x2F00,
		.parent = F_MF,
		.kind = FILE_TRANSPARENT,
		.sfi = 30,
		.size = DIR_SIZE },
	[F_ATR] = { .fid = 0x2F01,
		.parent = F_MF,
		.kind = FILE_TRANSPARENT,
		.sfi = 29,
		.size = ATR_SIZE },
	[F_DF] = { .fid = 0x5000,
		.parent = F_MF,
		.kind = FILE_DF,
		.name = "\xF0"
			"Cardwire" },
	[F_SMALL] = { .fid = 0x5001,
		.parent = F_DF,
		.kind = FILE_TRANSPARENT,
		.sfi = 1,
		.size = SMALL_SIZE },
	[F_BIG] = { .fid = 0x5002,
		.parent = F_DF,
		.kind = FILE_TRANSPARENT,
		.sfi = 2,
		.size = BIG_SIZE },
	[F_RECORDS] = { .fid = 0x5003,
		.parent = F_DF,
		.kind = FILE_RECORDS,
		.sfi = 3,
		.size = RECORDS_SIZE,
		.record_size = RECORD_SIZE },
	[F_PROTECTED] = { .fid = 0x5004,
		.parent = F_DF,
		.kind = FILE_TRANSPARENT,
		.sfi = 4,
		.size = PROTECTED_SIZE,
		.protected = true },
};

/* Application template: identifier and label (ISO 7816-4 §12.2.3). */
static const uint8_t ef_dir[] = "\x61\x1A\x4F\x09\xF0"
				"Cardwire"
				"\x50\x0D"
				"Cardwire test";

/* Historical text (tag 5F52 would repeat the ATR; 53 is discretionary data), card capabilities
 * (47: selection by all means; data coding; chaining, extended lengths), and buffer sizes (7F66)
 * (ISO 7816-4 §12.1.1.9, §12.7.1). */
static const uint8_t ef_atr[] = "\x53\x10"
				"Cardwire virtual"
				"\x47\x03\xF2\x01\xC0"
				"\x7F\x66\x08\x02\x02\xFF\xFF\x02\x02\xFF\xFF";

_Static_assert(sizeof(ef_dir) - 1 == DIR_SIZE, "size in the file table");
_Static_assert(sizeof(ef_atr) - 1 == ATR_SIZE, "size in the file table");

void iso_files_make(struct iso_card *card)
{
	memcpy(card->files, file_table, sizeof(file_table));
	memcpy(card->dir, ef_dir, sizeof(card->dir));
	memcpy(card->atr, ef_atr, sizeof(card->atr));
	card->files[F_DIR].data = card->dir;
	card->files[F_ATR].data = card->atr;
	card->files[F_SMALL].data = card->small;
	card->files[F_RECORDS].data = card->small + SMALL_SIZE;
	card->files[F_PROTECTED].data = card->small + SMALL_SIZE + RECORDS_SIZE;
	card->files[F_BIG].data = card->big;
	for (size_t i = 0; i < sizeof(card->big); i++)
		card->big[i] = (uint8_t)(i ^ i >> 8);
	for (size_t i = 0; i < SMALL_SIZE; i++)
		card->small[i] = (uint8_t)i;
	for (size_t i = 0; i < RECORDS_SIZE; i++)
		card->files[F_RECORDS].data[i] = (uint8_t)('A' + i / RECORD_SIZE);
}

static int find_child(const struct iso_card *card, int df, uint16_t fid)
{
	for (int i = F_MF + 1; i < FILES; i++)
		if (card->files[i].parent == df && card->files[i].fid == fid)
			return i;
	return -1;
}

/* The file itself, its children, its parent, its siblings, in this order (ISO 7816-4 §11.2.2). */
static int find_by_fid(const struct iso_card *card, uint16_t fid)
{
	int df = card->current_df;
	int parent = card->files[df].parent;
	int found;

	if (fid == FID_MF)
		return F_MF;
	if (card->files[df].fid == fid)
		return df;
	found = find_child(card, df, fid);
	return found >= 0 ? found : find_child(card, parent, fid);
}

static int find_by_path(const struct iso_card *card, int from, const uint8_t *path, size_t len)
{
	if (len == 0 || len % 2)
		return -1;
	for (size_t i = 0; i < len && from >= 0; i += 2)
		from = find_child(card, from, get_be16(path + i));
	return from;
}

/* A partial name selects too (ISO 7816-4 §11.2.2). */
static int find_by_name(const struct iso_card *card, const uint8_t *name, size_t len)
{
	for (int i = 0; i < FILES; i++) {
		const char *have = card->files[i].name;

		if (have && len && len <= strlen(have) && memcmp(have, name, len) == 0)
			return i;
	}
	return -1;
}

static int select_target(const struct iso_card *card, const struct apdu_command *cmd)
{
	uint16_t fid = cmd->nc == 2 ? get_be16(cmd->data) : 0;
	int found;

	switch (cmd->p1) {
	case 0x00:
		if (cmd->nc == 0)
			return F_MF;
		return cmd->nc == 2 ? find_by_fid(card, fid) : -1;
	case 0x01:
	case 0x02:
		found = cmd->nc == 2 ? find_child(card, card->current_df, fid) : -1;
		if (found >= 0 && (card->files[found].kind == FILE_DF) != (cmd->p1 == 0x01))
			return -1;
		return found;
	case 0x03:
		return card->files[card->current_df].parent;
	case 0x04:
		return find_by_name(card, cmd->data, cmd->nc);
	case 0x08:
		return find_by_path(card, F_MF, cmd->data, cmd->nc);
	case 0x09:
		return find_by_path(card, card->current_df, cmd->data, cmd->nc);
	default:
		return -1;
	}
}

/* File control parameters (ISO 7816-4 §7.4.3). */
static void put_fcp(const struct file *f, uint8_t template, struct apdu_answer *ans)
{
	struct ber_out out = { .data = ans->data, .cap = APDU_DATA_MAX };
	uint8_t fid[2], size[2], descriptor[5];
	uint8_t sfi = (uint8_t)(f->sfi << 3);

	put_be16(fid, f->fid);
	put_be16(size, (uint16_t)f->size);
	descriptor[0] = f->kind == FILE_DF ? 0x38 : f->kind == FILE_TRANSPARENT ? 0x01 : 0x02;
	descriptor[1] = 0x41; /* data coding byte: writes replace, one-byte units */
	descriptor[2] = 0;
	descriptor[3] = f->record_size;
	descriptor[4] = (uint8_t)(f->record_size ? f->size / f->record_size : 0);
	ber_put(&out, 0x82, descriptor, f->kind == FILE_RECORDS ? 5 : 1);
	ber_put(&out, 0x83, fid, 2);
	if (f->kind != FILE_DF)
		ber_put(&out, 0x80, size, 2);
	if (f->name)
		ber_put(&out, 0x84, f->name, strlen(f->name));
	if (f->sfi)
		ber_put(&out, 0x88, &sfi, 1);
	ber_put(&out, 0x8A, "\x05", 1); /* operational, activated */
	ber_wrap(&out, 0, template);
	ans->len = out.len;
}

void iso_select(struct iso_card *card, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	int found;

	if (cmd->p1 > 0x09 || (cmd->p1 > 0x04 && cmd->p1 < 0x08) || cmd->p2 & 0xF0) {
		ans->sw = SW_WRONG_P1P2;
		return;
	}
	/* Only one occurrence of each name: a next or previous one does not exist. */
	found = cmd->p2 & 0x03 ? -1 : select_target(card, cmd);
	if (found < 0) {
		ans->sw = SW_FILE_NOT_FOUND;
		return;
	}
	if (card->files[found].kind == FILE_DF) {
		card->current_df = found;
		card->current_ef = -1;
	} else {
		card->current_df = card->files[found].parent;
		card->current_ef = found;
	}
	card->current_record = 0;
	switch (cmd->p2 & 0x0C) {
	case 0x00:
		put_fcp(&card->files[found], 0x6F, ans);
		break;
	case 0x04:
		put_fcp(&card->files[found], 0x62, ans);
		break;
	default:
		break;
	}
	ans->sw = SW_OK;
}
