/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Short APDU level, but a reader that takes T=1 blocks for the card in Escapes of its own: for
 * extended APDUs, which its level does not carry. Quirk files say what stands before a block.
 */
#include "exchange.h"

#include <string.h>

static enum ccid_result send_block(struct slot *slot, const uint8_t *block, size_t len,
	unsigned wtx, struct ccid_answer *answer)
{
	const struct quirk_bytes *prefix = &device_quirks(slot->device)->block_escape;
	uint8_t message[QUIRK_PREFIX_MAX + T1_MAX_BLOCK];
	enum ccid_result result;

	(void)wtx; /* an Escape has time enough for any */
	memcpy(message, prefix->bytes, prefix->len);
	memcpy(message + prefix->len, block, len);
	slot->wrapped = true;
	result = ccid_escape(slot, message, prefix->len + len, answer);
	slot->wrapped = false;
	if (slot->secret)
		explicit_bzero(message, sizeof(message));
	if (result == CCID_REFUSED)
		return ccid_why_refused(slot, "Escape", answer);
	if (result != CCID_OK)
		return result;
	/* As many bytes stand before the block of the answer. */
	if (answer->len < prefix->len)
		return CCID_GARBLED;
	answer->data += prefix->len;
	answer->len -= prefix->len;
	return CCID_OK;
}

bool exchange_escape_takes(const struct slot *slot, unsigned protocol)
{
	return protocol == 1 && device_quirks(slot->device)->has[QUIRK_BLOCK_ESCAPE];
}

enum ccid_result exchange_escape(
	struct slot *slot, const uint8_t *command, size_t len, uint8_t *response, size_t *rsp_len)
{
	static const struct exchange_carrier carrier = { .block = send_block };
	size_t max_message = device_interface(slot->device)->ccid.max_message;
	size_t prefix = device_quirks(slot->device)->block_escape.len;
	struct t1_config config = { .ifsc = slot->atr.ifsc,
		.edc = slot->atr.edc,
		.max_block = max_message - CCID_MSG_HEADER_SIZE - prefix };

	if (!slot->blocks_begun)
		t1_init(&slot->t1, &config);
	slot->blocks_begun = true;
	return exchange_by_t1(slot, &carrier, command, len, response, rsp_len);
}
