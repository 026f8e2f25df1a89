/* SPDX-License-Identifier: BSD-3-Clause */
/* Lines of a recording read back. They come from anybody, so everything is checked. */
#include "recording/entry.h"

#include <string.h>

#define NS_PER_S INT64_C(1000000000)

struct reader {
	const char *at;
	const char *why; /* NULL: no fault so far */
};

static void wrong(struct reader *r, const char *expected)
{
	if (!r->why)
		r->why = expected;
}

static bool is_end(char c)
{
	return c == '\0' || c == '\n' || c == '\r';
}

/* The next word of the line; its length, 0 at the end. */
static size_t word(struct reader *r, const char **start)
{
	size_t len = 0;

	while (*r->at == ' ' || *r->at == '\t')
		r->at++;
	*start = r->at;
	while (!is_end(r->at[len]) && r->at[len] != ' ' && r->at[len] != '\t')
		len++;
	r->at += len;
	return len;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* A number of that base, at most `max`. */
static uint64_t number(
	struct reader *r, const char *at, size_t len, unsigned base, uint64_t max, const char *what)
{
	uint64_t value = 0;

	if (len == 0)
		wrong(r, what);
	for (size_t i = 0; i < len; i++) {
		int d = digit(at[i]);

		if (d < 0 || (unsigned)d >= base || value > (max - (unsigned)d) / base) {
			wrong(r, what);
			return 0;
		}
		value = value * base + (unsigned)d;
	}
	return value;
}

static uint64_t number_word(struct reader *r, unsigned base, uint64_t max, const char *what)
{
	const char *start;
	size_t len = word(r, &start);

	return number(r, start, len, base, max, what);
}

static int name_word(struct reader *r, int (*find)(const char *, size_t), const char *what)
{
	const char *start;
	size_t len = word(r, &start);
	int found = find(start, len);

	if (found < 0)
		wrong(r, what);
	return found < 0 ? 0 : found;
}

static int64_t time_word(struct reader *r)
{
	static const char what[] = "a time in seconds with nine decimals";
	const char *start;
	size_t len = word(r, &start);
	const char *dot = memchr(start, '.', len);
	uint64_t seconds, rest;

	if (!dot || len - (size_t)(dot - start) != 10) {
		wrong(r, what);
		return 0;
	}
	seconds = number(r, start, (size_t)(dot - start), 10, INT32_MAX, what);
	rest = number(r, dot + 1, 9, 10, NS_PER_S - 1, what);
	return (int64_t)seconds * NS_PER_S + (int64_t)rest;
}

static void add_mask(struct reader *r, struct recording_entry *entry, uint32_t at)
{
	for (size_t i = 0; i < RECORDING_MASKS; i++) {
		struct recording_mask *mask = &entry->masks[i];

		if (mask->end == 0)
			*mask = (struct recording_mask){ at, at };
		if (mask->end == at) {
			mask->end++;
			return;
		}
	}
	wrong(r, "at most two masked stretches");
}

static void data_word(struct reader *r, struct recording_entry *entry, uint8_t *data, size_t room)
{
	static const char what[] = "data: pairs of hexadecimal digits, masked bytes, or \"-\"";
	const char *at;
	const char *end;
	size_t len = word(r, &at);

	end = at + len;
	if (len == 0)
		wrong(r, what);
	if (len == 1 && *at == '-')
		return;
	while (at < end && *at != '+' && !r->why) {
		bool masked = *at == '*';
		bool blank;

		at += masked;
		blank = masked && at < end && *at == '*';
		if (entry->len == room || (!blank && end - at < 2) || at == end) {
			wrong(r, what);
			return;
		}
		data[entry->len] = blank ? 0 : (uint8_t)number(r, at, 2, 16, UINT8_MAX, what);
		at += blank ? 1 : 2;
		if (masked)
			add_mask(r, entry, entry->len);
		entry->len++;
	}
	if (at < end && *at == '+')
		entry->missing =
			(uint32_t)number(r, at + 1, (size_t)(end - at - 1), 10, INT32_MAX, what);
	entry->data = entry->len ? data : NULL;
}

static void setup_word(struct reader *r, struct recording_entry *entry)
{
	static const char what[] = "a setup packet of 16 digits";
	const char *start;

	if (word(r, &start) != 2 * sizeof(entry->setup)) {
		wrong(r, what);
		return;
	}
	for (size_t i = 0; i < sizeof(entry->setup); i++)
		entry->setup[i] = (uint8_t)number(r, start + 2 * i, 2, 16, UINT8_MAX, what);
}

/* The rest of the line. */
static void text_rest(struct reader *r, struct recording_entry *entry, uint8_t *data, size_t room)
{
	while (*r->at == ' ' || *r->at == '\t')
		r->at++;
	for (; !is_end(*r->at) && entry->len < room; r->at++)
		data[entry->len++] = (uint8_t)*r->at;
	if (entry->len == 0 || !is_end(*r->at))
		wrong(r, "a property of a quirk file");
	entry->data = data;
}

static void status_word(struct reader *r, struct recording_entry *entry)
{
	entry->status = (enum recording_status)name_word(
		r, recording_find_status, "how the transfer ended: ok, stall, timeout, …");
}

static void fields(struct reader *r, struct recording_entry *entry, uint8_t *data, size_t room)
{
	switch (entry->kind) {
	case RECORDING_DROPPED:
		entry->value = number_word(r, 10, INT64_MAX, "how many entries");
		return;
	case RECORDING_RESET:
		status_word(r, entry);
		return;
	case RECORDING_QUIRK:
		text_rest(r, entry, data, room);
		return;
	case RECORDING_CONTROL:
		setup_word(r, entry);
		status_word(r, entry);
		break;
	case RECORDING_CALL:
	case RECORDING_RETURN:
		entry->slot = (uint16_t)number_word(r, 10, UINT8_MAX, "a slot number");
		entry->call = (enum recording_call)name_word(
			r, recording_find_call, "the name of a call: open, power, transmit, …");
		entry->value = number_word(r, 16, INT64_MAX, "a hexadecimal number");
		break;
	default:
		entry->endpoint = (uint8_t)number_word(r, 16, UINT8_MAX, "an endpoint address");
		status_word(r, entry);
		if (entry->kind == RECORDING_CLEAR_HALT)
			return;
	}
	data_word(r, entry, data, room);
}

enum recording_parsed recording_parse(const char *line, struct recording_entry *entry,
	uint8_t *data, size_t room, const char **why)
{
	struct reader r = { .at = line };
	const char *rest;

	memset(entry, 0, sizeof(*entry));
	if (word(&r, &rest) == 0 || *rest == '#')
		return RECORDING_NOTHING;
	r.at = line;
	entry->at = time_word(&r);
	entry->kind = (enum recording_kind)name_word(
		&r, recording_find_kind, "what happened: out, in, control, call, …");
	if (!r.why)
		fields(&r, entry, data, room);
	if (!r.why && word(&r, &rest))
		wrong(&r, "the end of the line");
	*why = r.why;
	return r.why ? RECORDING_WRONG : RECORDING_ENTRY;
}
