/* SPDX-License-Identifier: BSD-3-Clause */
/* The pid file as a lock, and the socket's place: free, left by the dead, held by the living. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capture.h"
#include "suite.h"
#include "pcscd/daemon.h"

#define NOBODY 65534

static char folder[32];
static char place[128];
static char *said;

static void setup(void)
{
	strcpy(folder, "/tmp/daemon.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(place, sizeof(place), "%s/sub/s", folder);
}

static void teardown(void)
{
	char command[64];

	free(said);
	said = NULL;
	snprintf(command, sizeof(command), "rm -r %s", folder);
	ck_assert_int_eq(system(command), 0);
}

static int try_listen(const char *path)
{
	int fd;

	free(said);
	capture_begin();
	fd = listen_at(path);
	said = capture_end();
	return fd;
}

static int connects(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	int result;

	ck_assert_uint_lt(strlen(path), sizeof(address.sun_path));
	memcpy(address.sun_path, path, strlen(path));
	result = connect(fd, (struct sockaddr *)&address, sizeof(address));
	close(fd);
	return result;
}

START_TEST(test_free_place)
{
	struct stat status;
	char above[64];
	int fd;

	umask(077);
	fd = try_listen(place);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(stat(place, &status), 0);
	ck_assert_uint_eq(status.st_mode & 0777, 0666);
	snprintf(above, sizeof(above), "%s/sub", folder);
	ck_assert_int_eq(stat(above, &status), 0);
	ck_assert_uint_eq(status.st_mode & 0777, 0755);
	ck_assert_int_eq(connects(place), 0);
	ck_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
	ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
}
END_TEST

START_TEST(test_left_by_the_dead)
{
	close(try_listen(place));
	ck_assert_int_eq(connects(place), -1);
	ck_assert_int_eq(errno, ECONNREFUSED);
	ck_assert_int_ge(try_listen(place), 0);
	ck_assert_int_eq(connects(place), 0);
}
END_TEST

START_TEST(test_held_by_the_living)
{
	char pid[64];
	int fd = try_listen(place);

	ck_assert_int_eq(try_listen(place), -1);
	snprintf(pid, sizeof(pid), "another daemon (pid %ld)", (long)getpid());
	ck_assert_msg(strstr(said, pid) != NULL, "%s", said);
	ck_assert_int_eq(connects(place), 0);
	close(fd);
}
END_TEST

START_TEST(test_wrong_place)
{
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "%s/file", folder);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(try_listen(path), -1);
	ck_assert_msg(strstr(said, "is no socket") != NULL, "%s", said);
	ck_assert_int_eq(access(path, F_OK), 0);
	snprintf(path, sizeof(path), "%s/no/such/folder", folder);
	ck_assert_int_eq(try_listen(path), -1);
	ck_assert_msg(strstr(said, "cannot make the folder") != NULL, "%s", said);
	memset(path, 'x', sizeof(path));
	memcpy(path, folder, strlen(folder));
	path[strlen(folder)] = '/';
	path[200] = '\0';
	ck_assert_int_eq(try_listen(path), -1);
	ck_assert_msg(strstr(said, "at most 107 bytes") != NULL, "%s", said);
}
END_TEST

START_TEST(test_pid_file)
{
	pid_t holder = -1;
	int lock = pid_file_lock(place, &holder);
	int second;

	ck_assert_int_ge(lock, 0);
	ck_assert(pid_file_write(lock));
	ck_assert_int_eq(pid_file_holder(place), getpid());
	capture_begin();
	second = pid_file_lock(place, &holder);
	said = capture_end();
	ck_assert_int_eq(second, -1);
	ck_assert_int_eq(holder, getpid());
	ck_assert_msg(strstr(said, "another pcscd (pid ") != NULL, "%s", said);
	pid_file_unlock(lock, place);
	ck_assert_int_eq(access(place, F_OK), -1);
	ck_assert_int_eq(pid_file_holder(place), 0);
	lock = pid_file_lock(place, &holder);
	ck_assert_int_ge(lock, 0);
	pid_file_unlock(lock, place);
	pid_file_unlock(-1, place);
}
END_TEST

/* A file that a killed daemon left is no lock, whosever its pid is by now. */
START_TEST(test_stale_pid_file)
{
	pid_t holder;
	int lock = pid_file_lock(place, &holder);
	pid_t child = fork();

	if (child == 0) {
		/* the lock goes with a process that only inherited it, too */
		pid_file_write(lock);
		for (;;)
			pause();
	}
	close(lock);
	capture_begin();
	ck_assert_int_eq(pid_file_lock(place, &holder), -1);
	said = capture_end();
	ck_assert_msg(strstr(said, "another pcscd ") != NULL, "%s", said);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	ck_assert_int_eq(pid_file_holder(place), 0);
	lock = pid_file_lock(place, &holder);
	ck_assert_int_ge(lock, 0);
	pid_file_unlock(lock, place);
}
END_TEST

