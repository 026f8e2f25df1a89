/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line: pcsc-lite's options mean what they mean there, ours what pcscd(8) says. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "suite.h"
#include "pcscd/config.h"
#include "pcscd/log.h"
#include "pcscd/options.h"

static struct options options;
static char *said;

/* Parses "pcscd" and the words of `line`. */
static enum options_result parse(const char *line)
{
	char *copy = strdup(line);
	char *argv[32] = { "pcscd" };
	enum options_result result;
	int argc = 1;

	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	options_free(&options);
	free(said);
	capture_begin();
	result = options_parse(&options, argc, argv);
	said = capture_end();
	free(copy);
	return result;
}

static void setup(void)
{
	unsetenv("PCSCLITE_CSOCK_NAME");
	unsetenv("PCSCLITE_HP_DROPDIR");
	unsetenv("STATE_DIRECTORY");
	/* what is wrong is told on standard error */
	ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
}

static void teardown(void)
{
	options_free(&options);
	free(said);
}

START_TEST(test_defaults)
{
	ck_assert_int_eq(parse(""), OPTIONS_RUN);
	ck_assert_str_eq(options.socket, CARDWIRE_IPCDIR "/pcscd.comm");
	ck_assert_str_eq(options.pid_file, CARDWIRE_IPCDIR "/pcscd.pid");
	ck_assert_str_eq(options.config, CARDWIRE_CONFDIR);
	ck_assert_str_eq(options.drivers, CARDWIRE_USBDROPDIR);
	ck_assert(!options.foreground && !options.apdu && !options.auto_exit && options.polkit);
	ck_assert(!options.config_chosen && !options.socket_chosen && !options.hotplug_request);
	ck_assert_int_eq(options.log_level, PCSC_LOG_ERROR);
	ck_assert_uint_eq(options.max_contexts, 0);
	ck_assert_uint_eq(options.max_connections_per_user, UINT_MAX);
	ck_assert_int_eq(options.lease_ns, -1);
	ck_assert_int_eq(options.power_grace_ns, INT64_C(5000000000));
	ck_assert_int_eq(options.ready_fd, -1);
	ck_assert_ptr_null(options.state);
}
END_TEST

START_TEST(test_pcsclite)
{
	ck_assert_int_eq(parse("-f -a -d -x -S -I -t 1 -s 2 -r 3 -c /etc/x"), OPTIONS_RUN);
	ck_assert(options.foreground && options.apdu && options.auto_exit);
	ck_assert(options.no_serial_in_name && options.no_interface_in_name);
	ck_assert_uint_eq(options.max_contexts, 1);
	ck_assert_uint_eq(options.max_handles_per_context, 2);
	ck_assert_uint_eq(options.max_handles_per_reader, 3);
	ck_assert_str_eq(options.config, "/etc/x");
	ck_assert(options.config_chosen);
	ck_assert_int_eq(options.log_level, PCSC_LOG_DEBUG);
	ck_assert_int_eq(
		parse("--foreground --apdu --info --auto-exit --reader-name-no-serial "
		      "--reader-name-no-interface --max-thread 4 --max-card-handle-per-thread=5 "
		      "--max-card-handle-per-reader 6 --config=/y --force-reader-polling "
		      "--disable-polkit --color"),
		OPTIONS_RUN);
	ck_assert(options.foreground && options.apdu && options.auto_exit && options.colour);
	ck_assert(!options.polkit);
	ck_assert_uint_eq(options.max_contexts, 4);
	ck_assert_uint_eq(options.max_handles_per_context, 5);
	ck_assert_uint_eq(options.max_handles_per_reader, 6);
	ck_assert_int_eq(options.poll_bus_ns, INT64_C(1000000000));
	ck_assert_int_eq(options.log_level, PCSC_LOG_INFO);
	ck_assert_int_eq(parse("-C -T -H --force-reader-polling=3"), OPTIONS_RUN);
	ck_assert_int_eq(options.log_level, PCSC_LOG_CRITICAL);
	ck_assert(options.hotplug_request && options.colour);
	ck_assert_int_eq(options.poll_bus_ns, INT64_C(3000000000));
	ck_assert_int_eq(parse("-d -e"), OPTIONS_RUN);
	ck_assert_int_eq(options.log_level, PCSC_LOG_ERROR);
}
END_TEST

