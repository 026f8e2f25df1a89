/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * T=0: the procedure bytes of ISO 7816-3 clause 10 and the mapping of §12.2, step by step, then
 * random exchanges with a card model that uses its freedoms, and one that breaks the rules.
 */
#include "iso7816/t0.h"
#include "iso7816/t0_apdu.h"
#include "iso7816_hex.h"

#include <string.h>

static struct t0 t0;
static struct t0_apdu mapping;
static uint8_t response[70000];
static uint8_t command[70000];

static struct t0_step begin(const char *text, size_t max)
{
	memset(response, 0xEE, 600);
	return t0_begin(&t0, command, hex(text, command, 600), response, max);
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

static struct t0_apdu_step map(enum t0_mode mode, const char *text, size_t max)
{
	memset(response, 0xEE, 600);
	return t0_apdu_begin(&mapping, mode, command, hex(text, command, 600), response, max);
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

/*
 * The card model: takes a command by TPDUs, has `have` bytes of answer made from the command's name,
 * and moves them with the procedure bytes it likes.
 */
struct card {
	uint64_t *seed;
	uint8_t apdu[1200]; /* put together from ENVELOPEs, or the header and data of a TPDU */
	size_t apdu_len;
	uint8_t rsp[70000];
	size_t rsp_len; /* of data */
	size_t at;      /* data already fetched */

	uint8_t tpdu[T0_MAX_TPDU];
	size_t tpdu_len;    /* bytes of it that have come */
	uint8_t out[20000]; /* bytes the card has sent, not yet read */
	size_t out_at;
	size_t out_len;
	size_t allowed; /* data bytes the last procedure byte let through */
	bool header_done;
};

static void put(struct card *c, uint8_t byte)
{
	ALWAYS(c->out_len < sizeof c->out);
	c->out[c->out_len++] = byte;
}

static void put_nulls(struct card *c)
{
	while (chance(c->seed, 15))
		put(c, 0x60);
}

static void put_sw(struct card *c, unsigned sw)
{
	put_nulls(c);
	put(c, (uint8_t)(sw >> 8));
	put(c, (uint8_t)sw);
	c->header_done = false;
	c->tpdu_len = 0;
}

/* N bytes of data to the host, in bursts. */
static void put_data(struct card *c, const uint8_t *data, size_t n)
{
	uint8_t ins = c->tpdu[1];

	while (n > 0) {
		put_nulls(c);
		if (chance(c->seed, 60)) {
			put(c, (uint8_t)~ins);
			put(c, *data++);
			n--;
			continue;
		}
		put(c, ins);
		while (n > 0) {
			put(c, *data++);
			n--;
		}
	}
}

static size_t right_answer(const uint8_t *apdu, size_t len, size_t ne, uint8_t *out)
{
	struct apdu parsed;
	uint64_t name = len;

	ALWAYS(apdu_parse(apdu, len, &parsed));
	name = name * 31 + parsed.p1;
	name = name * 31 + parsed.p2;
	for (size_t i = 0; i < parsed.nc; i++)
		name = name * 31 + parsed.data[i];
	/* P1 says how much there is: nothing, few, just Ne, or (P1 = 3) twice that. */
	size_t n = parsed.p1 % 4 == 0   ? 0
		   : parsed.p1 % 4 == 1 ? 1 + ne / 3
					: ne * (parsed.p1 % 4 - 1);
	name |= 1;
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)draw(&name);
	return n;
}

static size_t sw2_of(size_t n)
{
	return n > 255 ? 0 : n;
}

/* Data of the answer to a TPDU that reads NE bytes. */
static void card_deliver(struct card *c, size_t ne)
{
	size_t left = c->rsp_len - c->at;

	if (left == 0) {
		put_sw(c, 0x9000);
	} else if (left < ne) {
		put_sw(c, (unsigned)(0x6C00 + sw2_of(left)));
	} else {
		put_data(c, c->rsp + c->at, ne);
		c->at += ne;
		left -= ne;
		put_sw(c, left ? (unsigned)(0x6100 + sw2_of(left)) : 0x9000);
	}
}

static void card_execute(struct card *c, const uint8_t *host_apdu, size_t host_len)
{
	struct apdu apdu;
	size_t p3 = c->tpdu[4];

	if (c->tpdu[1] == APDU_INS_GET_RESPONSE) {
		card_deliver(c, p3 ? p3 : 256);
		return;
	}
	ALWAYS(apdu_parse(host_apdu, host_len, &apdu));
	if (c->tpdu[1] == APDU_INS_ENVELOPE) {
		memcpy(c->apdu + c->apdu_len, c->tpdu + 5, p3);
		c->apdu_len += p3;
		ALWAYS(c->apdu_len <= host_len);
		if (c->apdu_len < host_len) {
			put_sw(c, 0x9000);
			return;
		}
		ck_assert_mem_eq(c->apdu, host_apdu, host_len);
	} else {
		ck_assert_mem_eq(c->tpdu, host_apdu, 4);
		if (apdu.nc > 0)
			ck_assert_mem_eq(c->tpdu + 5, apdu.data, apdu.nc);
	}
	c->at = 0;
	c->rsp_len = right_answer(host_apdu, host_len, apdu.ne, c->rsp);
	if (apdu.nc == 0 && apdu.ne > 0)
		card_deliver(c, p3 ? p3 : 256);
	else
		put_sw(c, c->rsp_len ? (unsigned)(0x6100 + sw2_of(c->rsp_len)) : 0x9000);
}

/* Whether the TPDU whose header has come carries data to the card. */
static bool carries_data(const struct card *c, const struct apdu *apdu)
{
	return c->tpdu[1] == APDU_INS_ENVELOPE ||
	       (c->tpdu[1] != APDU_INS_GET_RESPONSE && apdu->nc > 0);
}

static void card_take(
	struct card *c, const uint8_t *bytes, size_t n, const uint8_t *apdu, size_t len)
{
	struct apdu parsed;

