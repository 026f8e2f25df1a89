/* SPDX-License-Identifier: BSD-3-Clause */
/* The client library's calls, each against a daemon that behaves, in each dialect. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app.h"
#include "suite.h"

START_TEST(lists_readers)
{
	char names[64];
	char *allocated = NULL;
	DWORD length = 0;

	app_establish(_i);
	ck_assert_int_eq(SCardListReaders(app.context, NULL, NULL, &length), 0);
	ck_assert_uint_eq(length, 19);
	length = 18;
	ck_assert_int_eq(
		SCardListReaders(app.context, NULL, names, &length), SCARD_E_INSUFFICIENT_BUFFER);
	ck_assert_uint_eq(length, 19);
	ck_assert_int_eq(SCardListReaders(app.context, NULL, names, &length), 0);
	ck_assert_mem_eq(names, "Reader A\0Reader B\0\0", 19);
	length = SCARD_AUTOALLOCATE;
	ck_assert_int_eq(SCardListReaders(app.context, NULL, (LPSTR)&allocated, &length), 0);
	ck_assert_mem_eq(allocated, "Reader A\0Reader B\0\0", 19);
	ck_assert_int_eq(SCardFreeMemory(app.context, allocated), 0);
	fake_set_reader(app.daemon, 0, "", 0, 0, 0);
	fake_set_reader(app.daemon, 2, "", 0, 0, 0);
	ck_assert_int_eq(
		SCardListReaders(app.context, NULL, NULL, &length), SCARD_E_NO_READERS_AVAILABLE);
	ck_assert_uint_eq(length, 1);
	ck_assert_uint_eq(fake_connections(app.daemon), 1);
}
END_TEST

START_TEST(groups)
{
	char text[32];
	DWORD length = sizeof(text);

	app_establish(_i);
	ck_assert_int_eq(SCardListReaderGroups(app.context, text, &length), 0);
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

	app_establish(_i);
	card = app_connect("Reader B");
	ck_assert_int_eq(app_transmit(card), 0);
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
	card = app_connect("Reader B");
	ck_assert_uint_eq(fake_connections(app.daemon), 1);
	ck_assert_int_eq(SCardReleaseContext(app.context), 0);
	ck_assert_int_eq(app_transmit(card), SCARD_E_INVALID_HANDLE);
	ck_assert(fake_await_connections(app.daemon, 0));
}
END_TEST

START_TEST(commands_of_all_lengths)
{
	static const size_t lengths[] = { 1, 5, 509, 510, 511, 512, 513, 514, 4096, 65535, 65546 };
	static BYTE command[65548], answer[65548];
	SCARDHANDLE card;

	app_establish(_i);
	card = app_connect("Reader B");
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

	app_establish(_i);
	card = app_connect("Reader B");
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
	ck_assert_int_eq(SCardFreeMemory(app.context, allocated), 0);
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

	app_establish(_i);
	/* The extension's fake tells of its first reader. */
	fake_set_reader(app.daemon, 0, "Reader A", APP_PRESENT, 1, 5);
	card = app_connect("Reader A");
	name_length = sizeof(name);
	atr_length = sizeof(atr);
	ck_assert_int_eq(
		SCardStatus(card, name, &name_length, &state, &protocol, atr, &atr_length), 0);
	ck_assert_str_eq(name, "Reader A");
	ck_assert_uint_eq(name_length, 9);
	ck_assert_uint_eq(state, 0x50000 | APP_PRESENT);
	ck_assert_uint_eq(protocol, SCARD_PROTOCOL_T1);
	ck_assert_uint_eq(atr_length, 4);
	ck_assert_mem_eq(atr, "\x3B\x80\x01\x81", 4);
	name_length = 3;
	ck_assert_int_eq(SCardStatus(card, name, &name_length, NULL, NULL, NULL, NULL),
		SCARD_E_INSUFFICIENT_BUFFER);
	ck_assert_uint_eq(name_length, 9);
	ck_assert_int_eq(SCardStatus(card, NULL, NULL, NULL, NULL, NULL, NULL), 0);
	if (app.dialect == WIRE_DIALECT_EXT)
		return;
	fake_answer(app.daemon, WIRE_STATUS, (uint32_t)SCARD_W_REMOVED_CARD, 1);
	state = 99;
	ck_assert_int_eq(SCardStatus(card, name, &name_length, &state, NULL, NULL, NULL),
		SCARD_W_REMOVED_CARD);
	ck_assert_uint_eq(state, 0);
	ck_assert_uint_eq(name_length, 0);
}
END_TEST

