/* SPDX-License-Identifier: BSD-3-Clause */
/* What pcscctl finds out by itself. */
#include <stdio.h>
#include <string.h>

#include "suite.h"
#include "tools/process.h"
#include "tools/report_device.h"
#include "tools/text.h"
#include "wire/status_path.h"

static const char *snap_of(const char *unit)
{
	static char snap[PROCESS_TEXT];

	process_snap_of_unit(unit, snap);
	return snap;
}

static const char *flatpak_of(const char *info)
{
	static char flatpak[PROCESS_TEXT];

	process_flatpak_of_info(info, flatpak);
	return flatpak;
}

START_TEST(test_snap)
{
	ck_assert_str_eq(snap_of("snap.firefox.firefox-1234.scope"), "firefox");
	ck_assert_str_eq(snap_of("snap.lxd.daemon.service"), "lxd");
	ck_assert_str_eq(snap_of("snap.firefox"), "");
	ck_assert_str_eq(snap_of("snapd.service"), "");
	ck_assert_str_eq(snap_of(""), "");
}
END_TEST

START_TEST(test_flatpak)
{
	ck_assert_str_eq(flatpak_of("[Application]\nname=org.a.B\nruntime=x\n"), "org.a.B");
	ck_assert_str_eq(
		flatpak_of("[Instance]\nname=no\n\n[Application]\nname=org.a.B"), "org.a.B");
	ck_assert_str_eq(flatpak_of("[Application]\nruntime=x\n[Context]\nname=no\n"), "");
	ck_assert_str_eq(flatpak_of("name=no\n"), "");
	ck_assert_str_eq(flatpak_of("[Application]\nname=\n"), "");
	ck_assert_str_eq(flatpak_of(""), "");
}
END_TEST

START_TEST(test_long_flatpak)
{
	char info[600] = "[Application]\nname=";

	memset(info + strlen(info), 'x', 500);
	ck_assert_uint_eq(strlen(flatpak_of(info)), PROCESS_TEXT - 1);
}
END_TEST

START_TEST(test_no_process)
{
	struct process process;

	process_look_up(0, &process);
	ck_assert_str_eq(process.unit, "");
	ck_assert_str_eq(process.flatpak, "");
	ck_assert_str_eq(process.snap, "");
}
END_TEST

START_TEST(test_status_path)
{
	char path[32];

	ck_assert(wire_status_path("/run/pcscd/pcscd.comm", path, sizeof(path)));
	ck_assert_str_eq(path, "/run/pcscd/pcscd.status");
	ck_assert(wire_status_path("/tmp/x", path, sizeof(path)));
	ck_assert_str_eq(path, "/tmp/x.status");
	ck_assert(!wire_status_path("/run/a-rather-long-name/pcscd", path, sizeof(path)));
	ck_assert(wire_status_path("/tmp/xxxxxxxxxxxxxxxxxxx", path, sizeof(path)));
	ck_assert(!wire_status_path("/tmp/xxxxxxxxxxxxxxxxxxxx", path, sizeof(path)));
}
END_TEST

START_TEST(test_clean)
{
	static const struct {
		const char *text, *clean;
	} cases[] = {
		{ "", "" },
		{ "Z\xC3\xA4hler \xE2\x82\xAC \xF0\x9F\x92\xB3 ~",
			"Z\xC3\xA4hler \xE2\x82\xAC \xF0\x9F\x92\xB3 ~" },
		/* commands to a terminal, of one byte and of two */
		{ "\x1B[2J\r\n\x7F", "?[2J???" },
		{ "\xC2\x9B"
		  "2J\xC2\xA0",
			"??"
			"2J\xC2\xA0" },
		/* cut, lone, too long, a surrogate, beyond the end of Unicode */
		{ "\xC3", "?" },
		{ "\xE2\x82", "??" },
		{ "\x80"
		  "a\xFF",
			"?a?" },
		{ "\xC1\x81 \xE0\x80\x80 \xF0\x80\x80\x80", "?? ??? ????" },
		{ "\xED\xA0\x80 \xED\x9F\xBF", "??? \xED\x9F\xBF" },
		{ "\xF4\x90\x80\x80 \xF4\x8F\xBF\xBF", "???? \xF4\x8F\xBF\xBF" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[32];

		snprintf(text, sizeof(text), "%s", cases[i].text);
		text_clean(text);
		ck_assert_str_eq(text, cases[i].clean);
	}
	ck_assert_str_eq(flatpak_of("[Application]\nname=org.\x1B[2J\xFF\n"), "org.?[2J?");
}
END_TEST

START_TEST(test_mask)
{
	static char serial[] = "4711-0815", another[] = "0815", tiny[] = "471";
	char *texts[] = { serial, another, tiny };
	const struct report_hidden hidden = { texts, 3 };
	char text[] = "a 4711-0815, 4711-08154711-0815, 0815 and 471";

	report_mask(&hidden, text);
	ck_assert_str_eq(text, "a *********, ******************, **** and 471");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tools");
	TCase *tests = tcase_create("tools");

	tcase_add_test(tests, test_snap);
	tcase_add_test(tests, test_flatpak);
	tcase_add_test(tests, test_long_flatpak);
	tcase_add_test(tests, test_no_process);
	tcase_add_test(tests, test_status_path);
	tcase_add_test(tests, test_clean);
	tcase_add_test(tests, test_mask);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
