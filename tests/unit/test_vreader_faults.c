/* SPDX-License-Identifier: BSD-3-Clause */
/* Scripts of faults: their grammar, and what the reader then does. */
#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

#include "suite.h"
#include "usb_host.h"

static char why[256];

static struct fault_script *load_script(const char *text)
{
	char path[] = "/tmp/test_vreader_faults.XXXXXX";
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
	urb = take(h, submit(h, 0x81, NULL, 64));
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

int main(void)
{
	Suite *s = suite_create("vreader_faults");
	TCase *tc = tcase_create("faults");

	tcase_add_test(tc, test_fault_grammar);
	tcase_add_test(tc, test_fault_collection);
	tcase_add_test(tc, test_fault_fields);
	tcase_add_test(tc, test_fault_sizes);
	tcase_add_test(tc, test_fault_timing);
	tcase_add_test(tc, test_fault_stalls);
	tcase_add_test(tc, test_fault_notification_and_disappearance);
	tcase_add_test(tc, test_fault_control_answers);
	tcase_add_test(tc, test_fault_control_timing);
	suite_add_tcase(s, tc);
	return suite_run(s);
}
