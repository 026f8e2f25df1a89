/* SPDX-License-Identifier: BSD-3-Clause */
/* Who may use readers: static rules, and a made-up polkit on a bus of the test's own. */
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "capture.h"
#include "suite.h"
#include "pcscd/clients/access.h"
#include "pcscd/log.h"

#define BUS_DAEMON "/usr/bin/dbus-daemon"
#define SOME_UID   12345 /* nobody's */
#define PATIENCE_S 20

/* The bus, and the authority on it. */

static char folder[] = "/tmp/access.XXXXXX";
static pid_t bus_daemon = -1;
static pthread_t authority;
static atomic_bool authority_stop;
static bool authority_runs;
static uint64_t seen_start_time;
static uint32_t seen_pid;
static int32_t seen_uid;
static char seen_action[128];
static char seen_reader[128];
static char seen_id[128];    /* the question's, by which it can be taken back */
static sem_t cancelled;      /* the question `held` was taken back */
static sd_bus_message *held; /* a question that the authority doesn't answer for now */

static int read_subject(sd_bus_message *call)
{
	const char *kind;
	const char *key;
	int r = sd_bus_message_enter_container(call, 'r', "sa{sv}");

	if (r < 0 || (r = sd_bus_message_read(call, "s", &kind)) < 0 ||
		(r = sd_bus_message_enter_container(call, 'a', "{sv}")) < 0)
		return r;
	while (sd_bus_message_enter_container(call, 'e', "sv") > 0) {
		sd_bus_message_read(call, "s", &key);
		if (strcmp(key, "pid") == 0)
			r = sd_bus_message_read(call, "v", "u", &seen_pid);
		else if (strcmp(key, "uid") == 0)
			r = sd_bus_message_read(call, "v", "i", &seen_uid);
		else if (strcmp(key, "start-time") == 0)
			r = sd_bus_message_read(call, "v", "t", &seen_start_time);
		else
			r = sd_bus_message_skip(call, "v");
		if (r < 0)
			return r;
		sd_bus_message_exit_container(call);
	}
	sd_bus_message_exit_container(call);
	return sd_bus_message_exit_container(call);
}

static int reply(sd_bus_message *call, int yes)
{
	return sd_bus_reply_method_return(call, "(bba{ss})", yes, 0, 0);
}

/* Says yes to the reader "good" and to connections; holds its tongue about "slow". */
static int check_authorization(sd_bus_message *call, void *context, sd_bus_error *error)
{
	const char *action;
	const char *key;
	const char *value;
	const char *id;
	uint32_t flags;
	int r = read_subject(call);

	(void)context;
	(void)error;
	if (r < 0 || (r = sd_bus_message_read(call, "s", &action)) < 0)
		return r;
	snprintf(seen_action, sizeof(seen_action), "%s", action);
	seen_reader[0] = '\0';
	sd_bus_message_enter_container(call, 'a', "{ss}");
	while (sd_bus_message_read(call, "{ss}", &key, &value) > 0)
		if (strcmp(key, "reader") == 0)
			snprintf(seen_reader, sizeof(seen_reader), "%s", value);
	sd_bus_message_exit_container(call);
	r = sd_bus_message_read(call, "us", &flags, &id);
	if (r < 0)
		return r;
	if (strcmp(seen_reader, "slow") == 0) {
		snprintf(seen_id, sizeof(seen_id), "%s", id);
		held = sd_bus_message_ref(call);
		return 1;
	}
	if (strcmp(seen_reader, "strange") == 0)
		return sd_bus_reply_method_errorf(
			call, "org.freedesktop.PolicyKit1.Error.Failed", "who is that?");
	return reply(call, seen_reader[0] == '\0' || strcmp(seen_reader, "good") == 0);
}

