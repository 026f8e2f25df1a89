/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/cards/vpcd.h"

#include <stdlib.h>
#include <string.h>

#include "vreader/bytes.h"

enum {
	/* Commands given up by the reader whose answers the program still owes. */
	OWED_MAX = 16,
};

struct vpcd {
	struct card_remote remote;
	struct vpcd_host host;
	struct card *card; /* NULL: not inserted */
	bool removed;
	bool powered;
	unsigned owed; /* answers to come */
	bool awaited;  /* the last of them is the card's */
	uint8_t in[VPCD_HEADER + VPCD_MESSAGE_MAX];
	size_t in_len;
};

static void tell(struct vpcd *v, uint8_t command)
{
	const uint8_t message[] = { 0, 1, command };

	v->host.send(v->host.ctx, message, sizeof(message));
}

static void remote_power_on(struct card_remote *remote)
{
	struct vpcd *v = (struct vpcd *)remote;

	v->awaited = false;
	tell(v, v->powered ? VPCD_RESET : VPCD_POWER_ON);
	v->powered = true;
}

static void remote_power_off(struct card_remote *remote)
{
	struct vpcd *v = (struct vpcd *)remote;

	v->awaited = false;
	if (v->powered)
		tell(v, VPCD_POWER_OFF);
	v->powered = false;
}

/* A command of one byte would be taken for one of the reader's; no APDU is so short. */
static bool remote_exchange(struct card_remote *remote, const uint8_t *apdu, size_t len)
{
	struct vpcd *v = (struct vpcd *)remote;
	uint8_t header[VPCD_HEADER];

	if (len < 4 || len > VPCD_MESSAGE_MAX || v->owed == OWED_MAX)
		return false;
	put_be16(header, (uint16_t)len);
	v->host.send(v->host.ctx, header, sizeof(header));
	v->host.send(v->host.ctx, apdu, len);
	v->owed++;
	v->awaited = true;
	return true;
}

static void remote_free(struct card_remote *remote)
{
	struct vpcd *v = (struct vpcd *)remote;

	v->card = NULL;
	v->removed = true;
	v->host.removed(v->host.ctx);
}

static const struct card_remote_ops remote_ops = {
	.power_on = remote_power_on,
	.power_off = remote_power_off,
	.exchange = remote_exchange,
	.free = remote_free,
};

struct vpcd *vpcd_new(const struct vpcd_host *host)
{
	struct vpcd *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->remote.ops = &remote_ops;
	v->host = *host;
	remote_power_on(&v->remote);
	tell(v, VPCD_ATR);
	v->owed = 1;
	return v;
}

void vpcd_free(struct vpcd *v)
{
	free(v);
}

static bool insert(struct vpcd *v, const uint8_t *atr, size_t len)
{
	struct card *card = card_new_remote(&v->remote, atr, len);

	if (!card)
		return false;
	v->card = card;
	if (v->host.insert(v->host.ctx, card))
		return true;
	/* Nobody has it: it goes as if it had never been. */
	card_free(card);
	return false;
}

/* A whole message of the program. */
static bool message(struct vpcd *v, const uint8_t *bytes, size_t len)
{
	if (v->owed == 0)
		return false;
	v->owed--;
	if (!v->card)
		return insert(v, bytes, len);
	if (v->owed || !v->awaited)
		return true;
	v->awaited = false;
	card_remote_answer(v->card, bytes, len);
	return true;
}

bool vpcd_receive(struct vpcd *v, const uint8_t *bytes, size_t len)
{
	while (len && !v->removed) {
		size_t want = VPCD_HEADER, n;

		if (v->in_len >= VPCD_HEADER)
			want += get_be16(v->in);
		n = want - v->in_len < len ? want - v->in_len : len;
		memcpy(v->in + v->in_len, bytes, n);
		v->in_len += n;
		bytes += n;
		len -= n;
		if (v->in_len < VPCD_HEADER)
			return true;
		want = VPCD_HEADER + (size_t)get_be16(v->in);
		if (v->in_len < want)
			continue;
		v->in_len = 0;
		if (!message(v, v->in + VPCD_HEADER, want - VPCD_HEADER))
			return false;
	}
	return !v->removed;
}

bool vpcd_has_card(const struct vpcd *v)
{
	return v->card;
}
