/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/cards/card_t1.h"

#include <string.h>

enum {
	NAD = 0,
	PCB = 1,
	LEN = 2,
	INF = 3,

	PCB_R = 0x80,
	PCB_S = 0xC0,
	PCB_KIND = 0xC0,
	I_NS = 0x40,
	I_MORE = 0x20,
	R_NR = 0x10,
	R_EDC_ERROR = 0x01,
	R_OTHER_ERROR = 0x02,
	S_RESPONSE = 0x20,
	S_RESYNCH = 0x00,
	S_IFS = 0x01,
	S_ABORT = 0x02,
	S_WTX = 0x03,
	S_CODE = 0x1F,

	IFSD_DEFAULT = 32, /* ISO 7816-3 §11.4.2 */
	/* Below BWT, 2^BWI x 960 x 372 / 4 MHz = 2^BWI x 89 ms, so a multiplier of 1 is enough. */
	WTX_CHUNK_MS = 1000,
	WTX_CHUNK_MS_BWI_0 = 64,
};

size_t card_t1_edc(bool crc, const uint8_t *bytes, size_t len, uint8_t edc[2])
{
	unsigned sum = crc ? 0xFFFF : 0;

	for (size_t i = 0; i < len; i++) {
		sum ^= bytes[i];
		for (int bit = 0; crc && bit < 8; bit++)
			sum = sum & 1 ? sum >> 1 ^ 0x8408 : sum >> 1;
	}
	if (!crc) {
		edc[0] = (uint8_t)sum;
		return 1;
	}
	edc[0] = (uint8_t)(sum >> 8);
	edc[1] = (uint8_t)sum;
	return 2;
}

void card_t1_reset(
	struct card_t1 *t1, struct card_t1_runner runner, const struct card_t1_options *options)
{
	const struct card_t1_options kept = *options;
	uint32_t chunk = (uint32_t)WTX_CHUNK_MS_BWI_0 << kept.bwi;

	memset(t1, 0, sizeof(*t1));
	t1->runner = runner;
	t1->options = kept;
	t1->wtx_ms = chunk < WTX_CHUNK_MS ? chunk : WTX_CHUNK_MS;
	t1->ifsd = IFSD_DEFAULT;
}

static void send_block(struct card_t1 *t1, uint8_t pcb, const uint8_t *inf, size_t len)
{
	t1->out[PCB] = pcb;
	t1->out[LEN] = (uint8_t)len;
	if (len)
		memcpy(t1->out + INF, inf, len);
	t1->out_len = INF + len;
	t1->out_len += card_t1_edc(t1->options.crc, t1->out, t1->out_len, t1->out + t1->out_len);
	t1->out_ready = true;
}

static void send_r(struct card_t1 *t1, uint8_t error)
{
	send_block(t1, (uint8_t)(PCB_R | (t1->nr ? R_NR : 0) | error), NULL, 0);
}

static void send_s(struct card_t1 *t1, uint8_t code, const uint8_t *inf, size_t len)
{
	send_block(t1, (uint8_t)(PCB_S | code), inf, len);
}

static void send_part(struct card_t1 *t1)
{
	size_t rest = t1->rsp->len - t1->sent;
	uint8_t pcb = t1->ns ? I_NS : 0;

	t1->sending = rest;
	if (t1->sending > t1->ifsd) {
		t1->sending = t1->ifsd;
		pcb |= I_MORE;
	}
	send_block(t1, pcb, t1->rsp->data + t1->sent, t1->sending);
}

/* Asks for time while the application works, else sends the answer (ISO 7816-3 §11.6.2.3). */
static void work_or_answer(struct card_t1 *t1)
{
	static const uint8_t once = 1;

	if (t1->wait_ms || (t1->options.ask_every && t1->answers % t1->options.ask_every ==
							     t1->options.ask_every - 1)) {
		t1->wtx_pending = true;
		send_s(t1, S_WTX, &once, 1);
		return;
	}
	send_part(t1);
}

static void wtx_granted(struct card_t1 *t1)
{
	uint32_t chunk = t1->wait_ms < t1->wtx_ms ? t1->wait_ms : t1->wtx_ms;

	t1->wtx_pending = false;
	if (t1->pending)
		return;
	t1->wait_ms -= chunk;
	t1->answers++;
	if (t1->wait_ms)
		work_or_answer(t1);
	else
		send_part(t1);
	t1->out_delay_ms = chunk;
}

static void answer(struct card_t1 *t1)
{
	if (t1->rsp->mute)
		return;
	t1->wait_ms = t1->rsp->delay_ms;
	work_or_answer(t1);
	if (!t1->wtx_pending)
		t1->answers++;
}

static void command_complete(struct card_t1 *t1)
{
	if (t1->in_overflow) {
		/* Answered 6700 like any command that is too long. */
		t1->in_len = 0;
		t1->in_overflow = false;
	}
	t1->rsp = t1->runner.run(t1->runner.ctx, t1->in, t1->in_len);
	t1->in_len = 0;
	t1->sent = 0;
	t1->pending = t1->rsp->pending;
	t1->waited = false;
	if (!t1->pending)
		answer(t1);
}

