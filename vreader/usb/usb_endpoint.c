/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/usb/usb_parts.h"

#include <stdlib.h>
#include <string.h>

#include "vreader/replay/replay.h"

#define MS ((int64_t)1000000)
/* Between copies of a message that a fault script repeats, ns. */
#define AGAIN_GAP (100 * MS)

enum {
	/* Answers a reader holds back before it takes no more commands (it NAKs). */
	ANSWERS_MAX = 16,
	/* Two bits a slot behind the message type (CCID 1.1 §6.3.1): more than one packet. */
	NOTIFICATION_MAX = 1 + CCID_SLOTS_MAX / CCID_NOTIFY_SLOTS_PER_BYTE,
};

struct endpoint *endpoint_find(struct usb_device *dev, uint8_t address)
{
	for (size_t i = 0; i < dev->endpoint_count; i++)
		if (dev->endpoints[i].address == address)
			return &dev->endpoints[i];
	return NULL;
}

struct usb_urb *endpoint_pop(struct endpoint *ep)
{
	struct usb_urb *urb = ep->urbs;

	ep->urbs = urb->next;
	urb->next = NULL;
	return urb;
}

void endpoint_drop_messages(struct endpoint *ep)
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
	m->due = dev->now + AGAIN_GAP;
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

void endpoint_stall(struct usb_device *dev, struct endpoint *ep)
{
	ep->halted = true;
	while (ep->urbs)
		usb_finish(dev, endpoint_pop(ep), USBIP_STATUS_EPIPE);
}

static void pump_bulk_in(struct usb_device *dev, struct endpoint *ep)
{
	while (ep->urbs && ep->messages && ep->messages->due <= dev->now) {
		enum fill result;

		if (ep->messages->stall) {
			drop_first_message(ep);
			endpoint_stall(dev, ep);
			return;
		}
		result = fill_in(dev, ep, ep->urbs);
		if (result != FILL_PART) {
			struct usb_urb *urb = endpoint_pop(ep);

			dev->stats.bulk_in++;
			usb_finish(dev, urb, fill_status(result, urb));
		}
	}
}

static void pump_interrupt_in(struct usb_device *dev, struct endpoint *ep)
{
	struct ccid_device *ccid = dev->functions[ep->interface].ccid;

	while (ep->urbs) {
		uint8_t packet[NOTIFICATION_MAX + FAULT_BYTES_MAX];
		size_t n = dev->replay ? replay_event(dev->replay, packet, NOTIFICATION_MAX)
				       : ccid_interrupt_in(ccid, packet, NOTIFICATION_MAX);
		struct usb_urb *urb;

		if (n && dev->faults)
			n = usb_faulty_notification(dev, packet, n);
		if (n == 0)
			return;
		urb = endpoint_pop(ep);
		dev->stats.interrupt++;
		if (n > urb->length) {
			usb_finish(dev, urb, USBIP_STATUS_EOVERFLOW);
			continue;
		}
		memcpy(urb->data, packet, n);
		urb->actual = n;
		usb_finish(dev, urb, USBIP_STATUS_OK);
	}
}

static struct message **queue_end(struct endpoint *ep)
{
	struct message **end = &ep->messages;

	while (*end)
		end = &(*end)->next;
	return end;
}

struct message *endpoint_queue(struct endpoint *ep, const uint8_t *bytes, size_t len, int64_t due)
{
	struct message *m = calloc(1, sizeof(*m) + len);

	if (!m)
		return NULL; /* the host's deadline deals with it */
	m->len = len;
	m->due = due;
	if (len)
		memcpy(m->data, bytes, len);
	*queue_end(ep) = m;
	ep->message_count++;
	return m;
}

/* What was on its way when the host aborted is not sent any more (CCID 1.1 §5.3.1): answers of that
 * slot, unless a part of them has gone already. */
static void drop_answers(struct endpoint *ep, uint8_t slot)
{
	struct message **p = &ep->messages;

	while (*p) {
		struct message *m = *p;

		if (m->slot != slot || m->sent) {
			p = &m->next;
			continue;
		}
		*p = m->next;
		ep->message_count--;
		free(m);
	}
}

/* Queues the answer, or what the device's script makes of it. */
static void queue_answer(struct function *f, uint8_t command, const uint8_t *msg, size_t len)
{
	uint8_t *copy;

	if (!f->dev->faults) {
		endpoint_queue(f->bulk_in, msg, len, f->dev->now);
		return;
	}
	copy = malloc(len + FAULT_BYTES_MAX);
	if (!copy)
		return;
	memcpy(copy, msg, len);
	usb_faulty_bulk_in(f, command, copy, len);
	free(copy);
}

void endpoint_host_bulk_in(void *ctx, uint8_t command, const uint8_t *msg, size_t len)
{
	struct function *f = ctx;
	uint8_t slot = msg[CCID_MSG_bSlot];
	struct message **from;

	if (!f->dev->complete || !f->bulk_in)
		return;
	if (command == PC_to_RDR_Abort)
		drop_answers(f->bulk_in, slot);
	from = queue_end(f->bulk_in);
	queue_answer(f, command, msg, len);
	for (struct message *m = *from; m; m = m->next)
		m->slot = slot;
}

void endpoint_host_notify(void *ctx)
{
	struct function *f = ctx;

	if (!f->dev->complete)
		return;
	if (f->bulk_in)
		pump_bulk_in(f->dev, f->bulk_in);
	if (f->interrupt_in)
		pump_interrupt_in(f->dev, f->interrupt_in);
}

static void replayed(void *ctx, const struct replay_answer *answer)
{
	struct function *f = ctx;
	struct message *m;

	if (answer->vanish)
		f->dev->gone = true;
	if (!f->bulk_in || answer->vanish)
		return;
	m = endpoint_queue(f->bulk_in, answer->bytes, answer->len, f->dev->now);
	if (!m)
		return;
	m->stall = answer->stall;
	m->no_zlp = answer->no_zlp;
}

static void pump_bulk_out(struct usb_device *dev, struct endpoint *ep, int64_t now)
{
	struct function *f = &dev->functions[ep->interface];

	while (ep->urbs && !ep->halted &&
		(!f->bulk_in || f->bulk_in->message_count < ANSWERS_MAX)) {
		struct usb_urb *urb = endpoint_pop(ep);
		bool last = urb->length % ep->packet || urb->length == 0 || urb->zero_packet;

		dev->stats.bulk_out++;
		urb->actual = urb->length;
		if (dev->faults)
			fault_heard(dev->faults, urb->data, urb->length, last);
		if (dev->replay)
			replay_bulk_out(dev->replay, urb->data, urb->length, last, replayed, f);
		else
			ccid_bulk_out(f->ccid, urb->data, urb->length, last, now);
		usb_finish(dev, urb, USBIP_STATUS_OK);
	}
}

void endpoint_pump(struct usb_device *dev, struct endpoint *ep, int64_t now)
{
	if (ep->halted) {
		endpoint_stall(dev, ep);
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
void endpoint_pump_interface(struct usb_device *dev, size_t interface, int64_t now)
{
	for (size_t i = 0; i < 2 * dev->endpoint_count; i++) {
		struct endpoint *ep = &dev->endpoints[i % dev->endpoint_count];

		if (ep->interface == interface)
			endpoint_pump(dev, ep, now);
	}
}

int64_t endpoint_deadline(const struct endpoint *ep)
{
	return ep->urbs && ep->messages ? ep->messages->due : CCID_NO_DEADLINE;
}
