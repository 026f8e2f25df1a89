/* SPDX-License-Identifier: BSD-3-Clause */
/* Command APDUs against ISO 7816-3 §12.1 (cases and their lengths) and ISO 7816-4 (CLA). */
#include "iso7816/apdu.h"
#include "iso7816_hex.h"

#include <string.h>

static void check(const char *text, enum apdu_case kind, size_t nc, size_t ne)
{
	uint8_t bytes[64];
	uint8_t built[64];
	struct apdu apdu;
	size_t n = hex(text, bytes, sizeof bytes);

	ck_assert_msg(apdu_parse(bytes, n, &apdu), "%s", text);
	ck_assert_int_eq(apdu.kind, kind);
	ck_assert_uint_eq(apdu.cla, bytes[0]);
	ck_assert_uint_eq(apdu.ins, bytes[1]);
	ck_assert_uint_eq(apdu.p1, bytes[2]);
	ck_assert_uint_eq(apdu.p2, bytes[3]);
	ck_assert_uint_eq(apdu.nc, nc);
	ck_assert_uint_eq(apdu.ne, ne);
	if (nc > 0)
		ck_assert_ptr_eq(apdu.data, bytes + (kind >= APDU_CASE_2E ? 7 : 5));
	else
		ck_assert_ptr_null(apdu.data);
	/* Built again it is the same command, in as many bytes or fewer. */
	struct apdu again;
	size_t m = apdu_build(&apdu, built, sizeof built);
	ck_assert_uint_gt(m, 0);
	ck_assert_uint_le(m, n);
	ck_assert(apdu_parse(built, m, &again));
	ck_assert_uint_eq(again.nc, nc);
	ck_assert_uint_eq(again.ne, ne);
}

START_TEST(cases)
{
	check("00 A4 00 00", APDU_CASE_1, 0, 0);
	check("00 B0 00 00 10", APDU_CASE_2S, 0, 16);
	check("00 B0 00 00 00", APDU_CASE_2S, 0, 256);
	check("00 A4 00 00 02 3F 00", APDU_CASE_3S, 2, 0);
	check("00 A4 00 00 01 00", APDU_CASE_3S, 1, 0);
	check("00 A4 00 00 02 3F 00 00", APDU_CASE_4S, 2, 256);
	check("00 A4 00 00 02 3F 00 05", APDU_CASE_4S, 2, 5);
	check("00 B0 00 00 00 00 00", APDU_CASE_2E, 0, 65536);
	check("00 B0 00 00 00 01 00", APDU_CASE_2E, 0, 256);
	check("00 B0 00 00 00 00 01", APDU_CASE_2E, 0, 1);
	check("00 D6 00 00 00 00 02 AA BB", APDU_CASE_3E, 2, 0);
	check("00 A4 00 00 00 00 02 3F 00 00 00", APDU_CASE_4E, 2, 65536);
	check("00 A4 00 00 00 00 02 3F 00 01 02", APDU_CASE_4E, 2, 258);
}
END_TEST

START_TEST(malformed)
{
	static const char *const texts[] = {
		"",
		"00",
		"00 A4 00",
		"00 A4 00 00 02 3F",
		"00 A4 00 00 02 3F 00 00 00",
		"00 A4 00 00 00 01",
		"00 A4 00 00 00 00 00 3F",
		"00 A4 00 00 00 00 00 00 00",
		"00 A4 00 00 00 00 02 3F",
		"00 A4 00 00 00 00 02 3F 00 00",
		"00 A4 00 00 00 00 02 3F 00 00 00 00",
	};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		uint8_t bytes[64];
		struct apdu apdu;
		size_t n = hex(texts[i], bytes, sizeof bytes);
		ck_assert_msg(!apdu_parse(bytes, n, &apdu), "%s", texts[i]);
	}
}
END_TEST

