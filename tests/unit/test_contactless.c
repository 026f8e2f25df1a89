/* SPDX-License-Identifier: BSD-3-Clause */
/* ATRs of tags, and raw-command firmware: the PN532 dialect and the pseudo APDUs over a script. */
#include <stdio.h>
#include <string.h>

#include "suite.h"
#include "ifd-ccid/contactless/contactless.h"
#include "ifd-ccid/contactless/raw_pn532.h"

/* A command of the chip (behind D4) and the answer (behind D5), in hexadecimal. */
struct line {
	const char *command;
	const char *answer; /* NULL: the Escape fails */
};

static const struct line *script;
static struct raw *raw;
static uint8_t response[65538];
static size_t response_len;
static bool secret;

static size_t hex(const char *text, uint8_t *out)
{
	size_t n = 0;
	unsigned byte;

	for (; *text; text++)
		if (*text != ' ') {
			ck_assert_int_eq(sscanf(text, "%2x", &byte), 1);
			out[n++] = (uint8_t)byte;
			text++;
		}
	return n;
}

static enum ccid_result play(struct pn532_carrier *carrier, const uint8_t *command, size_t len,
	uint8_t *answer, size_t *answer_len)
{
	uint8_t want[300] = { 0xFF, 0, 0, 0, 0, 0xD4 };
	size_t n;

	(void)carrier;
	ck_assert_msg(script->command != NULL, "unexpected command %02X", command[6]);
	n = 6 + hex(script->command, want + 6);
	want[4] = (uint8_t)(n - 5);
	/* Whoever carries a key must know that it is one before it goes. */
	if (strncmp(script->command, "40 01 6", 7) == 0)
		ck_assert(secret);
	ck_assert_uint_eq(len, n);
	ck_assert_mem_eq(command, want, n);
	if (!script->answer) {
		script++;
		return CCID_TIMEOUT;
	}
	answer[0] = 0xD5;
	n = 1 + hex(script->answer, answer + 1);
	answer[n++] = 0x90;
	answer[n++] = 0x00;
	ck_assert_uint_le(n, *answer_len);
	*answer_len = n;
	script++;
	return CCID_OK;
}

static struct pn532_carrier carrier = { play };

static void setup(void)
{
	raw = raw_new(&raw_pn532, &carrier);
	ck_assert_ptr_nonnull(raw);
	secret = false;
}

static void teardown(void)
{
	raw_free(raw);
}

static void begin(const struct line *lines)
{
	script = lines;
}

static void end(void)
{
	ck_assert_msg(script->command == NULL, "%s was not sent", script->command);
}

static enum ccid_result transmit(const char *apdu)
{
	uint8_t command[600];
	size_t len = hex(apdu, command);

	response_len = sizeof(response);
	return raw_transmit(raw, command, len, response, &response_len, &secret);
}

static void expect(const char *apdu, const char *want)
{
	uint8_t bytes[600];
	size_t n = hex(want, bytes);

	ck_assert_int_eq(transmit(apdu), CCID_OK);
	ck_assert_uint_eq(response_len, n);
	ck_assert_mem_eq(response, bytes, n);
}

#define NO_TAG                                                                                     \
	{ "4A 01 00", "4B 00" }, { "4A 01 03 00", "4B 00" },                                       \
	{                                                                                          \
		"4A 01 01 00 FF FF 00 00", "4B 00"                                                 \
	}
#define CLASSIC                                                                                    \
	{                                                                                          \
		"4A 01 00", "4B 01 01 00 04 08 04 01 02 03 04"                                     \
	}
#define CLASSIC_2                                                                                  \
	{                                                                                          \
		"4A 01 00", "4B 01 01 00 04 08 04 01 02 03 05"                                     \
	}
#define PAGES                                                                                      \
	{                                                                                          \
		"4A 01 00", "4B 01 01 00 44 00 07 04 01 02 03 04 05 06"                            \
	}
#define PART4                                                                                      \
	{                                                                                          \
		"4A 01 00", "4B 01 01 03 44 20 07 04 01 02 03 04 05 06 06 75 77 81 02 80"          \
	}
