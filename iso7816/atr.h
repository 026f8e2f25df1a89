/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Answer to Reset (ISO 7816-3:2006 clause 8): bytes of a card turned once into a checked struct,
 * and the times that follow from it.
 *
 * Pure: no state outside the caller's struct, so any thread may call. `struct atr` holds a copy of
 * the bytes and no pointers; it can be copied and needs no release.
 */
#ifndef CARDWIRE_ISO7816_ATR_H
#define CARDWIRE_ISO7816_ATR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iso7816/edc.h"

#define ATR_MIN_LEN 2  /* TS and T0 */
#define ATR_MAX_LEN 33 /* TS and at most 32 characters behind it (§8.2.1) */

/* Values of a card that does not say otherwise. */
#define ATR_DEFAULT_F    372 /* Fd, §8.1 */
#define ATR_DEFAULT_D    1   /* Dd, §8.1 */
#define ATR_DEFAULT_WI   10  /* §10.2 */
#define ATR_DEFAULT_IFSC 32  /* §11.4.2 */
#define ATR_DEFAULT_BWI  4   /* §11.4.3 */
#define ATR_DEFAULT_CWI  13  /* §11.4.3 */
#define ATR_DEFAULT_TA1  0x11

/*
 * What atr_parse() found. The "irregular" ones break the standard, but every field is valid: real
 * cards do this and real stacks accept it, so the caller decides. When several apply, the first in
 * this order is returned. After one of the others the struct holds nothing usable.
 */
enum atr_result {
	ATR_OK,
	/* Irregular. */
	ATR_BAD_TCK,   /* TCK is there and wrong */
	ATR_NO_TCK,    /* a protocol other than T=0 is indicated, and the bytes end before TCK */
	ATR_TRAILING,  /* bytes behind the last character; an uncalled-for TCK is one of them */
	ATR_BAD_ORDER, /* protocols not in ascending order, or T=15 in TD1 (§8.2.3) */
	ATR_RESERVED,  /* WI, IFSC, BWI or EDC byte reserved; see the fields for what is used */
	/* Unusable. */
	ATR_TOO_SHORT, /* fewer than ATR_MIN_LEN bytes */
	ATR_TOO_LONG,  /* more than ATR_MAX_LEN bytes */
	ATR_BAD_TS,    /* TS neither 3B nor 3F */
	ATR_TRUNCATED, /* the bytes end before what T0 and TDi announce */
};

struct atr {
	uint8_t raw[ATR_MAX_LEN]; /* all bytes as received, trailing ones included */
	size_t len;               /* how many */
	size_t end;               /* bytes that belong to the ATR: len unless ATR_TRAILING */
	bool inverse;             /* TS 3F: inverse convention */

	uint16_t protocols;     /* bit T set for each T offered (0..14); T=0 by default */
	uint8_t first_protocol; /* the first offered: what the card speaks when there is no PPS */

	bool has_ta1;
	uint8_t ta1;       /* 11 when absent */
	uint16_t fi;       /* Fi of TA1; 0 when reserved */
	uint16_t di;       /* Di of TA1; 0 when reserved */
	uint16_t fmax_khz; /* highest clock the card takes, kHz; 0 when reserved */

	uint8_t tc1; /* N, extra guard time, 0..255 (§8.3); 0 when absent */

	bool specific;             /* TA2 present: specific mode, no PPS (§8.3) */
	uint8_t specific_protocol; /* its T; valid when specific */
	bool specific_implicit;    /* F and D are not TA1's, but known to the card alone */
	bool specific_may_change;  /* a warm reset may lead to negotiable mode */

	uint8_t wi; /* TC2: 1..255; 10 when absent or reserved (0) */

	uint8_t ifsc; /* 1..254; 32 when absent or 0, 254 when 255 */
	uint8_t bwi;  /* 0..15 as sent, above 9 reserved; 4 when absent */
	uint8_t cwi;  /* 0..15; 13 when absent */
	enum edc edc; /* LRC unless bit 1 of the first TC for T=1 is set */

	bool has_t15;       /* first TA for T=15 present (§8.3) */
	uint8_t clock_stop; /* X: 0 not supported, 1 state L, 2 state H, 3 no preference */
	uint8_t classes;    /* Y: bit 0 class A (5 V), bit 1 B (3 V), bit 2 C (1.8 V); 0 unknown */

	uint8_t historical_at;  /* index in raw of the first historical byte */
	uint8_t historical_len; /* K, 0..15 */
};

/*
 * Parse LEN bytes, as the reader delivers them (inverse convention decoded: 3F, not 03).
 * Writes all of *ATR in every case. Never reads beyond LEN.
 */
enum atr_result atr_parse(const uint8_t *bytes, size_t len, struct atr *atr);

/* True for ATR_OK and the irregular results: the fields of the struct are valid. */
bool atr_usable(enum atr_result result);

/* One short English phrase; static. */
const char *atr_strerror(enum atr_result result);

/* True when the card offers protocol T (0..14), or is in specific mode for it alone. */
bool atr_offers(const struct atr *atr, unsigned protocol);

/* Fi, Di and f(max) in kHz of a TA1 (PPS1, bmFindexDindex) byte by tables 7 and 8; 0: reserved. */
uint16_t atr_fi(uint8_t ta1);
uint16_t atr_di(uint8_t ta1);
uint16_t atr_fmax_khz(uint8_t ta1);

/*
 * The speed in use. F or D of 0 count as 372 and 1, a clock of 0 as 1000 kHz, the slowest the
 * standard allows (§5.2.3): a time computed from an unknown is then never too short.
 */
struct atr_rate {
	uint16_t f;
	uint16_t d;
	uint32_t clock_khz;
};

/*
 * Times in µs, rounded up. 64-bit arithmetic, no overflow for any field values.
 *
 * atr_guard_us: minimum between the leading edges of two characters to the card, 12 etu and N by
 *   §8.3; N = 255 means 12 etu at T=0 and 11 etu at T=1.
 * atr_wwt_us: waiting time WT = WI x 960 x Fi / f (§10.2).
 * atr_bwt_us: BWT = 11 etu + 2^BWI x 960 x Fd / f (§11.4.3).
 * atr_cwt_us: CWT = (11 + 2^CWI) etu (§11.4.3).
 */
uint64_t atr_etu_us(const struct atr_rate *rate);
uint64_t atr_guard_us(const struct atr *atr, const struct atr_rate *rate, unsigned protocol);
uint64_t atr_wwt_us(const struct atr *atr, const struct atr_rate *rate);
uint64_t atr_bwt_us(const struct atr *atr, const struct atr_rate *rate);
uint64_t atr_cwt_us(const struct atr *atr, const struct atr_rate *rate);

/*
 * Longest a correct card and reader may need, in µs, before the host must ask for patience:
 *
 * atr_t0_us: one T=0 command, header with NC data bytes out and NE in, when no NULL byte is sent:
 *   every character of the card may take one WT, so this is long; put a ceiling on it.
 * atr_t1_us: one T=1 block of SEND_LEN bytes out and its answer of at most RECV_LEN bytes, WTX
 *   (1 when none was asked) times BWT between them.
 */
uint64_t atr_t0_us(const struct atr *atr, const struct atr_rate *rate, size_t nc, size_t ne);
uint64_t atr_t1_us(const struct atr *atr, const struct atr_rate *rate, unsigned wtx,
	size_t send_len, size_t recv_len);

#endif