/* Each pair of lengths is built in the shortest case and read back. */
START_TEST(lengths_there_and_back)
{
	static const size_t lengths[] = { 0, 1, 2, 254, 255, 256, 257, 65535, 65536 };
	static uint8_t data[APDU_MAX_NC];
	static uint8_t out[APDU_MAX_COMMAND];

	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * 7);
	for (size_t i = 0; i < 8; i++) {
		for (size_t j = 0; j < 9; j++) {
			struct apdu in = { .cla = 0x80,
				.ins = 0xEC,
				.p1 = 1,
				.p2 = 2,
				.data = data,
				.nc = lengths[i],
				.ne = lengths[j] };
			struct apdu back;
			size_t n = apdu_build(&in, out, sizeof out);
			ck_assert_uint_gt(n, 0);
			ck_assert(apdu_parse(out, n, &back));
			ck_assert_uint_eq(back.nc, in.nc);
			ck_assert_uint_eq(back.ne, in.ne);
			ck_assert_int_eq(apdu_is_extended(&back), in.nc > 255 || in.ne > 256);
			if (in.nc > 0)
				ck_assert_mem_eq(back.data, data, in.nc);
			ck_assert_uint_eq(apdu_build(&in, out, n - 1), 0);
		}
	}
	struct apdu long_nc = { .data = data, .nc = 65536 };
	struct apdu long_ne = { .ne = 65537 };
	ck_assert_uint_eq(apdu_build(&long_nc, out, sizeof out), 0);
	ck_assert_uint_eq(apdu_build(&long_ne, out, sizeof out), 0);
}
END_TEST

START_TEST(companions)
{
	uint8_t out[16] = { 0 };
	uint8_t expected[16] = { 0 };
	uint8_t part[3] = { 1, 2, 3 };

	ck_assert_uint_eq(apdu_companion_cla(0x00), 0x00);
	ck_assert_uint_eq(apdu_companion_cla(0x1E), 0x02); /* chaining and secure messaging go */
	ck_assert_uint_eq(apdu_companion_cla(0x45), 0x45);
	ck_assert_uint_eq(apdu_companion_cla(0x7A), 0x4A);
	ck_assert_uint_eq(apdu_companion_cla(0xA0), 0xA0);
	ck_assert_uint_eq(apdu_companion_cla(0x84), 0x84);

	apdu_get_response(out, 0x0C, 256);
	hex("00 C0 00 00 00", expected, sizeof expected);
	ck_assert_mem_eq(out, expected, 5);
	apdu_get_response(out, 0xA0, 15);
	hex("A0 C0 00 00 0F", expected, sizeof expected);
	ck_assert_mem_eq(out, expected, 5);
	ck_assert_uint_eq(apdu_envelope(out, 0x01, part, sizeof part), 8);
	hex("01 C2 00 00 03 01 02 03", expected, sizeof expected);
	ck_assert_mem_eq(out, expected, 8);
}
END_TEST

START_TEST(status_words)
{
	ck_assert_uint_eq(apdu_sw((const uint8_t *)"\x01\x90\x00", 3), 0x9000);
	ck_assert_uint_eq(apdu_sw((const uint8_t *)"\x6A\x82", 2), 0x6A82);
	ck_assert_uint_eq(apdu_sw((const uint8_t *)"\x90", 1), 0);
}
END_TEST

/* Random bytes: never read beyond the end (sanitizers watch), and what is taken adds up. */
START_TEST(random_bytes)
{
	uint64_t seed = 0x5EED;

	for (int i = 0; i < 200000; i++) {
		size_t n = draw(&seed) % 40;
		uint8_t *bytes = malloc(n ? n : 1);
		struct apdu apdu;
		for (size_t j = 0; j < n; j++)
			bytes[j] = chance(&seed, 40) ? (uint8_t)(draw(&seed) % 4 * 8)
						     : (uint8_t)draw(&seed);
		if (apdu_parse(bytes, n, &apdu) && apdu.nc > 0) {
			ck_assert(apdu.data >= bytes + 5);
			ck_assert(apdu.data + apdu.nc <= bytes + n);
		}
		free(bytes);
	}
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("apdu");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, cases);
	tcase_add_test(tests, malformed);
	tcase_add_test(tests, lengths_there_and_back);
	tcase_add_test(tests, companions);
	tcase_add_test(tests, status_words);
	tcase_add_test(tests, random_bytes);
	return run_case("apdu", tests);
}
