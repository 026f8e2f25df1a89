/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as an ATR: fields in range, times computed without trouble. */
#include "iso7816/atr.h"

#include <stdlib.h>

static void require(int condition)
{
	if (!condition)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct atr atr;
	enum atr_result result = atr_parse(data, size, &atr);

	require(atr_strerror(result)[0] != '\0');
	if (!atr_usable(result))
		return 0;
	require(atr.len == size && atr.end <= size);
	require((size_t)atr.historical_at + atr.historical_len <= atr.end);
	require(atr.ifsc >= 1 && atr.ifsc <= 254 && atr.wi != 0);
	require(atr.specific || atr_offers(&atr, atr.first_protocol));

	struct atr_rate rate = { atr.fi, atr.di, data[size - 1] * 1000U };
	require(atr_t0_us(&atr, &rate, size, 256) >= atr_wwt_us(&atr, &rate));
	require(atr_t1_us(&atr, &rate, data[0], size, 258) >= atr_bwt_us(&atr, &rate));
	require(atr_guard_us(&atr, &rate, 1) >= atr_etu_us(&rate));
	return 0;
}
