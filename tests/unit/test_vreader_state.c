/* SPDX-License-Identifier: BSD-3-Clause */
/* What a card remembers: the file's form, its lock, and that no kill leaves it half written.
 * CARDWIRE_KILLS: how often a writing process is killed (100). */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suite.h"
#include "vreader/cards/state.h"

static char folder[64], path[80], why[256];

static void setup(void)
{
	strcpy(folder, "/tmp/cardwire-state-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/card", folder);
}

static void teardown(void)
{
	char temporary[96];

	snprintf(temporary, sizeof(temporary), "%s.new", path);
	unlink(temporary);
	unlink(path);
	rmdir(folder);
}

static struct state *must_open(void)
{
	struct state *s = state_open(path, why, sizeof(why));

	ck_assert_msg(s, "%s", why);
	return s;
}

static void expect(const struct state *s, const char *name, const char *value)
{
	size_t len;
	const uint8_t *data = state_get(s, name, &len);

	ck_assert_ptr_nonnull(data);
	ck_assert_uint_eq(len, strlen(value));
	ck_assert_mem_eq(data, value, len);
}

START_TEST(remembers)
{
	struct state *s = must_open();
	size_t len;

	state_put(s, "a.one", "1", 1);
	state_put(s, "a.two", "zwei", 4);
	state_put(s, "b", "", 0);
	state_put_byte(s, "c", 200);
	ck_assert(state_commit(s));
	state_put(s, "a.one", "lost", 4);
	state_close(s);
	s = must_open();
	expect(s, "a.one", "1");
	expect(s, "a.two", "zwei");
	expect(s, "b", "");
	ck_assert_uint_eq(state_get_byte(s, "c", 0), 200);
	ck_assert_uint_eq(state_get_byte(s, "d", 7), 7);
	state_delete_all(s, "a.");
	state_delete(s, "b");
	ck_assert(state_commit(s));
	state_close(s);
	s = must_open();
	ck_assert_ptr_null(state_get(s, "a.one", &len));
	ck_assert_ptr_null(state_get(s, "b", &len));
	state_close(s);
}
END_TEST

START_TEST(belongs_to_one)
{
	struct state *s = must_open();

	ck_assert_ptr_null(state_open(path, why, sizeof(why)));
	ck_assert_ptr_nonnull(strstr(why, "in use"));
	/* The lock is on the newest file. */
	state_put(s, "a", "1", 1);
	ck_assert(state_commit(s));
	ck_assert_ptr_null(state_open(path, why, sizeof(why)));
	state_close(s);
	state_close(must_open());
}
END_TEST

/* Any byte changed, any tail cut off: refused, and the file stays as it is. */
START_TEST(damage_is_found)
{
	struct state *s = must_open();
	uint8_t bytes[512], copy[512];
	ssize_t n;
	int fd;

	state_put(s, "openpgp.pw1", "123456", 6);
	ck_assert(state_commit(s));
	state_close(s);
	fd = open(path, O_RDWR);
	n = read(fd, bytes, sizeof(bytes));
	ck_assert(n > 0 && n < (ssize_t)sizeof(bytes));
	for (ssize_t i = 0; i < n; i++) {
		memcpy(copy, bytes, (size_t)n);
		copy[i] ^= 0x01;
		ck_assert_int_eq(pwrite(fd, copy, (size_t)n, 0), n);
		s = state_open(path, why, sizeof(why));
		ck_assert_msg(!s, "byte %zd", i);
	}
	for (ssize_t i = n - 1; i > 0; i--) {
		ck_assert_int_eq(pwrite(fd, bytes, (size_t)n, 0), n);
		ck_assert_int_eq(ftruncate(fd, i), 0);
		ck_assert_ptr_null(state_open(path, why, sizeof(why)));
	}
	ck_assert_int_eq(pwrite(fd, bytes, (size_t)n, 0), n);
	close(fd);
	state_close(must_open());
}
END_TEST

/* A folder in the place of the temporary file: nothing can be written. */
START_TEST(failure_undoes)
{
	struct state *s = must_open();
	char temporary[96];

	state_put(s, "a", "old", 3);
	ck_assert(state_commit(s));
	snprintf(temporary, sizeof(temporary), "%s.new", path);
	ck_assert_int_eq(mkdir(temporary, 0700), 0);
	state_put(s, "a", "new", 3);
	state_put(s, "b", "new", 3);
	ck_assert(!state_commit(s));
	expect(s, "a", "old");
	rmdir(temporary);
	ck_assert(state_commit(s));
	state_close(s);
	s = must_open();
	expect(s, "a", "old");
	state_close(s);
}
END_TEST

/* What was left in the place of the temporary file, readable for all, does not make it so. */
START_TEST(is_private)
{
	struct state *s = must_open();
	char temporary[96];
	struct stat st;

	snprintf(temporary, sizeof(temporary), "%s.new", path);
	close(open(temporary, O_WRONLY | O_CREAT, 0666));
	ck_assert_int_eq(chmod(temporary, 0666), 0);
	state_put(s, "a", "1", 1);
	ck_assert(state_commit(s));
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	state_close(s);
}
END_TEST

