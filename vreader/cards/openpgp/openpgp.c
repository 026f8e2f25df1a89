/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/cards/openpgp/openpgp.h"

#include <stdlib.h>
#include <string.h>

#include "vreader/cards/openpgp/openpgp_parts.h"

enum {
	SW_TERMINATED = 0x6285,
	SERIAL_AT = 10, /* in the AID (§4.2.1) */
	SERIAL_LEN = 4,
	INS_ACTIVATE = 0x44,
};

/* RID, application OpenPGP, version 3.4, manufacturer FF00 (a number for random serial numbers). */
static const uint8_t aid[AID_MAX] = { 0xD2, 0x76, 0x00, 0x01, 0x24, 0x01, 0x03, 0x04, 0xFF, 0x00 };

static bool terminated(const struct openpgp *o)
{
	return state_get_byte(o->state, "openpgp.terminated", 0);
}

/* --- Life cycle (§7.2.16, §7.2.17) ------------------------------------------------------------ */

static void forget_status(struct openpgp *o)
{
	o->verified = 0;
	o->decrypt_key = PGP_DECRYPT;
	o->authenticate_key = PGP_AUTHENTICATE;
	o->certificate = 0;
}

static void terminate(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct openpgp *o = (struct openpgp *)applet;

	if (cmd->p1 || cmd->p2) {
		ans->sw = SW_WRONG_P1P2;
		return;
	}
	if (!pgp_allowed(o, PGP_PW3) && !pgp_pin_blocked(o)) {
		ans->sw = SW_SECURITY_STATUS;
		return;
	}
	state_put_byte(o->state, "openpgp.terminated", 1);
	forget_status(o);
	ans->sw = SW_OK;
}

static void put_serial(struct openpgp *o)
{
	state_put(o->state, "openpgp.serial", o->applet.aid + SERIAL_AT, SERIAL_LEN);
}

static void activate(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct openpgp *o = (struct openpgp *)applet;

	if (cmd->p1 || cmd->p2) {
		ans->sw = SW_WRONG_P1P2;
		return;
	}
	if (terminated(o)) {
		state_delete_all(o->state, "openpgp.");
		put_serial(o);
		forget_status(o);
	}
	ans->sw = SW_OK;
}

/* --- Commands --------------------------------------------------------------------------------- */

static void get_challenge(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	(void)applet;
	if (cmd->nc || cmd->ne == 0 || cmd->p1 || cmd->p2) {
		ans->sw = SW_WRONG_LENGTH;
		return;
	}
	ans->len = cmd->ne > PGP_CHALLENGE_MAX ? PGP_CHALLENGE_MAX : cmd->ne;
	ans->sw = crypto_random(ans->data, ans->len) ? SW_OK : SW_MEMORY_FAILURE;
}

static const struct applet_command commands[] = {
	{ 0x20, true, pgp_verify },
	{ 0x22, true, pgp_manage_keys },
	{ 0x24, true, pgp_change_pin },
	{ 0x2A, true, pgp_security_operation },
	{ 0x2C, true, pgp_reset_pin },
	{ INS_ACTIVATE, false, activate },
	{ 0x47, true, pgp_generate },
	{ 0x84, false, get_challenge },
	{ 0x88, true, pgp_authenticate },
	{ 0xA5, true, pgp_select_data },
	{ 0xCA, false, pgp_get_data },
	{ 0xCC, false, pgp_get_next_data },
	{ 0xDA, true, pgp_put_data },
	{ 0xDB, true, pgp_import },
	{ 0xE6, false, terminate },
};

static uint16_t openpgp_refuses(const struct applet *applet, uint8_t ins)
{
	return ins != INS_ACTIVATE && terminated((const struct openpgp *)applet) ? SW_TERMINATED
										 : SW_OK;
}

/* FCI template with the DF name (§7.2.1). */
static void openpgp_select(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct openpgp *o = (struct openpgp *)applet;
	struct ber_out out = { .data = ans->data, .cap = APDU_DATA_MAX };

	ans->sw = terminated(o) ? SW_TERMINATED : SW_OK;
	if (cmd->p2 & 0x0C)
		return;
	ber_put(&out, 0x84, applet->aid, applet->aid_len);
	ber_wrap(&out, 0, 0x6F);
	ans->len = out.len;
}

static void openpgp_deselect(struct applet *applet)
{
	forget_status((struct openpgp *)applet);
}

static const struct applet_ops openpgp_ops = {
	.select = openpgp_select,
	.deselect = openpgp_deselect,
	.refuses = openpgp_refuses,
	.commands = commands,
	.command_count = sizeof(commands) / sizeof(commands[0]),
};

struct applet *openpgp_new(struct state *state)
{
	struct openpgp *o = calloc(1, sizeof(*o));
	const uint8_t *serial;
	size_t len;

	if (!o)
		return NULL;
	o->applet.ops = &openpgp_ops;
	o->state = state;
	memcpy(o->applet.aid, aid, sizeof(aid));
	o->applet.aid_len = sizeof(aid);
	serial = state_get(state, "openpgp.serial", &len);
	if (serial && len == SERIAL_LEN) {
		memcpy(o->applet.aid + SERIAL_AT, serial, SERIAL_LEN);
	} else if (crypto_random(o->applet.aid + SERIAL_AT, SERIAL_LEN)) {
		put_serial(o);
	} else {
		free(o);
		return NULL;
	}
	forget_status(o);
	return &o->applet;
}
