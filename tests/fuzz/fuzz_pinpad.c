/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as PIN_VERIFY and PIN_MODIFY: what is accepted keeps its promises. */
#include <stdlib.h>
#include <string.h>

#include "ifd-ccid/pinpad/pinpad.h"
#include "spec/ccid.h"

static void require(int condition)
{
	if (!condition)
		abort();
}

static void try(bool modify, const uint8_t *data, size_t size, uint8_t choice)
{
	static const uint8_t prologue[3];
	struct quirk_set quirks = { 0 };
	struct pinpad_entry entry;
	uint8_t out[1024];
	size_t len;

	if (pinpad_parse(modify, data, size, choice & 1, &entry))
		return;
	require(entry.modify == modify && entry.apdu_len >= 4 && entry.min <= entry.max);
	require(entry.apdu >= data && entry.apdu + entry.apdu_len == data + size);
	require(entry.bEntryValidationCondition & CCID_PIN_VALID_MASK);
	require(pinpad_entries(&entry) >= 1 && pinpad_entries(&entry) <= 3);
	require(pinpad_longest(&entry) >= entry.apdu_len);
	require(choice & 1 || pinpad_longest(&entry) <= 261);
	quirks.pin_modify_indexes = choice >> 1 & 3;
	quirks.pin_swap_extra_digit = choice >> 3 & 1;
	quirks.has[QUIRK_PIN_MODIFY_MESSAGES] = choice >> 4 & 1;
	quirks.pin_modify_messages = choice;
	len = pinpad_build(&entry, &quirks, choice >> 5, prologue, out, sizeof(out));
	require(len == 0 || len > entry.apdu_len + 14);
	require(len != 0 || entry.apdu_len > sizeof(out) - 20);
	if (len)
		require(memcmp(out + len - entry.apdu_len, entry.apdu, entry.apdu_len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	try(false, data + 1, size - 1, data[0]);
	try(true, data + 1, size - 1, data[0]);
	return 0;
}
