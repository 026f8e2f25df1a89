/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/firmware/profile.h"

#include <stdio.h>
#include <string.h>

#include "spec/usb.h"
#include "vreader/bytes.h"

enum {
	/* The pid.codes number that is free for private tests; --id gives another. */
	DEFAULT_VID = 0x1209,
	DEFAULT_PID = 0x0001,

	STRING_MANUFACTURER = 1,
	STRING_PRODUCT = 2,
	STRING_SERIAL = 3,
	STRING_INTERFACE = 4, /* and on, one an interface */

	CLOCK_KHZ = 4000,
	/* Fi = 372, Di = 1 at 4 MHz; and the fastest, Fi = 512, Di = 64. */
	RATE_DEFAULT = 10752,
	RATE_MAX = 500000,

	AUTOMATIC = CCID_FEATURE_AUTO_CONF_ATR | CCID_FEATURE_AUTO_VOLTAGE |
		    CCID_FEATURE_AUTO_CLOCK | CCID_FEATURE_AUTO_BAUD | CCID_FEATURE_AUTO_PPS |
		    CCID_FEATURE_AUTO_IFSD,
	/* What lies behind the reader is none of the host's business. */
	HIDES_AIR = CCID_FEATURE_LEVEL_EXTENDED_APDU | CCID_FEATURE_AUTO_CONF_ATR |
		    CCID_FEATURE_AUTO_VOLTAGE | CCID_FEATURE_AUTO_CLOCK | CCID_FEATURE_AUTO_BAUD |
		    CCID_FEATURE_AUTO_PARAM_NEGOTIATION | CCID_FEATURE_AUTO_IFSD,
	HOST_DRIVEN = CCID_FEATURE_AUTO_CLOCK | CCID_FEATURE_AUTO_BAUD,

	/* A message that holds the longest APDU, and the least the class allows (CCID 1.1 §5.1). */
	MESSAGE_EXTENDED = CCID_MSG_HEADER_SIZE + 65544,
	MESSAGE_MIN = 271,
};

static const struct builtin {
	const char *name;
	const char *product;
	uint32_t features;
	uint32_t message;
	uint8_t slots;        /* 0 means 1 */
	uint8_t endpoints;    /* 0 means 3 */
	uint32_t contactless; /* a bit for each slot */
	bool exclusive;
	bool raw;
} builtins[] = {
	{ .name = "extended",
		.product = "Virtual Reader (extended APDU)",
		.features = CCID_FEATURE_LEVEL_EXTENDED_APDU | AUTOMATIC,
		.message = MESSAGE_EXTENDED },
	{ .name = "short",
		.product = "Virtual Reader (short APDU)",
		.features = CCID_FEATURE_LEVEL_SHORT_APDU | AUTOMATIC,
		.message = MESSAGE_MIN },
	{ .name = "tpdu",
		.product = "Virtual Reader (TPDU)",
		.features = CCID_FEATURE_LEVEL_TPDU | HOST_DRIVEN,
		.message = MESSAGE_MIN },
	{ .name = "character",
		.product = "Virtual Reader (character)",
		.features = CCID_FEATURE_LEVEL_CHARACTER | HOST_DRIVEN,
		.message = MESSAGE_MIN },
	{ .name = "contactless",
		.product = "Virtual Contactless Reader",
		.features = HIDES_AIR,
		.message = MESSAGE_EXTENDED,
		.contactless = 1 },
	{ .name = "contactless-polled",
		.product = "Virtual Contactless Reader (polled)",
		.features = HIDES_AIR,
		.message = MESSAGE_EXTENDED,
		.endpoints = 2,
		.contactless = 1 },
	{ .name = "contactless-raw",
		.product = "Virtual Raw Reader",
		.features = HIDES_AIR,
		.message = MESSAGE_MIN,
		.contactless = 1,
		.raw = true },
	{ .name = "dual",
		.product = "Virtual Dual Reader",
		.features = HIDES_AIR,
		.message = MESSAGE_EXTENDED,
		.slots = 2,
		.contactless = 2 },
	{ .name = "dual-exclusive",
		.product = "Virtual Dual Reader (one at a time)",
		.features = HIDES_AIR,
		.message = MESSAGE_EXTENDED,
		.slots = 2,
		.contactless = 2,
		.exclusive = true },
};

