/* SPDX-License-Identifier: BSD-3-Clause */
/* ATR against ISO 7816-3 clause 8; ATRs of well-known cards among them. */
#include "iso7816/atr.h"
#include "iso7816_hex.h"

#include <string.h>

static enum atr_result parse(const char *text, struct atr *atr)
{
	uint8_t bytes[64];
	size_t n = hex(text, bytes, sizeof bytes);

	/* A copy of exact size, so that sanitizers see a read beyond it. */
	uint8_t *exact = malloc(n ? n : 1);
	memcpy(exact, bytes, n);
	enum atr_result result = atr_parse(exact, n, atr);
	free(exact);
	return result;
}

START_TEST(shortest)
{
	struct atr atr;

	ck_assert_int_eq(parse("3B 00", &atr), ATR_OK);
	ck_assert(!atr.inverse);
	ck_assert_uint_eq(atr.protocols, 1);
	ck_assert_uint_eq(atr.first_protocol, 0);
	ck_assert(!atr.has_ta1);
	ck_assert_uint_eq(atr.ta1, 0x11);
	ck_assert_uint_eq(atr.fi, 372);
	ck_assert_uint_eq(atr.di, 1);
	ck_assert_uint_eq(atr.fmax_khz, 5000);
	ck_assert_uint_eq(atr.tc1, 0);
	ck_assert_uint_eq(atr.wi, 10);
	ck_assert(!atr.specific);
	ck_assert_uint_eq(atr.historical_len, 0);
	ck_assert_uint_eq(atr.end, 2);
}
END_TEST

START_TEST(t0_inverse)
{
	struct atr atr;

	ck_assert_int_eq(parse("3F 65 35 10 02 04 6C 90 00", &atr), ATR_OK);
	ck_assert(atr.inverse);
	ck_assert_uint_eq(atr.tc1, 0x10); /* Y = 6: TB1 and TC1 */
	ck_assert_uint_eq(atr.historical_at, 4);
	ck_assert_uint_eq(atr.historical_len, 5);
	ck_assert_int_eq(parse("03 65 35 10 01 02 03 04 05", &atr), ATR_BAD_TS);
}
END_TEST

START_TEST(openpgp_v2)
{
	struct atr atr;

	ck_assert_int_eq(
		parse("3B DA 18 FF 81 B1 FE 75 1F 03 00 31 C5 73 C0 01 40 00 90 00 0C", &atr),
		ATR_OK);
	ck_assert_uint_eq(atr.protocols, 1U << 1);
	ck_assert_uint_eq(atr.first_protocol, 1);
	ck_assert_uint_eq(atr.ta1, 0x18);
	ck_assert_uint_eq(atr.fi, 372);
	ck_assert_uint_eq(atr.di, 12);
	ck_assert_uint_eq(atr.tc1, 255);
	ck_assert_uint_eq(atr.ifsc, 254);
	ck_assert_uint_eq(atr.bwi, 7);
	ck_assert_uint_eq(atr.cwi, 5);
	ck_assert_int_eq(atr.edc, EDC_LRC);
	ck_assert_uint_eq(atr.historical_len, 10);
	/* TD2 = B1 announces TA3 TB3 and TD3 = 1F, which announces TA4 = 03 of T=15. */
	ck_assert(atr.has_t15);
	ck_assert_uint_eq(atr.clock_stop, 0);
	ck_assert_uint_eq(atr.classes, 3);
}
END_TEST

START_TEST(t0_and_t1)
{
	struct atr atr;

	/* TD1 80: T=0, TD2 31: T=1 with TA3 and TB3. TCK over the rest. */
	ck_assert_int_eq(parse("3B 80 80 31 80 45 74", &atr), ATR_BAD_TCK);
	ck_assert_int_eq(parse("3B 80 80 31 80 45 F4", &atr), ATR_OK);
	ck_assert_uint_eq(atr.protocols, 3);
	ck_assert_uint_eq(atr.first_protocol, 0);
	ck_assert_uint_eq(atr.ifsc, 128);
	ck_assert_uint_eq(atr.bwi, 4);
	ck_assert_uint_eq(atr.cwi, 5);
	ck_assert(atr_offers(&atr, 0));
	ck_assert(atr_offers(&atr, 1));
	ck_assert(!atr_offers(&atr, 2));
	ck_assert(!atr_offers(&atr, 15));
	ck_assert(!atr_offers(&atr, 99));
}
END_TEST

