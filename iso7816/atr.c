/* SPDX-License-Identifier: BSD-3-Clause */
#include "iso7816/atr.h"

#include <string.h>

#define TS_DIRECT  0x3B
#define TS_INVERSE 0x3F

/* Bits of Y, the high nibble of T0 and TDi. */
#define Y_TA 0x1
#define Y_TB 0x2
#define Y_TC 0x4
#define Y_TD 0x8

#define T_GLOBAL 15

/* One walk over the characters. `first_soft` is the first irregularity in the order of the enum. */
struct walk {
	struct atr *atr;
	size_t at;
	unsigned group;    /* i of TAi .. TDi */
	unsigned protocol; /* T of TD(i-1): whose characters these are from group 3 on */
	unsigned last;     /* T of the TD before, for the order */
	bool seen_td;      /* a TD has come */
	bool need_tck;     /* some T other than 0 */
	uint16_t seen_ta;  /* bit T: the first TAi of that T, i > 2, has been taken */
	uint16_t seen_tb;
	uint16_t seen_tc;
	enum atr_result soft;
};

static void note(struct walk *w, enum atr_result soft)
{
	if (w->soft == ATR_OK || soft < w->soft)
		w->soft = soft;
}

/* True the first time it is called for this T and kind of character: later ones are ignored. */
static bool take_first(uint16_t *seen, unsigned protocol)
{
	bool first = !(*seen & (1U << protocol));

	*seen |= (uint16_t)(1U << protocol);
	return first;
}

static void take_ta(struct walk *w, uint8_t ta)
{
	struct atr *atr = w->atr;

	if (w->group == 1) {
		atr->has_ta1 = true;
		atr->ta1 = ta;
	} else if (w->group == 2) {
		atr->specific = true;
		atr->specific_protocol = ta & 0x0F;
		atr->specific_implicit = (ta & 0x10) != 0;
		atr->specific_may_change = (ta & 0x80) == 0;
	} else if (w->protocol == 1 && take_first(&w->seen_ta, 1)) {
		if (ta == 0 || ta == 0xFF)
			note(w, ATR_RESERVED);
		if (ta != 0)
			atr->ifsc = ta == 0xFF ? 254 : ta;
	} else if (w->protocol == T_GLOBAL && take_first(&w->seen_ta, T_GLOBAL)) {
		atr->has_t15 = true;
		atr->clock_stop = ta >> 6;
		atr->classes = ta & 0x3F;
	}
}

static void take_tb(struct walk *w, uint8_t tb)
{
	/* TB1 and TB2 told about Vpp and are to be ignored (§8.3). */
	if (w->group < 3 || w->protocol != 1 || !take_first(&w->seen_tb, 1))
		return;
	w->atr->bwi = tb >> 4;
	w->atr->cwi = tb & 0x0F;
	if (w->atr->bwi > 9)
		note(w, ATR_RESERVED);
}

static void take_tc(struct walk *w, uint8_t tc)
{
	if (w->group == 1) {
		w->atr->tc1 = tc;
	} else if (w->group == 2) {
		if (tc == 0)
			note(w, ATR_RESERVED);
		else
			w->atr->wi = tc;
	} else if (w->protocol == 1 && take_first(&w->seen_tc, 1)) {
		w->atr->edc = tc & 1 ? EDC_CRC : EDC_LRC;
		if (tc > 1)
			note(w, ATR_RESERVED);
	}
}

static void take_td(struct walk *w, uint8_t td)
{
	struct atr *atr = w->atr;
	unsigned t = td & 0x0F;

	if (w->group == 1) {
		atr->protocols = 0;
		if (t == T_GLOBAL)
			note(w, ATR_BAD_ORDER);
	}
	if (w->seen_td && t < w->last)
		note(w, ATR_BAD_ORDER);
	if (t != T_GLOBAL) {
		if (atr->protocols == 0)
			atr->first_protocol = (uint8_t)t;
		atr->protocols |= (uint16_t)(1U << t);
	}
	if (t != 0)
		w->need_tck = true;
	w->seen_td = true;
	w->last = t;
	w->protocol = t;
}

/* One group TAi TBi TCi TDi whose presence Y tells. Returns the next Y, -1 at the end of bytes. */
static int take_group(struct walk *w, unsigned y)
{
	static void (*const take[])(
		struct walk *, uint8_t) = { take_ta, take_tb, take_tc, take_td };
	unsigned next = 0;

	for (unsigned i = 0; i < 4; i++) {
		if (!(y & (1U << i)))
			continue;
		if (w->at >= w->atr->len)
			return -1;
		uint8_t byte = w->atr->raw[w->at++];
		take[i](w, byte);
		if (i == 3)
			next = byte >> 4;
	}
	w->group++;
	return (int)next;
}

