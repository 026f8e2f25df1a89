/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The client library against a daemon that the test controls, in each dialect. Check runs each test
 * in a process of its own, so each has a library that has just been started.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <winscard.h>

#include "fake_daemon.h"
#include "libpcsclite/conn.h"
#include "suite.h"

#define PRESENT_STATE (SCARD_PRESENT | SCARD_POWERED | SCARD_NEGOTIABLE)
#define PNP           "\\\\?PnP?\\Notification"

static const int dialects[] = { 3, 4, 5, 6, WIRE_DIALECT_EXT };
#define DIALECTS (int)(sizeof(dialects) / sizeof(dialects[0]))

static char folder[64];
static char path[128];
static struct fake *daemon_;
static int dialect;
static SCARDCONTEXT context;

static void setup(void)
{
	strcpy(folder, "/tmp/test_client.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/pcscd.comm", folder);
	setenv("PCSCLITE_CSOCK_NAME", path, 1);
	unsetenv("PCSCLITE_NO_BLOCKING");
}

static void teardown(void)
{
	if (daemon_)
		fake_stop(daemon_);
	unlink(path);
	rmdir(folder);
}

/* A daemon of the loop's dialect with an empty reader A and a card in reader B. */
static void start(int index)
{
	dialect = dialects[index];
	daemon_ = fake_start(path, dialect);
	fake_set_reader(daemon_, 0, "Reader A", SCARD_ABSENT, 0, 0);
	fake_set_reader(daemon_, 2, "Reader B", PRESENT_STATE, 0, 3);
}

static void establish(int index)
{
	start(index);
	ck_assert_int_eq(SCardEstablishContext(SCARD_SCOPE_SYSTEM, NULL, NULL, &context), 0);
}

static SCARDHANDLE connect_card(const char *reader)
{
	SCARDHANDLE card;
	DWORD protocol;

	ck_assert_int_eq(SCardConnect(context, reader, SCARD_SHARE_SHARED, SCARD_PROTOCOL_ANY,
				 &card, &protocol),
		0);
	ck_assert_uint_eq(protocol, SCARD_PROTOCOL_T1);
	return card;
}

