/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Contactless cards as PC/SC shows them: the ATR made up for a tag (PC/SC part 3, supplemental
 * document for contactless ICCs, §3.1.3.2.3), and what an ATR or a reader's texts tell of it.
 *
 * Pure functions; the structs hold no pointers. Any thread may call.
 */
#ifndef CARDWIRE_CCID_CONTACTLESS_H
#define CARDWIRE_CCID_CONTACTLESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iso7816/atr.h"

enum {
	PICC_MAX_UID = 10,
	PICC_MAX_HISTORICAL = 15,
	PICC_ATQB_SIZE = 12,
};

/* How a tag speaks. */
enum picc_kind {
	PICC_A4,     /* ISO 14443-4, type A */
	PICC_B4,     /* ISO 14443-4, type B */
	PICC_MEMORY, /* ISO 14443-3 type A without part 4: blocks */
	PICC_FELICA, /* JIS X 6319-4 */
};

/* What a reader has learned of a tag by selecting it. */
struct picc {
	enum picc_kind kind;
	uint8_t uid[PICC_MAX_UID]; /* type B: PUPI; FeliCa: IDm */
	size_t uid_len;
	uint8_t sak;                             /* type A: SEL_RES */
	uint8_t historical[PICC_MAX_HISTORICAL]; /* A4: of the ATS */
	size_t historical_len;
	uint8_t atqb[PICC_ATQB_SIZE]; /* B4: 50, PUPI, application data, protocol info */
	uint8_t mbli;                 /* B4: high nibble of the answer to ATTRIB, 0..15 */
};

/* Writes the ATR of a tag; returns its length. */
size_t picc_atr(const struct picc *picc, uint8_t atr[ATR_MAX_LEN]);

/*
 * SCARD_ATTR_ICC_TYPE_PER_ATR (PC/SC part 3, tag 0304): 0 unknown, 1 ISO 7816 asynchronous, 5
 * ISO 14443 type A, 6 type B, 7 ISO 15693. An ATR of a contactless slot without the RID structure
 * does not say whether it is A or B: 0.
 */
uint8_t picc_icc_type(bool contactless, const uint8_t *atr, size_t len);

/* True when a text of the reader (interface, product) says that it is a contactless one. */
bool contactless_in_text(const char *text);

#endif
