/* SPDX-License-Identifier: BSD-3-Clause */
/* Decoding and encoding; every length from the other side is checked here. */
#include "wire/wire.h"

#include <string.h>

#include <pcsclite.h>

struct command {
	const char *name;
	uint16_t body;       /* bytes */
	uint16_t reply;      /* bytes that come at once */
	uint8_t dialect_min; /* the oldest that has it */
};

#define STATES (WIRE_STATIC_STATES * sizeof(struct wire_reader_state))

/* WAIT and STOP, whose form depends on the dialect, are completed by the functions below. */
static const struct command commands[] = {
	[WIRE_ESTABLISH_CONTEXT] = { "ESTABLISH_CONTEXT", sizeof(struct wire_establish),
		sizeof(struct wire_establish), 0 },
	[WIRE_RELEASE_CONTEXT] = { "RELEASE_CONTEXT", sizeof(struct wire_release),
		sizeof(struct wire_release), 0 },
	[WIRE_CONNECT] = { "CONNECT", sizeof(struct wire_connect), sizeof(struct wire_connect), 0 },
	[WIRE_RECONNECT] = { "RECONNECT", sizeof(struct wire_reconnect),
		sizeof(struct wire_reconnect), 0 },
	[WIRE_DISCONNECT] = { "DISCONNECT", sizeof(struct wire_disconnect),
		sizeof(struct wire_disconnect), 0 },
	[WIRE_BEGIN_TRANSACTION] = { "BEGIN_TRANSACTION", sizeof(struct wire_begin),
		sizeof(struct wire_begin), 0 },
	[WIRE_END_TRANSACTION] = { "END_TRANSACTION", sizeof(struct wire_end),
		sizeof(struct wire_end), 0 },
	[WIRE_TRANSMIT] = { "TRANSMIT", sizeof(struct wire_transmit), sizeof(struct wire_transmit),
		0 },
	[WIRE_CONTROL] = { "CONTROL", sizeof(struct wire_control), sizeof(struct wire_control), 0 },
	[WIRE_STATUS] = { "STATUS", sizeof(struct wire_status), sizeof(struct wire_status), 0 },
	[WIRE_CANCEL] = { "CANCEL", sizeof(struct wire_cancel), sizeof(struct wire_cancel), 0 },
	[WIRE_GET_ATTRIB] = { "GET_ATTRIB", sizeof(struct wire_getset), sizeof(struct wire_getset),
		0 },
	[WIRE_SET_ATTRIB] = { "SET_ATTRIB", sizeof(struct wire_getset), sizeof(struct wire_getset),
		0 },
	[WIRE_VERSION] = { "VERSION", sizeof(struct wire_version), sizeof(struct wire_version), 0 },
	[WIRE_GET_READERS_STATE] = { "GET_READERS_STATE", 0, STATES, 0 },
	[WIRE_WAIT_READER_STATE_CHANGE] = { "WAIT_READER_STATE_CHANGE", 0, 0, 0 },
	[WIRE_STOP_WAITING] = { "STOP_WAITING", 0, 0, 0 },
	[WIRE_GET_READER_EVENTS] = { "GET_READER_EVENTS", 0, sizeof(struct wire_reader_events),
		WIRE_MINOR_READER_EVENTS },
	[WIRE_GET_READERS_STATE_SIZE] = { "GET_READERS_STATE_SIZE", 0,
		sizeof(struct wire_states_size), WIRE_MINOR_DYNAMIC_ARRAY },
	[WIRE_GET_READERS_STATE_ARRAY] = { "GET_READERS_STATE_ARRAY", 0, 0,
		WIRE_MINOR_DYNAMIC_ARRAY },
	[WIRE_EXT_STATUS] = { "EXT_STATUS", sizeof(struct wire_status),
		sizeof(struct wire_ext_status), WIRE_DIALECT_EXT },
	[WIRE_EXT_LIST] = { "EXT_LIST", 0, sizeof(struct wire_ext_list), WIRE_DIALECT_EXT },
	[WIRE_EXT_WAIT] = { "EXT_WAIT", sizeof(struct wire_ext_wait), 0, WIRE_DIALECT_EXT },
	[WIRE_EXT_STOP] = { "EXT_STOP", 0, 0, WIRE_DIALECT_EXT },
};

static const struct command *lookup(uint32_t number, int dialect)
{
	const struct command *command;

	if (number >= sizeof(commands) / sizeof(commands[0]))
		return NULL;
	command = &commands[number];
	return command->name && dialect >= command->dialect_min ? command : NULL;
}

static bool is_wait_or_stop(uint32_t command)
{
	return command == WIRE_WAIT_READER_STATE_CHANGE || command == WIRE_STOP_WAITING;
}

const char *wire_command_name(uint32_t number)
{
	const struct command *command = lookup(number, WIRE_DIALECT_EXT);

	return command ? command->name : "?";
}

int wire_body_size(uint32_t number, int dialect)
{
	const struct command *command = lookup(number, dialect);

	if (!command)
		return -1;
	if (is_wait_or_stop(number) && dialect < WIRE_MINOR_NO_WAIT_BODY)
		return sizeof(struct wire_wait);
	return command->body;
}

