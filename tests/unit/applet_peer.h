/* SPDX-License-Identifier: BSD-3-Clause */
/* A card with applets as its tests see it: commands and answers in hexadecimal. Header only, since
 * Check's macros name the test. */
#ifndef CARDWIRE_TESTS_UNIT_APPLET_PEER_H
#define CARDWIRE_TESTS_UNIT_APPLET_PEER_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vreader/cards/app.h"
#include "vreader/cards/card.h"

struct applet_peer {
	struct card *card;
	const struct card_response *rsp;
};

typedef struct applet *(*applet_maker)(struct state *state);

/* path: the state file; NULL: in memory. */
static inline void peer_open(
	struct applet_peer *p, const char *path, const applet_maker *makers, size_t count)
{
	char why[256] = "";
	struct state *state = state_open(path, why, sizeof(why));
	struct applet *applets[APPLETS_MAX];
	const uint8_t *atr;

	ck_assert_msg(state, "%s", why);
	for (size_t i = 0; i < count; i++)
		applets[i] = makers[i](state);
	p->card = card_new(&card_options_default, applet_card_new(state, applets, count));
	ck_assert_ptr_nonnull(p->card);
	card_power_on(p->card, &atr);
}

static inline void peer_close(struct applet_peer *p)
{
	card_free(p->card);
	p->card = NULL;
}

static inline void peer_reset(struct applet_peer *p)
{
	const uint8_t *atr;

	card_power_on(p->card, &atr);
}

static inline size_t unhex(const char *hex, uint8_t *bytes, size_t cap)
{
	size_t n = 0;

	for (; *hex; hex++) {
		unsigned v;

		if (*hex == ' ')
			continue;
		ck_assert_uint_lt(n, cap);
		ck_assert_int_ne(hex[1], 0);
		ck_assert_int_eq(sscanf(hex, "%2x", &v), 1);
		bytes[n++] = (uint8_t)v;
		hex++;
	}
	return n;
}

static inline unsigned peer_send(struct applet_peer *p, const uint8_t *bytes, size_t len)
{
	p->rsp = card_exchange(p->card, bytes, len);
	ck_assert_uint_ge(p->rsp->len, 2);
	return (unsigned)(p->rsp->data[p->rsp->len - 2] << 8 | p->rsp->data[p->rsp->len - 1]);
}

static inline void peer_expect(struct applet_peer *p, unsigned sw, const char *hex)
{
	uint8_t bytes[600];
	size_t n = unhex(hex, bytes, sizeof(bytes));
	unsigned got = peer_send(p, bytes, n);

	ck_assert_msg(got == sw, "%s: %04X, expected %04X", hex, got, sw);
}

static inline void peer_expect_data(struct applet_peer *p, const char *data, const char *hex)
{
	uint8_t bytes[600];
	size_t n = unhex(data, bytes, sizeof(bytes));

	peer_expect(p, SW_OK, hex);
	ck_assert_msg(p->rsp->len == n + 2 && memcmp(p->rsp->data, bytes, n) == 0,
		"%s: not what was expected, %zu bytes", hex, p->rsp->len);
}

#endif
