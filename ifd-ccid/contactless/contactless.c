/* SPDX-License-Identifier: BSD-3-Clause */
#include "contactless.h"

#include <ctype.h>
#include <string.h>

enum {
	TS = 0x3B,
	T0_TD1 = 0x80,
	TD1 = 0x80, /* T=0, and TD2 follows */
	TD2 = 0x01, /* T=1 */
	HISTORICAL_AT = 4,

	/* SS, the standard a storage card follows (table 4 of the supplement). */
	SS_14443A_1 = 0x01, /* part 1, then 2, then 3 */
	SS_14443A_3 = 0x03,
	SS_14443B_1 = 0x05,
	SS_14443B_3 = 0x07,
	SS_15693_1 = 0x09,
	SS_15693_4 = 0x0C,
	SS_FELICA = 0x11,
	SS_AT = 12, /* in the ATR */

	ICC_UNKNOWN = 0,
	ICC_7816 = 1,
	ICC_14443A = 5,
	ICC_14443B = 6,
	ICC_15693 = 7,
};

/* Category indicator, tag, length of the rest, RID of the PC/SC workgroup. */
static const uint8_t storage_card[] = { 0x80, 0x4F, 0x0C, 0xA0, 0x00, 0x00, 0x03, 0x06 };

/* NN, the name of a storage card, by SEL_RES (table 5 of the supplement; NXP AN10833). */
static uint16_t card_name(const struct picc *picc)
{
	static const struct {
		uint8_t sak;
		uint16_t name;
	} names[] = {
		{ 0x08, 0x0001 },                   /* MIFARE Classic 1K */
		{ 0x88, 0x0001 },                   /* the same by another maker */
		{ 0x18, 0x0002 },                   /* MIFARE Classic 4K */
		{ 0x98, 0x0002 }, { 0x00, 0x0003 }, /* MIFARE Ultralight and what is like it */
		{ 0x09, 0x0026 },                   /* MIFARE Mini */
		{ 0x10, 0x0038 },                   /* MIFARE Plus SL2, 2K */
		{ 0x11, 0x0039 },                   /* MIFARE Plus SL2, 4K */
	};

	if (picc->kind == PICC_FELICA)
		return 0x003B;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].sak == picc->sak)
			return names[i].name;
	return 0x0000;
}

static size_t put_storage_card(const struct picc *picc, uint8_t *out)
{
	uint16_t name = card_name(picc);
	size_t n = sizeof(storage_card);

	memcpy(out, storage_card, n);
	out[n++] = picc->kind == PICC_FELICA ? SS_FELICA : SS_14443A_3;
	out[n++] = (uint8_t)(name >> 8);
	out[n++] = (uint8_t)name;
	memset(out + n, 0, 4);
	return n + 4;
}

static size_t put_historical(const struct picc *picc, uint8_t *out)
{
	switch (picc->kind) {
	case PICC_A4:
		memcpy(out, picc->historical, picc->historical_len);
		return picc->historical_len;
	case PICC_B4:
		/* Application data and protocol info of the ATQB, then MBLI. */
		memcpy(out, picc->atqb + 5, 7);
		out[7] = (uint8_t)(picc->mbli << 4);
		return 8;
	default:
		return put_storage_card(picc, out);
	}
}

size_t picc_atr(const struct picc *picc, uint8_t atr[ATR_MAX_LEN])
{
	size_t k = put_historical(picc, atr + HISTORICAL_AT);
	size_t len = HISTORICAL_AT + k;
	uint8_t tck = 0;

	atr[0] = TS;
	atr[1] = (uint8_t)(T0_TD1 | k);
	atr[2] = TD1;
	atr[3] = TD2;
	for (size_t i = 1; i < len; i++)
		tck ^= atr[i];
	atr[len++] = tck;
	return len;
}

uint8_t picc_icc_type(bool contactless, const uint8_t *atr, size_t len)
{
	uint8_t ss;

	if (!contactless)
		return ICC_7816;
	if (len <= SS_AT || memcmp(atr + HISTORICAL_AT, storage_card, sizeof(storage_card)) != 0)
		return ICC_UNKNOWN;
	ss = atr[SS_AT];
	if (ss >= SS_14443A_1 && ss <= SS_14443A_3)
		return ICC_14443A;
	if (ss >= SS_14443B_1 && ss <= SS_14443B_3)
		return ICC_14443B;
	if (ss >= SS_15693_1 && ss <= SS_15693_4)
		return ICC_15693;
	return ICC_UNKNOWN;
}

/* WORD stands in TEXT by itself, not as a part of another word. */
static bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word);
	const char *at = text;

	while ((at = strcasestr(at, word)) != NULL) {
		if ((at == text || !isalnum((unsigned char)at[-1])) &&
			!isalnum((unsigned char)at[len]))
			return true;
		at += len;
	}
	return false;
}

bool contactless_in_text(const char *text)
{
	static const char *const words[] = { "contactless", "CL", "PICC", "NFC", "RFID" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (has_word(text, words[i]))
			return true;
	return false;
}