START_TEST(test_ours)
{
	ck_assert_int_eq(parse("--socket /tmp/x --drivers /d --state /st --ready-fd 7 --lease 0.5 "
			       "--power-grace 0 --max-connections-per-user 9 --array-socket /y:32 "
			       "--allow uid:7 --allow gid:8 --allow root --allow @root "
			       "--allow uid:4294967294"),
		OPTIONS_RUN);
	ck_assert_str_eq(options.socket, "/tmp/x");
	ck_assert_str_eq(options.pid_file, "/tmp/x.pid");
	ck_assert_str_eq(options.drivers, "/d");
	ck_assert_str_eq(options.state, "/st");
	ck_assert_int_eq(options.ready_fd, 7);
	ck_assert_int_eq(options.lease_ns, 500000000);
	ck_assert_int_eq(options.power_grace_ns, 0);
	ck_assert_uint_eq(options.max_connections_per_user, 9);
	ck_assert_str_eq(options.array_socket, "/y");
	ck_assert_uint_eq(options.array_length, 32);
	ck_assert_uint_eq(options.allow_count, 5);
	ck_assert(!options.allow[0].group && options.allow[0].id == 7);
	ck_assert(options.allow[1].group && options.allow[1].id == 8);
	ck_assert(!options.allow[2].group && options.allow[2].id == 0);
	ck_assert(options.allow[3].group && options.allow[3].id == 0);
	ck_assert(!options.allow[4].group && options.allow[4].id == 4294967294);
}
END_TEST

START_TEST(test_relative)
{
	char *here = getcwd(NULL, 0);
	char expected[PATH_MAX + 16];

	ck_assert_int_eq(parse("--socket a/b"), OPTIONS_RUN);
	snprintf(expected, sizeof(expected), "%s/a/b", here);
	ck_assert_str_eq(options.socket, expected);
	free(here);
}
END_TEST

START_TEST(test_environment)
{
	setenv("PCSCLITE_CSOCK_NAME", "/tmp/env", 1);
	setenv("PCSCLITE_HP_DROPDIR", "/envdrivers", 1);
	setenv("STATE_DIRECTORY", "/envstate", 1);
	ck_assert_int_eq(parse(""), OPTIONS_RUN);
	ck_assert_str_eq(options.socket, "/tmp/env");
	ck_assert_str_eq(options.pid_file, "/tmp/env.pid");
	ck_assert_str_eq(options.drivers, "/envdrivers");
	ck_assert_str_eq(options.state, "/envstate");
	ck_assert_int_eq(parse("--socket /tmp/line"), OPTIONS_RUN);
	ck_assert_str_eq(options.socket, "/tmp/line");
	/* as a service's settings may have them */
	setenv("PCSCLITE_CSOCK_NAME", "", 1);
	setenv("PCSCLITE_HP_DROPDIR", "", 1);
	setenv("STATE_DIRECTORY", "", 1);
	ck_assert_int_eq(parse(""), OPTIONS_RUN);
	ck_assert_str_eq(options.socket, CARDWIRE_IPCDIR "/pcscd.comm");
	ck_assert(!options.socket_chosen);
	ck_assert_str_eq(options.drivers, CARDWIRE_USBDROPDIR);
	ck_assert_ptr_null(options.state);
}
END_TEST

START_TEST(test_answers)
{
	ck_assert_int_eq(parse("-v"), OPTIONS_DONE);
	ck_assert_ptr_nonnull(strstr(said, "\nEnabled features: "));
	ck_assert_ptr_nonnull(strstr(said, "\nMAX_READERNAME: 128\n"));
	ck_assert_int_eq(parse("--help"), OPTIONS_DONE);
	ck_assert_ptr_nonnull(strstr(said, "Usage: pcscd"));
}
END_TEST

static const char *const wrong[] = { "--nonsense", "-z", "argument", "-f argument", "-t", "-t x",
	"-t -1", "-t 99999999999", "--lease -1", "--lease x", "--lease nan", "--lease 1e99",
	"--ready-fd x", "--array-socket /x", "--array-socket /x:0", "--array-socket /x:9999",
	"--array-socket :3", "--allow nosuchuserhere", "--allow @nosuchgrouphere", "--allow uid:x",
	"--allow uid:-1", "--allow uid:4294967295", "--allow gid:", "--force-reader-polling=0",
	"--socket=" };

START_TEST(test_wrong)
{
	ck_assert_msg(parse(wrong[_i]) == OPTIONS_ERROR, "%s", wrong[_i]);
	ck_assert_str_eq(said, "");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("options");
	TCase *tests = tcase_create("options");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, test_defaults);
	tcase_add_test(tests, test_pcsclite);
	tcase_add_test(tests, test_ours);
	tcase_add_test(tests, test_relative);
	tcase_add_test(tests, test_environment);
	tcase_add_test(tests, test_answers);
	tcase_add_loop_test(tests, test_wrong, 0, sizeof(wrong) / sizeof(wrong[0]));
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
