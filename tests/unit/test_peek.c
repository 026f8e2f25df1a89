/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests that are read before they are taken out of the socket. */
#include <check.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pcscd/clients/peek.h"
#include "suite.h"

#define MANY  200  /* more than make a connection busy */
#define LEFT  2048 /* bytes of done requests that may lie in the socket at most */
#define SHORT 16   /* bytes of a request */

static int client, server;
static struct peek peek;
static uint8_t buffer[8192];

static void setup(void)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	client = pair[0];
	server = pair[1];
	peek = (struct peek){ 0 };
}

static void teardown(void)
{
	close(client);
	close(server);
}

static int left_in_socket(void)
{
	int bytes = -1;

	ck_assert_int_eq(ioctl(server, FIONREAD, &bytes), 0);
	return bytes;
}

static void say(uint8_t number, size_t length)
{
	uint8_t request[4096];

	ck_assert_uint_le(length, sizeof(request));
	memset(request, number, length);
	ck_assert_int_eq(send(client, request, length, 0), (ssize_t)length);
}

/* What was said last is read, and nothing else. */
static void hear(uint8_t number, size_t length)
{
	ck_assert_int_eq(peek_recv(&peek, server, buffer, sizeof(buffer)), (ssize_t)length);
	for (size_t i = 0; i < length; i++)
		ck_assert_uint_eq(buffer[i], number);
}

static void serve(uint8_t number, size_t length, size_t data)
{
	say(number, length);
	hear(number, length);
	peek_count(&peek, server, data);
	peek_done(&peek, server, false, buffer, sizeof(buffer));
}

static void make_busy(void)
{
	for (unsigned i = 0; i < MANY && left_in_socket() == 0; i++)
		serve((uint8_t)i, SHORT, 0);
	ck_assert_int_gt(left_in_socket(), 0);
}

/* Each request is read once, in order, and the socket doesn't fill up. */
START_TEST(test_each_request_once)
{
	bool stayed = false;

	for (unsigned i = 0; i < MANY; i++) {
		serve((uint8_t)i, SHORT, 0);
		ck_assert_int_le(left_in_socket(), LEFT);
		stayed = stayed || left_in_socket() > 0;
	}
	ck_assert(stayed);
	ck_assert_int_eq(peek_recv(&peek, server, buffer, sizeof(buffer)), -1);
}
END_TEST

START_TEST(test_data_does_not_stay)
{
	make_busy();
	serve(1, SHORT, 5);
	ck_assert_int_eq(left_in_socket(), 0);
	serve(2, SHORT, 0);
	ck_assert_int_eq(left_in_socket(), SHORT);
	serve(3, LEFT, 0);
	ck_assert_int_eq(left_in_socket(), 0);
}
END_TEST

/* A part of a message is taken, so that there is room for the rest; what comes next is read. */
START_TEST(test_taken_at_once)
{
	make_busy();
	say(4, SHORT / 2);
	hear(4, SHORT / 2);
	say(5, SHORT / 2);
	peek_done(&peek, server, true, buffer, sizeof(buffer));
	ck_assert_int_eq(left_in_socket(), SHORT / 2);
	hear(5, SHORT / 2);
	peek_done(&peek, server, false, buffer, sizeof(buffer));
	serve(6, SHORT, 0);
}
END_TEST

/* What is taken may need a buffer that is smaller. */
START_TEST(test_small_buffer)
{
	make_busy();
	say(7, LEFT);
	hear(7, LEFT);
	peek_done(&peek, server, false, buffer, 100);
	ck_assert_int_eq(left_in_socket(), 0);
	serve(8, SHORT, 0);
}
END_TEST

/* The end of a connection reads as an end, behind what has been peeked at. */
START_TEST(test_end)
{
	make_busy();
	shutdown(client, SHUT_WR);
	ck_assert_int_eq(peek_recv(&peek, server, buffer, sizeof(buffer)), 0);
	peek_done(&peek, server, true, buffer, sizeof(buffer));
	ck_assert_int_eq(left_in_socket(), 0);
	ck_assert_int_eq(peek_recv(&peek, server, buffer, sizeof(buffer)), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("peek");
	TCase *tests = tcase_create("peek");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, test_each_request_once);
	tcase_add_test(tests, test_data_does_not_stay);
	tcase_add_test(tests, test_taken_at_once);
	tcase_add_test(tests, test_small_buffer);
	tcase_add_test(tests, test_end);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
