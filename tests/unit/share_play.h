/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rules of share.h by hand: one slot with three handles, and what is asked on their behalf. Header
 * only, since the macros name the line of the test; one slot at a time, in `share`.
 */
#ifndef CARDWIRE_TESTS_UNIT_SHARE_PLAY_H
#define CARDWIRE_TESTS_UNIT_SHARE_PLAY_H

#include <string.h>

#include <winscard.h>

#include "suite.h"
#include "pcscd/cards/share.h"

#define SECOND INT64_C(1000000000) /* ns */
#define LEASE  (5 * SECOND)
#define NOW    (1000 * SECOND)

/* What the daemon asks for on behalf of the functions of the API. */
#define BEGIN            (SHARE_LOCK | SHARE_FRESH)
#define TRANSMIT         (SHARE_TURN | SHARE_FRESH)
#define STATUS           SHARE_FRESH
#define RECONNECT        SHARE_TURN
#define CONTROL          (SHARE_TURN | SHARE_TRY)
#define ATTRIBUTE        (SHARE_TURN | SHARE_TRY | SHARE_FRESH)
#define DISCONNECT_RESET SHARE_TURN
#define CONNECT          0
#define CONNECT_COLD     SHARE_TURN /* the card must be powered up first */
#define MONITOR          (SHARE_SYSTEM | SHARE_TURN)
#define RESET            (SHARE_SYSTEM | SHARE_TURN | SHARE_FIRST)

static struct share share;
static struct share_handle a, b, c; /* of three clients */
static struct share_wait of_a, of_b, of_c, connect_1, monitor;

/* A shared handle of a client. */
static inline void add(struct share_handle *handle, uint64_t group)
{
	handle->group = group;
	ck_assert_uint_eq(share_add(&share, handle, false, NOW), SCARD_S_SUCCESS);
}

static inline void setup(void)
{
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	memset(&c, 0, sizeof(c));
	share_init(&share, LEASE);
	add(&a, 1);
	add(&b, 2);
	add(&c, 3);
}

/* Asks on behalf of a handle (NULL: none yet) of a client; times in ns, as share.h has them. */
static inline enum share_verdict ask_by(struct share_wait *wait, unsigned needs,
	struct share_handle *handle, uint64_t group, int64_t now, int64_t deadline)
{
	memset(wait, 0, sizeof(*wait));
	wait->needs = needs;
	wait->handle = handle;
	wait->group = group;
	wait->deadline = deadline;
	return share_ask(&share, wait, now);
}

static inline enum share_verdict ask(
	struct share_wait *wait, unsigned needs, struct share_handle *handle)
{
	return ask_by(wait, needs, handle, handle->group, NOW, INT64_MAX);
}

static inline enum share_verdict ask_connect(struct share_wait *wait, unsigned needs)
{
	return ask_by(wait, needs, NULL, 9, NOW, NOW + LEASE);
}

static inline enum share_verdict ask_system(struct share_wait *wait, unsigned needs)
{
	return ask_by(wait, needs, NULL, 0, NOW, INT64_MAX);
}

#define ASSERT_GO(call) ck_assert_int_eq((call), SHARE_GO)
#define ASSERT_WAIT(call)                                                                          \
	do {                                                                                       \
		ck_assert_int_eq((call), SHARE_WAIT);                                              \
		ck_assert_ptr_null(share_next(&share, NOW));                                       \
	} while (0)
#define ASSERT_REFUSED(call, wait, code)                                                           \
	do {                                                                                       \
		ck_assert_int_eq((call), SHARE_REFUSED);                                           \
		ck_assert_uint_eq((wait).rv, (code));                                              \
		ck_assert(!(wait).queued);                                                         \
	} while (0)
#define ASSERT_NEXT(wait, code)                                                                    \
	do {                                                                                       \
		ck_assert_ptr_eq(share_next(&share, NOW), &(wait));                                \
		ck_assert_uint_eq((wait).rv, (code));                                              \
	} while (0)
#define ASSERT_NO_NEXT() ck_assert_ptr_null(share_next(&share, NOW))
#define ASSERT_OK(call)  ck_assert_uint_eq((call), SCARD_S_SUCCESS)

/* Only A has the slot. */
static inline void be_alone(void)
{
	share_remove(&share, &b);
	share_remove(&share, &c);
}

/* A part of the suite, whose tests begin with setup(). */
static inline TCase *new_case(Suite *suite, const char *name)
{
	TCase *tests = tcase_create(name);

	tcase_add_checked_fixture(tests, setup, NULL);
	suite_add_tcase(suite, tests);
	return tests;
}

#endif
