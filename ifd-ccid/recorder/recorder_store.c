/* SPDX-License-Identifier: BSD-3-Clause */
#include "recorder_store.h"

#include <stdlib.h>
#include <string.h>

#include "ifd-ccid/deadline.h"

enum {
	HEAD_BYTES = 32768, /* for the opening; descriptors and a list of data rates fit */
};

/* An entry in memory: this, its data, and nothing else. */
struct record {
	struct recording_entry entry; /* data is not used */
	uint64_t serial;
};

bool recorder_store_init(struct recorder_store *s, size_t bytes)
{
	*s = (struct recorder_store){
		.opening = true,
		.serial = 1,
		.first = 1,
		.head_end = 1,
		.head = malloc(HEAD_BYTES),
		.ring = malloc(bytes),
		.size = bytes,
	};
	return s->head && s->ring;
}

void recorder_store_free(struct recorder_store *s)
{
	free(s->head);
	free(s->ring);
}

static void ring_put(struct recorder_store *s, const void *bytes, size_t len)
{
	size_t at = (s->start + s->used) % s->size;
	size_t part = len < s->size - at ? len : s->size - at;

	if (len == 0)
		return;
	memcpy(s->ring + at, bytes, part);
	memcpy(s->ring, (const uint8_t *)bytes + part, len - part);
	s->used += len;
}

static void ring_get(const struct recorder_store *s, size_t offset, void *bytes, size_t len)
{
	size_t at = (s->start + offset) % s->size;
	size_t part = len < s->size - at ? len : s->size - at;

	memcpy(bytes, s->ring + at, part);
	memcpy((uint8_t *)bytes + part, s->ring, len - part);
}

static void drop_oldest(struct recorder_store *s)
{
	struct record record;
	size_t len;

	ring_get(s, 0, &record, sizeof(record));
	len = sizeof(record) + record.entry.len;
	s->start = (s->start + len) % s->size;
	s->used -= len;
	s->gone_bytes += len;
	s->first = record.serial + 1;
}

/* The data with zeros where it is masked, in parts: PUT is called for each. */
static void put_data(struct recorder_store *s, const struct recording_entry *entry,
	void (*put)(struct recorder_store *s, const void *bytes, size_t len))
{
	static const uint8_t zeros[256];
	size_t at = 0;

	for (size_t i = 0; i < RECORDING_MASKS; i++) {
		size_t start = entry->masks[i].start;
		size_t end = entry->masks[i].end;

		if (end > entry->len)
			end = entry->len;
		if (start >= end || start < at)
			continue;
		put(s, entry->data + at, start - at);
		for (at = start; at < end;
			at += end - at < sizeof(zeros) ? end - at : sizeof(zeros))
			put(s, zeros, end - at < sizeof(zeros) ? end - at : sizeof(zeros));
		at = end;
	}
	if (entry->len > at)
		put(s, entry->data + at, entry->len - at);
}

static void head_put(struct recorder_store *s, const void *bytes, size_t len)
{
	memcpy(s->head + s->head_used, bytes, len);
	s->head_used += len;
}

/* Overwrites the last bytes that were put. */
static void put_stand_in(struct recorder_store *s, bool in_head, const struct mask_result *mask)
{
	for (size_t i = 0; i < mask->stand_in_len; i++) {
		size_t back = mask->stand_in_len - i;

		if (in_head)
			s->head[s->head_used - back] = mask->stand_in[i];
		else
			s->ring[(s->start + s->used - back) % s->size] = mask->stand_in[i];
	}
}

void recorder_store_add(struct recorder_store *s, const struct recording_entry *entry,
	const struct mask_result *mask)
{
	struct record record = { .entry = *entry };
	bool in_head;

	record.entry.at = deadline_now();
	record.entry.data = NULL;
	if (mask)
		memcpy(record.entry.masks, mask->masks, sizeof(record.entry.masks));
	/* One that is longer than the ring, or than any command, tells at least that it was. */
	if (sizeof(record) + entry->len > s->size / 2 || entry->len > RECORDING_DATA_MAX) {
		record.entry.missing += record.entry.len;
		record.entry.len = 0;
		memset(record.entry.masks, 0, sizeof(record.entry.masks));
	}
	in_head = s->opening && HEAD_BYTES - s->head_used >= sizeof(record) + record.entry.len;
	record.serial = s->serial++;
	while (!in_head && s->size - s->used < sizeof(record) + record.entry.len)
		drop_oldest(s);
	(in_head ? head_put : ring_put)(s, &record, sizeof(record));
	record.entry.data = entry->data;
	put_data(s, &record.entry, in_head ? head_put : ring_put);
	if (mask && record.entry.len)
		put_stand_in(s, in_head, mask);
	if (in_head)
		s->head_end = s->first = s->serial;
	else
		s->opening = false;
}

/* Takes the entry of that serial, which is in the head. */
static void take_head(
	const struct recorder_store *s, struct recorder_cursor *c, struct record *record)
{
	do {
		memcpy(record, s->head + c->head, sizeof(*record));
		memcpy(c->data, s->head + c->head + sizeof(*record), record->entry.len);
		c->head += sizeof(*record) + record->entry.len;
	} while (record->serial < c->serial);
}

static void take_ring(
	const struct recorder_store *s, struct recorder_cursor *c, struct record *record)
{
	if (c->offset < s->gone_bytes)
		c->offset = s->gone_bytes;
	do {
		size_t at = (size_t)(c->offset - s->gone_bytes);

		ring_get(s, at, record, sizeof(*record));
		ring_get(s, at + sizeof(*record), c->data, record->entry.len);
		c->offset += sizeof(*record) + record->entry.len;
	} while (record->serial < c->serial);
}

bool recorder_store_take(
	const struct recorder_store *s, struct recorder_cursor *c, struct recording_entry *entry)
{
	struct record record = { .entry = { .kind = RECORDING_DROPPED } };
	bool there = c->serial < s->serial;

	if (there && c->serial < s->head_end) {
		take_head(s, c, &record);
		c->serial++;
	} else if (there && c->serial < s->first) {
		record.entry.at = deadline_now();
		record.entry.value = s->first - c->serial;
		c->serial = s->first;
	} else if (there) {
		take_ring(s, c, &record);
		c->serial++;
	}
	*entry = record.entry;
	entry->data = entry->len ? c->data : NULL;
	return there;
}
