/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_LIBPCSCLITE_IDMAP_H
#define CARDWIRE_LIBPCSCLITE_IDMAP_H

/*
 * A hash table from the numbers that applications hold (contexts, card handles) to objects.
 * It grows with its content and has no lock: the caller's lock guards it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct idmap_entry;

struct idmap {
	struct idmap_entry **buckets;
	size_t size; /* of buckets, a power of two, or 0 */
	size_t count;
};

/* The object of `id`, or NULL. */
void *idmap_find(const struct idmap *map, long id);

/*
 * Adds `object` (not NULL). `id` is the number it should have: if that is taken, or 0, it gets
 * a random one of 31 bits. Returns the number, 0 if there is no memory.
 */
long idmap_add(struct idmap *map, long id, void *object);

/* Forgets `id`; harmless if it isn't there. */
void idmap_remove(struct idmap *map, long id);

/* Forgets everything. */
void idmap_clear(struct idmap *map);

#endif