static void fill_ccid(const struct builtin *b, uint8_t *d)
{
	d[CCID_DESC_bLength] = CCID_DESC_SIZE;
	d[CCID_DESC_bDescriptorType] = CCID_DESC_TYPE;
	put_le16(d + CCID_DESC_bcdCCID, 0x0110);
	d[CCID_DESC_bVoltageSupport] = CCID_VOLTAGE_5V | CCID_VOLTAGE_3V | CCID_VOLTAGE_1V8;
	put_le32(d + CCID_DESC_dwProtocols, CCID_PROTOCOLS_T0 | CCID_PROTOCOLS_T1);
	put_le32(d + CCID_DESC_dwDefaultClock, CLOCK_KHZ);
	put_le32(d + CCID_DESC_dwMaximumClock, CLOCK_KHZ);
	put_le32(d + CCID_DESC_dwDataRate, RATE_DEFAULT);
	put_le32(d + CCID_DESC_dwMaxDataRate, RATE_MAX);
	put_le32(d + CCID_DESC_dwMaxIFSD, 254);
	put_le32(d + CCID_DESC_dwFeatures, b->features);
	put_le32(d + CCID_DESC_dwMaxCCIDMessageLength, b->message);
	d[CCID_DESC_bClassGetResponse] = 0xFF;
	d[CCID_DESC_bClassEnvelope] = 0xFF;
	d[CCID_DESC_bMaxSlotIndex] = b->slots ? (uint8_t)(b->slots - 1) : 0;
	d[CCID_DESC_bMaxCCIDBusySlots] = b->slots && !b->exclusive ? b->slots : 1;
}

bool profile_builtin(const char *name, struct profile *p)
{
	const struct builtin *b = NULL;

	for (size_t i = 0; i < sizeof(builtins) / sizeof(builtins[0]); i++)
		if (strcmp(builtins[i].name, name) == 0)
			b = &builtins[i];
	if (!b)
		return false;
	*p = (struct profile){ .vid = DEFAULT_VID, .pid = DEFAULT_PID, .bcd = 0x0100 };
	snprintf(p->manufacturer, sizeof(p->manufacturer), "Cardwire");
	snprintf(p->product, sizeof(p->product), "%s", b->product);
	snprintf(p->serial, sizeof(p->serial), "virtual");
	p->interface_count = 1;
	p->interfaces[0].cls = CCID_INTERFACE_CLASS;
	p->interfaces[0].endpoints = b->endpoints ? b->endpoints : 3;
	p->interfaces[0].contactless = b->contactless;
	p->interfaces[0].exclusive = b->exclusive;
	p->interfaces[0].raw = b->raw;
	snprintf(p->interfaces[0].name, sizeof(p->interfaces[0].name), "CCID");
	fill_ccid(b, p->interfaces[0].ccid);
	return true;
}

void profile_add_pinpad(struct profile *p)
{
	for (size_t i = 0; i < p->interface_count; i++) {
		uint8_t *d = p->interfaces[i].ccid;

		d[CCID_DESC_bPINSupport] = CCID_PIN_VERIFY | CCID_PIN_MODIFY;
		put_le16(d + CCID_DESC_wLcdLayout, 2 << 8 | 16);
	}
}

uint8_t profile_bulk_out(size_t i)
{
	return (uint8_t)(2 * i + 1);
}

uint8_t profile_bulk_in(size_t i)
{
	return (uint8_t)(USB_DIR_IN | (2 * i + 1));
}

uint8_t profile_interrupt_in(size_t i)
{
	return (uint8_t)(USB_DIR_IN | (2 * i + 2));
}

uint16_t profile_bulk_packet(const struct profile *p)
{
	return p->high_speed ? USB_BULK_PACKET_HIGH_SPEED : USB_BULK_PACKET_FULL_SPEED;
}

size_t profile_device_descriptor(const struct profile *p, uint8_t out[18])
{
	memset(out, 0, USB_DEVICE_SIZE);
	out[USB_DESC_bLength] = USB_DEVICE_SIZE;
	out[USB_DESC_bDescriptorType] = USB_DT_DEVICE;
	put_le16(out + USB_DEVICE_bcdUSB, 0x0200);
	out[USB_DEVICE_bMaxPacketSize0] = 64;
	put_le16(out + USB_DEVICE_idVendor, p->vid);
	put_le16(out + USB_DEVICE_idProduct, p->pid);
	put_le16(out + USB_DEVICE_bcdDevice, p->bcd);
	out[USB_DEVICE_iManufacturer] = p->manufacturer[0] ? STRING_MANUFACTURER : 0;
	out[USB_DEVICE_iProduct] = p->product[0] ? STRING_PRODUCT : 0;
	out[USB_DEVICE_iSerialNumber] = p->serial[0] ? STRING_SERIAL : 0;
	out[USB_DEVICE_bNumConfigurations] = 1;
	return USB_DEVICE_SIZE;
}

/* Only a device that can do high speed has one (USB 2.0 §9.6.2). */
size_t profile_qualifier_descriptor(const struct profile *p, uint8_t out[10])
{
	if (!p->high_speed)
		return 0;
	memset(out, 0, USB_QUALIFIER_SIZE);
	out[USB_DESC_bLength] = USB_QUALIFIER_SIZE;
	out[USB_DESC_bDescriptorType] = USB_DT_DEVICE_QUALIFIER;
	put_le16(out + USB_QUALIFIER_bcdUSB, 0x0200);
	out[USB_QUALIFIER_bMaxPacketSize0] = 64;
	out[USB_QUALIFIER_bNumConfigurations] = 1;
	return USB_QUALIFIER_SIZE;
}

