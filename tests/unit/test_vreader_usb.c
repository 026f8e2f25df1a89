/* SPDX-License-Identifier: BSD-3-Clause */
/* The virtual USB device and the reader in it: descriptors, packets, stalls, CCID messages. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "suite.h"
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

static void on_complete(void *ctx, struct usb_urb *urb)
{
	struct host *h = ctx;

	ck_assert_uint_lt(h->done_count, DONE_MAX);
	h->done[h->done_count++] = urb;
}

static struct host *host_new(const struct profile *p)
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

static struct host *host_builtin(const char *name)
{
	struct profile p;

	ck_assert(profile_builtin(name, &p));
	return host_new(&p);
}

static void host_free(struct host *h)
{
	usb_device_free(h->dev);
	for (size_t i = 0; i < h->done_count; i++)
		free(h->done[i]);
	free(h);
}

static void insert(struct host *h, size_t slot, unsigned protocols)
{
	struct card_options o = card_options_default;

	o.protocols = protocols;
	ck_assert(ccid_insert(h->ccid, slot, card_new(&o, iso_card_new())));
}

static struct usb_urb *new_urb(struct host *h, uint8_t ep, const void *data, size_t len)
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

static uint32_t submit(struct host *h, uint8_t ep, const void *data, size_t len)
{
	struct usb_urb *urb = new_urb(h, ep, data, len);
	uint32_t seqnum = urb->seqnum;

	usb_device_submit(h->dev, urb, h->now);
	return seqnum;
}

/* The ended transfer of that number, NULL when it is under way; the caller frees it. */
static struct usb_urb *take(struct host *h, uint32_t seqnum)
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

