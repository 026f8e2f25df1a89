/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/cards/card.h"

#include <stdlib.h>
#include <string.h>

#include "iso7816/atr.h"
#include "spec/ccid.h"
#include "vreader/cards/card_t0.h"
#include "vreader/cards/card_t1.h"
#include "vreader/cards/tag_front.h"

enum {
	TS_DIRECT = 0x3B,
	TS_INVERSE = 0x3F,
	PPSS = 0xFF,
	PPS_MAX = 6,
	WI_DEFAULT = 10,
	TAG_IFSC = 32,
};

const struct card_options card_options_default = {
	.protocols = CARD_T0 | CARD_T1,
	.ta1 = 0x95,
	.ifsc = 254,
	.wi = WI_DEFAULT,
	.bwi = 4,
	.cwi = 5,
	.classes = CCID_VOLTAGE_5V | CCID_VOLTAGE_3V | CCID_VOLTAGE_1V8,
};

/* Historical bytes, at most 15 of them. */
static const uint8_t historical[] = { 'C', 'a', 'r', 'd', 'w', 'i', 'r', 'e', 'V', 'i', 'r', 't',
	'u', 'a', 'l' };

struct card {
	struct card_options options;
	struct card_apdu apdu;
	struct card_response rsp;
	struct card_t0 t0;
	struct card_t1 t1;
	uint8_t atr[CARD_ATR_MAX];
	size_t atr_len;
	bool powered;
	bool fresh; /* nothing received since the ATR: a PPS is possible */
	uint8_t protocol;
	uint8_t fidi;
	uint8_t pps[PPS_MAX]; /* PPS answer to send */
	size_t pps_len;
	bool deaf;       /* the last bytes came in a way it cannot hear */
	struct tag *tag; /* NULL unless contactless */
	struct tag_front front;
};

static uint8_t first_protocol(const struct card_options *o)
{
	return o->protocols & CARD_T0 ? 0 : 1;
}

/* TD1 on: T=0 and T=1 each have their interface bytes after the TD that names them. */
static size_t put_protocols(const struct card_options *o, uint8_t *p)
{
	bool t1 = o->protocols & CARD_T1;
	bool tc2 = o->wi != WI_DEFAULT && o->protocols & CARD_T0;
	size_t n = 0;
	uint8_t y2 = (uint8_t)((o->specific ? 0x10 : 0) | (tc2 ? 0x40 : 0) | (t1 ? 0x80 : 0));

	if (y2 == 0 && first_protocol(o) == 0)
		return 0;
	p[n++] = (uint8_t)(y2 | first_protocol(o));
	if (o->specific)
		p[n++] = first_protocol(o);
	if (tc2)
		p[n++] = o->wi;
	if (!t1)
		return n;
	p[n++] = (uint8_t)(o->crc ? 0x71 : 0x31);
	p[n++] = o->ifsc;
	p[n++] = (uint8_t)(o->bwi << 4 | o->cwi);
	if (o->crc)
		p[n++] = 1;
	return n;
}

/* ISO 7816-3 §8.2. TCK is there unless T=0 alone is offered. */
static void build_atr(struct card *card)
{
	const struct card_options *o = &card->options;
	uint8_t *atr = card->atr;
	const size_t k = sizeof(historical);
	uint8_t tail[10];
	size_t tail_len = put_protocols(o, tail);
	bool ta1 = o->ta1 != CARD_TA1_DEFAULT || o->specific;
	uint8_t tck = 0;
	size_t n = 0;

	atr[n++] = o->inverse ? TS_INVERSE : TS_DIRECT;
	atr[n++] = (uint8_t)(k | (ta1 ? 0x10 : 0) | (o->tc1 ? 0x40 : 0) | (tail_len ? 0x80 : 0));
	if (ta1)
		atr[n++] = o->ta1;
	if (o->tc1)
		atr[n++] = o->tc1;
	memcpy(atr + n, tail, tail_len);
	n += tail_len;
	memcpy(atr + n, historical, k);
	n += k;
	if (o->protocols & CARD_T1) {
		for (size_t i = 1; i < n; i++)
			tck ^= atr[i];
		atr[n++] = tck;
	}
	card->atr_len = n;
}

