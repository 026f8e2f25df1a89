/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of readers, and the choice of drivers for what is plugged in. */
#include <string.h>

#include "suite.h"
#include "pcscd/readers/hotplug.h"
#include "pcscd/readers/names.h"

/* Names. */

static const char *device_name(const struct name_rules *rules, const char *friendly,
	const char *interface, const char *serial)
{
	static char name[NAME_BASE_MAX + 1];

	name_of_device(name, rules, friendly, interface, serial);
	return name;
}

START_TEST(test_names)
{
	struct name_rules rules = { 0 };
	struct name_rules bare = { .no_interface = true, .no_serial = true };
	struct name_rules extended = { .extend = " (lab)" };

	ck_assert_str_eq(device_name(&rules, "A", NULL, NULL), "A");
	ck_assert_str_eq(device_name(&rules, "A", "CCID", NULL), "A [CCID]");
	ck_assert_str_eq(device_name(&rules, "A", NULL, "123"), "A (123)");
	ck_assert_str_eq(device_name(&rules, "A", "CCID", "123"), "A [CCID] (123)");
	ck_assert_str_eq(device_name(&rules, "A", "CCID 123", "123"), "A [CCID 123]");
	ck_assert_str_eq(device_name(&rules, "A", "", ""), "A");
	ck_assert_str_eq(device_name(&rules, "A", "caf\xc3\xa9", "1\n2"), "A [caf..] (1.2)");
	ck_assert_str_eq(
		device_name(&rules, "B\xc3\xa4r\n\x7f\x1b[31m", NULL, NULL), "B\xc3\xa4r...[31m");
	ck_assert_str_eq(device_name(&bare, "A", "CCID", "123"), "A");
	ck_assert_str_eq(device_name(&extended, "A", NULL, "1"), "A (1) (lab)");
}
END_TEST

START_TEST(test_long_names)
{
	struct name_rules rules = { 0 };
	struct name_rules extended = { .extend = " (lab)" };
	char text[400];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	ck_assert_uint_eq(strlen(device_name(&rules, text, text, text)), NAME_BASE_MAX);
	ck_assert_uint_eq(strlen(device_name(&extended, text, NULL, NULL)), NAME_BASE_MAX);
	ck_assert_str_eq(device_name(&extended, text, NULL, NULL) + NAME_BASE_MAX - 6, " (lab)");
	/* a character of two bytes at the edge goes as a whole */
	text[NAME_BASE_MAX - 1] = '\xc3';
	text[NAME_BASE_MAX] = '\xa9';
	ck_assert_uint_eq(strlen(device_name(&rules, text, NULL, NULL)), NAME_BASE_MAX - 1);
}
END_TEST

START_TEST(test_ignore)
{
	struct name_rules rules = { .ignore = "Broad:Virtual PCD::x y" };
	struct name_rules none = { 0 };

	ck_assert(name_is_ignored(&rules, "Broadcom 5880"));
	ck_assert(name_is_ignored(&rules, "My Virtual PCD"));
	ck_assert(name_is_ignored(&rules, "x y"));
	ck_assert(!name_is_ignored(&rules, "broadcom"));
	ck_assert(!name_is_ignored(&none, "anything"));
	ck_assert(name_says_contactless("ACME Contactless 1"));
	ck_assert(name_says_contactless("ACME [PICC interface]"));
	ck_assert(!name_says_contactless("ACME Contact"));
}
END_TEST

/* Choice of drivers. */

static struct bundle_device listed[] = { { 0x08E6, 0x3437, "PC Twin" } };
static struct bundle bundle_list[] = {
	{ "/class.so", true, NULL, 0 },
	{ "/own.so", false, listed, 1 },
};
static const struct bundles bundles = { bundle_list, 2, 0 };

static struct usb_interface twin(void)
{
	return (struct usb_interface){ .place = "1-3:1.10",
		.node = "/dev/bus/usb/001/004",
		.born = "77",
		.vendor = 0x08E6,
		.product = 0x3437,
		.interface_class = 0x0B,
		.interface_number = 0x10,
		.serial = "S1",
		.manufacturer = "Gemalto",
		.product_name = "Gemalto USB Reader" };
}

