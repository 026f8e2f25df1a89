/* SPDX-License-Identifier: BSD-3-Clause */
/* The client library with a daemon that hangs, ends, comes back, lies, or is not there. */
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "app.h"
#include "libpcsclite/conn.h"
#include "suite.h"

/* A daemon that is stopped, or hangs, keeps nobody in a call that needs no card. */
START_TEST(silent_daemon)
{
	SCARD_READERSTATE state = { .szReader = "Reader A", .dwCurrentState = SCARD_STATE_EMPTY };
	int64_t begun = app_now_ms();

	app_establish(_i);
	fake_hold(app.daemon, app_look_command());
	ck_assert_int_eq(SCardGetStatusChange(app.context, 0, &state, 1), SCARD_E_NO_SERVICE);
	fake_hold(app.daemon, app_stop_command());
	ck_assert_int_eq(SCardGetStatusChange(app.context, 50, &state, 1), SCARD_E_NO_SERVICE);
	ck_assert_int_lt(app_now_ms() - begun, 20000);
	fake_hold(app.daemon, 0);
	ck_assert_int_eq(SCardGetStatusChange(app.context, 50, &state, 1), SCARD_E_TIMEOUT);
}
END_TEST

START_TEST(cancel_at_a_silent_daemon)
{
	struct app_task task = app_wait_for_card();

	app_establish(_i);
	app_begin(&task, app_wait);
	app_await_wait(0);
	fake_hold(app.daemon, app_stop_command());
	ck_assert_int_eq(SCardCancel(app.context), 0);
	ck_assert_int_eq(app_finish(&task), SCARD_E_CANCELLED);
}
END_TEST

/* Before the wait there is a look at the readers, which is ended, too. */
START_TEST(cancel_at_a_daemon_that_was_silent_before)
{
	struct app_task task = app_wait_for_card();
	SCARD_READERSTATE state = task.state;
	unsigned looks;
	int64_t begun;

	app_establish(_i);
	fake_hold(app.daemon, app_look_command());
	looks = fake_requests(app.daemon, app_look_command());
	app_begin(&task, app_wait);
	ck_assert(fake_await(app.daemon, app_look_command(), looks + 1));
	begun = app_now_ms();
	ck_assert_int_eq(SCardCancel(app.context), 0);
	ck_assert_int_eq(app_finish(&task), SCARD_E_CANCELLED);
	/* One that comes before the call, as well. */
	ck_assert_int_eq(SCardCancel(app.context), 0);
	ck_assert_int_eq(SCardGetStatusChange(app.context, INFINITE, &state, 1), SCARD_E_CANCELLED);
	ck_assert_int_lt(app_now_ms() - begun, CONN_PROMPT_MS / 2);
	fake_hold(app.daemon, 0);
	ck_assert_int_eq(SCardGetStatusChange(app.context, 50, &state, 1), SCARD_E_TIMEOUT);
}
END_TEST

/* The look needs a connection, which the daemon doesn't accept. */
START_TEST(cancel_while_connecting)
{
	struct app_task task = app_wait_for_card();
	unsigned asked;
	int64_t begun;

	app_establish(_i);
	app_connect("Reader B");
	fake_hold(app.daemon, WIRE_VERSION);
	asked = fake_requests(app.daemon, WIRE_VERSION);
	app_begin(&task, app_wait);
	ck_assert(fake_await(app.daemon, WIRE_VERSION, asked + 1));
	begun = app_now_ms();
	ck_assert_int_eq(SCardCancel(app.context), 0);
	ck_assert_int_eq(app_finish(&task), SCARD_E_CANCELLED);
	ck_assert_int_lt(app_now_ms() - begun, CONN_PROMPT_MS / 2);
	fake_hold(app.daemon, 0);
}
END_TEST

