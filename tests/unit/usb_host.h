/* SPDX-License-Identifier: BSD-3-Clause */
/* A host of a virtual USB device, as its tests see it: transfers, CCID messages, a clock of its own.
 * Header only, since Check's macros name the test. */
#ifndef CARDWIRE_TESTS_UNIT_USB_HOST_H
#define CARDWIRE_TESTS_UNIT_USB_HOST_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "spec/ccid.h"
#include "spec/usb.h"
#include "spec/usbip.h"
#include "vreader/bytes.h"
#include "vreader/usb/usb_device.h"

#define MS ((int64_t)1000000)

enum {
	DONE_MAX = 64,
};

/* A host that keeps what comes back. */
struct host {
	struct profile profile;
	struct usb_device *dev;
	struct ccid_device *ccid;
	struct usb_urb *done[DONE_MAX];
	size_t done_count;
	uint32_t seqnum;
	uint8_t seq;
	int64_t now;
	uint8_t msg[70000]; /* last answer */
	size_t msg_len;
};

static inline void on_complete(void *ctx, struct usb_urb *urb)
{
	struct host *h = ctx;

	ck_assert_uint_lt(h->done_count, DONE_MAX);
	h->done[h->done_count++] = urb;
}

static inline struct host *host_new(const struct profile *p)
{
	struct host *h = calloc(1, sizeof(*h));

	ck_assert_ptr_nonnull(h);
	h->profile = *p;
	h->dev = usb_device_new(p);
	ck_assert_ptr_nonnull(h->dev);
	h->ccid = usb_device_ccid(h->dev, 0);
	usb_device_attach(h->dev, on_complete, h);
	h->now = 1000 * MS;
	return h;
}

static inline struct host *host_builtin(const char *name)
{
	struct profile p;

	ck_assert(profile_builtin(name, &p));
	return host_new(&p);
}

static inline void host_free(struct host *h)
{
	usb_device_free(h->dev);
	for (size_t i = 0; i < h->done_count; i++)
		free(h->done[i]);
	free(h);
}

static inline void insert(struct host *h, size_t slot, unsigned protocols)
{
	struct card_options o = card_options_default;

	o.protocols = protocols;
	ck_assert(ccid_insert(h->ccid, slot, card_new(&o, iso_card_new())));
}

static inline struct usb_urb *new_urb(struct host *h, uint8_t ep, const void *data, size_t len)
{
	struct usb_urb *urb = calloc(1, sizeof(*urb) + len);

	ck_assert_ptr_nonnull(urb);
	urb->ep = ep;
	urb->seqnum = ++h->seqnum;
	urb->length = len;
	if (data && len)
		memcpy(urb->data, data, len);
	return urb;
}

static inline uint32_t submit(struct host *h, uint8_t ep, const void *data, size_t len)
{
	struct usb_urb *urb = new_urb(h, ep, data, len);
	uint32_t seqnum = urb->seqnum;

	usb_device_submit(h->dev, urb, h->now);
	return seqnum;
}

/* The ended transfer of that number, NULL when it is under way; the caller frees it. */
static inline struct usb_urb *take(struct host *h, uint32_t seqnum)
{
	for (size_t i = 0; i < h->done_count; i++) {
		struct usb_urb *urb = h->done[i];

		if (urb->seqnum != seqnum)
			continue;
		h->done[i] = h->done[--h->done_count];
		return urb;
	}
	return NULL;
}

static inline uint32_t submit_control(
	struct host *h, uint8_t type, uint8_t request, uint16_t value, uint16_t index, uint16_t len)
{
	struct usb_urb *urb = new_urb(h, type & USB_DIR_IN, NULL, len);
	uint32_t seqnum = urb->seqnum;

	urb->setup[0] = type;
	urb->setup[1] = request;
	put_le16(urb->setup + 2, value);
	put_le16(urb->setup + 4, index);
	put_le16(urb->setup + 6, len);
	usb_device_submit(h->dev, urb, h->now);
	return seqnum;
}

/* Control request; the length of the answer in out, or the negative status. */
static inline int control(struct host *h, uint8_t type, uint8_t request, uint16_t value,
	uint16_t index, uint8_t *out, uint16_t len)
{
	struct usb_urb *urb = take(h, submit_control(h, type, request, value, index, len));
	int result;

	ck_assert_ptr_nonnull(urb);
	result = urb->status ? urb->status : (int)urb->actual;
	if (out && !urb->status)
		memcpy(out, urb->data, urb->actual);
	free(urb);
	return result;
}

static inline void send_message(struct host *h, uint8_t type, uint8_t slot,
	const uint8_t specific[3], const uint8_t *data, size_t len)
{
	static uint8_t msg[70000];
	uint32_t n;

	msg[0] = type;
	put_le32(msg + 1, (uint32_t)len);
	msg[5] = slot;
	msg[6] = ++h->seq;
	memcpy(msg + 7, specific ? specific : (const uint8_t *)"\0\0\0", 3);
	if (len)
		memcpy(msg + 10, data, len);
	n = submit(h, 0x01, msg, 10 + len);
	free(take(h, n));
}

/* Reads one message into h->msg; false when the device has none. */
static inline bool read_message(struct host *h)
{
	uint32_t n = submit(h, 0x81, NULL, sizeof(h->msg));
	struct usb_urb *urb = take(h, n);

	if (!urb) {
		free(usb_device_unlink(h->dev, n));
		return false;
	}
	ck_assert_int_eq(urb->status, 0);
	ck_assert_uint_ge(urb->actual, 10);
	memcpy(h->msg, urb->data, urb->actual);
	h->msg_len = urb->actual;
	ck_assert_uint_eq(get_le32(h->msg + 1), h->msg_len - 10);
	free(urb);
	return true;
}

/* A command and its answer, on slot 0. */
static inline void command(
	struct host *h, uint8_t type, const uint8_t specific[3], const void *data, size_t len)
{
	send_message(h, type, 0, specific, data, len);
	ck_assert(read_message(h));
	ck_assert_uint_eq(h->msg[6], h->seq);
}

static inline void expect_status(struct host *h, uint8_t status, uint8_t error)
{
	ck_assert_msg(h->msg[7] == status && h->msg[8] == error, "bStatus %02X bError %02X",
		h->msg[7], h->msg[8]);
}

/* Lets time pass until the reader has nothing due. */
static inline void run(struct host *h)
{
	int64_t due;

	while ((due = usb_device_deadline(h->dev)) != CCID_NO_DEADLINE) {
		h->now = due;
		usb_device_run(h->dev, h->now);
	}
}

#endif
