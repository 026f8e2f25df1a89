/* SPDX-License-Identifier: BSD-3-Clause */
/* The rules of share.h, one by one, by hand. test_share_random.c is the other half. */
#include <stdlib.h>
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
static struct share_wait of_a, of_b, of_c, connect_1, connect_2, monitor, reset;

static void add(struct share_handle *handle, uint64_t group)
{
	handle->group = group;
	ck_assert_uint_eq(share_add(&share, handle, false, NOW), SCARD_S_SUCCESS);
}

static void setup(void)
{
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	memset(&c, 0, sizeof(c));
	share_init(&share, LEASE);
	add(&a, 1);
	add(&b, 2);
	add(&c, 3);
}

static enum share_verdict ask_by(struct share_wait *wait, unsigned needs,
	struct share_handle *handle, uint64_t group, int64_t now, int64_t deadline)
{
	memset(wait, 0, sizeof(*wait));
	wait->needs = needs;
	wait->handle = handle;
	wait->group = group;
	wait->deadline = deadline;
	return share_ask(&share, wait, now);
}

static enum share_verdict ask(struct share_wait *wait, unsigned needs, struct share_handle *handle)
{
	return ask_by(wait, needs, handle, handle->group, NOW, INT64_MAX);
}

static enum share_verdict ask_connect(struct share_wait *wait, unsigned needs)
{
	return ask_by(wait, needs, NULL, 9, NOW, NOW + LEASE);
}

static enum share_verdict ask_system(struct share_wait *wait, unsigned needs)
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

/* How the reader is shared. */

START_TEST(test_sharing)
{
	ck_assert_int_eq(share_sharing(&share), 3);
	ck_assert(!share_remove(&share, &b));
	ck_assert(!share_remove(&share, &c));
	ck_assert_int_eq(share_sharing(&share), 1);
	ck_assert(!share_remove(&share, &a));
	ck_assert_int_eq(share_sharing(&share), 0);
	ASSERT_OK(share_add(&share, &a, true, NOW));
	ck_assert_int_eq(share_sharing(&share), -1);
	ck_assert_uint_eq(share_add(&share, &b, false, NOW), SCARD_E_SHARING_VIOLATION);
	ck_assert_uint_eq(share_add(&share, &b, true, NOW), SCARD_E_SHARING_VIOLATION);
	ck_assert(share_remove(&share, &a));
	ck_assert_int_eq(share_sharing(&share), 0);
}
END_TEST

START_TEST(test_exclusive_needs_to_be_alone)
{
	struct share_handle d = { .group = 4 };

	ck_assert_uint_eq(share_add(&share, &d, true, NOW), SCARD_E_SHARING_VIOLATION);
	ck_assert_uint_eq(share_may_set_mode(&share, &a, true), SCARD_E_SHARING_VIOLATION);
	ck_assert_int_eq(share_sharing(&share), 3);
}
END_TEST

static void be_alone(void)
{
	share_remove(&share, &b);
	share_remove(&share, &c);
}

/* To exclusive access and back to shared, where nothing of the lock may be left. */
START_TEST(test_reconnect_exclusive_then_shared)
{
	be_alone();
	ASSERT_OK(share_may_set_mode(&share, &a, true));
	share_set_mode(&share, &a, true, NOW);
	ck_assert_int_eq(share_sharing(&share), -1);
	ck_assert_uint_eq(share_end(&share, &a, NOW), SCARD_E_NOT_TRANSACTED);
	ASSERT_OK(share_may_set_mode(&share, &a, false));
	share_set_mode(&share, &a, false, NOW);
	add(&b, 2);
	ASSERT_GO(ask(&of_b, BEGIN, &b));
}
END_TEST

START_TEST(test_transaction_outlives_reconnect)
{
	be_alone();
	ASSERT_GO(ask(&of_a, BEGIN, &a));
	share_set_mode(&share, &a, true, NOW);
	share_set_mode(&share, &a, false, NOW);
	add(&b, 2);
	ASSERT_WAIT(ask(&of_b, BEGIN, &b));
	ASSERT_OK(share_end(&share, &a, NOW));
	ASSERT_NEXT(of_b, SCARD_S_SUCCESS);
}
END_TEST

