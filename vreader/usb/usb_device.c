/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/usb/usb_parts.h"

#include <stdlib.h>

#include "vreader/replay/replay.h"

void usb_finish(struct usb_device *dev, struct usb_urb *urb, int32_t status)
{
	urb->status = status;
	if (status == USBIP_STATUS_EPIPE)
		dev->stats.stalls++;
	if (dev->complete)
		dev->complete(dev->complete_ctx, urb);
	else
		free(urb);
}

static void reset_endpoints(struct usb_device *dev)
{
	for (size_t i = 0; i < dev->endpoint_count; i++) {
		struct endpoint *ep = &dev->endpoints[i];

		ep->halted = false;
		endpoint_drop_messages(ep);
	}
}

void usb_reset_functions(struct usb_device *dev)
{
	reset_endpoints(dev);
	for (size_t i = 0; i < dev->profile.interface_count; i++)
		if (dev->functions[i].ccid)
			ccid_reset(dev->functions[i].ccid);
}

static struct endpoint *add_endpoint(
	struct usb_device *dev, size_t interface, uint8_t address, uint8_t type, uint16_t packet)
{
	struct endpoint *ep = &dev->endpoints[dev->endpoint_count++];

	ep->address = address;
	ep->type = type;
	ep->packet = packet;
	ep->interface = interface;
	return ep;
}

static bool add_function(struct usb_device *dev, size_t i)
{
	const struct profile_interface *intf = &dev->profile.interfaces[i];
	uint16_t packet = profile_bulk_packet(&dev->profile);
	struct function *f = &dev->functions[i];

	f->dev = dev;
	if (intf->endpoints >= 2) {
		f->bulk_out = profile_bulk_out(i);
		add_endpoint(dev, i, f->bulk_out, USB_ENDPOINT_XFER_BULK, packet);
		f->bulk_in =
			add_endpoint(dev, i, profile_bulk_in(i), USB_ENDPOINT_XFER_BULK, packet);
	}
	if (intf->endpoints == 3 || intf->endpoints == 1)
		f->interrupt_in = add_endpoint(dev, i, profile_interrupt_in(i),
			USB_ENDPOINT_XFER_INTERRUPT, PROFILE_INTERRUPT_PACKET);
	f->ccid = ccid_new(intf, (struct ccid_host){ .bulk_in = endpoint_host_bulk_in,
					 .notify = endpoint_host_notify,
					 .ctx = f });
	return f->ccid;
}

struct usb_device *usb_device_new(const struct profile *profile)
{
	struct usb_device *dev = calloc(1, sizeof(*dev));

	if (!dev)
		return NULL;
	dev->profile = *profile;
	dev->configuration = 1;
	for (size_t i = 0; i < profile->interface_count; i++) {
		if (!add_function(dev, i)) {
			usb_device_free(dev);
			return NULL;
		}
	}
	return dev;
}

struct usb_device *usb_device_new_replay(struct replay *replay)
{
	struct usb_device *dev = calloc(1, sizeof(*dev));
	const struct replay_endpoint *eps;
	size_t count;

	if (!dev)
		return NULL;
	dev->profile = *replay_profile(replay);
	dev->configuration = 1;
	dev->replay = replay;
	dev->functions[0].dev = dev;
	eps = replay_endpoints(replay, &count);
	for (size_t i = 0; i < count; i++) {
		struct endpoint *ep =
			add_endpoint(dev, 0, eps[i].address, eps[i].type, eps[i].packet);

		if (eps[i].type == USB_ENDPOINT_XFER_INTERRUPT)
			dev->functions[0].interrupt_in = ep;
		else if (eps[i].address & USB_DIR_IN)
			dev->functions[0].bulk_in = ep;
	}
	return dev;
}

void usb_device_free(struct usb_device *dev)
{
	if (!dev)
		return;
	usb_device_detach(dev);
	for (size_t i = 0; i < dev->profile.interface_count; i++)
		ccid_free(dev->functions[i].ccid);
	fault_free(dev->faults);
	free(dev);
}

const struct profile *usb_device_profile(const struct usb_device *dev)
{
	return &dev->profile;
}

struct ccid_device *usb_device_ccid(struct usb_device *dev, size_t i)
{
	return i < dev->profile.interface_count ? dev->functions[i].ccid : NULL;
}