static LONG transmit(SCARDHANDLE card)
{
	static const BYTE command[] = { 0x00, 0xA4, 0x00, 0x0C };
	BYTE answer[16];
	DWORD length = sizeof(answer);
	LONG rv =
		SCardTransmit(card, SCARD_PCI_T1, command, sizeof(command), NULL, answer, &length);

	if (rv == SCARD_S_SUCCESS) {
		ck_assert_uint_eq(length, 6);
		ck_assert_mem_eq(answer, "\x00\xA4\x00\x0C\x90\x00", 6);
	}
	return rv;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Something done by another thread; joined by finish(). */
struct task {
	pthread_t thread;
	LONG (*run)(struct task *task);
	SCARDHANDLE card;
	SCARD_READERSTATE state;
	DWORD timeout;
	LONG rv;
};

static void *run_task(void *argument)
{
	struct task *task = argument;

	task->rv = task->run(task);
	return NULL;
}

static void begin_task(struct task *task, LONG (*run)(struct task *))
{
	task->run = run;
	pthread_create(&task->thread, NULL, run_task, task);
}

static LONG finish(struct task *task)
{
	pthread_join(task->thread, NULL);
	return task->rv;
}

static LONG task_wait(struct task *task)
{
	return SCardGetStatusChange(context, task->timeout, &task->state, 1);
}

static LONG task_transmit(struct task *task)
{
	return transmit(task->card);
}

/* Requests that begin a wait, up to now; with the extension a look comes before. */
static unsigned waits(void)
{
	return dialect == WIRE_DIALECT_EXT ? fake_requests(daemon_, WIRE_EXT_WAIT)
					   : fake_requests(daemon_, WIRE_WAIT_READER_STATE_CHANGE);
}

/* Waits until the daemon knows that a client waits, when there were `before` of those requests. */
static void await_wait(unsigned before)
{
	if (dialect == WIRE_DIALECT_EXT)
		ck_assert(fake_await(daemon_, WIRE_EXT_WAIT, before + 2));
	else
		ck_assert(fake_await(daemon_, WIRE_WAIT_READER_STATE_CHANGE, before + 1));
}

/* The first request of a look at the readers, and the one that ends a wait. */
static uint32_t look_command(void)
{
	if (dialect == WIRE_DIALECT_EXT)
		return WIRE_EXT_WAIT;
	return dialect >= WIRE_MINOR_DYNAMIC_ARRAY ? WIRE_GET_READERS_STATE_SIZE
						   : WIRE_GET_READERS_STATE;
}

static uint32_t stop_command(void)
{
	return dialect == WIRE_DIALECT_EXT ? WIRE_EXT_STOP : WIRE_STOP_WAITING;
}

START_TEST(lists_readers)
{
	char names[64];
	char *allocated = NULL;
	DWORD length = 0;

	establish(_i);
	ck_assert_int_eq(SCardListReaders(context, NULL, NULL, &length), 0);
	ck_assert_uint_eq(length, 19);
	length = 18;
	ck_assert_int_eq(
		SCardListReaders(context, NULL, names, &length), SCARD_E_INSUFFICIENT_BUFFER);
	ck_assert_uint_eq(length, 19);
	ck_assert_int_eq(SCardListReaders(context, NULL, names, &length), 0);
	ck_assert_mem_eq(names, "Reader A\0Reader B\0\0", 19);
	length = SCARD_AUTOALLOCATE;
	ck_assert_int_eq(SCardListReaders(context, NULL, (LPSTR)&allocated, &length), 0);
	ck_assert_mem_eq(allocated, "Reader A\0Reader B\0\0", 19);
	ck_assert_int_eq(SCardFreeMemory(context, allocated), 0);
	fake_set_reader(daemon_, 0, "", 0, 0, 0);
	fake_set_reader(daemon_, 2, "", 0, 0, 0);
	ck_assert_int_eq(
		SCardListReaders(context, NULL, NULL, &length), SCARD_E_NO_READERS_AVAILABLE);
	ck_assert_uint_eq(length, 1);
	ck_assert_uint_eq(fake_connections(daemon_), 1);
}
END_TEST

START_TEST(groups)
{
	char text[32];
	DWORD length = sizeof(text);

	establish(_i);
	ck_assert_int_eq(SCardListReaderGroups(context, text, &length), 0);
	ck_assert_uint_eq(length, 22);
	ck_assert_mem_eq(text, "SCard$DefaultReaders\0", 22);
}
END_TEST

START_TEST(talks_to_a_card)
{
	SCARD_IO_REQUEST pci = { 0, 0 };
	SCARDHANDLE card;
	BYTE answer[16];
	DWORD length = 3;

	establish(_i);
	card = connect_card("Reader B");
	ck_assert_int_eq(transmit(card), 0);
	ck_assert_int_eq(
		SCardTransmit(card, SCARD_PCI_T1, (LPCBYTE) "abcd", 4, &pci, answer, &length),
		SCARD_E_INSUFFICIENT_BUFFER);
	ck_assert_uint_eq(length, 6);
	ck_assert_int_eq(
		SCardTransmit(card, SCARD_PCI_T1, (LPCBYTE) "abcd", 4, &pci, answer, &length), 0);
	ck_assert_uint_eq(pci.dwProtocol, 0);
	ck_assert_int_eq(SCardControl(card, 42, "xyz", 3, answer, sizeof(answer), &length), 0);
	ck_assert_uint_eq(length, 3);
	ck_assert_mem_eq(answer, "xyz", 3);
	ck_assert_int_eq(SCardControl(card, 42, NULL, 0, NULL, 0, NULL), 0);
	ck_assert_int_eq(SCardBeginTransaction(card), 0);
	ck_assert_int_eq(SCardEndTransaction(card, SCARD_LEAVE_CARD), 0);
	ck_assert_int_eq(SCardDisconnect(card, SCARD_LEAVE_CARD), 0);
	ck_assert_int_eq(SCardDisconnect(card, SCARD_LEAVE_CARD), SCARD_E_INVALID_HANDLE);
	/* The connection goes back to the context, which needs no other. */
	card = connect_card("Reader B");
	ck_assert_uint_eq(fake_connections(daemon_), 1);
	ck_assert_int_eq(SCardReleaseContext(context), 0);
	ck_assert_int_eq(transmit(card), SCARD_E_INVALID_HANDLE);
	ck_assert(fake_await_connections(daemon_, 0));
}
END_TEST

START_TEST(commands_of_all_lengths)
{
	static const size_t lengths[] = { 1, 5, 509, 510, 511, 512, 513, 514, 4096, 65535, 65546 };
	static BYTE command[65548], answer[65548];
	SCARDHANDLE card;

	establish(_i);
	card = connect_card("Reader B");
	for (size_t i = 0; i < sizeof(command); i++)
		command[i] = (BYTE)(i * 7 + i / 256);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		DWORD length = lengths[i] + 2;

		ck_assert_int_eq(SCardTransmit(card, SCARD_PCI_T1, command, lengths[i], NULL,
					 answer, &length),
			0);
		ck_assert_uint_eq(length, lengths[i] + 2);
		ck_assert_mem_eq(answer, command, lengths[i]);
		ck_assert_mem_eq(answer + lengths[i], "\x90\x00", 2);
		ck_assert_int_eq(
			SCardControl(card, 1, command, lengths[i], answer, lengths[i], &length), 0);
		ck_assert_uint_eq(length, lengths[i]);
		ck_assert_mem_eq(answer, command, lengths[i]);
	}
}
END_TEST

START_TEST(attributes)
{
	BYTE value[300];
	BYTE *allocated = NULL;
	DWORD length = sizeof(value);
	SCARDHANDLE card;

	establish(_i);
	card = connect_card("Reader B");
	ck_assert_int_eq(SCardGetAttrib(card, 1, value, &length), SCARD_E_INSUFFICIENT_BUFFER);
	length = 2;
	ck_assert_int_eq(SCardGetAttrib(card, 1, value, &length), SCARD_E_INSUFFICIENT_BUFFER);
	ck_assert_uint_eq(length, 3);
	ck_assert_mem_eq(value, "ab", 2);
	ck_assert_int_eq(SCardGetAttrib(card, 1, value, &length), 0);
	ck_assert_mem_eq(value, "abc", 3);
	ck_assert_int_eq(SCardGetAttrib(card, 1, NULL, &length), 0);
	length = SCARD_AUTOALLOCATE;
	ck_assert_int_eq(SCardGetAttrib(card, 1, (LPBYTE)&allocated, &length), 0);
	ck_assert_mem_eq(allocated, "abc", 3);
	ck_assert_int_eq(SCardFreeMemory(context, allocated), 0);
	ck_assert_int_eq(SCardSetAttrib(card, 1, value, 3), 0);
	ck_assert_int_eq(SCardSetAttrib(card, 1, value, 0), SCARD_E_INVALID_PARAMETER);
	ck_assert_int_eq(SCardSetAttrib(card, 1, value, 265), SCARD_E_INSUFFICIENT_BUFFER);
}
END_TEST

