/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The client library's reading of replies, from a daemon that says anything: the first byte chooses
 * the dialect, the second what is asked, the rest is all that the daemon ever sends. Nothing may be
 * written out of bounds, wait, or leak; results keep what their headers promise.
 */
#undef NDEBUG
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libpcsclite/observe.h"

#define MOST 65536 /* fits the socket's buffer, so that nobody need read at the same time */

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static const struct observer *observer_of(const struct conn *conn)
{
	return conn->dialect == WIRE_DIALECT_EXT ? &observe_ext : &observe_stock;
}

static void ask_names(struct conn *conn)
{
	char *names;
	size_t length;

	if (observer_of(conn)->names(conn, &names, &length) != CONN_OK)
		return;
	assert((names == NULL) == (length == 0));
	assert(!names || names[length - 1] == '\0');
	free(names);
}

static void ask_states(struct conn *conn)
{
	struct observed readers[3] = { { .name = "A" }, { .name = "B", .minds_sharing = true },
		{ .name = "C", .ignored = true } };
	struct observation observation = {
		.readers = readers, .count = 3, .wants_events = true, .connected = true
	};

	observation.loan.conn = *conn;
	for (int i = 0; i < 3; i++) {
		if (observer_of(conn)->look(&observation, false) != CONN_OK)
			return;
		assert(observation.fresh);
		for (size_t r = 0; r < observation.count; r++) {
			const struct wire_reader_state *state = &readers[r].state;

			assert(memchr(state->readerName, 0, sizeof(state->readerName)));
			assert(state->cardAtrLength <= WIRE_ATR);
		}
	}
}

static void ask_call(struct conn *conn, uint32_t command)
{
	union wire_body body = { 0 };
	uint8_t *answer = malloc(300);
	struct conn_call call = { .command = command, .body = &body };

	if (command == WIRE_TRANSMIT || command == WIRE_CONTROL) {
		call.answer = answer;
		call.room = 300;
	}
	if (conn_call(conn, &call) == CONN_OK && command == WIRE_TRANSMIT && body.transmit.rv == 0)
		assert(body.transmit.pcbRecvLength <= 300);
	free(answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static const int dialects[] = { 3, 4, 5, 6, WIRE_DIALECT_EXT };
	static const uint32_t commands[] = { WIRE_TRANSMIT, WIRE_CONTROL, WIRE_CONNECT,
		WIRE_GET_ATTRIB, WIRE_EXT_STATUS, WIRE_STATUS };
	struct conn conn;
	int fds[2];

	if (size < 2 || size > MOST)
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0)
		abort();
	if (send(fds[1], input + 2, size - 2, 0) != (ssize_t)(size - 2))
		abort();
	shutdown(fds[1], SHUT_WR);
	conn = (struct conn){ .fd = fds[0], .dialect = dialects[input[0] % 5] };
	conn_patient(&conn);
	if (input[1] % 8 == 0)
		ask_names(&conn);
	else if (input[1] % 8 == 1)
		ask_states(&conn);
	else
		ask_call(&conn, commands[input[1] % 8 - 2]);
	close(fds[0]);
	close(fds[1]);
	return 0;
}
