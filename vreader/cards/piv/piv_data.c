/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The data objects: GET DATA and PUT DATA (SP 800-73-4 part 2 §3.1.2, §3.3.2); what is in them is the
 * host's affair. A new card has a card identifier (CHUID) and a card capability container with
 * numbers of its own.
 */
#include <stdio.h>

#include "vreader/cards/piv/piv_card.h"

enum {
	TAG_LIST = 0x5C,
	TAG_DATA = 0x53,
	TAG_DISCOVERY = 0x7E,
	TAG_BIOMETRIC_GROUP = 0x7F61,
	TAG_CHUID = 0x5FC102,
	TAG_CCC = 0x5FC107,
	OBJECT_SIZE_MAX = 16384,
	NAME_SIZE = 24,
};

/* Objects that are read after VERIFY only (SP 800-73-4 part 1 table 2): fingerprints, face, printed
 * information, iris. */
static const uint32_t pin_protected[] = { 0x5FC103, 0x5FC108, 0x5FC109, 0x5FC121 };

/* AID of the application; the application's own PIN alone is used (SP 800-73-4 part 1 §3.3.2). */
static const uint8_t discovery[] = { 0x7E, 0x12, 0x4F, 0x0B, 0xA0, 0x00, 0x00, 0x03, 0x08, 0x00,
	0x00, 0x10, 0x00, 0x01, 0x00, 0x5F, 0x2F, 0x02, 0x40, 0x00 };

static void object_name(char name[NAME_SIZE], uint32_t tag)
{
	snprintf(name, NAME_SIZE, "piv.object.%06X", (unsigned)tag);
}

/* --- A new card ------------------------------------------------------------------------------- */

static void put_object(struct piv *piv, uint32_t tag, const struct ber_out *out)
{
	char name[NAME_SIZE];

	object_name(name, tag);
	state_put(piv->state, name, out->data, out->len);
}

static bool default_chuid(struct piv *piv)
{
	/* FASC-N with the agency code 9999 of issuers outside the federal government (encoded as in
	 * PACS 2.2): then the GUID counts. */
	static const uint8_t fascn[] = { 0xD4, 0xE7, 0x39, 0xDA, 0x73, 0x9C, 0xED, 0x39, 0xCE, 0x73,
		0x9D, 0x83, 0x68, 0x58, 0x21, 0x08, 0x42, 0x10, 0x84, 0x21, 0xC8, 0x42, 0x10, 0xC3,
		0xEB };
	uint8_t bytes[80], guid[16];
	struct ber_out out = { .data = bytes, .cap = sizeof(bytes) };

	if (!crypto_random(guid, sizeof(guid)))
		return false;
	/* A random UUID (RFC 4122 §4.4). */
	guid[6] = (uint8_t)((guid[6] & 0x0F) | 0x40);
	guid[8] = (uint8_t)((guid[8] & 0x3F) | 0x80);
	ber_put(&out, 0x30, fascn, sizeof(fascn));
	ber_put(&out, 0x34, guid, sizeof(guid));
	ber_put(&out, 0x35, "20991231", 8);
	ber_put(&out, 0x3E, NULL, 0);
	ber_put(&out, 0xFE, NULL, 0);
	put_object(piv, TAG_CHUID, &out);
	return true;
}

static bool default_ccc(struct piv *piv)
{
	/* RID of the GSC data model, manufacturer FF, card type 02; the rest is random. */
	uint8_t identifier[21] = { 0xA0, 0x00, 0x00, 0x01, 0x16, 0xFF, 0x02 };
	/* Capability container and grammar versions 2.1, no PKCS #15, data model 10h. */
	static const uint8_t rest[] = { 0xF1, 1, 0x21, 0xF2, 1, 0x21, 0xF3, 0, 0xF4, 1, 0, 0xF5, 1,
		0x10, 0xF6, 0, 0xF7, 0, 0xFA, 0, 0xFB, 0, 0xFC, 0, 0xFD, 0, 0xFE, 0 };
	uint8_t bytes[80];
	struct ber_out out = { .data = bytes, .cap = sizeof(bytes) };

	if (!crypto_random(identifier + 7, sizeof(identifier) - 7))
		return false;
	ber_put(&out, 0xF0, identifier, sizeof(identifier));
	ber_put_raw(&out, rest, sizeof(rest));
	put_object(piv, TAG_CCC, &out);
	return true;
}