START_TEST(status)
{
	DWORD name_length, state, protocol, atr_length;
	char name[32];
	BYTE atr[33];
	SCARDHANDLE card;

	establish(_i);
	/* The extension's fake tells of its first reader. */
	fake_set_reader(daemon_, 0, "Reader A", PRESENT_STATE, 1, 5);
	card = connect_card("Reader A");
	name_length = sizeof(name);
	atr_length = sizeof(atr);
	ck_assert_int_eq(
		SCardStatus(card, name, &name_length, &state, &protocol, atr, &atr_length), 0);
	ck_assert_str_eq(name, "Reader A");
	ck_assert_uint_eq(name_length, 9);
	ck_assert_uint_eq(state, 0x50000 | PRESENT_STATE);
	ck_assert_uint_eq(protocol, SCARD_PROTOCOL_T1);
	ck_assert_uint_eq(atr_length, 4);
	ck_assert_mem_eq(atr, "\x3B\x80\x01\x81", 4);
	name_length = 3;
	ck_assert_int_eq(SCardStatus(card, name, &name_length, NULL, NULL, NULL, NULL),
		SCARD_E_INSUFFICIENT_BUFFER);
	ck_assert_uint_eq(name_length, 9);
	ck_assert_int_eq(SCardStatus(card, NULL, NULL, NULL, NULL, NULL, NULL), 0);
	if (dialect == WIRE_DIALECT_EXT)
		return;
	fake_answer(daemon_, WIRE_STATUS, (uint32_t)SCARD_W_REMOVED_CARD, 1);
	state = 99;
	ck_assert_int_eq(SCardStatus(card, name, &name_length, &state, NULL, NULL, NULL),
		SCARD_W_REMOVED_CARD);
	ck_assert_uint_eq(state, 0);
	ck_assert_uint_eq(name_length, 0);
}
END_TEST

START_TEST(change_at_once)
{
	SCARD_READERSTATE states[] = { { .szReader = "Reader A" }, { .szReader = "Reader B" } };

	establish(_i);
	ck_assert_int_eq(SCardGetStatusChange(context, INFINITE, states, 2), 0);
	ck_assert_uint_eq(states[0].dwEventState, SCARD_STATE_EMPTY | SCARD_STATE_CHANGED);
	ck_assert_uint_eq(
		states[1].dwEventState, 0x30000 | SCARD_STATE_PRESENT | SCARD_STATE_CHANGED);
	ck_assert_uint_eq(states[1].cbAtr, 4);
	for (int i = 0; i < 2; i++)
		states[i].dwCurrentState = states[i].dwEventState & ~(DWORD)SCARD_STATE_CHANGED;
	ck_assert_int_eq(SCardGetStatusChange(context, 0, states, 2), SCARD_E_TIMEOUT);
	ck_assert_uint_eq(states[1].dwEventState, 0x30000 | SCARD_STATE_PRESENT);
	states[1].szReader = "Reader C";
	ck_assert_int_eq(SCardGetStatusChange(context, 0, states, 2), SCARD_E_UNKNOWN_READER);
	ck_assert_uint_eq(fake_connections(daemon_), 1);
}
END_TEST

START_TEST(change_later)
{
	struct task task = { .state = { .szReader = "Reader A",
				     .dwCurrentState = SCARD_STATE_EMPTY },
		.timeout = INFINITE };
	unsigned before;

	establish(_i);
	begin_task(&task, task_wait);
	await_wait(0);
	/* A change elsewhere doesn't end the wait. */
	fake_set_reader(daemon_, 2, "Reader B", SCARD_ABSENT, 0, 4);
	fake_set_reader(daemon_, 0, "Reader A", PRESENT_STATE, 0, 1);
	ck_assert_int_eq(finish(&task), 0);
	ck_assert_uint_eq(
		task.state.dwEventState, 0x10000 | SCARD_STATE_PRESENT | SCARD_STATE_CHANGED);
	/* The connections are in step: the next call works. */
	ck_assert_int_eq(SCardIsValidContext(context), 0);
	ck_assert_int_eq(SCardGetStatusChange(context, 0, &task.state, 1), 0);
	/* And the reader goes. */
	task.state.dwCurrentState = SCARD_STATE_PRESENT | 0x10000;
	before = waits();
	begin_task(&task, task_wait);
	await_wait(before);
	fake_set_reader(daemon_, 0, "", 0, 0, 0);
	ck_assert_int_eq(finish(&task), 0);
	ck_assert_uint_eq(task.state.dwEventState,
		SCARD_STATE_UNKNOWN | SCARD_STATE_UNAVAILABLE | SCARD_STATE_CHANGED);
}
END_TEST

START_TEST(readers_come)
{
	struct task task = { .state = { .szReader = PNP }, .timeout = INFINITE };
	DWORD counts = _i >= 2 ? 0xFFFF0000 : 0;

	establish(_i);
	begin_task(&task, task_wait);
	await_wait(0);
	fake_set_reader(daemon_, 1, "Reader C", SCARD_ABSENT, 0, 0);
	ck_assert_int_eq(finish(&task), 0);
	ck_assert_uint_eq(task.state.dwEventState, (0x40000 & counts) | SCARD_STATE_CHANGED);
}
END_TEST

START_TEST(wait_times_out)
{
	SCARD_READERSTATE state = { .szReader = "Reader B",
		.dwCurrentState = SCARD_STATE_PRESENT | 0x30000 };
	int64_t before = now_ms();

	establish(_i);
	ck_assert_int_eq(SCardGetStatusChange(context, 150, &state, 1), SCARD_E_TIMEOUT);
	ck_assert_int_ge(now_ms() - before, 149);
	ck_assert_int_eq(SCardGetStatusChange(context, 0, &state, 1), SCARD_E_TIMEOUT);
	ck_assert_uint_eq(state.dwEventState, 0x30000 | SCARD_STATE_PRESENT);
}
END_TEST

