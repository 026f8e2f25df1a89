/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_WIRE_WIRE_H
#define CARDWIRE_WIRE_WIRE_H

/*
 * Checked decoding and encoding of the protocol in wire/messages.h and wire/ext.h.
 *
 * These functions are the only places that look at lengths sent by the other side; what they
 * return needs no further check. They keep no state, allocate nothing and do no I/O: any thread may
 * call them.
 *
 * A `dialect` is the minor version a connection speaks (3 to 6, see WIRE_MINOR_*), or
 * WIRE_DIALECT_EXT. A connection on which no VERSION was exchanged speaks 6.
 */

#include <stdbool.h>

#include "wire/ext.h"
#include "wire/messages.h"

/* The body of any request or reply, without what follows it. */
union wire_body {
	struct wire_version version;
	struct wire_establish establish;
	struct wire_release release;
	struct wire_connect connect;
	struct wire_reconnect reconnect;
	struct wire_disconnect disconnect;
	struct wire_begin begin;
	struct wire_end end;
	struct wire_cancel cancel;
	struct wire_status status;
	struct wire_transmit transmit;
	struct wire_control control;
	struct wire_getset getset;
	struct wire_wait wait;
	struct wire_reader_events reader_events;
	struct wire_states_size states_size;
	struct wire_ext_status ext_status;
	struct wire_ext_list ext_list;
	struct wire_ext_wait ext_wait;
	struct wire_ext_changes ext_changes;
};

/* Largest header and body of a request, in bytes, without what follows. */
#define WIRE_REQUEST_MAX (sizeof(struct wire_header) + sizeof(union wire_body))

/* Largest request, in bytes, with everything. */
#define WIRE_MESSAGE_MAX                                                                           \
	(WIRE_REQUEST_MAX + WIRE_EXT_ENTRIES_MAX * sizeof(struct wire_ext_entry) + WIRE_DATA)

/* A request that has been checked. */
struct wire_request {
	uint32_t command;
	union wire_body body;
	/* What follows the body: data of TRANSMIT and CONTROL, entries of WIRE_EXT_WAIT. Points into
	 * the bytes that were decoded, at any alignment; NULL for other commands. */
	const uint8_t *tail;
	size_t tail_length;
};

enum wire_verdict {
	WIRE_OK,
	WIRE_MORE, /* the message isn't complete */
	WIRE_BAD   /* there is no such message: close the connection */
};

/* Name of a command for logs ("CONNECT"); "?" if there is none. */
const char *wire_command_name(uint32_t command);

/*
 * Size in bytes of a request's body, without what follows it; -1 if a peer that speaks `dialect`
 * has no such command.
 */
int wire_body_size(uint32_t command, int dialect);

/*
 * Size in bytes of the part of the reply that comes at once and always: the struct, or the
 * fixed array of GET_READERS_STATE (and of WAIT at 4:4 and 4:5). 0 if nothing comes at once; -1 as
 * above, and for GET_READERS_STATE_ARRAY, which has no fixed size.
 */
int wire_reply_size(uint32_t command, int dialect);

/*
 * Decodes the request that begins at `bytes`, of which `length` have arrived.
 *
 * WIRE_OK: *request is filled, *needed is the number of bytes that it took. Strings in it are
 * terminated; lengths are within WIRE_DATA, WIRE_ATTR and WIRE_EXT_ENTRIES_MAX, and fit the tail.
 * WIRE_MORE: *needed is the size of the message as far as it is known, more than `length` and at
 * most WIRE_MESSAGE_MAX; it has been checked and may be allocated.
 * WIRE_BAD: the command isn't known, the size isn't the command's, or a length is beyond its limit.
 */
enum wire_verdict wire_decode(const uint8_t *bytes, size_t length, int dialect,
	struct wire_request *request, size_t *needed);

/* Entry `index` (below ext_wait.count) of a decoded WIRE_EXT_WAIT; its name is terminated. */
void wire_ext_entry_at(
	const struct wire_request *request, uint32_t index, struct wire_ext_entry *entry);

/*
 * Writes header and body of a request to `out`, which has room for WIRE_REQUEST_MAX bytes; the
 * header of a WIRE_EXT_WAIT counts its entries. Returns the number of bytes, 0 if the command isn't
 * known in `dialect` or a length in `body` is beyond its limit. What follows the body is the
 * caller's.
 */
size_t wire_encode(uint32_t command, int dialect, const union wire_body *body, uint8_t *out);

/*
 * How many bytes follow the reply to a TRANSMIT or CONTROL that offered `room` bytes (0 if its rv
 * isn't 0), to a LIST, or to a WIRE_EXT_WAIT of `entries` entries. -1: more than there may be.
 */
long wire_transmit_tail(const struct wire_transmit *reply, size_t room);
long wire_control_tail(const struct wire_control *reply, size_t room);
long wire_ext_list_tail(const struct wire_ext_list *reply);
long wire_ext_changes_tail(const struct wire_ext_changes *reply, size_t entries);

/*
 * Makes a state from the other side safe to use: the name is terminated, cardAtrLength is at
 * most WIRE_ATR (0 if it was more, as WIRE_ATR_NONE is), eventCounter has 16 bits.
 */
void wire_state_sanitise(struct wire_reader_state *state);

/* True if a server may announce an array of `slots` states: 1..WIRE_STATES_MAX. */
bool wire_states_size_valid(uint32_t slots);

/*
 * The daemon's answer to a VERSION request. *reply is filled; the result is the dialect of the
 * connection from now on, or -1 if we don't speak the peer's (rv says so; it may ask again).
 */
int wire_version_answer(const struct wire_version *request, struct wire_version *reply);

/* The client's first VERSION request; `flags` are WIRE_EXT_*. */
void wire_version_ask(struct wire_version *request, uint32_t flags);

/*
 * What the client makes of the reply to a request for 4:`asked`. The result is the dialect that was
 * agreed on, or -1. Then *again is the minor version to ask for in a second and last request, or -1
 * if there is none, and the reply's rv is the error to report.
 */
int wire_version_agreed(const struct wire_version *reply, int asked, int *again);

#endif