static LONG task_many(struct app_task *task)
{
	for (int i = 0; i < 100; i++) {
		LONG rv = app_transmit(task->card);
		DWORD length = 0;

		if (rv == 0)
			rv = SCardListReaders(app.context, NULL, NULL, &length);
		if (rv != 0)
			return rv;
	}
	return 0;
}

START_TEST(many_threads)
{
	struct app_task tasks[16] = { 0 };
	SCARDHANDLE shared;

	app_establish(_i);
	shared = app_connect("Reader B");
	for (int i = 0; i < 16; i++) {
		tasks[i].card = i % 2 ? shared : app_connect("Reader B");
		app_begin(&tasks[i], task_many);
	}
	for (int i = 0; i < 16; i++)
		ck_assert_int_eq(app_finish(&tasks[i]), 0);
}
END_TEST

/* Other daemons answer "try again"; ours has queued the request, so its answer is final. */
START_TEST(sharing_violation)
{
	SCARDHANDLE card;

	app_establish(_i);
	card = app_connect("Reader B");
	fake_answer(app.daemon, WIRE_BEGIN_TRANSACTION, (uint32_t)SCARD_E_SHARING_VIOLATION, 2);
	fake_answer(app.daemon, WIRE_TRANSMIT, (uint32_t)SCARD_E_SHARING_VIOLATION, 1);
	if (app.dialect == WIRE_DIALECT_EXT) {
		ck_assert_int_eq(SCardBeginTransaction(card), SCARD_E_SHARING_VIOLATION);
		ck_assert_int_eq(app_transmit(card), SCARD_E_SHARING_VIOLATION);
	} else {
		ck_assert_int_eq(SCardBeginTransaction(card), 0);
		ck_assert_uint_eq(fake_requests(app.daemon, WIRE_BEGIN_TRANSACTION), 3);
		ck_assert_int_eq(app_transmit(card), 0);
	}
	fake_answer(app.daemon, WIRE_END_TRANSACTION, (uint32_t)SCARD_E_SHARING_VIOLATION, 1);
	ck_assert_int_eq(SCardEndTransaction(card, SCARD_LEAVE_CARD), SCARD_E_SHARING_VIOLATION);
}
END_TEST

START_TEST(sharing_violation_without_blocking)
{
	SCARDHANDLE card;
	DWORD protocol;

	setenv("PCSCLITE_NO_BLOCKING", "1", 1);
	app_establish(_i);
	card = app_connect("Reader B");
	fake_answer(app.daemon, WIRE_TRANSMIT, (uint32_t)SCARD_E_SHARING_VIOLATION, 1);
	ck_assert_int_eq(app_transmit(card), SCARD_E_SHARING_VIOLATION);
	fake_answer(app.daemon, WIRE_RECONNECT, (uint32_t)SCARD_E_SHARING_VIOLATION, 1);
	ck_assert_int_eq(SCardReconnect(card, SCARD_SHARE_SHARED, 3, SCARD_LEAVE_CARD, &protocol),
		SCARD_E_SHARING_VIOLATION);
}
END_TEST

START_TEST(connect_in_own_transaction)
{
	SCARDHANDLE card, other;
	DWORD protocol;

	app_establish(_i);
	card = app_connect("Reader B");
	ck_assert_int_eq(SCardBeginTransaction(card), 0);
	ck_assert_int_eq(
		SCardConnect(app.context, "Reader B", SCARD_SHARE_SHARED, 3, &other, &protocol),
		SCARD_E_SHARING_VIOLATION);
	app_connect("Reader A");
	ck_assert_int_eq(SCardEndTransaction(card, SCARD_LEAVE_CARD), 0);
	app_connect("Reader B");
}
END_TEST

/* The transaction has ended with its card, which the application hasn't asked the old handle about. */
START_TEST(connect_after_a_lost_transaction)
{
	SCARDHANDLE card;

	app_establish(APP_DIALECTS - 1);
	card = app_connect("Reader B");
	ck_assert_int_eq(SCardBeginTransaction(card), 0);
	fake_set_reader(app.daemon, 2, "Reader B", SCARD_ABSENT, 0, 4);
	fake_set_reader(app.daemon, 2, "Reader B", APP_PRESENT, 0, 5);
	app_connect("Reader B");
}
END_TEST

