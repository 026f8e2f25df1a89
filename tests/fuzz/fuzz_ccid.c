/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes from bulk-IN and from interrupt-IN. */
#include <stdlib.h>

#include "ifd-ccid/device/ccid_msg.h"
#include "ifd-ccid/device/presence.h"

static void require(int condition)
{
	if (!condition)
		abort();
}

static void bulk(const uint8_t *data, size_t size, size_t max)
{
	struct ccid_answer answer;
	unsigned sum = 0;

	if (ccid_get_answer(data, size, max, &answer) != CCID_COMPLETE)
		return;
	require(answer.len + CCID_MSG_HEADER_SIZE == size && size <= max);
	for (size_t i = 0; i < answer.len; i++)
		sum += answer.data[i];
	require(sum <= 255 * answer.len);
	for (unsigned type = 0; type < 256; type++)
		(void)ccid_answers((uint8_t)type, &answer);
	require(ccid_strerror(answer.bError)[0] != '\0');
}

static void interrupt(const uint8_t *data, size_t size, unsigned slots)
{
	struct presence presence = { 0 };
	struct ccid_notice notice;
	size_t at = 0;
	size_t before = 0;

	while (ccid_next_notice(data, size, slots, &at, &notice)) {
		require(at > before && at <= size);
		before = at;
		for (unsigned slot = 0; slot < slots; slot++)
			presence_notice(&presence, ccid_notice_state(&notice, slot));
		(void)presence_tell(&presence);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	bulk(data + 1, size - 1, 24U + data[0]);
	interrupt(data + 1, size - 1, 1U + data[0]);
	return 0;
}