/* As an ordinary user, in a folder of his: what files of others are to him is a matter of modes. */
static int start_over_leftovers(void)
{
	char left[160];
	pid_t holder;
	int lock;

	if (geteuid() == 0 && (setgid(NOBODY) < 0 || setuid(NOBODY) < 0))
		return 1;
	snprintf(left, sizeof(left), "%s.other", place);
	close(listen_at(left));
	lock = pid_file_lock(place, &holder);
	if (lock < 0 || chmod(place, 0444) < 0 || chmod(left, 0400) < 0)
		return 2;
	/* a live one's stays */
	if (pid_file_lock(place, &holder) >= 0 || access(place, F_OK) < 0)
		return 3;
	close(lock);
	lock = pid_file_lock(place, &holder);
	if (lock < 0 || !pid_file_write(lock) || pid_file_holder(place) != getpid())
		return 4;
	return listen_at(left) >= 0 && connects(left) == 0 ? 0 : 5;
}

/* Where root's daemon was killed, that of the service's user starts. */
START_TEST(test_left_by_another_user)
{
	pid_t child;
	int status;

	if (geteuid() == 0)
		ck_assert_int_eq(chown(folder, NOBODY, NOBODY), 0);
	capture_begin();
	child = fork();
	if (child == 0)
		_exit(start_over_leftovers());
	waitpid(child, &status, 0);
	said = capture_end();
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x: %s", status, said);
	ck_assert_msg(strstr(said, "another pcscd ") != NULL, "%s", said);
}
END_TEST

/* Readable for all, so that anybody may see whether it lives. */
START_TEST(test_mode_of_pid_file)
{
	struct stat status;
	pid_t holder;
	int lock;

	umask(077);
	lock = pid_file_lock(place, &holder);
	ck_assert(pid_file_write(lock));
	ck_assert_int_eq(fstat(lock, &status), 0);
	ck_assert_uint_eq(status.st_mode & 0777, 0644);
	pid_file_unlock(lock, place);
}
END_TEST

/* The starting process ends with the code it is told, or 2 if nobody is left to tell it. */
static int exit_code_of_background(int told)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		int fd = daemon_fork();

		if (told >= 0)
			daemon_tell_parent(fd, told);
		_exit(0);
	}
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

START_TEST(test_background)
{
	ck_assert_int_eq(exit_code_of_background(0), 0);
	ck_assert_int_eq(exit_code_of_background(1), 1);
	ck_assert_int_eq(exit_code_of_background(-1), 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("daemon");
	TCase *tests = tcase_create("daemon");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, test_free_place);
	tcase_add_test(tests, test_left_by_the_dead);
	tcase_add_test(tests, test_held_by_the_living);
	tcase_add_test(tests, test_wrong_place);
	tcase_add_test(tests, test_pid_file);
	tcase_add_test(tests, test_stale_pid_file);
	tcase_add_test(tests, test_left_by_another_user);
	tcase_add_test(tests, test_mode_of_pid_file);
	tcase_add_test(tests, test_background);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
