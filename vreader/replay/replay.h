/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A reader that behaves as recorded. Messages from the host are compared with the script, and
 * answered by what followed there; the first difference ends it.
 *
 * Not compared: masked bytes, bSeq (of each answer it is put right), and the time. Slots go their
 * own ways: messages of one slot come in their order, and an answer follows its command.
 *
 * Driven: calls of the host are steps, too, that somebody takes (replay_host.h). Otherwise they are
 * passed over, and a host may ask for the slot's status as often as it likes.
 *
 * Threads: any; the script is the replay's, until it is freed.
 */
#ifndef CARDWIRE_VREADER_REPLAY_H
#define CARDWIRE_VREADER_REPLAY_H

#include "vreader/firmware/profile.h"
#include "vreader/replay/replay_script.h"

struct replay;

struct replay_endpoint {
	uint8_t address;
	uint8_t type;
	uint16_t packet;
};

enum {
	REPLAY_ENDPOINTS_MAX = 3,
	REPLAY_NOT_MINE = -2, /* of replay_control(): as of any device */
};

/*
 * NULL with an explanation in why: out of memory, or the script doesn't say what device it is. WOKEN
 * is called when something may be due that was not.
 */
struct replay *replay_new(struct script *script, bool driven, void (*woken)(void *ctx), void *ctx,
	char *why, size_t why_size);
void replay_free(struct replay *replay);

/* What the device says of itself, as far as others need to know; and its endpoints. */
const struct profile *replay_profile(const struct replay *replay);
const struct replay_endpoint *replay_endpoints(const struct replay *replay, size_t *count);

/* The device's side, with answers told in the order in which they are to be sent. */
struct replay_answer {
	const uint8_t *bytes; /* valid in the call */
	size_t len;
	bool stall;  /* rather than bytes */
	bool no_zlp; /* goes on in the next one */
	bool vanish; /* the device went away here */
};
typedef void replay_send(void *ctx, const struct replay_answer *answer);

void replay_bulk_out(struct replay *replay, const uint8_t *bytes, size_t len, bool last,
	replay_send *send, void *ctx);

/* As ccid_control() for requests of any type; or REPLAY_NOT_MINE. */
int replay_control(struct replay *replay, const uint8_t setup[8], const uint8_t *out,
	size_t out_len, uint8_t *in, size_t cap);

/* What the interrupt pipe says now, 0: nothing. The host has asked for it, so it has dealt with what
 * was said before. */
size_t replay_event(struct replay *replay, uint8_t *data, size_t cap);

/* True if replay_event() has something to say. */
bool replay_event_due(struct replay *replay);

/* The host's side. Both wait; false: the replay has failed. */

/* The device is open, calls begin. Doesn't wait. */
void replay_opened(struct replay *replay);

/* Waits until the next call of that slot is to be made, and takes it; SCRIPT_NONE: there is none. */
bool replay_next_call(struct replay *replay, unsigned slot, size_t *call);

/* The call has returned. `got` is a RECORDING_RETURN. */
bool replay_returned(struct replay *replay, size_t call, const struct recording_entry *got);

/* All calls were made: what is left is told as a difference. */
bool replay_finish(struct replay *replay);

/* Fails it, unless it has; for faults of the host. */
void replay_fail(struct replay *replay, const char *why);

enum replay_state {
	REPLAY_GOING_ON,
	REPLAY_AT_END,
	REPLAY_FAILED,
};
enum replay_state replay_state(struct replay *replay);

/* The first difference; "" if there is none. Valid when it has failed. */
const char *replay_difference(const struct replay *replay);

/* Transfers and calls that took place as recorded. */
size_t replay_matched(struct replay *replay);

const struct script *replay_script(const struct replay *replay);

#endif
