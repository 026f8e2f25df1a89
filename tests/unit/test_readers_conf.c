/* SPDX-License-Identifier: BSD-3-Clause */
/* reader.conf: groups of lines, what is wrong in them, and what that costs. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture.h"
#include "suite.h"
#include "pcscd/readers/readers_conf.h"

static struct readers_conf conf;
static char *said;

static void parse(const char *text)
{
	readers_conf_free(&conf);
	free(said);
	capture_begin();
	readers_conf_parse(&conf, text, strlen(text), "f");
	said = capture_end();
}

static void teardown(void)
{
	readers_conf_free(&conf);
	free(said);
	said = NULL;
}

static void expect(size_t i, const char *name, const char *device, const char *library,
	unsigned long channel, const char *origin)
{
	ck_assert_uint_lt(i, conf.count);
	ck_assert_str_eq(conf.readers[i].name, name);
	ck_assert_pstr_eq(conf.readers[i].device, device);
	ck_assert_str_eq(conf.readers[i].library, library);
	ck_assert_uint_eq(conf.readers[i].channel, channel);
	ck_assert_str_eq(conf.readers[i].origin, origin);
}

static void expect_error(const char *text)
{
	ck_assert_msg(strstr(said, text) != NULL, "no \"%s\" in \"%s\"", text, said);
}

START_TEST(test_one_reader)
{
	parse("# a comment\n"
	      "FRIENDLYNAME \"Virtual PCD\"\n"
	      "DEVICENAME   /dev/null:0x8C7B\n"
	      "LIBPATH      /usr/lib/libifdvpcd.so # trailing\n"
	      "CHANNELID    0x8C7B\n");
	ck_assert_uint_eq(conf.count, 1);
	ck_assert_uint_eq(conf.errors, 0);
	ck_assert_str_eq(said, "");
	expect(0, "Virtual PCD", "/dev/null:0x8C7B", "/usr/lib/libifdvpcd.so", 0x8C7B, "f:2");
}
END_TEST

/* The channel number belongs to its reader wherever it stands. */
START_TEST(test_any_order)
{
	static const char *const lines[] = { "FRIENDLYNAME %c\n", "DEVICENAME dev:%c\n",
		"LIBPATH /lib/%c\n", "CHANNELID %d\n" };
	static const int orders[][4] = { { 0, 1, 2, 3 }, { 3, 2, 1, 0 }, { 2, 0, 3, 1 },
		{ 1, 3, 0, 2 }, { 0, 2, 3, 1 } };

	for (size_t o = 0; o < sizeof(orders) / sizeof(orders[0]); o++) {
		char text[512] = "";

		for (int reader = 0; reader < 3; reader++)
			for (int i = 0; i < 4; i++)
				sprintf(text + strlen(text), lines[orders[o][i]],
					orders[o][i] == 3 ? reader + 1 : 'A' + reader);
		parse(text);
		ck_assert_uint_eq(conf.errors, 0);
		ck_assert_uint_eq(conf.count, 3);
		expect(0, "A", "dev:A", "/lib/A", 1, "f:1");
		expect(1, "B", "dev:B", "/lib/B", 2, "f:5");
		expect(2, "C", "dev:C", "/lib/C", 3, "f:9");
	}
}
END_TEST

START_TEST(test_channel_or_device)
{
	parse("FRIENDLYNAME A\nLIBPATH /a\nCHANNELID 1\n"
	      "FRIENDLYNAME B\nLIBPATH /b\nDEVICENAME usbip:unix:/tmp/x+y,z/1-1\n"
	      "FRIENDLYNAME C\nLIBPATH /c\n"
	      "FRIENDLYNAME D\nLIBPATH /d\nCHANNELID 010\n");
	ck_assert_uint_eq(conf.count, 3);
	ck_assert_uint_eq(conf.errors, 1);
	expect(0, "A", NULL, "/a", 1, "f:1");
	expect(1, "B", "usbip:unix:/tmp/x+y,z/1-1", "/b", 0, "f:4");
	expect(2, "D", NULL, "/d", 8, "f:9");
	expect_error("f:7: this reader has no DEVICENAME or CHANNELID");
}
END_TEST

