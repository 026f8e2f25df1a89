/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/usb_device.h"

#include <stdlib.h>
#include <string.h>

#include "spec/usb.h"
#include "spec/usbip.h"
#include "vreader/bytes.h"

#define MS ((int64_t)1000000)
/* Between time extensions that a fault script makes, ns. */
#define EXTENSION_GAP (100 * MS)

enum {
	/* Answers a reader holds back before it takes no more commands (it NAKs). */
	ANSWERS_MAX = 16,
	ENDPOINTS_MAX = 3 * PROFILE_INTERFACES_MAX,
	/* The largest answer to a control request: a part of a USB ICC's response. */
	CONTROL_MAX = 4096,

	/* A hub's port reset as the kernel's USB/IP client passes it on (USB 2.0 §11.24.2.13). */
	RT_PORT = USB_TYPE_CLASS | USB_RECIP_OTHER,
	PORT_FEATURE_RESET = 4,
};

_Static_assert((int)CONTROL_MAX >= (int)PROFILE_CONFIG_MAX, "control answers");

/* A message on its way to the host. */
struct message {
	struct message *next;
	size_t len;
	size_t sent;
	int64_t due;    /* not before, ns */
	uint32_t again; /* sent so many times more; FAULT_FOREVER: always */
	bool no_zlp;    /* full packets are not followed by an empty one */
	bool stall;     /* stands for a stall of the pipe */
	uint8_t data[];
};

struct endpoint {
	uint8_t address;
	uint8_t type; /* USB_ENDPOINT_XFER_ */
	uint16_t packet;
	bool halted;
	size_t interface;
	struct usb_urb *urbs; /* oldest first */
	struct message *messages;
	size_t message_count;
};

struct function {
	struct usb_device *dev;
	struct ccid_device *ccid;
	uint8_t bulk_out; /* address */
	struct endpoint *bulk_in;
	struct endpoint *interrupt_in;
};

struct usb_device {
	struct profile profile;
	struct function functions[PROFILE_INTERFACES_MAX];
	struct endpoint endpoints[ENDPOINTS_MAX];
	size_t endpoint_count;
	uint8_t configuration;
	int64_t now;                 /* of the call being served, ns */
	struct fault_script *faults; /* NULL: none */
	bool gone;
	usb_complete complete; /* NULL: no host */
	void *complete_ctx;
	struct usb_stats stats;
};

static void finish(struct usb_device *dev, struct usb_urb *urb, int32_t status)
{
	urb->status = status;
	if (status == USBIP_STATUS_EPIPE)
		dev->stats.stalls++;
	if (dev->complete)
		dev->complete(dev->complete_ctx, urb);
	else
		free(urb);
}

static struct endpoint *find_endpoint(struct usb_device *dev, uint8_t address)
{
	for (size_t i = 0; i < dev->endpoint_count; i++)
		if (dev->endpoints[i].address == address)
			return &dev->endpoints[i];
	return NULL;
}

static struct usb_urb *pop_urb(struct endpoint *ep)
{
	struct usb_urb *urb = ep->urbs;

	ep->urbs = urb->next;
	urb->next = NULL;
	return urb;
}

/* --- IN ------------------------------------------------------------------------------------- */

static void drop_messages(struct endpoint *ep)
{
	while (ep->messages) {
		struct message *m = ep->messages;

		ep->messages = m->next;
		free(m);
	}
	ep->message_count = 0;
}

static void drop_first_message(struct endpoint *ep)
{
	struct message *m = ep->messages;

	ep->messages = m->next;
	ep->message_count--;
	free(m);
}

/* The message has been sent: the next one's turn, or the same one's again. */
static void message_sent(struct usb_device *dev, struct endpoint *ep)
{
	struct message *m = ep->messages;

	if (m->again == 0) {
		drop_first_message(ep);
		return;
	}
	if (m->again != FAULT_FOREVER)
		m->again--;
	m->sent = 0;
	m->due = dev->now + EXTENSION_GAP;
}

enum fill {
	FILL_DONE,
	FILL_PART, /* the transfer waits for more packets */
	FILL_OVERFLOW,
};

/* Moves packets of the oldest message into the URB: until a packet is short, which ends the
 * message too, or the URB is full. A message of full packets ends with an empty one. */
static enum fill fill_in(struct usb_device *dev, struct endpoint *ep, struct usb_urb *urb)
{
	struct message *m = ep->messages;

