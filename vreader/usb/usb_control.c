/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/usb/usb_parts.h"

#include <string.h>

#include "vreader/bytes.h"
#include "vreader/replay/replay.h"

enum {
	/* The largest answer to a control request: a part of a USB ICC's response. */
	CONTROL_MAX = 4096,

	/* A hub's port reset as the kernel's USB/IP client passes it on (USB 2.0 §11.24.2.13). */
	RT_PORT = USB_TYPE_CLASS | USB_RECIP_OTHER,
	PORT_FEATURE_RESET = 4,
};

_Static_assert((int)CONTROL_MAX >= (int)PROFILE_CONFIG_MAX, "control answers");

/* A request with its data stage; run() gives the number of answer bytes, or -1 for a stall. */
struct request {
	uint8_t type;
	uint16_t value;
	uint16_t index;
	const uint8_t *setup;
	const uint8_t *data; /* data stage of an OUT request */
	size_t len;
	uint8_t answer[CONTROL_MAX + FAULT_BYTES_MAX];
	int64_t now;
};

typedef int (*request_handler)(struct usb_device *dev, struct request *r);

static int get_descriptor(struct usb_device *dev, struct request *r)
{
	size_t n = 0;
	uint8_t index = (uint8_t)r->value;

	switch (r->value >> 8) {
	case USB_DT_DEVICE:
		n = profile_device_descriptor(&dev->profile, r->answer);
		break;
	case USB_DT_CONFIGURATION:
		n = index == 0 ? profile_config_descriptor(&dev->profile, r->answer) : 0;
		break;
	case USB_DT_STRING:
		n = profile_string_descriptor(&dev->profile, index, r->answer);
		break;
	case USB_DT_DEVICE_QUALIFIER:
		n = profile_qualifier_descriptor(&dev->profile, r->answer);
		break;
	default:
		break;
	}
	return n ? (int)n : -1;
}

static int get_configuration(struct usb_device *dev, struct request *r)
{
	r->answer[0] = dev->configuration;
	return 1;
}

static int set_configuration(struct usb_device *dev, struct request *r)
{
	if (r->value > 1)
		return -1;
	dev->configuration = (uint8_t)r->value;
	usb_reset_functions(dev);
	for (size_t i = 0; i < dev->profile.interface_count; i++)
		endpoint_pump_interface(dev, i, r->now);
	return 0;
}

static int find_interface(const struct usb_device *dev, uint16_t number)
{
	for (size_t i = 0; i < dev->profile.interface_count; i++)
		if (dev->profile.interfaces[i].number == (number & 0xFF))
			return (int)i;
	return -1;
}

static int get_interface(struct usb_device *dev, struct request *r)
{
	r->answer[0] = 0;
	return find_interface(dev, r->index) < 0 ? -1 : 1;
}

/* There is one setting; choosing it starts the endpoints afresh (USB 2.0 §9.1.1.5). */
static int set_interface(struct usb_device *dev, struct request *r)
{
	int i = find_interface(dev, r->index);

	if (i < 0 || r->value)
		return -1;
	for (size_t e = 0; e < dev->endpoint_count; e++)
		if (dev->endpoints[e].interface == (size_t)i)
			dev->endpoints[e].halted = false;
	return 0;
}

static int get_status(struct usb_device *dev, struct request *r)
{
	const struct endpoint *ep;
	uint8_t recipient = r->type & USB_RECIP_MASK;

	put_le16(r->answer, 0);
	if (recipient == USB_RECIP_INTERFACE && find_interface(dev, r->index) < 0)
		return -1;
	if (recipient == USB_RECIP_ENDPOINT && (r->index & USB_ENDPOINT_NUMBER_MASK)) {
		ep = endpoint_find(dev, (uint8_t)r->index);
		if (!ep)
			return -1;
		put_le16(r->answer, ep->halted ? USB_STATUS_ENDPOINT_HALT : 0);
	}
	return 2;
}

static int change_halt(struct usb_device *dev, struct request *r, bool halted)
{
	struct endpoint *ep = endpoint_find(dev, (uint8_t)r->index);

	if (r->value != USB_FEATURE_ENDPOINT_HALT)
		return -1;
	if (!(r->index & USB_ENDPOINT_NUMBER_MASK))
		return 0;
	if (!ep)
		return -1;
	ep->halted = halted;
	endpoint_pump(dev, ep, r->now);
	return 0;
}

static int clear_endpoint_feature(struct usb_device *dev, struct request *r)
{
	return change_halt(dev, r, false);
}

static int set_endpoint_feature(struct usb_device *dev, struct request *r)
{
	return change_halt(dev, r, true);
}

static int class_request(struct usb_device *dev, struct request *r)
{
	int i = find_interface(dev, r->index);

	if (i < 0)
		return -1;
	return ccid_control(
		dev->functions[i].ccid, r->setup, r->data, r->len, r->answer, CONTROL_MAX, r->now);
}

static int port_feature(struct usb_device *dev, struct request *r)
{
	if (r->value != PORT_FEATURE_RESET)
		return -1;
	dev->stats.resets++;
	if (dev->faults)
		fault_reset(dev->faults);
	usb_reset_functions(dev);
	return 0;
}

enum {
	ANY_REQUEST = -1,
};