START_TEST(test_power)
{
	parse("FRIENDLYNAME A\nLIBPATH /a\nCHANNELID 1\nPOWERGRACE 0.25\nPOWERON demand\n"
	      "FRIENDLYNAME B\nPOWERGRACE never\nLIBPATH /b\nCHANNELID 2\n"
	      "POWERON insertion\nFRIENDLYNAME C\nLIBPATH /c\nCHANNELID 3\n"
	      "FRIENDLYNAME D\nLIBPATH /d\nCHANNELID 4\n");
	ck_assert_msg(conf.errors == 0, "%s", said);
	ck_assert_uint_eq(conf.count, 4);
	expect(0, "A", NULL, "/a", 1, "f:1");
	ck_assert(conf.readers[0].has_grace && conf.readers[0].has_power_on);
	ck_assert_int_eq(conf.readers[0].power.grace, 250000000);
	ck_assert(conf.readers[0].power.on_demand);
	expect(1, "B", NULL, "/b", 2, "f:6");
	ck_assert(conf.readers[1].has_grace);
	ck_assert_int_lt(conf.readers[1].power.grace, 0);
	/* POWERON belongs to B: it had none yet. */
	ck_assert(conf.readers[1].has_power_on && !conf.readers[1].power.on_demand);
	expect(2, "C", NULL, "/c", 3, "f:11");
	ck_assert(!conf.readers[2].has_grace && !conf.readers[2].has_power_on);
	ck_assert(!conf.readers[3].has_grace && !conf.readers[3].has_power_on);
}
END_TEST

/* A wrong value costs its line, not the reader, and not what else stands on the line. */
START_TEST(test_power_faults)
{
	static const char *const graces[] = { "-1", "soon", "1s", "nan", "inf", "1e10", "\"\"",
		"Never", "" };
	char text[256];

	for (size_t i = 0; i < sizeof(graces) / sizeof(graces[0]); i++) {
		snprintf(text, sizeof(text),
			"FRIENDLYNAME A\nLIBPATH /a\nPOWERGRACE %s\nPOWERON demand\nCHANNELID 1\n",
			graces[i]);
		parse(text);
		ck_assert_uint_eq(conf.errors, 1);
		expect_error("f:3: POWERGRACE");
		expect_error("line left out");
		ck_assert_uint_eq(conf.count, 1);
		ck_assert(!conf.readers[0].has_grace && conf.readers[0].power.on_demand);
	}
	parse("FRIENDLYNAME A LIBPATH /a POWERON later POWERGRACE 2 CHANNELID 1\n");
	ck_assert_uint_eq(conf.errors, 1);
	expect_error("f:1: POWERON \"later\" is neither");
	expect(0, "A", NULL, "/a", 1, "f:1");
	ck_assert_int_eq(conf.readers[0].power.grace, INT64_C(2000000000));
	ck_assert(!conf.readers[0].has_power_on);
}
END_TEST

START_TEST(test_quotes)
{
	parse("FRIENDLYNAME 'Single'\nLIBPATH \"/a b\"\nDEVICENAME '/dev/x y'\n"
	      "FRIENDLYNAME \"Gr\xc3\xbc n #1\"\nLIBPATH /b\nCHANNELID \"7\"\n");
	ck_assert_uint_eq(conf.errors, 0);
	ck_assert_uint_eq(conf.count, 2);
	expect(0, "'Single'", "/dev/x y", "/a b", 0, "f:1");
	expect(1, "Gr\xc3\xbc n #1", NULL, "/b", 7, "f:4");
}
END_TEST

START_TEST(test_several_on_a_line)
{
	parse("\xEF\xBB\xBF"
	      "FRIENDLYNAME A LIBPATH /a CHANNELID 1\r\nFRIENDLYNAME B LIBPATH /b CHANNELID 2");
	ck_assert_uint_eq(conf.errors, 0);
	ck_assert_uint_eq(conf.count, 2);
	expect(1, "B", NULL, "/b", 2, "f:2");
}
END_TEST

