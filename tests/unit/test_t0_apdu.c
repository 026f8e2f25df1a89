/* SPDX-License-Identifier: BSD-3-Clause */
/* T=0: APDUs and TPDUs, the mapping of ISO 7816-3 §12.2. */
#include <string.h>

#include "iso7816/t0_apdu.h"
#include "iso7816_hex.h"

static struct t0_apdu mapping;
static uint8_t response[600];
static uint8_t command[600];

static struct t0_apdu_step map(enum t0_mode mode, const char *text, size_t max)
{
	memset(response, 0xEE, sizeof response);
	return t0_apdu_begin(
		&mapping, mode, command, hex(text, command, sizeof command), response, max);
}

/* LINES: the TPDU that must be sent, and the response TPDU, in turn. */
static struct t0_apdu_step answer(struct t0_apdu_step step, const char *const *lines)
{
	for (; *lines; lines += 2) {
		uint8_t bytes[600];
		size_t n = hex(lines[0], bytes, sizeof bytes);

		ck_assert_msg(step.action == T0_APDU_SEND, "ended before: %s", lines[0]);
		ck_assert_uint_eq(step.len, n);
		ck_assert_mem_eq(step.tpdu, bytes, n);
		n = hex(lines[1], bytes, sizeof bytes);
		step = t0_apdu_answer(&mapping, bytes, n);
	}
	return step;
}

#define ANSWER(step, ...) answer(step, (const char *const[]){ __VA_ARGS__, NULL })

static void check_mapped(struct t0_apdu_step step, const char *text)
{
	uint8_t expected[600];
	size_t n = hex(text, expected, sizeof expected);

	ck_assert_int_eq(step.action, T0_APDU_DONE);
	ck_assert_uint_eq(step.rsp_len, n);
	ck_assert_mem_eq(response, expected, n);
}

/* Nothing is added, dropped or fetched. */
START_TEST(transparent)
{
	static const char *const commands[] = { "00 A4 00 00", "00 B0 00 00 00",
		"00 A4 00 00 02 3F 00", "00 A4 00 00 02 3F 00 00" };
	static const char *const answers[] = { "90 00", "61 10", "6C 05", "01 02 03 90 00" };

	for (size_t i = 0; i < 4; i++)
		for (size_t j = 0; j < 4; j++)
			check_mapped(ANSWER(map(T0_TRANSPARENT, commands[i], 300), commands[i],
					     answers[j]),
				answers[j]);
	/* What no TPDU can hold is mapped. */
	check_mapped(ANSWER(map(T0_TRANSPARENT, "00 B0 00 00 00 00 02", 300), "00 B0 00 00 02",
			     "01 02 90 00"),
		"01 02 90 00");
}
END_TEST

START_TEST(mapped_short)
{
	check_mapped(
		ANSWER(map(T0_MAPPED, "00 A4 00 00", 300), "00 A4 00 00 00", "90 00"), "90 00");
	check_mapped(ANSWER(map(T0_MAPPED, "00 B0 00 00 02", 300), "00 B0 00 00 02", "01 02 90 00"),
		"01 02 90 00");
	check_mapped(
		ANSWER(map(T0_MAPPED, "00 B0 00 00 02", 300), "00 B0 00 00 02", "67 00"), "67 00");
	/* 2S.3: the card has less, or more, which is cut to Ne. */
	check_mapped(ANSWER(map(T0_MAPPED, "00 B0 00 00 00", 300), "00 B0 00 00 00", "6C 02",
			     "00 B0 00 00 02", "01 02 90 00"),
		"01 02 90 00");
	check_mapped(ANSWER(map(T0_MAPPED, "00 B0 00 00 02", 300), "00 B0 00 00 02", "6C 03",
			     "00 B0 00 00 03", "01 02 03 90 00"),
		"01 02 90 00");
	/* Only once. */
	check_mapped(ANSWER(map(T0_MAPPED, "00 B0 00 00 00", 300), "00 B0 00 00 00", "6C 02",
			     "00 B0 00 00 02", "6C 03"),
		"6C 03");
	check_mapped(ANSWER(map(T0_MAPPED, "00 D6 00 00 02 AA BB", 300), "00 D6 00 00 02 AA BB",
			     "90 00"),
		"90 00");
	/* Case 3 wants no data: 61xx is just a status. */
	check_mapped(ANSWER(map(T0_MAPPED, "00 A4 00 00 02 3F 00", 300), "00 A4 00 00 02 3F 00",
			     "61 10"),
		"61 10");
}
END_TEST

