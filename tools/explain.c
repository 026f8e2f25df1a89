/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/explain.h"

#include <inttypes.h>

#include "iso7816/atr.h"
#include "spec/ccid.h"
#include "spec/usb.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A number in a descriptor. */
struct field {
	size_t at;
	size_t size; /* 1, 2 or 4, little endian */
	const char *name;
};

struct kind {
	uint8_t type;
	const char *name;
	const struct field *fields;
	size_t count;
};

static const struct field device_fields[] = {
	{ USB_DEVICE_bcdUSB, 2, "bcdUSB" },
	{ USB_DEVICE_bDeviceClass, 1, "bDeviceClass" },
	{ USB_DEVICE_bDeviceSubClass, 1, "bDeviceSubClass" },
	{ USB_DEVICE_bDeviceProtocol, 1, "bDeviceProtocol" },
	{ USB_DEVICE_bMaxPacketSize0, 1, "bMaxPacketSize0" },
	{ USB_DEVICE_idVendor, 2, "idVendor" },
	{ USB_DEVICE_idProduct, 2, "idProduct" },
	{ USB_DEVICE_bcdDevice, 2, "bcdDevice" },
	{ USB_DEVICE_iManufacturer, 1, "iManufacturer" },
	{ USB_DEVICE_iProduct, 1, "iProduct" },
	{ USB_DEVICE_iSerialNumber, 1, "iSerialNumber" },
	{ USB_DEVICE_bNumConfigurations, 1, "bNumConfigurations" },
};

static const struct field config_fields[] = {
	{ USB_CONFIG_wTotalLength, 2, "wTotalLength" },
	{ USB_CONFIG_bNumInterfaces, 1, "bNumInterfaces" },
	{ USB_CONFIG_bConfigurationValue, 1, "bConfigurationValue" },
	{ USB_CONFIG_bmAttributes, 1, "bmAttributes" },
	{ USB_CONFIG_bMaxPower, 1, "bMaxPower (2 mA)" },
};

static const struct field interface_fields[] = {
	{ USB_INTERFACE_bInterfaceNumber, 1, "bInterfaceNumber" },
	{ USB_INTERFACE_bAlternateSetting, 1, "bAlternateSetting" },
	{ USB_INTERFACE_bNumEndpoints, 1, "bNumEndpoints" },
	{ USB_INTERFACE_bInterfaceClass, 1, "bInterfaceClass" },
	{ USB_INTERFACE_bInterfaceSubClass, 1, "bInterfaceSubClass" },
	{ USB_INTERFACE_bInterfaceProtocol, 1, "bInterfaceProtocol" },
};

static const struct field endpoint_fields[] = {
	{ USB_ENDPOINT_bEndpointAddress, 1, "bEndpointAddress" },
	{ USB_ENDPOINT_bmAttributes, 1, "bmAttributes" },
	{ USB_ENDPOINT_wMaxPacketSize, 2, "wMaxPacketSize" },
	{ USB_ENDPOINT_bInterval, 1, "bInterval" },
};

static const struct field ccid_fields[] = {
	{ CCID_DESC_bcdCCID, 2, "bcdCCID" },
	{ CCID_DESC_bMaxSlotIndex, 1, "bMaxSlotIndex" },
	{ CCID_DESC_bVoltageSupport, 1, "bVoltageSupport (1: 5 V, 2: 3 V, 4: 1.8 V)" },
	{ CCID_DESC_dwProtocols, 4, "dwProtocols (1: T=0, 2: T=1)" },
	{ CCID_DESC_dwDefaultClock, 4, "dwDefaultClock (kHz)" },
	{ CCID_DESC_dwMaximumClock, 4, "dwMaximumClock (kHz)" },
	{ CCID_DESC_bNumClockSupported, 1, "bNumClockSupported" },
	{ CCID_DESC_dwDataRate, 4, "dwDataRate (bit/s)" },
	{ CCID_DESC_dwMaxDataRate, 4, "dwMaxDataRate (bit/s)" },
	{ CCID_DESC_bNumDataRatesSupported, 1, "bNumDataRatesSupported" },
	{ CCID_DESC_dwMaxIFSD, 4, "dwMaxIFSD" },
	{ CCID_DESC_dwSynchProtocols, 4, "dwSynchProtocols" },
	{ CCID_DESC_dwMechanical, 4, "dwMechanical" },
	{ CCID_DESC_dwFeatures, 4, "dwFeatures" },
	{ CCID_DESC_dwMaxCCIDMessageLength, 4, "dwMaxCCIDMessageLength" },
	{ CCID_DESC_bClassGetResponse, 1, "bClassGetResponse" },
	{ CCID_DESC_bClassEnvelope, 1, "bClassEnvelope" },
	{ CCID_DESC_wLcdLayout, 2, "wLcdLayout" },
	{ CCID_DESC_bPINSupport, 1, "bPINSupport (1: verification, 2: modification)" },
	{ CCID_DESC_bMaxCCIDBusySlots, 1, "bMaxCCIDBusySlots" },
};

static const struct kind kinds[] = {
	{ USB_DT_DEVICE, "device", device_fields, COUNT(device_fields) },
	{ USB_DT_CONFIGURATION, "configuration", config_fields, COUNT(config_fields) },
	{ USB_DT_INTERFACE, "interface", interface_fields, COUNT(interface_fields) },
	{ USB_DT_ENDPOINT, "endpoint", endpoint_fields, COUNT(endpoint_fields) },
	{ CCID_DESC_TYPE, "smart card device class", ccid_fields, COUNT(ccid_fields) },
};