void usb_device_attach(struct usb_device *dev, usb_complete complete, void *ctx)
{
	dev->complete = complete;
	dev->complete_ctx = ctx;
	dev->configuration = 1;
	dev->gone = false;
	usb_reset_functions(dev);
}

void usb_device_detach(struct usb_device *dev)
{
	dev->complete = NULL;
	dev->gone = false;
	while (dev->controls) {
		struct usb_urb *urb = dev->controls;

		dev->controls = urb->next;
		free(urb);
	}
	dev->control_done = false;
	for (size_t i = 0; i < dev->endpoint_count; i++)
		while (dev->endpoints[i].urbs)
			free(endpoint_pop(&dev->endpoints[i]));
	reset_endpoints(dev);
	for (size_t i = 0; i < dev->profile.interface_count; i++)
		if (dev->functions[i].ccid)
			ccid_reset(dev->functions[i].ccid);
}

bool usb_device_attached(const struct usb_device *dev)
{
	return dev->complete;
}

void usb_device_submit(struct usb_device *dev, struct usb_urb *urb, int64_t now)
{
	struct endpoint *ep;
	struct usb_urb **tail;

	dev->now = now;
	urb->next = NULL;
	urb->actual = 0;
	if (!(urb->ep & USB_ENDPOINT_NUMBER_MASK)) {
		usb_control_submit(dev, urb);
		return;
	}
	ep = dev->configuration ? endpoint_find(dev, urb->ep) : NULL;
	if (!ep) {
		usb_finish(dev, urb, USBIP_STATUS_EPIPE);
		return;
	}
	for (tail = &ep->urbs; *tail; tail = &(*tail)->next)
		;
	*tail = urb;
	endpoint_pump_interface(dev, ep->interface, now);
}

static struct usb_urb *take(struct usb_urb **list, uint32_t seqnum)
{
	for (struct usb_urb **p = list; *p; p = &(*p)->next) {
		struct usb_urb *urb = *p;

		if (urb->seqnum != seqnum)
			continue;
		*p = urb->next;
		return urb;
	}
	return NULL;
}

struct usb_urb *usb_device_unlink(struct usb_device *dev, uint32_t seqnum)
{
	struct usb_urb *oldest = dev->controls, *urb = take(&dev->controls, seqnum);

	if (urb && urb == oldest) {
		/* What waited behind it runs with usb_device_run(), at once. */
		dev->control_done = false;
		dev->control_due = 0;
	}
	for (size_t i = 0; !urb && i < dev->endpoint_count; i++)
		urb = take(&dev->endpoints[i].urbs, seqnum);
	return urb;
}

void usb_device_set_faults(struct usb_device *dev, struct fault_script *script)
{
	fault_free(dev->faults);
	dev->faults = script;
}

bool usb_device_gone(const struct usb_device *dev)
{
	return dev->gone;
}

void usb_device_run(struct usb_device *dev, int64_t now)
{
	dev->now = now;
	usb_control_pump(dev);
	for (size_t i = 0; i < dev->profile.interface_count; i++) {
		if (dev->functions[i].ccid)
			ccid_run(dev->functions[i].ccid, now);
		endpoint_pump_interface(dev, i, now);
	}
}

/* Its events are due when the script has come to them. */
static int64_t replay_deadline(const struct usb_device *dev)
{
	const struct endpoint *ep = dev->functions[0].interrupt_in;

	return ep && ep->urbs && replay_event_due(dev->replay) ? 0 : CCID_NO_DEADLINE;
}

int64_t usb_device_deadline(const struct usb_device *dev)
{
	int64_t due = dev->controls ? dev->control_due : CCID_NO_DEADLINE;

	for (size_t i = 0; i < dev->profile.interface_count; i++) {
		const struct function *f = &dev->functions[i];
		int64_t one = f->ccid ? ccid_deadline(f->ccid) : replay_deadline(dev);

		if (one < due)
			due = one;
		if (f->bulk_in && endpoint_deadline(f->bulk_in) < due)
			due = endpoint_deadline(f->bulk_in);
	}
	return due;
}

const struct usb_stats *usb_device_stats(const struct usb_device *dev)
{
	return &dev->stats;
}
