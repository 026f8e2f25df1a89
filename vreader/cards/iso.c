/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An ISO 7816-4 file card, made to exercise readers and drivers. Its files:
 *
 *   3F00 MF
 *     2F00 EF.DIR  transparent, one application template
 *     2F01 EF.ATR  transparent, card capabilities and extended length information
 *     5000 DF      DF name F0 "Cardwire"
 *       5001 transparent, 256 bytes, SFI 1
 *       5002 transparent, 32768 bytes, SFI 2
 *       5003 linear fixed, 10 records of 20 bytes, SFI 3
 *       5004 transparent, 64 bytes, read and written after VERIFY only
 *
 * PIN 01 or 81 is "123456", 3 tries. Commands of our own, for tests:
 *
 *   80 EC P1 P2 data    gives the data back
 *   80 ED len           gives len bytes (P1 P2, 0 means 65536); byte i is (i ^ i >> 8)
 *   80 EE ms            takes P1 P2 ms, asking the reader for time, then gives the data back
 *   80 EF               is mute
 */
#include "vreader/cards/card_app.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "vreader/bytes.h"

enum {
	FID_MF = 0x3F00,
	BIG_SIZE = 32768,
	RECORDS = 10,
	RECORD_SIZE = 20,
	RECORDS_SIZE = RECORDS * RECORD_SIZE,
	PIN_TRIES = 3,
	FILES_MAX = 8,
};

enum file_kind {
	FILE_DF,
	FILE_TRANSPARENT,
	FILE_RECORDS,
};

struct file {
	uint16_t fid;
	int parent; /* index; the MF is its own */
	enum file_kind kind;
	uint8_t sfi;
	bool protected;
	size_t size; /* bytes */
	uint8_t record_size;
	const char *name; /* of a DF */
	uint8_t *data;
};

enum {
	F_MF,
	F_DIR,
	F_ATR,
	F_DF,
	F_SMALL,
	F_BIG,
	F_RECORDS,
	F_PROTECTED,
	FILES,
};

static const struct file file_table[FILES] = {
	[F_MF] = { .fid = FID_MF, .parent = F_MF, .kind = FILE_DF },
	[F_DIR] = { .fid = 0x2F00,
		.parent = F_MF,
		.kind = FILE_TRANSPARENT,
		.sfi = 30,
		.size = 28 },
	[F_ATR] = { .fid = 0x2F01,
		.parent = F_MF,
		.kind = FILE_TRANSPARENT,
		.sfi = 29,
		.size = 34 },
	[F_DF] = { .fid = 0x5000,
		.parent = F_MF,
		.kind = FILE_DF,
		.name = "\xF0"
			"Cardwire" },
	[F_SMALL] = { .fid = 0x5001,
		.parent = F_DF,
		.kind = FILE_TRANSPARENT,
		.sfi = 1,
		.size = 256 },
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
		.size = 64,
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

static const uint8_t pin_value[6] = { '1', '2', '3', '4', '5', '6' };

struct iso_card {
	struct card_app app;
	struct file files[FILES];
	uint8_t big[BIG_SIZE];
	uint8_t small[256 + RECORDS_SIZE + 64];
	uint8_t dir[sizeof(ef_dir) - 1];
	uint8_t atr[sizeof(ef_atr) - 1];
	int current_df;
	int current_ef; /* -1: none */
	uint8_t current_record;
	bool verified;
	uint8_t tries;
};

_Static_assert(sizeof(ef_dir) - 1 == 28, "size in the file table");
_Static_assert(sizeof(ef_atr) - 1 == 34, "size in the file table");

typedef void (*handler)(struct iso_card *, const struct apdu_command *, struct apdu_answer *);

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

static size_t put_tlv(uint8_t *out, uint8_t tag, const uint8_t *value, size_t len)
{
	out[0] = tag;
	out[1] = (uint8_t)len;
	memcpy(out + 2, value, len);
	return 2 + len;
}

/* File control parameters (ISO 7816-4 §7.4.3), 40 bytes at most. */
static size_t put_fcp(const struct file *f, uint8_t template, uint8_t *out)
{
	static const uint8_t operational = 0x05;
	uint8_t fid[2], size[2], descriptor[5];
	uint8_t sfi = (uint8_t)(f->sfi << 3);
	size_t n = 2;

	put_be16(fid, f->fid);
	put_be16(size, (uint16_t)f->size);
	descriptor[0] = f->kind == FILE_DF ? 0x38 : f->kind == FILE_TRANSPARENT ? 0x01 : 0x02;
	descriptor[1] = 0x41; /* data coding byte: writes replace, one-byte units */
	descriptor[2] = 0;
	descriptor[3] = f->record_size;
	descriptor[4] = (uint8_t)(f->record_size ? f->size / f->record_size : 0);
	n += put_tlv(out + n, 0x82, descriptor, f->kind == FILE_RECORDS ? 5 : 1);
	n += put_tlv(out + n, 0x83, fid, 2);
	if (f->kind != FILE_DF)
		n += put_tlv(out + n, 0x80, size, 2);
	if (f->name)
		n += put_tlv(out + n, 0x84, (const uint8_t *)f->name, strlen(f->name));
	if (f->sfi)
		n += put_tlv(out + n, 0x88, &sfi, 1);
	n += put_tlv(out + n, 0x8A, &operational, 1);
	out[0] = template;
	out[1] = (uint8_t)(n - 2);
	return n;
}

static void do_select(
	struct iso_card *card, const struct apdu_command *cmd, struct apdu_answer *ans)
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
		ans->len = put_fcp(&card->files[found], 0x6F, ans->data);
		break;
	case 0x04:
		ans->len = put_fcp(&card->files[found], 0x62, ans->data);
		break;
	default:
		break;
	}
	ans->sw = SW_OK;
}

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