START_TEST(mapped_case_4)
{
	check_mapped(ANSWER(map(T0_MAPPED, "00 A4 00 00 02 3F 00 00", 300), "00 A4 00 00 02 3F 00",
			     "61 02", "00 C0 00 00 02", "01 02 90 00"),
		"01 02 90 00");
	/* Fewer than the card has; more than one part; corrected length; final warning. */
	check_mapped(ANSWER(map(T0_MAPPED, "00 A4 00 00 02 3F 00 01", 300), "00 A4 00 00 02 3F 00",
			     "61 02", "00 C0 00 00 01", "01 61 01"),
		"01 61 01");
	check_mapped(ANSWER(map(T0_MAPPED, "A0 A4 00 00 02 3F 00 00", 300), "A0 A4 00 00 02 3F 00",
			     "61 02", "A0 C0 00 00 02", "01 02 61 03", "A0 C0 00 00 03", "6C 01",
			     "A0 C0 00 00 01", "03 62 82"),
		"01 02 03 62 82");
	/* Refused, and done without data. */
	check_mapped(ANSWER(map(T0_MAPPED, "00 A4 00 00 02 3F 00 00", 300), "00 A4 00 00 02 3F 00",
			     "6A 82"),
		"6A 82");
	check_mapped(ANSWER(map(T0_MAPPED, "00 A4 00 00 02 3F 00 00", 300), "00 A4 00 00 02 3F 00",
			     "90 00"),
		"90 00");
	/* An error half-way leaves no data; a GET RESPONSE that brings none is the last. */
	check_mapped(ANSWER(map(T0_MAPPED, "00 A4 00 00 02 3F 00 00", 300), "00 A4 00 00 02 3F 00",
			     "61 02", "00 C0 00 00 02", "01 02 61 03", "00 C0 00 00 03", "6F 00"),
		"6F 00");
	check_mapped(ANSWER(map(T0_MAPPED, "00 A4 00 00 02 3F 00 00", 300), "00 A4 00 00 02 3F 00",
			     "61 02", "00 C0 00 00 02", "61 02"),
		"61 02");
}
END_TEST

START_TEST(mapped_extended)
{
	check_mapped(ANSWER(map(T0_MAPPED, "00 B0 00 00 00 01 01", 300), "00 B0 00 00 00", "6C 02",
			     "00 B0 00 00 02", "01 02 90 00"),
		"01 02 90 00");
	check_mapped(ANSWER(map(T0_MAPPED, "00 B0 00 00 00 00 00", 300), "00 B0 00 00 00",
			     "01 61 00", "00 C0 00 00 00", "02 90 00"),
		"01 02 90 00");
	check_mapped(ANSWER(map(T0_MAPPED, "00 D6 00 00 00 00 02 AA BB", 300),
			     "00 D6 00 00 02 AA BB", "90 00"),
		"90 00");
	check_mapped(ANSWER(map(T0_MAPPED, "00 A4 00 00 00 00 02 3F 00 01 00", 300),
			     "00 A4 00 00 02 3F 00", "61 02", "00 C0 00 00 02", "01 02 90 00"),
		"01 02 90 00");
}
END_TEST