/* One reader is wrong in a way; the ones around it stand, and the line is named. */
static const struct {
	const char *wrong; /* in place of the second reader's lines */
	const char *error;
} faults[] = {
	{ "FRIENDLYNAME B\nLIBPATH /b\nCHANNELID seven\n", "f:6: CHANNELID \"seven\"" },
	{ "FRIENDLYNAME B\nLIBPATH /b\nCHANNELID -1\n", "f:6: CHANNELID \"-1\"" },
	{ "FRIENDLYNAME B\nLIBPATH /b\nCHANNELID 99999999999999999999999\n", "f:6: CHANNELID" },
	{ "FRIENDLYNAME B\nLIBPATH\nCHANNELID 1\n", "f:5: LIBPATH without a value" },
	{ "FRIENDLYNAME B\nLIBPATH \"/b\nCHANNELID 1\n", "f:5: a quote is not closed" },
	{ "FRIENDLYNAME 'B\nLIBPATH /b\nCHANNELID 1\n", "f:4: a quote is not closed" },
	{ "FRIENDLYNAME \"\"\nLIBPATH /b\nCHANNELID 1\n", "f:4: FRIENDLYNAME is empty" },
	{ "FRIENDLYNAME B\nLIBPATH /b\x01\nCHANNELID 1\n", "f:5: a control character" },
	{ "FRIENDLYNAME B\nCHANNELID 1\n", "f:4: this reader has no LIBPATH" },
	{ "FRENDLYNAME B\nLIBPATH /b\nCHANNELID 1\n", "f:4: unknown keyword \"FRENDLYNAME\"" },
	{ "FRIENDLYNAME B\nLIBPHAT /b\nCHANNELID 1\n", "f:5: unknown keyword \"LIBPHAT\"" },
	{ "FRIENDLYNAME B\na b c d e f g h i j k l m n o p q r\nCHANNELID 1\n",
		"f:5: too many words" },
};

START_TEST(test_fault)
{
	char text[512];

	sprintf(text,
		"FRIENDLYNAME A\nLIBPATH /a\nCHANNELID 0\n%sFRIENDLYNAME C\nLIBPATH /c\nCHANNELID "
		"2\n",
		faults[_i].wrong);
	parse(text);
	ck_assert_uint_eq(conf.count, 2);
	expect(0, "A", NULL, "/a", 0, "f:1");
	ck_assert_str_eq(conf.readers[1].name, "C");
	ck_assert_str_eq(conf.readers[1].library, "/c");
	ck_assert_uint_eq(conf.readers[1].channel, 2);
	expect_error(faults[_i].error);
	ck_assert_uint_eq(conf.errors, capture_lines(said));
}
END_TEST

/* A keyword nobody knows doesn't cost a reader that is whole without it. */
START_TEST(test_unknown_keyword)
{
	parse("FRIENDLYNAME A\nCOLOUR red\nLIBPATH /a\nCHANNELID 1\n");
	ck_assert_uint_eq(conf.count, 1);
	ck_assert_uint_eq(conf.errors, 1);
	expect_error("f:2: unknown keyword \"COLOUR\"");
}
END_TEST

/* With its name mistyped a reader must not get the name, or the device, of the next one. */
START_TEST(test_no_mixture)
{
	parse("FRENDLYNAME A\nDEVICENAME d1\nLIBPATH /l1\n"
	      "FRIENDLYNAME B\nDEVICENAME d2\nLIBPATH /l2\n");
	ck_assert_uint_eq(conf.count, 1);
	expect(0, "B", "d2", "/l2", 0, "f:4");
	parse("DEVICENAME d1\nFRENDLYNAME A\nLIBPATH /l1\n"
	      "DEVICENAME d2\nFRIENDLYNAME B\nLIBPATH /l2\n");
	ck_assert_uint_eq(conf.count, 1);
	expect(0, "B", "d2", "/l2", 0, "f:4");
}
END_TEST

/* A file that is something else altogether: a bounded number of lines, and no reader. */
START_TEST(test_something_else)
{
	char text[100 * 32] = "";

	for (int i = 0; i < 100; i++)
		sprintf(text + strlen(text), "some words, %d of them\n", i);
	parse(text);
	ck_assert_uint_eq(conf.count, 0);
	ck_assert_uint_eq(conf.errors, 100);
	ck_assert_uint_eq(capture_lines(said), 21);
	expect_error("f: 80 more errors");
}
END_TEST