START_TEST(wait_survives_a_restart)
{
	struct app_task task = app_wait_for_card();

	app_establish(_i);
	app_begin(&task, app_wait);
	app_await_wait(0);
	fake_stop(app.daemon);
	app_start(_i);
	/* One look after the restart, then it waits again. */
	app_await_wait(0);
	fake_set_reader(app.daemon, 0, "Reader A", APP_PRESENT, 0, 1);
	ck_assert_int_eq(app_finish(&task), 0);
	ck_assert_uint_eq(
		task.state.dwEventState, 0x10000 | SCARD_STATE_PRESENT | SCARD_STATE_CHANGED);
}
END_TEST

static LONG task_restart(struct app_task *task)
{
	struct timespec while_away = { .tv_nsec = 300000000 };

	(void)task;
	nanosleep(&while_away, NULL);
	app.daemon = fake_new(app.path, app.dialect);
	fake_set_reader(app.daemon, 0, "Reader A", APP_PRESENT, 0, 1);
	fake_listen(app.daemon);
	return 0;
}

START_TEST(wait_begins_without_a_daemon)
{
	struct app_task task = { 0 };
	SCARD_READERSTATE state = { .szReader = "Reader A" };

	app_establish(_i);
	fake_stop(app.daemon);
	app.daemon = NULL;
	ck_assert_int_eq(SCardGetStatusChange(app.context, 0, &state, 1), SCARD_E_NO_SERVICE);
	ck_assert_int_eq(SCardGetStatusChange(app.context, 100, &state, 1), SCARD_E_NO_SERVICE);
	ck_assert_int_eq(SCardIsValidContext(app.context), SCARD_E_NO_SERVICE);
	/* Its folder may go too. */
	ck_assert_int_eq(rmdir(app.folder), 0);
	ck_assert_int_eq(mkdir(app.folder, 0755), 0);
	app_begin(&task, task_restart);
	ck_assert_int_eq(SCardGetStatusChange(app.context, INFINITE, &state, 1), 0);
	ck_assert_uint_eq(state.dwEventState, 0x10000 | SCARD_STATE_PRESENT | SCARD_STATE_CHANGED);
	app_finish(&task);
	ck_assert_int_eq(SCardIsValidContext(app.context), 0);
}
END_TEST

START_TEST(cancel_without_a_daemon)
{
	struct app_task task = { .state = { .szReader = "Reader A" }, .timeout = INFINITE };
	struct timespec moment = { .tv_nsec = 50000000 };

	app_establish(_i);
	fake_stop(app.daemon);
	app.daemon = NULL;
	app_begin(&task, app_wait);
	nanosleep(&moment, NULL);
	ck_assert_int_eq(SCardCancel(app.context), 0);
	ck_assert_int_eq(app_finish(&task), SCARD_E_CANCELLED);
}
END_TEST

START_TEST(list_survives_a_restart)
{
	struct app_task task = { 0 };
	char names[64];
	DWORD length = sizeof(names);

	app_establish(_i);
	fake_stop(app.daemon);
	app_begin(&task, task_restart);
	ck_assert_int_eq(SCardListReaders(app.context, NULL, names, &length), 0);
	ck_assert_str_eq(names, "Reader A");
	app_finish(&task);
}
END_TEST

