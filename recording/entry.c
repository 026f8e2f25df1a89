/* SPDX-License-Identifier: BSD-3-Clause */
#include "recording/entry.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NS_PER_S     INT64_C(1000000000)

enum {
	LINE_REST = 160, /* all of a line but its data */
};

static const char *const kinds[] = {
	[RECORDING_OUT] = "out",
	[RECORDING_IN] = "in",
	[RECORDING_EVENT] = "event",
	[RECORDING_CONTROL] = "control",
	[RECORDING_CLEAR_HALT] = "clear-halt",
	[RECORDING_RESET] = "reset",
	[RECORDING_CALL] = "call",
	[RECORDING_RETURN] = "return",
	[RECORDING_DROPPED] = "dropped",
	[RECORDING_QUIRK] = "quirk",
};

static const char *const statuses[] = {
	[RECORDING_OK] = "ok",
	[RECORDING_STALL] = "stall",
	[RECORDING_TIMEOUT] = "timeout",
	[RECORDING_CANCELLED] = "cancelled",
	[RECORDING_OVERFLOW] = "overflow",
	[RECORDING_ERROR] = "error",
	[RECORDING_GONE] = "gone",
};

static const char *const calls[] = {
	[RECORDING_OPEN] = "open",
	[RECORDING_CLOSE] = "close",
	[RECORDING_POWER] = "power",
	[RECORDING_PROTOCOL] = "protocol",
	[RECORDING_TRANSMIT] = "transmit",
	[RECORDING_CONTROL_CALL] = "control",
	[RECORDING_PRESENCE] = "presence",
};

const char *recording_strkind(enum recording_kind kind)
{
	return kinds[kind];
}

const char *recording_strcall(enum recording_call call)
{
	return calls[call];
}

static int find(const char *const *names, size_t count, const char *name, size_t len)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0)
			return (int)i;
	return -1;
}

int recording_find_kind(const char *name, size_t len)
{
	return find(kinds, COUNT(kinds), name, len);
}

int recording_find_status(const char *name, size_t len)
{
	return find(statuses, COUNT(statuses), name, len);
}

int recording_find_call(const char *name, size_t len)
{
	return find(calls, COUNT(calls), name, len);
}

bool recording_masked(const struct recording_entry *entry, size_t at)
{
	for (size_t i = 0; i < RECORDING_MASKS; i++)
		if (at >= entry->masks[i].start && at < entry->masks[i].end)
			return true;
	return false;
}

size_t recording_line_max(size_t len)
{
	return LINE_REST + 3 * len;
}

static char *put_byte(char *text, uint8_t byte)
{
	static const char digits[] = "0123456789ABCDEF";

	*text++ = digits[byte >> 4];
	*text++ = digits[byte & 15];
	return text;
}

static char *put_data(const struct recording_entry *entry, char *text)
{
	bool masks = entry->masks[0].end || entry->masks[1].end;

	*text++ = ' ';
	if (entry->len == 0)
		*text++ = '-';
	for (size_t i = 0; i < entry->len; i++) {
		if (!masks || !recording_masked(entry, i)) {
			text = put_byte(text, entry->data[i]);
			continue;
		}
		*text++ = '*';
		if (entry->data[i])
			text = put_byte(text, entry->data[i]);
		else
			*text++ = '*';
	}
	if (entry->missing)
		text += sprintf(text, "+%" PRIu32, entry->missing);
	return text;
}

/* Nothing that would end the line. */
static char *put_text(const struct recording_entry *entry, char *text)
{
	*text++ = ' ';
	for (size_t i = 0; i < entry->len; i++)
		*text++ = entry->data[i] < ' ' ? '?' : (char)entry->data[i];
	return text;
}

/* What stands between the kind and the data. */
static int put_fields(const struct recording_entry *entry, char *text)
{
	switch (entry->kind) {
	case RECORDING_CONTROL:
		*text = ' ';
		for (size_t i = 0; i < sizeof(entry->setup); i++)
			put_byte(text + 1 + 2 * i, entry->setup[i]);
		return 17 + sprintf(text + 17, " %s", statuses[entry->status]);
	case RECORDING_RESET:
		return sprintf(text, " %s", statuses[entry->status]);
	case RECORDING_CALL:
	case RECORDING_RETURN:
		return sprintf(text, " %u %s %" PRIX64, (unsigned)entry->slot, calls[entry->call],
			entry->value);
	case RECORDING_DROPPED:
		return sprintf(text, " %" PRIu64, entry->value);
	case RECORDING_QUIRK:
		return 0;
	default:
		return sprintf(text, " %02X %s", entry->endpoint, statuses[entry->status]);
	}
}

static bool has_data(enum recording_kind kind)
{
	return kind != RECORDING_CLEAR_HALT && kind != RECORDING_RESET && kind != RECORDING_DROPPED;
}

size_t recording_print(const struct recording_entry *entry, char *text)
{
	char *at = text;

	at += sprintf(at, "%" PRId64 ".%09" PRId64 " %s", entry->at / NS_PER_S,
		entry->at % NS_PER_S, kinds[entry->kind]);
	at += put_fields(entry, at);
	if (entry->kind == RECORDING_QUIRK)
		at = put_text(entry, at);
	else if (has_data(entry->kind))
		at = put_data(entry, at);
	*at++ = '\n';
	*at = '\0';
	return (size_t)(at - text);
}
