/* SPDX-License-Identifier: BSD-3-Clause */
#include "app.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "suite.h"

struct app app;

static const int dialects[APP_DIALECTS] = { 3, 4, 5, 6, WIRE_DIALECT_EXT };

void app_setup(void)
{
	strcpy(app.folder, "/tmp/test_client.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(app.folder));
	snprintf(app.path, sizeof(app.path), "%s/pcscd.comm", app.folder);
	setenv("PCSCLITE_CSOCK_NAME", app.path, 1);
	unsetenv("PCSCLITE_NO_BLOCKING");
}

void app_teardown(void)
{
	if (app.daemon)
		fake_stop(app.daemon);
	unlink(app.path);
	rmdir(app.folder);
}

void app_start(int index)
{
	app.dialect = dialects[index];
	app.daemon = fake_new(app.path, app.dialect);
	fake_set_reader(app.daemon, 0, "Reader A", SCARD_ABSENT, 0, 0);
	fake_set_reader(app.daemon, 2, "Reader B", APP_PRESENT, 0, 3);
	/* Who waited for it to come back finds its readers. */
	fake_listen(app.daemon);
}

void app_establish(int index)
{
	app_start(index);
	ck_assert_int_eq(SCardEstablishContext(SCARD_SCOPE_SYSTEM, NULL, NULL, &app.context), 0);
}

SCARDHANDLE app_connect(const char *reader)
{
	SCARDHANDLE card;
	DWORD protocol;

	ck_assert_int_eq(SCardConnect(app.context, reader, SCARD_SHARE_SHARED, SCARD_PROTOCOL_ANY,
				 &card, &protocol),
		0);
	ck_assert_uint_eq(protocol, SCARD_PROTOCOL_T1);
	return card;
}

LONG app_transmit(SCARDHANDLE card)
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

int64_t app_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void *run_task(void *argument)
{
	struct app_task *task = argument;

	task->rv = task->run(task);
	return NULL;
}

void app_begin(struct app_task *task, LONG (*run)(struct app_task *))
{
	task->run = run;
	pthread_create(&task->thread, NULL, run_task, task);
}

LONG app_finish(struct app_task *task)
{
	pthread_join(task->thread, NULL);
	return task->rv;
}

LONG app_wait(struct app_task *task)
{
	return SCardGetStatusChange(app.context, task->timeout, &task->state, 1);
}

LONG app_task_transmit(struct app_task *task)
{
	return app_transmit(task->card);
}

struct app_task app_wait_for_card(void)
{
	return (struct app_task){ .state = { .szReader = "Reader A",
					  .dwCurrentState = SCARD_STATE_EMPTY },
		.timeout = INFINITE };
}

unsigned app_waits(void)
{
	return app.dialect == WIRE_DIALECT_EXT
		       ? fake_requests(app.daemon, WIRE_EXT_WAIT)
		       : fake_requests(app.daemon, WIRE_WAIT_READER_STATE_CHANGE);
}

void app_await_wait(unsigned before)
{
	if (app.dialect == WIRE_DIALECT_EXT)
		ck_assert(fake_await(app.daemon, WIRE_EXT_WAIT, before + 2));
	else
		ck_assert(fake_await(app.daemon, WIRE_WAIT_READER_STATE_CHANGE, before + 1));
}

uint32_t app_look_command(void)
{
	if (app.dialect == WIRE_DIALECT_EXT)
		return WIRE_EXT_WAIT;
	return app.dialect >= WIRE_MINOR_DYNAMIC_ARRAY ? WIRE_GET_READERS_STATE_SIZE
						       : WIRE_GET_READERS_STATE;
}

uint32_t app_stop_command(void)
{
	return app.dialect == WIRE_DIALECT_EXT ? WIRE_EXT_STOP : WIRE_STOP_WAITING;
}