START_TEST(cancel_ends_a_wait)
{
	struct task task = { .state = { .szReader = "Reader A",
				     .dwCurrentState = SCARD_STATE_EMPTY },
		.timeout = INFINITE };
	SCARD_READERSTATE state = task.state;

	establish(_i);
	begin_task(&task, task_wait);
	await_wait(0);
	ck_assert_int_eq(SCardCancel(context), 0);
	ck_assert_int_eq(finish(&task), SCARD_E_CANCELLED);
	/* It is used up, */
	ck_assert_int_eq(SCardGetStatusChange(context, 20, &state, 1), SCARD_E_TIMEOUT);
	/* and one that comes before the wait counts once. */
	ck_assert_int_eq(SCardCancel(context), 0);
	ck_assert_int_eq(SCardGetStatusChange(context, INFINITE, &state, 1), SCARD_E_CANCELLED);
	ck_assert_int_eq(SCardGetStatusChange(context, 20, &state, 1), SCARD_E_TIMEOUT);
	ck_assert_int_eq(SCardCancel(context + 1), SCARD_E_INVALID_HANDLE);
}
END_TEST

/* A daemon that is stopped, or hangs, keeps nobody in a call that needs no card. */
START_TEST(silent_daemon)
{
	SCARD_READERSTATE state = { .szReader = "Reader A", .dwCurrentState = SCARD_STATE_EMPTY };
	int64_t begun = now_ms();

	establish(_i);
	fake_hold(daemon_, look_command());
	ck_assert_int_eq(SCardGetStatusChange(context, 0, &state, 1), SCARD_E_NO_SERVICE);
	fake_hold(daemon_, stop_command());
	ck_assert_int_eq(SCardGetStatusChange(context, 50, &state, 1), SCARD_E_NO_SERVICE);
	ck_assert_int_lt(now_ms() - begun, 20000);
	fake_hold(daemon_, 0);
	ck_assert_int_eq(SCardGetStatusChange(context, 50, &state, 1), SCARD_E_TIMEOUT);
}
END_TEST

START_TEST(cancel_at_a_silent_daemon)
{
	struct task task = { .state = { .szReader = "Reader A",
				     .dwCurrentState = SCARD_STATE_EMPTY },
		.timeout = INFINITE };

	establish(_i);
	begin_task(&task, task_wait);
	await_wait(0);
	fake_hold(daemon_, stop_command());
	ck_assert_int_eq(SCardCancel(context), 0);
	ck_assert_int_eq(finish(&task), SCARD_E_CANCELLED);
}
END_TEST

/* Before the wait there is a look at the readers, which is ended, too. */
START_TEST(cancel_at_a_daemon_that_was_silent_before)
{
	struct task task = { .state = { .szReader = "Reader A",
				     .dwCurrentState = SCARD_STATE_EMPTY },
		.timeout = INFINITE };
	SCARD_READERSTATE state = task.state;
	unsigned looks;
	int64_t begun;

	establish(_i);
	fake_hold(daemon_, look_command());
	looks = fake_requests(daemon_, look_command());
	begin_task(&task, task_wait);
	ck_assert(fake_await(daemon_, look_command(), looks + 1));
	begun = now_ms();
	ck_assert_int_eq(SCardCancel(context), 0);
	ck_assert_int_eq(finish(&task), SCARD_E_CANCELLED);
	/* One that comes before the call, as well. */
	ck_assert_int_eq(SCardCancel(context), 0);
	ck_assert_int_eq(SCardGetStatusChange(context, INFINITE, &state, 1), SCARD_E_CANCELLED);
	ck_assert_int_lt(now_ms() - begun, CONN_PROMPT_MS / 2);
	fake_hold(daemon_, 0);
	ck_assert_int_eq(SCardGetStatusChange(context, 50, &state, 1), SCARD_E_TIMEOUT);
}
END_TEST

/* The look needs a connection, which the daemon doesn't accept. */
START_TEST(cancel_while_connecting)
{
	struct task task = { .state = { .szReader = "Reader A",
				     .dwCurrentState = SCARD_STATE_EMPTY },
		.timeout = INFINITE };
	unsigned asked;
	int64_t begun;

	establish(_i);
	connect_card("Reader B");
	fake_hold(daemon_, WIRE_VERSION);
	asked = fake_requests(daemon_, WIRE_VERSION);
	begin_task(&task, task_wait);
	ck_assert(fake_await(daemon_, WIRE_VERSION, asked + 1));
	begun = now_ms();
	ck_assert_int_eq(SCardCancel(context), 0);
	ck_assert_int_eq(finish(&task), SCARD_E_CANCELLED);
	ck_assert_int_lt(now_ms() - begun, CONN_PROMPT_MS / 2);
	fake_hold(daemon_, 0);
}
END_TEST

/* Only one that met no wait is kept; what there is to see is told first. */
START_TEST(cancel_is_kept_for_a_wait)
{
	SCARD_READERSTATE state = { .szReader = "Reader A" };

	establish(_i);
	ck_assert_int_eq(SCardCancel(context), 0);
	ck_assert_int_eq(SCardGetStatusChange(context, INFINITE, &state, 1), 0);
	state.dwCurrentState = state.dwEventState & ~(DWORD)SCARD_STATE_CHANGED;
	ck_assert_int_eq(SCardGetStatusChange(context, INFINITE, &state, 1), SCARD_E_CANCELLED);
	ck_assert_int_eq(SCardGetStatusChange(context, 20, &state, 1), SCARD_E_TIMEOUT);
}
END_TEST

START_TEST(cancels_without_loss)
{
	struct task task = { .state = { .szReader = "Reader A",
				     .dwCurrentState = SCARD_STATE_EMPTY },
		.timeout = INFINITE };

	establish(_i);
	for (int i = 0; i < 300; i++) {
		begin_task(&task, task_wait);
		ck_assert_int_eq(SCardCancel(context), 0);
		ck_assert_int_eq(finish(&task), SCARD_E_CANCELLED);
	}
}
END_TEST

START_TEST(release_ends_a_wait)
{
	struct task task = { .state = { .szReader = "Reader A",
				     .dwCurrentState = SCARD_STATE_EMPTY },
		.timeout = INFINITE };

	establish(_i);
	begin_task(&task, task_wait);
	await_wait(0);
	ck_assert_int_eq(SCardReleaseContext(context), 0);
	ck_assert_int_eq(finish(&task), SCARD_E_CANCELLED);
	ck_assert_int_eq(SCardReleaseContext(context), SCARD_E_INVALID_HANDLE);
	ck_assert(fake_await_connections(daemon_, 0));
}
END_TEST

