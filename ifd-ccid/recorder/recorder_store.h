/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What one recording holds: the entries of the opening, which stay, and those behind it in a ring of
 * bounded size, where the latest take the place of the oldest. Masked bytes are zero from here on.
 *
 * One thread at a time; recorder.c has the lock.
 */
#ifndef CARDWIRE_CCID_RECORDER_STORE_H
#define CARDWIRE_CCID_RECORDER_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder_mask.h"
#include "recording/entry.h"

struct recorder_store {
	bool opening;    /* entries go to the head */
	uint64_t serial; /* of the next entry; the first is 1 */
	uint64_t first;  /* serial of the oldest in the ring */
	uint8_t *head;
	size_t head_used;
	uint64_t head_end; /* serial behind the last in the head */
	uint8_t *ring;
	size_t size;
	size_t start; /* of the oldest */
	size_t used;
	uint64_t gone_bytes; /* of the ring, since the beginning */
};

/* BYTES of ring. False: out of memory. recorder_store_free() is for both. */
bool recorder_store_init(struct recorder_store *store, size_t bytes);
void recorder_store_free(struct recorder_store *store);

/* Adds an entry; its `at` is set here. MASK may be NULL. */
void recorder_store_add(struct recorder_store *store, const struct recording_entry *entry,
	const struct mask_result *mask);

/* Where somebody who reads is; all 0 but the serial and the room for data. */
struct recorder_cursor {
	uint64_t serial; /* of the next entry to take */
	uint64_t offset; /* of it in the ring, since the beginning; 0: to be looked for */
	size_t head;     /* of it in the head */
	uint8_t *data;   /* RECORDING_DATA_MAX bytes, the caller's */
};

/*
 * Takes the next entry, whose data is in the cursor's, or RECORDING_DROPPED for those that are no longer
 * there. False: there is none yet.
 */
bool recorder_store_take(const struct recorder_store *store, struct recorder_cursor *cursor,
	struct recording_entry *entry);

#endif