START_TEST(contactless)
{
	struct atr atr;

	ck_assert_int_eq(
		parse("3B 8F 80 01 80 4F 0C A0 00 00 03 06 03 00 01 00 00 00 00 6A", &atr), ATR_OK);
	ck_assert_uint_eq(atr.protocols, 3);
	ck_assert_uint_eq(atr.historical_len, 15);
	ck_assert_uint_eq(atr.historical_at, 4);
}
END_TEST

START_TEST(specific_mode)
{
	struct atr atr;

	/* T0 80, TD1 11: T=1 and TA2 91: T=1, implicit parameters, unable to change. */
	ck_assert_int_eq(parse("3B 80 11 91 00", &atr), ATR_OK);
	ck_assert(atr.specific);
	ck_assert_uint_eq(atr.specific_protocol, 1);
	ck_assert(atr.specific_implicit);
	ck_assert(!atr.specific_may_change);
	ck_assert(!atr_offers(&atr, 0));
	ck_assert(atr_offers(&atr, 1));
	ck_assert_int_eq(parse("3B 80 10 00", &atr), ATR_OK);
	ck_assert(atr.specific);
	ck_assert(!atr.specific_implicit);
	ck_assert(atr.specific_may_change);
}
END_TEST

START_TEST(edc_and_guard_and_wi)
{
	struct atr atr;

	/* TC1 05, TD1 C1: TC2 20 and TD2 41: TC3 01, CRC. */
	ck_assert_int_eq(parse("3B C0 05 C1 20 41 01 64", &atr), ATR_OK);
	ck_assert_uint_eq(atr.tc1, 5);
	ck_assert_uint_eq(atr.wi, 0x20);
	ck_assert_int_eq(atr.edc, EDC_CRC);
	ck_assert_uint_eq(atr.ifsc, 32);
	ck_assert_uint_eq(atr.bwi, 4);
	ck_assert_uint_eq(atr.cwi, 13);
	/* Only the first TA, TB, TC of T=1 count. */
	ck_assert_int_eq(parse("3B 80 81 F1 10 22 01 71 20 33 00 A1", &atr), ATR_OK);
	ck_assert_uint_eq(atr.ifsc, 0x10);
	ck_assert_uint_eq(atr.bwi, 2);
	ck_assert_uint_eq(atr.cwi, 2);
	ck_assert_int_eq(atr.edc, EDC_CRC);
}
END_TEST

