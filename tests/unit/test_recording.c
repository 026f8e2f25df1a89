/* SPDX-License-Identifier: BSD-3-Clause */
/* Recordings as lines of text and as capture files, there and back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"
#include "recording/entry.h"
#include "recording/pcapng.h"

static uint8_t data[RECORDING_DATA_MAX];

static enum recording_parsed parse(
	const char *line, struct recording_entry *entry, const char **why)
{
	return recording_parse(line, entry, data, sizeof(data), why);
}

static const char *const lines[] = {
	"0.000000001 control 8006000100001200 ok 120100020000004009120100000101020301\n",
	"12.345678901 out 02 ok 6F05000000000000000000A4040000\n",
	"12.345678902 in 81 ok 8002000000000000000090**+3\n",
	"12.400000000 in 81 stall -\n",
	"13.000000000 event 83 ok 5003\n",
	"13.000000000 control 2101000501000000 timeout -\n",
	"13.000000001 out 02 ok 6F********0000****\n",
	"13.000000001 out 02 ok 6F**00*5A\n",
	"14.000000000 clear-halt 81 ok\n",
	"14.500000000 reset error\n",
	"15.000000000 call 31 transmit 1 0020008104********\n",
	"15.000000000 return 31 transmit 0 63C2\n",
	"15.000000000 call 0 power 1F4 -\n",
	"2147483647.999999999 dropped 4711\n",
	"1.000000000 quirk name = \"Z\xC3\xA4hler\"  # /a b/50-x.quirks:12 [a case]\n",
};
#define LINES (sizeof(lines) / sizeof(lines[0]))

START_TEST(text_there_and_back)
{
	char text[1024];
	struct recording_entry entry;
	const char *why = NULL;

	ck_assert_int_eq(parse(lines[_i], &entry, &why), RECORDING_ENTRY);
	ck_assert_uint_lt(recording_print(&entry, text), recording_line_max(entry.len));
	ck_assert_str_eq(text, lines[_i]);
}
END_TEST

START_TEST(stand_ins)
{
	struct recording_entry entry;
	const char *why;

	ck_assert_int_eq(parse("1.000000000 out 02 ok 01**03*5A", &entry, &why), RECORDING_ENTRY);
	ck_assert_uint_eq(entry.len, 4);
	ck_assert_mem_eq(entry.data, "\x01\x00\x03\x5A", 4);
	ck_assert(!recording_masked(&entry, 0));
	ck_assert(recording_masked(&entry, 1));
	ck_assert(!recording_masked(&entry, 2));
	ck_assert(recording_masked(&entry, 3));
}
END_TEST

static const struct {
	const char *line;
	const char *expected;
} wrong[] = {
	{ "12 out 02 ok 00", "a time" },
	{ "1.00 out 02 ok 00", "a time" },
	{ "1.000000000 sideways 02 ok 00", "what happened" },
	{ "1.000000000 out 102 ok 00", "an endpoint" },
	{ "1.000000000 out 02 fine 00", "how the transfer ended" },
	{ "1.000000000 out 02 ok", "data" },
	{ "1.000000000 out 02 ok 0", "data" },
	{ "1.000000000 out 02 ok *", "data" },
	{ "1.000000000 out 02 ok *5", "data" },
	{ "1.000000000 out 02 ok 0G", "data" },
	{ "1.000000000 out 02 ok 00+x", "data" },
	{ "1.000000000 out 02 ok **00**00**", "at most two" },
	{ "1.000000000 control 80060001 ok -", "a setup packet" },
	{ "1.000000000 call 0 dance 0 -", "the name of a call" },
	{ "1.000000000 call 256 power 0 -", "a slot" },
	{ "1.000000000 quirk  ", "a property" },
	{ "1.000000000 reset ok ok", "the end of the line" },
	{ "99999999999999999999.000000000 reset ok", "a time" },
};

START_TEST(wrong_lines)
{
	struct recording_entry entry;
	const char *why = NULL;

	ck_assert_int_eq(parse(wrong[_i].line, &entry, &why), RECORDING_WRONG);
	ck_assert_msg(strncmp(why, wrong[_i].expected, strlen(wrong[_i].expected)) == 0, "%s", why);
}
END_TEST

START_TEST(nothing)
{
	struct recording_entry entry;
	const char *why;

	ck_assert_int_eq(parse("", &entry, &why), RECORDING_NOTHING);
	ck_assert_int_eq(parse("  \n", &entry, &why), RECORDING_NOTHING);
	ck_assert_int_eq(parse("# 1.0 out", &entry, &why), RECORDING_NOTHING);
}
END_TEST

/* What comes out of a capture file, as text. */
static bool print(void *ctx, const struct recording_entry *entry)
{
	char text[1024];

	recording_print(entry, text);
	/* The time there is another clock's. */
	fputs(strchr(text, ' '), ctx);
	return true;
}

