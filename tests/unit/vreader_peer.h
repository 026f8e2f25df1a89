/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The reader's part for tests of virtual cards: whole APDUs over T=0 and T=1, as short as it can
 * be and without error handling, so that a card that strays fails the test.
 */
#ifndef CARDWIRE_TEST_VREADER_PEER_H
#define CARDWIRE_TEST_VREADER_PEER_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "vreader/cards/card.h"

struct peer {
	struct card *card;
	struct card_link link;
	bool crc;
	uint8_t ns, nr; /* T=1 */
	uint8_t ifsc, ifsd;
	uint32_t waited_ms;
	unsigned extensions; /* NULL bytes or S(WTX) seen */
	uint8_t buffer[70000];
	size_t len;
};

static inline struct peer *peer_new(const struct card_options *options, struct card_app *app)
{
	struct peer *p = calloc(1, sizeof(*p));
	const uint8_t *atr;

	ck_assert_ptr_nonnull(p);
	p->card = card_new(options, app);
	ck_assert_ptr_nonnull(p->card);
	ck_assert_uint_ge(card_power_on(p->card, &atr), 2);
	p->link = (struct card_link){ .fidi = CARD_TA1_DEFAULT, .inverse = options->inverse };
	p->crc = options->crc;
	p->ifsc = options->ifsc;
	p->ifsd = 32;
	return p;
}

static inline void peer_free(struct peer *p)
{
	card_free(p->card);
	free(p);
}

/* Sends bytes, then takes everything the card says. Returns its length. */
static inline size_t peer_exchange(
	struct peer *p, const uint8_t *out, size_t out_len, uint8_t *in, size_t cap)
{
	struct card_burst burst;
	size_t n = 0;

	card_receive(p->card, p->link, out, out_len);
	while (card_send(p->card, &burst)) {
		ck_assert_uint_le(n + burst.len, cap);
		memcpy(in + n, burst.data, burst.len);
		n += burst.len;
		p->waited_ms += burst.delay_ms;
	}
	return n;
}

/* One T=0 TPDU; the answer is in buffer. */
static inline void peer_t0(struct peer *p, const uint8_t *tpdu, size_t len)
{
	uint8_t in[600], ins = tpdu[1];
	size_t n, i = 0, sent = 5;
	size_t expect = len == 5 ? (tpdu[4] ? tpdu[4] : 256u) : 0;

	p->len = 0;
	n = peer_exchange(p, tpdu, 5, in, sizeof(in));
	for (;;) {
		ck_assert_msg(i < n, "card stopped before SW");
		if (in[i] == 0x60) {
			p->extensions++;
			i++;
		} else if (in[i] == ins && sent < len) {
			i = 0;
			n = peer_exchange(p, tpdu + sent, len - sent, in, sizeof(in));
			sent = len;
		} else if ((in[i] ^ ins) == 0xFF && sent < len) {
			i = 0;
			n = peer_exchange(p, tpdu + sent, 1, in, sizeof(in));
			sent++;
		} else if (in[i] == ins) {
			ck_assert_uint_eq(n - i, 1 + expect + 2);
			memcpy(p->buffer, in + i + 1, expect + 2);
			p->len = expect + 2;
			return;
		} else {
			ck_assert_uint_eq(n - i, 2);
			memcpy(p->buffer, in + i, 2);
			p->len = 2;
			return;
		}
	}
}

static inline size_t peer_edc(const struct peer *p, uint8_t *block, size_t len)
{
	uint16_t crc = 0xFFFF;
	uint8_t lrc = 0;

	for (size_t i = 0; i < len; i++) {
		lrc ^= block[i];
		crc ^= block[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (uint16_t)(crc & 1 ? crc >> 1 ^ 0x8408 : crc >> 1);
	}
	if (!p->crc) {
		block[len] = lrc;
		return len + 1;
	}
	block[len] = (uint8_t)(crc >> 8);
	block[len + 1] = (uint8_t)crc;
	return len + 2;
}

/* One T=1 block each way; returns the length of the card's INF, or -1 when it is silent. */
static inline int peer_block(
	struct peer *p, uint8_t pcb, const uint8_t *inf, size_t len, uint8_t in[259])
{
	uint8_t out[259] = { 0, pcb, (uint8_t)len };
	uint8_t check[259];
	size_t n;

	if (len)
		memcpy(out + 3, inf, len);
	n = peer_exchange(p, out, peer_edc(p, out, 3 + len), in, 259);
	if (n == 0)
		return -1;
	ck_assert_uint_ge(n, 4);
	memcpy(check, in, 3u + in[2]);
	ck_assert_uint_eq(peer_edc(p, check, 3u + in[2]), n);
	ck_assert_mem_eq(check, in, n);
	return in[2];
}

/* A whole APDU over T=1; the answer is in buffer. */
static inline void peer_t1(struct peer *p, const uint8_t *apdu, size_t len)
{
	uint8_t in[259];
	size_t sent = 0;
	int inf;

	p->len = 0;
	for (;;) {
		size_t n = len - sent > p->ifsc ? p->ifsc : len - sent;
		bool more = sent + n < len;

		inf = peer_block(p, (uint8_t)(p->ns << 6 | (more ? 0x20 : 0)), apdu + sent, n, in);
		sent += n;
		p->ns ^= 1;
		if (!more)
			break;
		ck_assert_int_eq(inf, 0);
		ck_assert_uint_eq(in[1], 0x80u | (unsigned)p->ns << 4);
	}
	for (;;) {
		uint8_t wtx = in[3];

		ck_assert_int_ge(inf, 0);
		if (in[1] == 0xC3) {
			p->extensions++;
			inf = peer_block(p, 0xE3, &wtx, 1, in);
			continue;
		}
		ck_assert_uint_eq(in[1] & 0xC0u, (unsigned)p->nr << 6);
		ck_assert_int_le(inf, p->ifsd);
		memcpy(p->buffer + p->len, in + 3, (size_t)inf);
		p->len += (size_t)inf;
		p->nr ^= 1;
		if (!(in[1] & 0x20))
			return;
		inf = peer_block(p, (uint8_t)(0x80 | p->nr << 4), NULL, 0, in);
	}
}

static inline uint16_t peer_sw(const struct peer *p)
{
	ck_assert_uint_ge(p->len, 2);
	return (uint16_t)(p->buffer[p->len - 2] << 8 | p->buffer[p->len - 1]);
}

#endif