START_TEST(test_exclusive_keeps_the_lock_at_the_end_of_a_transaction)
{
	be_alone();
	share_set_mode(&share, &a, true, NOW);
	ASSERT_GO(ask(&of_a, BEGIN, &a));
	ASSERT_OK(share_end(&share, &a, NOW));
	ck_assert_uint_eq(share_end(&share, &a, NOW), SCARD_E_NOT_TRANSACTED);
	ck_assert(share_locked_by_other(&share, NULL));
	ASSERT_REFUSED(ask_connect(&connect_1, CONNECT), connect_1, SCARD_E_SHARING_VIOLATION);
}
END_TEST

/* Transactions. */

START_TEST(test_nested)
{
	ASSERT_GO(ask(&of_a, BEGIN, &a));
	ASSERT_GO(ask(&of_a, BEGIN, &a));
	ASSERT_WAIT(ask(&of_b, BEGIN, &b));
	ASSERT_OK(share_end(&share, &a, NOW));
	ASSERT_NO_NEXT();
	ASSERT_OK(share_end(&share, &a, NOW));
	ASSERT_NEXT(of_b, SCARD_S_SUCCESS);
	ck_assert_uint_eq(share_end(&share, &a, NOW), SCARD_E_SHARING_VIOLATION);
	ASSERT_OK(share_end(&share, &b, NOW));
	ck_assert_uint_eq(share_end(&share, &b, NOW), SCARD_E_NOT_TRANSACTED);
}
END_TEST

START_TEST(test_first_come_first_served)
{
	ASSERT_GO(ask(&of_a, BEGIN, &a));
	ASSERT_WAIT(ask(&of_c, BEGIN, &c));
	ASSERT_WAIT(ask(&of_b, TRANSMIT, &b));
	ASSERT_OK(share_end(&share, &a, NOW));
	ASSERT_NEXT(of_c, SCARD_S_SUCCESS);
	ASSERT_NO_NEXT();
	ASSERT_OK(share_end(&share, &c, NOW));
	ASSERT_NEXT(of_b, SCARD_S_SUCCESS);
}
END_TEST

START_TEST(test_turns_in_order)
{
	ASSERT_GO(ask(&of_a, TRANSMIT, &a));
	ASSERT_WAIT(ask(&of_b, TRANSMIT, &b));
	ASSERT_WAIT(ask(&of_c, TRANSMIT, &c));
	share_done(&share, &of_a, NOW);
	ASSERT_NEXT(of_b, SCARD_S_SUCCESS);
	ASSERT_NO_NEXT();
	share_done(&share, &of_b, NOW);
	ASSERT_NEXT(of_c, SCARD_S_SUCCESS);
}
END_TEST

/* What needs neither lock nor turn waits for no turn, and for nobody in the queue. */
START_TEST(test_status_overtakes)
{
	ASSERT_GO(ask(&of_a, TRANSMIT, &a));
	ASSERT_WAIT(ask(&of_b, TRANSMIT, &b));
	ASSERT_GO(ask(&of_c, STATUS, &c));
	ASSERT_GO(ask_connect(&connect_1, CONNECT));
}
END_TEST

START_TEST(test_no_transaction_during_the_call_of_another)
{
	ASSERT_GO(ask(&of_b, TRANSMIT, &b));
	ASSERT_WAIT(ask(&of_a, BEGIN, &a));
	share_done(&share, &of_b, NOW);
	ASSERT_NEXT(of_a, SCARD_S_SUCCESS);
	ck_assert_ptr_eq(share.owner, &a);
	share_end(&share, &a, NOW);
	ASSERT_GO(ask_system(&monitor, MONITOR));
	ASSERT_GO(ask(&of_a, BEGIN, &a));
}
END_TEST

/* The table of what others get while A is in a transaction: they wait. */
START_TEST(test_others_wait)
{
	static const unsigned waiting[] = { BEGIN, TRANSMIT, STATUS, RECONNECT, DISCONNECT_RESET };
	unsigned needs = waiting[_i];

	ASSERT_GO(ask(&of_a, BEGIN, &a));
	ASSERT_WAIT(ask(&of_b, needs, &b));
	ASSERT_GO(ask(&of_a, TRANSMIT, &a));
	share_done(&share, &of_a, NOW);
	ASSERT_NO_NEXT();
	ASSERT_OK(share_end(&share, &a, NOW));
	ASSERT_NEXT(of_b, SCARD_S_SUCCESS);
	ASSERT_NO_NEXT();
}
END_TEST

