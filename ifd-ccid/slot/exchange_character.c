/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Character level: the reader moves characters, and is told with each message how many to expect
 * (CCID 1.1 §3.2.4, wLevelParameter of §6.1.4).
 */
#include "exchange.h"

#include <string.h>

#include "ifd-ccid/log.h"
#include "iso7816/t0.h"

/* A T=1 block: out with the prologue of the answer back, then the rest of the answer by its LEN. */
static enum ccid_result send_block(struct slot *slot, const uint8_t *block, size_t len,
	unsigned wtx, struct ccid_answer *answer)
{
	uint8_t *whole = slot->block;
	int64_t timeout_ms = exchange_t1_ms(slot, wtx, len);
	size_t want = T1_PROLOGUE;
	enum ccid_result result;
	size_t have = 0;

	result = ccid_xfr_block(
		slot, block, len, wtx > 1 ? wtx : 0, (uint16_t)want, timeout_ms, answer);
	for (;;) {
		if (result != CCID_OK)
			return result;
		if (answer->len > sizeof(slot->block) - have || (answer->len == 0 && have > 0))
			break;
		if (answer->len)
			memcpy(whole + have, answer->data, answer->len);
		have += answer->len;
		want = have ? t1_missing(&slot->t1, whole, have) : 0;
		if (want == 0 || want > sizeof(slot->block) - have)
			break;
		result = ccid_xfr_block(slot, NULL, 0, 0, (uint16_t)want, timeout_ms, answer);
	}
	answer->data = whole;
	answer->len = have;
	return CCID_OK;
}

/*
 * Characters out and in, as many as the reader's messages hold: a longer run out goes in parts that
 * expect nothing back, a longer one in is asked for in parts by the state machine.
 */
static enum ccid_result move(struct slot *slot, const struct t0_step *step, int64_t timeout_ms,
	struct ccid_answer *answer)
{
	size_t room = device_interface(slot->device)->ccid.max_message - CCID_MSG_HEADER_SIZE;
	size_t expect = step->expect < room ? step->expect : room;
	const uint8_t *send = step->send;
	size_t left = step->send_len;
	enum ccid_result result;

	for (; left > room; left -= room) {
		result = ccid_xfr_block(slot, send, room, 0, 0, timeout_ms, answer);
		if (result != CCID_OK)
			return result;
		send += room;
	}
	return ccid_xfr_block(slot, send, left, 0, (uint16_t)expect, timeout_ms, answer);
}

/* A T=0 command by its procedure bytes. */
static enum ccid_result send_tpdu(struct slot *slot, const uint8_t *tpdu, size_t len,
	size_t max_answer, uint8_t *response, size_t *rsp_len)
{
	int64_t timeout_ms = exchange_t0_ms(slot, len, max_answer);
	struct ccid_answer answer;
	enum ccid_result result;
	struct t0 t0;
	struct t0_step step = t0_begin(&t0, tpdu, len, response, *rsp_len);

	while (step.action == T0_EXCHANGE) {
		result = move(slot, &step, timeout_ms, &answer);
		if (result == CCID_REFUSED)
			return ccid_why_refused(slot, "XfrBlock", &answer);
		if (result != CCID_OK)
			return result;
		step = t0_received(&t0, answer.data, answer.len);
	}
	*rsp_len = step.rsp_len;
	if (step.action == T0_DONE)
		return CCID_OK;
	if (step.action == T0_TOO_LONG)
		return CCID_OVERRUN;
	log_line(LOG_ERROR, "device %s: slot %u: T=0: %s", device_name(slot->device), slot->number,
		t0_strerror(step.error));
	return step.error == T0_BAD_TPDU ? CCID_LIMIT : CCID_CARD;
}

const struct exchange_carrier *exchange_carrier_character(void)
{
	static const struct exchange_carrier carrier = {
		.block = send_block, .tpdu = send_tpdu, .mapped_t0 = true
	};

	return &carrier;
}

enum ccid_result exchange_character(struct slot *slot, unsigned protocol, const uint8_t *command,
	size_t len, uint8_t *response, size_t *rsp_len)
{
	switch (protocol) {
	case 0:
		return exchange_by_t0(
			slot, exchange_carrier_character(), command, len, response, rsp_len);
	case 1:
		return exchange_by_t1(
			slot, exchange_carrier_character(), command, len, response, rsp_len);
	default:
		return CCID_PROTOCOL;
	}
}
