/* SPDX-License-Identifier: BSD-3-Clause */
/* What the recorder masks of messages from any reader and for any card lies in them. */
#include <stdlib.h>

#include "ifd-ccid/recorder/recorder_mask.h"

static void check(const struct mask_result *result, size_t len)
{
	for (size_t i = 0; i < RECORDING_MASKS; i++)
		if (result->masks[i].start > result->masks[i].end || result->masks[i].end > len)
			abort();
	if (result->stand_in_len > len)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct mask_secrecy secrecy = { .shape = MASK_NOTHING };
	struct mask_result result;

	if (size < 1 || size > 4096)
		return 0;
	secrecy.shape = (enum mask_shape)(bytes[0] % (MASK_T1_CHARACTERS + 1));
	secrecy.begun = bytes[0] & 0x40;
	secrecy.escape = bytes[0] & 0x80;
	bytes++;
	size--;
	mask_answer(&secrecy, bytes, size, &result);
	check(&result, size);
	mask_control(&secrecy, true, bytes, size, &result);
	check(&result, size);
	mask_control(&secrecy, false, bytes, size, &result);
	check(&result, size);
	mask_call(true, bytes, size, &result);
	check(&result, size);
	mask_call(false, bytes, size, &result);
	check(&result, size);
	mask_command(&secrecy, bytes, size, &result);
	check(&result, size);
	return 0;
}
