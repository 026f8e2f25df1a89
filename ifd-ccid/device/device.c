/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device_private.h"
#include "ifd-ccid/bytes.h"
#include "ifd-ccid/deadline.h"
#include "ifd-ccid/log.h"
#include "ifd-ccid/options.h"
#include "spec/usb.h"

enum {
	REQUEST_MS = 2000, /* for a control request */
};

enum port_status device_control(struct device *device, const uint8_t setup[8], uint8_t *data,
	size_t *actual, int64_t deadline, struct mask_secrecy *secrecy)
{
	size_t len = le16(setup + USB_SETUP_wLength);
	size_t got = 0;
	enum port_status status = port_control(device->port, setup, data, &got, deadline);

	if (setup[USB_SETUP_bmRequestType] & USB_DIR_IN)
		len = got;
	recorder_control(device->recorder, setup, status, data, len, secrecy);
	if (actual)
		*actual = got;
	return status;
}

/* What the port has read of the device itself, as if it were read now. */
static void record_descriptor(struct device *device, uint8_t type, const uint8_t *bytes, size_t len)
{
	uint8_t setup[USB_SETUP_SIZE] = { USB_DIR_IN | USB_TYPE_STANDARD | USB_RECIP_DEVICE,
		USB_REQ_GET_DESCRIPTOR, 0, type };

	put_le16(setup + USB_SETUP_wLength, (uint16_t)len);
	recorder_control(device->recorder, setup, PORT_OK, bytes, len, NULL);
}

static void record_descriptors(struct device *device)
{
	const struct port *port = device->port;

	record_descriptor(device, USB_DT_DEVICE, port->device, USB_DEVICE_SIZE);
	record_descriptor(
		device, USB_DT_CONFIGURATION, port->configuration, port->configuration_len);
}

/* Asked once, at open, by readers whose speed the host chooses. No list is no failure. */
static void read_rates(struct device *device)
{
	unsigned count = device->interface.ccid.bNumDataRatesSupported;
	uint8_t setup[USB_SETUP_SIZE] = { USB_DIR_IN | USB_TYPE_CLASS | USB_RECIP_INTERFACE,
		CCID_REQ_GET_DATA_RATES };
	uint8_t bytes[4 * UINT8_MAX];
	size_t actual = 0;
	size_t kept = 0;
	uint32_t *rates;

	if (count == 0)
		return;
	put_le16(setup + USB_SETUP_wIndex, device->interface.bInterfaceNumber);
	put_le16(setup + USB_SETUP_wLength, (uint16_t)(4 * count));
	if (device_control(device, setup, bytes, &actual, deadline_in_ms(REQUEST_MS), NULL) !=
			PORT_OK ||
		actual % 4 != 0)
		actual = 0;
	rates = actual ? calloc(actual / 4 + 1, sizeof(*rates)) : NULL;
	/* Some lists hold zeros between the rates: they are left out. */
	for (size_t at = 0; rates && at < actual; at += 4)
		if (le32(bytes + at) != 0)
			rates[kept++] = le32(bytes + at);
	device->rates = rates;
}

static void free_device(struct device *device)
{
	struct io **ios = device->ios;

	/* The port's event thread may still look at them until the port is closed. */
	pthread_mutex_lock(&device->lock);
	device->ios = NULL;
	pthread_mutex_unlock(&device->lock);
	for (unsigned i = 0; ios && i < device->interface.ccid.slots; i++)
		io_free(ios[i]);
	free(ios);
	port_close(device->port);
	recorder_gone(device->recorder);
	pthread_mutex_destroy(&device->lock);
	pthread_cond_destroy(&device->changed);
	free(device->rates);
	free(device->name);
	free(device);
}

/* With no exchange under way. Nothing is submitted again meanwhile. */
static void close_pipes(struct device *device)
{
	pthread_mutex_lock(&device->lock);
	device->closing = true;
	pthread_mutex_unlock(&device->lock);
	notify_fini(device);
	pipe_fini(device);
}

static void on_port_gone(void *owner)
{
	device_removed(owner);
}