START_TEST(release_ends_a_call)
{
	struct task task = { 0 };

	establish(_i);
	task.card = connect_card("Reader B");
	fake_hold(daemon_, WIRE_TRANSMIT);
	begin_task(&task, task_transmit);
	ck_assert(fake_await(daemon_, WIRE_TRANSMIT, 1));
	ck_assert_int_eq(SCardReleaseContext(context), 0);
	ck_assert_int_eq(finish(&task), SCARD_E_CANCELLED);
	fake_hold(daemon_, 0);
}
END_TEST

START_TEST(calls_run_side_by_side)
{
	struct task slow = { 0 };
	struct task waiting = { .state = { .szReader = "Reader A",
					.dwCurrentState = SCARD_STATE_EMPTY },
		.timeout = INFINITE };
	SCARDHANDLE other;
	char names[64];
	DWORD length = sizeof(names);

	establish(_i);
	slow.card = connect_card("Reader B");
	other = connect_card("Reader A");
	begin_task(&waiting, task_wait);
	await_wait(0);
	fake_hold(daemon_, WIRE_TRANSMIT);
	begin_task(&slow, task_transmit);
	ck_assert(fake_await(daemon_, WIRE_TRANSMIT, 1));
	/* One thread waits for a change, one for a card; this one does the rest. */
	ck_assert_int_eq(SCardListReaders(context, NULL, names, &length), 0);
	ck_assert_int_eq(SCardBeginTransaction(other), 0);
	ck_assert_int_eq(SCardEndTransaction(other, SCARD_LEAVE_CARD), 0);
	ck_assert_int_eq(SCardDisconnect(connect_card("Reader B"), SCARD_LEAVE_CARD), 0);
	ck_assert_int_eq(SCardIsValidContext(context), 0);
	fake_hold(daemon_, 0);
	ck_assert_int_eq(finish(&slow), 0);
	ck_assert_int_eq(SCardCancel(context), 0);
	ck_assert_int_eq(finish(&waiting), SCARD_E_CANCELLED);
	ck_assert_int_eq(transmit(other), 0);
}
END_TEST

static LONG task_many(struct task *task)
{
	for (int i = 0; i < 100; i++) {
		LONG rv = transmit(task->card);
		DWORD length = 0;

		if (rv == 0)
			rv = SCardListReaders(context, NULL, NULL, &length);
		if (rv != 0)
			return rv;
	}
	return 0;
}

START_TEST(many_threads)
{
	struct task tasks[16] = { 0 };
	SCARDHANDLE shared;

	establish(_i);
	shared = connect_card("Reader B");
	for (int i = 0; i < 16; i++) {
		tasks[i].card = i % 2 ? shared : connect_card("Reader B");
		begin_task(&tasks[i], task_many);
	}
	for (int i = 0; i < 16; i++)
		ck_assert_int_eq(finish(&tasks[i]), 0);
}
END_TEST

/* Other daemons answer "try again"; ours has queued the request, so its answer is final. */
START_TEST(sharing_violation)
{
	SCARDHANDLE card;

	establish(_i);
	card = connect_card("Reader B");
	fake_answer(daemon_, WIRE_BEGIN_TRANSACTION, (uint32_t)SCARD_E_SHARING_VIOLATION, 2);
	fake_answer(daemon_, WIRE_TRANSMIT, (uint32_t)SCARD_E_SHARING_VIOLATION, 1);
	if (dialect == WIRE_DIALECT_EXT) {
		ck_assert_int_eq(SCardBeginTransaction(card), SCARD_E_SHARING_VIOLATION);
		ck_assert_int_eq(transmit(card), SCARD_E_SHARING_VIOLATION);
	} else {
		ck_assert_int_eq(SCardBeginTransaction(card), 0);
		ck_assert_uint_eq(fake_requests(daemon_, WIRE_BEGIN_TRANSACTION), 3);
		ck_assert_int_eq(transmit(card), 0);
	}
	fake_answer(daemon_, WIRE_END_TRANSACTION, (uint32_t)SCARD_E_SHARING_VIOLATION, 1);
	ck_assert_int_eq(SCardEndTransaction(card, SCARD_LEAVE_CARD), SCARD_E_SHARING_VIOLATION);
}
END_TEST

START_TEST(sharing_violation_without_blocking)
{
	SCARDHANDLE card;
	DWORD protocol;

	setenv("PCSCLITE_NO_BLOCKING", "1", 1);
	establish(_i);
	card = connect_card("Reader B");
	fake_answer(daemon_, WIRE_TRANSMIT, (uint32_t)SCARD_E_SHARING_VIOLATION, 1);
	ck_assert_int_eq(transmit(card), SCARD_E_SHARING_VIOLATION);
	fake_answer(daemon_, WIRE_RECONNECT, (uint32_t)SCARD_E_SHARING_VIOLATION, 1);
	ck_assert_int_eq(SCardReconnect(card, SCARD_SHARE_SHARED, 3, SCARD_LEAVE_CARD, &protocol),
		SCARD_E_SHARING_VIOLATION);
}
END_TEST

START_TEST(connect_in_own_transaction)
{
	SCARDHANDLE card, other;
	DWORD protocol;

	establish(_i);
	card = connect_card("Reader B");
	ck_assert_int_eq(SCardBeginTransaction(card), 0);
	ck_assert_int_eq(
		SCardConnect(context, "Reader B", SCARD_SHARE_SHARED, 3, &other, &protocol),
		SCARD_E_SHARING_VIOLATION);
	connect_card("Reader A");
	ck_assert_int_eq(SCardEndTransaction(card, SCARD_LEAVE_CARD), 0);
	connect_card("Reader B");
}
END_TEST

