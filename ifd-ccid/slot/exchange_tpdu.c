/* SPDX-License-Identifier: BSD-3-Clause */
/* TPDU level: the reader moves one T=0 command or one T=1 block at a time (CCID 1.1 §3.2.1). */
#include "exchange.h"

#include "iso7816/apdu.h"
#include "iso7816/t0.h"

static enum ccid_result send_block(struct slot *slot, const uint8_t *block, size_t len,
	unsigned wtx, struct ccid_answer *answer)
{
	return ccid_xfr_block(
		slot, block, len, wtx > 1 ? wtx : 0, 0, exchange_t1_ms(slot, wtx, len), answer);
}

static enum ccid_result send_tpdu(struct slot *slot, const uint8_t *tpdu, size_t len,
	size_t max_answer, uint8_t *response, size_t *rsp_len)
{
	size_t nc = len > T0_HEADER ? len - T0_HEADER : 0;
	struct ccid_answer answer;
	enum ccid_result result = ccid_xfr_block(
		slot, tpdu, len, 0, 0, exchange_t0_ms(slot, nc, max_answer), &answer);

	if (result == CCID_REFUSED)
		return ccid_why_refused(slot, "XfrBlock", &answer);
	return result == CCID_OK ? exchange_copy(slot, &answer, response, rsp_len) : result;
}

const struct exchange_carrier *exchange_carrier_tpdu(void)
{
	static const struct exchange_carrier carrier = { .block = send_block, .tpdu = send_tpdu };

	return &carrier;
}

enum ccid_result exchange_tpdu(struct slot *slot, unsigned protocol, const uint8_t *command,
	size_t len, uint8_t *response, size_t *rsp_len)
{
	switch (protocol) {
	case 0:
		return exchange_by_t0(
			slot, exchange_carrier_tpdu(), command, len, response, rsp_len);
	case 1:
		return exchange_by_t1(
			slot, exchange_carrier_tpdu(), command, len, response, rsp_len);
	default:
		return CCID_PROTOCOL;
	}
}
