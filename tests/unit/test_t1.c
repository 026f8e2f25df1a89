/* SPDX-License-Identifier: BSD-3-Clause */
/* T=1 where all goes well: chaining, WTX, IFS, NAD, CRC, and the ends of buffers (ISO 7816-3 §11). */
#include "t1_play.h"

START_TEST(edc_vectors)
{
	const uint8_t *digits = (const uint8_t *)"123456789";
	uint8_t block[] = { 0x00, 0xC1, 0x01, 0xFE, 0, 0 };

	ck_assert_uint_eq(edc_lrc(digits, 9), 0x31);
	ck_assert_uint_eq(edc_lrc(digits, 0), 0);
	/* The published check value of this CRC (init FFFF, reflected, no final exclusive-or). */
	ck_assert_uint_eq(edc_crc(digits, 9), 0x6F91);
	edc_append(EDC_LRC, block, 4);
	ck_assert_uint_eq(block[4], 0x3E);
	ck_assert(edc_ok(EDC_LRC, block, 5));
	edc_append(EDC_CRC, block, 4);
	ck_assert(edc_ok(EDC_CRC, block, 6));
	block[1] ^= 4;
	ck_assert(!edc_ok(EDC_CRC, block, 6));
	ck_assert(!edc_ok(EDC_CRC, block, 1));
	ck_assert(!edc_ok(EDC_LRC, block, 0));
}
END_TEST

/* Annex A: no chaining, sequence numbers alternate over exchanges. */
START_TEST(plain)
{
	init(32);
	check_done(PLAY(begin("A0 A1", 256), "00 00 02 A0 A1", "00 00 02 90 00"), "90 00");
	check_done(PLAY(begin("A2", 256), "00 40 01 A2", "00 40 02 6A 82"), "6A 82");
	check_done(PLAY(begin("A3", 256), "00 00 01 A3", "00 00 00"), "");
	ck_assert_uint_eq(t1.counts.sent, 3);
	ck_assert_uint_eq(t1.counts.repeats, 0);
}
END_TEST

START_TEST(command_chain)
{
	init(2);
	check_done(PLAY(begin("01 02 03 04 05", 256), "00 20 02 01 02", "00 90 00",
			   "00 60 02 03 04", "00 80 00", "00 00 01 05", "00 00 02 90 00"),
		"90 00");
	check_done(PLAY(begin("06", 256), "00 40 01 06", "00 40 02 90 00"), "90 00");
	/* A multiple of IFSC: no empty block at the end. */
	check_done(PLAY(begin("01 02 03 04", 256), "00 20 02 01 02", "00 90 00", "00 40 02 03 04",
			   "00 00 02 90 00"),
		"90 00");
}
END_TEST

START_TEST(response_chain)
{
	init(32);
	check_done(PLAY(begin("01", 256), "00 00 01 01", "00 20 02 11 12", "00 90 00",
			   "00 60 02 13 14", "00 80 00", "00 00 02 90 00"),
		"11 12 13 14 90 00");
	check_done(PLAY(begin("02", 256), "00 40 01 02", "00 40 02 90 00"), "90 00");
}
END_TEST

START_TEST(wtx)
{
	init(32);
	struct t1_step step = PLAY(begin("01", 256), "00 00 01 01", "00 C3 01 05");
	ck_assert_uint_eq(step.wtx, 5);
	ck_assert_int_eq(step.reason, T1_WHY_WTX);
	step = PLAY(step, "00 E3 01 05", "mute");
	/* Rule 7.3: an R-block, and the extension is over. */
	ck_assert_uint_eq(step.wtx, 1);
	step = PLAY(step, "00 82 00", "00 C3 01 00");
	ck_assert_uint_eq(step.wtx, 1);
	check_done(PLAY(step, "00 E3 01 00", "00 00 02 90 00"), "90 00");
	ck_assert_uint_eq(t1.counts.wtx, 2);
}
END_TEST