START_TEST(wait_survives_a_restart)
{
	struct task task = { .state = { .szReader = "Reader A",
				     .dwCurrentState = SCARD_STATE_EMPTY },
		.timeout = INFINITE };

	establish(_i);
	begin_task(&task, task_wait);
	await_wait(0);
	fake_stop(daemon_);
	start(_i);
	/* One look after the restart, then it waits again. */
	await_wait(0);
	fake_set_reader(daemon_, 0, "Reader A", PRESENT_STATE, 0, 1);
	ck_assert_int_eq(finish(&task), 0);
	ck_assert_uint_eq(
		task.state.dwEventState, 0x10000 | SCARD_STATE_PRESENT | SCARD_STATE_CHANGED);
}
END_TEST

static LONG task_restart(struct task *task)
{
	struct timespec while_away = { .tv_nsec = 300000000 };

	(void)task;
	nanosleep(&while_away, NULL);
	daemon_ = fake_new(path, dialect);
	fake_set_reader(daemon_, 0, "Reader A", PRESENT_STATE, 0, 1);
	fake_listen(daemon_);
	return 0;
}

START_TEST(wait_begins_without_a_daemon)
{
	struct task task = { 0 };
	SCARD_READERSTATE state = { .szReader = "Reader A" };

	establish(_i);
	fake_stop(daemon_);
	daemon_ = NULL;
	ck_assert_int_eq(SCardGetStatusChange(context, 0, &state, 1), SCARD_E_NO_SERVICE);
	ck_assert_int_eq(SCardGetStatusChange(context, 100, &state, 1), SCARD_E_NO_SERVICE);
	ck_assert_int_eq(SCardIsValidContext(context), SCARD_E_NO_SERVICE);
	/* Its folder may go too. */
	ck_assert_int_eq(rmdir(folder), 0);
	ck_assert_int_eq(mkdir(folder, 0755), 0);
	begin_task(&task, task_restart);
	ck_assert_int_eq(SCardGetStatusChange(context, INFINITE, &state, 1), 0);
	ck_assert_uint_eq(state.dwEventState, 0x10000 | SCARD_STATE_PRESENT | SCARD_STATE_CHANGED);
	finish(&task);
	ck_assert_int_eq(SCardIsValidContext(context), 0);
}
END_TEST

START_TEST(cancel_without_a_daemon)
{
	struct task task = { .state = { .szReader = "Reader A" }, .timeout = INFINITE };
	struct timespec moment = { .tv_nsec = 50000000 };

	establish(_i);
	fake_stop(daemon_);
	daemon_ = NULL;
	begin_task(&task, task_wait);
	nanosleep(&moment, NULL);
	ck_assert_int_eq(SCardCancel(context), 0);
	ck_assert_int_eq(finish(&task), SCARD_E_CANCELLED);
}
END_TEST

START_TEST(list_survives_a_restart)
{
	struct task task = { 0 };
	char names[64];
	DWORD length = sizeof(names);

	establish(_i);
	fake_stop(daemon_);
	begin_task(&task, task_restart);
	ck_assert_int_eq(SCardListReaders(context, NULL, names, &length), 0);
	ck_assert_str_eq(names, "Reader A");
	finish(&task);
}
END_TEST

START_TEST(card_after_a_restart)
{
	SCARDHANDLE card;
	DWORD protocol, state;

	establish(_i);
	card = connect_card("Reader B");
	ck_assert_int_eq(SCardBeginTransaction(card), 0);
	fake_stop(daemon_);
	daemon_ = NULL;
	ck_assert_int_eq(transmit(card), SCARD_E_NO_SERVICE);
	ck_assert_int_eq(SCardReconnect(card, SCARD_SHARE_SHARED, 3, SCARD_LEAVE_CARD, &protocol),
		SCARD_E_NO_SERVICE);
	start(_i);
	ck_assert_int_eq(transmit(card), SCARD_W_RESET_CARD);
	ck_assert_int_eq(SCardBeginTransaction(card), SCARD_W_RESET_CARD);
	ck_assert_int_eq(SCardEndTransaction(card, SCARD_LEAVE_CARD), SCARD_W_RESET_CARD);
	ck_assert_int_eq(
		SCardStatus(card, NULL, NULL, &state, NULL, NULL, NULL), SCARD_W_RESET_CARD);
	ck_assert_int_eq(
		SCardReconnect(card, SCARD_SHARE_SHARED, 3, 7, &protocol), SCARD_E_INVALID_VALUE);
	ck_assert_int_eq(
		SCardReconnect(card, SCARD_SHARE_SHARED, 3, SCARD_RESET_CARD, &protocol), 0);
	ck_assert_uint_eq(fake_requests(daemon_, WIRE_RECONNECT), 1);
	ck_assert_int_eq(transmit(card), 0);
	fake_stop(daemon_);
	start(_i);
	fake_set_reader(daemon_, 2, "", 0, 0, 0);
	ck_assert_int_eq(SCardReconnect(card, SCARD_SHARE_SHARED, 3, SCARD_LEAVE_CARD, &protocol),
		SCARD_E_READER_UNAVAILABLE);
	ck_assert_int_eq(SCardDisconnect(card, SCARD_LEAVE_CARD), 0);
	ck_assert_int_eq(SCardDisconnect(card, SCARD_LEAVE_CARD), SCARD_E_INVALID_HANDLE);
}
END_TEST

