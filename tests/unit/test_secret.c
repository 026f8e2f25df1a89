/* SPDX-License-Identifier: BSD-3-Clause */
/* Which bytes of a command are a PIN or key. */
#include <stdio.h>
#include <string.h>

#include "suite.h"
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
	/* What else looks like a command, at an earlier byte and with an earlier end. */
	ck_assert_str_eq(span("010024000007002000010331323334"), "6-14");
}
END_TEST

START_TEST(pace)
{
	size_t start, end;
	static const uint8_t control[] = { 2, 8, 0, 3, 0, 3, 0x31, 0x32, 0x33, 0, 0 };

	/* As an application gives it: without and with card holder's authorisation and certificate. */
	ck_assert_str_eq(span("0208000300033132330000"), "6-9");
	ck_assert_str_eq(span("020C000302AABB033132330200CCDD"), "8-11");
	/* As the reader gets it. */
	ck_assert_str_eq(span("200300033132330000"), "4-7");
	/* No password, since it is typed at the reader. */
	ck_assert_str_eq(span("0205000300000000"), "none");
	/* Lengths that fit nothing: it may be anywhere. */
	ck_assert_str_eq(span("0208000300033132330001"), "4-11");
	ck_assert_str_eq(span("02080003FF033132330000"), "4-11");
	ck_assert_str_eq(span("02060003000331323300"), "none");
	ck_assert_str_eq(span("020800030003313233"), "none");
	ck_assert_str_eq(span("2003"), "none");
	ck_assert_str_eq(span("20"), "none");
	secret_command_span(control, sizeof(control), &start, &end);
	ck_assert(start == 6 && end == sizeof(control));
}
END_TEST

START_TEST(exchanges)
{
	static const uint8_t protected[] = { 0x0C, 0xB0, 0, 0, 4, 0x87, 2, 1, 0xAA };
	static const uint8_t plain[] = { 0x00, 0xB0, 0, 0, 0 };
	static const uint8_t rest[] = { 0x00, 0xC0, 0, 0, 0x10 };
	static const uint8_t extended[] = { 0x00, 0x20, 0, 1, 0, 0, 2, 0x31, 0x32 };
	size_t start, end;

	ck_assert(secret_exchange(false, protected, sizeof(protected)));
	ck_assert(!secret_exchange(true, plain, sizeof(plain)));
	ck_assert(!secret_exchange(false, rest, sizeof(rest)));
	ck_assert(secret_exchange(true, rest, sizeof(rest)));
	ck_assert(!secret_exchange(true, rest, 1));
	secret_command_span(protected, sizeof(protected), &start, &end);
	ck_assert(start == 5 && end == sizeof(protected));
	secret_command_span(extended, sizeof(extended), &start, &end);
	ck_assert(start == 7 && end == sizeof(extended));
	secret_command_span(rest, 3, &start, &end);
	ck_assert(start == 3 && end == 3);
	for (size_t len = 0; len < 5; len++) {
		secret_response_span(len, &start, &end);
		ck_assert_uint_eq(end, len > 2 ? len - 2 : 0);
	}
}
END_TEST

/* What secret_command() says of a command's bytes in hexadecimal digits. */
static bool is_secret(const char *hex)
{
	uint8_t bytes[64];
	size_t len = 0;
	unsigned value;

	for (; sscanf(hex, "%2x", &value) == 1; hex += 2)
		bytes[len++] = (uint8_t)value;
	return secret_command(bytes, len);
}

START_TEST(proprietary)
{
	static const char *const secrets[] = {
		"80500000088106313233343536", /* SmartCard-HSM: PINs at initialisation */
		"8062010008AABBCCDDEEFF0011", /* decipherment */
		"B04201000431323334",         /* MUSCLE: verification */
		"B0460100083132333435363738", /* unblocking */
		"000100000771025858730121",   /* OATH: a key */
		"00B2000006800431323334",     /* PIN of a password store */
		"001C0000060A0401020304",     /* lock code */
	};
	static const char *const others[] = {
		"00B2010400",     /* READ RECORD */
		"B042010000",     /* no PIN in it */
		"80F24000024F00", /* GET STATUS */
		"0001000000",     /* nothing to keep */
		"B0580000",
	};

	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
		ck_assert_msg(is_secret(secrets[i]), "%s", secrets[i]);
		ck_assert_str_ne(span(secrets[i]), "none");
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		ck_assert_msg(!is_secret(others[i]), "%s", others[i]);
		ck_assert_str_eq(span(others[i]), "none");
	}
	/* In a message of a reader. */
	ck_assert_str_eq(span("6F090000000005000000B04201000431323334"), "15-19");
}
END_TEST

START_TEST(memory_tags)
{
	/* UPDATE BINARY of a sector's last block, of 4 and of 16 blocks; of a password's page. */
	ck_assert_str_eq(span("FFD6000310A0A1A2A3A4A5FF078069B0B1B2B3B4B5"), "5-21");
	ck_assert_str_eq(span("FFD600FF10A0A1A2A3A4A5FF078069B0B1B2B3B4B5"), "5-21");
	ck_assert_str_eq(span("FFD6002B0431323334"), "5-9");
	ck_assert(is_secret("FFD6000310A0A1A2A3A4A5FF078069B0B1B2B3B4B5"));
	/* Of data. */
	ck_assert_str_eq(span("FFD6000410A0A1A2A3A4A5FF078069B0B1B2B3B4B5"), "none");
	ck_assert_str_eq(span("FFD6008310A0A1A2A3A4A5FF078069B0B1B2B3B4B5"), "none");
	ck_assert_str_eq(span("FFD600040431323334"), "none");
	ck_assert(!is_secret("FFD600040431323334"));
	/* The same to a PN532: authentication (a key of FFh looks like a command, too), sector,
	 * password's page, password. */
	ck_assert_str_eq(span("FF0000000FD440016003FFFFFFFFFFFF01020304"), "10-20");
	ck_assert_str_eq(span("FF00000015D44001A007A0A1A2A3A4A5FF078069B0B1B2B3B4B5"), "10-26");
	ck_assert_str_eq(span("FF00000009D44001A22B31323334"), "10-14");
	ck_assert_str_eq(span("FF00000007D4421B31323334"), "8-12");
	ck_assert_str_eq(span("FF00000008D440011B31323334"), "9-13");
	ck_assert_str_eq(span("FF00000009D44001A20431323334"), "none");
	ck_assert_str_eq(span("FF00000005D440013004"), "none");
	/* In a transparent session. */
	ck_assert_str_eq(span("FFC200010795051B31323334"), "8-12");
	ck_assert_str_eq(span("FFC20001049502300400"), "none");
	ck_assert(is_secret("FFC200010795051B31323334"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("secret");
	TCase *tcase = tcase_create("span");

	tcase_add_test(tcase, commands);
	tcase_add_test(tcase, wrong_lengths);
	tcase_add_test(tcase, inside_other_bytes);
	tcase_add_test(tcase, pace);
	tcase_add_test(tcase, exchanges);
	tcase_add_test(tcase, proprietary);
	tcase_add_test(tcase, memory_tags);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
