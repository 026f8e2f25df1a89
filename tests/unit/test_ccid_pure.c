/* SPDX-License-Identifier: BSD-3-Clause */
/* Small pure parts of the CCID driver: device strings, options, speeds, secrets, USB/IP messages. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "suite.h"
#include "ifd-ccid/bytes.h"
#include "ifd-ccid/log.h"
#include "ifd-ccid/options.h"
#include "ifd-ccid/port/holder.h"
#include "ifd-ccid/port/port_libusb.h"
#include "ifd-ccid/port/port_usbip.h"
#include "ifd-ccid/port/usbip_msg.h"
#include "ifd-ccid/slot/activate.h"
#include "ifd-ccid/slot/escape.h"
#include "iso7816/secret.h"

START_TEST(usbip_strings)
{
	struct usbip_address a;

	ck_assert(usbip_parse("usbip:localhost:3240/1-1", &a));
	ck_assert_str_eq(a.host, "localhost");
	ck_assert_str_eq(a.port, "3240");
	ck_assert_str_eq(a.busid, "1-1");
	ck_assert_int_eq(a.interface, -1);
	ck_assert(usbip_parse("usbip:[fe80::1]:3240/2-1.4:1.2", &a));
	ck_assert_str_eq(a.host, "fe80::1");
	ck_assert_str_eq(a.busid, "2-1.4");
	ck_assert_int_eq(a.interface, 2);
	ck_assert(usbip_parse("usbip:unix:/run/a b/socket/1-1", &a));
	ck_assert_str_eq(a.path, "/run/a b/socket");
	ck_assert_str_eq(a.host, "");
}
END_TEST

START_TEST(usbip_strings_refused)
{
	static const char *const bad[] = { "", "usbip:", "usbip:/1-1", "usbip:host/1-1",
		"usbip::3240/1-1", "usbip:host:/1-1", "usbip:host:3240", "usbip:host:3240/",
		"usbip:unix:/1-1", "usbip:host:1/1-1:", "usbip:host:1/1-1:1",
		"usbip:host:1/1-1:1.x", "usbip:host:1/1-1:1.999", "usbip:host:1/:1.0",
		"usbip:host:1/0123456789012345678901234567890123456789", "usb:1234/5678" };
	char name[1024] = "usbip:unix:/";
	struct usbip_address a;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!usbip_parse(bad[i], &a), "%s", bad[i]);
	memset(name + strlen(name), 'x', 500);
	strcat(name, "/1-1");
	ck_assert(!usbip_parse(name, &a));
}
END_TEST

START_TEST(libusb_strings)
{
	struct libusb_address a;

	ck_assert(libusb_parse("usb:08e6/3437:libudev:1:/dev/bus/usb/002/013", &a));
	ck_assert_uint_eq(a.vid, 0x08E6);
	ck_assert_uint_eq(a.pid, 0x3437);
	ck_assert_int_eq(a.interface, 1);
	ck_assert_int_eq(a.bus, 2);
	ck_assert_int_eq(a.device, 13);
	ck_assert(libusb_parse("usb:08e6/3437:libusb-1.0:2:13:1", &a));
	ck_assert_int_eq(a.interface, 1);
	ck_assert_int_eq(a.bus, 2);
	ck_assert_int_eq(a.device, 13);
	ck_assert(libusb_parse("usb:08e6/3437", &a));
	ck_assert_int_eq(a.bus, -1);
	ck_assert_int_eq(a.interface, -1);
	ck_assert(!libusb_parse("usb:08e6", &a));
	ck_assert(!libusb_parse("usb:08e6/3437:", &a));
	ck_assert(!libusb_parse("usb:08e6/3437:libudev:1:/dev/bus/usb/002", &a));
	ck_assert(!libusb_parse("usb:08e6/3437:libusb-1.0:2:13:1x", &a));
}
END_TEST

static char tree[] = "/tmp/test_ccid_pure.XXXXXX";

static const char *in_tree(const char *path)
{
	static char full[256];

	snprintf(full, sizeof(full), "%s%s", tree, path);
	return full;
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(in_tree(path), "we");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
}

/* Who has an interface: a kernel driver, or else the processes with the device's node open. */
START_TEST(holders)
{
	static const char *const folders[] = { "/sys", "/sys/bus", "/sys/bus/usb",
		"/sys/bus/usb/devices", "/sys/bus/usb/devices/1-2:1.0",
		"/sys/bus/usb/devices/1-2:1.1", "/proc", "/proc/12", "/proc/12/fd", "/proc/34",
		"/proc/34/fd", "/proc/self", "/proc/self/fd" };
	size_t count = sizeof(folders) / sizeof(folders[0]);
	char out[64];

	ck_assert_ptr_nonnull(mkdtemp(tree));
	for (size_t i = 0; i < count; i++)
		ck_assert_int_eq(mkdir(in_tree(folders[i]), 0700), 0);
	ck_assert_int_eq(
		symlink("../../drivers/usbhid", in_tree("/sys/bus/usb/devices/1-2:1.0/driver")), 0);
	ck_assert_int_eq(
		symlink("../../drivers/usbfs", in_tree("/sys/bus/usb/devices/1-2:1.1/driver")), 0);
	write_file("/proc/34/comm", "scdaemon\n");
	ck_assert_int_eq(symlink("/dev/null", in_tree("/proc/12/fd/0")), 0);
	ck_assert_int_eq(symlink("/dev/null", in_tree("/proc/34/fd/0")), 0);
	ck_assert_int_eq(symlink("/dev/bus/usb/001/007", in_tree("/proc/34/fd/5")), 0);

	ck_assert(holder_find(tree, "1-2:1.0", "/dev/bus/usb/001/007", out, sizeof(out)));
	ck_assert_str_eq(out, "kernel driver usbhid");
	ck_assert(holder_find(tree, "1-2:1.1", "/dev/bus/usb/001/007", out, sizeof(out)));
	ck_assert_str_eq(out, "scdaemon (process 34)");
	ck_assert(holder_find(tree, "1-2:1.2", "/dev/bus/usb/001/007", out, 8));
	ck_assert_str_eq(out, "scdaemo");
	ck_assert(!holder_find(tree, "1-2:1.1", "/dev/bus/usb/001/008", out, sizeof(out)));
	ck_assert(!holder_find("/nonexistent", "1-2:1.1", "/dev/x", out, sizeof(out)));

	ck_assert_int_eq(unlink(in_tree("/sys/bus/usb/devices/1-2:1.0/driver")), 0);
	ck_assert_int_eq(unlink(in_tree("/sys/bus/usb/devices/1-2:1.1/driver")), 0);
	ck_assert_int_eq(unlink(in_tree("/proc/34/comm")), 0);
	ck_assert_int_eq(unlink(in_tree("/proc/12/fd/0")), 0);
	ck_assert_int_eq(unlink(in_tree("/proc/34/fd/0")), 0);
	ck_assert_int_eq(unlink(in_tree("/proc/34/fd/5")), 0);
	while (count-- > 0)
		ck_assert_int_eq(rmdir(in_tree(folders[count])), 0);
	ck_assert_int_eq(rmdir(tree), 0);
}
END_TEST