START_TEST(child_has_no_handles)
{
	SCARDHANDLE card;
	SCARDCONTEXT own;
	int outcome;
	pid_t pid;

	establish(_i);
	card = connect_card("Reader B");
	pid = fork();
	if (pid == 0) {
		int wrong = 0;

		wrong |= SCardIsValidContext(context) != SCARD_E_INVALID_HANDLE;
		wrong |= (transmit(card) != SCARD_E_INVALID_HANDLE) << 1;
		wrong |= (SCardReleaseContext(context) != SCARD_E_INVALID_HANDLE) << 2;
		wrong |= (SCardEstablishContext(SCARD_SCOPE_SYSTEM, NULL, NULL, &own) != 0) << 3;
		wrong |= (SCardReleaseContext(own) != 0) << 4;
		_exit(wrong);
	}
	ck_assert_int_eq(waitpid(pid, &outcome, 0), pid);
	ck_assert(WIFEXITED(outcome));
	ck_assert_int_eq(WEXITSTATUS(outcome), 0);
	ck_assert_int_eq(transmit(card), 0);
	ck_assert_int_eq(SCardIsValidContext(context), 0);
}
END_TEST

/* An event that overtakes the states must not be taken for a part of them. */
START_TEST(hasty_events)
{
	SCARD_READERSTATE state = { .szReader = "Reader B",
		.dwCurrentState = SCARD_STATE_PRESENT | 0x30000 };

	establish(_i);
	fake_hasty_events(daemon_, true);
	ck_assert_int_eq(SCardGetStatusChange(context, 30, &state, 1), SCARD_E_TIMEOUT);
	fake_hasty_events(daemon_, false);
	ck_assert_int_eq(SCardGetStatusChange(context, 30, &state, 1), SCARD_E_TIMEOUT);
	ck_assert_int_eq(SCardIsValidContext(context), 0);
}
END_TEST

START_TEST(daemon_that_lies)
{
	SCARDHANDLE card;

	establish(_i);
	card = connect_card("Reader B");
	fake_lie(daemon_, 100000);
	ck_assert_int_eq(transmit(card), SCARD_W_RESET_CARD);
	fake_lie(daemon_, 0);
	ck_assert_int_eq(transmit(card), SCARD_W_RESET_CARD);
}
END_TEST

/* A daemon that drops whoever waits: we come back, but not without end. */
START_TEST(daemon_that_drops_waits)
{
	SCARD_READERSTATE state = { .szReader = "Reader A", .dwCurrentState = SCARD_STATE_EMPTY };
	uint32_t wait = _i == 4 ? WIRE_EXT_WAIT : WIRE_WAIT_READER_STATE_CHANGE;
	struct task task = { .state = state, .timeout = INFINITE };

	establish(_i);
	fake_reject(daemon_, wait);
	ck_assert_int_eq(SCardGetStatusChange(context, 300, &state, 1), SCARD_E_TIMEOUT);
	ck_assert_uint_lt(fake_requests(daemon_, WIRE_ESTABLISH_CONTEXT), 50);
	begin_task(&task, task_wait);
	ck_assert(fake_await(daemon_, wait, 10));
	ck_assert_int_eq(SCardCancel(context), 0);
	ck_assert_int_eq(finish(&task), SCARD_E_CANCELLED);
}
END_TEST

START_TEST(refusals)
{
	SCARDCONTEXT other = 5;

	start(_i);
	ck_assert_int_eq(SCardEstablishContext(4, NULL, NULL, &other), SCARD_E_INVALID_VALUE);
	ck_assert_int_eq(other, 0);
	fake_answer(daemon_, WIRE_ESTABLISH_CONTEXT, (uint32_t)SCARD_E_NO_MEMORY, 1);
	ck_assert_int_eq(SCardEstablishContext(2, NULL, NULL, &other), SCARD_E_NO_MEMORY);
	fake_answer(daemon_, WIRE_VERSION, (uint32_t)SCARD_W_SECURITY_VIOLATION, 1);
	ck_assert_int_eq(SCardEstablishContext(2, NULL, NULL, &other), SCARD_W_SECURITY_VIOLATION);
	ck_assert(fake_await_connections(daemon_, 0));
}
END_TEST

START_TEST(no_daemon)
{
	SCARDCONTEXT other;

	/* The socket is looked at before the arguments. */
	ck_assert_int_eq(SCardEstablishContext(2, NULL, NULL, NULL), SCARD_E_NO_SERVICE);
	start(0);
	ck_assert_int_eq(SCardEstablishContext(2, NULL, NULL, NULL), SCARD_E_INVALID_PARAMETER);
	ck_assert_int_eq(SCardEstablishContext(2, NULL, NULL, &other), 0);
}
END_TEST

