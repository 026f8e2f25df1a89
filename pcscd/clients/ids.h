/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The numbers that clients know contexts and card handles by: random, 31 bits, never 0, and unique
 * among those in use, since one client process tells its handles apart by them alone.
 *
 * Any thread; one short lock a table.
 */
#ifndef CARDWIRE_PCSCD_IDS_H
#define CARDWIRE_PCSCD_IDS_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#define IDS_DRAW 32

struct ids {
	pthread_mutex_t lock;
	struct ids_entry *entries; /* open addressing; id 0: empty */
	size_t size;               /* a power of two, or 0 */
	size_t used;
	uint32_t random[IDS_DRAW]; /* drawn from the kernel at once */
	size_t drawn;              /* of them, not used yet */
};

#define IDS_INITIALIZER                                                                            \
	{                                                                                          \
		.lock = PTHREAD_MUTEX_INITIALIZER                                                  \
	}

/* Makes up an id that stands for `value` (not 0). Returns 0 when memory or entropy is missing. */
uint32_t ids_new(struct ids *ids, uint64_t value);

/* The value of an id, or 0. */
uint64_t ids_find(struct ids *ids, uint32_t id);

/* Forgets an id; 0 and unknown ones are ignored. */
void ids_drop(struct ids *ids, uint32_t id);

#endif