START_TEST(capture_there_and_back)
{
	char *expected_text, *got_text, *file_bytes;
	size_t expected_len, got_len, file_len;
	FILE *expected = open_memstream(&expected_text, &expected_len);
	FILE *got = open_memstream(&got_text, &got_len);
	FILE *file = open_memstream(&file_bytes, &file_len);
	struct pcapng *pcapng = pcapng_new(file, 3, 17, 1000);
	struct recording_entry entry;
	const char *why = NULL;

	for (size_t i = 0; i < LINES; i++) {
		ck_assert_int_eq(parse(lines[i], &entry, &why), RECORDING_ENTRY);
		ck_assert(pcapng_write(pcapng, &entry));
		fputs(strchr(lines[i], ' '), expected);
	}
	ck_assert(pcapng_end(pcapng));
	fclose(file);
	fclose(expected);
	ck_assert(pcapng_read((uint8_t *)file_bytes, file_len, print, got, &why));
	fclose(got);
	ck_assert_str_eq(got_text, expected_text);
	free(got_text);
	/* Cut anywhere, it is read as far as it goes. */
	for (size_t len = 0; len < file_len; len++) {
		got = open_memstream(&got_text, &got_len);
		pcapng_read((uint8_t *)file_bytes, len, print, got, &why);
		fclose(got);
		free(got_text);
	}
	free(file_bytes);
	free(expected_text);
}
END_TEST

/* A call's data that is longer than a comment of a capture file may be. */
static bool take_long(void *ctx, const struct recording_entry *entry)
{
	struct recording_entry *got = ctx;

	ck_assert_int_eq(entry->kind, RECORDING_CALL);
	ck_assert_int_eq(entry->call, RECORDING_TRANSMIT);
	for (size_t i = 0; i < entry->len; i++)
		ck_assert_uint_eq(entry->data[i], i % 251);
	*got = *entry;
	return true;
}

START_TEST(long_calls)
{
	struct recording_entry entry = { .kind = RECORDING_CALL, .call = RECORDING_TRANSMIT };
	struct recording_entry got = { 0 };
	size_t len;
	char *bytes;
	FILE *file = open_memstream(&bytes, &len);
	struct pcapng *pcapng = pcapng_new(file, 1, 1, 0);
	const char *why = NULL;

	for (size_t i = 0; i < 65544; i++)
		data[i] = (uint8_t)(i % 251);
	entry.data = data;
	entry.len = 65544;
	entry.missing = 3;
	ck_assert(pcapng_write(pcapng, &entry));
	ck_assert(pcapng_end(pcapng));
	fclose(file);
	ck_assert(pcapng_read((uint8_t *)bytes, len, take_long, &got, &why));
	ck_assert_uint_gt(got.len, 20000);
	ck_assert_uint_eq(got.len + got.missing, 65544 + 3);
	free(bytes);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("recording");
	TCase *tcase = tcase_create("forms");

	tcase_add_loop_test(tcase, text_there_and_back, 0, LINES);
	tcase_add_loop_test(tcase, wrong_lines, 0, sizeof(wrong) / sizeof(wrong[0]));
	tcase_add_test(tcase, stand_ins);
	tcase_add_test(tcase, nothing);
	tcase_add_test(tcase, capture_there_and_back);
	tcase_add_test(tcase, long_calls);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
