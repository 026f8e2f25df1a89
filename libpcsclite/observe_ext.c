/* SPDX-License-Identifier: BSD-3-Clause */
/* Observing readers through our own daemon, by the extension of wire/ext.h. */
#include "observe.h"

#include <stdlib.h>
#include <string.h>

static void fill_entry(struct wire_ext_entry *entry, const struct observed *reader, bool arm)
{
	memset(entry, 0, sizeof(*entry));
	strncpy(entry->name, reader->name, sizeof(entry->name) - 1);
	entry->card_seen = reader->card;
	entry->sharing_seen = reader->sharing;
	if (!arm)
		return;
	if (reader->ignored)
		entry->card_seen = WIRE_EXT_SERIAL_ANY;
	if (reader->ignored || !reader->minds_sharing)
		entry->sharing_seen = WIRE_EXT_SERIAL_ANY;
}

static enum conn_result ask(struct observation *observation, bool arm)
{
	size_t size = observation->count * sizeof(struct wire_ext_entry);
	struct wire_ext_entry *entries = malloc(size ? size : 1);
	union wire_body body = {
		.ext_wait = {
			.count = (uint32_t)observation->count,
			.flags = arm ? 0 : WIRE_EXT_NOW,
			.events_seen = observation->wants_events ? observation->events
								 : WIRE_EXT_SERIAL_ANY,
		},
	};
	enum conn_result result;

	if (!entries || observation->count > WIRE_EXT_ENTRIES_MAX) {
		free(entries);
		return CONN_BAD;
	}
	for (size_t i = 0; i < observation->count; i++)
		fill_entry(&entries[i], &observation->readers[i], arm);
	result = conn_send(&observation->loan.conn, WIRE_EXT_WAIT, &body, entries, size);
	free(entries);
	return result;
}

static enum conn_result apply(struct observation *observation, struct wire_ext_change *change)
{
	struct observed *reader;

	if (change->index >= observation->count)
		return CONN_BAD;
	reader = &observation->readers[change->index];
	reader->card = change->card;
	reader->sharing = change->sharing;
	reader->exists = change->card != WIRE_EXT_SERIAL_GONE;
	reader->state = change->state;
	wire_state_sanitise(&reader->state);
	return CONN_OK;
}

/* Reads the reply to a WAIT, whatever it was that brought it about. */
static enum conn_result arrived(struct observation *observation)
{
	struct conn *conn = &observation->loan.conn;
	struct wire_ext_changes reply;
	struct conn_tail early;
	enum conn_result result = conn_receive_head(conn, &reply, sizeof(reply), &early);
	void *changes;
	long tail;

	observation->armed = false;
	if (result != CONN_OK)
		return result;
	tail = wire_ext_changes_tail(&reply, observation->count);
	if (tail < 0 || reply.rv != SCARD_S_SUCCESS)
		return CONN_BAD;
	result = conn_receive_tail(conn, &early, (size_t)tail, &changes);
	for (uint32_t i = 0; result == CONN_OK && i < reply.count; i++)
		result = apply(observation, (struct wire_ext_change *)changes + i);
	free(changes);
	observation->events = reply.events;
	observation->total = reply.readers;
	observation->fresh = true;
	return result;
}

static enum conn_result look(struct observation *observation, bool arm)
{
	enum conn_result result = ask(observation, arm);

	if (result != CONN_OK)
		return result;
	observation->armed = true;
	return arm ? CONN_OK : arrived(observation);
}

static enum conn_result disarm(struct observation *observation)
{
	enum conn_result result = conn_send(&observation->loan.conn, WIRE_EXT_STOP, NULL, NULL, 0);

	return result == CONN_OK ? arrived(observation) : result;
}

static enum conn_result names(struct conn *conn, char **list, size_t *length)
{
	struct wire_ext_list reply;
	struct conn_tail early;
	enum conn_result result = conn_send(conn, WIRE_EXT_LIST, NULL, NULL, 0);
	void *bytes;
	long tail;

	*list = NULL;
	*length = 0;
	if (result == CONN_OK)
		result = conn_receive_head(conn, &reply, sizeof(reply), &early);
	if (result != CONN_OK)
		return result;
	tail = wire_ext_list_tail(&reply);
	if (tail < 0 || reply.rv != SCARD_S_SUCCESS)
		return CONN_BAD;
	result = conn_receive_tail(conn, &early, (size_t)tail, &bytes);
	if (result != CONN_OK)
		return result;
	if (tail > 0 && ((const char *)bytes)[tail - 1] == '\0') {
		*list = bytes;
		*length = (size_t)tail;
		return CONN_OK;
	}
	free(bytes);
	return tail == 0 ? CONN_OK : CONN_BAD;
}

const struct observer observe_ext = { look, arrived, disarm, names };