int wire_reply_size(uint32_t number, int dialect)
{
	const struct command *command = lookup(number, dialect);

	if (!command || number == WIRE_GET_READERS_STATE_ARRAY)
		return -1;
	if (number == WIRE_WAIT_READER_STATE_CHANGE && dialect >= WIRE_MINOR_NO_WAIT_BODY &&
		dialect < WIRE_MINOR_DYNAMIC_ARRAY)
		return STATES;
	return command->reply;
}

/* Bytes that follow the body, from lengths in the body; -1 if they are beyond their limit. */
static long request_tail(uint32_t command, const union wire_body *body)
{
	switch (command) {
	case WIRE_TRANSMIT:
		return body->transmit.cbSendLength <= WIRE_DATA ? (long)body->transmit.cbSendLength
								: -1;
	case WIRE_CONTROL:
		return body->control.cbSendLength <= WIRE_DATA ? (long)body->control.cbSendLength
							       : -1;
	case WIRE_GET_ATTRIB:
	case WIRE_SET_ATTRIB:
		return body->getset.cbAttrLen <= WIRE_ATTR ? 0 : -1;
	case WIRE_EXT_WAIT:
		return body->ext_wait.count <= WIRE_EXT_ENTRIES_MAX
			       ? (long)(body->ext_wait.count * sizeof(struct wire_ext_entry))
			       : -1;
	default:
		return 0;
	}
}

/* True if header.size may be what it is, as far as the body isn't needed to tell. */
static bool size_plausible(const struct wire_header *header, size_t body)
{
	if (header->command == WIRE_EXT_WAIT)
		return header->size >= body &&
		       header->size - body <= WIRE_EXT_ENTRIES_MAX * sizeof(struct wire_ext_entry);
	/* Requests without a body: what the peer says of its size has never been looked at. */
	return body == 0 || header->size == body;
}

enum wire_verdict wire_decode(const uint8_t *bytes, size_t length, int dialect,
	struct wire_request *request, size_t *needed)
{
	struct wire_header header;
	int body;
	long tail;

	*needed = sizeof(header);
	if (length < sizeof(header))
		return WIRE_MORE;
	memcpy(&header, bytes, sizeof(header));
	body = wire_body_size(header.command, dialect);
	if (body < 0 || !size_plausible(&header, (size_t)body))
		return WIRE_BAD;
	*needed += (size_t)body;
	if (length < *needed)
		return WIRE_MORE;

	*request = (struct wire_request){ .command = header.command };
	memcpy(&request->body, bytes + sizeof(header), (size_t)body);
	tail = request_tail(header.command, &request->body);
	if (tail < 0)
		return WIRE_BAD;
	if (header.command == WIRE_EXT_WAIT && header.size != (size_t)body + (size_t)tail)
		return WIRE_BAD;
	if (header.command == WIRE_CONNECT)
		request->body.connect.szReader[WIRE_READERNAME - 1] = '\0';
	*needed += (size_t)tail;
	if (length < *needed)
		return WIRE_MORE;
	if (header.command == WIRE_TRANSMIT || header.command == WIRE_CONTROL ||
		header.command == WIRE_EXT_WAIT) {
		request->tail = bytes + sizeof(header) + body;
		request->tail_length = (size_t)tail;
	}
	return WIRE_OK;
}

void wire_ext_entry_at(
	const struct wire_request *request, uint32_t index, struct wire_ext_entry *entry)
{
	memcpy(entry, request->tail + index * sizeof(*entry), sizeof(*entry));
	entry->name[WIRE_READERNAME - 1] = '\0';
}

size_t wire_encode(uint32_t command, int dialect, const union wire_body *body, uint8_t *out)
{
	struct wire_header header = { .command = command };
	int size = wire_body_size(command, dialect);
	long tail = size < 0 ? -1 : size == 0 ? 0 : request_tail(command, body);

	if (tail < 0)
		return 0;
	header.size = (uint32_t)size;
	if (command == WIRE_EXT_WAIT)
		header.size += (uint32_t)tail;
	memcpy(out, &header, sizeof(header));
	if (size > 0)
		memcpy(out + sizeof(header), body, (size_t)size);
	return sizeof(header) + (size_t)size;
}

static long tail_within(uint32_t rv, uint32_t length, size_t room)
{
	if (rv != (uint32_t)SCARD_S_SUCCESS)
		return 0;
	return length <= room && length <= WIRE_DATA ? (long)length : -1;
}

long wire_transmit_tail(const struct wire_transmit *reply, size_t room)
{
	return tail_within(reply->rv, reply->pcbRecvLength, room);
}

long wire_control_tail(const struct wire_control *reply, size_t room)
{
	return tail_within(reply->rv, reply->dwBytesReturned, room);
}

long wire_ext_list_tail(const struct wire_ext_list *reply)
{
	if (reply->length > WIRE_EXT_NAMES_MAX || reply->readers > reply->length)
		return -1;
	return (long)reply->length;
}

long wire_ext_changes_tail(const struct wire_ext_changes *reply, size_t entries)
{
	if (reply->count > entries || reply->count > WIRE_EXT_ENTRIES_MAX)
		return -1;
	return (long)(reply->count * sizeof(struct wire_ext_change));
}

void wire_state_sanitise(struct wire_reader_state *state)
{
	state->readerName[WIRE_READERNAME - 1] = '\0';
	state->eventCounter &= 0xFFFF;
	if (state->cardAtrLength > WIRE_ATR)
		state->cardAtrLength = 0;
}

bool wire_states_size_valid(uint32_t slots)
{
	return slots >= 1 && slots <= WIRE_STATES_MAX;
}