	for (;;) {
		size_t n = m->len - m->sent;

		if (n > ep->packet)
			n = ep->packet;
		if (n > urb->length - urb->actual) {
			drop_first_message(ep);
			return FILL_OVERFLOW;
		}
		memcpy(urb->data + urb->actual, m->data + m->sent, n);
		urb->actual += n;
		m->sent += n;
		if (n < ep->packet) {
			message_sent(dev, ep);
			return FILL_DONE;
		}
		if (m->no_zlp && m->sent == m->len) {
			message_sent(dev, ep);
			return urb->actual == urb->length ? FILL_DONE : FILL_PART;
		}
		if (urb->actual == urb->length)
			return FILL_DONE;
	}
}

static int32_t fill_status(enum fill result, const struct usb_urb *urb)
{
	if (result == FILL_OVERFLOW)
		return USBIP_STATUS_EOVERFLOW;
	if (urb->actual < urb->length && urb->short_not_ok)
		return USBIP_STATUS_EREMOTEIO;
	return USBIP_STATUS_OK;
}

static void stall_endpoint(struct usb_device *dev, struct endpoint *ep)
{
	ep->halted = true;
	while (ep->urbs)
		finish(dev, pop_urb(ep), USBIP_STATUS_EPIPE);
}

static void pump_bulk_in(struct usb_device *dev, struct endpoint *ep)
{
	while (ep->urbs && ep->messages && ep->messages->due <= dev->now) {
		enum fill result;

		if (ep->messages->stall) {
			drop_first_message(ep);
			stall_endpoint(dev, ep);
			return;
		}
		result = fill_in(dev, ep, ep->urbs);
		if (result != FILL_PART) {
			struct usb_urb *urb = pop_urb(ep);

			dev->stats.bulk_in++;
			finish(dev, urb, fill_status(result, urb));
		}
	}
}

/* The length of what goes out instead; 0: nothing. */
static size_t faulty_notification(struct usb_device *dev, uint8_t *packet, size_t len)
{
	struct fault_outcome out;

	fault_apply(dev->faults, RDR_to_PC_NotifySlotChange, packet, len, &out);
	dev->gone |= out.disappear;
	return out.drop || out.disappear ? 0 : out.len;
}

static void pump_interrupt_in(struct usb_device *dev, struct endpoint *ep)
{
	struct ccid_device *ccid = dev->functions[ep->interface].ccid;

	while (ep->urbs) {
		uint8_t packet[PROFILE_INTERRUPT_PACKET + FAULT_BYTES_MAX];
		size_t n = ccid_interrupt_in(ccid, packet, PROFILE_INTERRUPT_PACKET);
		struct usb_urb *urb;

		if (n && dev->faults)
			n = faulty_notification(dev, packet, n);
		if (n == 0)
			return;
		urb = pop_urb(ep);
		dev->stats.interrupt++;
		if (n > urb->length) {
			finish(dev, urb, USBIP_STATUS_EOVERFLOW);
			continue;
		}
		memcpy(urb->data, packet, n);
		urb->actual = n;
		finish(dev, urb, USBIP_STATUS_OK);
	}
}

static struct message *queue_message(
	struct endpoint *ep, const uint8_t *bytes, size_t len, int64_t due)
{
	struct message *m = calloc(1, sizeof(*m) + len), **tail;

	if (!m)
		return NULL; /* the host's deadline deals with it */
	m->len = len;
	m->due = due;
	if (len)
		memcpy(m->data, bytes, len);
	for (tail = &ep->messages; *tail; tail = &(*tail)->next)
		;
	*tail = m;
	ep->message_count++;
	return m;
}

static void queue_extensions(struct endpoint *ep, const struct fault_outcome *out, int64_t due)
{
	uint8_t header[CCID_MSG_HEADER_SIZE];
	struct message *m;

	memcpy(header, out->msg, sizeof(header));
	put_le32(header + CCID_MSG_dwLength, 0);
	header[CCID_MSG_bStatus] =
		(uint8_t)(CCID_COMMAND_TIME_EXTENSION | (header[CCID_MSG_bStatus] & CCID_ICC_MASK));
	header[CCID_MSG_bError] = out->multiplier;
	header[CCID_MSG_bChainParameter] = 0;
	m = queue_message(ep, header, sizeof(header), due);
	if (m)
		m->again = out->extensions == FAULT_FOREVER ? FAULT_FOREVER : out->extensions - 1;
}

/* The message itself, as often and in as many transfers as the script wants. */
static void queue_outcome(struct endpoint *ep, const struct fault_outcome *out, int64_t due)
{
	size_t first = out->split && out->split < out->len ? out->split : out->len;

	for (uint32_t i = 0; i <= out->repeat; i++) {
		struct message *m = queue_message(ep, out->msg, first, due);

		if (m)
			m->no_zlp = out->no_zlp;
		if (first < out->len)
			queue_message(ep, out->msg + first, out->len - first, due);
	}
}