static void i_block(struct card_t1 *t1, uint8_t pcb, const uint8_t *inf, size_t len)
{
	uint8_t ns = pcb & I_NS ? 1 : 0;

	if (ns != t1->nr || t1->wtx_pending) {
		send_r(t1, R_OTHER_ERROR);
		return;
	}
	/* The host's next I-block acknowledges our last one (ISO 7816-3 §11.6.3.2, rule 2.2). */
	if (t1->sending) {
		if (t1->sent + t1->sending < t1->rsp->len) {
			send_r(t1, R_OTHER_ERROR);
			return;
		}
		t1->ns ^= 1;
		t1->sending = 0;
	}
	t1->nr ^= 1;
	if (t1->in_len + len > sizeof(t1->in)) {
		t1->in_overflow = true;
	} else {
		memcpy(t1->in + t1->in_len, inf, len);
		t1->in_len += len;
	}
	if (pcb & I_MORE)
		send_r(t1, 0);
	else
		command_complete(t1);
}

static void r_block(struct card_t1 *t1, uint8_t pcb)
{
	uint8_t nr = pcb & R_NR ? 1 : 0;
	bool more = t1->sending && t1->sent + t1->sending < t1->rsp->len;

	if (!t1->wtx_pending && more && nr != t1->ns) {
		t1->sent += t1->sending;
		t1->ns ^= 1;
		send_part(t1);
		return;
	}
	/* Anything else asks for the last block again (ISO 7816-3 §11.6.3.2, rules 7.1 to 7.3).
	 * Before the first block of all an R-block stands for "the same to you". */
	if (t1->out_len == 0)
		send_r(t1, 0);
	t1->out_ready = true;
}

static void resynch(struct card_t1 *t1)
{
	card_t1_reset(t1, t1->runner, &t1->options);
	send_s(t1, S_RESYNCH | S_RESPONSE, NULL, 0);
}

static void ifs_request(struct card_t1 *t1, const uint8_t *inf, size_t len)
{
	if (len != 1 || inf[0] == 0 || inf[0] == 255) {
		send_r(t1, R_OTHER_ERROR);
		return;
	}
	t1->ifsd = inf[0];
	send_s(t1, S_IFS | S_RESPONSE, inf, 1);
}

static void abort_request(struct card_t1 *t1)
{
	t1->in_len = 0;
	t1->in_overflow = false;
	if (t1->sending) {
		t1->ns ^= 1;
		t1->sending = 0;
	}
	send_s(t1, S_ABORT | S_RESPONSE, NULL, 0);
}

static void s_block(struct card_t1 *t1, uint8_t pcb, const uint8_t *inf, size_t len)
{
	switch (pcb & (S_CODE | S_RESPONSE)) {
	case S_RESYNCH:
		resynch(t1);
		break;
	case S_IFS:
		ifs_request(t1, inf, len);
		break;
	case S_ABORT:
		abort_request(t1);
		break;
	case S_WTX | S_RESPONSE:
		if (t1->wtx_pending && len == 1 && inf[0] == 1)
			wtx_granted(t1);
		else
			send_r(t1, R_OTHER_ERROR);
		break;
	default:
		send_r(t1, R_OTHER_ERROR);
		break;
	}
}

void card_t1_receive(struct card_t1 *t1, const uint8_t *b, size_t len)
{
	size_t edc_len = t1->options.crc ? 2 : 1;
	uint8_t edc[2];
	size_t inf_len;

	t1->out_ready = false;
	t1->out_delay_ms = 0;
	if (len < INF + edc_len || b[LEN] == 255 || len != INF + b[LEN] + edc_len) {
		send_r(t1, R_OTHER_ERROR);
		return;
	}
	inf_len = b[LEN];
	card_t1_edc(t1->options.crc, b, INF + inf_len, edc);
	if (memcmp(edc, b + INF + inf_len, edc_len) != 0) {
		send_r(t1, R_EDC_ERROR);
		return;
	}
	/* We answer from DAD to SAD (ISO 7816-3 §11.3.2.1). */
	t1->out[NAD] = (uint8_t)((b[NAD] & 0x07) << 4 | (b[NAD] & 0x70) >> 4);
	if (!(b[PCB] & 0x80) && inf_len <= t1->options.ifsc)
		i_block(t1, b[PCB], b + INF, inf_len);
	else if ((b[PCB] & PCB_KIND) == PCB_R && inf_len == 0)
		r_block(t1, b[PCB]);
	else if ((b[PCB] & PCB_KIND) == PCB_S)
		s_block(t1, b[PCB], b + INF, inf_len);
	else
		send_r(t1, R_OTHER_ERROR);
}

/* After a command whose answer was not there: sends it, or asks for time, or nothing yet. */
static void attend(struct card_t1 *t1)
{
	static const uint8_t once = 1;

	t1->waited = t1->rsp->pending && !t1->waited;
	if (t1->waited)
		return;
	t1->pending = t1->rsp->pending;
	t1->wtx_pending = t1->pending;
	if (t1->pending)
		send_s(t1, S_WTX, &once, 1);
	else
		answer(t1);
}

bool card_t1_send(struct card_t1 *t1, const uint8_t **bytes, size_t *len, uint32_t *delay_ms)
{
	if (t1->pending && !t1->out_ready && !t1->wtx_pending) {
		attend(t1);
		*len = 0;
		*delay_ms = t1->wtx_ms;
		if (t1->waited)
			return true;
	}
	if (!t1->out_ready)
		return false;
	t1->out_ready = false;
	*bytes = t1->out;
	*len = t1->out_len;
	*delay_ms = t1->out_delay_ms;
	t1->out_delay_ms = 0;
	return true;
}
