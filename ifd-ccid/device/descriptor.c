/* SPDX-License-Identifier: BSD-3-Clause */
#include "descriptor.h"

#include <string.h>

#include "ifd-ccid/bytes.h"
#include "spec/ccid.h"
#include "spec/usb.h"

enum {
	MIN_MESSAGE = 24,         /* the shortest that can carry any use; below it is nonsense */
	SHORT_APDU_MESSAGE = 271, /* header and a short APDU */
	DEFAULT_CLOCK_KHZ = 4000,
	MAX_CLOCK_KHZ = 100000,
	DEFAULT_IFSD = 32, /* ISO 7816-3 §11.4.2 */
	MAX_IFSD = 254,
	ICCD_DATA = 4096, /* of a control transfer, which hosts bound by a page of memory */
};

bool descriptor_device(const uint8_t *bytes, size_t len, struct device_descriptor *device)
{
	if (len < USB_DEVICE_SIZE || bytes[USB_DESC_bDescriptorType] != USB_DT_DEVICE)
		return false;
	device->vid = le16(bytes + USB_DEVICE_idVendor);
	device->pid = le16(bytes + USB_DEVICE_idProduct);
	device->bcdDevice = le16(bytes + USB_DEVICE_bcdDevice);
	device->iManufacturer = bytes[USB_DEVICE_iManufacturer];
	device->iProduct = bytes[USB_DEVICE_iProduct];
	device->iSerialNumber = bytes[USB_DEVICE_iSerialNumber];
	return true;
}

enum ccid_level descriptor_level(uint32_t features)
{
	if (features & CCID_FEATURE_LEVEL_EXTENDED_APDU)
		return LEVEL_EXTENDED_APDU;
	if (features & CCID_FEATURE_LEVEL_SHORT_APDU)
		return LEVEL_SHORT_APDU;
	if (features & CCID_FEATURE_LEVEL_TPDU)
		return LEVEL_TPDU;
	return LEVEL_CHARACTER;
}

static uint8_t ifsd_of(uint32_t wire)
{
	if (wire == 0)
		return DEFAULT_IFSD;
	return wire > MAX_IFSD ? MAX_IFSD : (uint8_t)wire;
}

static size_t message_of(uint32_t wire)
{
	if (wire < MIN_MESSAGE)
		return SHORT_APDU_MESSAGE;
	return wire > CCID_MAX_MESSAGE ? CCID_MAX_MESSAGE : wire;
}

void descriptor_class(const uint8_t *bytes, struct ccid_class *ccid)
{
	enum {
		ALL_VOLTAGES = CCID_VOLTAGE_5V | CCID_VOLTAGE_3V | CCID_VOLTAGE_1V8,
		ALL_PROTOCOLS = CCID_PROTOCOLS_T0 | CCID_PROTOCOLS_T1
	};
	unsigned busy = bytes[CCID_DESC_bMaxCCIDBusySlots];

	memset(ccid, 0, sizeof(*ccid));
	ccid->bcdCCID = le16(bytes + CCID_DESC_bcdCCID);
	ccid->slots = bytes[CCID_DESC_bMaxSlotIndex] + 1U;
	ccid->busy_slots = busy == 0 ? 1 : busy > ccid->slots ? ccid->slots : busy;
	ccid->bVoltageSupport = bytes[CCID_DESC_bVoltageSupport] & ALL_VOLTAGES;
	if (!ccid->bVoltageSupport)
		ccid->bVoltageSupport = CCID_VOLTAGE_5V;
	ccid->dwProtocols = le32(bytes + CCID_DESC_dwProtocols) & ALL_PROTOCOLS;
	if (!ccid->dwProtocols)
		ccid->dwProtocols = ALL_PROTOCOLS;
	ccid->dwDefaultClock = le32(bytes + CCID_DESC_dwDefaultClock);
	if (ccid->dwDefaultClock == 0 || ccid->dwDefaultClock > MAX_CLOCK_KHZ)
		ccid->dwDefaultClock = DEFAULT_CLOCK_KHZ;
	ccid->dwMaxDataRate = le32(bytes + CCID_DESC_dwMaxDataRate);
	ccid->bNumDataRatesSupported = bytes[CCID_DESC_bNumDataRatesSupported];
	ccid->ifsd = ifsd_of(le32(bytes + CCID_DESC_dwMaxIFSD));
	ccid->dwFeatures = le32(bytes + CCID_DESC_dwFeatures);
	ccid->level = descriptor_level(ccid->dwFeatures);
	ccid->max_message = message_of(le32(bytes + CCID_DESC_dwMaxCCIDMessageLength));
	ccid->wLcdLayout = le16(bytes + CCID_DESC_wLcdLayout);
	ccid->bPINSupport = bytes[CCID_DESC_bPINSupport] & CCID_PIN_KNOWN;
}

/* What is being gathered while the bytes of one alternate setting pass. */
struct candidate {
	bool open;
	bool has_class;
	struct ccid_interface interface;
};