START_TEST(test_choose)
{
	struct name_rules rules = { 0 };
	struct wanted_list list = { 0 };
	struct usb_interface interface = twin();

	hotplug_choose(&list, &bundles, &rules, &interface);
	ck_assert_uint_eq(list.count, 1);
	ck_assert_str_eq(list.list[0].key, "1-3:1.10");
	ck_assert_uint_eq(list.list[0].count, 2);
	ck_assert_str_eq(list.list[0].specs[0].library, "/own.so");
	ck_assert_str_eq(list.list[0].specs[0].base_name, "PC Twin (S1)");
	ck_assert_str_eq(
		list.list[0].specs[0].device, "usb:08e6/3437:libudev:16:/dev/bus/usb/001/004");
	ck_assert_str_eq(list.list[0].specs[0].origin, "usb 1-3:1.10");
	ck_assert(list.list[0].specs[0].hotplug);
	ck_assert_str_eq(list.list[0].specs[0].place, "serial S1:1.10 at 1-3:1.10");
	ck_assert_str_eq(list.list[0].specs[1].library, "/class.so");
	ck_assert_str_eq(list.list[0].specs[1].base_name, "Gemalto USB Reader (S1)");
	wanted_free(&list);
}
END_TEST

START_TEST(test_choose_by_class)
{
	struct name_rules rules = { 0 };
	struct name_rules ignoring = { .ignore = "Acme" };
	struct wanted_list list = { 0 };
	struct usb_interface interface = twin();

	interface.vendor = 0x9999;
	interface.manufacturer = "Acme";
	interface.product_name = "Reader";
	interface.serial = NULL;
	interface.born = NULL;
	hotplug_choose(&list, &bundles, &ignoring, &interface);
	ck_assert_uint_eq(list.count, 0);
	hotplug_choose(&list, &bundles, &rules, &interface);
	ck_assert_uint_eq(list.count, 1);
	ck_assert_str_eq(list.list[0].specs[0].base_name, "Acme Reader");
	ck_assert_str_eq(list.list[0].specs[0].place, "1-3:1.10");
	wanted_free(&list);
	/* what nobody has listed may say anything of itself */
	interface.manufacturer = "Acm\xc3\xa9\n";
	interface.product_name = "\x1b[2J\xc2\x9b";
	hotplug_choose(&list, &bundles, &rules, &interface);
	ck_assert_str_eq(list.list[0].specs[0].base_name, "Acm... .[2J..");
	wanted_free(&list);
	interface.manufacturer = interface.product_name = NULL;
	interface.path = "pci-0000:00:14.0-usb-0:3:1.10";
	hotplug_choose(&list, &bundles, &rules, &interface);
	ck_assert_str_eq(list.list[0].specs[0].base_name, "CCID Reader 9999:3437");
	ck_assert_str_eq(list.list[0].specs[0].place, "pci-0000:00:14.0-usb-0:3:1.10");
	wanted_free(&list);
	interface.interface_class = 0x03;
	hotplug_choose(&list, &bundles, &rules, &interface);
	ck_assert_uint_eq(list.count, 0);
	wanted_free(&list);
}
END_TEST

/* Another device at the same place is another device, whatever it has in common. */
START_TEST(test_identity)
{
	struct name_rules rules = { 0 };
	struct wanted_list list = { 0 };
	struct usb_interface interface = twin();

	hotplug_choose(&list, &bundles, &rules, &interface);
	interface.place = "1-3:1.11";
	interface.born = "78";
	hotplug_choose(&list, &bundles, &rules, &interface);
	interface.place = "1-3:1.12";
	interface.born = "77";
	interface.serial = "S2";
	hotplug_choose(&list, &bundles, &rules, &interface);
	ck_assert_uint_eq(list.count, 3);
	ck_assert_str_ne(list.list[0].identity, list.list[1].identity);
	ck_assert_str_ne(list.list[0].identity, list.list[2].identity);
	wanted_free(&list);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("hotplug");
	TCase *tests = tcase_create("choice");

	tcase_add_test(tests, test_names);
	tcase_add_test(tests, test_long_names);
	tcase_add_test(tests, test_ignore);
	tcase_add_test(tests, test_choose);
	tcase_add_test(tests, test_choose_by_class);
	tcase_add_test(tests, test_identity);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