/* The same for what is refused at once. */
START_TEST(test_others_are_refused)
{
	static const unsigned refused[] = { CONTROL, ATTRIBUTE, STATUS | SHARE_TRY };
	unsigned needs = refused[_i];

	ASSERT_GO(ask(&of_a, BEGIN, &a));
	ASSERT_REFUSED(ask(&of_b, needs, &b), of_b, SCARD_E_SHARING_VIOLATION);
	ck_assert_uint_eq(share_end(&share, &b, NOW), SCARD_E_SHARING_VIOLATION);
	ck_assert_uint_eq(share_may_end(&share, &b), SCARD_E_SHARING_VIOLATION);
	ck_assert_uint_eq(share_may_set_mode(&share, &b, false), SCARD_E_SHARING_VIOLATION);
	ASSERT_GO(ask(&of_a, needs, &a));
}
END_TEST

/* SCardDisconnect with SCARD_LEAVE_CARD asks for nothing; the lock stays where it is. */
START_TEST(test_disconnect_of_another)
{
	ASSERT_GO(ask(&of_a, BEGIN, &a));
	ck_assert(!share_remove(&share, &b));
	ck_assert_ptr_eq(share.owner, &a);
	ASSERT_OK(share_may_end(&share, &a));
}
END_TEST

START_TEST(test_try_waits_for_the_turn_only)
{
	ASSERT_GO(ask(&of_a, TRANSMIT, &a));
	ASSERT_WAIT(ask(&of_b, CONTROL, &b));
	share_done(&share, &of_a, NOW);
	ASSERT_NEXT(of_b, SCARD_S_SUCCESS);
}
END_TEST

START_TEST(test_connect_waits)
{
	ASSERT_GO(ask(&of_a, BEGIN, &a));
	ASSERT_WAIT(ask_connect(&connect_1, CONNECT));
	ASSERT_WAIT(ask_connect(&connect_2, CONNECT_COLD));
	ASSERT_OK(share_end(&share, &a, NOW));
	ASSERT_NEXT(connect_1, SCARD_S_SUCCESS);
	ASSERT_NEXT(connect_2, SCARD_S_SUCCESS);
	ck_assert_ptr_eq(share.turn, &connect_2);
}
END_TEST

/* Becoming exclusive within a transaction ends the hopes of those who wait to connect. */
START_TEST(test_connect_refused_while_it_waits)
{
	be_alone();
	ASSERT_GO(ask(&of_a, BEGIN, &a));
	ASSERT_WAIT(ask_connect(&connect_1, CONNECT));
	share_set_mode(&share, &a, true, NOW);
	ASSERT_NEXT(connect_1, SCARD_E_SHARING_VIOLATION);
}
END_TEST

/* A client is never made to wait for itself. */
START_TEST(test_own_transaction)
{
	b.group = a.group;
	ASSERT_GO(ask(&of_a, BEGIN, &a));
	ASSERT_REFUSED(ask_by(&connect_1, CONNECT, NULL, a.group, NOW, NOW + LEASE), connect_1,
		SCARD_E_SHARING_VIOLATION);
	ASSERT_REFUSED(ask(&of_b, BEGIN, &b), of_b, SCARD_E_SHARING_VIOLATION);
	ASSERT_REFUSED(ask(&of_b, TRANSMIT, &b), of_b, SCARD_E_SHARING_VIOLATION);
}
END_TEST

START_TEST(test_own_transaction_granted_meanwhile)
{
	ASSERT_GO(ask(&of_a, BEGIN, &a));
	ASSERT_WAIT(ask(&of_b, BEGIN, &b));
	ASSERT_WAIT(ask(&of_c, TRANSMIT, &c));
	of_c.group = c.group = b.group;
	ASSERT_OK(share_end(&share, &a, NOW));
	ASSERT_NEXT(of_b, SCARD_S_SUCCESS);
	ASSERT_NEXT(of_c, SCARD_E_SHARING_VIOLATION);
}
END_TEST