START_TEST(irregular)
{
	struct atr atr;

	ck_assert_int_eq(parse("3B 00 00", &atr), ATR_TRAILING);
	ck_assert_uint_eq(atr.end, 2);
	ck_assert_uint_eq(atr.len, 3);
	ck_assert_int_eq(parse("3B 80 01", &atr), ATR_NO_TCK);
	ck_assert_uint_eq(atr.end, 3);
	ck_assert_int_eq(parse("3B 80 01 80", &atr), ATR_BAD_TCK);
	ck_assert_int_eq(parse("3B 80 01 80 00", &atr), ATR_BAD_TCK);
	ck_assert_int_eq(parse("3B 80 01 81", &atr), ATR_OK);
	ck_assert_int_eq(parse("3B 80 01 81 00", &atr), ATR_TRAILING);
	/* T=1 before T=0; T=15 in TD1, alone and before T=1. */
	ck_assert_int_eq(parse("3B 80 81 00 01", &atr), ATR_BAD_ORDER);
	ck_assert_uint_eq(atr.protocols, 3);
	ck_assert_uint_eq(atr.first_protocol, 1);
	ck_assert_int_eq(parse("3B 80 0F 8F", &atr), ATR_BAD_ORDER);
	ck_assert_uint_eq(atr.protocols, 1);
	ck_assert_uint_eq(atr.first_protocol, 0);
	ck_assert_int_eq(parse("3B 80 8F 01 0E", &atr), ATR_BAD_ORDER);
	ck_assert_uint_eq(atr.protocols, 2);
	ck_assert_uint_eq(atr.first_protocol, 1);
	/* IFSC 0, IFSC FF, WI 0, BWI A, EDC 02. */
	ck_assert_int_eq(parse("3B 80 81 11 00 10", &atr), ATR_RESERVED);
	ck_assert_uint_eq(atr.ifsc, 32);
	ck_assert_int_eq(parse("3B 80 81 11 FF EF", &atr), ATR_RESERVED);
	ck_assert_uint_eq(atr.ifsc, 254);
	ck_assert_int_eq(parse("3B 80 40 00", &atr), ATR_RESERVED);
	ck_assert_uint_eq(atr.wi, 10);
	ck_assert_int_eq(parse("3B 80 81 21 A5 85", &atr), ATR_RESERVED);
	ck_assert_uint_eq(atr.bwi, 10);
	ck_assert_int_eq(parse("3B 80 81 41 02 42", &atr), ATR_RESERVED);
	ck_assert_int_eq(atr.edc, EDC_LRC);
	for (int r = ATR_OK; r <= ATR_TRUNCATED; r++)
		ck_assert_int_eq(atr_usable((enum atr_result)r), r <= ATR_RESERVED);
}
END_TEST

START_TEST(unusable)
{
	struct atr atr;
	uint8_t many[40] = { 0x3B, 0x00 };

	ck_assert_int_eq(parse("", &atr), ATR_TOO_SHORT);
	ck_assert_int_eq(parse("3B", &atr), ATR_TOO_SHORT);
	ck_assert_int_eq(parse("00 00", &atr), ATR_BAD_TS);
	ck_assert_int_eq(parse("3B 05 01 02 03 04", &atr), ATR_TRUNCATED);
	ck_assert_int_eq(parse("3B 10", &atr), ATR_TRUNCATED);
	ck_assert_int_eq(parse("3B 80", &atr), ATR_TRUNCATED);
	ck_assert_int_eq(parse("3B 80 80 80", &atr), ATR_TRUNCATED);
	ck_assert_int_eq(atr_parse(many, 33, &atr), ATR_TRAILING);
	ck_assert_int_eq(atr_parse(many, 34, &atr), ATR_TOO_LONG);
	/* TD after TD to the last byte. */
	memset(many + 1, 0x80, sizeof many - 1);
	ck_assert_int_eq(atr_parse(many, 33, &atr), ATR_TRUNCATED);
}
END_TEST

/* Each prefix of a good ATR is refused as truncated, but for the lack of TCK alone. */
START_TEST(prefixes)
{
	uint8_t bytes[ATR_MAX_LEN];
	size_t n = hex("3B DA 18 FF 81 B1 FE 75 1F 03 00 31 C5 73 C0 01 40 00 90 00 0C", bytes,
		sizeof bytes);
	struct atr atr;

	for (size_t i = 2; i < n - 1; i++)
		ck_assert_int_eq(atr_parse(bytes, i, &atr), ATR_TRUNCATED);
	ck_assert_int_eq(atr_parse(bytes, n - 1, &atr), ATR_NO_TCK);
	/* Each single changed bit behind TS is noticed by TCK or makes the ATR unusable. */
	for (size_t i = 1; i < n; i++) {
		for (int bit = 0; bit < 8; bit++) {
			bytes[i] ^= (uint8_t)(1 << bit);
			ck_assert_int_ne(atr_parse(bytes, n, &atr), ATR_OK);
			bytes[i] ^= (uint8_t)(1 << bit);
		}
	}
	ck_assert_int_eq(atr_parse(bytes, n, &atr), ATR_OK);
}
END_TEST

