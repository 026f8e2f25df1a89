/* SPDX-License-Identifier: BSD-3-Clause */
/* The library in the queue of a daemon that ends, or that refuses it. */
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app.h"
#include "suite.h"

#define WAIT_MS 60000

static bool has_next; /* another daemon follows */

static int listen_at_path(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, app.path, sizeof(app.path));
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		listen(fd, 5) < 0)
		_exit(1);
	return fd;
}

static bool await_input(int fd)
{
	struct pollfd polled = { .fd = fd, .events = POLLIN };

	return poll(&polled, 1, WAIT_MS) == 1;
}

/* Ends once somebody stands in its queue, and the test says so. */
static void end_with_queue(int listener, int test)
{
	char byte;

	if (!await_input(listener))
		_exit(1);
	unlink(app.path);
	_exit(write(test, "", 1) == 1 && read(test, &byte, 1) == 1 ? 0 : 1);
}

/* Closes the first connection with what has come on it unread, and stays. */
static void refuse(int listener, int test)
{
	int fd = accept(listener, NULL, NULL);
	char byte;

	if (fd < 0 || !await_input(fd))
		_exit(1);
	close(fd);
	_exit(read(test, &byte, 1) == 1 ? 0 : 1);
}

/* VERSION and ESTABLISH_CONTEXT of a connection, which is returned. */
static int accept_handshake(int listener)
{
	char request[2 * sizeof(struct wire_header) + sizeof(struct wire_version) +
		     sizeof(struct wire_establish)];
	int fd = accept(listener, NULL, NULL);

	if (fd < 0 || recv(fd, request, sizeof(request), MSG_WAITALL) != sizeof(request))
		_exit(1);
	return fd;
}

/*
 * Ends with a first connection that it has read and not answered; for the second there is another
 * one, which has the same socket from the service manager.
 */
static void end_unanswered(int listener, int test)
{
	struct {
		struct wire_version version;
		struct wire_establish establish;
	} reply = { { WIRE_VERSION_MAJOR, WIRE_VERSION_MINOR, 0 }, { .hContext = 77 } };
	char byte;
	int fd;

	close(accept_handshake(listener));
	fd = accept_handshake(listener);
	if (send(fd, &reply, sizeof(reply), MSG_NOSIGNAL) != sizeof(reply))
		_exit(1);
	_exit(read(test, &byte, 1) == 1 ? 0 : 1);
}

/* Another process that listens when this returns. */
struct other {
	pid_t pid;
	int test; /* a socket to talk to it */
};

static struct other start_process(void (*serve)(int listener, int test))
{
	struct other other;
	int pair[2];
	char byte;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	other.test = pair[0];
	other.pid = fork();
	ck_assert_int_ge(other.pid, 0);
	if (other.pid == 0) {
		int listener = listen_at_path();

		close(pair[0]);
		if (write(pair[1], "", 1) == 1)
			serve(listener, pair[1]);
		_exit(1);
	}
	close(pair[1]);
	ck_assert_int_eq(read(other.test, &byte, 1), 1);
	return other;
}

static void end_process(const struct other *other)
{
	int status = 1;

	ck_assert_int_eq(write(other->test, "", 1), 1);
	ck_assert_int_eq(waitpid(other->pid, &status, 0), other->pid);
	ck_assert_int_eq(status, 0);
	close(other->test);
}

/* When somebody stands in the queue of the one: starts the next, if there is one, and ends the one. */
static void *take_over(void *argument)
{
	const struct other *other = argument;
	struct fake *next = NULL;
	char byte;

	ck_assert_int_eq(read(other->test, &byte, 1), 1);
	if (has_next)
		next = fake_start(app.path, WIRE_DIALECT_EXT);
	end_process(other);
	return next;
}

/* Whoever stands in the queue of a daemon that ends is served by the next one. */
START_TEST(daemon_ends_with_a_queue)
{
	struct other other = start_process(end_with_queue);
	SCARDCONTEXT context;
	pthread_t thread;
	void *next;

	has_next = _i == 1;
	ck_assert_int_eq(pthread_create(&thread, NULL, take_over, &other), 0);
	ck_assert_int_eq(SCardEstablishContext(SCARD_SCOPE_SYSTEM, NULL, NULL, &context),
		has_next ? SCARD_S_SUCCESS : SCARD_E_NO_SERVICE);
	if (has_next)
		ck_assert_int_eq(SCardReleaseContext(context), 0);
	pthread_join(thread, &next);
	if (has_next)
		fake_stop(next);
}
END_TEST

START_TEST(daemon_ends_unanswered)
{
	struct other other = start_process(end_unanswered);
	SCARDCONTEXT context;

	ck_assert_int_eq(SCardEstablishContext(SCARD_SCOPE_SYSTEM, NULL, NULL, &context), 0);
	ck_assert_int_eq(SCardReleaseContext(context), 0);
	end_process(&other);
}
END_TEST

/* A refusal is one, and not asked for again. */
START_TEST(daemon_refuses)
{
	struct other other = start_process(refuse);
	SCARDCONTEXT context;

	ck_assert_int_eq(SCardEstablishContext(SCARD_SCOPE_SYSTEM, NULL, NULL, &context),
		SCARD_W_SECURITY_VIOLATION);
	end_process(&other);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("client in a queue");
	TCase *tests = tcase_create("once");

	tcase_add_checked_fixture(tests, app_setup, app_teardown);
	tcase_add_loop_test(tests, daemon_ends_with_a_queue, 0, 2);
	tcase_add_test(tests, daemon_ends_unanswered);
	tcase_add_test(tests, daemon_refuses);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
