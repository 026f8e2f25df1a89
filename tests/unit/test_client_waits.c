/* SPDX-License-Identifier: BSD-3-Clause */
/* The client library's waits for readers and cards to change: what ends them, and what does not. */
#include <reader.h>

#include "app.h"
#include "suite.h"

#define PNP        "\\\\?PnP?\\Notification"
#define VERIFY_PIN (0x42330000 + FEATURE_VERIFY_PIN_DIRECT)

START_TEST(change_at_once)
{
	SCARD_READERSTATE states[] = { { .szReader = "Reader A" }, { .szReader = "Reader B" } };

	app_establish(_i);
	ck_assert_int_eq(SCardGetStatusChange(app.context, INFINITE, states, 2), 0);
	ck_assert_uint_eq(states[0].dwEventState, SCARD_STATE_EMPTY | SCARD_STATE_CHANGED);
	ck_assert_uint_eq(
		states[1].dwEventState, 0x30000 | SCARD_STATE_PRESENT | SCARD_STATE_CHANGED);
	ck_assert_uint_eq(states[1].cbAtr, 4);
	for (int i = 0; i < 2; i++)
		states[i].dwCurrentState = states[i].dwEventState & ~(DWORD)SCARD_STATE_CHANGED;
	ck_assert_int_eq(SCardGetStatusChange(app.context, 0, states, 2), SCARD_E_TIMEOUT);
	ck_assert_uint_eq(states[1].dwEventState, 0x30000 | SCARD_STATE_PRESENT);
	states[1].szReader = "Reader C";
	ck_assert_int_eq(SCardGetStatusChange(app.context, 0, states, 2), SCARD_E_UNKNOWN_READER);
	ck_assert_uint_eq(fake_connections(app.daemon), 1);
}
END_TEST

START_TEST(change_later)
{
	struct app_task task = app_wait_for_card();
	unsigned before;

	app_establish(_i);
	app_begin(&task, app_wait);
	app_await_wait(0);
	/* A change elsewhere doesn't end the wait. */
	fake_set_reader(app.daemon, 2, "Reader B", SCARD_ABSENT, 0, 4);
	fake_set_reader(app.daemon, 0, "Reader A", APP_PRESENT, 0, 1);
	ck_assert_int_eq(app_finish(&task), 0);
	ck_assert_uint_eq(
		task.state.dwEventState, 0x10000 | SCARD_STATE_PRESENT | SCARD_STATE_CHANGED);
	/* The connections are in step: the next call works. */
	ck_assert_int_eq(SCardIsValidContext(app.context), 0);
	ck_assert_int_eq(SCardGetStatusChange(app.context, 0, &task.state, 1), 0);
	/* And the reader goes. */
	task.state.dwCurrentState = SCARD_STATE_PRESENT | 0x10000;
	before = app_waits();
	app_begin(&task, app_wait);
	app_await_wait(before);
	fake_set_reader(app.daemon, 0, "", 0, 0, 0);
	ck_assert_int_eq(app_finish(&task), 0);
	ck_assert_uint_eq(task.state.dwEventState,
		SCARD_STATE_UNKNOWN | SCARD_STATE_UNAVAILABLE | SCARD_STATE_CHANGED);
}
END_TEST

START_TEST(readers_come)
{
	struct app_task task = { .state = { .szReader = PNP }, .timeout = INFINITE };
	DWORD counts = _i >= 2 ? 0xFFFF0000 : 0;

	app_establish(_i);
	app_begin(&task, app_wait);
	app_await_wait(0);
	fake_set_reader(app.daemon, 1, "Reader C", SCARD_ABSENT, 0, 0);
	ck_assert_int_eq(app_finish(&task), 0);
	ck_assert_uint_eq(task.state.dwEventState, (0x40000 & counts) | SCARD_STATE_CHANGED);
}
END_TEST

START_TEST(wait_times_out)
{
	SCARD_READERSTATE state = { .szReader = "Reader B",
		.dwCurrentState = SCARD_STATE_PRESENT | 0x30000 };
	int64_t before = app_now_ms();

	app_establish(_i);
	ck_assert_int_eq(SCardGetStatusChange(app.context, 150, &state, 1), SCARD_E_TIMEOUT);
	ck_assert_int_ge(app_now_ms() - before, 149);
	ck_assert_int_eq(SCardGetStatusChange(app.context, 0, &state, 1), SCARD_E_TIMEOUT);
	ck_assert_uint_eq(state.dwEventState, 0x30000 | SCARD_STATE_PRESENT);
}
END_TEST