START_TEST(wrong_arguments)
{
	SCARD_READERSTATE state = { .szReader = NULL, .dwEventState = 77 };
	SCARDHANDLE card = 5;
	DWORD length = 5, protocol;
	BYTE byte = 0;
	char long_name[130];

	establish(4);
	memset(long_name, 'n', 129);
	long_name[129] = '\0';
	ck_assert_int_eq(SCardConnect(context, "Reader B", 2, 3, NULL, &protocol),
		SCARD_E_INVALID_PARAMETER);
	ck_assert_int_eq(
		SCardConnect(context, "Reader B", 2, 3, &card, NULL), SCARD_E_INVALID_PARAMETER);
	ck_assert_int_eq(
		SCardConnect(context + 1, NULL, 2, 3, &card, &protocol), SCARD_E_UNKNOWN_READER);
	ck_assert_int_eq(card, 0);
	ck_assert_int_eq(SCardConnect(context + 1, long_name, 2, 3, &card, &protocol),
		SCARD_E_INVALID_VALUE);
	ck_assert_int_eq(SCardConnect(context + 1, "Reader B", 2, 3, &card, &protocol),
		SCARD_E_INVALID_HANDLE);
	ck_assert_int_eq(
		SCardConnect(context, "Reader X", 2, 3, &card, &protocol), SCARD_E_UNKNOWN_READER);
	ck_assert_int_eq(SCardReconnect(1, 2, 3, 0, NULL), SCARD_E_INVALID_PARAMETER);
	ck_assert_int_eq(SCardReconnect(1, 2, 3, 0, &protocol), SCARD_E_INVALID_HANDLE);
	ck_assert_int_eq(
		SCardTransmit(1, NULL, &byte, 1, NULL, &byte, &length), SCARD_E_INVALID_PARAMETER);
	ck_assert_uint_eq(length, 5);
	ck_assert_int_eq(SCardTransmit(1, SCARD_PCI_T0, &byte, 1, NULL, &byte, &length),
		SCARD_E_INVALID_HANDLE);
	ck_assert_uint_eq(length, 0);
	card = connect_card("Reader B");
	length = 7;
	ck_assert_int_eq(SCardTransmit(card, SCARD_PCI_T0, &byte, 65549, NULL, &byte, &length),
		SCARD_E_INSUFFICIENT_BUFFER);
	ck_assert_uint_eq(length, 7);
	ck_assert_int_eq(SCardControl(card, 1, &byte, 65549, &byte, 1, &length),
		SCARD_E_INSUFFICIENT_BUFFER);
	ck_assert_uint_eq(length, 0);
	ck_assert_int_eq(SCardListReaders(context, NULL, NULL, NULL), SCARD_E_INVALID_PARAMETER);
	ck_assert_int_eq(SCardListReaders(0, NULL, NULL, &length), SCARD_E_INVALID_HANDLE);
	ck_assert_int_eq(SCardListReaderGroups(0, NULL, &length), SCARD_E_INVALID_HANDLE);
	ck_assert_int_eq(SCardFreeMemory(0, NULL), SCARD_E_INVALID_HANDLE);
	ck_assert_int_eq(SCardFreeMemory(context, NULL), 0);
	ck_assert_int_eq(SCardGetStatusChange(0, 0, NULL, 1), SCARD_E_INVALID_PARAMETER);
	ck_assert_int_eq(SCardGetStatusChange(0, 0, &state, 1), SCARD_E_INVALID_VALUE);
	ck_assert_int_eq(SCardGetStatusChange(0, 0, &state, 0), 0);
	state.szReader = "Reader A";
	ck_assert_int_eq(SCardGetStatusChange(0, 0, &state, 1), SCARD_E_INVALID_HANDLE);
	state.dwCurrentState = SCARD_STATE_IGNORE;
	ck_assert_int_eq(SCardGetStatusChange(0, 0, &state, 1), 0);
	ck_assert_uint_eq(state.dwEventState, 77);
	ck_assert_int_eq(SCardGetAttrib(card, 1, &byte, NULL), SCARD_E_INVALID_PARAMETER);
	ck_assert_int_eq(SCardSetAttrib(card, 1, NULL, 1), SCARD_E_INVALID_PARAMETER);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("client");
	TCase *each = tcase_create("each dialect");
	TCase *once = tcase_create("once");

	tcase_add_checked_fixture(each, setup, teardown);
	tcase_add_checked_fixture(once, setup, teardown);
	tcase_set_timeout(each, 60);
	tcase_add_loop_test(each, lists_readers, 0, DIALECTS);
	tcase_add_loop_test(each, groups, 0, DIALECTS);
	tcase_add_loop_test(each, talks_to_a_card, 0, DIALECTS);
	tcase_add_loop_test(each, commands_of_all_lengths, 0, DIALECTS);
	tcase_add_loop_test(each, attributes, 0, DIALECTS);
	tcase_add_loop_test(each, status, 0, DIALECTS);
	tcase_add_loop_test(each, change_at_once, 0, DIALECTS);
	tcase_add_loop_test(each, change_later, 0, DIALECTS);
	tcase_add_loop_test(each, readers_come, 0, DIALECTS);
	tcase_add_loop_test(each, wait_times_out, 0, DIALECTS);
	tcase_add_loop_test(each, cancel_ends_a_wait, 0, DIALECTS);
	/* These take some seconds each: 4:6 and ours. */
	tcase_add_loop_test(each, silent_daemon, 3, DIALECTS);
	tcase_add_loop_test(each, cancel_at_a_silent_daemon, 4, DIALECTS);
	tcase_add_loop_test(each, cancel_at_a_daemon_that_was_silent_before, 3, DIALECTS);
	tcase_add_loop_test(each, cancel_while_connecting, 3, DIALECTS);
	tcase_add_loop_test(each, cancel_is_kept_for_a_wait, 0, DIALECTS);
	tcase_add_loop_test(each, cancels_without_loss, 0, DIALECTS);
	tcase_add_loop_test(each, release_ends_a_wait, 0, DIALECTS);
	tcase_add_loop_test(each, release_ends_a_call, 0, DIALECTS);
	tcase_add_loop_test(each, calls_run_side_by_side, 0, DIALECTS);
	tcase_add_loop_test(each, many_threads, 0, DIALECTS);
	tcase_add_loop_test(each, sharing_violation, 0, DIALECTS);
	tcase_add_loop_test(each, sharing_violation_without_blocking, 0, DIALECTS);
	tcase_add_loop_test(each, connect_in_own_transaction, 0, DIALECTS);
	tcase_add_loop_test(each, wait_survives_a_restart, 0, DIALECTS);
	tcase_add_loop_test(each, wait_begins_without_a_daemon, 0, DIALECTS);
	tcase_add_loop_test(each, cancel_without_a_daemon, 0, DIALECTS);
	tcase_add_loop_test(each, list_survives_a_restart, 0, DIALECTS);
	tcase_add_loop_test(each, card_after_a_restart, 0, DIALECTS);
	tcase_add_loop_test(each, child_has_no_handles, 0, DIALECTS);
	tcase_add_loop_test(each, hasty_events, 0, DIALECTS);
	tcase_add_loop_test(each, daemon_that_lies, 0, DIALECTS);
	tcase_add_loop_test(each, daemon_that_drops_waits, 0, DIALECTS);
	tcase_add_loop_test(each, refusals, 0, DIALECTS);
	tcase_add_test(once, no_daemon);
	tcase_add_test(once, wrong_arguments);
	suite_add_tcase(suite, each);
	suite_add_tcase(suite, once);
	return suite_run(suite);
}