#define FELICA                                                                                     \
	{ "4A 01 00", "4B 00" }, { "4A 01 03 00", "4B 00" },                                       \
	{                                                                                          \
		"4A 01 01 00 FF FF 00 00", "4B 01 01 12 01 0102030405060708 1112131415161718"      \
	}
#define FIELD_OFF                                                                                  \
	{                                                                                          \
		"32 01 00", "33"                                                                   \
	}
#define END                                                                                        \
	{                                                                                          \
		NULL, NULL                                                                         \
	}

static void present(const struct line *lines)
{
	begin(lines);
	ck_assert_int_eq(raw_presence(raw), CCID_OK);
	end();
}

static const struct {
	struct picc picc;
	const char *atr;
	uint8_t type;
} atrs[] = {
	/* Storage cards by the RID structure: what readers show of these everywhere. */
	{ { .kind = PICC_MEMORY, .sak = 0x08 },
		"3B 8F 80 01 80 4F 0C A0 00 00 03 06 03 00 01 00 00 00 00 6A", 5 },
	{ { .kind = PICC_MEMORY, .sak = 0x18 },
		"3B 8F 80 01 80 4F 0C A0 00 00 03 06 03 00 02 00 00 00 00 69", 5 },
	{ { .kind = PICC_MEMORY, .sak = 0x00 },
		"3B 8F 80 01 80 4F 0C A0 00 00 03 06 03 00 03 00 00 00 00 68", 5 },
	{ { .kind = PICC_MEMORY, .sak = 0x77 },
		"3B 8F 80 01 80 4F 0C A0 00 00 03 06 03 00 00 00 00 00 00 6B", 5 },
	{ { .kind = PICC_FELICA }, "3B 8F 80 01 80 4F 0C A0 00 00 03 06 11 00 3B 00 00 00 00 42",
		0 },
	/* Historical bytes of the ATS. */
	{ { .kind = PICC_A4, .historical = { 0x80 }, .historical_len = 1 }, "3B 81 80 01 80 80",
		0 },
	{ { .kind = PICC_A4 }, "3B 80 80 01 01", 0 },
	/* Type B: application data, protocol info, MBLI. */
	{ { .kind = PICC_B4,
		  .atqb = { 0x50, 1, 2, 3, 4, 0x11, 0x22, 0x33, 0x44, 0x00, 0x81, 0x81 },
		  .mbli = 7 },
		"3B 88 80 01 11 22 33 44 00 81 81 70 3D", 0 },
};

START_TEST(atr)
{
	uint8_t want[ATR_MAX_LEN];
	uint8_t got[ATR_MAX_LEN];
	size_t n = hex(atrs[_i].atr, want);
	struct atr parsed;

	ck_assert_uint_eq(picc_atr(&atrs[_i].picc, got), n);
	ck_assert_mem_eq(got, want, n);
	ck_assert_int_eq(atr_parse(got, n, &parsed), ATR_OK);
	ck_assert(atr_offers(&parsed, 0) && atr_offers(&parsed, 1));
	ck_assert_uint_eq(picc_icc_type(true, got, n), atrs[_i].type);
	ck_assert_uint_eq(picc_icc_type(false, got, n), 1);
}
END_TEST

START_TEST(types)
{
	uint8_t bytes[ATR_MAX_LEN];
	size_t n = hex("3B 8F 80 01 80 4F 0C A0 00 00 03 06 0B 00 14 00 00 00 00 77", bytes);

	ck_assert_uint_eq(picc_icc_type(true, bytes, n), 7);
	bytes[12] = 0x06;
	ck_assert_uint_eq(picc_icc_type(true, bytes, n), 6);
	ck_assert_uint_eq(picc_icc_type(true, bytes, 12), 0);
	ck_assert_uint_eq(picc_icc_type(true, bytes, 0), 0);
}
END_TEST