/* What follows the historical bytes: TCK when called for, and then nothing. */
static void take_tck(struct walk *w)
{
	struct atr *atr = w->atr;

	if (w->need_tck && w->at == atr->len) {
		note(w, ATR_NO_TCK);
	} else if (w->need_tck) {
		w->at++;
		if (edc_lrc(atr->raw + 1, w->at - 1) != 0)
			note(w, ATR_BAD_TCK);
	}
	if (w->at < atr->len)
		note(w, ATR_TRAILING);
	atr->end = w->at;
}

static void set_defaults(struct atr *atr)
{
	memset(atr, 0, sizeof *atr);
	atr->protocols = 1;
	atr->ta1 = ATR_DEFAULT_TA1;
	atr->wi = ATR_DEFAULT_WI;
	atr->ifsc = ATR_DEFAULT_IFSC;
	atr->bwi = ATR_DEFAULT_BWI;
	atr->cwi = ATR_DEFAULT_CWI;
	atr->edc = EDC_LRC;
}

enum atr_result atr_parse(const uint8_t *bytes, size_t len, struct atr *atr)
{
	struct walk w = { .atr = atr, .at = 2, .group = 1 };

	set_defaults(atr);
	if (len < ATR_MIN_LEN)
		return ATR_TOO_SHORT;
	if (len > ATR_MAX_LEN)
		return ATR_TOO_LONG;
	memcpy(atr->raw, bytes, len);
	atr->len = len;
	if (atr->raw[0] != TS_DIRECT && atr->raw[0] != TS_INVERSE)
		return ATR_BAD_TS;
	atr->inverse = atr->raw[0] == TS_INVERSE;

	/* Each turn but the last takes a TD, so the number of bytes bounds the chain. */
	int y = atr->raw[1] >> 4;
	while (y > 0)
		y = take_group(&w, (unsigned)y);

	atr->historical_at = (uint8_t)w.at;
	atr->historical_len = atr->raw[1] & 0x0F;
	if (y < 0 || atr->historical_len > len - w.at)
		return ATR_TRUNCATED;
	w.at += atr->historical_len;
	take_tck(&w);

	/* T=15 alone offers nothing to speak. */
	if (atr->protocols == 0)
		atr->protocols = 1;
	atr->fi = atr_fi(atr->ta1);
	atr->di = atr_di(atr->ta1);
	atr->fmax_khz = atr_fmax_khz(atr->ta1);
	return w.soft;
}

bool atr_usable(enum atr_result result)
{
	return result < ATR_TOO_SHORT;
}

const char *atr_strerror(enum atr_result result)
{
	static const char *const text[] = {
		[ATR_OK] = "correct",
		[ATR_BAD_TCK] = "check character TCK is wrong",
		[ATR_NO_TCK] = "check character TCK is missing",
		[ATR_TRAILING] = "bytes behind the end",
		[ATR_BAD_ORDER] = "protocols not in ascending order",
		[ATR_RESERVED] = "a reserved value in an interface byte",
		[ATR_TOO_SHORT] = "shorter than 2 bytes",
		[ATR_TOO_LONG] = "longer than 33 bytes",
		[ATR_BAD_TS] = "initial character TS is neither 3B nor 3F",
		[ATR_TRUNCATED] = "ends before the bytes it announces",
	};

	return (size_t)result < sizeof text / sizeof text[0] ? text[result] : "unknown result";
}

bool atr_offers(const struct atr *atr, unsigned protocol)
{
	if (atr->specific)
		return protocol == atr->specific_protocol;
	return protocol < T_GLOBAL && (atr->protocols & (1U << protocol)) != 0;
}

uint16_t atr_fi(uint8_t ta1)
{
	static const uint16_t fi[16] = { 372, 372, 558, 744, 1116, 1488, 1860, 0, 0, 512, 768, 1024,
		1536, 2048, 0, 0 };

	return fi[ta1 >> 4];
}

uint16_t atr_di(uint8_t ta1)
{
	static const uint16_t di[16] = { 0, 1, 2, 4, 8, 16, 32, 64, 12, 20, 0, 0, 0, 0, 0, 0 };

	return di[ta1 & 0x0F];
}

uint16_t atr_fmax_khz(uint8_t ta1)
{
	static const uint16_t khz[16] = { 4000, 5000, 6000, 8000, 12000, 16000, 20000, 0, 0, 5000,
		7500, 10000, 15000, 20000, 0, 0 };

	return khz[ta1 >> 4];
}
