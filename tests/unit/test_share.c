/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How clients share a slot, by hand: access, transactions, turns and the queue. What comes between is in
 * test_share_events.c; test_share_random.c plays both against a model.
 */
#include "share_play.h"

static struct share_wait connect_2;

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

int main(void)
{
	Suite *suite = suite_create("share");

	add_sharing(new_case(suite, "sharing"));
	add_transactions(new_case(suite, "transactions"));
	return suite_run(suite);
}