/* As polkit does: the question is answered with an error. */
static int cancel_check(sd_bus_message *call, void *context, sd_bus_error *error)
{
	const char *id;
	int r = sd_bus_message_read(call, "s", &id);

	(void)context;
	(void)error;
	if (r < 0)
		return r;
	if (held && strcmp(id, seen_id) == 0) {
		sd_bus_reply_method_errorf(
			held, "org.freedesktop.PolicyKit1.Error.Cancelled", "taken back");
		held = sd_bus_message_unref(held);
		sem_post(&cancelled);
	}
	return sd_bus_reply_method_return(call, "");
}

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD(
		"CancelCheckAuthorization", "s", "", cancel_check, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("CheckAuthorization", "(sa{sv})sa{ss}us", "(bba{ss})", check_authorization,
		SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

static sem_t authority_ready;

static void *run_authority(void *unused)
{
	sd_bus *bus = NULL;

	(void)unused;
	if (sd_bus_open_system(&bus) < 0 ||
		sd_bus_add_object_vtable(bus, NULL, "/org/freedesktop/PolicyKit1/Authority",
			"org.freedesktop.PolicyKit1.Authority", vtable, NULL) < 0 ||
		sd_bus_request_name(bus, "org.freedesktop.PolicyKit1", 0) < 0)
		abort();
	sem_post(&authority_ready);
	while (!atomic_load(&authority_stop)) {
		while (sd_bus_process(bus, NULL) > 0)
			;
		sd_bus_wait(bus, 50000);
	}
	held = sd_bus_message_unref(held);
	sd_bus_flush_close_unref(bus);
	return NULL;
}

static void start_bus(void)
{
	char path[256];
	char config[256];
	int ready[2];
	char line[256];
	FILE *file;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "unix:path=%s/bus", folder);
	setenv("DBUS_SYSTEM_BUS_ADDRESS", path, 1);
	snprintf(config, sizeof(config), "%s/conf", folder);
	file = fopen(config, "w");
	ck_assert_ptr_nonnull(file);
	fprintf(file,
		"<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration "
		"1.0//EN\" "
		"\"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"
		"<busconfig><type>session</type><listen>%s</listen><auth>EXTERNAL</auth>"
		"<policy context=\"default\"><allow send_destination=\"*\" "
		"eavesdrop=\"true\"/><allow eavesdrop=\"true\"/>"
		"<allow own=\"*\"/><allow user=\"*\"/></policy></busconfig>\n",
		path);
	fclose(file);
	ck_assert_int_eq(pipe(ready), 0);
	bus_daemon = fork();
	if (bus_daemon == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (!freopen("/dev/null", "w", stderr))
			_exit(126);
		char option[300];
		char address[32];

		snprintf(option, sizeof(option), "--config-file=%s", config);
		snprintf(address, sizeof(address), "--print-address=%d", ready[1]);
		execl(BUS_DAEMON, BUS_DAEMON, option, "--nofork", address, (char *)NULL);
		_exit(127);
	}
	close(ready[1]);
	ck_assert_int_gt(read(ready[0], line, sizeof(line)), 0);
	close(ready[0]);
}

static void start_authority(void)
{
	atomic_store(&authority_stop, false);
	sem_init(&authority_ready, 0, 0);
	ck_assert_int_eq(pthread_create(&authority, NULL, run_authority, NULL), 0);
	sem_wait(&authority_ready);
	authority_runs = true;
}

static void stop_authority(void)
{
	if (!authority_runs)
		return;
	atomic_store(&authority_stop, true);
	pthread_join(authority, NULL);
	authority_runs = false;
}

static void stop_bus(void)
{
	char command[64];

	if (bus_daemon <= 0)
		return;
	kill(bus_daemon, SIGTERM);
	waitpid(bus_daemon, NULL, 0);
	bus_daemon = -1;
	snprintf(command, sizeof(command), "rm -r %s", folder);
	ck_assert_int_eq(system(command), 0);
}

/* The client, and the verdicts it gets. */

static struct options options;
static struct access *access_rules;
static int pair[2] = { -1, -1 };
static sem_t answered;
static atomic_int verdicts[8]; /* by ticket: 0 none, 1 denied, 2 allowed */

static void on_verdict(uint64_t ticket, bool allowed)
{
	atomic_store(&verdicts[ticket], allowed ? 2 : 1);
	sem_post(&answered);
}

static void setup(void)
{
	memset(&options, 0, sizeof(options));
	options.polkit = true;
	for (size_t i = 0; i < 8; i++)
		atomic_store(&verdicts[i], 0);
	sem_init(&answered, 0, 0);
	sem_init(&cancelled, 0, 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	access_rules = access_open(&options, on_verdict);
	ck_assert_ptr_nonnull(access_rules);
}

static void teardown(void)
{
	access_close(access_rules);
	access_rules = NULL;
	stop_authority();
	stop_bus();
	close(pair[0]);
	close(pair[1]);
}

static enum access_verdict check(uid_t uid, gid_t gid, const char *reader, uint64_t ticket)
{
	struct peer peer = { .pid = getpid(), .uid = uid, .gid = gid };

	return access_check(
		access_rules, &peer, pair[0], reader ? ACCESS_CARD : ACCESS_PCSC, reader, ticket);
}

/* Waits for the verdict on a ticket: 1 denied, 2 allowed. */
static int verdict(uint64_t ticket)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_S;
	while (atomic_load(&verdicts[ticket]) == 0)
		ck_assert_int_eq(sem_timedwait(&answered, &until), 0);
	return atomic_load(&verdicts[ticket]);
}

START_TEST(test_static)
{
	char *said;

	ck_assert_int_eq(check(0, 0, NULL, 0), ACCESS_ALLOWED);
	ck_assert_int_eq(check(geteuid(), SOME_UID, NULL, 0), ACCESS_ALLOWED);
	options.polkit = false;
	ck_assert_int_eq(check(SOME_UID, SOME_UID, NULL, 0), ACCESS_ALLOWED);
	options.allow[0] = (struct allow_rule){ .group = false, .id = SOME_UID };
	options.allow[1] = (struct allow_rule){ .group = true, .id = SOME_UID + 1 };
	options.allow_count = 2;
	ck_assert_int_eq(check(SOME_UID, 1, NULL, 0), ACCESS_ALLOWED);
	ck_assert_int_eq(check(SOME_UID + 9, SOME_UID + 1, "r", 0), ACCESS_ALLOWED);
	capture_begin();
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(check(SOME_UID + 1, SOME_UID, "My Reader", 0), ACCESS_DENIED);
	said = capture_end();
	/* one line, which names program, user, action, reader and remedy */
	ck_assert_uint_eq(capture_lines(said), 1);
	ck_assert_ptr_nonnull(strstr(said, "test_access"));
	ck_assert_ptr_nonnull(strstr(said, "uid 12346"));
	ck_assert_ptr_nonnull(strstr(said, "org.debian.pcsc-lite.access_card on My Reader"));
	ck_assert_ptr_nonnull(strstr(said, "--allow uid:12346"));
	free(said);
}
END_TEST

START_TEST(test_no_bus)
{
	char *said;

	setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere/bus", 1);
	capture_begin();
	ck_assert_int_eq(check(SOME_UID, 1, NULL, 1), ACCESS_PENDING);
	ck_assert_int_eq(verdict(1), 1);
	ck_assert_int_eq(check(SOME_UID, 1, NULL, 2), ACCESS_PENDING);
	ck_assert_int_eq(verdict(2), 1);
	said = capture_end();
	ck_assert_uint_eq(capture_lines(said), 2);
	ck_assert_ptr_nonnull(strstr(said, "polkit cannot be asked"));
	free(said);
}
END_TEST

START_TEST(test_polkit)
{
	FILE *stat;
	unsigned long long start_time = 0;
	char *said;

	start_bus();
	start_authority();
	ck_assert_int_eq(check(SOME_UID, 1, NULL, 1), ACCESS_PENDING);
	ck_assert_int_eq(verdict(1), 2);
	ck_assert_str_eq(seen_action, "org.debian.pcsc-lite.access_pcsc");
	ck_assert_str_eq(seen_reader, "");
	ck_assert_uint_eq(seen_pid, (uint32_t)getpid());
	ck_assert_int_eq(seen_uid, SOME_UID);
	stat = fopen("/proc/self/stat", "r");
	ck_assert_ptr_nonnull(stat);
	ck_assert_int_eq(
		fscanf(stat,
			"%*d (%*[^)]) %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
			"%*s %*s %*s %*s %llu",
			&start_time),
		1);
	fclose(stat);
	ck_assert_uint_eq(seen_start_time, start_time);
	ck_assert_int_eq(check(SOME_UID, 1, "good", 2), ACCESS_PENDING);
	ck_assert_int_eq(verdict(2), 2);
	ck_assert_str_eq(seen_action, "org.debian.pcsc-lite.access_card");
	capture_begin();
	ck_assert_int_eq(check(SOME_UID, 1, "bad", 3), ACCESS_PENDING);
	ck_assert_int_eq(verdict(3), 1);
	said = capture_end();
	ck_assert_ptr_nonnull(strstr(said, "polkit says no"));
	free(said);
	capture_begin();
	ck_assert_int_eq(check(SOME_UID + 1, 1, "strange", 4), ACCESS_PENDING);
	ck_assert_int_eq(verdict(4), 1);
	said = capture_end();
	ck_assert_uint_eq(capture_lines(said), 1);
	ck_assert_ptr_nonnull(strstr(said, ": who is that?;"));
	free(said);
	/* A name that is no text is a question like others. */
	capture_begin();
	ck_assert_int_eq(check(SOME_UID + 2, 1, "odd\xFF\xED\xA0\x80", 5), ACCESS_PENDING);
	ck_assert_int_eq(verdict(5), 1);
	said = capture_end();
	ck_assert_str_eq(seen_reader, "odd????");
	ck_assert_uint_eq(capture_lines(said), 1);
	ck_assert_ptr_nonnull(strstr(said, "polkit says no"));
	free(said);
}
END_TEST

/* A peer in a container whose processes this pid namespace doesn't show. */
START_TEST(test_unseen)
{
	struct peer peer = { .pid = 0, .uid = SOME_UID, .gid = 1 };
	char *said;

	capture_begin();
	ck_assert_int_eq(
		access_check(access_rules, &peer, pair[0], ACCESS_PCSC, NULL, 1), ACCESS_DENIED);
	said = capture_end();
	ck_assert_ptr_nonnull(strstr(said, "is in a container"));
	free(said);
	options.allow[0].id = SOME_UID;
	options.allow_count = 1;
	ck_assert_int_eq(
		access_check(access_rules, &peer, pair[0], ACCESS_PCSC, NULL, 1), ACCESS_ALLOWED);
}
END_TEST

/* A password typed for minutes doesn't keep others waiting; closing doesn't wait for it either. */
START_TEST(test_slow)
{
	start_bus();
	start_authority();
	ck_assert_int_eq(check(SOME_UID, 1, "slow", 1), ACCESS_PENDING);
	ck_assert_int_eq(check(SOME_UID, 1, "good", 2), ACCESS_PENDING);
	ck_assert_int_eq(verdict(2), 2);
	ck_assert_int_eq(atomic_load(&verdicts[1]), 0);
	access_close(access_rules);
	access_rules = access_open(&options, on_verdict);
	ck_assert_int_eq(atomic_load(&verdicts[1]), 0);
}
END_TEST

/* The client leaves while polkit asks its user: nobody is asked any more, and nothing is logged. */
START_TEST(test_cancel)
{
	struct timespec until;
	char *said;

	start_bus();
	start_authority();
	capture_begin();
	ck_assert_int_eq(check(SOME_UID, 1, "slow", 1), ACCESS_PENDING);
	ck_assert_int_eq(check(SOME_UID, 1, "good", 2), ACCESS_PENDING);
	ck_assert_int_eq(verdict(2), 2);
	access_cancel(access_rules, 1);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_S;
	ck_assert_int_eq(sem_timedwait(&cancelled, &until), 0);
	/* A ticket that nothing was asked with, or that has its answer. */
	access_cancel(access_rules, 2);
	access_cancel(access_rules, 7);
	ck_assert_int_eq(check(SOME_UID, 1, "good", 3), ACCESS_PENDING);
	ck_assert_int_eq(verdict(3), 2);
	ck_assert_int_eq(atomic_load(&verdicts[1]), 0);
	said = capture_end();
	ck_assert_uint_eq(capture_lines(said), 0);
	free(said);
}
END_TEST

/* The authority vanishes while it is asked; the next question finds the next one. */
START_TEST(test_polkit_restarts)
{
	char *said;

	start_bus();
	start_authority();
	capture_begin();
	ck_assert_int_eq(check(SOME_UID, 1, "slow", 1), ACCESS_PENDING);
	ck_assert_int_eq(check(SOME_UID, 1, "good", 2), ACCESS_PENDING);
	ck_assert_int_eq(verdict(2), 2);
	stop_authority();
	ck_assert_int_eq(verdict(1), 1);
	start_authority();
	ck_assert_int_eq(check(SOME_UID, 1, "good", 3), ACCESS_PENDING);
	ck_assert_int_eq(verdict(3), 2);
	kill(bus_daemon, SIGSTOP);
	ck_assert_int_eq(check(SOME_UID, 1, "good", 4), ACCESS_PENDING);
	kill(bus_daemon, SIGCONT);
	ck_assert_int_eq(verdict(4), 2);
	said = capture_end();
	free(said);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("access");
	TCase *rules = tcase_create("rules");
	TCase *bus = tcase_create("polkit");

	tcase_add_checked_fixture(rules, setup, teardown);
	tcase_add_test(rules, test_static);
	tcase_add_test(rules, test_no_bus);
	tcase_add_test(rules, test_unseen);
	suite_add_tcase(suite, rules);
	tcase_add_checked_fixture(bus, setup, teardown);
	tcase_set_timeout(bus, 60);
	if (access(BUS_DAEMON, X_OK) == 0) {
		tcase_add_test(bus, test_polkit);
		tcase_add_test(bus, test_slow);
		tcase_add_test(bus, test_cancel);
		tcase_add_test(bus, test_polkit_restarts);
	} else {
		printf("no %s: the questions to polkit are not tested\n", BUS_DAEMON);
	}
	suite_add_tcase(suite, bus);
	return suite_run(suite);
}
