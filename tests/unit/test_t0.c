/* SPDX-License-Identifier: BSD-3-Clause */
/* T=0: the procedure bytes of ISO 7816-3 clause 10, step by step. */
#include <string.h>

#include "iso7816/t0.h"
#include "iso7816_hex.h"

static struct t0 t0;
static uint8_t response[600];
static uint8_t command[600];

static struct t0_step begin(const char *text, size_t max)
{
	memset(response, 0xEE, sizeof response);
	return t0_begin(&t0, command, hex(text, command, sizeof command), response, max);
}

/* LINES: bytes that must be sent ("" for none), how many are expected, and what comes, in turn. */
static struct t0_step play(struct t0_step step, const char *const *lines)
{
	for (; *lines; lines += 3) {
		uint8_t bytes[600];
		size_t n = hex(lines[0], bytes, sizeof bytes);

		ck_assert_msg(step.action == T0_EXCHANGE, "ended before: %s", lines[0]);
		ck_assert_uint_eq(step.send_len, n);
		if (n > 0)
			ck_assert_mem_eq(step.send, bytes, n);
		ck_assert_uint_eq(step.expect, strtoul(lines[1], NULL, 10));
		n = hex(lines[2], bytes, sizeof bytes);
		step = t0_received(&t0, bytes, n);
	}
	return step;
}

#define PLAY(step, ...) play(step, (const char *const[]){ __VA_ARGS__, NULL })

static void check_done(struct t0_step step, const char *text)
{
	uint8_t expected[600];
	size_t n = hex(text, expected, sizeof expected);

	ck_assert_int_eq(step.action, T0_DONE);
	ck_assert_uint_eq(step.rsp_len, n);
	ck_assert_mem_eq(response, expected, n);
}

static void check_failed(struct t0_step step, enum t0_error error)
{
	ck_assert_int_eq(step.action, T0_FAILED);
	ck_assert_int_eq(step.error, error);
}

START_TEST(case_1)
{
	check_done(PLAY(begin("00 A4 00 00", 258), "00 A4 00 00 00", "2", "90 00"), "90 00");
	check_done(PLAY(begin("00 A4 00 00", 258), "00 A4 00 00 00", "2", "6A", "", "1", "82"),
		"6A 82");
}
END_TEST

START_TEST(data_from_the_card)
{
	check_done(PLAY(begin("00 B0 00 00 02", 258), "00 B0 00 00 02", "2", "B0 11", "", "3",
			   "12 90 00"),
		"11 12 90 00");
	/* One by one, with NULL between, and all at once. */
	check_done(PLAY(begin("00 B0 00 00 03", 258), "00 B0 00 00 03", "2", "4F 11", "", "2",
			   "60 4F", "", "3", "12 B0 13", "", "2", "90 00"),
		"11 12 13 90 00");
	check_done(PLAY(begin("00 B0 00 00 03", 258), "00 B0 00 00 03", "2",
			   "60 60 B0 11 12 13 90 00"),
		"11 12 13 90 00");
	/* Data that look like procedure bytes are data. */
	check_done(
		PLAY(begin("00 B0 00 00 04", 258), "00 B0 00 00 04", "2", "B0 60 90 B0 4F 61 02"),
		"60 90 B0 4F 61 02");
	/* The card ends early, or refuses. */
	check_done(PLAY(begin("00 B0 00 00 03", 258), "00 B0 00 00 03", "2", "4F 11", "", "2",
			   "62 82"),
		"11 62 82");
	check_done(PLAY(begin("00 B0 00 00 00", 258), "00 B0 00 00 00", "2", "6C 05"), "6C 05");
}
END_TEST

START_TEST(data_to_the_card)
{
	check_done(PLAY(begin("00 D6 00 00 02 AA BB", 258), "00 D6 00 00 02", "1", "D6", "AA BB",
			   "2", "90 00"),
		"90 00");
	check_done(PLAY(begin("00 D6 00 00 03 AA BB CC", 258), "00 D6 00 00 03", "1", "60", "", "1",
			   "29", "AA", "1", "29", "BB", "1", "60", "", "1", "D6", "CC", "2",
			   "60 61 05"),
		"61 05");
	check_done(PLAY(begin("00 D6 00 00 02 AA BB", 258), "00 D6 00 00 02", "1", "69", "", "1",
			   "82"),
		"69 82");
}
END_TEST