struct card *card_new(const struct card_options *options, struct card_app *app)
{
	struct card *card;

	if (!app)
		return NULL;
	card = calloc(1, sizeof(*card));
	if (!card) {
		app->ops->free(app);
		return NULL;
	}
	card->options = *options;
	card->apdu.app = app;
	build_atr(card);
	return card;
}

struct card *card_new_tag(struct tag *tag)
{
	struct card *card = tag ? calloc(1, sizeof(*card)) : NULL;

	if (!card) {
		tag_free(tag);
		return NULL;
	}
	card->options = card_options_default;
	/* The protocol of the air is hidden; hosts are shown T=1, as the ATR has it. */
	card->options.protocols = CARD_T1;
	card->options.ta1 = CARD_TA1_DEFAULT;
	card->options.ifsc = TAG_IFSC;
	card->tag = tag;
	card->atr_len = tag_front_atr(tag_identity(tag), card->atr);
	return card;
}

struct tag *card_tag(const struct card *card)
{
	return card->tag;
}

/* What readers look up that know their card by its ATR. */
static void options_from_atr(struct card_options *o, const struct atr *atr)
{
	*o = card_options_default;
	o->protocols = (atr_offers(atr, 0) ? CARD_T0 : 0u) | (atr_offers(atr, 1) ? CARD_T1 : 0u);
	if (o->protocols == 0)
		o->protocols = CARD_T1;
	o->ta1 = atr->ta1;
	o->specific = atr->specific;
	o->inverse = atr->inverse;
	o->ifsc = atr->ifsc;
	o->crc = atr->edc == EDC_CRC;
	o->wi = atr->wi;
	o->bwi = atr->bwi > 9 ? 9 : atr->bwi;
	o->cwi = atr->cwi;
	o->tc1 = atr->tc1;
}

struct card *card_new_remote(struct card_remote *remote, const uint8_t *bytes, size_t len)
{
	struct card *card;
	struct atr atr;

	if (len > CARD_ATR_MAX || !atr_usable(atr_parse(bytes, len, &atr)))
		return NULL;
	card = calloc(1, sizeof(*card));
	if (!card)
		return NULL;
	options_from_atr(&card->options, &atr);
	card->apdu.remote = remote;
	memcpy(card->atr, bytes, len);
	card->atr_len = len;
	return card;
}

void card_remote_answer(struct card *card, const uint8_t *rapdu, size_t len)
{
	card_apdu_answer(&card->apdu, rapdu, len);
}

static struct card_apdu *apdu_of(struct card *card)
{
	return card->tag ? tag_apdu(card->tag) : &card->apdu;
}

void card_wake_by(struct card *card, void (*wake)(void *ctx), void *ctx)
{
	card_apdu_wake_by(apdu_of(card), wake, ctx);
}

void card_work_in(struct card *card, struct loop *loop)
{
	card_apdu_work_in(apdu_of(card), loop);
}

void card_free(struct card *card)
{
	if (!card)
		return;
	if (card->apdu.remote)
		card->apdu.remote->ops->free(card->apdu.remote);
	tag_free(card->tag);
	if (card->apdu.app)
		card->apdu.app->ops->free(card->apdu.app);
	free(card);
}

static const struct card_response *run_command(void *card, const uint8_t *apdu, size_t len)
{
	return card_exchange(card, apdu, len);
}

size_t card_power_on(struct card *card, const uint8_t **atr)
{
	const struct card_options *o = &card->options;
	const struct card_t1_options t1 = {
		.ifsc = o->ifsc, .bwi = o->bwi, .crc = o->crc, .ask_every = o->wtx_every
	};

	if (card->tag) {
		tag_reset(card->tag);
	} else {
		card->rsp.pending = false;
		if (card->apdu.remote)
			card->apdu.remote->ops->power_on(card->apdu.remote);
		card_apdu_reset(&card->apdu);
		card_t0_reset(&card->t0, &card->apdu, &card->rsp, o->t0_single, o->wi);
	}
	card_t1_reset(&card->t1, (struct card_t1_runner){ run_command, card }, &t1);
	card->powered = true;
	card->fresh = !o->specific;
	card->protocol = first_protocol(o);
	card->fidi = o->specific ? o->ta1 : CARD_TA1_DEFAULT;
	card->pps_len = 0;
	card->deaf = false;
	*atr = card->atr;
	return card->atr_len;
}

