/* SPDX-License-Identifier: BSD-3-Clause */
/* Observing readers through a daemon that speaks the public protocol only, 4:3 to 4:6. */
#include "observe.h"

#include <stdlib.h>
#include <string.h>

static enum conn_result receive_states(
	struct conn *conn, struct wire_reader_state **states, size_t slots)
{
	enum conn_result result;

	*states = malloc(slots * sizeof(**states));
	if (!*states)
		return CONN_BAD;
	result = conn_receive(conn, *states, slots * sizeof(**states));
	for (size_t i = 0; result == CONN_OK && i < slots; i++)
		wire_state_sanitise(&(*states)[i]);
	return result;
}

enum conn_result observe_stock_fetch(
	struct conn *conn, struct wire_reader_state **states, size_t *slots)
{
	union wire_body body = { 0 };
	struct conn_call size_call = { .command = WIRE_GET_READERS_STATE_SIZE, .body = &body };
	uint32_t fetch = WIRE_GET_READERS_STATE;
	enum conn_result result;

	*states = NULL;
	*slots = WIRE_STATIC_STATES;
	if (conn->dialect >= WIRE_MINOR_DYNAMIC_ARRAY) {
		result = conn_call(conn, &size_call);
		if (result != CONN_OK)
			return result;
		if (!wire_states_size_valid(body.states_size.slots))
			return CONN_BAD;
		*slots = body.states_size.slots;
		fetch = WIRE_GET_READERS_STATE_ARRAY;
	}
	result = conn_send(conn, fetch, NULL, NULL, 0);
	if (result == CONN_OK)
		result = receive_states(conn, states, *slots);
	/* If the array grew between the two questions, the answer is longer than we think. */
	if (result == CONN_OK && conn->dialect >= WIRE_MINOR_DYNAMIC_ARRAY && !conn_alive(conn))
		result = CONN_BAD;
	return result;
}

static enum conn_result fetch_events(struct conn *conn, uint32_t *events)
{
	union wire_body body = { 0 };
	struct conn_call call = { .command = WIRE_GET_READER_EVENTS, .body = &body };
	enum conn_result result;

	*events = 0;
	if (conn->dialect < WIRE_MINOR_READER_EVENTS)
		return CONN_OK;
	result = conn_call(conn, &call);
	if (result == CONN_OK)
		*events = body.reader_events.readerEvents;
	return result;
}

/* Copies what concerns the observation out of the array. */
static void apply(
	struct observation *observation, const struct wire_reader_state *states, size_t slots)
{
	observation->total = 0;
	for (size_t i = 0; i < slots; i++)
		observation->total += states[i].readerName[0] != '\0';
	for (size_t r = 0; r < observation->count; r++) {
		struct observed *reader = &observation->readers[r];

		reader->exists = false;
		for (size_t i = 0; i < slots && !reader->exists; i++) {
			if (strcmp(states[i].readerName, reader->name) != 0)
				continue;
			reader->exists = true;
			reader->state = states[i];
		}
	}
	observation->fresh = true;
}

static enum conn_result look_on(struct observation *observation, struct conn *conn)
{
	struct wire_reader_state *states;
	size_t slots;
	enum conn_result result = observe_stock_fetch(conn, &states, &slots);

	if (result == CONN_OK && observation->wants_events)
		result = fetch_events(conn, &observation->events);
	if (result == CONN_OK)
		apply(observation, states, slots);
	free(states);
	return result;
}

static enum conn_result look_elsewhere(struct observation *observation)
{
	struct loan loan;
	enum conn_result result;

	if (context_borrow_unless(observation->context, &loan, false, observation->wake_fd) !=
		SCARD_S_SUCCESS)
		return CONN_LOST;
	conn_hurry(&loan.conn, observation->prompt_ms, observation->wake_fd);
	result = look_on(observation, &loan.conn);
	conn_patient(&loan.conn);
	context_return(observation->context, &loan, result);
	return result;
}

/* 4:4 and 4:5: the array comes with the registration, in one piece. */
static enum conn_result look_in_reply(struct observation *observation)
{
	struct wire_reader_state *states;
	enum conn_result result =
		receive_states(&observation->loan.conn, &states, WIRE_STATIC_STATES);

	if (result == CONN_OK)
		apply(observation, states, WIRE_STATIC_STATES);
	free(states);
	return result;
}

static enum conn_result look(struct observation *observation, bool arm)
{
	struct conn *conn = &observation->loan.conn;
	union wire_body body = { 0 };
	enum conn_result result;

	if (!arm)
		return look_on(observation, conn);
	if (conn->dialect == WIRE_MINOR_READER_EVENTS && observation->wants_events) {
		result = fetch_events(conn, &observation->events);
		if (result != CONN_OK)
			return result;
	}
	result = conn_send(conn, WIRE_WAIT_READER_STATE_CHANGE, &body, NULL, 0);
	if (result != CONN_OK)
		return result;
	observation->armed = true;
	if (wire_reply_size(WIRE_WAIT_READER_STATE_CHANGE, conn->dialect) > 0)
		return look_in_reply(observation);
	return look_elsewhere(observation);
}

/* Which event it was doesn't matter: the next look tells. */
static enum conn_result arrived(struct observation *observation)
{
	struct wire_wait event;

	observation->armed = false;
	return conn_receive(&observation->loan.conn, &event, sizeof(event));
}

/* Exactly one message comes, be it the answer to this or an event that was already on its way. */
static enum conn_result disarm(struct observation *observation)
{
	union wire_body body = { 0 };
	enum conn_result result =
		conn_send(&observation->loan.conn, WIRE_STOP_WAITING, &body, NULL, 0);

	return result == CONN_OK ? arrived(observation) : result;
}

static enum conn_result names(struct conn *conn, char **list, size_t *length)
{
	struct wire_reader_state *states;
	size_t slots;
	enum conn_result result = observe_stock_fetch(conn, &states, &slots);

	*list = NULL;
	*length = 0;
	for (size_t i = 0; result == CONN_OK && i < slots; i++) {
		size_t size = strlen(states[i].readerName) + 1;
		char *longer;

		if (size == 1)
			continue;
		longer = realloc(*list, *length + size);
		if (!longer) {
			result = CONN_BAD;
			break;
		}
		*list = longer;
		memcpy(*list + *length, states[i].readerName, size);
		*length += size;
	}
	if (result != CONN_OK) {
		free(*list);
		*list = NULL;
	}
	free(states);
	return result;
}

const struct observer observe_stock = { look, arrived, disarm, names };
