/* SPDX-License-Identifier: BSD-3-Clause */
#include "idmap.h"

#include <stdlib.h>
#include <sys/random.h>

#define FIRST_SIZE 16

struct idmap_entry {
	long id;
	void *object;
	struct idmap_entry *next;
};

/* Numbers are random already, if the daemon keeps its promise; mixing costs nothing. */
static size_t bucket_of(const struct idmap *map, long id)
{
	return (size_t)(((uint64_t)id * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & (map->size - 1);
}

static struct idmap_entry **slot_of(const struct idmap *map, long id)
{
	struct idmap_entry **slot;

	if (map->size == 0)
		return NULL;
	slot = &map->buckets[bucket_of(map, id)];
	while (*slot && (*slot)->id != id)
		slot = &(*slot)->next;
	return slot;
}

void *idmap_find(const struct idmap *map, long id)
{
	struct idmap_entry **slot = slot_of(map, id);

	return slot && *slot ? (*slot)->object : NULL;
}

static bool grow(struct idmap *map)
{
	struct idmap bigger = { .size = map->size ? map->size * 2 : FIRST_SIZE };

	bigger.buckets = calloc(bigger.size, sizeof(struct idmap_entry *));
	if (!bigger.buckets)
		return false;
	for (size_t i = 0; i < map->size; i++) {
		while (map->buckets[i]) {
			struct idmap_entry *entry = map->buckets[i];
			struct idmap_entry **slot = &bigger.buckets[bucket_of(&bigger, entry->id)];

			map->buckets[i] = entry->next;
			entry->next = *slot;
			*slot = entry;
		}
	}
	free(map->buckets);
	map->buckets = bigger.buckets;
	map->size = bigger.size;
	return true;
}

/* Random numbers come from the kernel; before it has any, from the last one. */
static long random_id(long last)
{
	uint32_t value;

	if (getrandom(&value, sizeof(value), GRND_NONBLOCK) != sizeof(value))
		value = (uint32_t)last * 1664525u + 1013904223u;
	return (long)(value & 0x7FFFFFFF);
}

long idmap_add(struct idmap *map, long id, void *object)
{
	struct idmap_entry *entry;
	struct idmap_entry **slot;

	if (map->count >= map->size && !grow(map) && map->size == 0)
		return 0;
	entry = malloc(sizeof(*entry));
	if (!entry)
		return 0;
	while (id == 0 || idmap_find(map, id))
		id = random_id(id);
	slot = slot_of(map, id);
	*entry = (struct idmap_entry){ .id = id, .object = object };
	*slot = entry;
	map->count++;
	return id;
}

void idmap_remove(struct idmap *map, long id)
{
	struct idmap_entry **slot = slot_of(map, id);
	struct idmap_entry *entry = slot ? *slot : NULL;

	if (!entry)
		return;
	*slot = entry->next;
	free(entry);
	map->count--;
}

void idmap_clear(struct idmap *map)
{
	for (size_t i = 0; i < map->size; i++) {
		while (map->buckets[i]) {
			struct idmap_entry *entry = map->buckets[i];

			map->buckets[i] = entry->next;
			free(entry);
		}
	}
	free(map->buckets);
	*map = (struct idmap){ 0 };
}
