/* SPDX-License-Identifier: BSD-3-Clause */
#include "t0_card.h"

#include <string.h>

#include "iso7816/apdu.h"
#include "iso7816_hex.h"

static void put(struct t0_card *c, uint8_t byte)
{
	ALWAYS(c->out_len < sizeof c->out);
	c->out[c->out_len++] = byte;
}

static void put_nulls(struct t0_card *c)
{
	while (chance(c->seed, 15))
		put(c, 0x60);
}

static void put_sw(struct t0_card *c, unsigned sw)
{
	put_nulls(c);
	put(c, (uint8_t)(sw >> 8));
	put(c, (uint8_t)sw);
	c->header_done = false;
	c->tpdu_len = 0;
}

/* N bytes of data to the host, in bursts. */
static void put_data(struct t0_card *c, const uint8_t *data, size_t n)
{
	uint8_t ins = c->tpdu[1];

	while (n > 0) {
		put_nulls(c);
		if (chance(c->seed, 60)) {
			put(c, (uint8_t)~ins);
			put(c, *data++);
			n--;
			continue;
		}
		put(c, ins);
		while (n > 0) {
			put(c, *data++);
			n--;
		}
	}
}

size_t t0_card_answer(const uint8_t *apdu, size_t len, size_t ne, uint8_t *out)
{
	struct apdu parsed;
	uint64_t name = len;

	ALWAYS(apdu_parse(apdu, len, &parsed));
	name = name * 31 + parsed.p1;
	name = name * 31 + parsed.p2;
	for (size_t i = 0; i < parsed.nc; i++)
		name = name * 31 + parsed.data[i];
	/* P1 says how much there is: nothing, few, just Ne, or (P1 = 3) twice that. */
	size_t n = parsed.p1 % 4 == 0   ? 0
		   : parsed.p1 % 4 == 1 ? 1 + ne / 3
					: ne * (parsed.p1 % 4 - 1);
	name |= 1;
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)draw(&name);
	return n;
}

static size_t sw2_of(size_t n)
{
	return n > 255 ? 0 : n;
}

/* Data of the answer to a TPDU that reads NE bytes. */
static void card_deliver(struct t0_card *c, size_t ne)
{
	size_t left = c->rsp_len - c->at;

	if (left == 0) {
		put_sw(c, 0x9000);
	} else if (left < ne) {
		put_sw(c, (unsigned)(0x6C00 + sw2_of(left)));
	} else {
		put_data(c, c->rsp + c->at, ne);
		c->at += ne;
		left -= ne;
		put_sw(c, left ? (unsigned)(0x6100 + sw2_of(left)) : 0x9000);
	}
}

static void card_execute(struct t0_card *c)
{
	struct apdu apdu;
	size_t p3 = c->tpdu[4];

	if (c->tpdu[1] == APDU_INS_GET_RESPONSE) {
		card_deliver(c, p3 ? p3 : 256);
		return;
	}
	ALWAYS(apdu_parse(c->host, c->host_len, &apdu));
	if (c->tpdu[1] == APDU_INS_ENVELOPE) {
		memcpy(c->apdu + c->apdu_len, c->tpdu + 5, p3);
		c->apdu_len += p3;
		ALWAYS(c->apdu_len <= c->host_len);
		if (c->apdu_len < c->host_len) {
			put_sw(c, 0x9000);
			return;
		}
		ALWAYS(memcmp(c->apdu, c->host, c->host_len) == 0);
	} else {
		ALWAYS(memcmp(c->tpdu, c->host, 4) == 0);
		ALWAYS(apdu.nc == 0 || memcmp(c->tpdu + 5, apdu.data, apdu.nc) == 0);
	}
	c->at = 0;
	c->rsp_len = t0_card_answer(c->host, c->host_len, apdu.ne, c->rsp);
	if (apdu.nc == 0 && apdu.ne > 0)
		card_deliver(c, p3 ? p3 : 256);
	else
		put_sw(c, c->rsp_len ? (unsigned)(0x6100 + sw2_of(c->rsp_len)) : 0x9000);
}

/* Whether the TPDU whose header has come carries data to the card. */
static bool carries_data(const struct t0_card *c, const struct apdu *apdu)
{
	return c->tpdu[1] == APDU_INS_ENVELOPE ||
	       (c->tpdu[1] != APDU_INS_GET_RESPONSE && apdu->nc > 0);
}

void t0_card_begin(struct t0_card *c, const uint8_t *apdu, size_t len)
{
	c->host = apdu;
	c->host_len = len;
	c->apdu_len = 0;
	c->rsp_len = 0;
}

void t0_card_take(struct t0_card *c, const uint8_t *bytes, size_t n)
{
	struct apdu parsed;

	ALWAYS(apdu_parse(c->host, c->host_len, &parsed));
	for (size_t i = 0; i < n; i++) {
		ALWAYS(c->tpdu_len < sizeof c->tpdu);
		c->tpdu[c->tpdu_len++] = bytes[i];
		if (c->header_done) {
			ALWAYS(c->allowed > 0);
			c->allowed--;
		}
	}
	if (c->tpdu_len < 5)
		return;
	c->header_done = true;
	size_t due = carries_data(c, &parsed) ? 5U + c->tpdu[4] - c->tpdu_len : 0;
	if (due == 0) {
		card_execute(c);
	} else if (c->allowed == 0) {
		put_nulls(c);
		c->allowed = chance(c->seed, 50) ? 1 : due;
		put(c, c->allowed == 1 && due > 1 ? (uint8_t)~c->tpdu[1] : c->tpdu[1]);
	}
}