static bool start(struct device *device)
{
	const struct ccid_interface *interface = &device->interface;

	record_descriptors(device);
	if (!device_identify(device))
		return false;
	if (port_claim(device->port, interface->bInterfaceNumber, interface->bAlternateSetting) !=
		PORT_OK)
		return false;
	if (device->quirks.get_data_rates &&
		(interface->ccid.level == LEVEL_TPDU || interface->ccid.level == LEVEL_CHARACTER))
		read_rates(device);
	pthread_mutex_lock(&device->lock);
	device->ios = calloc(interface->ccid.slots, sizeof(*device->ios));
	pthread_mutex_unlock(&device->lock);
	if (!device->ios || !pipe_init(device))
		return false;
	if (notify_init(device) && device_begin(device))
		return true;
	close_pipes(device);
	return false;
}

struct device *device_open(const char *name)
{
	struct device *device = calloc(1, sizeof(*device));

	if (!device)
		return NULL;
	pthread_mutex_init(&device->lock, NULL);
	deadline_cond_init(&device->changed);
	device->references = 1;
	device->name = strdup(name);
	device->recorder = recorder_new(name, options_get()->recorder_bytes);
	if (device->name)
		device->port = port_open(name, on_port_gone, device);
	if (device->port && start(device)) {
		recorder_opened(device->recorder);
		log_line(LOG_INFO,
			"device %s: %04X:%04X, %u slot(s), features %08X, messages of %zu", name,
			device->descriptor.vid, device->descriptor.pid,
			device->interface.ccid.slots, device->interface.ccid.dwFeatures,
			device->interface.ccid.max_message);
		return device;
	}
	free_device(device);
	return NULL;
}

struct device *device_ref(struct device *device)
{
	pthread_mutex_lock(&device->lock);
	device->references++;
	pthread_mutex_unlock(&device->lock);
	return device;
}

void device_unref(struct device *device)
{
	bool last;

	pthread_mutex_lock(&device->lock);
	last = --device->references == 0;
	pthread_mutex_unlock(&device->lock);
	if (!last)
		return;
	close_pipes(device);
	free_device(device);
}

struct recorder *device_recorder(const struct device *device)
{
	return device->recorder;
}

const char *device_name(const struct device *device)
{
	return device->name;
}

const struct ccid_interface *device_interface(const struct device *device)
{
	return &device->interface;
}

const struct device_descriptor *device_descriptor(const struct device *device)
{
	return &device->descriptor;
}

const struct quirk_set *device_quirks(const struct device *device)
{
	return &device->quirks;
}

void device_location(const struct device *device, uint8_t *bus, uint8_t *address)
{
	*bus = device->port->bus;
	*address = device->port->address;
}

void device_place(const struct device *device, char place[DEVICE_PLACE_MAX])
{
	if (device->port->place[0])
		snprintf(place, DEVICE_PLACE_MAX, "%s:%u.%u", device->port->place,
			device->interface.bConfigurationValue, device->interface.bInterfaceNumber);
	else
		snprintf(place, DEVICE_PLACE_MAX, "%s", device->name);
}

bool device_slot_open(struct device *device, unsigned slot)
{
	struct io *io = io_new(device, slot);

	if (!io)
		return false;
	pthread_mutex_lock(&device->lock);
	if (!device->ios[slot]) {
		device->ios[slot] = io;
		io = NULL;
	}
	pthread_mutex_unlock(&device->lock);
	io_free(io);
	return true;
}

static size_t read_string(struct device *device, uint8_t index, unsigned language, uint8_t *out)
{
	uint8_t setup[USB_SETUP_SIZE] = { USB_DIR_IN | USB_TYPE_STANDARD | USB_RECIP_DEVICE,
		USB_REQ_GET_DESCRIPTOR, index, USB_DT_STRING };
	size_t actual;

	put_le16(setup + USB_SETUP_wIndex, (uint16_t)language);
	put_le16(setup + USB_SETUP_wLength, USB_STRING_MAX_SIZE);
	if (device_control(device, setup, out, &actual, deadline_in_ms(REQUEST_MS), NULL) !=
			PORT_OK ||
		actual < USB_STRING_bString || out[USB_DESC_bDescriptorType] != USB_DT_STRING)
		return 0;
	return actual < out[USB_DESC_bLength] ? actual : out[USB_DESC_bLength];
}

