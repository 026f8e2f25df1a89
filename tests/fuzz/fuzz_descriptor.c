/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as a configuration descriptor: an interface in range, or none. */
#include <stdlib.h>

#include "ifd-ccid/device/descriptor.h"

static void require(int condition)
{
	if (!condition)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ccid_interface found;
	struct device_descriptor device;
	const char *why = NULL;
	int number = size ? data[0] % 5 - 1 : -1;

	(void)descriptor_device(data, size, &device);
	if (!descriptor_find(data, size, number, NULL, &found, &why)) {
		require(why && why[0] != '\0');
		return 0;
	}
	require(number < 0 || found.bInterfaceNumber == number);
	require(!found.bulk_in || found.bulk_in_packet > 0);
	require(!found.interrupt_in || found.interrupt_packet > 0);
	require(found.ccid.slots >= 1 && found.ccid.slots <= 256);
	require(found.ccid.busy_slots >= 1 && found.ccid.busy_slots <= found.ccid.slots);
	require(found.ccid.max_message >= 24 && found.ccid.max_message <= CCID_MAX_MESSAGE);
	require(found.ccid.ifsd >= 1 && found.ccid.ifsd <= 254);
	require(found.ccid.dwDefaultClock > 0 && found.ccid.dwProtocols > 0);
	return 0;
}
