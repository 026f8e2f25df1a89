/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CCID messages: the one place where type, slot, sequence and lengths are written and checked
 * (CCID 1.1 §6). Pure functions; decoded structs point into the caller's bytes.
 */
#ifndef CARDWIRE_CCID_MSG_H
#define CARDWIRE_CCID_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ifd-ccid/recorder/recorder_mask.h"
#include "spec/ccid.h"

struct ccid_command {
	uint8_t type;        /* PC_to_RDR_… */
	uint8_t specific[3]; /* header bytes 7 to 9 */
	const uint8_t *data; /* abData; may be NULL when len is 0 */
	size_t len;
	size_t expect;         /* longest abData that is likely in the answer; 0: not known */
	enum mask_shape shape; /* what of the data is secret; for the recorder */
};

struct ccid_answer {
	uint8_t type; /* RDR_to_PC_… */
	uint8_t slot;
	uint8_t seq;
	uint8_t bStatus;
	uint8_t bError;
	uint8_t specific;    /* header byte 9 */
	const uint8_t *data; /* abData */
	size_t len;
};

enum ccid_decoded {
	CCID_COMPLETE,
	CCID_INCOMPLETE, /* the header is whole and announces more bytes than are here */
	CCID_TOO_SHORT,  /* fewer bytes than a header */
	CCID_TOO_LONG,   /* the header announces more than the reader's longest message */
	CCID_TRAILING,   /* more bytes than the header announces */
};

/* Writes the header of COMMAND to OUT; its data follows. */
void ccid_put_header(uint8_t out[CCID_MSG_HEADER_SIZE], const struct ccid_command *command,
	uint8_t slot, uint8_t seq);

/*
 * Reads LEN bytes that came from bulk-IN; MAX is the longest message. The header fields of *ANSWER
 * are valid unless CCID_TOO_SHORT, its data only when CCID_COMPLETE.
 */
enum ccid_decoded ccid_get_answer(
	const uint8_t *bytes, size_t len, size_t max, struct ccid_answer *answer);

/*
 * True when an answer of this type may follow a command of that type (CCID 1.1 §6.2, table 6.2-1).
 * Failure may be told by any of them, since readers choose one for commands they don't know.
 */
bool ccid_answers(uint8_t command_type, const struct ccid_answer *answer);

/* CCID_ICC_…, the lowest bits of bStatus; 3 is reserved. */
static inline uint8_t ccid_icc(const struct ccid_answer *answer)
{
	return answer->bStatus & CCID_ICC_MASK;
}

/* CCID_COMMAND_…; C0h is reserved. */
static inline uint8_t ccid_command_status(const struct ccid_answer *answer)
{
	return answer->bStatus & CCID_COMMAND_MASK;
}

/* One part of what an interrupt transfer brought. */
struct ccid_notice {
	uint8_t type;          /* RDR_to_PC_NotifySlotChange, RDR_to_PC_HardwareError */
	const uint8_t *states; /* NotifySlotChange: the bytes behind the type */
	size_t states_len;
	uint8_t slot; /* HardwareError */
	uint8_t code;
};

/*
 * Takes the next message out of an interrupt packet: *AT starts at 0 and is moved on. SLOTS tells
 * how long a NotifySlotChange is; one that the packet cuts short is taken as far as it goes. False:
 * no more, or the rest is of no known type.
 */
bool ccid_next_notice(
	const uint8_t *bytes, size_t len, unsigned slots, size_t *at, struct ccid_notice *notice);

/* The two bits of a slot (CCID_NOTIFY_…); 0 if the message doesn't reach so far. */
uint8_t ccid_notice_state(const struct ccid_notice *notice, unsigned slot);

/* A few English words for bError (CCID 1.1 §6.2.6); static. */
const char *ccid_strerror(uint8_t bError);

#endif