bool device_string(struct device *device, uint8_t index, char *out, size_t size)
{
	uint8_t bytes[USB_STRING_MAX_SIZE] = { 0 };
	unsigned language = USB_LANGID_ENGLISH_US;
	size_t at = 0;
	size_t len;

	if (index == 0 || size == 0)
		return false;
	if (read_string(device, 0, 0, bytes) >= USB_STRING_bString + 2)
		language = le16(bytes + USB_STRING_bString);
	len = read_string(device, index, language, bytes);
	if (len == 0)
		return false;
	for (size_t i = USB_STRING_bString; i + 1 < len && at + 1 < size; i += 2) {
		uint16_t unit = le16(bytes + i);

		out[at++] = unit >= ' ' && unit < 0x7F ? (char)unit : '.';
	}
	out[at] = '\0';
	return true;
}

const uint32_t *device_rates(const struct device *device)
{
	return device->rates;
}

void device_lost(struct device *device)
{
	if (!device->gone && !device->closing)
		log_line(LOG_INFO, "device %s: gone", device->name);
	device->gone = true;
	for (unsigned i = 0; device->ios && i < device->interface.ccid.slots; i++)
		if (device->ios[i])
			pthread_cond_broadcast(&device->ios[i]->cond);
	pthread_cond_broadcast(&device->changed);
}

void device_removed(struct device *device)
{
	pthread_mutex_lock(&device->lock);
	device_lost(device);
	pthread_mutex_unlock(&device->lock);
}

bool device_is_gone(struct device *device)
{
	bool gone;

	pthread_mutex_lock(&device->lock);
	gone = device->gone;
	pthread_mutex_unlock(&device->lock);
	return gone;
}

void device_call_begin(struct device *device, unsigned slot)
{
	pthread_mutex_lock(&device->lock);
	device->ios[slot]->calling = true;
	device->ios[slot]->aborting = false;
	device->ios[slot]->secrecy.begun = false;
	pthread_mutex_unlock(&device->lock);
}

void device_call_end(struct device *device, unsigned slot)
{
	pthread_mutex_lock(&device->lock);
	device->ios[slot]->calling = false;
	device->ios[slot]->aborting = false;
	pthread_mutex_unlock(&device->lock);
}

enum ccid_result device_pause(struct device *device, unsigned slot, int64_t ms)
{
	struct io *io = device->ios[slot];
	int64_t end = deadline_in_ms(ms);
	enum ccid_result result = CCID_OK;

	pthread_mutex_lock(&device->lock);
	while (!device->gone && !io->aborting && deadline_now() < end)
		deadline_cond_wait(&io->cond, &device->lock, end);
	if (io->aborting)
		result = CCID_ABORTED;
	if (device->gone)
		result = CCID_GONE;
	pthread_mutex_unlock(&device->lock);
	return result;
}

void device_abort(struct device *device, unsigned slot)
{
	struct io *io = device->ios[slot];

	pthread_mutex_lock(&device->lock);
	if (io->calling) {
		io->aborting = true;
		pthread_cond_broadcast(&io->cond);
		pthread_cond_broadcast(&device->changed);
	}
	pthread_mutex_unlock(&device->lock);
}

void device_set_powered(struct device *device, unsigned slot, bool powered)
{
	pthread_mutex_lock(&device->lock);
	device->ios[slot]->presence.powered = powered;
	pthread_mutex_unlock(&device->lock);
}

bool device_powered(struct device *device, unsigned slot)
{
	bool powered;

	pthread_mutex_lock(&device->lock);
	powered = device->ios[slot]->presence.powered;
	pthread_mutex_unlock(&device->lock);
	return powered;
}
