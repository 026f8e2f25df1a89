/* SPDX-License-Identifier: BSD-3-Clause */
/* The device of a recording: its descriptors, and the interface that was used. */
#include <stdio.h>
#include <string.h>

#include "spec/usb.h"
#include "vreader/bytes.h"
#include "vreader/replay/replay_private.h"

bool replay_is_class_request(const uint8_t setup[8])
{
	return (setup[USB_SETUP_bmRequestType] & USB_TYPE_MASK) == USB_TYPE_CLASS &&
	       (setup[USB_SETUP_bmRequestType] & USB_RECIP_MASK) == USB_RECIP_INTERFACE;
}

/* Standard requests are answered whenever they come. */
static void find_descriptors(struct replay *r)
{
	for (size_t i = 0; i < r->script->count; i++) {
		struct script_step *step = replay_step(r, i);
		uint8_t type = step->entry.setup[USB_SETUP_wValue + 1];

		if (step->entry.kind != RECORDING_CONTROL ||
			replay_is_class_request(step->entry.setup))
			continue;
		step->done = true;
		if (step->entry.setup[USB_SETUP_bRequest] != USB_REQ_GET_DESCRIPTOR ||
			step->entry.status != RECORDING_OK)
			continue;
		if (type == USB_DT_DEVICE && step->entry.len >= USB_DEVICE_SIZE)
			r->device = &step->entry;
		if (type == USB_DT_CONFIGURATION && step->entry.len >= USB_CONFIG_SIZE)
			r->configuration = &step->entry;
	}
}

/* An endpoint or control request that the recording is about; 0: none, any interface will do. */
static uint8_t endpoint_in_use(const struct replay *r)
{
	for (size_t i = 0; i < r->script->count; i++)
		if (replay_step(r, i)->entry.kind == RECORDING_OUT)
			return replay_step(r, i)->entry.endpoint;
	return 0;
}

static void take_interface(struct replay *r, const uint8_t *bytes)
{
	struct profile_interface *intf = &r->profile.interfaces[0];

	r->profile.interface_count = 1;
	r->endpoint_count = 0;
	intf->number = bytes[USB_INTERFACE_bInterfaceNumber];
	intf->cls = bytes[USB_INTERFACE_bInterfaceClass];
	intf->subclass = bytes[USB_INTERFACE_bInterfaceSubClass];
	intf->protocol = bytes[USB_INTERFACE_bInterfaceProtocol];
}

static void take_endpoint(struct replay *r, const uint8_t *bytes)
{
	struct replay_endpoint *ep = &r->endpoints[r->endpoint_count];

	if (r->endpoint_count == REPLAY_ENDPOINTS_MAX)
		return;
	ep->address = bytes[USB_ENDPOINT_bEndpointAddress];
	ep->type = bytes[USB_ENDPOINT_bmAttributes] & USB_ENDPOINT_XFER_MASK;
	ep->packet = get_le16(bytes + USB_ENDPOINT_wMaxPacketSize) & 0x7FF;
	if (ep->packet > 0 &&
		(ep->type == USB_ENDPOINT_XFER_BULK || ep->type == USB_ENDPOINT_XFER_INTERRUPT))
		r->endpoint_count++;
}

static bool has_endpoint(const struct replay *r, uint8_t address)
{
	for (size_t i = 0; i < r->endpoint_count; i++)
		if (r->endpoints[i].address == address)
			return true;
	return address == 0;
}

/* The interface that was used, by walking through the configuration. */
static bool find_interface(struct replay *r)
{
	uint8_t wanted = endpoint_in_use(r);
	const struct recording_entry *c = r->configuration;

	for (size_t at = 0; at + 2 <= c->len && c->data[at] >= 2 && at + c->data[at] <= c->len;
		at += c->data[at]) {
		uint8_t type = c->data[at + USB_DESC_bDescriptorType];

		if (type == USB_DT_INTERFACE && c->data[at] >= USB_INTERFACE_SIZE) {
			if (r->profile.interface_count && has_endpoint(r, wanted) &&
				(wanted || r->endpoint_count))
				return true;
			take_interface(r, c->data + at);
		} else if (type == USB_DT_ENDPOINT && c->data[at] >= USB_ENDPOINT_SIZE) {
			take_endpoint(r, c->data + at);
		}
	}
	return r->profile.interface_count && has_endpoint(r, wanted);
}

bool replay_find_device(struct replay *r, char *why, size_t why_size)
{
	find_descriptors(r);
	if (!r->device || !r->configuration) {
		snprintf(why, why_size, "the descriptors of the device are not in it");
		return false;
	}
	r->profile.vid = get_le16(r->device->data + USB_DEVICE_idVendor);
	r->profile.pid = get_le16(r->device->data + USB_DEVICE_idProduct);
	r->profile.bcd = get_le16(r->device->data + USB_DEVICE_bcdDevice);
	if (find_interface(r))
		return true;
	snprintf(why, why_size, "the endpoints that were used are not in its descriptors");
	return false;
}

int replay_standard_answer(const struct replay *r, const uint8_t setup[8], uint8_t *in, size_t cap)
{
	const struct recording_entry *found = NULL;

	if (setup[USB_SETUP_bmRequestType] != USB_DIR_IN ||
		setup[USB_SETUP_bRequest] != USB_REQ_GET_DESCRIPTOR)
		return REPLAY_NOT_MINE;
	for (size_t i = 0; i < r->script->count; i++) {
		const struct recording_entry *entry = &replay_step(r, i)->entry;

		if (entry->kind == RECORDING_CONTROL && entry->status == RECORDING_OK &&
			memcmp(entry->setup, setup, 4) == 0 && (!found || entry->len > found->len))
			found = entry;
	}
	if (!found)
		return -1;
	if (found->len < cap)
		cap = found->len;
	if (cap)
		memcpy(in, found->data, cap);
	return (int)cap;
}
