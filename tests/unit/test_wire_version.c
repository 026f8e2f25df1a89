/* SPDX-License-Identifier: BSD-3-Clause */
/* The agreement on a version: our side against each other version's, in both directions. */

#include <pcsclite.h>

#include "suite.h"
#include "wire/wire.h"

#define STOPPED ((uint32_t)SCARD_E_SERVICE_STOPPED)

static int answer(int major, int minor, uint32_t rv, struct wire_version *reply)
{
	struct wire_version request = { .major = major, .minor = minor, .rv = rv };

	return wire_version_answer(&request, reply);
}

START_TEST(daemon_takes_4_3_to_4_6)
{
	struct wire_version reply;

	for (int minor = 3; minor <= 6; minor++) {
		ck_assert_int_eq(answer(4, minor, 0, &reply), minor);
		ck_assert_int_eq(reply.major, 4);
		ck_assert_int_eq(reply.minor, 6);
		ck_assert_uint_eq(reply.rv, 0);
	}
}
END_TEST

START_TEST(daemon_refuses_others)
{
	static const int others[][2] = { { 4, 2 }, { 4, 7 }, { 3, 6 }, { 5, 6 }, { 0, 0 },
		{ -4, 6 }, { 4, -1 } };
	struct wire_version reply;

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		ck_assert_int_eq(answer(others[i][0], others[i][1], 0, &reply), -1);
		ck_assert_uint_eq(reply.rv, STOPPED);
		ck_assert_int_eq(reply.major, 4);
		ck_assert_int_eq(reply.minor, 6);
	}
}
END_TEST

START_TEST(both_ours)
{
	struct wire_version request, reply;
	int again;

	wire_version_ask(&request, WIRE_EXT_NO_BLOCKING);
	ck_assert_uint_eq(request.rv & ~WIRE_EXT_HELLO_MASK, WIRE_EXT_NO_BLOCKING);
	ck_assert_int_eq(wire_version_answer(&request, &reply), WIRE_DIALECT_EXT);
	ck_assert_int_eq(wire_version_agreed(&reply, 6, &again), WIRE_DIALECT_EXT);
}
END_TEST

/* An old client's rv is no hello; nor is a hello from a client that asks for an old version. */
START_TEST(no_hello)
{
	struct wire_version reply;

	ck_assert_int_eq(answer(4, 6, 0x12345678, &reply), 6);
	ck_assert_uint_eq(reply.rv, 0);
	ck_assert_int_eq(answer(4, 4, WIRE_EXT_HELLO, &reply), 4);
	ck_assert_uint_eq(reply.rv, 0);
}
END_TEST

static int agreed(int minor, uint32_t rv, int asked, int *again)
{
	struct wire_version reply = { .major = 4, .minor = minor, .rv = rv };

	return wire_version_agreed(&reply, asked, again);
}

START_TEST(client_steps_down)
{
	int again;

	/* pcsc-lite 2.5 */
	ck_assert_int_eq(agreed(6, 0, 6, &again), 6);
	/* 2.4.1 takes a newer client, and says what it is */
	ck_assert_int_eq(agreed(5, 0, 6, &again), 5);
	/* 2.3.0 to 2.4.0, 1.8.24 to 2.2.3, 1.8.9 to 1.8.23 refuse, then agree */
	for (int minor = 5; minor >= 3; minor--) {
		ck_assert_int_eq(agreed(minor, STOPPED, 6, &again), -1);
		ck_assert_int_eq(again, minor);
		ck_assert_int_eq(agreed(minor, 0, minor, &again), minor);
	}
	/* A server that says yes to the second question with its own, newer version. */
	ck_assert_int_eq(agreed(6, 0, 4, &again), 4);
}
END_TEST

START_TEST(client_gives_up)
{
	struct wire_version other = { .major = 5, .minor = 0, .rv = STOPPED };
	int again;

	ck_assert_int_eq(agreed(2, STOPPED, 6, &again), -1);
	ck_assert_int_eq(again, -1);
	/* Refused with the version that we asked for: asking again would never end. */
	ck_assert_int_eq(agreed(6, STOPPED, 6, &again), -1);
	ck_assert_int_eq(again, -1);
	ck_assert_int_eq(agreed(4, STOPPED, 4, &again), -1);
	ck_assert_int_eq(again, -1);
	ck_assert_int_eq(agreed(7, STOPPED, 6, &again), -1);
	ck_assert_int_eq(again, -1);
	ck_assert_int_eq(agreed(6, (uint32_t)SCARD_E_NO_MEMORY, 6, &again), -1);
	ck_assert_int_eq(again, -1);
	ck_assert_int_eq(wire_version_agreed(&other, 6, &again), -1);
	ck_assert_int_eq(again, -1);
	/* A welcome to what wasn't asked for. */
	ck_assert_int_eq(agreed(4, WIRE_EXT_WELCOME, 4, &again), -1);
	ck_assert_int_eq(again, -1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wire_version");
	TCase *tcase = tcase_create("version");

	tcase_add_test(tcase, daemon_takes_4_3_to_4_6);
	tcase_add_test(tcase, daemon_refuses_others);
	tcase_add_test(tcase, both_ours);
	tcase_add_test(tcase, no_hello);
	tcase_add_test(tcase, client_steps_down);
	tcase_add_test(tcase, client_gives_up);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