START_TEST(test_leave)
{
	ASSERT_GO(ask(&of_a, BEGIN, &a));
	ASSERT_WAIT(ask(&of_b, BEGIN, &b));
	ASSERT_WAIT(ask(&of_c, BEGIN, &c));
	share_leave(&share, &of_b);
	share_leave(&share, &of_b);
	ck_assert(!of_b.queued);
	ASSERT_OK(share_end(&share, &a, NOW));
	ASSERT_NEXT(of_c, SCARD_S_SUCCESS);
	ck_assert_ptr_null(share.first);
	ck_assert_ptr_null(share.last);
}
END_TEST

/* The daemon's own calls. */

START_TEST(test_monitor_ignores_the_lock)
{
	ASSERT_GO(ask(&of_a, BEGIN, &a));
	ASSERT_WAIT(ask(&of_b, TRANSMIT, &b));
	ASSERT_GO(ask_system(&monitor, MONITOR));
	ASSERT_WAIT(ask(&of_a, TRANSMIT, &a));
	share_done(&share, &monitor, NOW);
	ASSERT_NEXT(of_a, SCARD_S_SUCCESS);
}
END_TEST

START_TEST(test_reset_goes_first)
{
	ASSERT_GO(ask(&of_a, TRANSMIT, &a));
	ASSERT_WAIT(ask(&of_b, TRANSMIT, &b));
	ASSERT_WAIT(ask_system(&monitor, MONITOR));
	ASSERT_WAIT(ask_system(&reset, RESET));
	share_done(&share, &of_a, NOW);
	ASSERT_NEXT(reset, SCARD_S_SUCCESS);
	share_done(&share, &reset, NOW);
	ASSERT_NEXT(of_b, SCARD_S_SUCCESS);
	share_done(&share, &of_b, NOW);
	ASSERT_NEXT(monitor, SCARD_S_SUCCESS);
}
END_TEST

START_TEST(test_nobody_before_the_reset)
{
	ASSERT_GO(ask(&of_a, BEGIN, &a));
	ASSERT_WAIT(ask(&of_b, RECONNECT, &b));
	ck_assert(share_remove(&share, &a));
	share_recover(&share);
	ASSERT_NO_NEXT();
	ASSERT_WAIT(ask(&of_c, STATUS, &c));
	ASSERT_WAIT(ask_connect(&connect_1, CONNECT));
	ASSERT_GO(ask_system(&reset, RESET));
	ASSERT_NO_NEXT();
	share_done(&share, &reset, NOW);
	ASSERT_NO_NEXT();
	share_recovered(&share);
	ASSERT_NEXT(of_b, SCARD_S_SUCCESS);
	ASSERT_NEXT(of_c, SCARD_S_SUCCESS);
	ASSERT_NEXT(connect_1, SCARD_S_SUCCESS);
}
END_TEST

START_TEST(test_done_by_another)
{
	ASSERT_GO(ask(&of_a, TRANSMIT, &a));
	share_done(&share, &of_b, NOW);
	ck_assert_ptr_eq(share.turn, &of_a);
}
END_TEST

/* Events. */

START_TEST(test_reset_is_told)
{
	share_event(&share, SHARE_EVENT_RESET, &a);
	ASSERT_GO(ask(&of_a, TRANSMIT, &a));
	share_done(&share, &of_a, NOW);
	ASSERT_REFUSED(ask(&of_b, TRANSMIT, &b), of_b, SCARD_W_RESET_CARD);
	ASSERT_REFUSED(ask(&of_b, BEGIN, &b), of_b, SCARD_W_RESET_CARD);
	ASSERT_REFUSED(ask(&of_b, STATUS, &b), of_b, SCARD_W_RESET_CARD);
	ASSERT_GO(ask(&of_b, RECONNECT, &b));
	share_done(&share, &of_b, NOW);
	share_event(&share, SHARE_EVENT_RESET, NULL);
	ck_assert_int_eq(a.event, SHARE_EVENT_RESET);
}
END_TEST

