/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The card's side of T=1: a block in, a block out (ISO 7816-3 §11).
 */
#ifndef CARDWIRE_VREADER_CARD_T1_H
#define CARDWIRE_VREADER_CARD_T1_H

#include "vreader/cards/card_apdu.h"

enum {
	T1_BLOCK_MAX = 3 + 254 + 2,
};

struct card_t1_options {
	uint8_t ifsc;
	uint8_t bwi;
	bool crc;
	uint32_t ask_every; /* asks for time before every n-th answer; 0: never without need */
};

/* Who runs the commands. The answer stays valid until the next command. */
struct card_t1_runner {
	const struct card_response *(*run)(void *ctx, const uint8_t *apdu, size_t len);
	void *ctx;
};

struct card_t1 {
	struct card_t1_runner runner;
	const struct card_response *rsp; /* to the last command */
	struct card_t1_options options;
	uint8_t ifsd;
	uint8_t ns; /* N(S) of the next I-block we send */
	uint8_t nr; /* N(S) we expect next */
	uint8_t in[APDU_COMMAND_MAX];
	size_t in_len;
	bool in_overflow;
	size_t sent;      /* bytes of rsp acknowledged */
	size_t sending;   /* bytes of rsp in the I-block not yet acknowledged; 0: none */
	uint32_t wait_ms; /* time the application still needs */
	uint32_t answers;
	bool wtx_pending;          /* S(WTX request) sent */
	bool pending;              /* a command runs whose answer nobody knows the time of */
	bool waited;               /* meanwhile: S(WTX request) is due */
	uint32_t wtx_ms;           /* how often it has to be sent */
	uint8_t out[T1_BLOCK_MAX]; /* last block sent, kept for a repeat */
	size_t out_len;
	bool out_ready;
	uint32_t out_delay_ms;
};

void card_t1_reset(
	struct card_t1 *t1, struct card_t1_runner runner, const struct card_t1_options *options);
/* One burst from the reader; it should be one block. */
void card_t1_receive(struct card_t1 *t1, const uint8_t *bytes, size_t len);
/* The block to send and the pause before it, ms; none while the answer is pending, and then the pause
 * is until the next call. False: nothing to send. */
bool card_t1_send(struct card_t1 *t1, const uint8_t **bytes, size_t *len, uint32_t *delay_ms);

/* Redundancy code over len bytes (ISO 7816-3 §11.3.4, ISO 13239); returns its length, 1 or 2. */
size_t card_t1_edc(bool crc, const uint8_t *bytes, size_t len, uint8_t edc[2]);

#endif
