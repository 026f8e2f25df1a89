/* SPDX-License-Identifier: BSD-3-Clause */
#include "raw.h"

#include <stdlib.h>
#include <string.h>

#include "raw_private.h"

enum {
	CLA_READER = 0xFF,
	RANDOM_UID = 0x08, /* first of 4 bytes: a tag with another UID in each field */
};

struct raw *raw_new(const struct raw_dialect *dialect, void *owner)
{
	struct raw *raw = calloc(1, sizeof(*raw));

	if (!raw)
		return NULL;
	raw->dialect = dialect;
	raw->owner = owner;
	raw->block = RAW_NO_BLOCK;
	return raw;
}

void raw_free(struct raw *raw)
{
	if (!raw)
		return;
	explicit_bzero(raw->keys, sizeof(raw->keys));
	free(raw);
}

const struct picc *raw_picc(const struct raw *raw)
{
	return raw->present ? &raw->picc : NULL;
}

void *raw_owner(const struct raw *raw)
{
	return raw->owner;
}

static void lost(struct raw *raw)
{
	raw->present = false;
	raw->block = RAW_NO_BLOCK;
	raw->authenticated = false;
	raw->transparent = false;
}

static bool same_tag(const struct picc *a, const struct picc *b)
{
	if (a->kind != b->kind || a->uid_len != b->uid_len)
		return false;
	if (a->kind == PICC_A4 && a->uid_len == 4 && a->uid[0] == RANDOM_UID &&
		b->uid[0] == RANDOM_UID)
		return true;
	return memcmp(a->uid, b->uid, a->uid_len) == 0;
}

/* Selects the tag of before anew. Anything but CCID_OK: it is lost. */
static enum ccid_result find_again(struct raw *raw)
{
	struct picc picc = { 0 };
	enum ccid_result result = raw->dialect->find(raw->owner, &picc);

	raw->authenticated = false;
	raw->used = false;
	if (result == CCID_OK && !same_tag(&picc, &raw->picc))
		result = CCID_ABSENT;
	if (result == CCID_OK)
		raw->picc = picc;
	else
		lost(raw);
	return result;
}

enum ccid_result raw_after_failure(struct raw *raw, enum ccid_result result)
{
	if (result != CCID_ABSENT && result != CCID_CARD)
		return result;
	/* A tag with commands has lost its state: the host has to see that. */
	if (raw->picc.kind == PICC_A4 || raw->picc.kind == PICC_B4) {
		if (result == CCID_ABSENT)
			lost(raw);
		return result;
	}
	result = find_again(raw);
	return result == CCID_OK ? CCID_CARD : result;
}

enum ccid_result raw_presence(struct raw *raw)
{
	enum ccid_result result;

	if (!raw->present) {
		memset(&raw->picc, 0, sizeof(raw->picc));
		result = raw->dialect->find(raw->owner, &raw->picc);
		raw->present = result == CCID_OK;
		raw->used = false;
		return result == CCID_CARD ? CCID_ABSENT : result;
	}
	/* In a transparent session the application alone speaks to the tag. */
	if (raw->transparent)
		return CCID_OK;
	if (raw->picc.kind != PICC_A4 && raw->picc.kind != PICC_B4)
		return find_again(raw);
	result = raw->dialect->check(raw->owner);
	if (result != CCID_ABSENT && result != CCID_CARD)
		return result;
	lost(raw);
	return CCID_ABSENT;
}

enum ccid_result raw_power_on(struct raw *raw, uint8_t atr[ATR_MAX_LEN], size_t *len)
{
	enum ccid_result result = CCID_OK;

	if (!raw->present)
		result = raw_presence(raw);
	else if (raw->used) {
		result = raw->dialect->field_off(raw->owner);
		if (result == CCID_OK)
			result = find_again(raw);
	}
	raw->block = RAW_NO_BLOCK;
	raw->transparent = false;
	if (result == CCID_OK)
		*len = picc_atr(&raw->picc, atr);
	return result;
}

enum ccid_result raw_power_off(struct raw *raw)
{
	enum ccid_result result;

	if (!raw->present)
		return CCID_OK;
	raw->transparent = false;
	raw->block = RAW_NO_BLOCK;
	result = raw->dialect->field_off(raw->owner);
	if (result != CCID_OK)
		return result;
	/* It is still there for the host, without power. */
	result = find_again(raw);
	return result == CCID_ABSENT ? CCID_OK : result;
}

enum ccid_result raw_transmit(struct raw *raw, const uint8_t *command, size_t len,
	uint8_t *response, size_t *rsp_len, bool *secret)
{
	enum ccid_result result;

	if (!raw->present)
		return CCID_ABSENT;
	if (len < 4)
		return CCID_LIMIT;
	if (command[0] == CLA_READER)
		return raw_pseudo(raw, command, len, response, rsp_len, secret);
	if (raw->picc.kind != PICC_A4 && raw->picc.kind != PICC_B4) {
		static const uint8_t not_supported[] = { 0x6A, 0x81 };

		if (*rsp_len < sizeof(not_supported))
			return CCID_OVERRUN;
		memcpy(response, not_supported, sizeof(not_supported));
		*rsp_len = sizeof(not_supported);
		return CCID_OK;
	}
	raw->used = true;
	result = raw->dialect->apdu(raw->owner, command, len, response, rsp_len);
	return raw_after_failure(raw, result);
}
