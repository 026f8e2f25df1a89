/* SPDX-License-Identifier: BSD-3-Clause */
/* What kind of reader a device is: its descriptors, and what quirk files say about them. */
#include "device_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ifd-ccid/bundle_file.h"
#include "ifd-ccid/bytes.h"
#include "ifd-ccid/deadline.h"
#include "ifd-ccid/log.h"
#include "ifd-ccid/options.h"
#include "ifd-ccid/quirk/quirk_apply.h"
#include "spec/usb.h"

enum {
	SWITCH_MS = 5000,
	STRING_MAX = 128,
};

#define QUIRKS_FOLDER "Resources/quirks"

static void say(void *owner, const char *line)
{
	(void)owner;
	log_line(LOG_ERROR, "%s", line);
}

/* Read anew for each device, so that a change holds for a reader that is plugged in again. */
static struct quirk_table *load(void)
{
	struct quirk_table *table = quirk_table_new();
	char folder[4096];

	if (table)
		(void)quirk_table_load_all(table,
			bundle_path(QUIRKS_FOLDER, folder, sizeof(folder)) ? folder : NULL, say,
			NULL);
	return table;
}

/* "NAME = VALUE  # FILE:LINE [SECTION]", to be freed; NULL: out of memory. */
static char *describe(
	const struct quirk_set *set, enum quirk_id id, const struct quirk_origin *origin)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	fprintf(out, "%s = ", quirk_properties[id].name);
	quirk_print_value(out, set, id);
	fprintf(out, "  # %s:%u [%s]", origin->file, origin->line, origin->section);
	return fclose(out) == 0 ? text : NULL;
}

/*
 * What is applied goes to the log and to the recording, a line a property. AGAIN: now that the
 * firmware is known, on which those depend that come late.
 */
static void tell(const struct device *device, const struct quirk_origin *origins, bool again)
{
	for (int i = 0; i < QUIRK_COUNT; i++) {
		char *text = NULL;

		if (origins[i].file && (quirk_properties[i].late || !again))
			text = describe(&device->quirks, (enum quirk_id)i, &origins[i]);
		if (!text)
			continue;
		log_line(LOG_INFO, "device %s: quirk %s", device->name, text);
		recorder_quirk(device->recorder, text);
		free(text);
	}
}

static void read_strings(struct device *device, char manufacturer[STRING_MAX],
	char product[STRING_MAX], struct quirk_facts *facts)
{
	manufacturer[0] = product[0] = '\0';
	(void)device_string(device, device->descriptor.iManufacturer, manufacturer, STRING_MAX);
	(void)device_string(device, device->descriptor.iProduct, product, STRING_MAX);
	facts->manufacturer = manufacturer;
	facts->product = product;
}

void device_match_quirks(struct device *device, const char *firmware)
{
	const struct port *port = device->port;
	struct ccid_interface own = { 0 }; /* as the reader says, not as quirks have made it */
	const char *why;
	bool found = descriptor_find(
		port->configuration, port->configuration_len, port->interface, NULL, &own, &why);
	struct quirk_facts facts = {
		.vid = device->descriptor.vid,
		.pid = device->descriptor.pid,
		.bcdDevice = device->descriptor.bcdDevice,
		.interface = found ? own.bInterfaceNumber : port->interface,
		.interface_class = found ? own.bInterfaceClass : -1,
		.ccid = found ? own.raw : NULL,
		.firmware = firmware,
		.driver_options = options_get()->driver,
	};
	struct quirk_table *table = load();
	char manufacturer[STRING_MAX];
	char product[STRING_MAX];
	struct quirk_origin *origins = calloc(QUIRK_COUNT, sizeof(*origins));

	if (table && origins) {
		if (quirk_wants_strings(table, &facts))
			read_strings(device, manufacturer, product, &facts);
		device->wants_firmware = !firmware && quirk_wants_firmware(table, &facts);
		quirk_match(table, &facts, &device->quirks, origins);
		tell(device, origins, firmware != NULL);
	}
	free(origins);
	quirk_table_free(table);
}

/* A device that is something else until it is told to be a reader. It comes back under a new name. */
static void switch_mode(struct device *device)
{
	const struct quirk_bytes *request = &device->quirks.mode_switch;
	const uint8_t *config = device->port->configuration;
	uint8_t data[QUIRK_BYTES_MAX];
	enum port_status status;

	if (request->len != (size_t)USB_SETUP_SIZE + le16(request->bytes + USB_SETUP_wLength)) {
		log_line(LOG_ERROR, "device %s: mode-switch: wLength is not that of the data",
			device->name);
		return;
	}
	for (uint8_t i = 0; i < config[USB_CONFIG_bNumInterfaces]; i++)
		(void)port_claim(device->port, i, 0);
	memcpy(data, request->bytes + USB_SETUP_SIZE, request->len - USB_SETUP_SIZE);
	status = port_control(device->port, request->bytes, data, NULL, deadline_in_ms(SWITCH_MS));
	/* Some are gone before they have answered. */
	log_line(LOG_INFO, "device %s: told to become a reader: %s", device->name,
		port_strstatus(status));
}

/* Whether it may be opened, after one error line if not. */
static bool acceptable(const struct device *device)
{
	const struct quirk_set *quirks = &device->quirks;

	if (quirks->refuse.text[0] && !(options_get()->driver & OPTION_OLD_FIRMWARE)) {
		log_line(LOG_ERROR,
			"device %s: not opened: %s (a quirk file with refuse = \"\" allows it)",
			device->name, quirks->refuse.text);
		return false;
	}
	if (device->interface.bInterfaceClass == CCID_INTERFACE_CLASS_VENDOR &&
		!quirks->vendor_class) {
		log_line(LOG_ERROR,
			"device %s: the interface is of class FFh, and no quirk file says that "
			"%04X:%04X is a reader (vendor-class = yes)",
			device->name, device->descriptor.vid, device->descriptor.pid);
		return false;
	}
	return true;
}

bool device_identify(struct device *device)
{
	const struct port *port = device->port;
	const struct quirk_set *quirks = &device->quirks;
	const char *why = "malformed device descriptor";
	bool found = false;

	if (!descriptor_device(port->device, USB_DEVICE_SIZE, &device->descriptor)) {
		log_line(LOG_ERROR, "device %s: %s", device->name, why);
		return false;
	}
	found = descriptor_find(port->configuration, port->configuration_len, port->interface, NULL,
		&device->interface, &why);
	device_match_quirks(device, NULL);
	if (quirks->has[QUIRK_MODE_SWITCH]) {
		switch_mode(device);
		return false;
	}
	if (!found && quirks->has[QUIRK_DESCRIPTOR])
		found = descriptor_find(port->configuration, port->configuration_len,
			port->interface, quirks->descriptor.bytes, &device->interface, &why);
	if (!found) {
		log_line(LOG_ERROR, "device %s: %s", device->name, why);
		return false;
	}
	if (!acceptable(device))
		return false;
	quirk_apply(quirks, &device->interface);
	device->port->leave_kernel_driver = !quirks->detach_kernel_driver;
	return true;
}
