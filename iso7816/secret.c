/* SPDX-License-Identifier: BSD-3-Clause */
#include "iso7816/secret.h"

#include <string.h>

/* INS of commands whose data field is secret. */
static const uint8_t secret_ins[] = {
	0x20, 0x21, /* VERIFY */
	0x24, 0x25, /* CHANGE REFERENCE DATA */
	0x26, 0x28, /* DISABLE and ENABLE VERIFICATION REQUIREMENT */
	0x2C, 0x2D, /* RESET RETRY COUNTER */
	0x82,       /* EXTERNAL AUTHENTICATE, LOAD KEYS */
	0x86, 0x87, /* GENERAL AUTHENTICATE */
	0xD8,       /* PUT KEY */
	0xDA, 0xDB, /* PUT DATA */
	0xFE, 0xFF, /* key import of PIV tokens */
};

enum {
	SHORT_HEADER = 5,
	EXTENDED_HEADER = 7,
	/* What may follow the data: Le, and the epilogue of a block (ISO 7816-3 §11.3.4). */
	SHORT_TAIL = 1 + 2,
	EXTENDED_TAIL = 2 + 2
};

enum {
	INS_PERFORM_SECURITY_OPERATION = 0x2A,
	P1_PLAIN_VALUE = 0x80,
	INS_GET_RESPONSE = 0xC0,
	INS_ENVELOPE = 0xC2,
	INS_ENVELOPE_BER = 0xC3,
	CLA_READER = 0xFF,
	SW = 2,
	PACE_ESTABLISH = 0x02,        /* bFunction of EXECUTE_PACE (PC/SC part 10 amendment 1) */
	PACE_ESTABLISH_SECURE = 0x20, /* bPINOperation of PC_to_RDR_Secure (BSI TR-03119) */
};

static bool is_secret_ins(uint8_t ins)
{
	return memchr(secret_ins, ins, sizeof(secret_ins)) != NULL;
}

/* Secure messaging in the class byte; in the proprietary ones as common cards have it. */
static bool is_protected(uint8_t cla)
{
	if (cla == CLA_READER)
		return false;
	return cla & 0x40 ? cla & 0x20 : cla & 0x0C;
}

/*
 * A raw command of a contactless front end that hands it the key of a memory card: InDataExchange,
 * a target, authentication with key A or B, a block, six bytes.
 */
static size_t find_tag_key(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i + 11 <= len; i++)
		if (bytes[i] == 0xD4 && bytes[i + 1] == 0x40 && (bytes[i + 3] | 1) == 0x61)
			return i + 5;
	return 0;
}

/* True if the bytes are a command with a data field and no more than a tail behind it. */
static bool has_data_field(const uint8_t *bytes, size_t len, size_t *start, size_t *end)
{
	size_t header = SHORT_HEADER;
	size_t tail = SHORT_TAIL;
	size_t nc;

	if (len <= SHORT_HEADER)
		return false;
	nc = bytes[4];
	if (nc == 0) {
		if (len <= EXTENDED_HEADER)
			return false;
		nc = (size_t)bytes[5] << 8 | bytes[6];
		header = EXTENDED_HEADER;
		tail = EXTENDED_TAIL;
	}
	if (nc == 0 || header + nc > len || len - header - nc > tail)
		return false;
	*start = header;
	*end = header + nc;
	return true;
}

static size_t le16(const uint8_t *bytes)
{
	return (size_t)bytes[1] << 8 | bytes[0];
}

/*
 * What a reader gets to open a PACE channel, as the application gives it or in PC_to_RDR_Secure:
 * which password, card holder's authorisation, password, description of a certificate; each but the
 * first with its length. True if the password is among it.
 */
static bool find_pace_password(const uint8_t *bytes, size_t len, size_t *start, size_t *end)
{
	size_t at;

	if (len > 3 && bytes[0] == PACE_ESTABLISH && le16(bytes + 1) == len - 3)
		at = 3;
	else if (len > 1 && bytes[0] == PACE_ESTABLISH_SECURE)
		at = 1;
	else
		return false;
	at++;
	if (at >= len)
		return false;
	at += 1U + bytes[at];
	if (at >= len)
		return false;
	*start = at + 1;
	*end = *start + bytes[at];
	return *end > *start && len >= *end + 2 && len - *end - 2 == le16(bytes + *end);
}

bool secret_span(const uint8_t *bytes, size_t len, size_t *start, size_t *end)
{
	if (find_pace_password(bytes, len, start, end))
		return true;
	if (len > SHORT_HEADER && is_secret_ins(bytes[1])) {
		if (!has_data_field(bytes, len, start, end)) {
			*start = SHORT_HEADER;
			*end = len;
		}
		return true;
	}
	for (size_t i = 1; i + SHORT_HEADER < len; i++) {
		if (!is_secret_ins(bytes[i + 1]) || !has_data_field(bytes + i, len - i, start, end))
			continue;
		*start += i;
		*end += i;
		return true;
	}
	*start = find_tag_key(bytes, len);
	*end = len;
	return *start > 0;
}

bool secret_command(const uint8_t *apdu, size_t len)
{
	size_t start, end;

	/* A header alone carries nothing. */
	if (len < SHORT_HEADER)
		return false;
	if (apdu[0] == CLA_READER)
		return secret_span(apdu, len, &start, &end);
	return is_secret_ins(apdu[1]) || is_protected(apdu[0]) || apdu[1] == INS_ENVELOPE ||
	       apdu[1] == INS_ENVELOPE_BER ||
	       (apdu[1] == INS_PERFORM_SECURITY_OPERATION && apdu[2] == P1_PLAIN_VALUE);
}

bool secret_exchange(bool before, const uint8_t *apdu, size_t len)
{
	return secret_command(apdu, len) || (before && len > 1 && apdu[1] == INS_GET_RESPONSE);
}

void secret_command_span(const uint8_t *apdu, size_t len, size_t *start, size_t *end)
{
	size_t header = len > EXTENDED_HEADER && apdu[4] == 0 ? EXTENDED_HEADER : SHORT_HEADER;

	if (!find_pace_password(apdu, len, start, end))
		*start = header < len ? header : len;
	*end = len;
}

void secret_response_span(size_t len, size_t *start, size_t *end)
{
	*start = 0;
	*end = len > SW ? len - SW : 0;
}
