/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The card's side of T=0: command headers in, procedure bytes, data and SW out (ISO 7816-3 §10).
 */
#ifndef CARDWIRE_VREADER_CARD_T0_H
#define CARDWIRE_VREADER_CARD_T0_H

#include "vreader/cards/card_apdu.h"

struct card_t0 {
	struct card_apdu *apdu;
	struct card_response *rsp;
	bool single; /* asks for one data byte at a time */
	uint8_t in[5 + 255];
	size_t in_len;
	size_t in_want; /* header, or header and data */
	uint8_t out[1 + 256 + 2];
	size_t out_len;
	uint32_t wait_ms; /* still to be spent with NULL bytes before out goes */
	uint32_t null_ms; /* how often NULL bytes have to be sent */
	bool pending;     /* a command runs whose answer nobody knows the time of */
	bool waited;      /* meanwhile: a NULL byte is due */
};

/* After a reset. apdu and rsp are lent by the card; wi: its waiting integer. */
void card_t0_reset(struct card_t0 *t0, struct card_apdu *apdu, struct card_response *rsp,
	bool single, uint8_t wi);
void card_t0_receive(struct card_t0 *t0, const uint8_t *bytes, size_t len);
/* The next bytes and the pause before them, ms; none while the answer is pending, and then the pause
 * is until the next call. False: nothing to send. */
bool card_t0_send(struct card_t0 *t0, const uint8_t **bytes, size_t *len, uint32_t *delay_ms);

#endif
