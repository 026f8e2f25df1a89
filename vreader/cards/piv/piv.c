/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/cards/piv/piv.h"

#include <stdlib.h>
#include <string.h>

#include "vreader/cards/piv/piv_card.h"

enum {
	INS_VERIFY = 0x20,
	INS_CHANGE_REFERENCE_DATA = 0x24,
	INS_RESET_RETRY_COUNTER = 0x2C,
	INS_GENERATE_ASYMMETRIC = 0x47,
	INS_GENERAL_AUTHENTICATE = 0x87,
	INS_GET_DATA = 0xCB,
	INS_PUT_DATA = 0xDB,
	/* Yubico's. */
	INS_GET_METADATA = 0xF7,
	INS_GET_SERIAL = 0xF8,
	INS_SET_PIN_RETRIES = 0xFA,
	INS_RESET = 0xFB,
	INS_GET_VERSION = 0xFD,
	INS_IMPORT_ASYMMETRIC = 0xFE,
	INS_SET_MANAGEMENT_KEY = 0xFF,
};

/* RID of NIST, PIX of the application with its version (SP 800-73-4 part 1 §2.2). */
static const uint8_t aid[] = { 0xA0, 0x00, 0x00, 0x03, 0x08, 0x00, 0x00, 0x10, 0x00, 0x01, 0x00 };

static const struct applet_command commands[] = {
	{ INS_VERIFY, true, piv_verify },
	{ INS_CHANGE_REFERENCE_DATA, true, piv_change_reference },
	{ INS_RESET_RETRY_COUNTER, true, piv_reset_retry },
	{ INS_GENERATE_ASYMMETRIC, true, piv_generate },
	{ INS_GENERAL_AUTHENTICATE, true, piv_general_authenticate },
	{ INS_GET_DATA, true, piv_get_data },
	{ INS_PUT_DATA, true, piv_put_data },
	{ INS_GET_METADATA, false, piv_get_metadata },
	{ INS_GET_SERIAL, false, piv_get_serial },
	{ INS_SET_PIN_RETRIES, false, piv_set_retries },
	{ INS_RESET, false, piv_factory_reset },
	{ INS_GET_VERSION, false, piv_get_version },
	{ INS_IMPORT_ASYMMETRIC, true, piv_import },
	{ INS_SET_MANAGEMENT_KEY, true, piv_set_management },
};

/* Access rights do not outlive the selection (SP 800-73-4 part 2 §3.1.1). */
static void piv_deselect(struct applet *applet)
{
	struct piv *piv = (struct piv *)applet;

	piv->pin_verified = piv->pin_fresh = false;
	piv->managed = false;
	piv->step = PIV_STEP_NONE;
}

/* Application property template (SP 800-73-4 part 2 table 3): PIX, label, and the authority behind
 * the tags. */
static void piv_select(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	static const uint8_t authority[] = { 0x4F, 0x05, 0xA0, 0x00, 0x00, 0x03, 0x08 };
	static const char label[] = "Cardwire virtual PIV";
	struct ber_out out = { .data = ans->data, .cap = APDU_DATA_MAX };

	(void)applet;
	(void)cmd;
	ber_put(&out, 0x4F, aid + 5, sizeof(aid) - 5);
	ber_put(&out, 0x79, authority, sizeof(authority));
	ber_put(&out, 0x50, label, strlen(label));
	ber_wrap(&out, 0, 0x61);
	ans->len = out.len;
	ans->sw = SW_OK;
}

static const struct applet_ops piv_ops = {
	.select = piv_select,
	.deselect = piv_deselect,
	.commands = commands,
	.command_count = sizeof(commands) / sizeof(commands[0]),
};

bool piv_start_afresh(struct piv *piv)
{
	state_delete_all(piv->state, "piv.");
	piv_deselect(&piv->applet);
	state_put_byte(piv->state, "piv.made", 1);
	return piv_data_defaults(piv);
}

struct applet *piv_new(struct state *state)
{
	struct piv *piv = state ? calloc(1, sizeof(*piv)) : NULL;

	if (!piv)
		return NULL;
	piv->applet.ops = &piv_ops;
	memcpy(piv->applet.aid, aid, sizeof(aid));
	piv->applet.aid_len = sizeof(aid);
	piv->state = state;
	if (state_get_byte(state, "piv.made", 0) || piv_start_afresh(piv))
		return &piv->applet;
	free(piv);
	return NULL;
}