static const struct {
	int type; /* bmRequestType */
	int request;
	request_handler run;
} requests[] = {
	{ USB_DIR_IN | USB_RECIP_DEVICE, USB_REQ_GET_DESCRIPTOR, get_descriptor },
	{ USB_DIR_IN | USB_RECIP_DEVICE, USB_REQ_GET_CONFIGURATION, get_configuration },
	{ USB_DIR_OUT | USB_RECIP_DEVICE, USB_REQ_SET_CONFIGURATION, set_configuration },
	{ USB_DIR_IN | USB_RECIP_INTERFACE, USB_REQ_GET_INTERFACE, get_interface },
	{ USB_DIR_OUT | USB_RECIP_INTERFACE, USB_REQ_SET_INTERFACE, set_interface },
	{ USB_DIR_IN | USB_RECIP_DEVICE, USB_REQ_GET_STATUS, get_status },
	{ USB_DIR_IN | USB_RECIP_INTERFACE, USB_REQ_GET_STATUS, get_status },
	{ USB_DIR_IN | USB_RECIP_ENDPOINT, USB_REQ_GET_STATUS, get_status },
	{ USB_DIR_OUT | USB_RECIP_ENDPOINT, USB_REQ_CLEAR_FEATURE, clear_endpoint_feature },
	{ USB_DIR_OUT | USB_RECIP_ENDPOINT, USB_REQ_SET_FEATURE, set_endpoint_feature },
	{ USB_DIR_OUT | USB_TYPE_CLASS | USB_RECIP_INTERFACE, ANY_REQUEST, class_request },
	{ USB_DIR_IN | USB_TYPE_CLASS | USB_RECIP_INTERFACE, ANY_REQUEST, class_request },
	{ USB_DIR_OUT | RT_PORT, USB_REQ_SET_FEATURE, port_feature },
};

/* A device that is no reader before a request of its own makes it leave the bus. */
static bool switches(const struct usb_device *dev, const struct request *r)
{
	const struct profile_switch *s = &dev->profile.mode_switch;

	return s->len > 0 && s->len == USB_SETUP_SIZE + r->len &&
	       memcmp(r->setup, s->request, USB_SETUP_SIZE) == 0 &&
	       memcmp(r->data, s->request + USB_SETUP_SIZE, r->len) == 0;
}

static void become_reader(struct usb_device *dev)
{
	dev->profile.pid = dev->profile.mode_switch.pid;
	dev->profile.mode_switch.len = 0;
	for (size_t i = 0; i < dev->profile.interface_count; i++)
		dev->profile.interfaces[i].cls = CCID_INTERFACE_CLASS;
	dev->gone = true;
}

static int run_request(struct usb_device *dev, struct request *r)
{
	int n = dev->replay ? replay_control(dev->replay, r->setup, r->data, r->len, r->answer,
				      CONTROL_MAX)
			    : REPLAY_NOT_MINE;

	if (n != REPLAY_NOT_MINE)
		return n;
	if (switches(dev, r)) {
		become_reader(dev);
		return 0;
	}
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		if (requests[i].type == r->type &&
			(requests[i].request == ANY_REQUEST ||
				requests[i].request == r->setup[USB_SETUP_bRequest]))
			return requests[i].run(dev, r);
	return -1;
}

/* Runs the request; the URB has its result, to be handed back at control_due. */
static void run(struct usb_device *dev, struct usb_urb *urb)
{
	struct request r;
	size_t want = get_le16(urb->setup + USB_SETUP_wLength);
	int n;

	if (want > urb->length)
		want = urb->length;
	r.type = urb->setup[USB_SETUP_bmRequestType];
	r.setup = urb->setup;
	r.now = dev->now;
	r.data = urb->data;
	r.len = want;
	r.value = get_le16(urb->setup + USB_SETUP_wValue);
	r.index = get_le16(urb->setup + USB_SETUP_wIndex);
	dev->stats.control++;
	dev->control_due = dev->now;
	n = run_request(dev, &r);
	if (n < 0)
		n = USBIP_STATUS_EPIPE;
	else if ((size_t)n > want)
		n = (int)want;
	if (n >= 0 && dev->faults)
		n = usb_faulty_control(dev, urb->setup, r.answer, (size_t)n, want);
	urb->status = n < 0 ? n : USBIP_STATUS_OK;
	if (n < 0)
		return;
	if (!(r.type & USB_DIR_IN)) {
		urb->actual = urb->length;
		return;
	}
	urb->actual = (size_t)n;
	memcpy(urb->data, r.answer, urb->actual);
}

void usb_control_pump(struct usb_device *dev)
{
	while (dev->controls) {
		struct usb_urb *urb = dev->controls;

		if (!dev->control_done)
			run(dev, urb);
		dev->control_done = true;
		if (dev->control_due > dev->now)
			return;
		dev->controls = urb->next;
		dev->control_done = false;
		urb->next = NULL;
		usb_finish(dev, urb, urb->status);
	}
}

void usb_control_submit(struct usb_device *dev, struct usb_urb *urb)
{
	struct usb_urb **tail;

	for (tail = &dev->controls; *tail; tail = &(*tail)->next)
		;
	*tail = urb;
	usb_control_pump(dev);
}