START_TEST(cancel_ends_a_wait)
{
	struct app_task task = app_wait_for_card();
	SCARD_READERSTATE state = task.state;

	app_establish(_i);
	app_begin(&task, app_wait);
	app_await_wait(0);
	ck_assert_int_eq(SCardCancel(app.context), 0);
	ck_assert_int_eq(app_finish(&task), SCARD_E_CANCELLED);
	/* It is used up, */
	ck_assert_int_eq(SCardGetStatusChange(app.context, 20, &state, 1), SCARD_E_TIMEOUT);
	/* and one that comes before the wait counts once. */
	ck_assert_int_eq(SCardCancel(app.context), 0);
	ck_assert_int_eq(SCardGetStatusChange(app.context, INFINITE, &state, 1), SCARD_E_CANCELLED);
	ck_assert_int_eq(SCardGetStatusChange(app.context, 20, &state, 1), SCARD_E_TIMEOUT);
	ck_assert_int_eq(SCardCancel(app.context + 1), SCARD_E_INVALID_HANDLE);
}
END_TEST

static LONG enter_pin(struct app_task *task)
{
	return SCardControl(task->card, VERIFY_PIN, NULL, 0, NULL, 0, NULL);
}

/* A PIN that is being typed in: the daemon is told, which knows by then what it is about. */
START_TEST(cancel_ends_a_pin_entry)
{
	struct app_task task = { 0 };

	app_establish(_i);
	task.card = app_connect("Reader B");
	fake_hold(app.daemon, WIRE_CONTROL);
	app_begin(&task, enter_pin);
	ck_assert(fake_await(app.daemon, WIRE_CONTROL, 1));
	ck_assert_int_eq(SCardCancel(app.context), 0);
	ck_assert(fake_await(app.daemon, WIRE_CANCEL, 1));
	fake_answer(app.daemon, WIRE_CONTROL, (uint32_t)SCARD_E_CANCELLED, 1);
	fake_hold(app.daemon, 0);
	ck_assert_int_eq(app_finish(&task), SCARD_E_CANCELLED);
	ck_assert_uint_eq(fake_requests(app.daemon, WIRE_CANCEL), 1);
}
END_TEST

/* Only one that met no wait is kept; what there is to see is told first. */
START_TEST(cancel_is_kept_for_a_wait)
{
	SCARD_READERSTATE state = { .szReader = "Reader A" };

	app_establish(_i);
	ck_assert_int_eq(SCardCancel(app.context), 0);
	ck_assert_int_eq(SCardGetStatusChange(app.context, INFINITE, &state, 1), 0);
	state.dwCurrentState = state.dwEventState & ~(DWORD)SCARD_STATE_CHANGED;
	ck_assert_int_eq(SCardGetStatusChange(app.context, INFINITE, &state, 1), SCARD_E_CANCELLED);
	ck_assert_int_eq(SCardGetStatusChange(app.context, 20, &state, 1), SCARD_E_TIMEOUT);
}
END_TEST

START_TEST(cancels_without_loss)
{
	struct app_task task = app_wait_for_card();

	app_establish(_i);
	for (int i = 0; i < 300; i++) {
		app_begin(&task, app_wait);
		ck_assert_int_eq(SCardCancel(app.context), 0);
		ck_assert_int_eq(app_finish(&task), SCARD_E_CANCELLED);
	}
}
END_TEST

START_TEST(release_ends_a_wait)
{
	struct app_task task = app_wait_for_card();

	app_establish(_i);
	app_begin(&task, app_wait);
	app_await_wait(0);
	ck_assert_int_eq(SCardReleaseContext(app.context), 0);
	ck_assert_int_eq(app_finish(&task), SCARD_E_CANCELLED);
	ck_assert_int_eq(SCardReleaseContext(app.context), SCARD_E_INVALID_HANDLE);
	ck_assert(fake_await_connections(app.daemon, 0));
}
END_TEST

