/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/clients/ids.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/random.h>

#define FIRST_SIZE 64

struct ids_entry {
	uint32_t id;
	uint64_t value;
};

/* The ids are random, so they need no hashing. Returns the entry of the id, or an empty one. */
static struct ids_entry *probe(const struct ids *ids, uint32_t id)
{
	size_t at = id & (ids->size - 1);

	while (ids->entries[at].id && ids->entries[at].id != id)
		at = (at + 1) & (ids->size - 1);
	return &ids->entries[at];
}

static bool grow(struct ids *ids)
{
	struct ids larger = { .size = ids->size ? ids->size * 2 : FIRST_SIZE };

	if (ids->used * 2 < ids->size)
		return true;
	larger.entries = calloc(larger.size, sizeof(*larger.entries));
	if (!larger.entries)
		return false;
	for (size_t i = 0; i < ids->size; i++) {
		if (ids->entries[i].id)
			*probe(&larger, ids->entries[i].id) = ids->entries[i];
	}
	free(ids->entries);
	ids->entries = larger.entries;
	ids->size = larger.size;
	return true;
}

/* The next random number. False, and 0, without entropy. */
static bool draw(struct ids *ids, uint32_t *id)
{
	*id = 0;
	if (ids->drawn == 0) {
		if (getrandom(ids->random, sizeof(ids->random), 0) != sizeof(ids->random))
			return false;
		ids->drawn = IDS_DRAW;
	}
	*id = ids->random[--ids->drawn] & 0x7FFFFFFF;
	ids->random[ids->drawn] = 0;
	return true;
}

uint32_t ids_new(struct ids *ids, uint64_t value)
{
	uint32_t id = 0;

	pthread_mutex_lock(&ids->lock);
	if (!grow(ids))
		goto out;
	do {
		if (!draw(ids, &id))
			goto out;
	} while (!id || probe(ids, id)->id);
	*probe(ids, id) = (struct ids_entry){ .id = id, .value = value };
	ids->used++;
out:
	pthread_mutex_unlock(&ids->lock);
	return id;
}

uint64_t ids_find(struct ids *ids, uint32_t id)
{
	uint64_t value = 0;

	pthread_mutex_lock(&ids->lock);
	if (id && ids->size)
		value = probe(ids, id)->value;
	pthread_mutex_unlock(&ids->lock);
	return value;
}

/* Moves later entries of the same run into the gap, so that probing never meets a hole. */
static void close_gap(struct ids *ids, size_t gap)
{
	size_t mask = ids->size - 1;

	for (size_t at = (gap + 1) & mask; ids->entries[at].id; at = (at + 1) & mask) {
		size_t home = ids->entries[at].id & mask;

		if (((at - home) & mask) >= ((at - gap) & mask)) {
			ids->entries[gap] = ids->entries[at];
			gap = at;
		}
	}
	ids->entries[gap] = (struct ids_entry){ 0 };
}

void ids_drop(struct ids *ids, uint32_t id)
{
	struct ids_entry *entry;

	pthread_mutex_lock(&ids->lock);
	if (id && ids->size) {
		entry = probe(ids, id);
		if (entry->id) {
			close_gap(ids, (size_t)(entry - ids->entries));
			ids->used--;
		}
	}
	pthread_mutex_unlock(&ids->lock);
}