static uint32_t submit_control(
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
static int control(struct host *h, uint8_t type, uint8_t request, uint16_t value, uint16_t index,
	uint8_t *out, uint16_t len)
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

static void send_message(struct host *h, uint8_t type, uint8_t slot, const uint8_t specific[3],
	const uint8_t *data, size_t len)
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
static bool read_message(struct host *h)
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
static void command(
	struct host *h, uint8_t type, const uint8_t specific[3], const void *data, size_t len)
{
	send_message(h, type, 0, specific, data, len);
	ck_assert(read_message(h));
	ck_assert_uint_eq(h->msg[6], h->seq);
}

static void expect_status(struct host *h, uint8_t status, uint8_t error)
{
	ck_assert_msg(h->msg[7] == status && h->msg[8] == error, "bStatus %02X bError %02X",
		h->msg[7], h->msg[8]);
}

/* Lets time pass until the reader has nothing due. */
static void run(struct host *h)
{
	int64_t due;

	while ((due = usb_device_deadline(h->dev)) != CCID_NO_DEADLINE) {
		h->now = due;
		usb_device_run(h->dev, h->now);
	}
}

/* --- Descriptors */

START_TEST(test_descriptors)
{
	struct host *h = host_builtin("extended");
	uint8_t d[1024];
	int n;

	ck_assert_int_eq(control(h, 0x80, 6, 0x0100, 0, d, 8), 8);
	ck_assert_int_eq(control(h, 0x80, 6, 0x0100, 0, d, 64), 18);
	ck_assert_uint_eq(d[0], 18);
	ck_assert_uint_eq(get_le16(d + USB_DEVICE_idVendor), 0x1209);
	ck_assert_int_eq(control(h, 0x80, 6, 0x0200, 0, d, 9), 9);
	ck_assert_uint_eq(get_le16(d + 2), 93);
	n = control(h, 0x80, 6, 0x0200, 0, d, sizeof(d));
	ck_assert_int_eq(n, 93);
	/* Every descriptor follows the one before it, and the class descriptor its interface. */
	for (int at = 0, expect = 0; at < n; at += d[at], expect++) {
		static const uint8_t types[] = { 2, 4, 0x21, 5, 5, 5 };

		ck_assert_int_lt(expect, (int)sizeof(types));
		ck_assert_uint_eq(d[at + 1], types[expect]);
	}
	ck_assert_int_eq(control(h, 0x80, 6, 0x0201, 0, d, 9), USBIP_STATUS_EPIPE);
	ck_assert_int_eq(control(h, 0x80, 6, 0x0300, 0, d, 255), 4);
	ck_assert_int_eq(control(h, 0x80, 6, 0x0301, 0x409, d, 255), 2 + 2 * 8);
	ck_assert_mem_eq(d + 2, "C\0a\0r\0d\0", 8);
	ck_assert_int_eq(control(h, 0x80, 6, 0x0304, 0x409, d, 255), 2 + 2 * 4);
	ck_assert_int_eq(control(h, 0x80, 6, 0x0305, 0x409, d, 255), USBIP_STATUS_EPIPE);
	ck_assert_int_eq(control(h, 0x80, 6, 0x0600, 0, d, 10), USBIP_STATUS_EPIPE);
	host_free(h);
}
END_TEST

START_TEST(test_high_speed_and_other_forms)
{
	struct profile p;
	struct host *h;
	uint8_t d[1024];

	ck_assert(!profile_builtin("none", &p));
	ck_assert(profile_builtin("tpdu", &p));
	p.high_speed = true;
	p.interface_count = 2;
	p.interfaces[1] = p.interfaces[0];
	p.interfaces[1].number = 3;
	p.interfaces[1].endpoints = 2;
	p.interfaces[1].place = PLACE_AFTER_ENDPOINTS;
	h = host_new(&p);
	ck_assert_int_eq(control(h, 0x80, 6, 0x0600, 0, d, 10), 10);
	ck_assert_int_eq(control(h, 0x80, 6, 0x0200, 0, d, 1024), 9 + 9 + 54 + 21 + 9 + 14 + 54);
	ck_assert_uint_eq(d[4], 2);
	ck_assert_uint_eq(get_le16(d + 9 + 9 + 54 + USB_ENDPOINT_wMaxPacketSize), 512);
	ck_assert_uint_eq(d[93 + 2], 3);
	ck_assert_uint_eq(d[93 + 9 + USB_ENDPOINT_bEndpointAddress], 0x03);
	ck_assert_uint_eq(d[93 + 9 + 14 + 1], 0x21);
	ck_assert_ptr_nonnull(usb_device_ccid(h->dev, 1));
	ck_assert_ptr_null(usb_device_ccid(h->dev, 2));
	host_free(h);
}
END_TEST

START_TEST(test_control_requests)
{
	struct host *h = host_builtin("extended");
	uint8_t d[64];

	ck_assert_int_eq(control(h, 0x80, USB_REQ_GET_CONFIGURATION, 0, 0, d, 1), 1);
	ck_assert_uint_eq(d[0], 1);
	ck_assert_int_eq(
		control(h, 0x00, USB_REQ_SET_CONFIGURATION, 2, 0, NULL, 0), USBIP_STATUS_EPIPE);
	ck_assert_int_eq(control(h, 0x00, USB_REQ_SET_CONFIGURATION, 1, 0, NULL, 0), 0);
	ck_assert_int_eq(control(h, 0x01, USB_REQ_SET_INTERFACE, 0, 0, NULL, 0), 0);
	ck_assert_int_eq(
		control(h, 0x01, USB_REQ_SET_INTERFACE, 1, 0, NULL, 0), USBIP_STATUS_EPIPE);
	ck_assert_int_eq(control(h, 0x81, USB_REQ_GET_INTERFACE, 0, 0, d, 1), 1);
	ck_assert_int_eq(control(h, 0x81, USB_REQ_GET_INTERFACE, 0, 7, d, 1), USBIP_STATUS_EPIPE);
	ck_assert_int_eq(control(h, 0x80, USB_REQ_GET_STATUS, 0, 0, d, 2), 2);
	ck_assert_int_eq(
		control(h, 0xA1, CCID_REQ_GET_DATA_RATES, 0, 0, d, 64), USBIP_STATUS_EPIPE);
	ck_assert_int_eq(control(h, 0xC0, 0x55, 0, 0, d, 64), USBIP_STATUS_EPIPE);
	ck_assert_int_eq(control(h, 0x21, CCID_REQ_ABORT, 0x0105, 0, NULL, 0), USBIP_STATUS_EPIPE);
	host_free(h);
}
END_TEST

START_TEST(test_lists)
{
	struct profile p;
	struct host *h;
	uint8_t d[64];

	ck_assert(profile_builtin("tpdu", &p));
	p.interfaces[0].clock_count = 2;
	p.interfaces[0].clocks[0] = 4000;
	p.interfaces[0].clocks[1] = 0x01020304;
	p.interfaces[0].rate_count = 1;
	p.interfaces[0].rates[0] = 9600;
	h = host_new(&p);
	ck_assert_int_eq(control(h, 0xA1, CCID_REQ_GET_CLOCK_FREQUENCIES, 0, 0, d, 64), 8);
	ck_assert_mem_eq(d, "\xA0\x0F\x00\x00\x04\x03\x02\x01", 8);
	ck_assert_int_eq(control(h, 0xA1, CCID_REQ_GET_DATA_RATES, 0, 0, d, 64), 4);
	ck_assert_int_eq(control(h, 0xA1, CCID_REQ_GET_DATA_RATES, 0, 0, d, 2), 2);
	host_free(h);
}
END_TEST

/* --- Endpoints */

START_TEST(test_halt)
{
	struct host *h = host_builtin("extended");
	uint32_t parked = submit(h, 0x81, NULL, 64), n;
	struct usb_urb *urb;
	uint8_t d[2];

	ck_assert_ptr_null(take(h, parked));
	ck_assert_int_eq(control(h, 0x02, USB_REQ_SET_FEATURE, 0, 0x81, NULL, 0), 0);
	urb = take(h, parked);
	ck_assert_ptr_nonnull(urb);
	ck_assert_int_eq(urb->status, USBIP_STATUS_EPIPE);
	free(urb);
	ck_assert_int_eq(control(h, 0x82, USB_REQ_GET_STATUS, 0, 0x81, d, 2), 2);
	ck_assert_uint_eq(d[0], 1);
	n = submit(h, 0x81, NULL, 64);
	urb = take(h, n);
	ck_assert_int_eq(urb->status, USBIP_STATUS_EPIPE);
	free(urb);
	ck_assert_int_eq(control(h, 0x02, USB_REQ_CLEAR_FEATURE, 0, 0x81, NULL, 0), 0);
	command(h, PC_to_RDR_GetSlotStatus, NULL, NULL, 0);
	expect_status(h, 2, 0);
	ck_assert_int_eq(
		control(h, 0x02, USB_REQ_CLEAR_FEATURE, 0, 0x85, NULL, 0), USBIP_STATUS_EPIPE);
	host_free(h);
}
END_TEST

START_TEST(test_in_packets)
{
	struct host *h = host_builtin("extended");
	uint8_t pattern[] = { 0x80, 0xED, 0, 0, 0 };
	struct usb_urb *urb;
	uint32_t n;

	insert(h, 0, CARD_T1);
	command(h, PC_to_RDR_IccPowerOn, NULL, NULL, 0);
	/* 10 + 52 + 2 is one full packet: it is followed by an empty one. */
	pattern[3] = pattern[4] = 52;
	send_message(h, PC_to_RDR_XfrBlock, 0, NULL, pattern, 5);
	n = submit(h, 0x81, NULL, 64);
	urb = take(h, n);
	ck_assert_uint_eq(urb->actual, 64);
	free(urb);
	n = submit(h, 0x81, NULL, 64);
	urb = take(h, n);
	ck_assert_ptr_nonnull(urb);
	ck_assert_uint_eq(urb->actual, 0);
	free(urb);
	/* In a longer transfer the empty packet ends it. */
	send_message(h, PC_to_RDR_XfrBlock, 0, NULL, pattern, 5);
	ck_assert(read_message(h));
	ck_assert_uint_eq(h->msg_len, 64);
	/* Three transfers of one packet each. */
	pattern[3] = pattern[4] = 150;
	send_message(h, PC_to_RDR_XfrBlock, 0, NULL, pattern, 5);
	for (int i = 0; i < 3; i++) {
		n = submit(h, 0x81, NULL, 64);
		urb = take(h, n);
		ck_assert_uint_eq(urb->actual, i < 2 ? 64 : 34);
		free(urb);
	}
	/* A packet that does not fit is an overflow. */
	send_message(h, PC_to_RDR_XfrBlock, 0, NULL, pattern, 5);
	n = submit(h, 0x81, NULL, 100);
	urb = take(h, n);
	ck_assert_int_eq(urb->status, USBIP_STATUS_EOVERFLOW);
	free(urb);
	ck_assert(!read_message(h));
	host_free(h);
}
END_TEST

START_TEST(test_out_packets)
{
	struct host *h = host_builtin("short");
	uint8_t msg[128] = { PC_to_RDR_XfrBlock, 118, 0, 0, 0, 0, 9 };

	insert(h, 0, CARD_T1);
	command(h, PC_to_RDR_IccPowerOn, NULL, NULL, 0);
	memcpy(msg + 10, "\x80\xEC\0\0\x70", 5);
	msg[127] = 0;
	/* Two full packets in two transfers, and a stray empty one after it. */
	free(take(h, submit(h, 0x01, msg, 64)));
	ck_assert(!read_message(h));
	free(take(h, submit(h, 0x01, msg + 64, 64)));
	free(take(h, submit(h, 0x01, NULL, 0)));
	ck_assert(read_message(h));
	expect_status(h, 0, 0);
	ck_assert_uint_eq(h->msg_len, 10 + 112 + 2);
	/* Ends too early, too late, or before there is a header. */
	free(take(h, submit(h, 0x01, msg, 100)));
	ck_assert(read_message(h));
	expect_status(h, 0x40, 1);
	msg[1] = 20;
	free(take(h, submit(h, 0x01, msg, 31)));
	ck_assert(read_message(h));
	expect_status(h, 0x40, 1);
	free(take(h, submit(h, 0x01, msg, 9)));
	ck_assert(!read_message(h));
	/* More than the reader can hold. */
	put_le32(msg + 1, 0xFFFFFFFF);
	for (int i = 0; i < 4; i++)
		free(take(h, submit(h, 0x01, msg, 128)));
	ck_assert(!read_message(h));
	free(take(h, submit(h, 0x01, msg, 1)));
	ck_assert(read_message(h));
	expect_status(h, 0x40, 1);
	command(h, PC_to_RDR_GetSlotStatus, NULL, NULL, 0);
	expect_status(h, 0, 0);
	host_free(h);
}
END_TEST

START_TEST(test_out_waits_for_answers_to_be_read)
{
	struct host *h = host_builtin("short");
	uint8_t msg[10] = { PC_to_RDR_GetSlotStatus };
	uint32_t first = 0, n = 0;

	for (int i = 0; i < 20; i++) {
		msg[6] = (uint8_t)i;
		n = submit(h, 0x01, msg, 10);
		if (i == 0)
			first = n;
	}
	free(take(h, first));
	ck_assert_ptr_null(take(h, n));
	for (int i = 0; i < 20; i++) {
		ck_assert(read_message(h));
		ck_assert_int_eq(h->msg[6], i);
	}
	ck_assert(!read_message(h));
	host_free(h);
}
END_TEST

START_TEST(test_notifications)
{
	struct host *h = host_builtin("extended");
	uint32_t n = submit(h, 0x82, NULL, 8);
	struct usb_urb *urb;

	ck_assert_ptr_null(take(h, n));
	insert(h, 0, CARD_T0);
	urb = take(h, n);
	ck_assert_ptr_nonnull(urb);
	ck_assert_uint_eq(urb->actual, 2);
	ck_assert_mem_eq(urb->data, "\x50\x03", 2);
	free(urb);
	/* Without a reader of the pipe the last state is kept, and told once. */
	ck_assert(ccid_remove(h->ccid, 0));
	ck_assert(!ccid_remove(h->ccid, 0));
	insert(h, 0, CARD_T0);
	n = submit(h, 0x82, NULL, 8);
	urb = take(h, n);
	ck_assert_mem_eq(urb->data, "\x50\x03", 2);
	free(urb);
	n = submit(h, 0x82, NULL, 8);
	ck_assert_ptr_null(take(h, n));
	urb = usb_device_unlink(h->dev, n);
	ck_assert_ptr_nonnull(urb);
	free(urb);
	ck_assert_ptr_null(usb_device_unlink(h->dev, n));
	host_free(h);
}
END_TEST

START_TEST(test_detach_and_attach)
{
	struct host *h = host_builtin("extended");

	insert(h, 0, CARD_T0);
	command(h, PC_to_RDR_IccPowerOn, NULL, NULL, 0);
	send_message(h, PC_to_RDR_XfrBlock, 0, NULL, (const uint8_t *)"\x80\xEE\x27\x10", 4);
	submit(h, 0x82, NULL, 8);
	usb_device_detach(h->dev);
	ck_assert(!usb_device_attached(h->dev));
	ck_assert_int_eq(usb_device_deadline(h->dev), CCID_NO_DEADLINE);
	usb_device_attach(h->dev, on_complete, h);
	command(h, PC_to_RDR_GetSlotStatus, NULL, NULL, 0);
	expect_status(h, 1, 0);
	host_free(h);
}
END_TEST

/* --- CCID messages */

START_TEST(test_power)
{
	struct host *h = host_builtin(_i ? "tpdu" : "extended");

	command(h, PC_to_RDR_IccPowerOn, _i ? (const uint8_t *)"\1\0\0" : NULL, NULL, 0);
	expect_status(h, 0x42, 0xFE);
	insert(h, 0, CARD_T0 | CARD_T1);
	command(h, PC_to_RDR_GetSlotStatus, NULL, NULL, 0);
	expect_status(h, 1, 0);
	ck_assert_uint_eq(h->msg[0], RDR_to_PC_SlotStatus);
	ck_assert_uint_eq(h->msg[9], CCID_CLOCK_STOPPED_LOW);
	command(h, PC_to_RDR_IccPowerOn, NULL, NULL, 0);
	if (_i)
		expect_status(h, 0x41, 7); /* the host has to choose */
	else
		expect_status(h, 0, 0);
	command(h, PC_to_RDR_IccPowerOn, (const uint8_t *)"\4\0\0", NULL, 0);
	ck_assert_uint_eq(h->msg[8], 7);
	command(h, PC_to_RDR_IccPowerOn, (const uint8_t *)"\2\0\0", NULL, 0);
	expect_status(h, 0, 0);
	ck_assert_uint_eq(h->msg[0], RDR_to_PC_DataBlock);
	ck_assert_uint_eq(h->msg[10], 0x3B);
	command(h, PC_to_RDR_IccPowerOff, NULL, NULL, 0);
	expect_status(h, 1, 0);
	command(h, PC_to_RDR_XfrBlock, NULL, "\0\0\0\0", 4);
	expect_status(h, 0x41, 0xFE);
	host_free(h);
}
END_TEST

START_TEST(test_unknown_and_unsupported)
{
	struct host *h = host_builtin("extended");

	insert(h, 0, CARD_T0);
	command(h, 0x42, NULL, NULL, 0);
	expect_status(h, 0x41, 0);
	command(h, PC_to_RDR_Escape, NULL, "\x6A", 1);
	expect_status(h, 0x41, 0);
	ck_assert_uint_eq(h->msg[0], RDR_to_PC_Escape);
	command(h, PC_to_RDR_Secure, NULL, NULL, 0);
	expect_status(h, 0x41, 0);
	command(h, PC_to_RDR_IccClock, NULL, NULL, 0);
	expect_status(h, 0x41, 0);
	command(h, PC_to_RDR_SetDataRateAndClockFrequency, NULL, "\0\0\0\0\0\0\0\0", 8);
	expect_status(h, 0x41, 0);
	send_message(h, PC_to_RDR_GetSlotStatus, 1, NULL, NULL, 0);
	ck_assert(read_message(h));
	expect_status(h, 0x42, 5);
	ck_assert_uint_eq(h->msg[5], 1);
	host_free(h);
}
END_TEST

START_TEST(test_parameters)
{
	struct host *h = host_builtin("tpdu");
	static const uint8_t t1[] = { 0x11, 0x10, 0, 0x45, 0, 254, 0 };

	insert(h, 0, CARD_T0 | CARD_T1);
	command(h, PC_to_RDR_GetParameters, NULL, NULL, 0);
	expect_status(h, 0x41, 0xFE);
	command(h, PC_to_RDR_IccPowerOn, (const uint8_t *)"\1\0\0", NULL, 0);
	command(h, PC_to_RDR_GetParameters, NULL, NULL, 0);
	ck_assert_uint_eq(h->msg[9], 0);
	ck_assert_uint_eq(h->msg_len, 10 + 5);
	ck_assert_mem_eq(h->msg + 10, "\x11\x00\x00\x0A\x00", 5);
	command(h, PC_to_RDR_SetParameters, (const uint8_t *)"\1\0\0", t1, sizeof(t1));
	expect_status(h, 0, 0);
	ck_assert_uint_eq(h->msg[9], 1);
	ck_assert_mem_eq(h->msg + 10, t1, sizeof(t1));
	command(h, PC_to_RDR_SetParameters, (const uint8_t *)"\1\0\0", t1, 5);
	expect_status(h, 0x40, 1);
	command(h, PC_to_RDR_SetParameters, (const uint8_t *)"\2\0\0", t1, 7);
	expect_status(h, 0x40, 7);
	command(h, PC_to_RDR_ResetParameters, NULL, NULL, 0);
	ck_assert_uint_eq(h->msg[9], 0);
	host_free(h);
}
END_TEST

START_TEST(test_reader_makes_pps)
{
	struct host *h = host_builtin("extended");
	static const uint8_t t1[] = { 0x95, 0x10, 0, 0x45, 0, 254, 0 };
	static const uint8_t slower[] = { 0x94, 0x10, 0, 0x45, 0, 254, 0 };
	static const uint8_t other[] = { 0x18, 0x10, 0, 0x45, 0, 254, 0 };

	insert(h, 0, CARD_T0 | CARD_T1);
	command(h, PC_to_RDR_IccPowerOn, NULL, NULL, 0);
	command(h, PC_to_RDR_SetParameters, (const uint8_t *)"\1\0\0", t1, sizeof(t1));
	expect_status(h, 0, 0);
	command(h, PC_to_RDR_SetParameters, (const uint8_t *)"\1\0\0", slower, sizeof(t1));
	expect_status(h, 0, 0);
	command(h, PC_to_RDR_SetParameters, (const uint8_t *)"\1\0\0", other, sizeof(t1));
	expect_status(h, 0x40, 0xF6);
	host_free(h);
	/* A card without T=1 cannot be talked to so. */
	h = host_builtin("extended");
	insert(h, 0, CARD_T0);
	command(h, PC_to_RDR_IccPowerOn, NULL, NULL, 0);
	command(h, PC_to_RDR_SetParameters, (const uint8_t *)"\1\0\0", t1, sizeof(t1));
	expect_status(h, 0x40, 0xF6);
	host_free(h);
}
END_TEST

START_TEST(test_speed_limit)
{
	struct host *h = host_builtin("tpdu");
	static const uint8_t fastest[] = { 0x97, 0x00, 0, 10, 0 }; /* 500 kbit/s at 4 MHz */
	static const uint8_t too_fast[] = { 0x17, 0x00, 0, 10, 0 };
	static const uint8_t rfu[] = { 0x1A, 0x00, 0, 10, 0 };

	insert(h, 0, CARD_T0);
	command(h, PC_to_RDR_IccPowerOn, (const uint8_t *)"\1\0\0", NULL, 0);
	command(h, PC_to_RDR_SetParameters, NULL, fastest, 5);
	expect_status(h, 0, 0);
	command(h, PC_to_RDR_SetParameters, NULL, too_fast, 5);
	expect_status(h, 0x40, 10);
	command(h, PC_to_RDR_SetParameters, NULL, rfu, 5);
	expect_status(h, 0x40, 10);
	host_free(h);
}
END_TEST

START_TEST(test_voltage_classes)
{
	struct host *h = host_builtin(_i ? "tpdu" : "extended");
	struct card_options o = card_options_default;

	o.classes = CCID_VOLTAGE_3V;
	ck_assert(ccid_insert(h->ccid, 0, card_new(&o, iso_card_new())));
	command(h, PC_to_RDR_IccPowerOn, (const uint8_t *)"\1\0\0", NULL, 0);
	expect_status(h, 0x41, 0xFE);
	command(h, PC_to_RDR_IccPowerOn, (const uint8_t *)"\2\0\0", NULL, 0);
	expect_status(h, 0, 0);
	command(h, PC_to_RDR_IccPowerOn, (const uint8_t *)"\3\0\0", NULL, 0);
	expect_status(h, 0x41, 0xFE);
	command(h, PC_to_RDR_IccPowerOn, NULL, NULL, 0);
	if (_i)
		expect_status(h, 0x41, 7);
	else
		expect_status(h, 0, 0);
	host_free(h);
}
END_TEST

START_TEST(test_automatic_activation_and_ifsd)
{
	struct profile p;
	struct host *h;
	static const uint8_t t1[] = { 0x11, 0x10, 0, 0x45, 0, 254, 0 };
	static const uint8_t pattern[] = { 0, 0, 5, 0x80, 0xED, 0, 0x64, 0, 0x0C };

	ck_assert(profile_builtin("tpdu", &p));
	put_le32(p.interfaces[0].ccid + CCID_DESC_dwFeatures,
		CCID_FEATURE_LEVEL_TPDU | CCID_FEATURE_AUTO_ACTIVATION | CCID_FEATURE_AUTO_IFSD |
			CCID_FEATURE_AUTO_CONF_ATR);
	h = host_new(&p);
	insert(h, 0, CARD_T1);
	command(h, PC_to_RDR_GetSlotStatus, NULL, NULL, 0);
	expect_status(h, 0, 0);
	command(h, PC_to_RDR_SetParameters, (const uint8_t *)"\1\0\0", t1, sizeof(t1));
	/* 102 bytes in one block: the reader has told the card that it takes 254. */
	command(h, PC_to_RDR_XfrBlock, NULL, pattern, sizeof(pattern));
	expect_status(h, 0, 0);
	ck_assert_uint_eq(h->msg_len, 10 + 3 + 102 + 1);
	host_free(h);
}
END_TEST

START_TEST(test_extended_chaining)
{
	struct profile p;
	struct host *h;
	uint8_t apdu[600] = { 0x80, 0xEC, 0, 0, 0, 0x02, 0x00 };

	ck_assert(profile_builtin("extended", &p));
	put_le32(p.interfaces[0].ccid + CCID_DESC_dwMaxCCIDMessageLength, 271);
	h = host_new(&p);
	insert(h, 0, CARD_T1);
	command(h, PC_to_RDR_IccPowerOn, NULL, NULL, 0);
	for (int i = 0; i < 512; i++)
		apdu[7 + i] = (uint8_t)(i * 3);
	command(h, PC_to_RDR_XfrBlock, (const uint8_t *)"\0\1\0", apdu, 261);
	expect_status(h, 0, 0);
	ck_assert_uint_eq(h->msg[9], 0x10);
	command(h, PC_to_RDR_XfrBlock, (const uint8_t *)"\0\3\0", apdu + 261, 200);
	ck_assert_uint_eq(h->msg[9], 0x10);
	command(h, PC_to_RDR_XfrBlock, (const uint8_t *)"\0\2\0", apdu + 461, 7 + 512 + 2 - 461);
	ck_assert_uint_eq(h->msg[9], 0x01);
	ck_assert_uint_eq(h->msg_len, 271);
	ck_assert_mem_eq(h->msg + 10, apdu + 7, 261);
	command(h, PC_to_RDR_XfrBlock, (const uint8_t *)"\0\x10\0", NULL, 0);
	ck_assert_uint_eq(h->msg[9], 0x02);
	ck_assert_uint_eq(h->msg_len, 10 + 514 - 261);
	ck_assert_mem_eq(h->msg + 10, apdu + 7 + 261, 251);
	/* Out of order. */
	command(h, PC_to_RDR_XfrBlock, (const uint8_t *)"\0\x10\0", NULL, 0);
	expect_status(h, 0x40, 8);
	command(h, PC_to_RDR_XfrBlock, (const uint8_t *)"\0\2\0", apdu, 4);
	expect_status(h, 0x40, 8);
	command(h, PC_to_RDR_XfrBlock, (const uint8_t *)"\0\5\0", apdu, 4);
	expect_status(h, 0x40, 8);
	host_free(h);
}
END_TEST

START_TEST(test_time_extension_and_mute)
{
	struct host *h = host_builtin("short");
	int64_t start;
	unsigned extensions = 0;

	insert(h, 0, CARD_T1);
	command(h, PC_to_RDR_IccPowerOn, NULL, NULL, 0);
	start = h->now;
	send_message(h, PC_to_RDR_XfrBlock, 0, NULL, (const uint8_t *)"\x80\xEE\x05\xDC\0", 5);
	run(h);
	ck_assert_int_eq(h->now - start, 1500 * MS);
	while (read_message(h) && h->msg[7] == 0x80) {
		ck_assert_uint_eq(h->msg[8], 1);
		ck_assert_uint_eq(h->msg[6], h->seq);
		extensions++;
	}
	ck_assert_uint_ge(extensions, 2);
	expect_status(h, 0, 0);
	start = h->now;
	send_message(h, PC_to_RDR_XfrBlock, 0, NULL, (const uint8_t *)"\x80\xEF\0\0", 4);
	ck_assert(!read_message(h));
	run(h);
	ck_assert_int_gt(h->now - start, 500 * MS);
	ck_assert(read_message(h));
	expect_status(h, 0x40, 0xFE);
	host_free(h);
}
END_TEST

START_TEST(test_busy_and_abort)
{
	struct host *h = host_builtin("short");
	uint8_t long_one[] = { 0x80, 0xEE, 0x01, 0x00, 0x00 };
	uint8_t abort_msg[10] = { PC_to_RDR_Abort };
	uint8_t seq;

	insert(h, 0, CARD_T1);
	command(h, PC_to_RDR_IccPowerOn, NULL, NULL, 0);
	send_message(h, PC_to_RDR_XfrBlock, 0, NULL, long_one, 5);
	seq = h->seq;
	command(h, PC_to_RDR_GetSlotStatus, NULL, NULL, 0);
	expect_status(h, 0x40, 0xE0);
	/* An abort needs both halves, with the same number. */
	command(h, PC_to_RDR_Abort, NULL, NULL, 0);
	expect_status(h, 0x40, 0xFF);
	ck_assert_int_eq(
		control(h, 0x21, CCID_REQ_ABORT, (uint16_t)((seq + 9) << 8), 0, NULL, 0), 0);
	command(h, PC_to_RDR_GetSlotStatus, NULL, NULL, 0);
	expect_status(h, 0x40, 0xFF);
	abort_msg[6] = (uint8_t)(seq + 9);
	free(take(h, submit(h, 0x01, abort_msg, 10)));
	ck_assert(read_message(h));
	expect_status(h, 0, 0);
	ck_assert_uint_eq(h->msg[0], RDR_to_PC_SlotStatus);
	run(h);
	ck_assert(!read_message(h));
	command(h, PC_to_RDR_XfrBlock, NULL, "\x80\xEC\0\0", 4);
	expect_status(h, 0, 0);
	host_free(h);
}
END_TEST

START_TEST(test_removal_during_command)
{
	struct host *h = host_builtin("short");

	insert(h, 0, CARD_T1);
	command(h, PC_to_RDR_IccPowerOn, NULL, NULL, 0);
	send_message(h, PC_to_RDR_XfrBlock, 0, NULL, (const uint8_t *)"\x80\xEE\x01\x00\0", 5);
	ck_assert(ccid_remove(h->ccid, 0));
	ck_assert(read_message(h));
	expect_status(h, 0x42, 0xFE);
	host_free(h);
}
END_TEST

START_TEST(test_tpdu_t0)
{
	struct host *h = host_builtin("tpdu");
	unsigned extensions = 0;

	insert(h, 0, CARD_T0);
	command(h, PC_to_RDR_IccPowerOn, (const uint8_t *)"\1\0\0", NULL, 0);
	command(h, PC_to_RDR_XfrBlock, NULL, "\x80\xEC\0\0", 4);
	ck_assert_mem_eq(h->msg + 10, "\x90\x00", 2);
	command(h, PC_to_RDR_XfrBlock, NULL, "\x80\xEC\0\0\3abc", 8);
	ck_assert_mem_eq(h->msg + 10, "\x61\x03", 2);
	command(h, PC_to_RDR_XfrBlock, NULL, "\x00\xC0\0\0\3", 5);
	ck_assert_mem_eq(h->msg + 10, "abc\x90\x00", 5);
	command(h, PC_to_RDR_XfrBlock, NULL, "\x80\xED\1\0\0", 5);
	ck_assert_uint_eq(h->msg_len, 10 + 258);
	command(h, PC_to_RDR_XfrBlock, NULL, "\x80\xEC\0\0\3ab", 7);
	expect_status(h, 0x40, 1);
	command(h, PC_to_RDR_XfrBlock, (const uint8_t *)"\0\1\0", "\x80\xEC\0\0", 4);
	expect_status(h, 0x40, 8);
	send_message(h, PC_to_RDR_XfrBlock, 0, NULL, (const uint8_t *)"\x80\xEE\x05\xDC\0", 5);
	run(h);
	while (read_message(h) && h->msg[7] == 0x80)
		extensions++;
	ck_assert_uint_eq(extensions, 2);
	ck_assert_mem_eq(h->msg + 10, "\x90\x00", 2);
	send_message(h, PC_to_RDR_XfrBlock, 0, NULL, (const uint8_t *)"\x80\xEF\0\0", 4);
	run(h);
	ck_assert(read_message(h));
	expect_status(h, 0x40, 0xFE);
	host_free(h);
}
END_TEST

START_TEST(test_tpdu_t1)
{
	struct host *h = host_builtin("tpdu");
	static const uint8_t pps[] = { 0xFF, 0x11, 0x95, 0x7B };
	static const uint8_t fast[] = { 0x95, 0x10, 0, 0x45, 0, 254, 0 };
	static const uint8_t block[] = { 0, 0, 4, 0x80, 0xEC, 0, 0, 0x68 };

	insert(h, 0, CARD_T0 | CARD_T1);
	command(h, PC_to_RDR_IccPowerOn, (const uint8_t *)"\1\0\0", NULL, 0);
	command(h, PC_to_RDR_XfrBlock, NULL, pps, 4);
	ck_assert_mem_eq(h->msg + 10, pps, 4);
	/* The reader still runs at the default speed: nothing is understood. */
	send_message(h, PC_to_RDR_XfrBlock, 0, NULL, pps, 4);
	run(h);
	ck_assert(read_message(h));
	expect_status(h, 0x40, 0xFE);
	command(h, PC_to_RDR_SetParameters, (const uint8_t *)"\1\0\0", fast, sizeof(fast));
	command(h, PC_to_RDR_XfrBlock, NULL, block, sizeof(block));
	expect_status(h, 0, 0);
	ck_assert_mem_eq(h->msg + 10, "\x00\x00\x02\x90\x00\x92", 6);
	host_free(h);
}
END_TEST

START_TEST(test_character_t0)
{
	struct host *h = host_builtin("character");

	insert(h, 0, CARD_T0);
	command(h, PC_to_RDR_IccPowerOn, (const uint8_t *)"\1\0\0", NULL, 0);
	command(h, PC_to_RDR_XfrBlock, (const uint8_t *)"\0\1\0", "\x80\xED\0\x10\x10", 5);
	ck_assert_uint_eq(h->msg_len, 11);
	ck_assert_uint_eq(h->msg[10], 0xED);
	command(h, PC_to_RDR_XfrBlock, (const uint8_t *)"\0\x12\0", NULL, 0);
	ck_assert_uint_eq(h->msg_len, 10 + 18);
	ck_assert_mem_eq(h->msg + 26, "\x90\x00", 2);
	send_message(h, PC_to_RDR_XfrBlock, 0, (const uint8_t *)"\0\1\0", NULL, 0);
	run(h);
	ck_assert(read_message(h));
	expect_status(h, 0x40, 0xFE);
	host_free(h);
}
END_TEST

START_TEST(test_busy_slots)
{
	struct profile p;
	struct host *h;
	static const uint8_t slow[] = { 0x80, 0xEE, 0x01, 0x00, 0x00 };

	ck_assert(profile_builtin("short", &p));
	p.interfaces[0].ccid[CCID_DESC_bMaxSlotIndex] = 4;
	p.interfaces[0].ccid[CCID_DESC_bMaxCCIDBusySlots] = 2;
	h = host_new(&p);
	ck_assert_uint_eq(ccid_slots(h->ccid), 5);
	for (uint8_t i = 0; i < 3; i++) {
		insert(h, i, CARD_T1);
		send_message(h, PC_to_RDR_IccPowerOn, i, NULL, NULL, 0);
		ck_assert(read_message(h));
	}
	for (uint8_t i = 0; i < 3; i++)
		send_message(h, PC_to_RDR_XfrBlock, i, NULL, slow, sizeof(slow));
	ck_assert(read_message(h));
	ck_assert_uint_eq(h->msg[5], 2);
	expect_status(h, 0x40, 0xE0);
	ck_assert(!read_message(h));
	run(h);
	ck_assert_int_eq(h->now, 1256 * MS); /* both at once */
	ck_assert(read_message(h));
	ck_assert_uint_eq(h->msg[5], 0);
	ck_assert(read_message(h));
	ck_assert_uint_eq(h->msg[5], 1);
	host_free(h);
}
END_TEST

/* --- Fault scripts */

static char why[256];

static struct fault_script *load_script(const char *text)
{
	char path[] = "/tmp/test_vreader_usb.XXXXXX";
	struct fault_script *script;
	int fd = mkstemp(path);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
	script = fault_load(path, why, sizeof(why));
	unlink(path);
	return script;
}

static struct host *host_with_faults(const char *text)
{
	struct host *h = host_builtin("short");
	struct fault_script *script = load_script(text);

	ck_assert_msg(script != NULL, "%s", why);
	usb_device_set_faults(h->dev, script);
	return h;
}

START_TEST(test_fault_grammar)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "on XfrBlock 1 drop\nof", ":2: no such statement" },
		{ "on", ":1: expected: on" },
		{ "on Nothing 1 drop", "no such message" },
		{ "on XfrBlock 0 drop", "expected N" },
		{ "on XfrBlock 3-2 drop", "expected N" },
		{ "on XfrBlock x drop", "expected N" },
		{ "on XfrBlock 1 dance", "no such action" },
		{ "on XfrBlock 1 drop 1", "wrong arguments" },
		{ "on XfrBlock 1 delay", "wrong arguments" },
		{ "on XfrBlock 1 delay -1", "wrong arguments" },
		{ "on XfrBlock 1 oversize 513", "wrong arguments" },
		{ "on XfrBlock 1 set 1 256", "wrong arguments" },
		{ "on XfrBlock 1 replace 123", "wrong arguments" },
		{ "on XfrBlock 1 replace 1g", "wrong arguments" },
		{ "on XfrBlock 1 extend never 1", "wrong arguments" },
		{ "on control.Nothing 1 drop", "no such message" },
		{ "on control.DataBlock 1 split 3", "not for the control pipe" },
	};
	struct fault_script *script;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_ptr_null(load_script(bad[i].text));
		ck_assert_msg(strstr(why, bad[i].says) != NULL, "%s", why);
	}
	ck_assert_ptr_null(fault_load("/nonexistent", why, sizeof(why)));
	script = load_script("# text\n\nprofile tpdu\nexpect error within 5000\n on any * drop\n");
	ck_assert_ptr_nonnull(script);
	fault_free(script);
}
END_TEST