START_TEST(card_after_a_restart)
{
	SCARDHANDLE card;
	DWORD protocol, state;

	app_establish(_i);
	card = app_connect("Reader B");
	ck_assert_int_eq(SCardBeginTransaction(card), 0);
	fake_stop(app.daemon);
	app.daemon = NULL;
	ck_assert_int_eq(app_transmit(card), SCARD_E_NO_SERVICE);
	ck_assert_int_eq(SCardReconnect(card, SCARD_SHARE_SHARED, 3, SCARD_LEAVE_CARD, &protocol),
		SCARD_E_NO_SERVICE);
	app_start(_i);
	ck_assert_int_eq(app_transmit(card), SCARD_W_RESET_CARD);
	ck_assert_int_eq(SCardBeginTransaction(card), SCARD_W_RESET_CARD);
	ck_assert_int_eq(SCardEndTransaction(card, SCARD_LEAVE_CARD), SCARD_W_RESET_CARD);
	ck_assert_int_eq(
		SCardStatus(card, NULL, NULL, &state, NULL, NULL, NULL), SCARD_W_RESET_CARD);
	ck_assert_int_eq(
		SCardReconnect(card, SCARD_SHARE_SHARED, 3, 7, &protocol), SCARD_E_INVALID_VALUE);
	ck_assert_int_eq(
		SCardReconnect(card, SCARD_SHARE_SHARED, 3, SCARD_RESET_CARD, &protocol), 0);
	ck_assert_uint_eq(fake_requests(app.daemon, WIRE_RECONNECT), 1);
	ck_assert_int_eq(app_transmit(card), 0);
	fake_stop(app.daemon);
	app_start(_i);
	fake_set_reader(app.daemon, 2, "", 0, 0, 0);
	ck_assert_int_eq(SCardReconnect(card, SCARD_SHARE_SHARED, 3, SCARD_LEAVE_CARD, &protocol),
		SCARD_E_READER_UNAVAILABLE);
	ck_assert_int_eq(SCardDisconnect(card, SCARD_LEAVE_CARD), 0);
	ck_assert_int_eq(SCardDisconnect(card, SCARD_LEAVE_CARD), SCARD_E_INVALID_HANDLE);
}
END_TEST

START_TEST(daemon_that_lies)
{
	SCARDHANDLE card;

	app_establish(_i);
	card = app_connect("Reader B");
	fake_lie(app.daemon, 100000);
	ck_assert_int_eq(app_transmit(card), SCARD_W_RESET_CARD);
	fake_lie(app.daemon, 0);
	ck_assert_int_eq(app_transmit(card), SCARD_W_RESET_CARD);
}
END_TEST

/* A daemon that drops whoever waits: we come back, but not without end. */
START_TEST(daemon_that_drops_waits)
{
	SCARD_READERSTATE state = { .szReader = "Reader A", .dwCurrentState = SCARD_STATE_EMPTY };
	uint32_t wait = _i == 4 ? WIRE_EXT_WAIT : WIRE_WAIT_READER_STATE_CHANGE;
	struct app_task task = { .state = state, .timeout = INFINITE };

	app_establish(_i);
	fake_reject(app.daemon, wait);
	ck_assert_int_eq(SCardGetStatusChange(app.context, 300, &state, 1), SCARD_E_TIMEOUT);
	ck_assert_uint_lt(fake_requests(app.daemon, WIRE_ESTABLISH_CONTEXT), 50);
	app_begin(&task, app_wait);
	ck_assert(fake_await(app.daemon, wait, 10));
	ck_assert_int_eq(SCardCancel(app.context), 0);
	ck_assert_int_eq(app_finish(&task), SCARD_E_CANCELLED);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("client_failures");
	TCase *each = tcase_create("each dialect");

	tcase_add_checked_fixture(each, app_setup, app_teardown);
	tcase_set_timeout(each, 60);
	/* These take some seconds each: 4:6 and ours. */
	tcase_add_loop_test(each, silent_daemon, 3, APP_DIALECTS);
	tcase_add_loop_test(each, cancel_at_a_silent_daemon, 4, APP_DIALECTS);
	tcase_add_loop_test(each, cancel_at_a_daemon_that_was_silent_before, 3, APP_DIALECTS);
	tcase_add_loop_test(each, cancel_while_connecting, 3, APP_DIALECTS);
	tcase_add_loop_test(each, wait_survives_a_restart, 0, APP_DIALECTS);
	tcase_add_loop_test(each, wait_begins_without_a_daemon, 0, APP_DIALECTS);
	tcase_add_loop_test(each, cancel_without_a_daemon, 0, APP_DIALECTS);
	tcase_add_loop_test(each, list_survives_a_restart, 0, APP_DIALECTS);
	tcase_add_loop_test(each, card_after_a_restart, 0, APP_DIALECTS);
	tcase_add_loop_test(each, daemon_that_lies, 0, APP_DIALECTS);
	tcase_add_loop_test(each, daemon_that_drops_waits, 0, APP_DIALECTS);
	suite_add_tcase(suite, each);
	return suite_run(suite);
}