START_TEST(protocol_errors)
{
	check_failed(
		PLAY(begin("00 B0 00 00 02", 258), "00 B0 00 00 02", "2", "00"), T0_BAD_PROCEDURE);
	/* Complement of the wrong bit; old Vpp forms. */
	check_failed(
		PLAY(begin("00 B0 00 00 02", 258), "00 B0 00 00 02", "2", "B1"), T0_BAD_PROCEDURE);
	check_failed(
		PLAY(begin("00 B0 00 00 02", 258), "00 B0 00 00 02", "2", "4E"), T0_BAD_PROCEDURE);
	/* INS when all data have been moved, in both directions and in case 1. */
	check_failed(PLAY(begin("00 B0 00 00 01", 258), "00 B0 00 00 01", "2", "B0 11 B0"),
		T0_BAD_PROCEDURE);
	check_failed(
		PLAY(begin("00 D6 00 00 01 AA", 258), "00 D6 00 00 01", "1", "D6", "AA", "2", "29"),
		T0_BAD_PROCEDURE);
	check_failed(
		PLAY(begin("00 A4 00 00", 258), "00 A4 00 00 00", "2", "A4"), T0_BAD_PROCEDURE);
	/* Bytes while our data are due, and behind SW2. */
	check_failed(
		PLAY(begin("00 D6 00 00 01 AA", 258), "00 D6 00 00 01", "1", "D6 90"), T0_UNASKED);
	check_failed(
		PLAY(begin("00 A4 00 00", 258), "00 A4 00 00 00", "2", "90 00 00"), T0_UNASKED);
	check_failed(PLAY(begin("00 A4 00 00", 258), "00 A4 00 00 00", "2", ""), T0_MUTE);
	(void)begin("00 A4 00 00", 258);
	check_failed(t0_no_answer(&t0), T0_MUTE);
	check_failed(t0_received(&t0, (const uint8_t *)"\x90", 1), T0_MUTE);
}
END_TEST

START_TEST(bad_commands)
{
	check_failed(begin("", 258), T0_BAD_TPDU);
	check_failed(begin("00 A4 00", 258), T0_BAD_TPDU);
	check_failed(begin("00 A4 00 00 00 01", 258), T0_BAD_TPDU);
	check_failed(begin("00 A4 00 00 02 3F", 258), T0_BAD_TPDU);
	check_failed(begin("00 A4 00 00 02 3F 00 00", 258), T0_BAD_TPDU); /* case 4S */
	check_failed(begin("00 60 00 00 00", 258), T0_BAD_TPDU);
	check_failed(begin("00 9F 00 00 00", 258), T0_BAD_TPDU);
	for (int e = T0_NO_ERROR; e <= T0_UNASKED + 1; e++)
		ck_assert_uint_gt(strlen(t0_strerror((enum t0_error)e)), 0);
}
END_TEST

START_TEST(short_buffer)
{
	struct t0_step step =
		PLAY(begin("00 B0 00 00 03", 2), "00 B0 00 00 03", "2", "B0 11 12 13 90 00");

	ck_assert_int_eq(step.action, T0_TOO_LONG);
	ck_assert_uint_eq(step.rsp_len, 5);
	ck_assert_mem_eq(response, "\x11\x12\xEE", 3);
}
END_TEST

START_TEST(nulls_are_counted)
{
	struct t0_step step = begin("00 A4 00 00", 258);
	for (unsigned i = 0; i < 1000; i++) {
		ck_assert_int_eq(step.action, T0_EXCHANGE);
		ck_assert_uint_eq(step.nulls, i);
		step = t0_received(&t0, (const uint8_t *)"\x60", 1);
	}
	check_done(t0_received(&t0, (const uint8_t *)"\x90\x00", 2), "90 00");
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("t0");

	tcase_add_test(tests, case_1);
	tcase_add_test(tests, data_from_the_card);
	tcase_add_test(tests, data_to_the_card);
	tcase_add_test(tests, protocol_errors);
	tcase_add_test(tests, bad_commands);
	tcase_add_test(tests, short_buffer);
	tcase_add_test(tests, nulls_are_counted);
	return run_case("t0", tests);
}
