/* SPDX-License-Identifier: BSD-3-Clause */
#include "feature_list.h"

#include <string.h>

#include <reader.h>

#include "ifd-ccid/bytes.h"
#include "ifd-ccid/log.h"
#include "ifd-ccid/options.h"
#include "ifd-ccid/slot/activate.h"
#include "ifd-ccid/slot/control.h"
#include "ifd-ccid/slot/escape.h"
#include "pinpad_exchange.h"

#define CODE_OF(tag) (0x42330000U + (tag))

enum {
	RECORD = 6, /* tag, length 4, control code big endian (PC/SC part 10 §2.2) */
	MAX_APDU_DATA = 65536,
	MAX_FIRMWARE = 32,
	SECODER_COMMAND = 5, /* CLA INS P1 P2 Lc at least */
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

static const struct ccid_class *class_of(const struct slot *slot)
{
	return &device_interface(slot->device)->ccid;
}

static bool always(const struct slot *slot)
{
	(void)slot;
	return true;
}

static bool has_pinpad(const struct slot *slot)
{
	return pinpad_can_verify(slot) || pinpad_can_modify(slot);
}

static bool has_display(const struct slot *slot)
{
	return class_of(slot)->wLcdLayout != 0;
}

static bool is_secoder(const struct slot *slot)
{
	return device_quirks(slot->device)->pin_reader_direct;
}

/* The conditions that end an entry, as quirks, reader or, by default, the class have them. */
static uint8_t validation(const struct slot *slot, const struct pinpad_told *told)
{
	const struct quirk_set *quirks = device_quirks(slot->device);

	if (quirks->has[QUIRK_PIN_VALIDATION_TOLD])
		return (uint8_t)quirks->pin_validation_told;
	if (quirks->has[QUIRK_PIN_VALIDATION])
		return (uint8_t)quirks->pin_validation;
	return told->validation ? told->validation : CCID_PIN_VALID_MASK;
}

/* PIN_PROPERTIES (PC/SC part 10 §2.5.5): layout, conditions, no time-out of its own behind the
 * first key, since the class has none. */
static RESPONSECODE do_pin_properties(
	struct slot *slot, const uint8_t *tx, size_t tx_len, uint8_t *rx, size_t *rx_len)
{
	struct pinpad_told told = pinpad_ask(slot);
	uint8_t properties[4] = { 0 };

	(void)tx;
	(void)tx_len;
	put_le16(properties, class_of(slot)->wLcdLayout);
	properties[2] = validation(slot, &told);
	return answer_with(properties, sizeof(properties), rx, rx_len);
}

/* DISPLAY_PROPERTIES: characters a line, lines. */
static RESPONSECODE do_display_properties(
	struct slot *slot, const uint8_t *tx, size_t tx_len, uint8_t *rx, size_t *rx_len)
{
	uint8_t properties[4];

	(void)tx;
	(void)tx_len;
	put_le16(properties, class_of(slot)->wLcdLayout & 0xFF);
	put_le16(properties + 2, class_of(slot)->wLcdLayout >> 8);
	return answer_with(properties, sizeof(properties), rx, rx_len);
}

/* Secoder commands, by their INS: info, select application, application active, data confirmation,
 * process token. They go to the reader as an Escape, unchanged. */
static RESPONSECODE do_reader_direct(
	struct slot *slot, const uint8_t *tx, size_t tx_len, uint8_t *rx, size_t *rx_len)
{
	struct ccid_answer answer;
	enum ccid_result result;

	if (tx_len < SECODER_COMMAND || tx[0] != 0x20 || tx[1] < 0x70 || tx[1] > 0x74 || tx[2] ||
		tx[3] || tx[4]) {
		log_line(LOG_ERROR, "device %s: not a Secoder command", device_name(slot->device));
		return IFD_COMMUNICATION_ERROR;
	}
	slot->secret = true;
	result = ccid_escape(slot, tx, tx_len, &answer);
	if (result == CCID_REFUSED)
		result = ccid_why_refused(slot, "Escape", &answer);
	if (result != CCID_OK)
		return ifd_code(result);
	return answer_with(answer.data, answer.len, rx, rx_len);
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

/* What the reader calls its firmware, where there is a known way to ask. */
static size_t put_firmware(struct slot *slot, uint8_t *out)
{
	const struct quirk_set *quirks = device_quirks(slot->device);
	struct ccid_answer answer;
	size_t len;

	if (!quirks->has[QUIRK_FIRMWARE_ESCAPE] ||
		ccid_escape(slot, quirks->firmware_escape.bytes, quirks->firmware_escape.len,
			&answer) != CCID_OK)
		return 0;
	len = answer.len < MAX_FIRMWARE ? answer.len : MAX_FIRMWARE;
	out[0] = PCSCv2_PART10_PROPERTY_sFirmwareID;
	out[1] = (uint8_t)len;
	if (len)
		memcpy(out + 2, answer.data, len);
	return 2 + len;
}

static size_t put_sizes(struct slot *slot, uint8_t *out)
{
	const struct quirk_set *quirks = device_quirks(slot->device);
	struct pinpad_told told = pinpad_ask(slot);
	uint32_t min = quirks->has[QUIRK_PIN_MIN_SIZE] ? quirks->pin_min_size : told.min;
	uint32_t max = quirks->has[QUIRK_PIN_MAX_SIZE] ? quirks->pin_max_size : told.max;
	size_t len = 0;

	/* Most readers don't say, and take what the structure says. */
	if (quirks->has[QUIRK_PIN_MIN_SIZE] || told.max)
		len += put_property(out, PCSCv2_PART10_PROPERTY_bMinPINSize, 1, min);
	if (quirks->has[QUIRK_PIN_MAX_SIZE] || told.max)
		len += put_property(out + len, PCSCv2_PART10_PROPERTY_bMaxPINSize, 1, max);
	if (has_pinpad(slot))
		len += put_property(out + len, PCSCv2_PART10_PROPERTY_bEntryValidationCondition, 1,
			validation(slot, &told));
	return len;
}

/* PC/SC part 10 §2.6.14, in the order hosts have seen so far. */
static RESPONSECODE do_tlv_properties(
	struct slot *slot, const uint8_t *tx, size_t tx_len, uint8_t *rx, size_t *rx_len)
{
	const struct ccid_class *ccid = class_of(slot);
	const struct device_descriptor *device = device_descriptor(slot->device);
	bool any_length = ccid->level == LEVEL_TPDU || ccid->level == LEVEL_EXTENDED_APDU;
	uint8_t list[64 + MAX_FIRMWARE];
	size_t len = 0;

