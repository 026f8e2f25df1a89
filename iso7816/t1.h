/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * T=1, the interface device's side (ISO 7816-3:2006 clause 11), as a step machine: it says which
 * block to send, and is told what came back. No I/O, no clock, no allocation.
 *
 *	step = t1_begin(&t1, command, len, response, max);
 *	while (step.action == T1_SEND) {
 *		send step.block, wait at most step.wtx times BWT for an answer
 *		step = t1_block_received(&t1, bytes, n);
 *			or t1_no_answer(&t1), or t1_parity_error(&t1)
 *	}
 *
 * The caller owns `struct t1`; its members are private to t1.c. One card, one struct, one thread at
 * a time. Command and response belong to the caller and must stay until the exchange has ended.
 *
 * Bounds: each block gets T1_ATTEMPTS transmissions without progress, an exchange T1_RESYNCHS
 * S(RESYNCH request) blocks and T1_S_REQUESTS requests of the card other than for time. A card may
 * ask for waiting time (WTX) for ever: the caller ends that by its deadline (see t1_step.wtx and
 * t1_counts.wtx). An exchange given up half-way is followed by a resynchronisation on the next
 * t1_begin(), so that a late answer is never taken for the next one.
 *
 * A command whose answer was lost is sent again after RESYNCH (rule 6), but not once a first block
 * of the answer has arrived: the card has then executed it, and the exchange ends with T1_LOST.
 */
#ifndef CARDWIRE_ISO7816_T1_H
#define CARDWIRE_ISO7816_T1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iso7816/edc.h"

#define T1_MAX_INF    254
#define T1_PROLOGUE   3                              /* NAD PCB LEN */
#define T1_MAX_BLOCK  (T1_PROLOGUE + T1_MAX_INF + 2) /* with CRC */
#define T1_ATTEMPTS   3 /* transmissions of a block: the first and two more (rule 7.4.2) */
#define T1_RESYNCHS   3 /* rule 6.5 */
#define T1_S_REQUESTS 16

enum t1_action {
	T1_SEND,     /* send block, then report what came */
	T1_DONE,     /* response complete, rsp_len bytes */
	T1_TOO_LONG, /* complete, but rsp_len exceeds the buffer, which holds its start */
	T1_FAILED,   /* see error */
};

enum t1_error {
	T1_NO_ERROR,
	T1_DEAD,    /* no error-free exchange after all retries: reset the card, then t1_init() */
	T1_RUNAWAY, /* more than 65 538 bytes of response: reset the card, then t1_init() */
	T1_LOST,    /* resynchronised, but the answer to an executed command is lost; usable */
	T1_ABORTED, /* the card gave up the exchange by S(ABORT request); usable */
	T1_IFSD_REFUSED, /* S(IFS request) not answered as it must be; IFSD stays 32; usable */
};

/* Why a block is sent, for a trace. */
enum t1_reason {
	T1_WHY_NEXT,    /* next I-block or acknowledgement */
	T1_WHY_REPEAT,  /* retransmission, or an R-block that asks for one */
	T1_WHY_WTX,     /* S(WTX response) */
	T1_WHY_IFS,     /* S(IFS request) or S(IFS response) */
	T1_WHY_RESYNCH, /* S(RESYNCH request) */
	T1_WHY_ABORT,   /* S(ABORT response) */
};

struct t1_step {
	enum t1_action action;
	const uint8_t *block;  /* T1_SEND: within struct t1, valid until the next call */
	size_t len;            /* its length in bytes, 4..T1_MAX_BLOCK */
	unsigned wtx;          /* T1_SEND: the answer may take this many BWT; 1 unless extended */
	enum t1_reason reason; /* T1_SEND */
	size_t rsp_len;        /* T1_DONE, T1_TOO_LONG: length of the response, bytes */
	enum t1_error error;   /* T1_FAILED */
};

/* What happened since t1_init(). */
struct t1_counts {
	uint32_t sent;     /* blocks sent, all kinds */
	uint32_t repeats;  /* of these for T1_WHY_REPEAT */
	uint32_t resynchs; /* S(RESYNCH request) sent */
	uint32_t wtx;      /* time extensions granted */
};

