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

/* Commands of common cards with PINs, keys or passwords in their data or response: class and INS. */
static const uint8_t proprietary[][2] = {
	/* SmartCard-HSM: initialisation, with both PINs; key shares; decipherment. */
	{ 0x80, 0x50 },
	{ 0x80, 0x52 },
	{ 0x80, 0x62 },
	/* MUSCLE and CoolKey: setup, key import; a PIN's creation, verification, change, unblocking. */
	{ 0xB0, 0x2A },
	{ 0xB0, 0x32 },
	{ 0xB0, 0x40 },
	{ 0xB0, 0x42 },
	{ 0xB0, 0x44 },
	{ 0xB0, 0x46 },
	/* OATH and OTP of security keys: keys, their deletion, password and its proof, lock code. */
	{ 0x00, 0x01 },
	{ 0x00, 0x02 },
	{ 0x00, 0x03 },
	{ 0x00, 0xA3 },
	{ 0x00, 0x1C },
	/* And where they keep passwords: PIN, its change, a new one; a password, its change. */
	{ 0x00, 0xB2 },
	{ 0x00, 0xB3 },
	{ 0x00, 0xB4 },
	{ 0x00, 0xB5 },
	{ 0x00, 0xB7 },
};

enum {
	SHORT_HEADER = 5,
	EXTENDED_HEADER = 7,
	/* What may follow the data: Le, and the epilogue of a block (ISO 7816-3 §11.3.4). */
	SHORT_TAIL = 1 + 2,
	EXTENDED_TAIL = 2 + 2,
	BLOCK_HEADER = 3,    /* ISO 7816-3 §11.3.2 */
	MESSAGE_HEADER = 10, /* CCID 1.1 §6.1 */
};

enum {
	INS_PERFORM_SECURITY_OPERATION = 0x2A,
	P1_PLAIN_VALUE = 0x80,
	INS_GET_RESPONSE = 0xC0,
	INS_ENVELOPE = 0xC2,
	INS_ENVELOPE_BER = 0xC3,
	CLA_READER = 0xFF,
	INS_UPDATE_BINARY = 0xD6,
	SW = 2,
	PACE_ESTABLISH = 0x02,        /* bFunction of EXECUTE_PACE (PC/SC part 10 amendment 1) */
	PACE_ESTABLISH_SECURE = 0x20, /* bPINOperation of PC_to_RDR_Secure (BSI TR-03119) */
};

/* Commands of memory tags: authentication with key A or B, writing, password (NXP MF1S50, NTAG21x). */
enum {
	TAG_KEY_A = 0x60,
	TAG_KEY_B = 0x61,
	TAG_WRITE_BLOCK = 0xA0,
	TAG_WRITE_PAGE = 0xA2,
	TAG_PASSWORD = 0x1B,
	TAG_BLOCK = 16,
	TAG_PAGE = 4,
	TAG_BIG_SECTORS = 128, /* blocks from here on are in sectors of 16, not 4 */
};

static bool is_secret_ins(uint8_t ins)
{
	return memchr(secret_ins, ins, sizeof(secret_ins)) != NULL;
}

static bool is_proprietary(uint8_t cla, uint8_t ins)
{
	for (size_t i = 0; i < sizeof(proprietary) / sizeof(proprietary[0]); i++)
		if (proprietary[i][0] == cla && proprietary[i][1] == ins)
			return true;
	return false;
}

/* Secure messaging in the class byte; in the proprietary ones as common cards have it. */
static bool is_protected(uint8_t cla)
{
	if (cla == CLA_READER)
		return false;
	return cla & 0x40 ? cla & 0x20 : cla & 0x0C;
}

/*
 * Whether LEN bytes written there are keys or a password: the last block of a sector, or one of the
 * pages where the tags that have passwords or keys keep them.
 */
static bool is_place_of_keys(uint8_t place, size_t len)
{
	static const uint8_t pages[] = { 0x12, 0x13, 0x27, 0x28, 0x2B, 0x2C, 0x2D, 0x2E, 0x2F, 0x85,
		0x86, 0xE5, 0xE6 };
	unsigned blocks = place < TAG_BIG_SECTORS ? 4 : 16;

	if (len == TAG_PAGE)
		return memchr(pages, place, sizeof(pages)) != NULL;
	return len == TAG_BLOCK && place % blocks == blocks - 1;
}