static void read_binary(
	struct iso_card *card, const struct apdu_command *cmd, struct apdu_answer *ans)
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

static void update_binary(
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

static void read_record(
	struct iso_card *card, const struct apdu_command *cmd, struct apdu_answer *ans)
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

static void update_record(
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

static void verify(struct iso_card *card, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	if (cmd->p1 != 0 || (cmd->p2 != 0x01 && cmd->p2 != 0x81)) {
		ans->sw = cmd->p1 ? SW_WRONG_P1P2 : SW_NO_SUCH_DATA;
		return;
	}
	if (cmd->nc == 0) {
		ans->sw = card->verified ? SW_OK : (uint16_t)(SW_COUNTER | card->tries);
		return;
	}
	if (card->tries == 0) {
		ans->sw = SW_BLOCKED;
		return;
	}
	card->verified = cmd->nc == sizeof(pin_value) && memcmp(cmd->data, pin_value, cmd->nc) == 0;
	if (card->verified) {
		card->tries = PIN_TRIES;
		ans->sw = SW_OK;
		return;
	}
	card->tries--;
	ans->sw = (uint16_t)(SW_COUNTER | card->tries);
}

static void get_challenge(
	struct iso_card *card, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	ssize_t got;

	(void)card;
	if (cmd->ne == 0 || cmd->nc) {
		ans->sw = SW_WRONG_LENGTH;
		return;
	}
	got = getrandom(ans->data, cmd->ne, 0);
	ans->len = got > 0 ? (size_t)got : 0;
	ans->sw = ans->len == cmd->ne ? SW_OK : SW_MEMORY_FAILURE;
}

static void echo(struct iso_card *card, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	(void)card;
	if (cmd->nc)
		memcpy(ans->data, cmd->data, cmd->nc);
	ans->len = cmd->nc;
	ans->sw = SW_OK;
}

static void pattern(struct iso_card *card, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	(void)card;
	ans->len = (size_t)cmd->p1 << 8 | cmd->p2;
	if (ans->len == 0)
		ans->len = 65536;
	for (size_t i = 0; i < ans->len; i++)
		ans->data[i] = (uint8_t)(i ^ i >> 8);
	ans->sw = SW_OK;
}

static void wait_ms(struct iso_card *card, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	echo(card, cmd, ans);
	ans->delay_ms = (uint32_t)cmd->p1 << 8 | cmd->p2;
}

static void be_mute(struct iso_card *card, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	(void)card;
	(void)cmd;
	ans->mute = true;
}

static const struct {
	uint8_t cla;
	uint8_t ins;
	bool takes_data;
	handler run;
} commands[] = {
	{ 0x00, 0xA4, true, do_select },
	{ 0x00, 0xB0, false, read_binary },
	{ 0x00, 0xD6, true, update_binary },
	{ 0x00, 0xB2, false, read_record },
	{ 0x00, 0xDC, true, update_record },
	{ 0x00, 0x20, true, verify },
	{ 0x00, 0x84, false, get_challenge },
	{ 0x80, 0xEC, true, echo },
	{ 0x80, 0xED, false, pattern },
	{ 0x80, 0xEE, true, wait_ms },
	{ 0x80, 0xEF, true, be_mute },
};

enum {
	COMMANDS = sizeof(commands) / sizeof(commands[0]),
};

static bool iso_takes_data(const struct card_app *app, uint8_t cla, uint8_t ins)
{
	(void)app;
	for (size_t i = 0; i < COMMANDS; i++)
		if (commands[i].cla == (cla & ~0x10) && commands[i].ins == ins)
			return commands[i].takes_data;
	return false;
}

static void iso_process(
	struct card_app *app, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	ans->sw = SW_CLA_NOT_SUPPORTED;
	for (size_t i = 0; i < COMMANDS; i++) {
		if (commands[i].cla != cmd->cla)
			continue;
		if (commands[i].ins == cmd->ins) {
			commands[i].run((struct iso_card *)app, cmd, ans);
			return;
		}
		ans->sw = SW_INS_NOT_SUPPORTED;
	}
}

static void iso_reset(struct card_app *app)
{
	struct iso_card *card = (struct iso_card *)app;

	card->current_df = F_MF;
	card->current_ef = -1;
	card->current_record = 0;
	card->verified = false;
}

static void iso_free(struct card_app *app)
{
	free(app);
}

static const struct card_app_ops iso_ops = {
	.name = "iso",
	.reset = iso_reset,
	.takes_data = iso_takes_data,
	.process = iso_process,
	.free = iso_free,
};

struct card_app *iso_card_new(void)
{
	struct iso_card *card = calloc(1, sizeof(*card));

	if (!card)
		return NULL;
	card->app.ops = &iso_ops;
	card->tries = PIN_TRIES;
	memcpy(card->files, file_table, sizeof(file_table));
	memcpy(card->dir, ef_dir, sizeof(card->dir));
	memcpy(card->atr, ef_atr, sizeof(card->atr));
	card->files[F_DIR].data = card->dir;
	card->files[F_ATR].data = card->atr;
	card->files[F_SMALL].data = card->small;
	card->files[F_RECORDS].data = card->small + 256;
	card->files[F_PROTECTED].data = card->small + 256 + RECORDS_SIZE;
	card->files[F_BIG].data = card->big;
	for (size_t i = 0; i < sizeof(card->big); i++)
		card->big[i] = (uint8_t)(i ^ i >> 8);
	for (size_t i = 0; i < 256; i++)
		card->small[i] = (uint8_t)i;
	for (size_t i = 0; i < RECORDS_SIZE; i++)
		card->files[F_RECORDS].data[i] = (uint8_t)('A' + i / RECORD_SIZE);
	iso_reset(&card->app);
	return &card->app;
}
