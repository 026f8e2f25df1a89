/* SPDX-License-Identifier: BSD-3-Clause */
#include "escape.h"

#include <string.h>

#include "activate.h"
#include "ifd-ccid/log.h"
#include "ifd-ccid/options.h"

enum {
	ROOT = 0,
	LISTS = 3,
};

/* What a client with this user ID may send, in lists; returns how many. */
static size_t lists_for(
	const struct quirk_set *quirks, uint32_t client, const struct quirk_prefixes *lists[LISTS])
{
	const struct quirk_numbers *users = &quirks->escape_users;
	size_t n = 0;

	lists[n++] = &quirks->escape_allow;
	if (client == ROOT)
		lists[n++] = &quirks->escape_allow_root;
	for (size_t i = 0; i < users->count; i++)
		if (users->numbers[i] == client) {
			lists[n++] = &quirks->escape_allow_users;
			break;
		}
	return n;
}

bool escape_permitted(const struct quirk_set *quirks, unsigned options, uint32_t client,
	const uint8_t *command, size_t len)
{
	const struct quirk_prefixes *lists[LISTS];
	size_t n = lists_for(quirks, client, lists);

	if (options & OPTION_ESCAPE)
		return true;
	for (size_t i = 0; i < n; i++)
		if (quirk_has_prefix(lists[i], command, len))
			return true;
	return false;
}

bool escape_any_allowed(const struct slot *slot)
{
	const struct quirk_prefixes *lists[LISTS];
	size_t n = lists_for(device_quirks(slot->device), slot->client, lists);

	if (options_get()->driver & OPTION_ESCAPE)
		return true;
	for (size_t i = 0; i < n; i++)
		if (lists[i]->count > 0)
			return true;
	return false;
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

	if (!escape_permitted(
		    device_quirks(slot->device), options_get()->driver, slot->client, tx, tx_len)) {
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
