/* SPDX-License-Identifier: BSD-3-Clause */
/* The daemon's log: levels, form, flood control, and secrets that must not be in it. */
#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "suite.h"
#include "pcscd/log.h"

static char *said;

static void open_log(int level, bool apdu)
{
	struct log_config config = { .sink = LOG_SINK_STDOUT, .level = level, .apdu = apdu };

	log_open(&config);
	capture_begin();
}

static void end(void)
{
	free(said);
	said = capture_end();
}

static void teardown(void)
{
	free(said);
	said = NULL;
}

START_TEST(test_levels)
{
	open_log(PCSC_LOG_ERROR, false);
	log_line(PCSC_LOG_DEBUG, "debug");
	log_line(PCSC_LOG_INFO, "info");
	log_line(PCSC_LOG_ERROR, "error %d", 7);
	log_msg(PCSC_LOG_CRITICAL, "critical %s", "driver");
	log_msg(99, "beyond");
	log_msg(-1, "below");
	end();
	ck_assert_uint_eq(capture_lines(said), 3);
	ck_assert_ptr_nonnull(strstr(said, " error 7\n"));
	ck_assert_ptr_nonnull(strstr(said, " critical driver\n"));
	ck_assert_ptr_nonnull(strstr(said, " beyond\n"));
	ck_assert(log_wants(PCSC_LOG_ERROR) && !log_wants(PCSC_LOG_INFO));
	capture_begin();
	DebugLogSetLevel(PCSC_LOG_DEBUG);
	log_msg(PCSC_LOG_DEBUG, "now");
	end();
	ck_assert_ptr_nonnull(strstr(said, " now\n"));
}
END_TEST

/* A line is eight digits of microseconds, a blank, the text; and one line whatever is in it. */
START_TEST(test_form)
{
	char long_text[5000];

	memset(long_text, 'x', sizeof(long_text));
	long_text[sizeof(long_text) - 1] = '\0';
	open_log(PCSC_LOG_DEBUG, false);
	log_line(PCSC_LOG_INFO, "a\nb\033c");
	log_line(PCSC_LOG_INFO, "%s", long_text);
	log_msg_rv(PCSC_LOG_ERROR, 0x80100009, "failed");
	end();
	ck_assert_uint_eq(capture_lines(said), 3);
	ck_assert_uint_eq(strspn(said, "0123456789"), 8);
	ck_assert_ptr_nonnull(strstr(said, " a?b?c\n"));
	ck_assert_uint_lt(strlen(said), 2300);
	ck_assert_ptr_nonnull(strstr(said, " failed, rv=0x80100009\n"));
}
END_TEST

START_TEST(test_flood)
{
	open_log(PCSC_LOG_INFO, false);
	for (int i = 0; i < 1000; i++)
		log_line(PCSC_LOG_ERROR, "again and again");
	for (int i = 0; i < 40; i++)
		log_line(PCSC_LOG_ERROR, "line %d", i);
	log_close();
	end();
	ck_assert_uint_eq(capture_lines(said), LOG_BURST + 1 + 40);
	ck_assert_ptr_nonnull(strstr(said, " 995 more of: again and again\n"));
	open_log(PCSC_LOG_DEBUG, false);
	for (int i = 0; i < 1000; i++)
		log_line(PCSC_LOG_DEBUG, "debugging");
	end();
	ck_assert_uint_eq(capture_lines(said), 1000);
}
END_TEST

#define BYTES(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })

static void expect_hex(const uint8_t *bytes, size_t length, const char *expected)
{
	char text[256];

	ck_assert_uint_eq(log_hex(text, sizeof(text), bytes, length), strlen(text));
	ck_assert_str_eq(text, expected);
}