START_TEST(test_empty)
{
	parse("");
	ck_assert_uint_eq(conf.count + conf.errors, 0);
	parse("\n\n# nothing\n   \t\n");
	ck_assert_uint_eq(conf.count + conf.errors, 0);
	parse("#DEVICENAME        /dev/ttySn[:reader]\n#FRIENDLYNAME      \"GemPCTwin serial\"\n");
	ck_assert_uint_eq(conf.count + conf.errors, 0);
}
END_TEST

static void put(const char *folder, const char *name, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
}

START_TEST(test_folder)
{
	char folder[] = "/tmp/readers_conf.XXXXXX";
	static const char *const names[] = { "b", "a", ".hidden", "old~", "x.dpkg-old", "target" };
	char path[256];
	char from[256];

	ck_assert_ptr_nonnull(mkdtemp(folder));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char text[128];

		sprintf(text, "FRIENDLYNAME %s\nLIBPATH /l\nCHANNELID 1\n", names[i]);
		put(folder, names[i], text);
	}
	snprintf(path, sizeof(path), "%s/0link", folder);
	ck_assert_int_eq(symlink("target", path), 0);
	snprintf(path, sizeof(path), "%s/dangling", folder);
	ck_assert_int_eq(symlink("nothing", path), 0);
	snprintf(path, sizeof(path), "%s/fifo", folder);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	snprintf(path, sizeof(path), "%s/folder", folder);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	free(said);
	capture_begin();
	ck_assert_int_eq(readers_conf_load(&conf, folder), 0);
	said = capture_end();
	ck_assert_uint_eq(conf.count, 4);
	ck_assert_str_eq(conf.readers[0].name, "target");
	ck_assert_str_eq(conf.readers[1].name, "a");
	ck_assert_str_eq(conf.readers[2].name, "b");
	ck_assert_uint_eq(conf.errors, 1);
	expect_error("/dangling: No such file or directory");
	readers_conf_free(&conf);
	snprintf(from, sizeof(from), "%s/a", folder);
	ck_assert_int_eq(readers_conf_load(&conf, from), 0);
	ck_assert_uint_eq(conf.count, 1);
	snprintf(from, sizeof(from), "rm -r %s", folder);
	ck_assert_int_eq(system(from), 0);
	ck_assert_int_eq(readers_conf_load(&conf, folder), -1);
	ck_assert_int_eq(errno, ENOENT);
}
END_TEST

/* The examples that are installed are right once the comment signs are taken off. */
START_TEST(test_examples)
{
	static const char *const names[] = { "serial", "usbip", "vpcd" };
	static const size_t readers[] = { 1, 2, 1 };
	char path[512];
	char line[256];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char text[4096] = "";
		FILE *file;

		snprintf(path, sizeof(path), "%s/%s.conf", READERS_D, names[i]);
		file = fopen(path, "r");
		ck_assert_ptr_nonnull(file);
		while (fgets(line, sizeof(line), file))
			strcat(text, line[0] == '#' && line[1] >= 'A' && line[1] <= 'Z' ? line + 1
											: line);
		fclose(file);
		parse(text);
		ck_assert_msg(conf.errors == 0, "%s", said);
		ck_assert_uint_eq(conf.count, readers[i]);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("readers_conf");
	TCase *tests = tcase_create("grammar");

	tcase_add_checked_fixture(tests, NULL, teardown);
	tcase_add_test(tests, test_one_reader);
	tcase_add_test(tests, test_any_order);
	tcase_add_test(tests, test_channel_or_device);
	tcase_add_test(tests, test_power);
	tcase_add_test(tests, test_power_faults);
	tcase_add_test(tests, test_quotes);
	tcase_add_test(tests, test_several_on_a_line);
	tcase_add_loop_test(tests, test_fault, 0, sizeof(faults) / sizeof(faults[0]));
	tcase_add_test(tests, test_unknown_keyword);
	tcase_add_test(tests, test_no_mixture);
	tcase_add_test(tests, test_something_else);
	tcase_add_test(tests, test_empty);
	tcase_add_test(tests, test_folder);
	tcase_add_test(tests, test_examples);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