START_TEST(test_removal_outlives_reset)
{
	share_event(&share, SHARE_EVENT_REMOVED, NULL);
	share_event(&share, SHARE_EVENT_RESET, NULL);
	ASSERT_REFUSED(ask(&of_b, TRANSMIT, &b), of_b, SCARD_W_REMOVED_CARD);
	share_event(&share, SHARE_EVENT_RESET, NULL);
	ck_assert_int_eq(a.event, SHARE_EVENT_REMOVED);
}
END_TEST

START_TEST(test_removal_ends_the_transaction)
{
	ASSERT_GO(ask(&of_a, BEGIN, &a));
	ASSERT_WAIT(ask(&of_b, BEGIN, &b));
	ASSERT_WAIT(ask_connect(&connect_1, CONNECT));
	share_event(&share, SHARE_EVENT_REMOVED, NULL);
	ASSERT_NEXT(of_b, SCARD_W_REMOVED_CARD);
	ASSERT_NEXT(connect_1, SCARD_S_SUCCESS);
	ck_assert_uint_eq(share_end(&share, &a, NOW), SCARD_E_NOT_TRANSACTED);
}
END_TEST

START_TEST(test_removal_leaves_exclusive_access)
{
	be_alone();
	share_set_mode(&share, &a, true, NOW);
	ASSERT_GO(ask(&of_a, BEGIN, &a));
	share_event(&share, SHARE_EVENT_REMOVED, NULL);
	ck_assert_int_eq(share_sharing(&share), -1);
	ck_assert_ptr_eq(share.owner, &a);
	ck_assert_uint_eq(share_end(&share, &a, NOW), SCARD_E_NOT_TRANSACTED);
}
END_TEST

/* What happened before it connected is no concern of a new handle. */
START_TEST(test_new_handle_has_no_event)
{
	struct share_handle d = { .group = 4 };

	share_event(&share, SHARE_EVENT_RESET, NULL);
	ASSERT_OK(share_add(&share, &d, false, NOW));
	ck_assert_int_eq(d.event, SHARE_EVENT_NONE);
}
END_TEST

START_TEST(test_gone)
{
	ASSERT_GO(ask(&of_a, TRANSMIT, &a));
	ASSERT_WAIT(ask(&of_b, BEGIN, &b));
	ASSERT_WAIT(ask_connect(&connect_1, CONNECT_COLD));
	ASSERT_WAIT(ask_system(&monitor, MONITOR));
	share_gone(&share);
	ASSERT_NEXT(of_b, SCARD_E_INVALID_VALUE);
	ASSERT_NEXT(connect_1, SCARD_E_UNKNOWN_READER);
	ASSERT_NO_NEXT();
	ASSERT_REFUSED(ask(&of_c, STATUS, &c), of_c, SCARD_E_INVALID_VALUE);
	share_done(&share, &of_a, NOW);
	ASSERT_NEXT(monitor, SCARD_S_SUCCESS);
}
END_TEST

/* Time. */

START_TEST(test_lease)
{
	ASSERT_GO(ask(&of_a, BEGIN, &a));
	ck_assert_int_eq(share_next_tick(&share), INT64_MAX);
	ask_by(&of_b, BEGIN, &b, b.group, NOW + SECOND, INT64_MAX);
	ask_by(&connect_1, CONNECT, NULL, 9, NOW + SECOND, INT64_MAX);
	ck_assert_int_eq(share_next_tick(&share), NOW + SECOND + LEASE);
	ck_assert_ptr_null(share_tick(&share, NOW + SECOND + LEASE - 1));
	ck_assert_ptr_eq(share_tick(&share, NOW + SECOND + LEASE), &a);
	ck_assert_int_eq(a.event, SHARE_EVENT_RESET);
	ck_assert_int_eq(c.event, SHARE_EVENT_RESET);
	ASSERT_NEXT(of_b, SCARD_W_RESET_CARD);
	ASSERT_NO_NEXT();
	share_recovered(&share);
	ASSERT_NEXT(connect_1, SCARD_S_SUCCESS);
	ck_assert_ptr_null(share_tick(&share, NOW + 100 * LEASE));
}
END_TEST