/* More than 255 bytes of data: the whole APDU in ENVELOPEs of 255 bytes. */
START_TEST(envelopes)
{
	size_t nc = 300;
	size_t len = hex("01 D6 00 00 00 01 2C", command, sizeof command);

	for (size_t i = 0; i < nc; i++)
		command[len++] = (uint8_t)i;
	command[len++] = 0x00; /* Le 2 */
	command[len++] = 0x02;
	struct t0_apdu_step step = t0_apdu_begin(&mapping, T0_MAPPED, command, len, response, 300);
	ck_assert_uint_eq(step.len, 260);
	ck_assert_mem_eq(step.tpdu, "\x01\xC2\x00\x00\xFF", 5);
	ck_assert_mem_eq(step.tpdu + 5, command, 255);
	step = t0_apdu_answer(&mapping, (const uint8_t *)"\x90\x00", 2);
	ck_assert_uint_eq(step.len, 5 + len - 255);
	ck_assert_uint_eq(step.tpdu[4], len - 255);
	ck_assert_mem_eq(step.tpdu + 5, command + 255, len - 255);
	step = t0_apdu_answer(&mapping, (const uint8_t *)"\x61\x02", 2);
	check_mapped(ANSWER(step, "01 C0 00 00 02", "01 02 90 00"), "01 02 90 00");

	/* A reader that takes TPDUs for APDUs has followed the 61xx itself. */
	step = t0_apdu_begin(&mapping, T0_TRANSPARENT, command, len, response, 300);
	step = t0_apdu_answer(&mapping, (const uint8_t *)"\x90\x00", 2);
	check_mapped(
		t0_apdu_answer(&mapping, (const uint8_t *)"\x01\x02\x90\x00", 4), "01 02 90 00");
	step = t0_apdu_begin(&mapping, T0_TRANSPARENT, command, len, response, 300);
	step = t0_apdu_answer(&mapping, (const uint8_t *)"\x90\x00", 2);
	step = t0_apdu_answer(&mapping, (const uint8_t *)"\x01\x61\x05", 3);
	check_mapped(ANSWER(step, "01 C0 00 00 01", "02 90 00"), "01 02 90 00");
	/* But not before the command is there. */
	(void)t0_apdu_begin(&mapping, T0_TRANSPARENT, command, len, response, 300);
	step = t0_apdu_answer(&mapping, (const uint8_t *)"\x01\x90\x00", 3);
	ck_assert_int_eq(step.error, T0_APDU_BAD_ANSWER);

	/* A card without ENVELOPE says so at the first. */
	(void)t0_apdu_begin(&mapping, T0_TRANSPARENT, command, len, response, 300);
	check_mapped(t0_apdu_answer(&mapping, (const uint8_t *)"\x6D\x00", 2), "6D 00");
}
END_TEST

START_TEST(bad_mappings)
{
	struct t0_apdu_step step = map(T0_MAPPED, "00 A4 00", 300);

	ck_assert_int_eq(step.action, T0_APDU_FAILED);
	ck_assert_int_eq(step.error, T0_APDU_MALFORMED);
	/* No SW; more data than asked for; data to a command that has none. */
	step = ANSWER(map(T0_MAPPED, "00 B0 00 00 02", 300), "00 B0 00 00 02", "90");
	ck_assert_int_eq(step.error, T0_APDU_BAD_ANSWER);
	step = ANSWER(map(T0_MAPPED, "00 B0 00 00 02", 300), "00 B0 00 00 02", "01 02 03 90 00");
	ck_assert_int_eq(step.error, T0_APDU_BAD_ANSWER);
	step = ANSWER(map(T0_MAPPED, "00 A4 00 00", 300), "00 A4 00 00 00", "01 90 00");
	ck_assert_int_eq(step.error, T0_APDU_BAD_ANSWER);
	/* After the end nothing goes on. */
	step = t0_apdu_answer(&mapping, (const uint8_t *)"\x90\x00", 2);
	ck_assert_int_eq(step.error, T0_APDU_BAD_ANSWER);
	step = ANSWER(map(T0_MAPPED, "00 B0 00 00 03", 2), "00 B0 00 00 03", "01 02 03 90 00");
	ck_assert_int_eq(step.action, T0_APDU_TOO_LONG);
	ck_assert_uint_eq(step.rsp_len, 5);
	ck_assert_mem_eq(response, "\x01\x02\xEE", 3);
	for (int e = T0_APDU_NO_ERROR; e <= T0_APDU_BAD_ANSWER + 1; e++)
		ck_assert_uint_gt(strlen(t0_apdu_strerror((enum t0_apdu_error)e)), 0);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("t0_apdu");

	tcase_add_test(tests, transparent);
	tcase_add_test(tests, mapped_short);
	tcase_add_test(tests, mapped_case_4);
	tcase_add_test(tests, mapped_extended);
	tcase_add_test(tests, envelopes);
	tcase_add_test(tests, bad_mappings);
	return run_case("t0_apdu", tests);
}
