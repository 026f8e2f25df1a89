/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/cards/card_t0.h"

#include <string.h>

#include "vreader/bytes.h"

enum {
	NULL_BYTE = 0x60,
	HEADER = 5,
	/* Well below WWT, 960 x WI x 372 / 4 MHz = WI x 89 ms. */
	NULL_EVERY_MS = 500,
	NULL_EVERY_MS_PER_WI = 50,
};

void card_t0_reset(struct card_t0 *t0, struct card_apdu *apdu, struct card_response *rsp,
	bool single, uint8_t wi)
{
	*t0 = (struct card_t0){ .apdu = apdu,
		.rsp = rsp,
		.single = single,
		.in_want = HEADER,
		.null_ms = NULL_EVERY_MS };
	if (wi < NULL_EVERY_MS / NULL_EVERY_MS_PER_WI)
		t0->null_ms = (uint32_t)wi * NULL_EVERY_MS_PER_WI;
}

static void put_out(struct card_t0 *t0, uint8_t byte)
{
	t0->out[t0->out_len++] = byte;
}

/* Queues data, when there is any after an INS as acknowledge, and SW. */
static void put_response(struct card_t0 *t0, uint8_t ins)
{
	const struct card_response *rsp = t0->rsp;

	t0->in_len = 0;
	t0->in_want = HEADER;
	if (rsp->mute)
		return;
	t0->wait_ms = rsp->delay_ms;
	if (rsp->len > 2)
		put_out(t0, ins);
	memcpy(t0->out + t0->out_len, rsp->data, rsp->len);
	t0->out_len += rsp->len;
}

static void run(struct card_t0 *t0, const uint8_t *apdu, size_t len)
{
	card_apdu_process(t0->apdu, APDU_OVER_T0, apdu, len, t0->rsp);
	t0->pending = t0->rsp->pending;
	t0->waited = false;
	if (!t0->pending)
		put_response(t0, t0->in[1]);
}

static void header_complete(struct card_t0 *t0)
{
	uint8_t cla = t0->in[0], ins = t0->in[1], p3 = t0->in[4];
	bool envelope = ins == 0xC2;

	/* 6x and 9x would be taken for status words (ISO 7816-3 §10.3.2). */
	if ((ins & 0xF0) == 0x60 || (ins & 0xF0) == 0x90) {
		t0->rsp->len = 2;
		t0->rsp->delay_ms = 0;
		t0->rsp->mute = false;
		put_be16(t0->rsp->data, SW_INS_NOT_SUPPORTED);
		put_response(t0, ins);
		return;
	}
	if (!envelope && !card_apdu_takes_data(t0->apdu, cla, ins)) {
		run(t0, t0->in, HEADER);
		return;
	}
	if (p3 == 0) {
		run(t0, t0->in, 4);
		return;
	}
	t0->in_want = HEADER + (size_t)p3;
	put_out(t0, t0->single ? (uint8_t)(ins ^ 0xFF) : ins);
}

static void data_complete(struct card_t0 *t0)
{
	uint8_t apdu[HEADER + 255 + 1];

	memcpy(apdu, t0->in, t0->in_want);
	/* Le is not on the wire here; whether the host wants data shows by its GET RESPONSE. */
	apdu[t0->in_want] = 0;
	run(t0, apdu, t0->in_want + 1);
}

void card_t0_receive(struct card_t0 *t0, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len && !t0->pending; i++) {
		if (t0->in_len == 0) {
			t0->out_len = 0;
			t0->wait_ms = 0;
		}
		t0->in[t0->in_len++] = bytes[i];
		if (t0->in_len < t0->in_want) {
			if (t0->single && t0->in_len > HEADER)
				put_out(t0, (uint8_t)(t0->in[1] ^ 0xFF));
			continue;
		}
		if (t0->in_want == HEADER)
			header_complete(t0);
		else
			data_complete(t0);
	}
}

bool card_t0_send(struct card_t0 *t0, const uint8_t **bytes, size_t *len, uint32_t *delay_ms)
{
	static const uint8_t null_byte = NULL_BYTE;

	if (t0->pending && t0->rsp->pending) {
		*bytes = &null_byte;
		*len = t0->waited ? 1 : 0;
		*delay_ms = t0->waited ? 0 : t0->null_ms;
		t0->waited = !t0->waited;
		return true;
	}
	if (t0->pending) {
		t0->pending = false;
		put_response(t0, t0->in[1]);
	}
	if (t0->wait_ms > t0->null_ms) {
		t0->wait_ms -= t0->null_ms;
		*bytes = &null_byte;
		*len = 1;
		*delay_ms = t0->null_ms;
		return true;
	}
	*bytes = t0->out;
	*len = t0->out_len;
	*delay_ms = t0->wait_ms;
	t0->out_len = 0;
	t0->wait_ms = 0;
	return *len > 0;
}