/* A link to the file stays a link. */
START_TEST(follows_links)
{
	char link_path[96];
	struct state *s = must_open();
	struct stat st;

	state_close(s);
	snprintf(link_path, sizeof(link_path), "%s.link", path);
	ck_assert_int_eq(symlink(path, link_path), 0);
	s = state_open(link_path, why, sizeof(why));
	ck_assert_msg(s, "%s", why);
	state_put(s, "a", "1", 1);
	ck_assert(state_commit(s));
	state_close(s);
	ck_assert_int_eq(lstat(link_path, &st), 0);
	ck_assert(S_ISLNK(st.st_mode));
	ck_assert_int_eq(unlink(link_path), 0);
	s = must_open();
	expect(s, "a", "1");
	state_close(s);
}
END_TEST

/* No room: nothing is left beside the file, which is what it was. */
START_TEST(full_disk)
{
	struct state *s = must_open();
	char temporary[96], filler[4096] = "";
	struct rlimit limit, small;
	bool done;

	state_put(s, "a", "old", 3);
	ck_assert(state_commit(s));
	state_put(s, "b", filler, sizeof(filler));
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small = limit;
	small.rlim_cur = 512;
	/* Check writes files, too. */
	setrlimit(RLIMIT_FSIZE, &small);
	done = state_commit(s);
	setrlimit(RLIMIT_FSIZE, &limit);
	ck_assert(!done);
	snprintf(temporary, sizeof(temporary), "%s.new", path);
	ck_assert_int_eq(access(temporary, F_OK), -1);
	state_put(s, "a", "new", 3);
	ck_assert(state_commit(s));
	state_close(s);
	s = must_open();
	expect(s, "a", "new");
	state_close(s);
}
END_TEST

START_TEST(not_a_place)
{
	ck_assert_ptr_null(state_open("/nonexistent/card", why, sizeof(why)));
	ck_assert_ptr_null(state_open(folder, why, sizeof(why)));
}
END_TEST

/* Counts up in two strings, and tells each number that was committed. */
static void count_up(int out)
{
	struct state *s = state_open(path, why, sizeof(why));
	char filler[4096];
	size_t len;
	uint32_t n = 0;

	if (!s)
		_exit(1);
	memset(filler, 'x', sizeof(filler));
	if (state_get(s, "first", &len))
		memcpy(&n, state_get(s, "first", &len), sizeof(n));
	for (;;) {
		n++;
		state_put(s, "first", &n, sizeof(n));
		state_put(s, "filler", filler, n % sizeof(filler));
		state_put(s, "last", &n, sizeof(n));
		if (!state_commit(s) || write(out, &n, sizeof(n)) != sizeof(n))
			_exit(1);
	}
}

static uint32_t number(const struct state *s, const char *name)
{
	size_t len;
	const uint8_t *data = state_get(s, name, &len);
	uint32_t n = 0;

	if (data) {
		ck_assert_uint_eq(len, sizeof(n));
		memcpy(&n, data, sizeof(n));
	}
	return n;
}

static uint32_t kill_one(unsigned random)
{
	uint32_t told = 0, n;
	int ends[2], status;
	pid_t child;

	ck_assert_int_eq(pipe(ends), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		close(ends[0]);
		count_up(ends[1]);
	}
	close(ends[1]);
	for (unsigned i = 0; i < random % 8; i++)
		ck_assert_int_eq(read(ends[0], &told, sizeof(told)), sizeof(told));
	for (volatile unsigned i = 0; i < random / 8 % 100000; i++)
		;
	kill(child, SIGKILL);
	while (read(ends[0], &n, sizeof(n)) == sizeof(n))
		told = n;
	close(ends[0]);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSIGNALED(status));
	return told;
}

START_TEST(survives_kills)
{
	const char *text = getenv("CARDWIRE_KILLS");
	long kills = text ? strtol(text, NULL, 10) : 100;
	uint32_t before = 0;

	srandom(1);
	for (long i = 0; i < kills; i++) {
		uint32_t told = kill_one((unsigned)random());
		struct state *s = must_open();
		uint32_t n = number(s, "first");

		ck_assert_uint_eq(n, number(s, "last"));
		ck_assert_uint_ge(n, told > before ? told : before);
		before = n;
		state_close(s);
	}
	ck_assert_uint_gt(before, (uint32_t)kills);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vreader_state");
	TCase *tc = tcase_create("all");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 280);
	tcase_add_test(tc, remembers);
	tcase_add_test(tc, belongs_to_one);
	tcase_add_test(tc, damage_is_found);
	tcase_add_test(tc, failure_undoes);
	tcase_add_test(tc, is_private);
	tcase_add_test(tc, follows_links);
	tcase_add_test(tc, full_disk);
	tcase_add_test(tc, not_a_place);
	tcase_add_test(tc, survives_kills);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
