/* SPDX-License-Identifier: BSD-3-Clause */
/* Short and extended APDU level: the reader does the protocol (CCID 1.1 §3.2.2, §3.2.3). */
#include "exchange.h"

#include <string.h>

#include "ifd-ccid/log.h"
#include "iso7816/apdu.h"

enum {
	/* Readers that announce a message too short for a short APDU still take one. */
	SHORT_APDU_MESSAGE = CCID_MSG_HEADER_SIZE + APDU_SHORT_COMMAND,
	/* Answers without a byte, in a row, before a chain is taken for endless. */
	MAX_EMPTY_PARTS = 16,
	MAX_CHAINED = 2 * APDU_MAX_RESPONSE,
};

static bool was_cut(const struct slot *slot, const struct ccid_answer *answer)
{
	size_t max = device_interface(slot->device)->ccid.max_message - CCID_MSG_HEADER_SIZE;
	uint16_t sw = apdu_sw(answer->data, answer->len);

	/* SW1 is 6x or 9x (ISO 7816-3 §12.2.1). */
	return answer->len == max && sw >> 12 != 6 && sw >> 12 != 9;
}

/* Whether a response is none: an answer of no byte, which no card gives. */
static bool is_nothing(const struct slot *slot, size_t len)
{
	if (len == 0)
		log_line(LOG_ERROR, "device %s: a response of no byte", device_name(slot->device));
	return len == 0;
}

enum ccid_result exchange_copy(
	struct slot *slot, const struct ccid_answer *answer, uint8_t *response, size_t *rsp_len)
{
	size_t room = *rsp_len;

	if (was_cut(slot, answer)) {
		log_line(LOG_ERROR, "device %s: the response is longer than the reader's messages",
			device_name(slot->device));
		return CCID_CARD;
	}

	*rsp_len = answer->len;
	if (answer->len)
		memcpy(response, answer->data, answer->len < room ? answer->len : room);
	return answer->len <= room ? CCID_OK : CCID_OVERRUN;
}

enum ccid_result exchange_short_apdu(struct slot *slot, unsigned protocol, const uint8_t *command,
	size_t len, uint8_t *response, size_t *rsp_len)
{
	size_t max = device_interface(slot->device)->ccid.max_message;
	struct ccid_answer answer;
	enum ccid_result result;
	struct apdu apdu;

	if (apdu_parse(command, len, &apdu) && apdu_is_extended(&apdu)) {
		if (protocol == 0)
			return exchange_by_t0(
				slot, exchange_carrier_tpdu(), command, len, response, rsp_len);
		if (exchange_escape_takes(slot, protocol))
			return exchange_escape(slot, command, len, response, rsp_len);
	}
	if (max < SHORT_APDU_MESSAGE)
		max = SHORT_APDU_MESSAGE;
	if (len > max - CCID_MSG_HEADER_SIZE)
		return CCID_LIMIT;
	result = ccid_xfr_block(slot, command, len, 0, 0, slot_ceiling_ms(slot), &answer);
	if (result == CCID_REFUSED)
		return ccid_why_refused(slot, "XfrBlock", &answer);
	if (result != CCID_OK)
		return result;
	if (is_nothing(slot, answer.len))
		return CCID_GARBLED;
	return exchange_copy(slot, &answer, response, rsp_len);
}

/* Sends a command in as many parts as the reader's messages make of it; *ANSWER is the last one. */
static enum ccid_result send_parts(
	struct slot *slot, const uint8_t *command, size_t len, struct ccid_answer *answer)
{
	size_t part = device_interface(slot->device)->ccid.max_message - CCID_MSG_HEADER_SIZE;
	enum ccid_result result;
	uint16_t level;
	size_t at = 0;

	if (len <= part)
		return ccid_xfr_block(
			slot, command, len, 0, CCID_CHAIN_WHOLE, slot_ceiling_ms(slot), answer);
	for (;;) {
		size_t n = len - at < part ? len - at : part;

		level = at == 0 ? CCID_CHAIN_BEGIN : CCID_CHAIN_CONTINUE;
		if (at + n == len)
			level = CCID_CHAIN_END;
		result = ccid_xfr_block(
			slot, command + at, n, 0, level, slot_ceiling_ms(slot), answer);
		at += n;
		if (result != CCID_OK || at == len)
			return result;
		if (answer->len != 0) {
			log_line(LOG_ERROR, "device %s: data in answer to a part of a command",
				device_name(slot->device));
			return CCID_GARBLED;
		}
	}
}

/* Whether the reader has more of the response. */
static bool more(const struct ccid_answer *answer)
{
	return answer->specific == CCID_CHAIN_BEGIN || answer->specific == CCID_CHAIN_CONTINUE ||
	       answer->specific == CCID_CHAIN_EMPTY;
}

enum ccid_result exchange_extended_apdu(struct slot *slot, unsigned protocol,
	const uint8_t *command, size_t len, uint8_t *response, size_t *rsp_len)
{
	size_t room = *rsp_len;
	unsigned empties = 0;
	size_t total = 0;
	struct ccid_answer answer;
	enum ccid_result result = send_parts(slot, command, len, &answer);

	(void)protocol;
	for (;;) {
		if (result == CCID_REFUSED)
			return ccid_why_refused(slot, "XfrBlock", &answer);
		if (result != CCID_OK)
			return result;
		if (answer.len && total < room)
			memcpy(response + total, answer.data,
				answer.len < room - total ? answer.len : room - total);
		total += answer.len;
		empties = answer.len ? 0 : empties + 1;
		if (!more(&answer))
			break;
		if (empties > MAX_EMPTY_PARTS || total > MAX_CHAINED) {
			log_line(LOG_ERROR, "device %s: response without end",
				device_name(slot->device));
			return CCID_CARD;
		}
		result = ccid_xfr_block(
			slot, NULL, 0, 0, CCID_CHAIN_EMPTY, slot_ceiling_ms(slot), &answer);
	}
	if (is_nothing(slot, total))
		return CCID_GARBLED;
	*rsp_len = total;
	return total <= room ? CCID_OK : CCID_OVERRUN;
}
