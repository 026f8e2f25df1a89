/* SPDX-License-Identifier: BSD-3-Clause */
#include "serial_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ifd-ccid/bundle_file.h"
#include "ifd-ccid/bytes.h"
#include "number.h"
#include "serial_frame.h"
#include "spec/ccid.h"
#include "spec/usb.h"

#define MODELS_FILE "Resources/serial.readers"

enum {
	LINE_ROOM = 1024,
	BULK_OUT = 0x02,
	BULK_IN = 0x81,
	PACKET = 64,
	IFSD = 254,
};

typedef bool setter(const char *value, void *field);

/* All of VALUE is a number, at most MAX. */
static bool number(const char *value, unsigned long max, int base, unsigned long *out)
{
	char *end;

	*out = strtoul(value, &end, base);
	return end != value && *end == '\0' && value[0] != '-' && *out <= max;
}

static bool set_byte(const char *value, void *field)
{
	unsigned long n;

	if (!number(value, UINT8_MAX, 0, &n))
		return false;
	*(uint8_t *)field = (uint8_t)n;
	return true;
}

static bool set_long(const char *value, void *field)
{
	unsigned long n;

	if (!number(value, UINT32_MAX, 0, &n))
		return false;
	*(uint32_t *)field = (uint32_t)n;
	return true;
}

static bool set_hex16(const char *value, void *field)
{
	unsigned long n;

	if (!number(value, UINT16_MAX, 16, &n))
		return false;
	*(uint16_t *)field = (uint16_t)n;
	return true;
}

static bool set_escape(const char *value, void *field)
{
	struct serial_escape *escape = field;
	unsigned byte;

	escape->len = 0;
	while (number_take(&value, 16, UINT8_MAX, &byte)) {
		if (escape->len == SERIAL_MAX_ESCAPE)
			return false;
		escape->bytes[escape->len++] = (uint8_t)byte;
		value += strspn(value, " \t");
	}
	return *value == '\0' && escape->len > 0;
}

static bool set_rates(const char *value, void *field)
{
	struct serial_model *model = field;
	char *end;

	/* Several lines add up. */
	while (*value) {
		unsigned long rate = strtoul(value, &end, 10);

		if (end == value || rate == 0 || rate > UINT32_MAX ||
			model->rate_count == SERIAL_MAX_RATES)
			return false;
		model->rates[model->rate_count++] = (uint32_t)rate;
		value = end + strspn(end, " \t");
	}
	return true;
}

static const struct {
	const char *key;
	setter *set;
	size_t offset;
} keys[] = {
	{ "idVendor", set_hex16, offsetof(struct serial_model, vid) },
	{ "idProduct", set_hex16, offsetof(struct serial_model, pid) },
	{ "Slots", set_byte, offsetof(struct serial_model, slots) },
	{ "dwDefaultClock", set_long, offsetof(struct serial_model, clock_khz) },
	{ "dwMaxDataRate", set_long, offsetof(struct serial_model, max_rate) },
	{ "DataRates", set_rates, 0 },
	{ "dwFeatures", set_long, offsetof(struct serial_model, features) },
	{ "bPINSupport", set_byte, offsetof(struct serial_model, pin) },
	{ "Bare", set_byte, offsetof(struct serial_model, bare) },
	{ "Probe", set_escape, offsetof(struct serial_model, probe) },
	{ "Setup", set_escape, offsetof(struct serial_model, setup) },
	{ "SpeedUp", set_escape, offsetof(struct serial_model, speed_up) },
};

static bool set(struct serial_model *model, const char *key, const char *value)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strcmp(keys[i].key, key) == 0)
			return keys[i].set(value, (char *)model + keys[i].offset);
	return false;
}

/* Cuts white space off both ends. */
static char *trim(char *text)
{
	char *end = text + strlen(text);

	while (end > text && strchr(" \t\r", end[-1]))
		*--end = '\0';
	return text + strspn(text, " \t");
}

/* True when "[NAME OTHER …]" names the model. */
static bool names(char *section, const char *name)
{
	char *save = NULL;

	for (char *word = strtok_r(section, "[] \t", &save); word;
		word = strtok_r(NULL, "[] \t", &save))
		if (!name || strcasecmp(word, name) == 0)
			return true;
	return false;
}

/* One line, without its end. False: it is wrong. */
static bool take_line(
	char *line, const char *name, struct serial_model *model, bool *inside, bool *found)
{
	char *equals;

	line = trim(line);
	if (*line == '\0' || *line == '#')
		return true;
	if (*line == '[') {
		*inside = !*found && names(line, name);
		*found = *found || *inside;
		return true;
	}
	equals = strchr(line, '=');
	if (!equals)
		return false;
	*equals = '\0';
	return !*inside || set(model, trim(line), trim(equals + 1));
}