/* Every script of the collection can be loaded. */
START_TEST(test_fault_collection)
{
	DIR *dir = opendir(FAULTS_DIR);
	struct dirent *entry;
	unsigned count = 0;

	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir))) {
		char path[1024];
		struct fault_script *script;

		if (!strstr(entry->d_name, ".fault"))
			continue;
		snprintf(path, sizeof(path), FAULTS_DIR "/%s", entry->d_name);
		script = fault_load(path, why, sizeof(why));
		ck_assert_msg(script != NULL, "%s", why);
		fault_free(script);
		count++;
	}
	closedir(dir);
	ck_assert_uint_ge(count, 50);
}
END_TEST

START_TEST(test_fault_fields)
{
	struct host *h = host_with_faults("on GetSlotStatus 1 drop\n"
					  "on GetSlotStatus 2-3 seq 255\n"
					  "on GetSlotStatus 3 slot 9\n"
					  "on GetSlotStatus 4 type 0x83\n"
					  "on GetSlotStatus 5 xor 7 0x40\n"
					  "on GetSlotStatus 5 set 8 0xFE\n"
					  "on GetSlotStatus 5 set 99 1\n"
					  "on IccPowerOn * replace 0102\n");
	uint8_t buffer[64];
	struct usb_urb *urb;

	send_message(h, PC_to_RDR_GetSlotStatus, 0, NULL, NULL, 0);
	ck_assert(!read_message(h));
	send_message(h, PC_to_RDR_GetSlotStatus, 0, NULL, NULL, 0);
	ck_assert(read_message(h));
	ck_assert_uint_eq(h->msg[6], h->seq - 1u);
	ck_assert_uint_eq(h->msg[5], 0);
	send_message(h, PC_to_RDR_GetSlotStatus, 0, NULL, NULL, 0);
	ck_assert(read_message(h));
	ck_assert_uint_eq(h->msg[6], h->seq - 1u);
	ck_assert_uint_eq(h->msg[5], 9);
	command(h, PC_to_RDR_GetSlotStatus, NULL, NULL, 0);
	ck_assert_uint_eq(h->msg[0], 0x83);
	command(h, PC_to_RDR_GetSlotStatus, NULL, NULL, 0);
	expect_status(h, 0x42, 0xFE);
	command(h, PC_to_RDR_GetSlotStatus, NULL, NULL, 0);
	expect_status(h, 2, 0);
	send_message(h, PC_to_RDR_IccPowerOn, 0, NULL, NULL, 0);
	urb = take(h, submit(h, 0x81, buffer, sizeof(buffer)));
	ck_assert_uint_eq(urb->actual, 2);
	free(urb);
	host_free(h);
}
END_TEST