START_TEST(texts)
{
	static const char *const yes[] = { "ACME Contactless", "CL", "Reader-CL interface",
		"NFC Reader", "Dual RFID", "x PICC 0", "contactless" };
	static const char *const no[] = { "", "CCID", "Class reader", "CLient", "Contact", "xNFC" };

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		ck_assert_msg(contactless_in_text(yes[i]), "%s", yes[i]);
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		ck_assert_msg(!contactless_in_text(no[i]), "%s", no[i]);
}
END_TEST

START_TEST(tags_in_turn)
{
	static const struct line lines[] = { NO_TAG, CLASSIC, CLASSIC, CLASSIC_2, CLASSIC_2, NO_TAG,
		NO_TAG, END };
	static const enum ccid_result seen[] = { CCID_ABSENT, CCID_OK, CCID_OK,
		/* Another tag in its place: told as gone once. */
		CCID_ABSENT, CCID_OK, CCID_ABSENT, CCID_ABSENT };

	begin(lines);
	for (size_t i = 0; i < sizeof(seen) / sizeof(seen[0]); i++)
		ck_assert_int_eq(raw_presence(raw), seen[i]);
	end();
	ck_assert_ptr_null(raw_picc(raw));
	ck_assert_int_eq(transmit("FF CA 00 00 00"), CCID_ABSENT);
}
END_TEST

START_TEST(commands)
{
	static const struct line lines[] = { PART4, { "40 01 00 A4 04 00", "41 00 6A 82" },
		{ "00 06", "01 00" }, { "00 06", "01 00" }, { "00 06", "01 00" },
		{ "00 06", "01 01" }, PART4, END };
	uint8_t bytes[ATR_MAX_LEN];
	size_t len;

	begin(lines);
	ck_assert_int_eq(raw_power_on(raw, bytes, &len), CCID_OK);
	ck_assert_uint_eq(len, 6);
	expect("00 A4 04 00", "6A 82");
	ck_assert_int_eq(raw_presence(raw), CCID_OK);
	expect("FF CA 00 00 00", "04 01 02 03 04 05 06 90 00");
	expect("FF CA 01 00 00", "80 90 00");
	expect("FF CA 00 00 03", "6C 07");
	expect("FF CA 02 00 00", "6A 86");
	expect("FF B0 00 00 10", "6A 81");
	expect("FF 00 00 00 00", "6D 00");
	expect("FF CA 00 00 00 00", "67 00");
	/* It was away in between: what it knew is lost, and the host has to see that. */
	ck_assert_int_eq(raw_presence(raw), CCID_ABSENT);
	ck_assert_int_eq(raw_presence(raw), CCID_OK);
	end();
	ck_assert_int_eq(transmit("00 A4 04"), CCID_LIMIT);
}
END_TEST

START_TEST(resets)
{
	static const struct line lines[] = { PART4, { "40 01 00 A4 04 00", "41 00 90 00" },
		FIELD_OFF, PART4, FIELD_OFF, PART4, FIELD_OFF, CLASSIC, END };
	static const struct line again[] = { PART4, { "40 01 00 A4 04 00", "41 00 90 00" },
		FIELD_OFF, CLASSIC, END };
	uint8_t bytes[ATR_MAX_LEN];
	size_t len;

	begin(lines);
	ck_assert_int_eq(raw_power_on(raw, bytes, &len), CCID_OK);
	/* A tag nobody has spoken to needs no reset. */
	ck_assert_int_eq(raw_power_on(raw, bytes, &len), CCID_OK);
	expect("00 A4 04 00", "90 00");
	ck_assert_int_eq(raw_power_on(raw, bytes, &len), CCID_OK);
	ck_assert_int_eq(raw_power_off(raw), CCID_OK);
	ck_assert_int_eq(raw_power_off(raw), CCID_OK);
	ck_assert_ptr_null(raw_picc(raw));
	end();
	begin(again);
	ck_assert_int_eq(raw_presence(raw), CCID_OK);
	expect("00 A4 04 00", "90 00");
	ck_assert_int_eq(raw_power_on(raw, bytes, &len), CCID_ABSENT);
	end();
}
END_TEST