/* Tables 7 and 8. */
START_TEST(fi_di)
{
	static const unsigned fi[] = { 372, 372, 558, 744, 1116, 1488, 1860, 0, 0, 512, 768, 1024,
		1536, 2048, 0, 0 };
	static const unsigned khz[] = { 4000, 5000, 6000, 8000, 12000, 16000, 20000, 0, 0, 5000,
		7500, 10000, 15000, 20000, 0, 0 };
	static const unsigned di[] = { 0, 1, 2, 4, 8, 16, 32, 64, 12, 20, 0, 0, 0, 0, 0, 0 };

	for (unsigned i = 0; i < 256; i++) {
		ck_assert_uint_eq(atr_fi((uint8_t)i), fi[i >> 4]);
		ck_assert_uint_eq(atr_fmax_khz((uint8_t)i), khz[i >> 4]);
		ck_assert_uint_eq(atr_di((uint8_t)i), di[i & 15]);
	}
}
END_TEST

START_TEST(times)
{
	struct atr atr;
	struct atr_rate slow = { 372, 1, 3720 }; /* an etu is 100 µs */
	struct atr_rate fast = { 372, 12, 3720 };

	ck_assert_int_eq(parse("3B 00", &atr), ATR_OK);
	ck_assert_uint_eq(atr_etu_us(&slow), 100);
	ck_assert_uint_eq(atr_etu_us(&fast), 9); /* 8.33 rounded up */
	ck_assert_uint_eq(atr_guard_us(&atr, &slow, 0), 1200);
	ck_assert_uint_eq(atr_guard_us(&atr, &slow, 1), 1200);
	ck_assert_uint_eq(atr_wwt_us(&atr, &slow), 960000);
	/* WT counts clock cycles of Fi, whatever the speed. */
	ck_assert_uint_eq(atr_wwt_us(&atr, &fast), 960000);
	ck_assert_uint_eq(atr_bwt_us(&atr, &slow), 1100 + 16 * 96000);
	ck_assert_uint_eq(atr_bwt_us(&atr, &fast), 92 + 16 * 96000);
	ck_assert_uint_eq(atr_cwt_us(&atr, &slow), UINT64_C(100) * (11 + 8192));
	/* Header of 5 at 12 etu, then 1 + 2 bytes of the card. */
	ck_assert_uint_eq(atr_t0_us(&atr, &slow, 0, 0), 6000 + 3 * UINT64_C(960000));
	ck_assert_uint_eq(atr_t0_us(&atr, &slow, 10, 256), 18000 + 259 * UINT64_C(960000));
	ck_assert_uint_eq(atr_t1_us(&atr, &slow, 1, 4, 4),
		4800 + 1100 + 16 * 96000 + 4 * UINT64_C(100) * (11 + 8192));
	ck_assert_uint_eq(
		atr_t1_us(&atr, &slow, 10, 4, 0), 4800 + UINT64_C(10) * (1100 + 16 * 96000));

	/* N = 255: 12 etu at T=0, 11 etu at T=1; N = 5: 17 etu. */
	atr.tc1 = 255;
	ck_assert_uint_eq(atr_guard_us(&atr, &slow, 0), 1200);
	ck_assert_uint_eq(atr_guard_us(&atr, &slow, 1), 1100);
	atr.tc1 = 5;
	ck_assert_uint_eq(atr_guard_us(&atr, &slow, 0), 1700);
	/* With T=15, N counts in units of TA1 (here D = 2) even at default speed. */
	atr.has_t15 = true;
	atr.di = 2;
	ck_assert_uint_eq(atr_guard_us(&atr, &slow, 0), 1200 + 250);
}
END_TEST