/* The lengths of the transfers that are there, in buffers of 512 bytes; returns how many. */
static size_t read_transfers(struct host *h, size_t *lengths, size_t max)
{
	size_t n = 0;

	for (;;) {
		uint32_t seqnum = submit(h, 0x81, NULL, 512);
		struct usb_urb *urb = take(h, seqnum);

		if (!urb) {
			free(usb_device_unlink(h->dev, seqnum));
			return n;
		}
		ck_assert_uint_lt(n, max);
		ck_assert_int_eq(urb->status, 0);
		lengths[n++] = urb->actual;
		free(urb);
	}
}

START_TEST(test_fault_sizes)
{
	struct host *h = host_with_faults("on XfrBlock 1 truncate 5\n"
					  "on XfrBlock 2 oversize 3\n"
					  "on XfrBlock 3 repeat 2\n"
					  "on XfrBlock 4 split 11\n"
					  "on XfrBlock 5 before 8100\n"
					  "on XfrBlock 6 length 0x01020304\n"
					  "on XfrBlock 7 nozlp\n");
	uint8_t pattern[] = { 0x80, 0xED, 0, 52, 52 };
	size_t lengths[8];

	insert(h, 0, CARD_T1);
	command(h, PC_to_RDR_IccPowerOn, NULL, NULL, 0);
	for (unsigned i = 1; i <= 6; i++) {
		static const struct {
			size_t count, first, second;
		} want[] = { { 1, 5, 0 }, { 1, 15, 0 }, { 3, 12, 12 }, { 2, 11, 1 }, { 2, 2, 12 },
			{ 1, 12, 0 } };

		send_message(h, PC_to_RDR_XfrBlock, 0, NULL, (const uint8_t *)"\x80\xEC\0\0", 4);
		ck_assert_uint_eq(read_transfers(h, lengths, 8), want[i - 1].count);
		ck_assert_uint_eq(lengths[0], want[i - 1].first);
		if (want[i - 1].count > 1)
			ck_assert_uint_eq(lengths[1], want[i - 1].second);
	}
	/* One full packet and no end: the transfer stays open, as on a real bus. */
	send_message(h, PC_to_RDR_XfrBlock, 0, NULL, pattern, 5);
	ck_assert_uint_eq(read_transfers(h, lengths, 8), 0);
	host_free(h);
}
END_TEST