static void faulty_bulk_in(struct function *f, uint8_t command, uint8_t *msg, size_t len)
{
	struct usb_device *dev = f->dev;
	struct fault_outcome out;
	struct message *m;
	int64_t due;

	fault_apply(dev->faults, command, msg, len, &out);
	due = dev->now + out.delay_ms * MS;
	dev->gone |= out.disappear;
	if (out.stall_out)
		stall_endpoint(dev, find_endpoint(dev, f->bulk_out));
	if (out.before_len)
		queue_message(f->bulk_in, out.before, out.before_len, due);
	if (out.extensions && len >= CCID_MSG_HEADER_SIZE)
		queue_extensions(f->bulk_in, &out, due);
	if (out.stall) {
		m = queue_message(f->bulk_in, NULL, 0, due);
		if (m)
			m->stall = true;
	} else if (!out.drop && !out.disappear && out.extensions != FAULT_FOREVER) {
		queue_outcome(f->bulk_in, &out, due);
	}
}

static void host_bulk_in(void *ctx, uint8_t command, const uint8_t *msg, size_t len)
{
	struct function *f = ctx;
	uint8_t *copy;

	if (!f->dev->complete || !f->bulk_in)
		return;
	/* What was on its way when the host aborted is not sent any more (CCID 1.1 §5.3.1). */
	if (command == PC_to_RDR_Abort)
		drop_messages(f->bulk_in);
	if (!f->dev->faults) {
		queue_message(f->bulk_in, msg, len, f->dev->now);
		return;
	}
	copy = malloc(len + FAULT_BYTES_MAX);
	if (!copy)
		return;
	memcpy(copy, msg, len);
	faulty_bulk_in(f, command, copy, len);
	free(copy);
}

static void host_notify(void *ctx)
{
	struct function *f = ctx;

	if (!f->dev->complete)
		return;
	if (f->bulk_in)
		pump_bulk_in(f->dev, f->bulk_in);
	if (f->interrupt_in)
		pump_interrupt_in(f->dev, f->interrupt_in);
}

/* --- OUT ------------------------------------------------------------------------------------ */

static void pump_bulk_out(struct usb_device *dev, struct endpoint *ep, int64_t now)
{
	struct function *f = &dev->functions[ep->interface];

	while (ep->urbs && !ep->halted && f->bulk_in->message_count < ANSWERS_MAX) {
		struct usb_urb *urb = pop_urb(ep);
		bool last = urb->length % ep->packet || urb->length == 0 || urb->zero_packet;

		dev->stats.bulk_out++;
		urb->actual = urb->length;
		ccid_bulk_out(f->ccid, urb->data, urb->length, last, now);
		finish(dev, urb, USBIP_STATUS_OK);
	}
}

/* --- Endpoints ------------------------------------------------------------------------------ */

static void pump(struct usb_device *dev, struct endpoint *ep, int64_t now)
{
	if (ep->halted) {
		stall_endpoint(dev, ep);
		return;
	}
	if (ep->type == USB_ENDPOINT_XFER_INTERRUPT)
		pump_interrupt_in(dev, ep);
	else if (ep->address & USB_DIR_IN)
		pump_bulk_in(dev, ep);
	else
		pump_bulk_out(dev, ep, now);
}

/* Commands first, then answers; and once more, since taking an answer may let a held command in. */
static void pump_interface(struct usb_device *dev, size_t interface, int64_t now)
{
	for (size_t i = 0; i < 2 * dev->endpoint_count; i++) {
		struct endpoint *ep = &dev->endpoints[i % dev->endpoint_count];

		if (ep->interface == interface)
			pump(dev, ep, now);
	}
}

static void reset_endpoints(struct usb_device *dev)
{
	for (size_t i = 0; i < dev->endpoint_count; i++) {
		struct endpoint *ep = &dev->endpoints[i];

		ep->halted = false;
		drop_messages(ep);
	}
}

static void reset_functions(struct usb_device *dev)
{
	reset_endpoints(dev);
	for (size_t i = 0; i < dev->profile.interface_count; i++)
		ccid_reset(dev->functions[i].ccid);
}

/* --- Control pipe --------------------------------------------------------------------------- */

/* A request with its data stage; run() gives the number of answer bytes, or -1 for a stall. */
struct request {
	uint8_t type;
	uint16_t value;
	uint16_t index;
	const uint8_t *setup;
	const uint8_t *data; /* data stage of an OUT request */
	size_t len;
	uint8_t answer[CONTROL_MAX];
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
	reset_functions(dev);
	for (size_t i = 0; i < dev->profile.interface_count; i++)
		pump_interface(dev, i, r->now);
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
		ep = find_endpoint(dev, (uint8_t)r->index);
		if (!ep)
			return -1;
		put_le16(r->answer, ep->halted ? USB_STATUS_ENDPOINT_HALT : 0);
	}
	return 2;
}

