/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An application of the client library, with a daemon that the test controls (fake_daemon.h), in
 * each dialect. Check runs each test in a process of its own, so each has a library that has just
 * been started, and one `app`. What should not happen fails the test.
 */
#ifndef CARDWIRE_TESTS_UNIT_APP_H
#define CARDWIRE_TESTS_UNIT_APP_H

#include <pthread.h>
#include <stdint.h>

#include <winscard.h>

#include "fake_daemon.h"

#define APP_PRESENT  (SCARD_PRESENT | SCARD_POWERED | SCARD_NEGOTIABLE)
#define APP_DIALECTS 5 /* the range of a test's loop; the last is ours, the one before it 4:6 */

extern struct app {
	char folder[64];
	char path[100]; /* of the socket */
	struct fake *daemon;
	int dialect;
	SCARDCONTEXT context;
} app;

/* A folder for the socket, of which the library is told; and its end, with the daemon's, if any. */
void app_setup(void);
void app_teardown(void);

/* A daemon of the loop's dialect, an empty reader A, a card in reader B; and a context, too. */
void app_start(int index);
void app_establish(int index);

/* A shared handle. */
SCARDHANDLE app_connect(const char *reader);

/* A short exchange; just its result. */
LONG app_transmit(SCARDHANDLE card);

/* CLOCK_MONOTONIC, ms. */
int64_t app_now_ms(void);

/* Something done by another thread; joined by app_finish(), which returns what `run` did. */
struct app_task {
	pthread_t thread;
	LONG (*run)(struct app_task *task);
	SCARDHANDLE card;
	SCARD_READERSTATE state;
	DWORD timeout; /* ms */
	LONG rv;
};
void app_begin(struct app_task *task, LONG (*run)(struct app_task *));
LONG app_finish(struct app_task *task);

/* What a task may run: SCardGetStatusChange() for its state, and app_transmit() with its card. */
LONG app_wait(struct app_task *task);
LONG app_task_transmit(struct app_task *task);

/* The task of waiting, without end, for a card in the empty reader A. */
struct app_task app_wait_for_card(void);

/* Requests that begin a wait, up to now; with the extension a look comes before. */
unsigned app_waits(void);

/* Waits until the daemon knows that a client waits, when there were `before` of those requests. */
void app_await_wait(unsigned before);

/* The first request of a look at the readers, and the one that ends a wait. */
uint32_t app_look_command(void);
uint32_t app_stop_command(void);

#endif