START_TEST(test_fault_timing)
{
	struct host *h = host_with_faults("on GetSlotStatus 1 delay 700\n"
					  "on GetSlotStatus 2 extend 3 2\n"
					  "on GetSlotStatus 3 extend forever 1\n");
	uint32_t n = submit(h, 0x81, NULL, 512);
	struct usb_urb *urb;

	send_message(h, PC_to_RDR_GetSlotStatus, 0, NULL, NULL, 0);
	ck_assert_ptr_null(take(h, n));
	ck_assert_int_eq(usb_device_deadline(h->dev), h->now + 700 * MS);
	run(h);
	urb = take(h, n);
	ck_assert_ptr_nonnull(urb);
	free(urb);
	send_message(h, PC_to_RDR_GetSlotStatus, 0, NULL, NULL, 0);
	for (int i = 0; i < 4; i++) {
		ck_assert(read_message(h));
		ck_assert_uint_eq(h->msg[7] & 0xC0, i < 3 ? 0x80 : 0);
		ck_assert_uint_eq(h->msg[8], i < 3 ? 2 : 0);
		h->now += 100 * MS;
	}
	send_message(h, PC_to_RDR_GetSlotStatus, 0, NULL, NULL, 0);
	for (int i = 0; i < 50; i++) {
		ck_assert(read_message(h));
		ck_assert_uint_eq(h->msg[7] & 0xC0, 0x80);
		ck_assert(!read_message(h));
		h->now += 100 * MS;
	}
	/* An abort ends it. */
	ck_assert_int_eq(
		control(h, 0x21, CCID_REQ_ABORT, (uint16_t)((h->seq + 1) << 8), 0, NULL, 0), 0);
	command(h, PC_to_RDR_Abort, NULL, NULL, 0);
	expect_status(h, 2, 0);
	host_free(h);
}
END_TEST