START_TEST(ifs_of_the_card)
{
	init(2);
	check_done(PLAY(begin("01 02 03 04 05 06", 256), "00 20 02 01 02", "00 C1 01 03",
			   "00 E1 01 03", "00 90 00", "00 60 03 03 04 05", "00 80 00",
			   "00 00 01 06", "00 00 02 90 00"),
		"90 00");
	/* It shrinks before the card asks for the same block again. */
	check_done(PLAY(begin("01 02 03", 256), "00 40 03 01 02 03", "00 C1 01 01", "00 E1 01 01",
			   "00 92 00", "00 60 01 01", "00 80 00", "00 20 01 02", "00 90 00",
			   "00 40 01 03", "00 40 02 90 00"),
		"90 00");
	/* 0 and 255 are reserved. */
	check_done(PLAY(begin("01", 256), "00 00 01 01", "00 C1 01 00", "00 82 00", "00 C1 01 FF",
			   "00 82 00", "00 00 02 90 00"),
		"90 00");
}
END_TEST

START_TEST(ifsd)
{
	init(32);
	struct t1_step step = PLAY(t1_ifsd_request(&t1, 254), "00 C1 01 FE", "00 E1 01 FE");
	ck_assert_int_eq(step.action, T1_DONE);
	ck_assert_uint_eq(t1.ifsd, 254);
	check_done(PLAY(begin("01", 256), "00 00 01 01", "00 00 02 90 00"), "90 00");

	/* Rule 7.3: the request again; a wrong value is no answer. */
	init(32);
	step = PLAY(t1_ifsd_request(&t1, 254), "00 C1 01 FE", "00 E1 01 20", "00 C1 01 FE", "mute",
		"00 C1 01 FE", "00 E1 01 FE");
	ck_assert_int_eq(step.action, T1_DONE);

	init(32);
	step = PLAY(t1_ifsd_request(&t1, 254), "00 C1 01 FE", "00 82 00", "00 C1 01 FE", "mute",
		"00 C1 01 FE", "parity");
	check_failed(step, T1_IFSD_REFUSED);
	ck_assert_uint_eq(t1.ifsd, 32);
	/* Usable: a late answer cannot spoil the first exchange, which starts with RESYNCH. */
	check_done(PLAY(begin("01", 256), "00 C0 00", "00 E1 01 FE", "00 C0 00", "00 E0 00",
			   "00 00 01 01", "00 00 02 90 00"),
		"90 00");
	init(32);
	check_failed(t1_ifsd_request(&t1, 0), T1_IFSD_REFUSED);
	check_failed(t1_ifsd_request(&t1, 255), T1_IFSD_REFUSED);
	check_done(PLAY(begin("01", 256), "00 00 01 01", "00 00 02 90 00"), "90 00");
}
END_TEST

/* A card that knows enough from the first part of a chain may answer at once. */
START_TEST(early_answer)
{
	init(1);
	check_done(PLAY(begin("01 02 03", 256), "00 20 01 01", "00 00 02 67 00"), "67 00");
	check_done(PLAY(begin("04", 256), "00 40 01 04", "00 40 02 90 00"), "90 00");
}
END_TEST

/* No VPP, and two different nodes unless both are 0 (ISO 7816-3 §11.3.2.1). */
START_TEST(nads)
{
	ck_assert(t1_nad_valid(0x00));
	ck_assert(t1_nad_valid(0x12));
	ck_assert(t1_nad_valid(0x70));
	ck_assert(!t1_nad_valid(0x11));
	ck_assert(!t1_nad_valid(0x77));
	ck_assert(!t1_nad_valid(0x18));
	ck_assert(!t1_nad_valid(0x81));
}
END_TEST