/* 300 bytes out and 300 back are two parts each way. */
START_TEST(long_commands)
{
	static char out_1[3 * 300];
	static char out_2[3 * 300];
	static char in_1[3 * 300];
	static char in_2[3 * 300];
	struct line lines[] = { { out_1, "41 00" }, { out_2, in_1 }, { "40 01", in_2 }, END };
	static const struct line found[] = { PART4, END };
	uint8_t command[307] = { 0x80, 0x10, 0, 0, 0, 1, 0x2C };

	for (size_t i = 7; i < sizeof(command); i++)
		command[i] = (uint8_t)i;
	strcpy(out_1, "40 41");
	strcpy(out_2, "40 01");
	for (size_t i = 0; i < sizeof(command); i++)
		sprintf(strchr(i < 240 ? out_1 : out_2, '\0'), "%02X", command[i]);
	strcpy(in_1, "41 40");
	strcpy(in_2, "41 00");
	for (size_t i = 0; i < 300; i++)
		sprintf(strchr(i < 262 ? in_1 : in_2, '\0'), "%02X", (uint8_t)(i * 3));
	strcat(in_2, "9000");
	present(found);
	begin(lines);
	response_len = sizeof(response);
	ck_assert_int_eq(
		raw_transmit(raw, command, sizeof(command), response, &response_len, &secret),
		CCID_OK);
	end();
	ck_assert_uint_eq(response_len, 302);
	for (size_t i = 0; i < 300; i++)
		ck_assert_uint_eq(response[i], (uint8_t)(i * 3));
	/* Too little room: all is read, and the length told. */
	begin(lines);
	response_len = 10;
	ck_assert_int_eq(
		raw_transmit(raw, command, sizeof(command), response, &response_len, &secret),
		CCID_OVERRUN);
	ck_assert_uint_eq(response_len, 302);
	end();
}
END_TEST

START_TEST(blocks)
{
	static const struct line lines[] = { CLASSIC, { "40 01 30 04", "41 01" }, CLASSIC,
		{ "40 01 60 04 FF FF FF FF FF FF 01 02 03 04", "41 14" }, CLASSIC,
		{ "40 01 60 04 A0 A1 A2 A3 A4 A5 01 02 03 04", "41 00" },
		{ "40 01 30 04", "41 00 000102030405060708090A0B0C0D0E0F" },
		/* Looked for in between, so its authentication has to be done again. */
		CLASSIC, { "40 01 60 04 A0 A1 A2 A3 A4 A5 01 02 03 04", "41 00" },
		{ "40 01 A0 04 101112131415161718191A1B1C1D1E1F", "41 00" },
		{ "40 01 61 05 A0 A1 A2 A3 A4 A5 01 02 03 04", "41 00" }, END };

	begin(lines);
	ck_assert_int_eq(raw_presence(raw), CCID_OK);
	expect("FF B0 00 04 10", "69 82");
	expect("FF 86 00 00 05 01 00 04 60 00", "69 88");
	ck_assert(!secret);
	expect("FF 82 00 00 06 FF FF FF FF FF FF", "90 00");
	ck_assert(secret);
	expect("FF 82 20 00 06 FF FF FF FF FF FF", "6A 81");
	expect("FF 82 00 20 06 FF FF FF FF FF FF", "69 88");
	expect("FF 82 00 00 05 FF FF FF FF FF", "69 89");
	expect("FF 86 00 00 05 01 00 04 60 00", "63 00");
	expect("FF 82 00 1F 06 A0 A1 A2 A3 A4 A5", "90 00");
	expect("FF 86 00 00 05 01 00 04 60 1F", "90 00");
	expect("FF 86 00 00 05 01 00 04 62 1F", "6A 80");
	expect("FF 86 00 00 05 02 00 04 60 1F", "6A 80");
	expect("FF 86 00 00 05 01 01 04 60 1F", "6A 82");
	expect("FF 86 00 00 04 01 00 04 60", "67 00");
	secret = false;
	expect("FF B0 00 04 04", "00 01 02 03 90 00");
	expect("FF B0 00 04 20", "6C 10");
	expect("FF B0 01 04 10", "6A 82");
	ck_assert(!secret);
	ck_assert_int_eq(raw_presence(raw), CCID_OK);
	expect("FF D6 00 04 10 101112131415161718191A1B1C1D1E1F", "90 00");
	ck_assert(secret);
	expect("FF D6 00 04 04 10111213", "67 00");
	expect("FF 88 00 05 02 61 1F", "90 00");
	expect("00 A4 04 00", "6A 81");
	end();
}
END_TEST