static LONG list(struct app_task *task)
{
	DWORD length = 0;

	(void)task;
	return SCardListReaders(app.context, NULL, NULL, &length);
}

/* What the parent closes is closed, though a child has inherited it unknowingly. */
START_TEST(fork_while_connecting)
{
	struct app_task task = { 0 };
	unsigned asked;
	int result = 1;
	int gate[2];
	char byte;
	pid_t child;

	app_establish(APP_DIALECTS - 1);
	app_connect("Reader B");
	ck_assert_int_eq(pipe(gate), 0);
	fake_hold(app.daemon, WIRE_VERSION);
	asked = fake_requests(app.daemon, WIRE_VERSION);
	app_begin(&task, list);
	ck_assert(fake_await(app.daemon, WIRE_VERSION, asked + 1));
	child = fork();
	if (child == 0) {
		close(gate[1]);
		_exit(read(gate[0], &byte, 1) == 0 ? 0 : 1);
	}
	close(gate[0]);
	fake_hold(app.daemon, 0);
	ck_assert_int_eq(app_finish(&task), SCARD_S_SUCCESS);
	ck_assert_int_eq(SCardReleaseContext(app.context), 0);
	ck_assert(fake_await_connections(app.daemon, 0));
	close(gate[1]);
	ck_assert_int_eq(waitpid(child, &result, 0), child);
	ck_assert_int_eq(result, 0);
}
END_TEST

START_TEST(child_has_no_handles)
{
	SCARDHANDLE card;
	SCARDCONTEXT own;
	int outcome;
	pid_t pid;

	app_establish(_i);
	card = app_connect("Reader B");
	pid = fork();
	if (pid == 0) {
		int wrong = 0;

		wrong |= SCardIsValidContext(app.context) != SCARD_E_INVALID_HANDLE;
		wrong |= (app_transmit(card) != SCARD_E_INVALID_HANDLE) << 1;
		wrong |= (SCardReleaseContext(app.context) != SCARD_E_INVALID_HANDLE) << 2;
		wrong |= (SCardEstablishContext(SCARD_SCOPE_SYSTEM, NULL, NULL, &own) != 0) << 3;
		wrong |= (SCardReleaseContext(own) != 0) << 4;
		_exit(wrong);
	}
	ck_assert_int_eq(waitpid(pid, &outcome, 0), pid);
	ck_assert(WIFEXITED(outcome));
	ck_assert_int_eq(WEXITSTATUS(outcome), 0);
	ck_assert_int_eq(app_transmit(card), 0);
	ck_assert_int_eq(SCardIsValidContext(app.context), 0);
}
END_TEST

START_TEST(refusals)
{
	SCARDCONTEXT other = 5;

	app_start(_i);
	ck_assert_int_eq(SCardEstablishContext(4, NULL, NULL, &other), SCARD_E_INVALID_VALUE);
	ck_assert_int_eq(other, 0);
	fake_answer(app.daemon, WIRE_ESTABLISH_CONTEXT, (uint32_t)SCARD_E_NO_MEMORY, 1);
	ck_assert_int_eq(SCardEstablishContext(2, NULL, NULL, &other), SCARD_E_NO_MEMORY);
	fake_answer(app.daemon, WIRE_VERSION, (uint32_t)SCARD_W_SECURITY_VIOLATION, 1);
	ck_assert_int_eq(SCardEstablishContext(2, NULL, NULL, &other), SCARD_W_SECURITY_VIOLATION);
	ck_assert(fake_await_connections(app.daemon, 0));
}
END_TEST