START_TEST(options)
{
	static const char text[] = "<key>a</key>\n<string>0x11</string><key>b</key>"
				   "<key>c</key><string>7</string><key>d</key><string>x</string>";

	ck_assert_uint_eq(options_number(text, "a", 1), 0x11);
	ck_assert_uint_eq(options_number(text, "b", 5), 5);
	ck_assert_uint_eq(options_number(text, "c", 5), 7);
	ck_assert_uint_eq(options_number(text, "d", 5), 5);
	ck_assert_uint_eq(options_number(text, "e", 5), 5);
	ck_assert_uint_eq(options_number("<key>a</key><string>", "a", 5), 5);
}
END_TEST

START_TEST(speeds)
{
	static const uint32_t rates[] = { 10753, 43011, 86022, 0 };

	/* 4 MHz, F 372: D 8 is 86 021 bit/s; F 512, D 8: 62 500. */
	ck_assert_uint_eq(activate_best_ta1(0x14, 4000, 400000, NULL), 0x14);
	ck_assert_uint_eq(activate_best_ta1(0x14, 4000, 50000, NULL), 0x13);
	ck_assert_uint_eq(activate_best_ta1(0x14, 4000, 10753, NULL), 0x11);
	ck_assert_uint_eq(activate_best_ta1(0x94, 4000, 400000, NULL), 0x94);
	ck_assert_uint_eq(activate_best_ta1(0x18, 4000, 400000, NULL), 0x18);
	ck_assert_uint_eq(activate_best_ta1(0x18, 4000, 129033, rates), 0x14);
	ck_assert_uint_eq(activate_best_ta1(0x95, 4000, 115200, NULL), 0x94);
	ck_assert_uint_eq(activate_best_ta1(0x14, 4000, 400000, rates), 0x14);
	ck_assert_uint_eq(activate_best_ta1(0x94, 4000, 400000, rates), 0x11);
	/* Reserved values and slow cards stay at the default. */
	ck_assert_uint_eq(activate_best_ta1(0x74, 4000, 400000, NULL), 0x11);
	ck_assert_uint_eq(activate_best_ta1(0x1A, 4000, 400000, NULL), 0x11);
	ck_assert_uint_eq(activate_best_ta1(0x11, 4000, 400000, NULL), 0x11);
}
END_TEST