START_TEST(times_do_not_overflow)
{
	struct atr atr = {
		.wi = 255, .fi = 2048, .bwi = 15, .cwi = 15, .tc1 = 254, .has_t15 = true, .di = 1
	};
	struct atr_rate extremes[] = { { 0, 0, 0 }, { 65535, 65535, 1 }, { 65535, 1, 1 },
		{ 1, 65535, 1 }, { 1, 65535, UINT32_MAX }, { 65535, 1, UINT32_MAX },
		{ 0, 5, 4000 } };

	for (size_t i = 0; i < sizeof extremes / sizeof extremes[0]; i++) {
		const struct atr_rate *r = &extremes[i];
		double d = r->f && r->d ? r->d : 1;
		double f = r->f && r->d ? r->f : 372;
		double khz = r->clock_khz ? r->clock_khz : 1000;
		double wt = 960.0 * 255 * 2048 / khz * 1000;
		double guard = (12 * f / d + 254 * 2048.0) / khz * 1000;
		double t0 = guard * (5 + 65538) + wt * (65538 + 3);
		double cwt = (11 + 32768) * f / d / khz * 1000;
		double bwt = (11 * f / d + 32768.0 * 960 * 372) / khz * 1000;
		double t1 = guard * 65538 + bwt * 255 + cwt * 65538;

		ck_assert_double_ge((double)atr_t0_us(&atr, r, SIZE_MAX, SIZE_MAX), t0 * 0.999999);
		ck_assert_double_le(
			(double)atr_t0_us(&atr, r, SIZE_MAX, SIZE_MAX), t0 * 1.000001 + 1);
		ck_assert_double_ge(
			(double)atr_t1_us(&atr, r, 1000, SIZE_MAX, SIZE_MAX), t1 * 0.999999);
		ck_assert_double_le(
			(double)atr_t1_us(&atr, r, 1000, SIZE_MAX, SIZE_MAX), t1 * 1.000001 + 1);
	}
	/* Unknown speed and clock: the longest times. */
	struct atr_rate unknown = { 0, 0, 0 };
	ck_assert_uint_eq(atr_etu_us(&unknown), 372);
}
END_TEST

/* Random bytes behind a good TS: fields in range, the parts within the bytes. */
START_TEST(random_bytes)
{
	uint64_t seed = 0xA7A;
	struct atr atr;

	for (int i = 0; i < 300000; i++) {
		uint8_t bytes[40];
		size_t n = draw(&seed) % 36;
		for (size_t j = 0; j < sizeof bytes; j++)
			bytes[j] = (uint8_t)draw(&seed);
		bytes[0] = chance(&seed, 50) ? 0x3B : 0x3F;
		if (!atr_usable(atr_parse(bytes, n, &atr)))
			continue;
		ALWAYS(atr.historical_at + (size_t)atr.historical_len <= atr.end);
		ALWAYS(atr.end <= atr.len);
		ALWAYS(atr.len == n);
		ALWAYS(atr.ifsc >= 1);
		ALWAYS(atr.ifsc <= 254);
		ALWAYS(atr.wi >= 1);
		ALWAYS(atr.specific || atr_offers(&atr, atr.first_protocol));
	}
}
END_TEST

START_TEST(texts)
{
	for (int r = ATR_OK; r <= ATR_TRUNCATED + 1; r++)
		ck_assert_uint_gt(strlen(atr_strerror((enum atr_result)r)), 0);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("atr");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, shortest);
	tcase_add_test(tests, t0_inverse);
	tcase_add_test(tests, openpgp_v2);
	tcase_add_test(tests, t0_and_t1);
	tcase_add_test(tests, contactless);
	tcase_add_test(tests, specific_mode);
	tcase_add_test(tests, edc_and_guard_and_wi);
	tcase_add_test(tests, irregular);
	tcase_add_test(tests, unusable);
	tcase_add_test(tests, prefixes);
	tcase_add_test(tests, fi_di);
	tcase_add_test(tests, times);
	tcase_add_test(tests, times_do_not_overflow);
	tcase_add_test(tests, random_bytes);
	tcase_add_test(tests, texts);
	return run_case("atr", tests);
}
