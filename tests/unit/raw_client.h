/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clients of a server that runs in the test's own process, byte by byte, and its one reader, whose
 * driver does what it is told (ifd_scripted.c). What should not happen fails the test.
 *
 * A client belongs to one thread; the server to the test that has it.
 */
#ifndef CARDWIRE_TESTS_UNIT_RAW_CLIENT_H
#define CARDWIRE_TESTS_UNIT_RAW_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pcscd/clock.h"
#include "pcscd/readers/readers.h"
#include "wire/wire.h"

#define RAW_READER   "Test 00 00"
#define RAW_HANDLES  4                 /* the server's limit for a context */
#define RAW_KEPT     ((size_t)2 << 20) /* and for what its user leaves waiting, bytes */
#define RAW_LEASE_NS (2 * CLOCK_S)
#define RAW_NEVER_MS 100            /* for what must not come */
#define RAW_SOON     (60 * CLOCK_S) /* for what must */

/*
 * Starts the server with the reader: how many slots ("1", "2"), when its cards have power (NULL:
 * as it is where nothing is said). raw_setup() has one slot.
 */
void raw_serve(const char *slots, const struct reader_power *power);
void raw_setup(void);

/* Ends it. Stopping is a test, too: in time, and with nothing left running. */
void raw_teardown(void);

/* Waits until the reader, which was up, is told to be gone, and is it. */
void raw_await_gone(void);

/* A connection; what it speaks, its context and its handle, once it has them. */
struct raw_client {
	int fd;
	int dialect;
	uint32_t context;
	int32_t card;
	uint32_t protocol;
};

/* One of dialect 4:6, without a context; with one; with a shared handle to the reader, too. */
struct raw_client raw_dial(void);
void raw_establish(struct raw_client *client);
struct raw_client raw_shared(void);

/* A handle that isn't disturbed by resets: for counts and for moving the card. */
struct raw_client raw_observer(void);

/* Dies, and returns when the server has noticed it. */
void raw_hang_up(const struct raw_client *client);

/* Bytes, all of them. */
void raw_write(const struct raw_client *client, const void *bytes, size_t length);
void raw_read(const struct raw_client *client, void *bytes, size_t length);

/* Whether something can be read within `ms`: an answer, or the end of the connection. */
bool raw_is_readable(const struct raw_client *client, int ms);

/* The server has closed the connection, or does it now. */
void raw_assert_closed(const struct raw_client *client);

/* A request (NULL: it has no body); and one with its answer, in the same body. */
void raw_send(const struct raw_client *client, uint32_t command, const union wire_body *body);
void raw_call(const struct raw_client *client, uint32_t command, union wire_body *body);

/* The requests of the API; each returns what the server says. raw_connect() makes it the handle. */
uint32_t raw_connect(struct raw_client *client, uint32_t mode, uint32_t protocols);
uint32_t raw_reconnect(const struct raw_client *client, uint32_t mode, uint32_t action);
uint32_t raw_disconnect(const struct raw_client *client, uint32_t disposition);
uint32_t raw_begin(const struct raw_client *client);
uint32_t raw_end(const struct raw_client *client, uint32_t disposition);

/* raw_begin() in two halves. */
void raw_ask_begin(const struct raw_client *client);
uint32_t raw_read_begin(const struct raw_client *client);

/* A command of `size` bytes; `answer` has room for *length bytes, which then is its length. */
uint32_t raw_transmit(const struct raw_client *client, uint32_t protocol, const void *command,
	uint32_t size, void *answer, uint32_t *length);

/* Its first half; `room`: bytes that the answer may have. */
void raw_ask_transmit(const struct raw_client *client, uint32_t protocol, const void *command,
	uint32_t length, uint32_t room);

/* A short exchange; just its result. */
uint32_t raw_exchange(const struct raw_client *client);

/* WIRE_GET_ATTRIB or WIRE_SET_ATTRIB of `length` bytes. */
uint32_t raw_attribute(const struct raw_client *client, uint32_t command, uint32_t id, void *value,
	uint32_t length);

/* What the card has been through, as the driver tells it. */
struct raw_counts {
	uint32_t commands, resets, ups, downs;
};
struct raw_counts raw_counts_of(const struct raw_client *client);

/* The states of all readers, of which the first is kept. */
void raw_get_states(const struct raw_client *client, struct wire_reader_state *first);

/* Waits until the reader's state is this. */
void raw_await_state(uint32_t state);

#endif
