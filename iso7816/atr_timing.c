/* SPDX-License-Identifier: BSD-3-Clause */
/* Times that follow from an ATR. Clock cycles first, divided by the clock once, at the end. */
#include "iso7816/atr.h"

#define SLOWEST_CLOCK_KHZ 1000
#define BLOCK_WAIT_CYCLES (UINT64_C(960) * ATR_DEFAULT_F) /* one unit of BWI */

/*
 * Everything below is counted in clock cycles times D: an etu is then F, a whole number. The
 * largest sum, 65 541 times WT with WI 255 at F 2048 and D 65 535, stays below 2^62.
 */
struct scale {
	uint64_t f;
	uint64_t d;
	uint64_t clock_khz;
};

static struct scale scale_of(const struct atr_rate *rate)
{
	struct scale s = { rate->f, rate->d, rate->clock_khz };

	if (s.f == 0 || s.d == 0) {
		s.f = ATR_DEFAULT_F;
		s.d = ATR_DEFAULT_D;
	}
	if (s.clock_khz == 0)
		s.clock_khz = SLOWEST_CLOCK_KHZ;
	return s;
}

/* Cycles x D to µs, rounded up. The remainder is scaled apart, as x 1000 could overflow. */
static uint64_t to_us(const struct scale *s, uint64_t cycles_d)
{
	uint64_t per_ms = s->clock_khz * s->d;
	uint64_t rest = cycles_d % per_ms;

	return cycles_d / per_ms * 1000 + (rest * 1000 + per_ms - 1) / per_ms;
}

static uint64_t guard(const struct atr *atr, const struct scale *s, unsigned protocol)
{
	if (atr->tc1 == 0xFF)
		return (protocol == 1 ? 11 : 12) * s->f;
	/*
	 * N counts in units of R etu: the speed in use, or with T=15 present the one of TA1
	 * whatever is in use (§8.3).
	 */
	uint64_t unit = s->f;
	if (atr->has_t15 && atr->fi != 0 && atr->di != 0)
		unit = (uint64_t)atr->fi * s->d / atr->di;
	return 12 * s->f + atr->tc1 * unit;
}

static uint64_t waiting(const struct atr *atr, const struct scale *s)
{
	uint64_t fi = atr->fi ? atr->fi : ATR_DEFAULT_F;

	return UINT64_C(960) * atr->wi * fi * s->d;
}

static uint64_t block_waiting(const struct atr *atr, const struct scale *s, unsigned wtx)
{
	uint64_t extended = (BLOCK_WAIT_CYCLES << (atr->bwi & 15)) * s->d;

	return wtx * (11 * s->f + extended);
}

static uint64_t character_waiting(const struct atr *atr, const struct scale *s)
{
	return (11 + (UINT64_C(1) << (atr->cwi & 15))) * s->f;
}

uint64_t atr_etu_us(const struct atr_rate *rate)
{
	struct scale s = scale_of(rate);

	return to_us(&s, s.f);
}

uint64_t atr_guard_us(const struct atr *atr, const struct atr_rate *rate, unsigned protocol)
{
	struct scale s = scale_of(rate);

	return to_us(&s, guard(atr, &s, protocol));
}

uint64_t atr_wwt_us(const struct atr *atr, const struct atr_rate *rate)
{
	struct scale s = scale_of(rate);

	return to_us(&s, waiting(atr, &s));
}

uint64_t atr_bwt_us(const struct atr *atr, const struct atr_rate *rate)
{
	struct scale s = scale_of(rate);

	return to_us(&s, block_waiting(atr, &s, 1));
}

uint64_t atr_cwt_us(const struct atr *atr, const struct atr_rate *rate)
{
	struct scale s = scale_of(rate);

	return to_us(&s, character_waiting(atr, &s));
}

/* No exchange is longer than this many characters, so a caller's wrong number cannot overflow. */
static uint64_t bounded(size_t n)
{
	return n > 65538 ? 65538 : n;
}

uint64_t atr_t0_us(const struct atr *atr, const struct atr_rate *rate, size_t nc, size_t ne)
{
	struct scale s = scale_of(rate);
	/* From the card: a procedure byte after the header, NE bytes, SW1 and SW2. */
	uint64_t to_card = (5 + bounded(nc)) * guard(atr, &s, 0);
	uint64_t from_card = (1 + bounded(ne) + 2) * waiting(atr, &s);

	return to_us(&s, to_card + from_card);
}

uint64_t atr_t1_us(const struct atr *atr, const struct atr_rate *rate, unsigned wtx,
	size_t send_len, size_t recv_len)
{
	struct scale s = scale_of(rate);
	uint64_t to_card = bounded(send_len) * guard(atr, &s, 1);
	uint64_t wait = block_waiting(atr, &s, wtx == 0 ? 1 : wtx > 255 ? 255 : wtx);
	uint64_t from_card = bounded(recv_len) * character_waiting(atr, &s);

	return to_us(&s, to_card + wait + from_card);
}
