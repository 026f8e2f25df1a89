/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A card that speaks T=1 as its tests see it, by the rules of ISO 7816-3 §11.6 for the card's side. A
 * command is 8 bytes of name and length, then filler: the response is made from the command alone,
 * so that each exchange has its own right answer.
 *
 * Belongs to the test that has it; one thread.
 */
#ifndef CARDWIRE_TESTS_UNIT_T1_CARD_H
#define CARDWIRE_TESTS_UNIT_T1_CARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iso7816/t1.h"

#define T1_CARD_COMMAND 700 /* longest command, bytes */
#define T1_CARD_ANSWER  900 /* longest response */

struct t1_card {
	enum edc edc;
	unsigned ifsc; /* what it takes in an INF */
	unsigned ifsd; /* what it sends in one */
	uint8_t ns;    /* N(S) of its current or next I-block */
	uint8_t nr;    /* N(S) it expects */
	uint8_t cmd[T1_CARD_COMMAND * 2];
	size_t cmd_len;
	uint8_t rsp[T1_CARD_ANSWER];
	size_t rsp_len;
	size_t at; /* start of the current I-block in rsp */
	size_t part;
	bool answering;
	uint8_t last[T1_MAX_BLOCK]; /* last block sent */
	size_t last_len;
	uint8_t owed; /* PCB of the S-request whose response is due, 0 if none */
	uint8_t owed_value;
	unsigned executed; /* commands, since the test looked */
	unsigned aborted;
	unsigned requests; /* for IFS and ABORT in this exchange: the host takes T1_S_REQUESTS */
	bool playful;      /* makes requests of its own */
	uint64_t *seed;
};

/* The right answer to a command of LEN bytes, at most T1_CARD_ANSWER of them; how many. */
size_t t1_card_answer(const uint8_t *cmd, size_t len, uint8_t *out);

/* What the card does with the N bytes that reached it; its answer is in c->last. */
void t1_card_take(struct t1_card *c, const uint8_t *bytes, size_t n);

#endif
