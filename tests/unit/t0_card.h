/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A card that speaks T=0 as its tests see it, by the rules of ISO 7816-3 clause 10 and §12.2 for the
 * card's side: it moves data with the procedure bytes it likes, and sends a NULL when it likes. Its
 * answer is made from the command alone, so that each command has its own right answer.
 *
 * Belongs to the test that has it; one thread.
 */
#ifndef CARDWIRE_TESTS_UNIT_T0_CARD_H
#define CARDWIRE_TESTS_UNIT_T0_CARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iso7816/t0.h"

#define T0_CARD_COMMAND 1200  /* longest command, bytes */
#define T0_CARD_ANSWER  70000 /* longest response */

struct t0_card {
	uint64_t *seed;
	const uint8_t *host; /* the host's command APDU, which the card must get */
	size_t host_len;
	uint8_t apdu[T0_CARD_COMMAND]; /* put together from ENVELOPEs */
	size_t apdu_len;
	uint8_t rsp[T0_CARD_ANSWER];
	size_t rsp_len; /* of data */
	size_t at;      /* data already fetched */

	uint8_t tpdu[T0_MAX_TPDU];
	size_t tpdu_len;    /* bytes of it that have come */
	uint8_t out[20000]; /* bytes the card has sent, not yet read */
	size_t out_at;
	size_t out_len;
	size_t allowed; /* data bytes the last procedure byte let through */
	bool header_done;
};

/* The right answer, without SW, to a command of LEN bytes that asks for NE; how many bytes. */
size_t t0_card_answer(const uint8_t *apdu, size_t len, size_t ne, uint8_t *out);

/* The host has a new command, of LEN bytes, which must stay there. */
void t0_card_begin(struct t0_card *c, const uint8_t *apdu, size_t len);

/* What the card does with the N bytes that reached it; what it sends is behind c->out. */
void t0_card_take(struct t0_card *c, const uint8_t *bytes, size_t n);

#endif