START_TEST(test_fault_stalls)
{
	struct host *h = host_with_faults("on GetSlotStatus 1 stall\n"
					  "on GetSlotStatus 2 stall-out\n");
	struct usb_urb *urb;

	send_message(h, PC_to_RDR_GetSlotStatus, 0, NULL, NULL, 0);
	for (int i = 0; i < 2; i++) {
		urb = take(h, submit(h, 0x81, NULL, 512));
		ck_assert_int_eq(urb->status, USBIP_STATUS_EPIPE);
		free(urb);
	}
	ck_assert_int_eq(control(h, 0x02, USB_REQ_CLEAR_FEATURE, 0, 0x81, NULL, 0), 0);
	command(h, PC_to_RDR_GetSlotStatus, NULL, NULL, 0);
	urb = take(h, submit(h, 0x01, "\x65\0\0\0\0\0\0\0\0\0", 10));
	ck_assert_int_eq(urb->status, USBIP_STATUS_EPIPE);
	free(urb);
	ck_assert_int_eq(control(h, 0x02, USB_REQ_CLEAR_FEATURE, 0, 0x01, NULL, 0), 0);
	command(h, PC_to_RDR_GetSlotStatus, NULL, NULL, 0);
	host_free(h);
}
END_TEST

START_TEST(test_fault_notification_and_disappearance)
{
	struct host *h = host_with_faults("on NotifySlotChange 1 replace 50ffffffffffffffffff\n"
					  "on NotifySlotChange 2 drop\n"
					  "on GetSlotStatus 1 disappear\n");
	uint32_t n = submit(h, 0x82, NULL, 16);
	struct usb_urb *urb;

	insert(h, 0, CARD_T0);
	urb = take(h, n);
	ck_assert_uint_eq(urb->actual, 10);
	free(urb);
	n = submit(h, 0x82, NULL, 16);
	ccid_remove(h->ccid, 0);
	ck_assert_ptr_null(take(h, n));
	ck_assert(!usb_device_gone(h->dev));
	send_message(h, PC_to_RDR_GetSlotStatus, 0, NULL, NULL, 0);
	ck_assert(usb_device_gone(h->dev));
	ck_assert(!read_message(h));
	host_free(h);
}
END_TEST