static int change_halt(struct usb_device *dev, struct request *r, bool halted)
{
	struct endpoint *ep = find_endpoint(dev, (uint8_t)r->index);

	if (r->value != USB_FEATURE_ENDPOINT_HALT)
		return -1;
	if (!(r->index & USB_ENDPOINT_NUMBER_MASK))
		return 0;
	if (!ep)
		return -1;
	ep->halted = halted;
	pump(dev, ep, r->now);
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
	return ccid_control(dev->functions[i].ccid, r->setup, r->data, r->len, r->answer,
		sizeof(r->answer), r->now);
}

static int port_feature(struct usb_device *dev, struct request *r)
{
	if (r->value != PORT_FEATURE_RESET)
		return -1;
	dev->stats.resets++;
	reset_functions(dev);
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

static int run_request(struct usb_device *dev, struct request *r)
{
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		if (requests[i].type == r->type &&
			(requests[i].request == ANY_REQUEST ||
				requests[i].request == r->setup[USB_SETUP_bRequest]))
			return requests[i].run(dev, r);
	return -1;
}

static void control(struct usb_device *dev, struct usb_urb *urb, int64_t now)
{
	struct request r;
	size_t want = get_le16(urb->setup + USB_SETUP_wLength);
	int n;

	r.type = urb->setup[USB_SETUP_bmRequestType];
	r.setup = urb->setup;
	r.now = now;
	r.data = urb->data;
	r.len = urb->length < want ? urb->length : want;
	r.value = get_le16(urb->setup + USB_SETUP_wValue);
	r.index = get_le16(urb->setup + USB_SETUP_wIndex);
	dev->stats.control++;
	n = run_request(dev, &r);
	if (n < 0) {
		finish(dev, urb, USBIP_STATUS_EPIPE);
		return;
	}
	if (!(r.type & USB_DIR_IN)) {
		urb->actual = urb->length;
		finish(dev, urb, USBIP_STATUS_OK);
		return;
	}
	if (want > urb->length)
		want = urb->length;
	urb->actual = (size_t)n < want ? (size_t)n : want;
	memcpy(urb->data, r.answer, urb->actual);
	finish(dev, urb, USBIP_STATUS_OK);
}

/* --- For the host --------------------------------------------------------------------------- */

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
	f->ccid = ccid_new(intf,
		(struct ccid_host){ .bulk_in = host_bulk_in, .notify = host_notify, .ctx = f });
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
	reset_functions(dev);
}

void usb_device_detach(struct usb_device *dev)
{
	dev->complete = NULL;
	dev->gone = false;
	for (size_t i = 0; i < dev->endpoint_count; i++)
		while (dev->endpoints[i].urbs)
			free(pop_urb(&dev->endpoints[i]));
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
		control(dev, urb, now);
		return;
	}
	ep = dev->configuration ? find_endpoint(dev, urb->ep) : NULL;
	if (!ep) {
		finish(dev, urb, USBIP_STATUS_EPIPE);
		return;
	}
	for (tail = &ep->urbs; *tail; tail = &(*tail)->next)
		;
	*tail = urb;
	pump_interface(dev, ep->interface, now);
}

struct usb_urb *usb_device_unlink(struct usb_device *dev, uint32_t seqnum)
{
	for (size_t i = 0; i < dev->endpoint_count; i++) {
		for (struct usb_urb **p = &dev->endpoints[i].urbs; *p; p = &(*p)->next) {
			struct usb_urb *urb = *p;

			if (urb->seqnum != seqnum)
				continue;
			*p = urb->next;
			return urb;
		}
	}
	return NULL;
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
	for (size_t i = 0; i < dev->profile.interface_count; i++) {
		ccid_run(dev->functions[i].ccid, now);
		pump_interface(dev, i, now);
	}
}

int64_t usb_device_deadline(const struct usb_device *dev)
{
	int64_t due = CCID_NO_DEADLINE;

	for (size_t i = 0; i < dev->profile.interface_count; i++) {
		const struct function *f = &dev->functions[i];
		int64_t one = ccid_deadline(f->ccid);

		if (one < due)
			due = one;
		if (f->bulk_in && f->bulk_in->urbs && f->bulk_in->messages &&
			f->bulk_in->messages->due < due)
			due = f->bulk_in->messages->due;
	}
	return due;
}

const struct usb_stats *usb_device_stats(const struct usb_device *dev)
{
	return &dev->stats;
}
