/* SPDX-License-Identifier: BSD-3-Clause */
#include "iso7816/t0.h"

#include <string.h>

#define PROCEDURE_NULL 0x60

/* Bytes that a correct card sends in any case once the pending bytes have gone out. */
static size_t expected(const struct t0 *t0)
{
	switch (t0->state) {
	case T0_DATA_IN:
		return t0->burst + 2;
	case T0_SW2:
		return 1;
	default:
		/* One procedure byte while data to the card are left; else SW1 SW2 at least. */
		return t0->out > t0->to_send ? 1 : 2;
	}
}

static struct t0_step exchange(struct t0 *t0, const uint8_t *send, size_t len)
{
	return (struct t0_step){
		.action = T0_EXCHANGE,
		.send = len > 0 ? send : NULL,
		.send_len = len,
		.expect = expected(t0),
		.nulls = t0->nulls,
	};
}

static struct t0_step fail(struct t0 *t0, enum t0_error error)
{
	t0->state = T0_IDLE;
	return (struct t0_step){ .action = T0_FAILED, .error = error, .nulls = t0->nulls };
}

static void store(struct t0 *t0, uint8_t byte)
{
	if (t0->rsp_len < t0->rsp_max)
		t0->rsp[t0->rsp_len] = byte;
	t0->rsp_len++;
}

static struct t0_step finish(struct t0 *t0)
{
	t0->state = T0_IDLE;
	return (struct t0_step){
		.action = t0->rsp_len > t0->rsp_max ? T0_TOO_LONG : T0_DONE,
		.rsp_len = t0->rsp_len,
		.nulls = t0->nulls,
	};
}

/* §10.3.3. False when the byte means nothing here. */
static bool take_procedure(struct t0 *t0, uint8_t byte)
{
	uint8_t ins = t0->header[1];
	size_t left = t0->out + t0->in;

	if (byte == PROCEDURE_NULL) {
		t0->nulls++;
		return true;
	}
	if ((byte & 0xF0) == 0x60 || (byte & 0xF0) == 0x90) {
		t0->sw1 = byte;
		t0->state = T0_SW2;
		return true;
	}
	bool one = (byte ^ ins) == 0xFF;
	if (left == 0 || (byte != ins && !one))
		return false;
	t0->burst = one ? 1 : left;
	if (t0->in > 0)
		t0->state = T0_DATA_IN;
	else
		t0->to_send = t0->burst;
	return true;
}

static void take_data(struct t0 *t0, uint8_t byte)
{
	store(t0, byte);
	t0->in--;
	if (--t0->burst == 0)
		t0->state = T0_PROCEDURE;
}

struct t0_step t0_begin(
	struct t0 *t0, const uint8_t *tpdu, size_t len, uint8_t *response, size_t max)
{
	memset(t0, 0, sizeof *t0);
	if (len < 4)
		return fail(t0, T0_BAD_TPDU);
	memcpy(t0->header, tpdu, len < T0_HEADER ? len : T0_HEADER);

	uint8_t ins = t0->header[1];
	uint8_t p3 = t0->header[4];
	if ((ins & 0xF0) == 0x60 || (ins & 0xF0) == 0x90)
		return fail(t0, T0_BAD_TPDU);
	if (len == T0_HEADER) {
		t0->in = p3 ? p3 : 256;
	} else if (len > T0_HEADER) {
		if (len != T0_HEADER + (size_t)p3)
			return fail(t0, T0_BAD_TPDU);
		t0->out = p3;
		t0->data = tpdu + T0_HEADER;
	}
	t0->rsp = response;
	t0->rsp_max = max;
	t0->state = T0_PROCEDURE;
	return exchange(t0, t0->header, T0_HEADER);
}

struct t0_step t0_received(struct t0 *t0, const uint8_t *bytes, size_t n)
{
	if (t0->state == T0_IDLE || n == 0)
		return fail(t0, T0_MUTE);

	for (size_t i = 0; i < n; i++) {
		/* The card is waiting for our data: it cannot have sent this. */
		if (t0->to_send > 0)
			return fail(t0, T0_UNASKED);
		if (t0->state == T0_DATA_IN) {
			take_data(t0, bytes[i]);
		} else if (t0->state == T0_SW2) {
			store(t0, t0->sw1);
			store(t0, bytes[i]);
			return i + 1 == n ? finish(t0) : fail(t0, T0_UNASKED);
		} else if (!take_procedure(t0, bytes[i])) {
			return fail(t0, T0_BAD_PROCEDURE);
		}
	}

	struct t0_step step = exchange(t0, t0->data, t0->to_send);
	if (t0->to_send > 0) {
		t0->data += t0->to_send;
		t0->out -= t0->to_send;
		t0->to_send = 0;
	}
	return step;
}

struct t0_step t0_no_answer(struct t0 *t0)
{
	return fail(t0, T0_MUTE);
}

const char *t0_strerror(enum t0_error error)
{
	static const char *const text[] = {
		[T0_NO_ERROR] = "no error",
		[T0_BAD_TPDU] = "not a T=0 command",
		[T0_MUTE] = "the card does not answer",
		[T0_BAD_PROCEDURE] = "the card sent a procedure byte that means nothing here",
		[T0_UNASKED] = "the card sent more than was asked for",
	};

	return (size_t)error < sizeof text / sizeof text[0] ? text[error] : "unknown error";
}
