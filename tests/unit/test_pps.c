/* SPDX-License-Identifier: BSD-3-Clause */
/* PPS against the rules of ISO 7816-3 clause 9. */
#include "iso7816/pps.h"
#include "iso7816_hex.h"

static enum pps_result answer(unsigned protocol, int pps1, const char *text)
{
	uint8_t request[PPS_MAX_LEN];
	uint8_t response[64];
	size_t n = pps_request(request, protocol, pps1);

	return pps_check(request, n, response, hex(text, response, sizeof response));
}

static void check_request(unsigned protocol, int pps1, const char *text)
{
	uint8_t request[PPS_MAX_LEN];
	uint8_t expected[PPS_MAX_LEN];
	size_t n = hex(text, expected, sizeof expected);

	ck_assert_uint_eq(pps_request(request, protocol, pps1), n);
	ck_assert_mem_eq(request, expected, n);
}

START_TEST(requests)
{
	check_request(0, PPS_NO_PPS1, "FF 00 FF");
	check_request(1, PPS_NO_PPS1, "FF 01 FE");
	check_request(0, 0x11, "FF 10 11 FE");
	check_request(1, 0x95, "FF 11 95 7B");
	check_request(1, 0x00, "FF 11 00 EE");
}
END_TEST

START_TEST(accepted)
{
	ck_assert_int_eq(answer(1, 0x95, "FF 11 95 7B"), PPS_AGREED);
	ck_assert_int_eq(answer(1, PPS_NO_PPS1, "FF 01 FE"), PPS_AGREED);
	ck_assert_int_eq(answer(1, 0x95, "FF 01 FE"), PPS_DEFAULT_SPEED);
}
END_TEST

START_TEST(incomplete)
{
	ck_assert_int_eq(answer(1, 0x95, ""), PPS_INCOMPLETE);
	ck_assert_int_eq(answer(1, 0x95, "FF"), PPS_INCOMPLETE);
	ck_assert_int_eq(answer(1, 0x95, "FF 11"), PPS_INCOMPLETE);
	ck_assert_int_eq(answer(1, 0x95, "FF 11 95"), PPS_INCOMPLETE);
	ck_assert_int_eq(answer(1, 0x95, "FF 01"), PPS_INCOMPLETE);
}
END_TEST

START_TEST(refused)
{
	/* PPSS, protocol, PPS1, PCK, a parameter not asked for, the reserved bit, a byte too many. */
	ck_assert_int_eq(answer(1, 0x95, "FE 11 95 7A"), PPS_REFUSED);
	ck_assert_int_eq(answer(1, 0x95, "3B"), PPS_REFUSED);
	ck_assert_int_eq(answer(1, 0x95, "FF 10 95 7A"), PPS_REFUSED);
	ck_assert_int_eq(answer(1, 0x95, "FF 11 94 7A"), PPS_REFUSED);
	ck_assert_int_eq(answer(1, 0x95, "FF 11 95 7A"), PPS_REFUSED);
	ck_assert_int_eq(answer(1, PPS_NO_PPS1, "FF 11 95 7B"), PPS_REFUSED);
	ck_assert_int_eq(answer(1, 0x95, "FF 31 95 00 5B"), PPS_REFUSED);
	ck_assert_int_eq(answer(1, 0x95, "FF 91 95 FB"), PPS_REFUSED);
	ck_assert_int_eq(answer(1, 0x95, "FF 11 95 7B 00"), PPS_REFUSED);
}
END_TEST

START_TEST(lengths)
{
	ck_assert_uint_eq(pps_len(0x01), 3);
	ck_assert_uint_eq(pps_len(0x11), 4);
	ck_assert_uint_eq(pps_len(0x51), 5);
	ck_assert_uint_eq(pps_len(0x71), 6);
}
END_TEST

/* Every response of up to four bytes to one request: only the two that §9.3 allows are taken. */
START_TEST(only_correct_responses_are_taken)
{
	uint8_t request[PPS_MAX_LEN];
	size_t n = pps_request(request, 1, 0x95);
	unsigned agreed = 0;
	unsigned slow = 0;

	for (unsigned v = 0; v < 0x1000000; v++) {
		uint8_t four[4] = { 0xFF, (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };
		agreed += pps_check(request, n, four, 4) == PPS_AGREED;
		slow += pps_check(request, n, four, 4) == PPS_DEFAULT_SPEED;
	}
	for (unsigned v = 0; v < 0x10000; v++) {
		uint8_t three[3] = { 0xFF, (uint8_t)(v >> 8), (uint8_t)v };
		agreed += pps_check(request, n, three, 3) == PPS_AGREED;
		slow += pps_check(request, n, three, 3) == PPS_DEFAULT_SPEED;
	}
	ck_assert_uint_eq(agreed, 1);
	ck_assert_uint_eq(slow, 1);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("pps");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, requests);
	tcase_add_test(tests, accepted);
	tcase_add_test(tests, incomplete);
	tcase_add_test(tests, refused);
	tcase_add_test(tests, lengths);
	tcase_add_test(tests, only_correct_responses_are_taken);
	return run_case("pps", tests);
}
