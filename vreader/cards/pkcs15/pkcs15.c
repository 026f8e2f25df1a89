/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/cards/pkcs15/pkcs15.h"

#include <stdlib.h>
#include <string.h>

#include "vreader/bytes.h"
#include "vreader/cards/crypto.h"
#include "vreader/cards/pkcs15/pkcs15_card.h"

enum {
	INS_VERIFY = 0x20,
	INS_CHANGE_REFERENCE_DATA = 0x24,
	INS_MANAGE_SECURITY_ENVIRONMENT = 0x22,
	INS_PERFORM_SECURITY_OPERATION = 0x2A,
	INS_RESET_RETRY_COUNTER = 0x2C,
	INS_GET_CHALLENGE = 0x84,
	INS_SELECT = 0xA4,
	INS_READ_BINARY = 0xB0,

	SELECT_BY_FID = 0x00,
	SELECT_PATH_FROM_MF = 0x08,
	SELECT_PATH_FROM_DF = 0x09,
	SELECT_NO_ANSWER = 0x0C, /* of P2 */
	READ_BY_SFI = 0x80,      /* of P1 */
};

static const struct file {
	uint16_t fid;
	enum pkcs15_file parent;
	bool directory;
	bool protected;
} files[PKCS15_FILES] = {
	[PKCS15_MF] = { 0x3F00, PKCS15_MF, true, false },
	[PKCS15_DIR] = { 0x2F00, PKCS15_MF, false, false },
	[PKCS15_DF] = { 0x5015, PKCS15_MF, true, false },
	[PKCS15_ODF] = { 0x5031, PKCS15_DF, false, false },
	[PKCS15_TOKEN_INFO] = { 0x5032, PKCS15_DF, false, false },
	[PKCS15_AOD] = { 0x4401, PKCS15_DF, false, false },
	[PKCS15_PRKD] = { 0x4402, PKCS15_DF, false, false },
	[PKCS15_CD] = { 0x4404, PKCS15_DF, false, false },
	[PKCS15_DOD] = { 0x4407, PKCS15_DF, false, false },
	[PKCS15_CERTIFICATE] = { 0x4501, PKCS15_DF, false, false },
	[PKCS15_DATA] = { 0x4601, PKCS15_DF, false, false },
	[PKCS15_PROTECTED] = { 0x4602, PKCS15_DF, false, true },
};

/* --- SELECT ----------------------------------------------------------------------------------- */

/* A child of a directory, the MF from anywhere, or the directory itself. PKCS15_FILES: none. */
static enum pkcs15_file find(enum pkcs15_file df, uint16_t fid)
{
	if (fid == files[PKCS15_MF].fid)
		return PKCS15_MF;
	for (enum pkcs15_file i = PKCS15_DIR; i < PKCS15_FILES; i++)
		if (files[i].fid == fid && (files[i].parent == df || i == df))
			return i;
	return PKCS15_FILES;
}

/* By a path without its beginning, which is df. */
static enum pkcs15_file walk(enum pkcs15_file df, const uint8_t *path, size_t len)
{
	enum pkcs15_file at = df;

	for (size_t i = 0; i + 1 < len && at != PKCS15_FILES; i += 2)
		at = files[at].directory ? find(at, get_be16(path + i)) : PKCS15_FILES;
	return at;
}

/* File control information (ISO 7816-4 §7.4): size, descriptor, identifier, name, life cycle. */
static void put_fci(const struct pkcs15 *p15, enum pkcs15_file file, struct apdu_answer *ans)
{
	struct ber_out out = { .data = ans->data, .cap = APDU_DATA_MAX };
	uint8_t number[2];

	put_be16(number, (uint16_t)p15->content[file].len);
	if (!files[file].directory)
		ber_put(&out, 0x80, number, sizeof(number));
	ber_put(&out, 0x82, files[file].directory ? "\x38" : "\x01", 1);
	put_be16(number, files[file].fid);
	ber_put(&out, 0x83, number, sizeof(number));
	if (file == PKCS15_DF)
		ber_put(&out, 0x84, pkcs15_aid, sizeof(pkcs15_aid));
	ber_put(&out, 0x8A, "\x05", 1);
	ber_wrap(&out, 0, 0x6F);
	ans->len = out.len;
}

static void enter(struct pkcs15 *p15, enum pkcs15_file file, const struct apdu_command *cmd,
	struct apdu_answer *ans)
{
	if (file == PKCS15_FILES) {
		ans->sw = SW_FILE_NOT_FOUND;
		return;
	}
	p15->df = files[file].directory ? file : files[file].parent;
	p15->ef = files[file].directory ? PKCS15_MF : file;
	ans->sw = SW_OK;
	if ((cmd->p2 & SELECT_NO_ANSWER) != SELECT_NO_ANSWER)
		put_fci(p15, file, ans);
}

