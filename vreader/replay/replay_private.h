/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A recording that is replayed, shared by the files that do it: replay.c (how far it has come, calls
 * of the driver), replay_device.c (the descriptors in it), replay_bus.c (what the host sends).
 */
#ifndef CARDWIRE_VREADER_REPLAY_PRIVATE_H
#define CARDWIRE_VREADER_REPLAY_PRIVATE_H

#include <pthread.h>

#include "vreader/replay/replay.h"

enum {
	REPLAY_MESSAGE_MAX = RECORDING_DATA_MAX,
};

struct replay {
	struct script *script;
	bool driven;
	void (*woken)(void *ctx);
	void *ctx;
	struct profile profile;
	struct replay_endpoint endpoints[REPLAY_ENDPOINTS_MAX];
	size_t endpoint_count;
	const struct recording_entry *device; /* descriptors, of the script */
	const struct recording_entry *configuration;

	pthread_mutex_t lock; /* what follows, and `done` of the steps */
	pthread_cond_t moved;
	size_t first; /* the first step that is not done */
	size_t matched;
	unsigned running; /* calls */
	bool opened;      /* calls begin */
	bool event_out;   /* the host has not yet come back for the next event */
	bool failed;
	char difference[1024];
	uint8_t last_status[256]; /* of each slot: bStatus */
	uint8_t *message;         /* of the host, as far as it has come */
	size_t message_len;
};

static inline struct script_step *replay_step(const struct replay *r, size_t i)
{
	return &r->script->steps[i];
}

/* What follows but replay_same() is called with the lock held. */

/* Goes on to the next step that somebody has to take, and wakes who waits for it. */
void replay_advance(struct replay *r);

/* Step i has happened as recorded. */
void replay_take(struct replay *r, size_t i);

/* It ends here; the difference is the caller's to tell. */
void replay_set_failed(struct replay *r);

/* "message 12 (out): …: recorded …, came …"; either may be NULL. Numbers count the entries. */
void replay_differ(struct replay *r, size_t i, const char *what,
	const struct recording_entry *recorded, const struct recording_entry *came);

/* True if they are the same but for what is masked, missing, or at `skip`. *at: where not. */
bool replay_same(const struct recording_entry *recorded, const struct recording_entry *came,
	size_t skip, size_t *at);

/* --- replay_device.c: without the lock */

/* Looks for the descriptors and the interface that was used. False: none, and why. */
bool replay_find_device(struct replay *r, char *why, size_t why_size);

bool replay_is_class_request(const uint8_t setup[8]);

/* Strings and descriptors, whenever they are asked for. */
int replay_standard_answer(const struct replay *r, const uint8_t setup[8], uint8_t *in, size_t cap);

#endif