	ALWAYS(apdu_parse(apdu, len, &parsed));
	for (size_t i = 0; i < n; i++) {
		ALWAYS(c->tpdu_len < sizeof c->tpdu);
		c->tpdu[c->tpdu_len++] = bytes[i];
		if (c->header_done) {
			ALWAYS(c->allowed > 0);
			c->allowed--;
		}
	}
	if (c->tpdu_len < 5)
		return;
	c->header_done = true;
	size_t due = carries_data(c, &parsed) ? 5U + c->tpdu[4] - c->tpdu_len : 0;
	if (due == 0) {
		card_execute(c, apdu, len);
	} else if (c->allowed == 0) {
		put_nulls(c);
		c->allowed = chance(c->seed, 50) ? 1 : due;
		put(c, c->allowed == 1 && due > 1 ? (uint8_t)~c->tpdu[1] : c->tpdu[1]);
	}
}

/* One TPDU through t0.h. Each time at most as many bytes as are expected, often fewer. */
static size_t exchange_tpdu(struct card *c, const uint8_t *tpdu, size_t len, uint8_t *rsp,
	size_t max, const uint8_t *apdu, size_t apdu_len)
{
	struct t0_step step = t0_begin(&t0, tpdu, len, rsp, max);
	unsigned steps = 0;

	while (step.action == T0_EXCHANGE) {
		ALWAYS(++steps < 4000);
		card_take(c, step.send, step.send_len, apdu, apdu_len);
		size_t n = c->out_len - c->out_at;
		/* The card never has fewer for us than the step relies on. */
		ALWAYS(n >= step.expect);
		n = chance(c->seed, 30) ? 1 + draw(c->seed) % step.expect : step.expect;
		c->out_at += n;
		step = t0_received(&t0, c->out + c->out_at - n, n);
	}
	ck_assert_int_eq(step.action, T0_DONE);
	ALWAYS(c->out_at == c->out_len);
	c->out_at = c->out_len = 0;
	return step.rsp_len;
}

static void check_answer(struct t0_apdu_step step, const struct apdu *apdu, size_t len, size_t max)
{
	static uint8_t right[70000 * 2];
	size_t n = right_answer(command, len, apdu->ne, right);

	if (n > apdu->ne)
		n = apdu->ne;
	ALWAYS(step.action == T0_APDU_DONE || step.action == T0_APDU_TOO_LONG);
	ALWAYS(step.rsp_len == n + 2);
	ck_assert_int_eq(step.action == T0_APDU_TOO_LONG, n + 2 > max);
	ck_assert_mem_eq(response, right, n < max ? n : max);
	ALWAYS(response[max] == 0xA5);
}

START_TEST(random_exchanges)
{
	static struct card card;
	static const size_t ncs[] = { 0, 0, 1, 5, 255, 256, 600 };
	static const size_t nes[] = { 0, 1, 2, 20, 256, 257, 1000 };
	unsigned long count = exchanges(100000);
	static uint64_t seed = 0x70;

	card.seed = &seed;
	for (unsigned long i = 0; i < count; i++) {
		uint8_t data[600];
		uint8_t tpdu_rsp[T0_MAX_RESPONSE];
		struct apdu apdu = { .cla = 0x00,
			.ins = (uint8_t)(0x10 + draw(&seed) % 0x40),
			.p1 = (uint8_t)draw(&seed),
			.p2 = (uint8_t)draw(&seed),
			.data = data,
			/* Long ones now and then: most time goes into bytes. */
			.nc = ncs[draw(&seed) % (chance(&seed, 10) ? 7 : 4)],
			.ne = nes[draw(&seed) % (chance(&seed, 10) ? 7 : 4)] };

		for (size_t j = 0; j < apdu.nc; j++)
			data[j] = (uint8_t)draw(&seed);
		size_t len = apdu_build(&apdu, command, sizeof command);
		size_t max = chance(&seed, 10) ? draw(&seed) % 300 : 1100;
		response[max] = 0xA5;
		card.apdu_len = 0;
		card.rsp_len = 0;
		struct t0_apdu_step step =
			t0_apdu_begin(&mapping, T0_MAPPED, command, len, response, max);
		unsigned tpdus = 0;
		while (step.action == T0_APDU_SEND) {
			ALWAYS(++tpdus < 40);
			size_t n = exchange_tpdu(&card, step.tpdu, step.len, tpdu_rsp,
				sizeof tpdu_rsp, command, len);
			ALWAYS(n <= step.max_answer);
			step = t0_apdu_answer(&mapping, tpdu_rsp, n);
		}
		check_answer(step, &apdu, len, max);
	}
}
END_TEST

/* A card that sends anything, mostly bytes that mean something: an end, within the buffer. */
START_TEST(hostile_card)
{
	unsigned long count = exchanges(100000) / 2;
	uint64_t seed = 0x71;

	for (unsigned long i = 0; i < count; i++) {
		size_t max = draw(&seed) % 300;
		size_t len = draw(&seed) % 12;
		uint8_t ins = (uint8_t)draw(&seed);
		unsigned steps = 0;

		command[1] = ins;
		command[4] = (uint8_t)(len > 5 ? len - 5 : draw(&seed));
		response[max] = 0xA5;
		struct t0_step step = t0_begin(&t0, command, len, response, max);
		while (step.action == T0_EXCHANGE && step.nulls < 200) {
			const uint8_t likely[] = { ins, (uint8_t)~ins, 0x60, (uint8_t)~ins, 0x90,
				(uint8_t)draw(&seed) };
			uint8_t bytes[300];
			size_t n = chance(&seed, 90) ? 1 + draw(&seed) % step.expect
						     : draw(&seed) % 300;
			for (size_t j = 0; j < n; j++)
				bytes[j] = likely[draw(&seed) % (chance(&seed, 5) ? 6 : 4)];
			ALWAYS(++steps < 2000);
			step = t0_received(&t0, bytes, n);
		}
		ALWAYS(response[max] == 0xA5);
		if (step.action == T0_DONE)
			ALWAYS(step.rsp_len <= max);
	}
}
END_TEST

/* The same for response TPDUs: never more than Ne bytes and SW, and an end. */
START_TEST(hostile_reader)
{
	unsigned long count = exchanges(100000) / 2;
	uint64_t seed = 0x72;

	for (unsigned long i = 0; i < count; i++) {
		size_t max = draw(&seed) % 700;
		struct apdu apdu = { .ins = 0xB0,
			.data = command + 1000,
			.nc = draw(&seed) % 700,
			.ne = draw(&seed) % 700 };
		size_t len = apdu_build(&apdu, command, 900);
		enum t0_mode mode = chance(&seed, 50) ? T0_MAPPED : T0_TRANSPARENT;
		unsigned steps = 0;

		response[max] = 0xA5;
		struct t0_apdu_step step =
			t0_apdu_begin(&mapping, mode, command, len, response, max);
		while (step.action == T0_APDU_SEND) {
			uint8_t bytes[262] = { 0 };
			size_t data = chance(&seed, 50) ? 0 : draw(&seed) % step.max_answer;
			size_t n = chance(&seed, 99) ? data + 2 : draw(&seed) % sizeof bytes;
			n = n > step.max_answer && chance(&seed, 99) ? step.max_answer : n;
			if (n >= 2) {
				static const uint8_t sw1[] = { 0x61, 0x61, 0x61, 0x6C, 0x90, 0x6A };
				bytes[n - 2] = apdu.nc > 255 && chance(&seed, 70)
						       ? 0x90
						       : sw1[draw(&seed) % sizeof sw1];
				bytes[n - 1] = bytes[n - 2] == 0x90 ? 0 : (uint8_t)draw(&seed);
			}
			ALWAYS(++steps < 3000);
			step = t0_apdu_answer(&mapping, bytes, n);
		}
		ALWAYS(response[max] == 0xA5);
		if (step.action != T0_APDU_FAILED && mode == T0_MAPPED)
			ALWAYS(step.rsp_len <= apdu.ne + 2);
	}
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("t0");

	tcase_set_timeout(tests, 250);
	tcase_add_test(tests, case_1);
	tcase_add_test(tests, data_from_the_card);
	tcase_add_test(tests, data_to_the_card);
	tcase_add_test(tests, protocol_errors);
	tcase_add_test(tests, bad_commands);
	tcase_add_test(tests, short_buffer);
	tcase_add_test(tests, nulls_are_counted);
	tcase_add_test(tests, transparent);
	tcase_add_test(tests, mapped_short);
	tcase_add_test(tests, mapped_case_4);
	tcase_add_test(tests, mapped_extended);
	tcase_add_test(tests, envelopes);
	tcase_add_test(tests, bad_mappings);
	tcase_add_test(tests, random_exchanges);
	tcase_add_test(tests, hostile_card);
	tcase_add_test(tests, hostile_reader);
	return run_case("t0", tests);
}