bool serial_model_find(
	const char *text, const char *name, struct serial_model *model, char *why, size_t size)
{
	bool inside = false;
	bool found = false;
	unsigned number = 0;

	*model = (struct serial_model){ .slots = 1 };
	while (*text) {
		size_t len = strcspn(text, "\n");
		char line[LINE_ROOM];

		number++;
		if (len < sizeof(line)) {
			memcpy(line, text, len);
			line[len] = '\0';
		}
		if (len >= sizeof(line) || !take_line(line, name, model, &inside, &found)) {
			snprintf(why, size, MODELS_FILE ":%u: this line is wrong", number);
			return false;
		}
		text += len + (text[len] == '\n');
	}
	if (found && model->slots > 0)
		return true;
	snprintf(why, size, MODELS_FILE " has no reader \"%s\"", name ? name : "");
	return false;
}

bool serial_model_load(const char *name, struct serial_model *model, char *why, size_t size)
{
	char *text = bundle_read(MODELS_FILE);
	bool ok;

	if (!text) {
		snprintf(why, size, "the driver's bundle has no readable " MODELS_FILE);
		return false;
	}
	ok = serial_model_find(text, name, model, why, size);
	free(text);
	return ok;
}

void serial_model_device(const struct serial_model *model, uint8_t out[18])
{
	memset(out, 0, USB_DEVICE_SIZE);
	out[USB_DESC_bLength] = USB_DEVICE_SIZE;
	out[USB_DESC_bDescriptorType] = USB_DT_DEVICE;
	put_le16(out + USB_DEVICE_idVendor, model->vid);
	put_le16(out + USB_DEVICE_idProduct, model->pid);
}

static void put_class(const struct serial_model *model, uint8_t *out)
{
	out[CCID_DESC_bLength] = CCID_DESC_SIZE;
	out[CCID_DESC_bDescriptorType] = CCID_DESC_TYPE;
	put_le16(out + CCID_DESC_bcdCCID, 0x0100);
	out[CCID_DESC_bMaxSlotIndex] = (uint8_t)(model->slots - 1);
	out[CCID_DESC_bVoltageSupport] = CCID_VOLTAGE_5V | CCID_VOLTAGE_3V | CCID_VOLTAGE_1V8;
	put_le32(out + CCID_DESC_dwProtocols, CCID_PROTOCOLS_T0 | CCID_PROTOCOLS_T1);
	put_le32(out + CCID_DESC_dwDefaultClock, model->clock_khz);
	put_le32(out + CCID_DESC_dwMaximumClock, model->clock_khz);
	put_le32(out + CCID_DESC_dwMaxDataRate, model->max_rate);
	out[CCID_DESC_bNumDataRatesSupported] = (uint8_t)model->rate_count;
	put_le32(out + CCID_DESC_dwMaxIFSD, IFSD);
	put_le32(out + CCID_DESC_dwFeatures, model->features);
	put_le32(out + CCID_DESC_dwMaxCCIDMessageLength, SERIAL_MAX_MESSAGE);
	out[CCID_DESC_bPINSupport] = model->pin;
	out[CCID_DESC_bMaxCCIDBusySlots] = 1;
}

static void put_endpoint(uint8_t *out, uint8_t address)
{
	out[USB_DESC_bLength] = USB_ENDPOINT_SIZE;
	out[USB_DESC_bDescriptorType] = USB_DT_ENDPOINT;
	out[USB_ENDPOINT_bEndpointAddress] = address;
	out[USB_ENDPOINT_bmAttributes] = USB_ENDPOINT_XFER_BULK;
	put_le16(out + USB_ENDPOINT_wMaxPacketSize, PACKET);
}

void serial_model_configuration(
	const struct serial_model *model, uint8_t out[SERIAL_CONFIGURATION_SIZE])
{
	uint8_t *interface = out + USB_CONFIG_SIZE;
	uint8_t *ccid = interface + USB_INTERFACE_SIZE;
	uint8_t *endpoints = ccid + CCID_DESC_SIZE;

	memset(out, 0, SERIAL_CONFIGURATION_SIZE);
	out[USB_DESC_bLength] = USB_CONFIG_SIZE;
	out[USB_DESC_bDescriptorType] = USB_DT_CONFIGURATION;
	put_le16(out + USB_CONFIG_wTotalLength, SERIAL_CONFIGURATION_SIZE);
	out[USB_CONFIG_bConfigurationValue] = 1;
	interface[USB_DESC_bLength] = USB_INTERFACE_SIZE;
	interface[USB_DESC_bDescriptorType] = USB_DT_INTERFACE;
	interface[USB_INTERFACE_bInterfaceClass] = CCID_INTERFACE_CLASS;
	put_class(model, ccid);
	put_endpoint(endpoints, BULK_OUT);
	put_endpoint(endpoints + USB_ENDPOINT_SIZE, BULK_IN);
}