START_TEST(no_daemon)
{
	SCARDCONTEXT other;

	/* The socket is looked at before the arguments. */
	ck_assert_int_eq(SCardEstablishContext(2, NULL, NULL, NULL), SCARD_E_NO_SERVICE);
	app_start(0);
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

	app_establish(4);
	memset(long_name, 'n', 129);
	long_name[129] = '\0';
	ck_assert_int_eq(SCardConnect(app.context, "Reader B", 2, 3, NULL, &protocol),
		SCARD_E_INVALID_PARAMETER);
	ck_assert_int_eq(SCardConnect(app.context, "Reader B", 2, 3, &card, NULL),
		SCARD_E_INVALID_PARAMETER);
	ck_assert_int_eq(SCardConnect(app.context + 1, NULL, 2, 3, &card, &protocol),
		SCARD_E_UNKNOWN_READER);
	ck_assert_int_eq(card, 0);
	ck_assert_int_eq(SCardConnect(app.context + 1, long_name, 2, 3, &card, &protocol),
		SCARD_E_INVALID_VALUE);
	ck_assert_int_eq(SCardConnect(app.context + 1, "Reader B", 2, 3, &card, &protocol),
		SCARD_E_INVALID_HANDLE);
	ck_assert_int_eq(SCardConnect(app.context, "Reader X", 2, 3, &card, &protocol),
		SCARD_E_UNKNOWN_READER);
	ck_assert_int_eq(SCardReconnect(1, 2, 3, 0, NULL), SCARD_E_INVALID_PARAMETER);
	ck_assert_int_eq(SCardReconnect(1, 2, 3, 0, &protocol), SCARD_E_INVALID_HANDLE);
	ck_assert_int_eq(
		SCardTransmit(1, NULL, &byte, 1, NULL, &byte, &length), SCARD_E_INVALID_PARAMETER);
	ck_assert_uint_eq(length, 5);
	ck_assert_int_eq(SCardTransmit(1, SCARD_PCI_T0, &byte, 1, NULL, &byte, &length),
		SCARD_E_INVALID_HANDLE);
	ck_assert_uint_eq(length, 0);
	card = app_connect("Reader B");
	length = 7;
	ck_assert_int_eq(SCardTransmit(card, SCARD_PCI_T0, &byte, 65549, NULL, &byte, &length),
		SCARD_E_INSUFFICIENT_BUFFER);
	ck_assert_uint_eq(length, 7);
	ck_assert_int_eq(SCardControl(card, 1, &byte, 65549, &byte, 1, &length),
		SCARD_E_INSUFFICIENT_BUFFER);
	ck_assert_uint_eq(length, 0);
	ck_assert_int_eq(
		SCardListReaders(app.context, NULL, NULL, NULL), SCARD_E_INVALID_PARAMETER);
	ck_assert_int_eq(SCardListReaders(0, NULL, NULL, &length), SCARD_E_INVALID_HANDLE);
	ck_assert_int_eq(SCardListReaderGroups(0, NULL, &length), SCARD_E_INVALID_HANDLE);
	ck_assert_int_eq(SCardFreeMemory(0, NULL), SCARD_E_INVALID_HANDLE);
	ck_assert_int_eq(SCardFreeMemory(app.context, NULL), 0);
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

	tcase_add_checked_fixture(each, app_setup, app_teardown);
	tcase_add_checked_fixture(once, app_setup, app_teardown);
	tcase_set_timeout(each, 60);
	tcase_add_loop_test(each, lists_readers, 0, APP_DIALECTS);
	tcase_add_loop_test(each, groups, 0, APP_DIALECTS);
	tcase_add_loop_test(each, talks_to_a_card, 0, APP_DIALECTS);
	tcase_add_loop_test(each, commands_of_all_lengths, 0, APP_DIALECTS);
	tcase_add_loop_test(each, attributes, 0, APP_DIALECTS);
	tcase_add_loop_test(each, status, 0, APP_DIALECTS);
	tcase_add_loop_test(each, many_threads, 0, APP_DIALECTS);
	tcase_add_loop_test(each, sharing_violation, 0, APP_DIALECTS);
	tcase_add_loop_test(each, sharing_violation_without_blocking, 0, APP_DIALECTS);
	tcase_add_loop_test(each, connect_in_own_transaction, 0, APP_DIALECTS);
	tcase_add_loop_test(each, child_has_no_handles, 0, APP_DIALECTS);
	tcase_add_loop_test(each, refusals, 0, APP_DIALECTS);
	tcase_add_test(once, connect_after_a_lost_transaction);
	tcase_add_test(once, fork_while_connecting);
	tcase_add_test(once, no_daemon);
	tcase_add_test(once, wrong_arguments);
	suite_add_tcase(suite, each);
	suite_add_tcase(suite, once);
	return suite_run(suite);
}