START_TEST(test_mask)
{
	/* not secret */
	expect_hex(BYTES(0x00, 0xA4, 0x04, 0x00, 0x02, 0x3F, 0x00), "00 A4 04 00 02 3F 00");
	expect_hex(BYTES(0x00, 0x20, 0x00, 0x81), "00 20 00 81");
	/* VERIFY */
	expect_hex(BYTES(0x00, 0x20, 0x00, 0x81, 0x04, 0x31, 0x32, 0x33, 0x34),
		"00 20 00 81 04 ** ** ** **");
	expect_hex(
		BYTES(0x00, 0x20, 0x00, 0x81, 0x02, 0x31, 0x32, 0x00), "00 20 00 81 02 ** ** 00");
	/* chained, and of a SIM card */
	expect_hex(BYTES(0x10, 0x20, 0x00, 0x81, 0x01, 0x31), "10 20 00 81 01 **");
	expect_hex(BYTES(0xA0, 0x20, 0x00, 0x01, 0x01, 0x31), "A0 20 00 01 01 **");
	/* CHANGE REFERENCE DATA, RESET RETRY COUNTER, LOAD KEYS, PUT DATA */
	expect_hex(BYTES(0x00, 0x24, 0x00, 0x81, 0x02, 0x31, 0x32), "00 24 00 81 02 ** **");
	expect_hex(BYTES(0x00, 0x2C, 0x00, 0x81, 0x02, 0x31, 0x32), "00 2C 00 81 02 ** **");
	expect_hex(BYTES(0xFF, 0x82, 0x00, 0x00, 0x02, 0x31, 0x32), "FF 82 00 00 02 ** **");
	expect_hex(BYTES(0x00, 0xDA, 0x00, 0xD3, 0x02, 0x31, 0x32), "00 DA 00 D3 02 ** **");
	/* extended length */
	expect_hex(BYTES(0x00, 0x20, 0x00, 0x81, 0x00, 0x00, 0x02, 0x31, 0x32),
		"00 20 00 81 00 00 02 ** **");
	/* lengths that lie: everything after the header is masked */
	expect_hex(BYTES(0x00, 0x20, 0x00, 0x81, 0x01, 0x31, 0x32, 0x33, 0x34, 0x35),
		"00 20 00 81 01 ** ** ** ** **");
	/* within a reader's message, and within a T=1 block in it with its epilogue */
	expect_hex(BYTES(0x6F, 0x07, 0, 0, 0, 0, 0, 0, 0, 0, 0x00, 0x20, 0, 0x81, 0x02, 0x31, 0x32),
		"6F 07 00 00 00 00 00 00 00 00 00 20 00 81 02 ** **");
	expect_hex(BYTES(0x6F, 0x0B, 0, 0, 0, 0, 0, 0, 0, 0, 0x00, 0x00, 0x07, 0x00, 0x20, 0, 0x81,
			   0x02, 0x31, 0x32, 0xAA),
		"6F 0B 00 00 00 00 00 00 00 00 00 00 07 00 20 00 81 02 ** ** AA");
}
END_TEST

START_TEST(test_hex_room)
{
	uint8_t bytes[5000];
	char text[64];
	char tiny[1] = { 'x' };

	memset(bytes, 0xAB, sizeof(bytes));
	for (size_t size = 1; size <= sizeof(text); size++) {
		memset(text, 'z', sizeof(text));
		ck_assert_uint_lt(log_hex(text, size, bytes, sizeof(bytes)), size);
		ck_assert_uint_lt(strlen(text), size);
	}
	ck_assert_ptr_nonnull(strstr(text, "AB…"));
	ck_assert_uint_eq(log_hex(tiny, 1, bytes, 1), 0);
	ck_assert_int_eq(tiny[0], '\0');
	ck_assert_uint_eq(log_hex(text, sizeof(text), bytes, 0), 0);
}
END_TEST

START_TEST(test_apdu)
{
	static const uint8_t verify[] = { 0x00, 0x20, 0x00, 0x01, 0x04, 0x31, 0x32, 0x33, 0x34 };
	static const uint8_t answer[] = { 0x90, 0x00 };
	static const uint8_t protected[] = { 0x0C, 0xA4, 0x04, 0x0C, 0x06, 0x87, 0x04, 0x01, 0x55,
		0x66, 0x77, 0x00 };
	static const uint8_t value[] = { 0x12, 0x34, 0x90, 0x00 };

	open_log(PCSC_LOG_CRITICAL, false);
	log_apdu("Reader", verify, sizeof(verify), true);
	end();
	ck_assert_str_eq(said, "");
	open_log(PCSC_LOG_CRITICAL, true);
	log_apdu("Reader", verify, sizeof(verify), true);
	log_answer("Reader", answer, sizeof(answer), true);
	end();
	ck_assert_ptr_nonnull(strstr(said, " Reader: APDU: 00 20 00 01 04 ** ** ** **\n"));
	ck_assert_ptr_nonnull(strstr(said, " Reader: SW: 90 00\n"));
	open_log(PCSC_LOG_CRITICAL, true);
	log_apdu("Reader", protected, sizeof(protected), true);
	log_answer("Reader", value, sizeof(value), true);
	log_answer("Reader", value, sizeof(value), false);
	end();
	ck_assert_ptr_nonnull(strstr(said, " Reader: APDU: 0C A4 04 0C 06 ** ** ** ** ** ** **\n"));
	ck_assert_ptr_nonnull(strstr(said, " Reader: SW: ** ** 90 00\n"));
	ck_assert_ptr_nonnull(strstr(said, " Reader: SW: 12 34 90 00\n"));
	open_log(PCSC_LOG_DEBUG, false);
	log_xxd(PCSC_LOG_DEBUG, "-> ", verify, sizeof(verify));
	log_xxd(PCSC_LOG_DEBUG, "bad", verify, -1);
	end();
	ck_assert_uint_eq(capture_lines(said), 1);
	ck_assert_ptr_nonnull(strstr(said, " -> 00 20 00 01 04 ** ** ** **\n"));
	ck_assert_ptr_null(strstr(said, "31 32"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log");
	TCase *tests = tcase_create("log");

	tcase_add_checked_fixture(tests, NULL, teardown);
	tcase_add_test(tests, test_levels);
	tcase_add_test(tests, test_form);
	tcase_add_test(tests, test_flood);
	tcase_add_test(tests, test_mask);
	tcase_add_test(tests, test_hex_room);
	tcase_add_test(tests, test_apdu);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