/* Where the secret begins in a command for a memory tag; 0: it holds none. */
static size_t tag_secret(const uint8_t *frame, size_t len)
{
	if (len >= 8 && (frame[0] == TAG_KEY_A || frame[0] == TAG_KEY_B))
		return 2;
	if (len >= 5 && frame[0] == TAG_PASSWORD)
		return 1;
	if (len > 2 && (frame[0] == TAG_WRITE_BLOCK || frame[0] == TAG_WRITE_PAGE) &&
		is_place_of_keys(frame[1], len - 2))
		return 2;
	return 0;
}

/*
 * A raw command of a contactless front end with a secret for a memory tag: InDataExchange and a
 * target, InCommunicateThru; or the same in a transparent session (PC/SC part 3).
 */
static size_t find_tag_key(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i + 3 < len; i++) {
		const uint8_t *frame = bytes + i + 2;
		size_t rest = len - i - 2;
		size_t at = 0;

		if (bytes[i] == 0xD4 && bytes[i + 1] == 0x40)
			at = tag_secret(++frame, rest - 1);
		else if (bytes[i] == 0xD4 && bytes[i + 1] == 0x42)
			at = tag_secret(frame, rest);
		else if (bytes[i] == 0x95 && bytes[i + 1] <= rest)
			at = tag_secret(frame, bytes[i + 1]);
		if (at > 0)
			return (size_t)(frame - bytes) + at;
	}
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

/*
 * A command's header alone would be found in much that is none, so these count where commands stand: at
 * the beginning, and in a block, in a reader's message, in a block in one.
 */
static bool is_place_of_commands(size_t at)
{
	return at == 0 || at == BLOCK_HEADER || at == MESSAGE_HEADER ||
	       at == MESSAGE_HEADER + BLOCK_HEADER;
}

/* True if a command with a data field that is secret, bytes [*start, *end), stands at AT. */
static bool find_command(const uint8_t *bytes, size_t len, size_t at, size_t *start, size_t *end)
{
	uint8_t cla = bytes[at], ins = bytes[at + 1], p2 = bytes[at + 3];

	if (!has_data_field(bytes + at, len - at, start, end))
		return false;
	*start += at;
	*end += at;
	return is_secret_ins(ins) || (is_proprietary(cla, ins) && is_place_of_commands(at)) ||
	       (cla == CLA_READER && ins == INS_UPDATE_BINARY &&
		       is_place_of_keys(p2, *end - *start));
}

static size_t le16(const uint8_t *bytes)
{
	return (size_t)bytes[1] << 8 | bytes[0];
}

/*
 * What a reader gets to open a PACE channel, as the application gives it or in PC_to_RDR_Secure:
 * which password, card holder's authorisation, password, description of a certificate; each but the
 * first with its length. True if the password is among it, or may be since the lengths don't fit.
 */
static bool find_pace_password(const uint8_t *bytes, size_t len, size_t *start, size_t *end)
{
	bool sure = len > 3 && bytes[0] == PACE_ESTABLISH && le16(bytes + 1) == len - 3;
	size_t first = sure ? 3 : 1;
	size_t at = first + 1;

	if (!sure && (len <= 1 || bytes[0] != PACE_ESTABLISH_SECURE))
		return false;
	if (at < len)
		at += 1U + bytes[at];
	if (at < len) {
		*start = at + 1;
		*end = *start + bytes[at];
		if (len >= *end + 2 && len - *end - 2 == le16(bytes + *end))
			return *end > *start;
	}
	*start = first + 1;
	*end = len;
	return sure && *start < len;
}

bool secret_span(const uint8_t *bytes, size_t len, size_t *start, size_t *end)
{
	size_t from, to;

	if (find_pace_password(bytes, len, start, end))
		return true;
	if (len > SHORT_HEADER && is_secret_ins(bytes[1])) {
		if (!has_data_field(bytes, len, start, end)) {
			*start = SHORT_HEADER;
			*end = len;
		}
		return true;
	}
	/* What looks like a command may be a part of another one's data: all that is secret to any. */
	*start = find_tag_key(bytes, len);
	*end = *start ? len : 0;
	for (size_t i = 0; i + SHORT_HEADER < len; i++) {
		if (!find_command(bytes, len, i, &from, &to))
			continue;
		*start = *end && *start < from ? *start : from;
		*end = *end > to ? *end : to;
	}
	return *end > 0;
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
	       (apdu[1] == INS_PERFORM_SECURITY_OPERATION && apdu[2] == P1_PLAIN_VALUE) ||
	       (len > SHORT_HEADER && is_proprietary(apdu[0], apdu[1]));
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
