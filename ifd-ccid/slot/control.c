/* SPDX-License-Identifier: BSD-3-Clause */
#include "control.h"

#include <reader.h>

#include "escape.h"
#include "ifd-ccid/pinpad/feature_list.h"
#include "instance.h"

#define CONTROL_FEATURES_WINDOWS 0x00313520 /* CM_IOCTL_GET_FEATURE_REQUEST of Windows clients */

typedef RESPONSECODE handler(
	struct slot *slot, const uint8_t *tx, size_t tx_len, uint8_t *rx, size_t *rx_len);

static const struct {
	DWORD code;
	handler *handle;
} codes[] = {
	{ CONTROL_ESCAPE, escape_do },
	{ CONTROL_NAD, instance_nad },
	{ CONTROL_USB_PATH, instance_path },
	{ CM_IOCTL_GET_FEATURE_REQUEST, features_list },
	{ CONTROL_FEATURES_WINDOWS, features_list },
};

RESPONSECODE control_do(struct slot *slot, DWORD code, const uint8_t *tx, size_t tx_len,
	uint8_t *rx, size_t *rx_len)
{
	RESPONSECODE rv;

	if (features_do(slot, code, tx, tx_len, rx, rx_len, &rv))
		return rv;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].code == code)
			return codes[i].handle(slot, tx, tx_len, rx, rx_len);
	return IFD_ERROR_NOT_SUPPORTED;
}