bool piv_data_defaults(struct piv *piv)
{
	return default_chuid(piv) && default_ccc(piv);
}

/* --- Commands --------------------------------------------------------------------------------- */

/* PIV's own objects (SP 800-73-4 part 1 table 3), and those Yubico's tools keep things in. */
static bool tag_known(uint32_t tag)
{
	return (tag >= 0x5FC101 && tag <= 0x5FC123) || tag == TAG_BIOMETRIC_GROUP ||
	       (tag >= 0x5FFF00 && tag <= 0x5FFF1F);
}

/* The tag in a tag list of one. False: it is not one. */
static bool listed_tag(const struct apdu_command *cmd, uint32_t *tag)
{
	struct ber_item list;

	if (!ber_find(cmd->data, cmd->nc, TAG_LIST, &list) || list.len < 1 || list.len > 3)
		return false;
	*tag = 0;
	for (size_t i = 0; i < list.len; i++)
		*tag = *tag << 8 | list.value[i];
	return true;
}

static bool readable(const struct piv *piv, uint32_t tag)
{
	for (size_t i = 0; i < sizeof(pin_protected) / sizeof(pin_protected[0]); i++)
		if (pin_protected[i] == tag)
			return piv->pin_verified;
	return true;
}

static uint16_t read_object(struct piv *piv, uint32_t tag, struct ber_out *out)
{
	char name[NAME_SIZE];
	const uint8_t *data;
	size_t len;

	if (tag == TAG_DISCOVERY) {
		ber_put_raw(out, discovery, sizeof(discovery));
		return SW_OK;
	}
	object_name(name, tag);
	data = state_get(piv->state, name, &len);
	if (!data)
		return SW_FILE_NOT_FOUND;
	if (!readable(piv, tag))
		return SW_SECURITY_STATUS;
	ber_put(out, TAG_DATA, data, len);
	return SW_OK;
}

void piv_get_data(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct piv *piv = (struct piv *)applet;
	struct ber_out out = { .data = ans->data, .cap = APDU_DATA_MAX };
	uint32_t tag;

	if (cmd->p1 != 0x3F || cmd->p2 != 0xFF)
		ans->sw = SW_WRONG_P1P2;
	else if (!listed_tag(cmd, &tag))
		ans->sw = SW_WRONG_DATA;
	else
		ans->sw = read_object(piv, tag, &out);
	ans->len = out.len;
}

void piv_put_data(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct piv *piv = (struct piv *)applet;
	struct ber_item data;
	char name[NAME_SIZE];
	uint32_t tag;

	ans->sw = SW_OK;
	if (!piv->managed) {
		ans->sw = SW_SECURITY_STATUS;
	} else if (cmd->p1 != 0x3F || cmd->p2 != 0xFF) {
		ans->sw = SW_WRONG_P1P2;
	} else if (!listed_tag(cmd, &tag) || !ber_find(cmd->data, cmd->nc, TAG_DATA, &data)) {
		ans->sw = SW_WRONG_DATA;
	} else if (!tag_known(tag)) {
		ans->sw = SW_FILE_NOT_FOUND;
	} else if (data.len > OBJECT_SIZE_MAX) {
		ans->sw = SW_NO_SPACE;
	} else {
		object_name(name, tag);
		if (data.len)
			state_put(piv->state, name, data.value, data.len);
		else
			state_delete(piv->state, name);
	}
}