void card_power_off(struct card *card)
{
	card->powered = false;
	card_apdu_give_up(apdu_of(card));
	if (card->apdu.remote)
		card->apdu.remote->ops->power_off(card->apdu.remote);
}

/* F of TA1 with the same or a smaller D, or the defaults (ISO 7816-3 §9.2). */
static bool pps1_acceptable(const struct card *card, uint8_t pps1)
{
	uint8_t ta1 = card->options.ta1;

	return pps1 == CARD_TA1_DEFAULT || pps1 == ta1 ||
	       (pps1 >> 4 == ta1 >> 4 && (pps1 & 0x0F) && (pps1 & 0x0F) < (ta1 & 0x0F));
}

/* True when the bytes are a PPS request without fault; its answer is then ready (ISO 7816-3 §9). */
static bool pps(struct card *card, const uint8_t *b, size_t len)
{
	size_t want = 3;
	uint8_t pck = 0, protocol;
	size_t n = 0;

	if (len < 3)
		return false;
	for (uint8_t bit = 0x10; bit <= 0x40; bit = (uint8_t)(bit << 1))
		want += b[1] & bit ? 1 : 0;
	protocol = b[1] & 0x0F;
	if (len != want || protocol > 1 || !(card->options.protocols & 1u << protocol))
		return false;
	for (size_t i = 0; i < len; i++)
		pck ^= b[i];
	if (pck)
		return false;
	card->pps[n++] = PPSS;
	card->pps[n++] = protocol;
	card->fidi = CARD_TA1_DEFAULT;
	if (b[1] & 0x10 && pps1_acceptable(card, b[2])) {
		card->pps[1] |= 0x10;
		card->pps[n++] = card->fidi = b[2];
	}
	for (size_t i = 0; i < n; i++)
		pck ^= card->pps[i];
	card->pps[n++] = pck;
	card->pps_len = n;
	card->protocol = protocol;
	return true;
}

void card_receive(struct card *card, struct card_link link, const uint8_t *bytes, size_t len)
{
	bool fresh = card->fresh;

	card->deaf =
		!card->powered || link.fidi != card->fidi || link.inverse != card->options.inverse;
	card->pps_len = 0;
	if (card->deaf || len == 0)
		return;
	if (fresh && bytes[0] == PPSS) {
		card->deaf = !pps(card, bytes, len);
		card->fresh = card->deaf;
		return;
	}
	card->fresh = false;
	if (card->protocol == 0)
		card_t0_receive(&card->t0, bytes, len);
	else
		card_t1_receive(&card->t1, bytes, len);
}

bool card_send(struct card *card, struct card_burst *burst)
{
	*burst = (struct card_burst){ 0 };
	if (!card->powered || card->deaf)
		return false;
	if (card->pps_len) {
		burst->data = card->pps;
		burst->len = card->pps_len;
		card->pps_len = 0;
		return true;
	}
	if (card->protocol == 0)
		return card_t0_send(&card->t0, &burst->data, &burst->len, &burst->delay_ms);
	return card_t1_send(&card->t1, &burst->data, &burst->len, &burst->delay_ms);
}

const struct card_response *card_exchange(struct card *card, const uint8_t *apdu, size_t len)
{
	if (card->tag)
		return tag_front_exchange(&card->front, card->tag, apdu, len);
	card->fresh = false;
	card_apdu_process(&card->apdu, APDU_OVER_T1, apdu, len, &card->rsp);
	return &card->rsp;
}

unsigned card_protocol(const struct card *card)
{
	return card->protocol;
}

const struct card_options *card_options(const struct card *card)
{
	return &card->options;
}