START_TEST(release_ends_a_call)
{
	struct app_task task = { 0 };

	app_establish(_i);
	task.card = app_connect("Reader B");
	fake_hold(app.daemon, WIRE_TRANSMIT);
	app_begin(&task, app_task_transmit);
	ck_assert(fake_await(app.daemon, WIRE_TRANSMIT, 1));
	ck_assert_int_eq(SCardReleaseContext(app.context), 0);
	ck_assert_int_eq(app_finish(&task), SCARD_E_CANCELLED);
	fake_hold(app.daemon, 0);
}
END_TEST

START_TEST(calls_run_side_by_side)
{
	struct app_task slow = { 0 };
	struct app_task waiting = app_wait_for_card();
	SCARDHANDLE other;
	char names[64];
	DWORD length = sizeof(names);

	app_establish(_i);
	slow.card = app_connect("Reader B");
	other = app_connect("Reader A");
	app_begin(&waiting, app_wait);
	app_await_wait(0);
	fake_hold(app.daemon, WIRE_TRANSMIT);
	app_begin(&slow, app_task_transmit);
	ck_assert(fake_await(app.daemon, WIRE_TRANSMIT, 1));
	/* One thread waits for a change, one for a card; this one does the rest. */
	ck_assert_int_eq(SCardListReaders(app.context, NULL, names, &length), 0);
	ck_assert_int_eq(SCardBeginTransaction(other), 0);
	ck_assert_int_eq(SCardEndTransaction(other, SCARD_LEAVE_CARD), 0);
	ck_assert_int_eq(SCardDisconnect(app_connect("Reader B"), SCARD_LEAVE_CARD), 0);
	ck_assert_int_eq(SCardIsValidContext(app.context), 0);
	fake_hold(app.daemon, 0);
	ck_assert_int_eq(app_finish(&slow), 0);
	ck_assert_int_eq(SCardCancel(app.context), 0);
	ck_assert_int_eq(app_finish(&waiting), SCARD_E_CANCELLED);
	ck_assert_int_eq(app_transmit(other), 0);
}
END_TEST

/* An event that overtakes the states must not be taken for a part of them. */
START_TEST(hasty_events)
{
	SCARD_READERSTATE state = { .szReader = "Reader B",
		.dwCurrentState = SCARD_STATE_PRESENT | 0x30000 };

	app_establish(_i);
	fake_hasty_events(app.daemon, true);
	ck_assert_int_eq(SCardGetStatusChange(app.context, 30, &state, 1), SCARD_E_TIMEOUT);
	fake_hasty_events(app.daemon, false);
	ck_assert_int_eq(SCardGetStatusChange(app.context, 30, &state, 1), SCARD_E_TIMEOUT);
	ck_assert_int_eq(SCardIsValidContext(app.context), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("client_waits");
	TCase *each = tcase_create("each dialect");

	tcase_add_checked_fixture(each, app_setup, app_teardown);
	tcase_set_timeout(each, 60);
	tcase_add_loop_test(each, change_at_once, 0, APP_DIALECTS);
	tcase_add_loop_test(each, change_later, 0, APP_DIALECTS);
	tcase_add_loop_test(each, readers_come, 0, APP_DIALECTS);
	tcase_add_loop_test(each, wait_times_out, 0, APP_DIALECTS);
	tcase_add_loop_test(each, cancel_ends_a_wait, 0, APP_DIALECTS);
	tcase_add_loop_test(each, cancel_ends_a_pin_entry, 0, APP_DIALECTS);
	tcase_add_loop_test(each, cancel_is_kept_for_a_wait, 0, APP_DIALECTS);
	tcase_add_loop_test(each, cancels_without_loss, 0, APP_DIALECTS);
	tcase_add_loop_test(each, release_ends_a_wait, 0, APP_DIALECTS);
	tcase_add_loop_test(each, release_ends_a_call, 0, APP_DIALECTS);
	tcase_add_loop_test(each, calls_run_side_by_side, 0, APP_DIALECTS);
	tcase_add_loop_test(each, hasty_events, 0, APP_DIALECTS);
	suite_add_tcase(suite, each);
	return suite_run(suite);
}
