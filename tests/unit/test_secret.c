/* SPDX-License-Identifier: BSD-3-Clause */
/* Which bytes of a command are a PIN or key. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iso7816/secret.h"

/* The span as "start-end", or "none". */
static const char *span(const char *hex)
{
	static char text[32];
	uint8_t bytes[64];
	size_t len = 0;
	size_t start, end;
	unsigned value;

	for (; sscanf(hex, "%2x", &value) == 1; hex += 2)
		bytes[len++] = (uint8_t)value;
	if (!secret_span(bytes, len, &start, &end))
		return "none";
	ck_assert_uint_le(end, len);
	snprintf(text, sizeof(text), "%zu-%zu", start, end);
	return text;
}

START_TEST(commands)
{
	/* VERIFY: short, with Le, extended, and asking for the counter only */
	ck_assert_str_eq(span("002000010431323334"), "5-9");
	ck_assert_str_eq(span("00200001043132333400"), "5-9");
	ck_assert_str_eq(span("0020000100000431323334"), "7-11");
	ck_assert_str_eq(span("00200001"), "none");
	ck_assert_str_eq(span("0020000100"), "none");
	/* other classes: secure messaging, channels, proprietary */
	ck_assert_str_eq(span("0C2000010431323334"), "5-9");
	ck_assert_str_eq(span("802400010431323334"), "5-9");
	ck_assert_str_eq(span("FF820000063132333435FF"), "5-11");
	/* no secrets: SELECT, READ BINARY, GET DATA, GET RESPONSE */
	ck_assert_str_eq(span("00A4000C023F00"), "none");
	ck_assert_str_eq(span("00B0000000"), "none");
	ck_assert_str_eq(span("00CA006E00"), "none");
	ck_assert_str_eq(span(""), "none");
}
END_TEST

START_TEST(wrong_lengths)
{
	/* Masked all the same: too long, too short. */
	ck_assert_str_eq(span("00200001083132"), "5-7");
	ck_assert_str_eq(span("0020000101313233343536"), "5-11");
}
END_TEST

START_TEST(inside_other_bytes)
{
	/* A T=1 block with its prologue and LRC, and a PC_to_RDR_XfrBlock. */
	ck_assert_str_eq(span("000009002000010431323334AA"), "8-12");
	ck_assert_str_eq(span("6F090000000005000000002000010431323334"), "15-19");
	ck_assert_str_eq(span("6F07000000000500000000A4000C023F00"), "none");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("secret");
	TCase *tcase = tcase_create("span");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, commands);
	tcase_add_test(tcase, wrong_lengths);
	tcase_add_test(tcase, inside_other_bytes);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