START_TEST(test_lease_of_a_busy_owner)
{
	int64_t now = NOW + 4 * SECOND;

	ASSERT_GO(ask(&of_a, BEGIN, &a));
	ASSERT_WAIT(ask(&of_b, BEGIN, &b));
	ck_assert_int_eq(ask_by(&of_a, TRANSMIT, &a, a.group, now, INT64_MAX), SHARE_GO);
	ck_assert_int_eq(share_next_tick(&share), INT64_MAX);
	ck_assert_ptr_null(share_tick(&share, now + 100 * LEASE));
	now += 100 * LEASE;
	share_done(&share, &of_a, now);
	ck_assert_int_eq(share_next_tick(&share), now + LEASE);
	ask_by(&of_a, STATUS, &a, a.group, now + SECOND, INT64_MAX);
	ck_assert_int_eq(share_next_tick(&share), now + SECOND + LEASE);
}
END_TEST

/* The owner isn't silent while it waits for a call of the daemon's own. */
START_TEST(test_lease_of_a_waiting_owner)
{
	ASSERT_GO(ask(&of_a, BEGIN, &a));
	ASSERT_WAIT(ask(&of_b, BEGIN, &b));
	ASSERT_GO(ask_system(&monitor, MONITOR));
	ASSERT_WAIT(ask(&of_a, TRANSMIT, &a));
	ck_assert_int_eq(share_next_tick(&share), INT64_MAX);
	ck_assert_ptr_null(share_tick(&share, NOW + 100 * LEASE));
	share_done(&share, &monitor, NOW + 100 * LEASE);
	ASSERT_NEXT(of_a, SCARD_S_SUCCESS);
}
END_TEST

START_TEST(test_no_lease)
{
	share.lease = 0;
	ASSERT_GO(ask(&of_a, BEGIN, &a));
	ASSERT_WAIT(ask(&of_b, BEGIN, &b));
	ck_assert_int_eq(share_next_tick(&share), INT64_MAX);
	ck_assert_ptr_null(share_tick(&share, NOW + 1000000 * SECOND));
}
END_TEST

/* When the last who waited leaves, the owner may be silent again. */
START_TEST(test_lease_starts_with_the_waiting)
{
	ASSERT_GO(ask(&of_a, BEGIN, &a));
	ASSERT_WAIT(ask(&of_b, BEGIN, &b));
	ask_by(&of_c, BEGIN, &c, c.group, NOW + 3 * SECOND, INT64_MAX);
	share_leave(&share, &of_b);
	ck_assert_int_eq(share_next_tick(&share), NOW + 3 * SECOND + LEASE);
	share_leave(&share, &of_c);
	ck_assert_int_eq(share_next_tick(&share), INT64_MAX);
	ck_assert_ptr_null(share_tick(&share, NOW + 100 * LEASE));
}
END_TEST

START_TEST(test_deadline)
{
	share.lease = 0;
	ASSERT_GO(ask(&of_a, BEGIN, &a));
	ASSERT_WAIT(ask_connect(&connect_1, CONNECT));
	ck_assert_int_eq(share_next_tick(&share), NOW + LEASE);
	share_tick(&share, NOW + LEASE - 1);
	ASSERT_NO_NEXT();
	share_tick(&share, NOW + LEASE);
	ASSERT_NEXT(connect_1, SCARD_E_SHARING_VIOLATION);
}
END_TEST

/* The daemon itself is no reason to refuse anybody. */
START_TEST(test_deadline_during_the_daemons_call)
{
	ASSERT_GO(ask_system(&monitor, MONITOR));
	ASSERT_WAIT(ask_connect(&connect_1, CONNECT_COLD));
	share_tick(&share, NOW + LEASE);
	ASSERT_NO_NEXT();
	ck_assert_int_gt(share_next_tick(&share), NOW + LEASE);
	share_done(&share, &monitor, NOW + LEASE);
	ASSERT_NEXT(connect_1, SCARD_S_SUCCESS);
}
END_TEST

/* The lease runs out as the waiter's own deadline does: it is served. */
START_TEST(test_deadline_at_the_end_of_the_lease)
{
	ASSERT_GO(ask(&of_a, BEGIN, &a));
	ASSERT_WAIT(ask_connect(&connect_1, CONNECT));
	ck_assert_ptr_eq(share_tick(&share, NOW + LEASE), &a);
	ASSERT_NO_NEXT();
	share_recovered(&share);
	ASSERT_NEXT(connect_1, SCARD_S_SUCCESS);
}
END_TEST

