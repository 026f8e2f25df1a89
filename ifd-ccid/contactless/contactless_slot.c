/* SPDX-License-Identifier: BSD-3-Clause */
#include "contactless_slot.h"

#include <stdlib.h>
#include <string.h>

#include "ifd-ccid/log.h"
#include "ifd-ccid/quirk/quirk.h"
#include "raw_pn532.h"

enum {
	QUIRK_SLOTS = 32, /* bits of contactless-slots */
};

struct slot_carrier {
	struct pn532_carrier carrier;
	struct slot *slot;
};

static enum ccid_result send_escape(struct pn532_carrier *carrier, const uint8_t *command,
	size_t len, uint8_t *answer, size_t *answer_len)
{
	struct slot *slot = ((struct slot_carrier *)carrier)->slot;
	struct ccid_answer escape;
	enum ccid_result result = ccid_escape(slot, command, len, &escape);

	if (result == CCID_REFUSED) {
		log_line(LOG_ERROR, "device %s: slot %u: raw command refused: %02X, %s",
			device_name(slot->device), slot->number, escape.bError,
			ccid_strerror(escape.bError));
		return CCID_REFUSED;
	}
	if (result != CCID_OK)
		return result;
	if (escape.len > *answer_len)
		return CCID_GARBLED;
	memcpy(answer, escape.data, escape.len);
	*answer_len = escape.len;
	return CCID_OK;
}

static bool start_raw(struct slot *slot, const struct raw_dialect *dialect)
{
	struct slot_carrier *carrier = calloc(1, sizeof(*carrier));

	if (!carrier)
		return false;
	carrier->carrier.send = send_escape;
	carrier->slot = slot;
	slot->raw = raw_new(dialect, carrier);
	if (!slot->raw) {
		free(carrier);
		return false;
	}
	return true;
}

bool contactless_slot_open(struct slot *slot)
{
	const struct quirk_set *quirks = device_quirks(slot->device);

	slot->contactless =
		slot->number < QUIRK_SLOTS && quirks->contactless_slots >> slot->number & 1;
	if (quirks->contactless_dialect == QUIRK_DIALECT_NONE)
		return true;
	/* Of a reader with slots of both kinds, those that are said to be for tags. */
	if (quirks->has[QUIRK_CONTACTLESS_SLOTS] && !slot->contactless)
		return true;
	slot->contactless = true;
	return start_raw(slot, &raw_pn532);
}

void contactless_slot_close(struct slot *slot)
{
	void *carrier;

	if (!slot->raw)
		return;
	slot_call_begin(slot);
	(void)raw_power_off(slot->raw);
	slot_call_end(slot);
	carrier = raw_owner(slot->raw);
	raw_free(slot->raw);
	free(carrier);
	slot->raw = NULL;
}

bool contactless_slot_is(struct slot *slot)
{
	const struct ccid_interface *interface = device_interface(slot->device);
	char text[128];

	if (slot->contactless || slot->raw)
		return true;
	if (interface->ccid.slots > 1)
		return false;
	if (device_string(slot->device, interface->iInterface, text, sizeof(text)) &&
		contactless_in_text(text))
		return true;
	return device_string(slot->device, device_descriptor(slot->device)->iProduct, text,
		       sizeof(text)) &&
	       contactless_in_text(text);
}
