/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The other side for tests of the CCID driver: a USB/IP server on a Unix socket with one CCID reader
 * of two slots, in a thread of the test. It behaves, except for the one fault it is told to show.
 */
#ifndef CARDWIRE_TESTS_CCID_PEER_H
#define CARDWIRE_TESTS_CCID_PEER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum peer_fault {
	PEER_GOOD,

	/* Of a USB/IP server. */
	PEER_SILENT,           /* accepts connections, answers nothing */
	PEER_REFUSES,          /* OP_REP_IMPORT with an error, 8 bytes long */
	PEER_HANGS_UP,         /* closes instead of OP_REP_IMPORT */
	PEER_NOT_USBIP,        /* answers with something else */
	PEER_WRONG_RECORD,     /* other identifiers, no interfaces in the device record */
	PEER_BARE_RETURNS,     /* devid, direction and ep of returns are nonsense */
	PEER_ODD_ACTUAL,       /* actual_length of OUT transfers is nonsense */
	PEER_POSITIVE_ERRORS,  /* a stall is +32 */
	PEER_CRUMBS,           /* each message byte by byte */
	PEER_EMPTY_IN,         /* an empty bulk-IN before each answer */
	PEER_NO_RET_UNLINK,    /* neither CMD_UNLINK nor what it takes back is answered */
	PEER_UNKNOWN_SEQNUM,   /* answers a number never asked */
	PEER_TOO_MUCH,         /* more bytes than asked for */
	PEER_DIES_IN_MESSAGE,  /* closes within a message */
	PEER_RETURNS_OUT_LATE, /* RET_SUBMIT of OUT after that of the IN */

	/* Of a reader; shown in answer to XfrBlock only. */
	PEER_STALE,       /* an answer with an old bSeq before the right one */
	PEER_WRONG_SLOT,  /* one for a slot that isn't there before it */
	PEER_WRONG_TYPE,  /* an answer of another type */
	PEER_SHORT,       /* 5 bytes, then the answer */
	PEER_LENGTH_HUGE, /* dwLength FFFFFFFF */
	PEER_TRAILING,    /* more bytes than dwLength says */
	PEER_SPLIT,       /* in two transfers */
	PEER_TRUNCATED,   /* the second of them never comes */
	PEER_EXTENSIONS,  /* three time extensions first */
	PEER_ENDLESS,     /* time extensions for ever */
	PEER_NO_ANSWER,   /* none, but Abort works */
	PEER_DEAF,        /* none, and Abort stalls; halts end it */
	PEER_LATE,        /* the answer comes when the Abort does */
	PEER_NO_END,      /* no transfer ends with a whole packet, unless it is full */
	PEER_AT_WORK,     /* the answer comes after GetSlotStatus, which is refused (slot busy) */
	PEER_STALL_IN,    /* bulk-IN halts */
	PEER_STUCK,       /* none, and the slot is busy until its card is powered down */
	PEER_POWERLESS, /* refused: somebody else has reset the port, and the card is without power */
	PEER_DEAD,      /* none, and none to anything for slot 0 until the port is reset */
	PEER_STRAYS,    /* an old answer for the other slot before the right one */

	/* Of its interrupt pipe. */
	PEER_EVENT_HALT,  /* halts, and clearing that doesn't help */
	PEER_EVENT_FLOOD, /* card changes without end */
};

struct peer;

/*
 * Starts the server; the fault can be changed while it runs. Returns NULL if there are no means. The
 * string peer_name() is the device string of the reader.
 */
struct peer *peer_start(enum peer_fault fault);
void peer_set_fault(struct peer *peer, enum peer_fault fault);
const char *peer_name(const struct peer *peer);

/* Ends it, with its connections. */
void peer_stop(struct peer *peer);

/* Closes the present connection, as a server does that dies. */
void peer_hang_up(struct peer *peer);

/* Sends an interrupt message, if the driver listens. False: it doesn't. */
bool peer_notify(struct peer *peer, const uint8_t *message, size_t len);

/* What the driver did so far. */
struct peer_counts {
	unsigned control;
	unsigned bulk_out;
	unsigned bulk_in;
	unsigned interrupt;
	unsigned clear_feature;
	unsigned aborts; /* PC_to_RDR_Abort */
	unsigned resets;
	unsigned out_before_in;   /* a command came while no bulk-IN was waiting */
	unsigned unlinked_others; /* CMD_UNLINK named a transfer that isn't waiting */
	uint32_t in_room;         /* of the last bulk-IN, bytes */
};
struct peer_counts peer_counts(struct peer *peer);

#endif