	(void)tx;
	(void)tx_len;
	len += put_property(list + len, PCSCv2_PART10_PROPERTY_wLcdLayout, 2, ccid->wLcdLayout);
	if (has_display(slot)) {
		len += put_property(list + len, PCSCv2_PART10_PROPERTY_wLcdMaxCharacters, 2,
			ccid->wLcdLayout & 0xFF);
		len += put_property(
			list + len, PCSCv2_PART10_PROPERTY_wLcdMaxLines, 2, ccid->wLcdLayout >> 8);
	}
	len += put_property(list + len, PCSCv2_PART10_PROPERTY_bTimeOut2, 1, 0);
	len += put_firmware(slot, list + len);
	len += put_sizes(slot, list + len);
	if (escape_any_allowed(slot))
		len += put_property(list + len, PCSCv2_PART10_PROPERTY_bPPDUSupport, 1, 1);
	len += put_property(list + len, PCSCv2_PART10_PROPERTY_wIdVendor, 2, device->vid);
	len += put_property(list + len, PCSCv2_PART10_PROPERTY_wIdProduct, 2, device->pid);
	len += put_property(list + len, PCSCv2_PART10_PROPERTY_dwMaxAPDUDataSize, 4,
		any_length ? MAX_APDU_DATA : 0);
	return answer_with(list, len, rx, rx_len);
}

/* In the order hosts have seen so far. */
static const struct {
	uint8_t tag;
	bool (*offered)(const struct slot *slot);
	handler *handle; /* NULL: its code is the Escape's own */
} features[] = {
	{ FEATURE_VERIFY_PIN_DIRECT, pinpad_can_verify, pinpad_verify },
	{ FEATURE_MODIFY_PIN_DIRECT, pinpad_can_modify, pinpad_modify },
	{ FEATURE_IFD_PIN_PROPERTIES, has_pinpad, do_pin_properties },
	{ FEATURE_MCT_READER_DIRECT, is_secoder, do_reader_direct },
	{ FEATURE_IFD_DISPLAY_PROPERTIES, has_display, do_display_properties },
	{ FEATURE_GET_TLV_PROPERTIES, always, do_tlv_properties },
	{ FEATURE_CCID_ESC_COMMAND, escape_any_allowed, NULL },
	{ FEATURE_EXECUTE_PACE, pinpad_can_pace, pinpad_pace },
};

enum {
	FEATURES = sizeof(features) / sizeof(features[0])
};

RESPONSECODE features_list(
	struct slot *slot, const uint8_t *tx, size_t tx_len, uint8_t *rx, size_t *rx_len)
{
	uint8_t list[FEATURES * RECORD];
	size_t len = 0;

	(void)tx;
	(void)tx_len;
	for (size_t i = 0; i < FEATURES; i++) {
		uint8_t tag = features[i].tag;

		if (!features[i].offered(slot))
			continue;
		list[len] = tag;
		list[len + 1] = 4;
		put_be32(list + len + 2,
			features[i].handle ? CODE_OF(tag) : (uint32_t)CONTROL_ESCAPE);
		len += RECORD;
	}
	return answer_with(list, len, rx, rx_len);
}

bool features_do(struct slot *slot, DWORD code, const uint8_t *tx, size_t tx_len, uint8_t *rx,
	size_t *rx_len, RESPONSECODE *rv)
{
	for (size_t i = 0; i < FEATURES; i++) {
		if (!features[i].handle || code != CODE_OF(features[i].tag))
			continue;
		*rv = IFD_NOT_SUPPORTED;
		if (features[i].offered(slot))
			*rv = features[i].handle(slot, tx, tx_len, rx, rx_len);
		return true;
	}
	return false;
}