START_TEST(nad_and_crc)
{
	struct t1_config config = { .ifsc = 32, .edc = EDC_CRC, .nad = 0x12 };

	t1_init(&t1, &config);
	check_done(PLAY(begin("01", 256), "12 00 01 01", "12 00 02 90 00", "12 82 00",
			   "21 00 02 90 00"),
		"90 00");
	check_done(PLAY(begin("01", 256), "12 40 01 01", "=21 40 02 90 00 00 00", "12 91 00",
			   "21 40 02 90 00"),
		"90 00");
}
END_TEST

START_TEST(short_buffer)
{
	init(32);
	struct t1_step step = PLAY(begin("01", 3), "00 00 01 01", "00 20 02 11 12", "00 90 00",
		"00 60 02 13 14", "00 80 00", "00 00 02 90 00");
	ck_assert_int_eq(step.action, T1_TOO_LONG);
	ck_assert_uint_eq(step.rsp_len, 6);
	ck_assert_mem_eq(response, "\x11\x12\x13\xEE", 4);
	check_done(PLAY(begin("02", 2), "00 40 01 02", "00 40 02 90 00"), "90 00");
	step = PLAY(begin("03", 0), "00 00 01 03", "00 00 02 90 00");
	ck_assert_int_eq(step.action, T1_TOO_LONG);
}
END_TEST

START_TEST(small_reader)
{
	struct t1_config config = { .ifsc = 254, .edc = EDC_LRC, .max_block = 6 };

	t1_init(&t1, &config);
	check_done(PLAY(begin("01 02 03", 256), "00 20 02 01 02", "00 90 00", "00 40 01 03",
			   "00 00 02 90 00"),
		"90 00");
	config.ifsc = 255;
	config.max_block = 0;
	t1_init(&t1, &config);
	ck_assert_uint_eq(t1.ifsc, 254);
	config.ifsc = 0;
	t1_init(&t1, &config);
	ck_assert_uint_eq(t1.ifsc, 32);
}
END_TEST

START_TEST(missing_bytes)
{
	uint8_t block[] = { 0, 0, 5, 1 };

	init(32);
	ck_assert_uint_eq(t1_missing(&t1, block, 0), 3);
	ck_assert_uint_eq(t1_missing(&t1, block, 2), 1);
	ck_assert_uint_eq(t1_missing(&t1, block, 3), 6);
	ck_assert_uint_eq(t1_missing(&t1, block, 4), 5);
	ck_assert_uint_eq(t1_missing(&t1, block, 9), 0);
	block[2] = 255;
	ck_assert_uint_eq(t1_missing(&t1, block, 3), 0);
	t1.config.edc = EDC_CRC;
	block[2] = 254;
	ck_assert_uint_eq(t1_missing(&t1, block, 3), 256);
}
END_TEST

/* The block buffer may hold a PIN; nothing of it stays. */
START_TEST(wiped)
{
	static const uint8_t zeros[sizeof t1.block];

	init(32);
	check_done(
		PLAY(begin("31 32 33 34", 256), "00 00 04 31 32 33 34", "00 00 02 90 00"), "90 00");
	ck_assert_mem_eq(t1.block, zeros, sizeof zeros);
	ck_assert_ptr_null(t1.cmd);
	for (int e = T1_NO_ERROR; e <= T1_IFSD_REFUSED + 1; e++)
		ck_assert_uint_gt(strlen(t1_strerror((enum t1_error)e)), 0);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("t1");

	tcase_add_test(tests, edc_vectors);
	tcase_add_test(tests, plain);
	tcase_add_test(tests, command_chain);
	tcase_add_test(tests, response_chain);
	tcase_add_test(tests, wtx);
	tcase_add_test(tests, ifs_of_the_card);
	tcase_add_test(tests, ifsd);
	tcase_add_test(tests, early_answer);
	tcase_add_test(tests, nads);
	tcase_add_test(tests, nad_and_crc);
	tcase_add_test(tests, short_buffer);
	tcase_add_test(tests, small_reader);
	tcase_add_test(tests, missing_bytes);
	tcase_add_test(tests, wiped);
	return run_case("t1", tests);
}