struct t1_config {
	uint8_t ifsc;     /* from the ATR; 0 counts as 32, 255 as 254 */
	enum edc edc;     /* from the ATR */
	uint8_t nad;      /* of blocks sent; answers must have its nibbles swapped (§11.3.2.1) */
	size_t max_block; /* longest block the reader can pass to the card, bytes; 0: no limit */
};

enum t1_phase {
	T1_IDLE,
	T1_COMMAND,
	T1_RESPONSE,
	T1_SYNCING,
	T1_SETTING_IFSD,
	T1_ABORTING,
	T1_OVER
};

struct t1 {
	struct t1_config config;
	struct t1_counts counts;
	enum t1_phase phase;
	uint8_t ns;   /* N(S) of the current or next I-block to the card */
	uint8_t nr;   /* N(S) expected in the next I-block of the card */
	uint8_t ifsc; /* as changed by the card */
	uint8_t ifsd;

	uint8_t block[T1_MAX_BLOCK]; /* last block sent */
	size_t block_len;
	unsigned attempts; /* transmissions left without progress */
	unsigned resynchs; /* left in this exchange */
	unsigned requests; /* of the card, left in this exchange */

	const uint8_t *cmd;
	size_t cmd_len;
	size_t cmd_at;       /* start of the current I-block's INF in cmd */
	size_t cmd_part;     /* its length */
	enum t1_error after; /* how the exchange ends after RESYNCH; T1_NO_ERROR: send cmd again */

	uint8_t *rsp;
	size_t rsp_max;
	size_t rsp_len; /* received, may exceed rsp_max */
	bool started;   /* a block of the response has been accepted */
};

/*
 * Start of the protocol, after a reset of the card and PPS if any. Sequence numbers 0, IFSD 32. A
 * struct of zeros is one that has not been started: its exchanges fail with T1_DEAD.
 */
void t1_init(struct t1 *t1, const struct t1_config *config);

/* True for a NAD that blocks may have: no VPP bits, SAD and DAD different or both 0 (§11.3.2.1). */
bool t1_nad_valid(uint8_t nad);

/* NAD of the blocks sent from now on, between exchanges (§11.3.2.1). */
void t1_set_nad(struct t1 *t1, uint8_t nad);

/*
 * Tell the card the longest INF we take: S(IFS request), IFSD 1..254. Ends with T1_DONE, rsp_len 0,
 * or T1_FAILED. Call between t1_init() and the first command.
 */
struct t1_step t1_ifsd_request(struct t1 *t1, uint8_t ifsd);

/*
 * Begin an exchange: send LEN bytes of COMMAND (an APDU, LEN >= 1), receive into RESPONSE, which
 * has room for MAX bytes. They must not overlap: RESYNCH may send COMMAND again.
 */
struct t1_step t1_begin(
	struct t1 *t1, const uint8_t *command, size_t len, uint8_t *response, size_t max);

/*
 * The I-block that t1_begin() or the step after a RESYNCH gave has never been sent, say since the
 * user of a PIN pad changed his mind: the exchange is over and the protocol where it was before.
 */
void t1_withdraw(struct t1 *t1);

/* N bytes have come as the answer to the block sent last: any bytes, any number. */
struct t1_step t1_block_received(struct t1 *t1, const uint8_t *bytes, size_t n);

/* Nothing has come within wtx times BWT. */
struct t1_step t1_no_answer(struct t1 *t1);

/* The reader saw a parity error in the answer, or lost characters of it. */
struct t1_step t1_parity_error(struct t1 *t1);

/*
 * Bytes still to come of a block of which N bytes are here, for readers that hand out characters:
 * 3 - n in the prologue, then LEN and the EDC; 0 when it is complete, or its LEN is reserved (FF).
 */
size_t t1_missing(const struct t1 *t1, const uint8_t *bytes, size_t n);

/* Forget the command in the block buffer and the pointers to the caller's memory. */
void t1_wipe(struct t1 *t1);

/* One short English phrase; static. */
const char *t1_strerror(enum t1_error error);

#endif