static void begin(struct candidate *candidate, const uint8_t *bytes, size_t len, uint8_t config)
{
	uint8_t class;

	memset(candidate, 0, sizeof(*candidate));
	if (len < USB_INTERFACE_SIZE)
		return;
	class = bytes[USB_INTERFACE_bInterfaceClass];
	if (class != CCID_INTERFACE_CLASS && class != CCID_INTERFACE_CLASS_VENDOR)
		return;
	candidate->open = true;
	candidate->interface.bConfigurationValue = config;
	candidate->interface.bInterfaceNumber = bytes[USB_INTERFACE_bInterfaceNumber];
	candidate->interface.bAlternateSetting = bytes[USB_INTERFACE_bAlternateSetting];
	candidate->interface.bInterfaceClass = class;
	candidate->interface.bInterfaceProtocol = bytes[USB_INTERFACE_bInterfaceProtocol];
	candidate->interface.iInterface = bytes[USB_INTERFACE_iInterface];
}

static void add_endpoint(struct ccid_interface *interface, const uint8_t *bytes, size_t len)
{
	uint16_t packet;
	uint8_t address;
	bool in;

	if (len < USB_ENDPOINT_SIZE)
		return;
	address = bytes[USB_ENDPOINT_bEndpointAddress];
	in = (address & USB_DIR_MASK) == USB_DIR_IN;
	packet = le16(bytes + USB_ENDPOINT_wMaxPacketSize) & USB_ENDPOINT_PACKET_SIZE_MASK;
	if ((address & USB_ENDPOINT_NUMBER_MASK) == 0 || packet == 0)
		return;
	switch (bytes[USB_ENDPOINT_bmAttributes] & USB_ENDPOINT_XFER_MASK) {
	case USB_ENDPOINT_XFER_BULK:
		if (in && !interface->bulk_in) {
			interface->bulk_in = address;
			interface->bulk_in_packet = packet;
		} else if (!in && !interface->bulk_out) {
			interface->bulk_out = address;
		}
		break;
	case USB_ENDPOINT_XFER_INTERRUPT:
		if (in && !interface->interrupt_in) {
			interface->interrupt_in = address;
			interface->interrupt_packet = packet;
		}
		break;
	}
}

static void add_class(struct candidate *candidate, const uint8_t *bytes, size_t len)
{
	if (candidate->has_class || len < CCID_DESC_SIZE)
		return;
	candidate->has_class = true;
	memcpy(candidate->interface.raw, bytes, CCID_DESC_SIZE);
	descriptor_class(bytes, &candidate->interface.ccid);
}

static bool is_iccd(const struct ccid_interface *interface)
{
	return !interface->bulk_in && !interface->bulk_out &&
	       (interface->bInterfaceProtocol == CCID_PROTOCOL_ICCD_A ||
		       interface->bInterfaceProtocol == CCID_PROTOCOL_ICCD_B);
}

/* True when the alternate setting that has passed is the one wanted. *WHY is improved upon. */
static bool wanted(
	struct candidate *candidate, int number, const uint8_t *substitute, const char **why)
{
	const struct ccid_interface *interface = &candidate->interface;

	if (!candidate->open || (number >= 0 && interface->bInterfaceNumber != number))
		return false;
	if (substitute)
		add_class(candidate, substitute, CCID_DESC_SIZE);
	if (!candidate->has_class) {
		if (interface->bInterfaceClass == CCID_INTERFACE_CLASS)
			*why = "the interface has no CCID class descriptor";
		return false;
	}
	if (!is_iccd(interface) && (!interface->bulk_in || !interface->bulk_out)) {
		*why = "the interface has no pair of bulk endpoints";
		return false;
	}
	return true;
}

bool descriptor_find(const uint8_t *bytes, size_t len, int number, const uint8_t *substitute,
	struct ccid_interface *found, const char **why)
{
	struct candidate candidate = { 0 };
	uint8_t config = 0;
	size_t at = 0;

	*why = "the device has no such CCID interface";
	while (at + 2 <= len) {
		const uint8_t *desc = bytes + at;
		size_t size = desc[USB_DESC_bLength];

		if (size < 2 || size > len - at)
			break;
		switch (desc[USB_DESC_bDescriptorType]) {
		case USB_DT_CONFIGURATION:
			if (size >= USB_CONFIG_SIZE)
				config = desc[USB_CONFIG_bConfigurationValue];
			break;
		case USB_DT_INTERFACE:
			if (wanted(&candidate, number, substitute, why))
				goto out;
			begin(&candidate, desc, size, config);
			break;
		case USB_DT_ENDPOINT:
			if (candidate.open)
				add_endpoint(&candidate.interface, desc, size);
			break;
		case CCID_DESC_TYPE:
		case CCID_DESC_TYPE_VENDOR:
			if (candidate.open)
				add_class(&candidate, desc, size);
			break;
		}
		at += size;
	}
	if (!wanted(&candidate, number, substitute, why))
		return false;
out:
	*found = candidate.interface;
	if (is_iccd(found) && found->ccid.max_message > CCID_MSG_HEADER_SIZE + ICCD_DATA)
		found->ccid.max_message = CCID_MSG_HEADER_SIZE + ICCD_DATA;
	return true;
}
