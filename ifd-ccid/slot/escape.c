/* SPDX-License-Identifier: BSD-3-Clause */
#include "escape.h"

#include <string.h>

#include "activate.h"
#include "ifd-ccid/log.h"
#include "ifd-ccid/options.h"

bool escape_permitted(const struct quirk_set *quirks, unsigned options, bool root,
	const uint8_t *command, size_t len)
{
	return options & OPTION_ESCAPE || quirk_has_prefix(&quirks->escape_allow, command, len) ||
	       (root && quirk_has_prefix(&quirks->escape_allow_root, command, len));
}

bool escape_any_allowed(const struct slot *slot)
{
	const struct quirk_set *quirks = device_quirks(slot->device);

	return options_get()->driver & OPTION_ESCAPE || quirks->escape_allow.count > 0 ||
	       (slot->client_root && quirks->escape_allow_root.count > 0);
}

/* The first byte is what a vendor's commands are told apart by; more of it might be a PIN. */
static void say_refused(const struct slot *slot, const uint8_t *command, size_t len)
{
	const struct device_descriptor *device = device_descriptor(slot->device);
	unsigned first = len ? command[0] : 0;

	log_line(LOG_ERROR,
		"device %s: slot %u: Escape %02X... (%zu bytes) refused; the lines \"[escape]\", "
		"\"MatchUsb=%04X:%04X\", \"escape-allow=%02X\" in a file of %s open it, or bit 1 "
		"of "
		"ifdDriverOptions in Info.plist opens all",
		device_name(slot->device), slot->number, first, len, device->vid, device->pid,
		first, QUIRK_LOCAL_FOLDER);
}

RESPONSECODE escape_do(
	struct slot *slot, const uint8_t *tx, size_t tx_len, uint8_t *rx, size_t *rx_len)
{
	struct ccid_answer answer;
	enum ccid_result result;

	if (!escape_permitted(device_quirks(slot->device), options_get()->driver, slot->client_root,
		    tx, tx_len)) {
		say_refused(slot, tx, tx_len);
		return IFD_COMMUNICATION_ERROR;
	}
	/* What an Escape carries is the vendor's business and may well be a PIN. */
	slot->secret = true;
	result = ccid_escape(slot, tx, tx_len, &answer);
	if (result == CCID_REFUSED)
		result = ccid_why_refused(slot, "Escape", &answer);
	if (result != CCID_OK)
		return ifd_code(result);
	if (answer.len > *rx_len)
		return IFD_ERROR_INSUFFICIENT_BUFFER;
	if (answer.len)
		memcpy(rx, answer.data, answer.len);
	*rx_len = answer.len;
	return IFD_SUCCESS;
}
