/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * T=0, the interface device's side at character level (ISO 7816-3:2006 clause 10): one command TPDU
 * exchanged by procedure bytes, as a step machine. For readers that leave T=0 to the host; the
 * mapping of APDUs onto TPDUs is in t0_apdu.h.
 *
 *	step = t0_begin(&t0, tpdu, len, response, max);
 *	while (step.action == T0_EXCHANGE) {
 *		send step.send_len bytes, receive at most step.expect, waiting WT for each
 *		step = t0_received(&t0, bytes, n);		or t0_no_answer()
 *	}
 *
 * The caller owns `struct t0`; its members are private to t0.c. One thread at a time. TPDU and
 * response belong to the caller, stay until the end and do not overlap. No I/O, no clock.
 *
 * Bounds: data bytes by P3. A card may send NULL (60) for ever to gain time: the caller ends that
 * by its deadline (t0_step.nulls counts them). T=0 has no retransmission above the character: after
 * T0_FAILED the card must be reset, except for T0_BAD_TPDU.
 */
#ifndef CARDWIRE_ISO7816_T0_H
#define CARDWIRE_ISO7816_T0_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define T0_HEADER       5 /* CLA INS P1 P2 P3 */
#define T0_MAX_TPDU     (T0_HEADER + 255)
#define T0_MAX_RESPONSE (256 + 2)

enum t0_action {
	T0_EXCHANGE, /* send, then receive */
	T0_DONE,     /* response with SW1 SW2 complete */
	T0_TOO_LONG, /* complete, but longer than the buffer, which holds its start */
	T0_FAILED,   /* see error */
};

enum t0_error {
	T0_NO_ERROR,
	T0_BAD_TPDU,      /* not 4, 5 or 5 + P3 bytes, or INS 6x or 9x; nothing was sent */
	T0_MUTE,          /* the card does not answer */
	T0_BAD_PROCEDURE, /* a procedure byte that means nothing here (§10.3.3) */
	T0_UNASKED,       /* more bytes than expected */
};

struct t0_step {
	enum t0_action action;
	const uint8_t *send; /* T0_EXCHANGE: within struct t0 or the caller's TPDU; NULL if none */
	size_t send_len;     /* 0..255 bytes; 0: only go on receiving */
	/*
	 * T0_EXCHANGE: bytes that a correct card sends next whatever it decides, 1..258. Fewer may
	 * be read and handed in; the next step then asks for the rest.
	 */
	size_t expect;
	size_t rsp_len; /* T0_DONE, T0_TOO_LONG: length of the response with SW, bytes */
	unsigned nulls; /* NULL bytes so far in this command */
	enum t0_error error;
};

enum t0_state {
	T0_IDLE,
	T0_PROCEDURE,
	T0_DATA_IN,
	T0_SW2
};

struct t0 {
	enum t0_state state;
	uint8_t header[T0_HEADER];
	const uint8_t *data; /* rest of the data to send */
	size_t out;          /* data bytes still to be sent to the card */
	size_t in;           /* data bytes the card may still send */
	size_t burst;        /* of these, the ones the last procedure byte announced */
	uint8_t *rsp;
	size_t rsp_max;
	size_t rsp_len;
	uint8_t sw1;
	unsigned nulls;
	size_t to_send; /* bytes the next step sends */
};

/*
 * Begin a command. TPDU: 4 bytes (case 1: P3 = 0 is added), 5 bytes (P3 = number of bytes the card
 * may send, 0 meaning 256), or 5 + P3 bytes (data to the card). RESPONSE has room for MAX bytes.
 */
struct t0_step t0_begin(
	struct t0 *t0, const uint8_t *tpdu, size_t len, uint8_t *response, size_t max);

/* N characters have come: any bytes, any number; 0 is the same as t0_no_answer(). */
struct t0_step t0_received(struct t0 *t0, const uint8_t *bytes, size_t n);

/* Nothing has come within WT. */
struct t0_step t0_no_answer(struct t0 *t0);

/* One short English phrase; static. */
const char *t0_strerror(enum t0_error error);

#endif
