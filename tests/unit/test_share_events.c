/* SPDX-License-Identifier: BSD-3-Clause */
/* What comes between clients that share a slot, by hand: the daemon's own calls, events, and time. */
#include "share_play.h"

static struct share_wait reset;

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
	Suite *suite = suite_create("share_events");

	add_daemon(new_case(suite, "daemon"));
	add_events(new_case(suite, "events"));
	add_time(new_case(suite, "time"));
	return suite_run(suite);
}