START_TEST(secrets)
{
	ck_assert(secret_command((const uint8_t *)"\x00\x20\x00\x81\x04"
						  "1234",
		9));
	ck_assert(secret_command((const uint8_t *)"\x10\x24\x00\x81\x04"
						  "1234",
		9));
	ck_assert(secret_command((const uint8_t *)"\x00\x2C\x00\x81\x04"
						  "1234",
		9));
	ck_assert(secret_command((const uint8_t *)"\xFF\x82\x00\x00\x06"
						  "123456",
		11));
	ck_assert(secret_command((const uint8_t *)"\x80\xD8\x00\x00\x02"
						  "12",
		7));
	ck_assert(!secret_command((const uint8_t *)"\x00\xA4\x04\x00\x02\x3F\x00", 7));
	ck_assert(!secret_command((const uint8_t *)"\x00\x20\x00\x81", 4));
	ck_assert(!secret_command(NULL, 0));
}
END_TEST

START_TEST(usbip_messages)
{
	struct usbip_device device = { .busnum = 3, .devnum = 9 };
	uint8_t header[USBIP_HEADER_SIZE];
	uint8_t setup[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	struct usbip_return ret;

	usbip_put_submit(header, 77, &device, 0x82, true, 300, NULL);
	ck_assert_uint_eq(be32(header + USBIP_command), USBIP_CMD_SUBMIT);
	ck_assert_uint_eq(be32(header + USBIP_seqnum), 77);
	ck_assert_uint_eq(be32(header + USBIP_devid), 0x00030009);
	ck_assert_uint_eq(be32(header + USBIP_direction), USBIP_DIR_IN);
	ck_assert_uint_eq(be32(header + USBIP_ep), 2);
	ck_assert_uint_eq(be32(header + USBIP_SUBMIT_transfer_buffer_length), 300);
	usbip_put_submit(header, 78, &device, 0, false, 0, setup);
	ck_assert_mem_eq(header + USBIP_SUBMIT_setup, setup, 8);
	usbip_put_unlink(header, 79, &device, 77);
	ck_assert_uint_eq(be32(header + USBIP_command), USBIP_CMD_UNLINK);
	ck_assert_uint_eq(be32(header + USBIP_UNLINK_unlink_seqnum), 77);
	ck_assert(!usbip_get_return(header, &ret));

	put_be32(header + USBIP_command, USBIP_RET_SUBMIT);
	put_be32(header + USBIP_RET_actual_length, 12);
	static const struct {
		int32_t wire;
		enum port_status status;
	} cases[] = { { 0, PORT_OK }, { -32, PORT_STALL }, { 32, PORT_STALL }, { -121, PORT_OK },
		{ -75, PORT_OVERFLOW }, { -108, PORT_GONE }, { 19, PORT_GONE }, { -71, PORT_ERROR },
		{ INT32_MIN, PORT_ERROR }, { INT32_MAX, PORT_ERROR } };
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put_be32(header + USBIP_RET_status, (uint32_t)cases[i].wire);
		ck_assert(usbip_get_return(header, &ret));
		ck_assert_int_eq(ret.status, cases[i].status);
		ck_assert_uint_eq(ret.actual_length, 12);
	}
}
END_TEST