START_TEST(test_fault_control_answers)
{
	struct host *h = host_with_faults("on control.GetDescriptor 1 truncate 7\n"
					  "on control.GetDescriptor 2 set 0 0xAA\n"
					  "on control.GetDescriptor 3 replace 0102\n"
					  "on control.GetDescriptor 4 oversize 1\n"
					  "on control.GetDescriptor 5 stall\n"
					  "on control.SetConfiguration * stall\n"
					  "on any * drop\n");
	uint8_t d[64];

	ck_assert_int_eq(control(h, 0x80, USB_REQ_GET_DESCRIPTOR, 0x100, 0, d, 18), 7);
	ck_assert_int_eq(control(h, 0x80, USB_REQ_GET_DESCRIPTOR, 0x100, 0, d, 18), 18);
	ck_assert_uint_eq(d[0], 0xAA);
	ck_assert_int_eq(control(h, 0x80, USB_REQ_GET_DESCRIPTOR, 0x100, 0, d, 18), 2);
	ck_assert_uint_eq(d[1], 2);
	ck_assert_int_eq(
		control(h, 0x80, USB_REQ_GET_DESCRIPTOR, 0x100, 0, d, 18), USBIP_STATUS_EOVERFLOW);
	ck_assert_int_eq(
		control(h, 0x80, USB_REQ_GET_DESCRIPTOR, 0x100, 0, d, 18), USBIP_STATUS_EPIPE);
	ck_assert_int_eq(control(h, 0x80, USB_REQ_GET_DESCRIPTOR, 0x100, 0, d, 18), 18);
	ck_assert_int_eq(
		control(h, 0x00, USB_REQ_SET_CONFIGURATION, 1, 0, NULL, 0), USBIP_STATUS_EPIPE);
	host_free(h);
}
END_TEST