START_TEST(pages)
{
	static const struct line lines[] = { PAGES,
		{ "40 01 30 04", "41 00 000102030405060708090A0B0C0D0E0F" },
		{ "40 01 A2 04 41424344", "41 00" }, { "40 01 A2 02 41424344", "41 01" }, PAGES,
		END };

	begin(lines);
	ck_assert_int_eq(raw_presence(raw), CCID_OK);
	expect("FF B0 00 04 00", "000102030405060708090A0B0C0D0E0F 90 00");
	expect("FF D6 00 04 04 41424344", "90 00");
	expect("FF D6 00 02 04 41424344", "65 81");
	expect("FF 86 00 00 05 01 00 04 60 00", "6A 81");
	end();
}
END_TEST

/* The UID of a tag that has left is not told any more. */
START_TEST(no_uid_of_yesterday)
{
	static const struct line lines[] = { CLASSIC, CLASSIC_2, CLASSIC_2, CLASSIC_2, END };

	begin(lines);
	ck_assert_int_eq(raw_presence(raw), CCID_OK);
	ck_assert_int_eq(transmit("FF CA 00 00 00"), CCID_ABSENT);
	ck_assert_int_eq(raw_presence(raw), CCID_OK);
	expect("FF CA 00 00 00", "01 02 03 05 90 00");
	end();
}
END_TEST

/* The tag leaves during an access: the host hears that it is gone. */
START_TEST(gone_in_the_middle)
{
	static const struct line memory[] = { PAGES, { "40 01 30 04", "41 01" }, NO_TAG, END };
	static const struct line part4[] = { PART4, { "40 01 00 A4 04 00", "41 01" }, NO_TAG, END };

	begin(memory);
	ck_assert_int_eq(raw_presence(raw), CCID_OK);
	ck_assert_int_eq(transmit("FF B0 00 04 10"), CCID_ABSENT);
	end();
	begin(part4);
	ck_assert_int_eq(raw_presence(raw), CCID_OK);
	ck_assert_int_eq(transmit("00 A4 04 00"), CCID_ABSENT);
	ck_assert_int_eq(raw_presence(raw), CCID_ABSENT);
	end();
}
END_TEST

START_TEST(transparent)
{
	static const struct line lines[] = { PAGES, { "42 30 00", "43 00 0401020304" },
		{ "42 30 99", "43 01" }, FIELD_OFF, PAGES, END };

	begin(lines);
	ck_assert_int_eq(raw_presence(raw), CCID_OK);
	expect("FF C2 00 01 04 95 02 30 00", "C0 03 01 69 85 90 00");
	expect("FF C2 00 00 02 81 00", "C0 03 00 90 00 90 00");
	/* The field is the application's now: no looking for tags. */
	ck_assert_int_eq(raw_presence(raw), CCID_OK);
	expect("FF C2 00 01 07 91 01 00 95 02 30 00",
		"C0 03 00 90 00 92 01 00 97 05 0401020304 90 00");
	expect("FF C2 00 01 04 95 02 30 99", "C0 03 01 63 00 90 00");
	expect("FF C2 00 01 03 91 01 07", "C0 03 01 6A 81 90 00");
	expect("FF C2 00 01 03 95 05 01", "C0 03 01 6A 80 90 00");
	expect("FF C2 00 02 04 8F 02 00 03", "C0 03 00 90 00 90 00");
	expect("FF C2 00 02 04 8F 02 00 04", "C0 03 01 6A 81 90 00");
	expect("FF C2 00 00 02 83 00", "C0 03 00 90 00 90 00");
	expect("FF C2 00 00 03 5F 46 00", "C0 03 01 6A 81 90 00");
	expect("FF C2 00 00 02 82 00", "C0 03 00 90 00 90 00");
	expect("FF C2 00 03 02 82 00", "6A 86");
	end();
}
END_TEST

