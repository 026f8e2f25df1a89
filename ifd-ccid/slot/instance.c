/* SPDX-License-Identifier: BSD-3-Clause */
#include "instance.h"

#include <string.h>

enum {
	NAD_SET = 0x3E,
	NAD_GET = 0x3F,
	NAD_DONE = 0x00,
	NAD_WRONG = 0x01,
};

static RESPONSECODE answer_with(const void *bytes, size_t len, uint8_t *rx, size_t *rx_len)
{
	if (len > *rx_len)
		return IFD_ERROR_INSUFFICIENT_BUFFER;
	memcpy(rx, bytes, len);
	*rx_len = len;
	return IFD_SUCCESS;
}

RESPONSECODE instance_path(
	struct slot *slot, const uint8_t *tx, size_t tx_len, uint8_t *rx, size_t *rx_len)
{
	char path[DEVICE_PLACE_MAX];

	(void)tx;
	(void)tx_len;
	device_place(slot->device, path);
	return answer_with(path, strlen(path) + 1, rx, rx_len);
}

RESPONSECODE instance_nad(
	struct slot *slot, const uint8_t *tx, size_t tx_len, uint8_t *rx, size_t *rx_len)
{
	enum ccid_level level = device_interface(slot->device)->ccid.level;
	bool set = tx_len == 4 && tx[0] == NAD_SET && tx[1] == 0 && tx[2] == 1;
	bool get = tx_len == 3 && tx[0] == NAD_GET && tx[1] == 0 && tx[2] == 0;

	if ((level != LEVEL_TPDU && level != LEVEL_CHARACTER) || (!set && !get))
		return IFD_NOT_SUPPORTED;
	if (get) {
		uint8_t answer[] = { NAD_GET, 0, 2, NAD_DONE, slot->nad };

		return answer_with(answer, sizeof(answer), rx, rx_len);
	}
	uint8_t answer[] = { NAD_SET, 0, 1, t1_nad_valid(tx[3]) ? NAD_DONE : NAD_WRONG };

	if (answer[3] == NAD_DONE) {
		slot->nad = tx[3];
		if (slot->protocol == 1)
			t1_set_nad(&slot->t1, slot->nad);
	}
	return answer_with(answer, sizeof(answer), rx, rx_len);
}
