/* SPDX-License-Identifier: BSD-3-Clause */
#include "control.h"

#include <string.h>

#include <reader.h>

#include "activate.h"
#include "bytes.h"
#include "log.h"
#include "options.h"

#define CONTROL_ESCAPE           SCARD_CTL_CODE(1) /* IOCTL_SMARTCARD_VENDOR_IFD_EXCHANGE */
#define CONTROL_FEATURES_WINDOWS 0x00313520 /* CM_IOCTL_GET_FEATURE_REQUEST of Windows clients */
#define CONTROL_FEATURE(tag)     (0x42330000 + (tag))

enum {
	FEATURE_RECORD = 6, /* tag, length 4, control code big endian (PC/SC part 10 §2.2) */
	MAX_APDU_DATA = 65536,
};

typedef RESPONSECODE handler(
	struct slot *slot, const uint8_t *tx, size_t tx_len, uint8_t *rx, size_t *rx_len);

static RESPONSECODE answer_with(const uint8_t *bytes, size_t len, uint8_t *rx, size_t *rx_len)
{
	if (len > *rx_len)
		return IFD_ERROR_INSUFFICIENT_BUFFER;
	memcpy(rx, bytes, len);
	*rx_len = len;
	return IFD_SUCCESS;
}

static RESPONSECODE do_escape(
	struct slot *slot, const uint8_t *tx, size_t tx_len, uint8_t *rx, size_t *rx_len)
{
	struct ccid_answer answer;
	enum ccid_result result;

	if (!(options_get()->driver & OPTION_ESCAPE)) {
		log_line(LOG_ERROR,
			"device %s: Escape refused; ifdDriverOptions in Info.plist allows it by 1",
			device_name(slot->device));
		return IFD_COMMUNICATION_ERROR;
	}
	/* What an Escape carries is the vendor's business and may well be a PIN. */
	slot->secret = true;
	result = ccid_escape(slot, tx, tx_len, &answer);
	if (result == CCID_REFUSED)
		result = ccid_why_refused(slot, "Escape", &answer);
	if (result != CCID_OK)
		return ifd_code(result);
	return answer_with(answer.data, answer.len, rx, rx_len);
}

static RESPONSECODE do_features(
	struct slot *slot, const uint8_t *tx, size_t tx_len, uint8_t *rx, size_t *rx_len)
{
	uint8_t list[2 * FEATURE_RECORD] = { FEATURE_GET_TLV_PROPERTIES, 4 };
	size_t len = FEATURE_RECORD;

	(void)slot;
	(void)tx;
	(void)tx_len;
	put_be32(list + 2, CONTROL_FEATURE(FEATURE_GET_TLV_PROPERTIES));
	if (options_get()->driver & OPTION_ESCAPE) {
		list[len] = FEATURE_CCID_ESC_COMMAND;
		list[len + 1] = 4;
		put_be32(list + len + 2, CONTROL_ESCAPE);
		len += FEATURE_RECORD;
	}
	return answer_with(list, len, rx, rx_len);
}

/* Appends tag, length and a little endian number. */
static size_t put_property(uint8_t *out, uint8_t tag, uint8_t size, uint32_t value)
{
	out[0] = tag;
	out[1] = size;
	for (uint8_t i = 0; i < size; i++)
		out[2 + i] = (uint8_t)(value >> 8 * i);
	return 2U + size;
}

/* PC/SC part 10 §2.6.14, in the order hosts have seen so far. */
static RESPONSECODE do_properties(
	struct slot *slot, const uint8_t *tx, size_t tx_len, uint8_t *rx, size_t *rx_len)
{
	const struct ccid_class *ccid = &device_interface(slot->device)->ccid;
	const struct device_descriptor *device = device_descriptor(slot->device);
	bool any_length = ccid->level == LEVEL_TPDU || ccid->level == LEVEL_EXTENDED_APDU;
	uint8_t list[64];
	size_t len = 0;

	(void)tx;
	(void)tx_len;
	len += put_property(list + len, PCSCv2_PART10_PROPERTY_wLcdLayout, 2, ccid->wLcdLayout);
	if (ccid->wLcdLayout) {
		len += put_property(list + len, PCSCv2_PART10_PROPERTY_wLcdMaxCharacters, 2,
			ccid->wLcdLayout & 0xFF);
		len += put_property(
			list + len, PCSCv2_PART10_PROPERTY_wLcdMaxLines, 2, ccid->wLcdLayout >> 8);
	}
	len += put_property(list + len, PCSCv2_PART10_PROPERTY_bTimeOut2, 1, 0);
	if (options_get()->driver & OPTION_ESCAPE)
		len += put_property(list + len, PCSCv2_PART10_PROPERTY_bPPDUSupport, 1, 1);
	len += put_property(list + len, PCSCv2_PART10_PROPERTY_wIdVendor, 2, device->vid);
	len += put_property(list + len, PCSCv2_PART10_PROPERTY_wIdProduct, 2, device->pid);
	len += put_property(list + len, PCSCv2_PART10_PROPERTY_dwMaxAPDUDataSize, 4,
		any_length ? MAX_APDU_DATA : 0);
	return answer_with(list, len, rx, rx_len);
}

static const struct {
	DWORD code;
	handler *handle;
} codes[] = {
	{ CONTROL_ESCAPE, do_escape },
	{ CM_IOCTL_GET_FEATURE_REQUEST, do_features },
	{ CONTROL_FEATURES_WINDOWS, do_features },
	{ CONTROL_FEATURE(FEATURE_GET_TLV_PROPERTIES), do_properties },
};

RESPONSECODE control_do(struct slot *slot, DWORD code, const uint8_t *tx, size_t tx_len,
	uint8_t *rx, size_t *rx_len)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].code == code)
			return codes[i].handle(slot, tx, tx_len, rx, rx_len);
	return IFD_ERROR_NOT_SUPPORTED;
}
