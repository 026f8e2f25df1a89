/* SPDX-License-Identifier: BSD-3-Clause */
#include "t1_card.h"

#include <string.h>

#include "iso7816_hex.h"

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

size_t t1_card_answer(const uint8_t *cmd, size_t len, uint8_t *out)
{
	uint64_t name = ((uint64_t)be32(cmd) << 32 | be32(cmd + 4)) ^ len;
	size_t n = be32(cmd + 4) % (T1_CARD_ANSWER - 2);

	for (size_t i = 0; i < len; i++)
		name = name * 31 + cmd[i];
	name |= 1;
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)draw(&name);
	out[n] = 0x90;
	out[n + 1] = 0x00;
	return n + 2;
}

static void card_send(struct t1_card *c, uint8_t pcb, const uint8_t *inf, size_t n)
{
	c->last[0] = 0;
	c->last[1] = pcb;
	c->last[2] = (uint8_t)n;
	memcpy(c->last + 3, inf, n);
	edc_append(c->edc, c->last, 3 + n);
	c->last_len = 3 + n + edc_size(c->edc);
}

static void card_send_r(struct t1_card *c, unsigned error)
{
	card_send(c, (uint8_t)(0x80U | (unsigned)c->nr << 4 | error), c->last, 0);
}

static void card_send_i(struct t1_card *c)
{
	size_t rest = c->rsp_len - c->at;

	c->part = rest < c->ifsd ? rest : c->ifsd;
	card_send(c, (uint8_t)(c->ns << 6 | (c->part < rest ? 0x20 : 0)), c->rsp + c->at, c->part);
}

static void card_request(struct t1_card *c, uint8_t pcb, uint8_t value)
{
	c->owed = pcb;
	c->owed_value = value;
	card_send(c, pcb, &value, pcb == 0xC2 ? 0 : 1);
}

/* Continue after a request of its own has been answered, or at once. */
static void card_go_on(struct t1_card *c)
{
	bool may_ask = c->playful && c->requests < T1_S_REQUESTS;

	if (c->playful && chance(c->seed, 10)) {
		card_request(c, 0xC3, (uint8_t)(1 + draw(c->seed) % 255));
	} else if (may_ask && chance(c->seed, 3)) {
		c->requests++;
		c->ifsc = 1 + draw(c->seed) % 254;
		card_request(c, 0xC1, (uint8_t)c->ifsc);
	} else if (may_ask && chance(c->seed, 1)) {
		c->requests++;
		c->aborted++;
		c->answering = false;
		c->cmd_len = 0;
		card_request(c, 0xC2, 0);
	} else if (c->answering) {
		card_send_i(c);
	} else {
		card_send_r(c, 0);
	}
}

static void card_take_i(struct t1_card *c, uint8_t pcb, const uint8_t *inf, size_t n)
{
	if ((pcb >> 6 & 1) != c->nr || n > c->ifsc) {
		card_send_r(c, 2);
		return;
	}
	if (c->answering) { /* its last block has been acknowledged by this one */
		ALWAYS(c->at + c->part == c->rsp_len);
		c->answering = false;
		c->ns ^= 1;
	}
	c->owed = 0;
	c->nr ^= 1;
	ALWAYS(c->cmd_len + n <= sizeof c->cmd);
	memcpy(c->cmd + c->cmd_len, inf, n);
	c->cmd_len += n;
	if (!(pcb & 0x20)) {
		c->rsp_len = t1_card_answer(c->cmd, c->cmd_len, c->rsp);
		c->cmd_len = 0;
		c->at = 0;
		c->executed++;
		c->answering = true;
	}
	card_go_on(c);
}

static void card_take_r(struct t1_card *c, uint8_t pcb)
{
	uint8_t wanted = pcb >> 4 & 1;

	if (c->owed)
		return; /* its request again */
	if (c->answering && wanted == c->ns) {
		card_send_i(c);
	} else if (c->answering && c->at + c->part < c->rsp_len) {
		c->ns ^= 1;
		c->at += c->part;
		card_go_on(c);
	} else {
		card_send_r(c, 0); /* it has nothing to say, and waits for an I-block */
	}
}

static void card_take_s(struct t1_card *c, uint8_t pcb, const uint8_t *inf, size_t n)
{
	if (pcb == 0xC0) {
		c->ns = c->nr = 0;
		c->cmd_len = 0;
		c->answering = false;
		c->owed = 0;
		card_send(c, 0xE0, c->last, 0);
	} else if (pcb == 0xC1) {
		c->ifsd = inf[0];
		card_send(c, 0xE1, inf, 1);
	} else if (c->owed && pcb == (c->owed | 0x20) && n == (c->owed == 0xC2 ? 0U : 1U) &&
		   (n == 0 || inf[0] == c->owed_value)) {
		bool abort = c->owed == 0xC2;
		c->owed = 0;
		if (abort)
			card_send_r(c, 0);
		else
			card_go_on(c);
	}
	/* Otherwise: not the response it waits for, its request again. */
}

void t1_card_take(struct t1_card *c, const uint8_t *bytes, size_t n)
{
	size_t edc = edc_size(c->edc);

	if (n < 3 + edc || n != 3 + bytes[2] + edc || !edc_ok(c->edc, bytes, n)) {
		/* Rules 7.1 to 7.3: R-block, or its last R-block or request again. */
		if (!c->owed && (c->last_len == 0 || (c->last[1] & 0xC0) != 0x80))
			card_send_r(c, 1);
	} else if (!(bytes[1] & 0x80)) {
		card_take_i(c, bytes[1], bytes + 3, bytes[2]);
	} else if ((bytes[1] & 0xC0) == 0x80) {
		card_take_r(c, bytes[1]);
	} else {
		card_take_s(c, bytes[1], bytes + 3, bytes[2]);
	}
}