/* SELECT by name is the card's affair, before it comes here. */
static void select_file(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct pkcs15 *p15 = (struct pkcs15 *)applet;
	enum pkcs15_file found = PKCS15_FILES;

	if (cmd->nc % 2) {
		ans->sw = SW_WRONG_DATA;
		return;
	}
	switch (cmd->p1) {
	case SELECT_BY_FID:
		if (cmd->nc == 0)
			found = PKCS15_MF;
		else if (cmd->nc == 2)
			found = find(p15->df, get_be16(cmd->data));
		break;
	case SELECT_PATH_FROM_MF:
		found = walk(PKCS15_MF, cmd->data, cmd->nc);
		break;
	case SELECT_PATH_FROM_DF:
		found = walk(p15->df, cmd->data, cmd->nc);
		break;
	default:
		ans->sw = SW_WRONG_P1P2;
		return;
	}
	enter(p15, found, cmd, ans);
}

/* --- READ BINARY, GET CHALLENGE --------------------------------------------------------------- */

static void read_binary(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct pkcs15 *p15 = (struct pkcs15 *)applet;
	const struct pkcs15_content *content = &p15->content[p15->ef];
	size_t offset = (size_t)cmd->p1 << 8 | cmd->p2;
	size_t rest;

	if (cmd->p1 & READ_BY_SFI) {
		ans->sw = SW_WRONG_P1P2;
	} else if (p15->ef == PKCS15_MF) {
		ans->sw = SW_NO_CURRENT_EF;
	} else if (files[p15->ef].protected && !p15->verified) {
		ans->sw = SW_SECURITY_STATUS;
	} else if (offset >= content->len) {
		ans->sw = SW_WRONG_OFFSET;
	} else {
		rest = content->len - offset;
		ans->len = cmd->ne < rest ? cmd->ne : rest;
		ans->sw = rest < cmd->ne && cmd->ne != 256 && cmd->ne != 65536 ? SW_END_OF_FILE
									       : SW_OK;
		memcpy(ans->data, content->data + offset, ans->len);
	}
}

static void get_challenge(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	(void)applet;
	ans->sw = SW_MEMORY_FAILURE;
	if (!crypto_random(ans->data, cmd->ne))
		return;
	ans->len = cmd->ne;
	ans->sw = SW_OK;
}

/* --- The applet ------------------------------------------------------------------------------- */

static const struct applet_command commands[] = {
	{ INS_VERIFY, true, pkcs15_verify },
	{ INS_CHANGE_REFERENCE_DATA, true, pkcs15_change_reference },
	{ INS_MANAGE_SECURITY_ENVIRONMENT, true, pkcs15_manage_security },
	{ INS_PERFORM_SECURITY_OPERATION, true, pkcs15_perform_security },
	{ INS_RESET_RETRY_COUNTER, true, pkcs15_reset_retry },
	{ INS_GET_CHALLENGE, false, get_challenge },
	{ INS_SELECT, true, select_file },
	{ INS_READ_BINARY, false, read_binary },
};

static void pkcs15_select(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	enter((struct pkcs15 *)applet, PKCS15_DF, cmd, ans);
}

static void pkcs15_deselect(struct applet *applet)
{
	struct pkcs15 *p15 = (struct pkcs15 *)applet;

	p15->df = PKCS15_MF;
	p15->ef = PKCS15_MF;
	p15->verified = false;
	p15->key_chosen = false;
}

static const struct applet_ops pkcs15_ops = {
	.select = pkcs15_select,
	.deselect = pkcs15_deselect,
	.commands = commands,
	.command_count = sizeof(commands) / sizeof(commands[0]),
};

/* Version 00 06 of that applet's commands, with random numbers (02) and elliptic curves (04). */
static void isoapplet_select(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	static const uint8_t version[] = { 0x00, 0x06, 0x06 };
	struct pkcs15 *p15 = (struct pkcs15 *)applet;

	(void)cmd;
	p15->df = p15->ef = PKCS15_MF;
	memcpy(ans->data, version, sizeof(version));
	ans->len = sizeof(version);
	ans->sw = SW_OK;
}

static const struct applet_ops isoapplet_ops = {
	.select = isoapplet_select,
	.deselect = pkcs15_deselect,
	.commands = commands,
	.command_count = sizeof(commands) / sizeof(commands[0]),
};

static struct applet *make(struct state *state, const struct applet_ops *ops, const uint8_t aid[12])
{
	struct pkcs15 *p15 = state ? calloc(1, sizeof(*p15)) : NULL;

	if (!p15)
		return NULL;
	p15->applet.ops = ops;
	memcpy(p15->applet.aid, aid, 12);
	p15->applet.aid_len = 12;
	p15->state = state;
	if (pkcs15_profile(p15))
		return &p15->applet;
	free(p15);
	return NULL;
}

struct applet *pkcs15_new(struct state *state)
{
	return make(state, &pkcs15_ops, pkcs15_aid);
}

struct applet *pkcs15_isoapplet_new(struct state *state)
{
	static const uint8_t aid[12] = { 0xF2, 0x76, 0xA2, 0x88, 0xBC, 0xFB, 0xA6, 0x9D, 0x34, 0xF3,
		0x10, 0x01 };

	return make(state, &isoapplet_ops, aid);
}