static void add_prefix(struct quirk_prefixes *prefixes, const char *bytes, size_t len)
{
	memcpy(prefixes->list[prefixes->count].bytes, bytes, len);
	prefixes->list[prefixes->count++].len = (uint8_t)len;
}

START_TEST(escapes)
{
	static const uint8_t version[] = { 0x02 };
	static const uint8_t light[] = { 0x52, 0xF8 };
	static const uint8_t update[] = { 0x1F, 0x02, 0x33 };
	const uint32_t root = 0, user = 1000, other = 1001;
	struct quirk_set quirks = { 0 };

	/* Closed, to root too; ifdDriverOptions opens all. */
	ck_assert(!escape_permitted(&quirks, 0, root, version, 1));
	ck_assert(escape_permitted(&quirks, OPTION_ESCAPE, other, version, 1));
	ck_assert(!escape_permitted(&quirks, ~(unsigned)OPTION_ESCAPE, other, version, 1));
	add_prefix(&quirks.escape_allow, "\x02", 1);
	add_prefix(&quirks.escape_allow_root, "\x1F\x02", 2);
	ck_assert(escape_permitted(&quirks, 0, other, version, 1));
	ck_assert(!escape_permitted(&quirks, 0, other, version, 0));
	ck_assert(!escape_permitted(&quirks, 0, other, update, sizeof(update)));
	ck_assert(escape_permitted(&quirks, 0, root, update, sizeof(update)));
	ck_assert(!escape_permitted(&quirks, 0, root, update, 1));
	/* Some users may more than others; whom the host doesn't name is nobody. */
	add_prefix(&quirks.escape_allow_users, "\x52", 1);
	quirks.escape_users.numbers[quirks.escape_users.count++] = 999;
	quirks.escape_users.numbers[quirks.escape_users.count++] = user;
	ck_assert(escape_permitted(&quirks, 0, user, light, sizeof(light)));
	ck_assert(escape_permitted(&quirks, 0, user, version, 1));
	ck_assert(!escape_permitted(&quirks, 0, user, update, sizeof(update)));
	ck_assert(!escape_permitted(&quirks, 0, other, light, sizeof(light)));
	ck_assert(!escape_permitted(&quirks, 0, root, light, sizeof(light)));
	ck_assert(!escape_permitted(&quirks, 0, SLOT_NO_CLIENT, light, sizeof(light)));
	ck_assert(!escape_permitted(&quirks, 0, SLOT_NO_CLIENT, update, sizeof(update)));
	/* The empty prefix is all. */
	add_prefix(&quirks.escape_allow, "", 0);
	ck_assert(escape_permitted(&quirks, 0, other, update, sizeof(update)));
	ck_assert(escape_permitted(&quirks, 0, other, update, 0));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ccid_pure");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, usbip_strings);
	tcase_add_test(tc, usbip_strings_refused);
	tcase_add_test(tc, libusb_strings);
	tcase_add_test(tc, holders);
	tcase_add_test(tc, options);
	tcase_add_test(tc, speeds);
	tcase_add_test(tc, secrets);
	tcase_add_test(tc, escapes);
	tcase_add_test(tc, usbip_messages);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
