/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_TESTS_UNIT_FAKE_DAEMON_H
#define CARDWIRE_TESTS_UNIT_FAKE_DAEMON_H

/*
 * A daemon for tests of the client library: it speaks one dialect, has the readers it is told, and
 * does what the test says. Cards answer each command with the command and 9000. Handles and contexts
 * are counted up. Any thread may call these functions.
 */

#include <stdbool.h>
#include <stdint.h>

#include "wire/wire.h"

#define FAKE_READERS 4 /* most readers */

struct fake;

/*
 * One for a socket; `dialect` as in wire/wire.h. The path must outlive it. It is there for clients
 * from fake_listen() on.
 */
struct fake *fake_new(const char *path, int dialect);
void fake_listen(struct fake *fake);

/* Both at once. */
struct fake *fake_start(const char *path, int dialect);

/* Stops it as a crash would: all connections close, the socket goes. */
void fake_stop(struct fake *fake);

/* Says what reader `index` is like (an empty name: there is none), and sends events. */
void fake_set_reader(struct fake *fake, unsigned index, const char *name, uint32_t state,
	int32_t sharing, uint32_t counter);

/* The next `times` requests of this kind are answered with `rv` and nothing else. */
void fake_answer(struct fake *fake, uint32_t command, uint32_t rv, unsigned times);

/* Requests of this kind are kept waiting until the next fake_hold(fake, 0). */
void fake_hold(struct fake *fake, uint32_t command);

/* Requests of this kind close the connection. */
void fake_reject(struct fake *fake, uint32_t command);

/* Replies to TRANSMIT claim this many bytes more than they carry. */
void fake_lie(struct fake *fake, uint32_t bytes);

/* At 4:6 and 4:3: an event follows each registration at once, before any state is asked for. */
void fake_hasty_events(struct fake *fake, bool hasty);

/* How many requests of this kind have come. fake_await() waits until there are as many (60 s). */
unsigned fake_requests(struct fake *fake, uint32_t command);
bool fake_await(struct fake *fake, uint32_t command, unsigned count);

/* How many connections are open. fake_await_connections() waits until there are as many (60 s). */
unsigned fake_connections(struct fake *fake);
bool fake_await_connections(struct fake *fake, unsigned count);

#endif