/* The owner was at work when the request came, and has been silent since: its lease decides. */
START_TEST(test_deadline_of_a_silent_owner)
{
	ASSERT_GO(ask(&of_a, BEGIN, &a));
	ASSERT_GO(ask(&of_a, TRANSMIT, &a));
	ASSERT_WAIT(ask_by(&connect_1, CONNECT, NULL, 9, NOW + 1, NOW + LEASE));
	share_done(&share, &of_a, NOW + LEASE / 2);
	ck_assert_ptr_null(share_tick(&share, NOW + LEASE));
	ASSERT_NO_NEXT();
	ck_assert_ptr_eq(share_tick(&share, NOW + LEASE / 2 + LEASE), &a);
	share_recovered(&share);
	ASSERT_NEXT(connect_1, SCARD_S_SUCCESS);
}
END_TEST

static TCase *new_case(Suite *suite, const char *name)
{
	TCase *tests = tcase_create(name);

	tcase_add_checked_fixture(tests, setup, NULL);
	suite_add_tcase(suite, tests);
	return tests;
}

static void add_sharing(TCase *tests)
{
	tcase_add_test(tests, test_sharing);
	tcase_add_test(tests, test_exclusive_needs_to_be_alone);
	tcase_add_test(tests, test_reconnect_exclusive_then_shared);
	tcase_add_test(tests, test_transaction_outlives_reconnect);
	tcase_add_test(tests, test_exclusive_keeps_the_lock_at_the_end_of_a_transaction);
}

static void add_transactions(TCase *tests)
{
	tcase_add_test(tests, test_nested);
	tcase_add_test(tests, test_first_come_first_served);
	tcase_add_test(tests, test_turns_in_order);
	tcase_add_test(tests, test_status_overtakes);
	tcase_add_test(tests, test_no_transaction_during_the_call_of_another);
	tcase_add_loop_test(tests, test_others_wait, 0, 5);
	tcase_add_loop_test(tests, test_others_are_refused, 0, 3);
	tcase_add_test(tests, test_disconnect_of_another);
	tcase_add_test(tests, test_try_waits_for_the_turn_only);
	tcase_add_test(tests, test_connect_waits);
	tcase_add_test(tests, test_connect_refused_while_it_waits);
	tcase_add_test(tests, test_own_transaction);
	tcase_add_test(tests, test_own_transaction_granted_meanwhile);
	tcase_add_test(tests, test_leave);
}

static void add_daemon(TCase *tests)
{
	tcase_add_test(tests, test_monitor_ignores_the_lock);
	tcase_add_test(tests, test_reset_goes_first);
	tcase_add_test(tests, test_nobody_before_the_reset);
	tcase_add_test(tests, test_done_by_another);
}

static void add_events(TCase *tests)
{
	tcase_add_test(tests, test_reset_is_told);
	tcase_add_test(tests, test_removal_outlives_reset);
	tcase_add_test(tests, test_removal_ends_the_transaction);
	tcase_add_test(tests, test_removal_leaves_exclusive_access);
	tcase_add_test(tests, test_new_handle_has_no_event);
	tcase_add_test(tests, test_gone);
}

static void add_time(TCase *tests)
{
	tcase_add_test(tests, test_lease);
	tcase_add_test(tests, test_lease_of_a_busy_owner);
	tcase_add_test(tests, test_lease_of_a_waiting_owner);
	tcase_add_test(tests, test_no_lease);
	tcase_add_test(tests, test_lease_starts_with_the_waiting);
	tcase_add_test(tests, test_deadline);
	tcase_add_test(tests, test_deadline_during_the_daemons_call);
	tcase_add_test(tests, test_deadline_at_the_end_of_the_lease);
	tcase_add_test(tests, test_deadline_of_a_silent_owner);
}

int main(void)
{
	Suite *suite = suite_create("share");

	add_sharing(new_case(suite, "sharing"));
	add_transactions(new_case(suite, "transactions"));
	add_daemon(new_case(suite, "daemon"));
	add_events(new_case(suite, "events"));
	add_time(new_case(suite, "time"));
	return suite_run(suite);
}