/* The control pipe does one request at a time: those behind a held one wait. */
START_TEST(test_fault_control_timing)
{
	struct host *h = host_with_faults("on control.GetDescriptor 1 delay 300\n"
					  "on control.GetDescriptor 2 drop\n"
					  "on control.GetDescriptor 4 disappear\n");
	uint32_t late = submit_control(h, 0x80, USB_REQ_GET_DESCRIPTOR, 0x100, 0, 18);
	uint32_t lost = submit_control(h, 0x80, USB_REQ_GET_DESCRIPTOR, 0x100, 0, 18);
	uint32_t third = submit_control(h, 0x80, USB_REQ_GET_DESCRIPTOR, 0x100, 0, 18);
	struct usb_urb *urb;

	ck_assert_ptr_null(take(h, late));
	ck_assert_int_eq(usb_device_deadline(h->dev), h->now + 300 * MS);
	run(h);
	urb = take(h, late);
	ck_assert_ptr_nonnull(urb);
	ck_assert_uint_eq(urb->actual, 18);
	free(urb);
	ck_assert_ptr_null(take(h, lost));
	ck_assert_ptr_null(take(h, third));
	ck_assert_int_eq(usb_device_deadline(h->dev), CCID_NO_DEADLINE);
	urb = usb_device_unlink(h->dev, lost);
	ck_assert_ptr_nonnull(urb);
	free(urb);
	ck_assert_int_lt(usb_device_deadline(h->dev), h->now);
	usb_device_run(h->dev, h->now);
	urb = take(h, third);
	ck_assert_ptr_nonnull(urb);
	free(urb);
	submit_control(h, 0x80, USB_REQ_GET_DESCRIPTOR, 0x100, 0, 18);
	ck_assert(usb_device_gone(h->dev));
	host_free(h);
}
END_TEST

/* Two bits for each of 32 slots are more than one packet of 8 bytes. */
START_TEST(test_notification_of_many_slots)
{
	struct profile p;
	struct usb_urb *urb;
	struct host *h;
	uint32_t n;

	ck_assert(profile_builtin("short", &p));
	p.interfaces[0].ccid[CCID_DESC_bMaxSlotIndex] = 31;
	h = host_new(&p);
	insert(h, 31, CARD_T1);
	n = submit(h, 0x82, NULL, 16);
	urb = take(h, n);
	ck_assert_ptr_nonnull(urb);
	ck_assert_uint_eq(urb->actual, 9);
	ck_assert_uint_eq(urb->data[8], 0xC0);
	free(urb);
	host_free(h);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vreader_usb");
	TCase *tc = tcase_create("usb");

	tcase_add_test(tc, test_descriptors);
	tcase_add_test(tc, test_high_speed_and_other_forms);
	tcase_add_test(tc, test_control_requests);
	tcase_add_test(tc, test_lists);
	tcase_add_test(tc, test_halt);
	tcase_add_test(tc, test_in_packets);
	tcase_add_test(tc, test_out_packets);
	tcase_add_test(tc, test_out_waits_for_answers_to_be_read);
	tcase_add_test(tc, test_notifications);
	tcase_add_test(tc, test_detach_and_attach);
	tcase_add_loop_test(tc, test_power, 0, 2);
	tcase_add_test(tc, test_unknown_and_unsupported);
	tcase_add_test(tc, test_parameters);
	tcase_add_test(tc, test_reader_makes_pps);
	tcase_add_test(tc, test_speed_limit);
	tcase_add_loop_test(tc, test_voltage_classes, 0, 2);
	tcase_add_test(tc, test_automatic_activation_and_ifsd);
	tcase_add_test(tc, test_extended_chaining);
	tcase_add_test(tc, test_time_extension_and_mute);
	tcase_add_test(tc, test_busy_and_abort);
	tcase_add_test(tc, test_removal_during_command);
	tcase_add_test(tc, test_tpdu_t0);
	tcase_add_test(tc, test_tpdu_t1);
	tcase_add_test(tc, test_character_t0);
	tcase_add_test(tc, test_busy_slots);
	tcase_add_test(tc, test_fault_grammar);
	tcase_add_test(tc, test_fault_collection);
	tcase_add_test(tc, test_fault_fields);
	tcase_add_test(tc, test_fault_sizes);
	tcase_add_test(tc, test_fault_timing);
	tcase_add_test(tc, test_fault_stalls);
	tcase_add_test(tc, test_fault_notification_and_disappearance);
	tcase_add_test(tc, test_fault_control_answers);
	tcase_add_test(tc, test_fault_control_timing);
	tcase_add_test(tc, test_notification_of_many_slots);
	suite_add_tcase(s, tc);
	return suite_run(s);
}