static size_t put_endpoint(
	uint8_t *out, uint8_t address, uint8_t type, uint16_t packet, uint8_t interval)
{
	out[USB_DESC_bLength] = USB_ENDPOINT_SIZE;
	out[USB_DESC_bDescriptorType] = USB_DT_ENDPOINT;
	out[USB_ENDPOINT_bEndpointAddress] = address;
	out[USB_ENDPOINT_bmAttributes] = type;
	put_le16(out + USB_ENDPOINT_wMaxPacketSize, packet);
	out[USB_ENDPOINT_bInterval] = interval;
	return USB_ENDPOINT_SIZE;
}

static size_t put_endpoints(const struct profile *p, size_t i, uint8_t *out)
{
	uint8_t count = p->interfaces[i].endpoints;
	/* 16 ms between polls: 2^(8-1) microframes, or 16 frames (USB 2.0 §9.6.6). */
	uint8_t interval = p->high_speed ? 8 : 16;
	size_t n = 0;

	if (count >= 2) {
		n += put_endpoint(out + n, profile_bulk_out(i), USB_ENDPOINT_XFER_BULK,
			profile_bulk_packet(p), 0);
		n += put_endpoint(out + n, profile_bulk_in(i), USB_ENDPOINT_XFER_BULK,
			profile_bulk_packet(p), 0);
	}
	if (count == 3 || count == 1)
		n += put_endpoint(out + n, profile_interrupt_in(i), USB_ENDPOINT_XFER_INTERRUPT,
			PROFILE_INTERRUPT_PACKET, interval);
	return n;
}

static size_t put_interface(const struct profile *p, size_t i, uint8_t *out)
{
	const struct profile_interface *intf = &p->interfaces[i];
	size_t n = USB_INTERFACE_SIZE;

	memset(out, 0, USB_INTERFACE_SIZE);
	out[USB_DESC_bLength] = USB_INTERFACE_SIZE;
	out[USB_DESC_bDescriptorType] = USB_DT_INTERFACE;
	out[USB_INTERFACE_bInterfaceNumber] = intf->number;
	out[USB_INTERFACE_bNumEndpoints] = intf->endpoints;
	out[USB_INTERFACE_bInterfaceClass] = intf->cls;
	out[USB_INTERFACE_bInterfaceSubClass] = intf->subclass;
	out[USB_INTERFACE_bInterfaceProtocol] = intf->protocol;
	out[USB_INTERFACE_iInterface] = intf->name[0] ? (uint8_t)(STRING_INTERFACE + i) : 0;
	if (intf->place == PLACE_AFTER_ENDPOINTS)
		n += put_endpoints(p, i, out + n);
	memcpy(out + n, intf->lies ? intf->shown : intf->ccid, CCID_DESC_SIZE);
	n += CCID_DESC_SIZE;
	if (intf->place == PLACE_AFTER_INTERFACE)
		n += put_endpoints(p, i, out + n);
	return n;
}

size_t profile_config_descriptor(const struct profile *p, uint8_t out[PROFILE_CONFIG_MAX])
{
	size_t n = USB_CONFIG_SIZE;

	for (size_t i = 0; i < p->interface_count; i++)
		n += put_interface(p, i, out + n);
	out[USB_DESC_bLength] = USB_CONFIG_SIZE;
	out[USB_DESC_bDescriptorType] = USB_DT_CONFIGURATION;
	put_le16(out + USB_CONFIG_wTotalLength, (uint16_t)n);
	out[USB_CONFIG_bNumInterfaces] = (uint8_t)p->interface_count;
	out[USB_CONFIG_bConfigurationValue] = 1;
	out[USB_CONFIG_iConfiguration] = 0;
	out[USB_CONFIG_bmAttributes] = USB_CONFIG_ATTR_RESERVED_ONE;
	out[USB_CONFIG_bMaxPower] = 50; /* 100 mA */
	return n;
}

static const char *string_at(const struct profile *p, uint8_t index)
{
	switch (index) {
	case STRING_MANUFACTURER:
		return p->manufacturer;
	case STRING_PRODUCT:
		return p->product;
	case STRING_SERIAL:
		return p->serial;
	default:
		if (index < STRING_INTERFACE || index >= STRING_INTERFACE + p->interface_count)
			return "";
		return p->interfaces[index - STRING_INTERFACE].name;
	}
}

/* Strings are Latin-1 at most: each byte becomes one UTF-16 unit (USB 2.0 §9.6.7). */
size_t profile_string_descriptor(const struct profile *p, uint8_t index, uint8_t out[255])
{
	size_t n = USB_STRING_bString;

	if (index == 0) {
		put_le16(out + n, USB_LANGID_ENGLISH_US);
		n += 2;
	} else {
		const char *s = string_at(p, index);

		if (!*s)
			return 0;
		for (; *s && n + 2 <= USB_STRING_MAX_SIZE; s++, n += 2)
			put_le16(out + n, (uint8_t)*s);
	}
	out[USB_DESC_bLength] = (uint8_t)n;
	out[USB_DESC_bDescriptorType] = USB_DT_STRING;
	return n;
}
