/* SPDX-License-Identifier: BSD-3-Clause */
/* What kind of reader a device is: its descriptors, and what quirk files say about them. */
#include "device_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ifd-ccid/bundle_file.h"
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

/* One log line a property. */
static void tell(const struct device *device, const struct quirk_origin *origins)
{
	for (int i = 0; i < QUIRK_COUNT; i++) {
		const struct quirk_origin *origin = &origins[i];
		char *value = NULL;
		size_t size = 0;
		FILE *out;

		if (!origin->file || !log_wants(LOG_INFO))
			continue;
		out = open_memstream(&value, &size);
		if (!out)
			continue;
		quirk_print_value(out, &device->quirks, (enum quirk_id)i);
		fclose(out);
		log_line(LOG_INFO, "device %s: quirk %s = %s (%s:%u, %s)", device->name,
			quirk_properties[i].name, value, origin->file, origin->line,
			origin->section);
		free(value);
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
	const struct ccid_interface *interface = &device->interface;
	struct quirk_facts facts = {
		.vid = device->descriptor.vid,
		.pid = device->descriptor.pid,
		.bcdDevice = device->descriptor.bcdDevice,
		.interface = interface->bInterfaceClass ? interface->bInterfaceNumber
							: device->port->interface,
		.interface_class = interface->bInterfaceClass ? interface->bInterfaceClass : -1,
		.ccid = interface->raw[0] ? interface->raw : NULL,
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
		tell(device, origins);
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

	if (request->len != (size_t)USB_SETUP_SIZE + request->bytes[USB_SETUP_wLength]) {
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
