/* SPDX-License-Identifier: BSD-3-Clause */
/* The virtual USB device: descriptors, packets, stalls, notifications. */
#include "suite.h"
#include "usb_host.h"

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
	tcase_add_test(tc, test_notification_of_many_slots);
	suite_add_tcase(s, tc);
	return suite_run(s);
}
