/* SPDX-License-Identifier: BSD-3-Clause */
#include "slot.h"

#include <string.h>

#include "ifd-ccid/deadline.h"
#include "ifd-ccid/log.h"
#include "ifd-ccid/options.h"

enum {
	/* The longest ATR: 33 characters of at most 9612 etu at 372 / 1 MHz would be two minutes;
	 * with the slowest clock of real readers it is half a minute. */
	POWER_ON_MS = 35000,
	COMMAND_MS = 5000,
	ESCAPE_MS = 30000,
};

enum ccid_result slot_presence(struct slot *slot)
{
	return slot->raw ? raw_presence(slot->raw) : device_presence(slot->device, slot->number);
}

int64_t slot_ceiling_ms(const struct slot *slot)
{
	const struct quirk_set *quirks = device_quirks(slot->device);
	int64_t ms = options_get()->ceiling_ms;

	if (quirks->has[QUIRK_EXCHANGE_TIMEOUT])
		ms = (int64_t)quirks->exchange_timeout * 1000;
	return ms + (int64_t)quirks->extra_waiting_time * 1000;
}

static int64_t total_ms(const struct slot *slot)
{
	const struct quirk_set *quirks = device_quirks(slot->device);

	if (quirks->has[QUIRK_TOTAL_TIMEOUT])
		return (int64_t)quirks->total_timeout * 1000;
	return options_get()->total_ms + (int64_t)quirks->extra_waiting_time * 1000;
}

void slot_call_begin(struct slot *slot)
{
	slot->call_end = deadline_in_ms(total_ms(slot));
	device_call_begin(slot->device, slot->number);
}

void slot_call_end(struct slot *slot)
{
	device_call_end(slot->device, slot->number);
	slot->secret = false;
}

static enum ccid_result run(struct slot *slot, const struct ccid_command *command,
	int64_t timeout_ms, struct ccid_answer *answer)
{
	int64_t ceiling = slot_ceiling_ms(slot);
	struct ccid_patience patience = {
		.timeout_ms = timeout_ms < ceiling ? timeout_ms : ceiling,
		.ceiling_ms = ceiling,
		.end = slot->call_end,
	};

	return device_exchange(
		slot->device, slot->number, command, &patience, slot->secret, answer);
}

enum ccid_result ccid_power_on(struct slot *slot, uint8_t select, struct ccid_answer *answer)
{
	struct ccid_command command = { .type = PC_to_RDR_IccPowerOn, .specific = { select } };

	return run(slot, &command, POWER_ON_MS, answer);
}

enum ccid_result ccid_power_off(struct slot *slot)
{
	struct ccid_command command = { .type = PC_to_RDR_IccPowerOff };
	struct ccid_answer answer;

	return run(slot, &command, COMMAND_MS, &answer);
}

/* How the APDU under way is carried, if it is secret. */
static enum mask_shape shape_of(const struct slot *slot)
{
	const struct ccid_interface *interface = device_interface(slot->device);
	if (!slot->secret)
		return MASK_NOTHING;
	if (!interface->bulk_in)
		return interface->bInterfaceProtocol == CCID_PROTOCOL_ICCD_A ? MASK_T0_CHARACTERS
									     : MASK_APDU;
	switch (interface->ccid.level) {
	case LEVEL_CHARACTER:
		return slot->blocks ? MASK_T1_CHARACTERS : MASK_T0_CHARACTERS;
	case LEVEL_TPDU:
		return slot->blocks ? MASK_T1 : MASK_T0;
	default:
		return MASK_APDU;
	}
}

enum ccid_result ccid_xfr_block(struct slot *slot, const uint8_t *data, size_t len, unsigned bwi,
	uint16_t level, int64_t timeout_ms, struct ccid_answer *answer)
{
	struct ccid_command command = {
		.type = PC_to_RDR_XfrBlock,
		.specific = { (uint8_t)bwi, (uint8_t)level, (uint8_t)(level >> 8) },
		.data = data,
		.len = len,
		.expect = slot->expect,
		.shape = shape_of(slot),
	};

	return run(slot, &command, timeout_ms, answer);
}

enum ccid_result ccid_set_parameters(struct slot *slot, unsigned protocol, const uint8_t *params,
	size_t len, struct ccid_answer *answer)
{
	struct ccid_command command = {
		.type = PC_to_RDR_SetParameters,
		.specific = { (uint8_t)protocol },
		.data = params,
		.len = len,
	};

	return run(slot, &command, COMMAND_MS, answer);
}

enum ccid_result ccid_get_parameters(struct slot *slot, struct ccid_answer *answer)
{
	struct ccid_command command = { .type = PC_to_RDR_GetParameters };

	return run(slot, &command, COMMAND_MS, answer);
}

enum ccid_result ccid_escape(
	struct slot *slot, const uint8_t *data, size_t len, struct ccid_answer *answer)
{
	struct ccid_command command = {
		.type = PC_to_RDR_Escape,
		.data = data,
		.len = len,
		/* A card's APDU in the reader's own commands; others are looked through. */
		.shape = (slot->raw || slot->wrapped) && slot->secret ? MASK_APDU : MASK_NOTHING,
	};

	if (len > device_interface(slot->device)->ccid.max_message - CCID_MSG_HEADER_SIZE)
		return CCID_LIMIT;
	return run(slot, &command, ESCAPE_MS, answer);
}

enum ccid_result ccid_secure(struct slot *slot, uint8_t type, const uint8_t *data, size_t len,
	int64_t timeout_ms, struct ccid_answer *answer)
{
	struct ccid_command command = {
		.type = type,
		.data = data,
		.len = len,
		.shape = slot->secret ? MASK_APDU : MASK_NOTHING,
	};
	struct ccid_patience patience = {
		.timeout_ms = timeout_ms,
		.ceiling_ms = timeout_ms,
		.end = deadline_min(
			slot->call_end, deadline_in_ms(timeout_ms + slot_ceiling_ms(slot))),
	};

	return device_exchange(
		slot->device, slot->number, &command, &patience, slot->secret, answer);
}

enum ccid_result ccid_why_refused(
	struct slot *slot, const char *command, const struct ccid_answer *answer)
{
	if (ccid_icc(answer) == CCID_ICC_ABSENT)
		return CCID_ABSENT;
	log_line(LOG_ERROR, "device %s: slot %u: %s failed: %02X, %s", device_name(slot->device),
		slot->number, command, answer->bError, ccid_strerror(answer->bError));
	return CCID_REFUSED;
}
