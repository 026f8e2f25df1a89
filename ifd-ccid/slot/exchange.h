/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * APDUs over the exchange level of the reader (CCID 1.1 §3.2): one implementation a level.
 *
 * All run in the slot's turn.
 */
#ifndef CARDWIRE_CCID_EXCHANGE_H
#define CARDWIRE_CCID_EXCHANGE_H

#include "slot.h"

/*
 * Sends LEN bytes of COMMAND to the card, by T=PROTOCOL where the host does it. RESPONSE has room
 * for *RSP_LEN bytes; *RSP_LEN becomes the length of the response. CCID_OK, or why not:
 * CCID_OVERRUN when the response is longer than the room.
 */
enum ccid_result exchange_apdu(struct slot *slot, unsigned protocol, const uint8_t *command,
	size_t len, uint8_t *response, size_t *rsp_len);

/*
 * T=1 blocks of TPDU and character level, after a power-on: the protocol with this IFSC and NAD and
 * an IFSD of 32, for hosts that send without agreeing on anything.
 */
void exchange_t1_reset(struct slot *slot, uint8_t ifsc, uint8_t nad);

/*
 * T=1 blocks of TPDU and character level, after a power-on and its parameters: starts the protocol
 * with this IFSC and NAD, and announces our IFSD unless the reader does.
 */
enum ccid_result exchange_t1_start(struct slot *slot, uint8_t ifsc, uint8_t nad);

/* One level: moves bytes as exchange_apdu() does. */
typedef enum ccid_result exchange_fn(struct slot *slot, unsigned protocol, const uint8_t *command,
	size_t len, uint8_t *response, size_t *rsp_len);

exchange_fn exchange_short_apdu;
exchange_fn exchange_extended_apdu;
exchange_fn exchange_tpdu;
exchange_fn exchange_character;

/* What the step machines of T=0 and T=1 need: bytes to the card and back. */
struct exchange_carrier {
	/*
	 * One T=1 block out, one back, into *ANSWER (its data valid until the next exchange).
	 * CCID_REFUSED leaves the refusal in *ANSWER.
	 */
	enum ccid_result (*block)(struct slot *slot, const uint8_t *block, size_t len, unsigned wtx,
		struct ccid_answer *answer);
	/* One T=0 command TPDU out, its response (data and SW) back; *RSP_LEN as above. */
	enum ccid_result (*tpdu)(struct slot *slot, const uint8_t *tpdu, size_t len,
		size_t max_answer, uint8_t *response, size_t *rsp_len);
	bool mapped_t0; /* 61xx, 6Cxx and case 4 are the host's business */
};

/* The carrier of a level; only TPDU and character level (and short APDU, for tpdu) have one. */
const struct exchange_carrier *exchange_carrier_tpdu(void);
const struct exchange_carrier *exchange_carrier_character(void);

/* Short APDU level: whether extended APDUs go in the reader's own Escapes, and one that does. */
bool exchange_escape_takes(const struct slot *slot, unsigned protocol);
enum ccid_result exchange_escape(
	struct slot *slot, const uint8_t *command, size_t len, uint8_t *response, size_t *rsp_len);

/* An APDU by T=0, or T=1, over a carrier. */
enum ccid_result exchange_by_t0(struct slot *slot, const struct exchange_carrier *carrier,
	const uint8_t *command, size_t len, uint8_t *response, size_t *rsp_len);
enum ccid_result exchange_by_t1(struct slot *slot, const struct exchange_carrier *carrier,
	const uint8_t *command, size_t len, uint8_t *response, size_t *rsp_len);

/* Longest time in ms for a T=0 TPDU, or a T=1 block whose waiting time is extended by WTX. */
int64_t exchange_t0_ms(const struct slot *slot, size_t nc, size_t ne);
int64_t exchange_t1_ms(const struct slot *slot, unsigned wtx, size_t len);

/*
 * Copies an answer's data into a response; CCID_OK, CCID_OVERRUN, or CCID_CARD when it fills the
 * reader's longest message and doesn't end with a status word: then the reader has cut it.
 */
enum ccid_result exchange_copy(
	struct slot *slot, const struct ccid_answer *answer, uint8_t *response, size_t *rsp_len);

#endif