static const struct {
	uint32_t bits;
	const char *meaning;
} features[] = {
	{ CCID_FEATURE_AUTO_CONF_ATR, "parameters from the ATR" },
	{ CCID_FEATURE_AUTO_ACTIVATION, "activation on insertion" },
	{ CCID_FEATURE_AUTO_VOLTAGE, "voltage selection" },
	{ CCID_FEATURE_AUTO_CLOCK, "clock change" },
	{ CCID_FEATURE_AUTO_BAUD, "data rate change" },
	{ CCID_FEATURE_AUTO_PARAM_NEGOTIATION, "parameter negotiation" },
	{ CCID_FEATURE_AUTO_PPS, "PPS" },
	{ CCID_FEATURE_CLOCK_STOP, "clock stop" },
	{ CCID_FEATURE_NAD, "other NAD than 0" },
	{ CCID_FEATURE_AUTO_IFSD, "IFSD exchange" },
	{ CCID_FEATURE_LEVEL_TPDU, "TPDU level" },
	{ CCID_FEATURE_LEVEL_SHORT_APDU, "short APDU level" },
	{ CCID_FEATURE_LEVEL_EXTENDED_APDU, "short and extended APDU level" },
	{ CCID_FEATURE_USB_WAKE_UP, "wake-up by card" },
};

static uint32_t number(const uint8_t *bytes, size_t size)
{
	uint32_t value = 0;

	while (size--)
		value = value << 8 | bytes[size];
	return value;
}

static void explain_features(FILE *out, uint32_t value)
{
	for (size_t i = 0; i < COUNT(features); i++)
		if (value & features[i].bits)
			fprintf(out, "      %08" PRIX32 " %s\n", features[i].bits,
				features[i].meaning);
}

static void explain_one(FILE *out, const uint8_t *bytes, size_t len)
{
	const struct kind *kind = NULL;

	for (size_t i = 0; i < COUNT(kinds); i++)
		if (kinds[i].type == bytes[USB_DESC_bDescriptorType])
			kind = &kinds[i];
	fprintf(out, "%s descriptor, type %02Xh, %zu bytes\n ", kind ? kind->name : "other",
		bytes[USB_DESC_bDescriptorType], len);
	for (size_t i = 0; i < len; i++)
		fprintf(out, " %02X", bytes[i]);
	fprintf(out, "\n");
	for (size_t i = 0; kind && i < kind->count; i++) {
		const struct field *field = &kind->fields[i];
		uint32_t value;

		if (field->at + field->size > len)
			break;
		value = number(bytes + field->at, field->size);
		fprintf(out, "    %s: %" PRIu32 " (%0*" PRIX32 "h)\n", field->name, value,
			(int)(2 * field->size), value);
		if (kind->fields == ccid_fields && field->at == CCID_DESC_dwFeatures)
			explain_features(out, value);
	}
}

void explain_descriptors(FILE *out, const uint8_t *bytes, size_t len)
{
	while (len >= 2) {
		size_t one = bytes[USB_DESC_bLength];

		if (one < 2 || one > len) {
			fprintf(out, "a descriptor of length %zu where %zu bytes are left\n", one,
				len);
			return;
		}
		explain_one(out, bytes, one);
		bytes += one;
		len -= one;
	}
}

void explain_numbers(FILE *out, const char *unit, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i + 4 <= len; i += 4)
		fprintf(out, "%" PRIu32 " %s\n", number(bytes + i, 4), unit);
}

void explain_atr(FILE *out, const uint8_t *bytes, size_t len)
{
	enum atr_result result;
	struct atr atr;

	for (size_t i = 0; i < len; i++)
		fprintf(out, "%02X%s", bytes[i], i + 1 < len ? " " : "\n");
	result = atr_parse(bytes, len, &atr);
	fprintf(out, "%s\n", atr_strerror(result));
	if (!atr_usable(result))
		return;
	fprintf(out, "convention: %s\n", atr.inverse ? "inverse" : "direct");
	for (unsigned t = 0; t < 15; t++)
		if (atr.protocols & 1U << t)
			fprintf(out, "protocol: T=%u%s\n", t,
				t == atr.first_protocol ? " (first offered)" : "");
	fprintf(out, "TA1 %02X: Fi %u, Di %u, clock up to %u kHz\n", atr.ta1, atr.fi, atr.di,
		atr.fmax_khz);
	fprintf(out, "extra guard time N: %u\n", atr.tc1);
	if (atr.specific)
		fprintf(out, "specific mode: T=%u\n", atr.specific_protocol);
	fprintf(out, "T=0: WI %u\n", atr.wi);
	fprintf(out, "T=1: IFSC %u, BWI %u, CWI %u, %s\n", atr.ifsc, atr.bwi, atr.cwi,
		atr.edc == EDC_CRC ? "CRC" : "LRC");
	fprintf(out, "historical bytes:");
	for (size_t i = 0; i < atr.historical_len; i++)
		fprintf(out, " %02X", atr.raw[atr.historical_at + i]);
	fprintf(out, "\n");
}