START_TEST(type_b_and_felica)
{
	static const struct line b[] = { { "4A 01 00", "4B 00" },
		{ "4A 01 03 00", "4B 01 01 50 01020304 11223344 008181 01 70" }, END };
	static const struct line felica[] = { { "00 06", "01 00" }, { "00 06", "01 01" }, FELICA,
		FELICA, END };
	uint8_t bytes[ATR_MAX_LEN];
	uint8_t want[ATR_MAX_LEN];
	size_t len;

	present(b);
	ck_assert_int_eq(raw_power_on(raw, bytes, &len), CCID_OK);
	ck_assert_uint_eq(len, hex("3B 88 80 01 11 22 33 44 00 81 81 70 3D", want));
	ck_assert_mem_eq(bytes, want, len);
	begin(felica);
	expect("FF CA 00 00 00", "01 02 03 04 90 00");
	ck_assert_int_eq(raw_presence(raw), CCID_ABSENT);
	ck_assert_int_eq(raw_presence(raw), CCID_OK);
	expect("FF CA 00 00 00", "01 02 03 04 05 06 07 08 90 00");
	expect("FF B0 00 00 10", "6A 81");
	end();
}
END_TEST

/* Whatever the chip says, it is an error and nothing worse. */
static const char *const nonsense[] = { "4B", "4B 01", "4B 01 01", "4B 01 01 00 04 08",
	"4B 01 01 00 04 08 0B 0102030405060708090A0B", "4B 01 01 00 04 08 03 010203",
	"4B 01 01 00 04 20 04 01020304 00", "4B 01 01 00 04 20 04 01020304 09 78 80 70 02",
	"4B 01 01 00 04 20 04 01020304 03 78 80", "4A 00", "" };

START_TEST(garbled)
{
	const struct line lines[] = { { "4A 01 00", nonsense[_i] },
		{ "4A 01 03 00", "4B 01 01 50 01" }, END };

	begin(lines);
	ck_assert_int_eq(raw_presence(raw), CCID_GARBLED);
}
END_TEST

START_TEST(reader_fails)
{
	static const struct line lines[] = { { "4A 01 00", NULL }, PART4, { "00 06", NULL },
		{ "40 01 00 A4 04 00", NULL }, { "40 01 00 A4 04 00", "41" }, END };

	begin(lines);
	ck_assert_int_eq(raw_presence(raw), CCID_TIMEOUT);
	ck_assert_int_eq(raw_presence(raw), CCID_OK);
	ck_assert_int_eq(raw_presence(raw), CCID_TIMEOUT);
	ck_assert_int_eq(transmit("00 A4 04 00"), CCID_TIMEOUT);
	ck_assert_int_eq(transmit("00 A4 04 00"), CCID_GARBLED);
	end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("contactless");
	TCase *tc = tcase_create("raw");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, atr, 0, sizeof(atrs) / sizeof(atrs[0]));
	tcase_add_test(tc, types);
	tcase_add_test(tc, texts);
	tcase_add_test(tc, tags_in_turn);
	tcase_add_test(tc, commands);
	tcase_add_test(tc, resets);
	tcase_add_test(tc, long_commands);
	tcase_add_test(tc, blocks);
	tcase_add_test(tc, pages);
	tcase_add_test(tc, no_uid_of_yesterday);
	tcase_add_test(tc, gone_in_the_middle);
	tcase_add_test(tc, transparent);
	tcase_add_test(tc, type_b_and_felica);
	tcase_add_loop_test(tc, garbled, 0, sizeof(nonsense) / sizeof(nonsense[0]));
	tcase_add_test(tc, reader_fails);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
