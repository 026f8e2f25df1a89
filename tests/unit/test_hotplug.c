/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of readers, the choice of drivers, and what the inventory does about changes: by hand, and
 * by seeded storms of events against a kernel and a reader table that are both made up. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "suite.h"
#include "pcscd/clock.h"
#include "pcscd/log.h"
#include "pcscd/readers/hotplug.h"
#include "pcscd/readers/inventory.h"
#include "pcscd/readers/names.h"

#define STORMS 100000

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

/* A kernel and a reader table that are made up. */

enum temper {
	WORKS,        /* the first driver takes it */
	WORKS_SECOND, /* only the second does */
	NO_READER,    /* none does */
};

#define PLACES 6

/* The kernel's side: what is plugged in where. */
static struct {
	bool plugged;
	enum temper temper;
	char key[16];
	char identity[24];
	char node[16];
	unsigned birth;
} bus[PLACES];

enum phase {
	FREE,
	COMING,
	UP,
	LEAVING
};

struct device {
	enum phase phase;
	uint64_t id;
	char library[16];
	char device[32];
	unsigned birth; /* of the device on the bus that had the device string when it was opened */
	bool was_up;
	bool unplugged;
	bool again;
};

#define DEVICES 64

static struct device devices[DEVICES];
static uint64_t next_id;
static unsigned adds;
static unsigned overlaps; /* the same device twice: must be refused by the table, always is */

static enum readers_result table_add(const struct reader_spec *spec, uint64_t *id)
{
	struct device *place = NULL;

	adds++;
	for (size_t i = 0; i < DEVICES; i++) {
		if (devices[i].phase == FREE)
			place = place ? place : &devices[i];
		else if (strcmp(devices[i].library, spec->library) == 0 &&
			 strcmp(devices[i].device, spec->device) == 0) {
			overlaps++;
			return READERS_DUPLICATE;
		}
	}
	if (!place)
		return READERS_FAILED;
	*place = (struct device){ .phase = COMING, .id = ++next_id, .again = spec->again };
	snprintf(place->library, sizeof(place->library), "%s", spec->library);
	snprintf(place->device, sizeof(place->device), "%s", spec->device);
	for (size_t i = 0; i < PLACES; i++)
		if (bus[i].plugged && strcmp(bus[i].node, spec->device) == 0)
			place->birth = bus[i].birth;
	*id = place->id;
	return READERS_OK;
}

static void table_remove(uint64_t id, bool unplugged)
{
	for (size_t i = 0; i < DEVICES; i++)
		if (devices[i].phase != FREE && devices[i].id == id) {
			ck_assert_int_ne(devices[i].phase, LEAVING);
			devices[i].phase = LEAVING;
			devices[i].unplugged = unplugged;
		}
}

static const struct inventory_table table = { table_add, table_remove };

static struct device *find_device(const char *device)
{
	for (size_t i = 0; i < DEVICES; i++)
		if (devices[i].phase != FREE && strcmp(devices[i].device, device) == 0)
			return &devices[i];
	return NULL;
}

static struct inventory *inventory;
static int64_t now;

static void report_up(struct device *device)
{
	ck_assert_ptr_nonnull(device);
	device->phase = UP;
	device->was_up = true;
	inventory_up(inventory, device->id, now);
}

static void report_gone(struct device *device, enum readers_end why)
{
	uint64_t id;

	ck_assert_ptr_nonnull(device);
	id = device->id;
	device->phase = FREE;
	inventory_gone(inventory, id, why, device->was_up, now);
}

static void setup(void)
{
	const struct log_config quiet = { .level = PCSC_LOG_CRITICAL };

	log_open(&quiet);
	memset(devices, 0, sizeof(devices));
	next_id = 0;
	adds = 0;
	now = CLOCK_S;
	inventory = inventory_new(&table);
	ck_assert_ptr_nonnull(inventory);
}

static void teardown(void)
{
	inventory_free(inventory);
	inventory = NULL;
}

static struct wanted want(const char *key, const char *identity, const char *device)
{
	return (struct wanted){ .key = key,
		.identity = identity,
		.specs = { { .base_name = "R", .library = "a.so", .device = device, .origin = key },
			{ .base_name = "R", .library = "b.so", .device = device, .origin = key } },
		.count = 2 };
}

static void sync_bus(const struct wanted *wanted, size_t count)
{
	inventory_sync(inventory, INVENTORY_BUS, wanted, count, false, now);
}

static void sync_conf(const struct wanted *wanted, size_t count)
{
	inventory_sync(inventory, INVENTORY_CONF, wanted, count, false, now);
}

START_TEST(test_come_and_go)
{
	struct wanted wanted[] = { want("1", "x", "d1"), want("2", "y", "d2") };

	sync_bus(wanted, 2);
	ck_assert_uint_eq(adds, 2);
	report_up(find_device("d1"));
	report_up(find_device("d2"));
	sync_bus(wanted, 2);
	ck_assert_uint_eq(adds, 2);
	sync_bus(&wanted[1], 1);
	ck_assert_int_eq(find_device("d1")->phase, LEAVING);
	ck_assert(find_device("d1")->unplugged);
	report_gone(find_device("d1"), READERS_END_REMOVED);
	ck_assert_ptr_null(find_device("d1"));
	ck_assert_int_eq(find_device("d2")->phase, UP);
	ck_assert_int_eq(inventory_deadline(inventory), INT64_MAX);
}
END_TEST

/* The driver that lists it doesn't open it: the class driver gets it; neither: it is left alone. */
START_TEST(test_second_driver)
{
	struct wanted wanted[] = { want("1", "x", "d1") };

	sync_bus(wanted, 1);
	report_gone(find_device("d1"), READERS_END_OPEN_FAILED);
	ck_assert_str_eq(find_device("d1")->library, "b.so");
	report_gone(find_device("d1"), READERS_END_OPEN_FAILED);
	ck_assert_ptr_null(find_device("d1"));
	ck_assert_int_eq(inventory_deadline(inventory), INT64_MAX);
	sync_bus(wanted, 1);
	ck_assert_uint_eq(adds, 2);
	inventory_sync(inventory, INVENTORY_BUS, wanted, 1, true, now);
	ck_assert_uint_eq(adds, 3);
	report_up(find_device("d1"));
}
END_TEST

START_TEST(test_exchanged)
{
	struct wanted before[] = { want("1", "x", "d1") };
	struct wanted after[] = { want("1", "y", "d1") };

	sync_bus(before, 1);
	report_up(find_device("d1"));
	sync_bus(after, 1);
	ck_assert_int_eq(find_device("d1")->phase, LEAVING);
	sync_bus(after, 1);
	report_gone(find_device("d1"), READERS_END_REMOVED);
	ck_assert_int_eq(find_device("d1")->phase, COMING);
	report_up(find_device("d1"));
}
END_TEST

/* A device that the driver cannot open yet: tried again, more and more rarely, without a word. */
START_TEST(test_refused)
{
	struct wanted wanted[] = { want("c", "", "d") };
	const struct log_config log = { .level = PCSC_LOG_ERROR };
	int64_t begin = now;
	char *said;

	wanted[0].count = 1;
	log_open(&log);
	capture_begin();
	sync_conf(wanted, 1);
	for (int i = 0; i < 20; i++) {
		report_gone(find_device("d"), READERS_END_REFUSED);
		ck_assert_ptr_null(find_device("d"));
		ck_assert_int_ge(inventory_deadline(inventory), now + INVENTORY_RETRY_MIN);
		ck_assert_int_le(inventory_deadline(inventory), now + INVENTORY_RETRY_MAX);
		now = inventory_deadline(inventory);
		inventory_tick(inventory, now);
	}
	ck_assert_int_gt(now - begin, 60 * CLOCK_S);
	report_up(find_device("d"));
	said = capture_end();
	ck_assert_uint_eq(capture_lines(said), 1);
	ck_assert_ptr_nonnull(strstr(said, "is back"));
	free(said);
}
END_TEST

/* Another power policy is another reader: it is brought up anew, once. */
START_TEST(test_power_changed)
{
	const struct reader_power never = { .grace = -1 };
	const struct reader_power demand = { .grace = -1, .on_demand = true };
	struct reader_power same = never;
	struct wanted wanted[] = { want("c", "", "d") };

	wanted[0].count = 1;
	wanted[0].specs[0].power = &never;
	sync_conf(wanted, 1);
	report_up(find_device("d"));
	wanted[0].specs[0].power = &same;
	sync_conf(wanted, 1);
	ck_assert_int_eq(find_device("d")->phase, UP);
	wanted[0].specs[0].power = &demand;
	sync_conf(wanted, 1);
	ck_assert_int_eq(find_device("d")->phase, LEAVING);
	report_gone(find_device("d"), READERS_END_REMOVED);
	report_up(find_device("d"));
	wanted[0].specs[0].power = NULL;
	sync_conf(wanted, 1);
	ck_assert_int_eq(find_device("d")->phase, LEAVING);
	report_gone(find_device("d"), READERS_END_REMOVED);
	ck_assert_int_eq(find_device("d")->phase, COMING);
}
END_TEST

/* A server that is down: tried at growing intervals; a line when it goes, one when it is back. */
START_TEST(test_server_down)
{
	struct wanted wanted[] = { want("c", "", "d") };
	const struct log_config log = { .level = PCSC_LOG_ERROR };
	int64_t last = 0;
	char *said;

	wanted[0].count = 1;
	log_open(&log);
	capture_begin();
	sync_conf(wanted, 1);
	for (int i = 0; i < 20; i++) {
		int64_t wait;

		report_gone(find_device("d"), READERS_END_NO_DEVICE);
		wait = inventory_deadline(inventory) - now;
		ck_assert_int_ge(wait, last);
		ck_assert_int_ge(wait, INVENTORY_RETRY_MIN);
		ck_assert_int_le(wait, INVENTORY_RETRY_MAX);
		last = wait;
		inventory_tick(inventory, now + wait - 1);
		ck_assert_ptr_null(find_device("d"));
		now += wait;
		inventory_tick(inventory, now);
	}
	ck_assert_int_eq(last, INVENTORY_RETRY_MAX);
	report_up(find_device("d"));
	now += INVENTORY_STABLE;
	report_gone(find_device("d"), READERS_END_NO_DEVICE);
	ck_assert_int_eq(inventory_deadline(inventory), now + INVENTORY_RETRY_MIN);
	/* it comes back in the middle of its own start: still tried */
	now = inventory_deadline(inventory);
	inventory_tick(inventory, now);
	report_gone(find_device("d"), READERS_END_OPEN_FAILED);
	now = inventory_deadline(inventory);
	inventory_tick(inventory, now);
	report_up(find_device("d"));
	said = capture_end();
	ck_assert_uint_eq(capture_lines(said), 4);
	ck_assert_ptr_nonnull(strstr(said, "is not there; it is tried again"));
	ck_assert_ptr_nonnull(strstr(said, "is gone; it is tried again"));
	free(said);
	sync_conf(NULL, 0);
	report_gone(find_device("d"), READERS_END_REMOVED);
	ck_assert_int_eq(inventory_deadline(inventory), INT64_MAX);
}
END_TEST

/* One that comes up and dies at once must not be tried in a loop. */
START_TEST(test_flapping)
{
	struct wanted wanted[] = { want("c", "", "d") };
	int64_t begin = now;

	sync_conf(wanted, 1);
	for (int i = 0; i < 20; i++) {
		report_up(find_device("d"));
		report_gone(find_device("d"), READERS_END_NO_DEVICE);
		now = inventory_deadline(inventory);
		inventory_tick(inventory, now);
	}
	ck_assert_int_gt(now - begin, 60 * CLOCK_S);
}
END_TEST

/* A reader on the bus that fails while plugged in gets some tries, not all of them at once. */
START_TEST(test_bus_recovers)
{
	struct wanted wanted[] = { want("1", "x", "d") };
	int tries = 0;

	sync_bus(wanted, 1);
	report_up(find_device("d"));
	report_gone(find_device("d"), READERS_END_NO_DEVICE);
	for (; inventory_deadline(inventory) != INT64_MAX; tries++) {
		now = inventory_deadline(inventory);
		inventory_tick(inventory, now);
		report_gone(find_device("d"), READERS_END_NO_DEVICE);
		report_gone(find_device("d"), READERS_END_NO_DEVICE);
	}
	ck_assert_int_eq(tries, INVENTORY_BUS_TRIES);
	ck_assert_ptr_null(find_device("d"));
}
END_TEST

/* A reader on the bus that can't be opened when it comes gets some tries, one line, and then rest. */
START_TEST(test_bus_refused)
{
	struct wanted wanted[] = { want("1", "x", "d") };
	int tries = 0;

	wanted[0].count = 1;
	sync_bus(wanted, 1);
	ck_assert(!find_device("d")->again);
	report_gone(find_device("d"), READERS_END_REFUSED);
	for (; inventory_deadline(inventory) != INT64_MAX; tries++) {
		now = inventory_deadline(inventory);
		inventory_tick(inventory, now);
		ck_assert(find_device("d")->again);
		report_gone(find_device("d"), READERS_END_REFUSED);
	}
	ck_assert_int_eq(tries, INVENTORY_BUS_TRIES);
	sync_bus(wanted, 1);
	ck_assert_ptr_null(find_device("d"));
	sync_bus(NULL, 0);
	sync_bus(wanted, 1);
	ck_assert(!find_device("d")->again);
	report_gone(find_device("d"), READERS_END_REFUSED);
	inventory_tick(inventory, inventory_deadline(inventory));
	report_up(find_device("d"));
	ck_assert_int_eq(inventory_deadline(inventory), INT64_MAX);
}
END_TEST

/* Its node's permissions change: a reader that could not be opened is tried, one that works stays. */
START_TEST(test_access_changes)
{
	struct wanted wanted[] = { want("1", "x", "d"), want("2", "y", "e") };

	wanted[0].access = wanted[1].access = "0 0 664";
	sync_bus(wanted, 2);
	report_up(find_device("e"));
	report_gone(find_device("d"), READERS_END_OPEN_FAILED);
	report_gone(find_device("d"), READERS_END_OPEN_FAILED);
	sync_bus(wanted, 2);
	ck_assert_ptr_null(find_device("d"));
	wanted[0].access = wanted[1].access = "0 105 660";
	sync_bus(wanted, 2);
	ck_assert_int_eq(find_device("e")->phase, UP);
	report_up(find_device("d"));
	/* What can't be told is no change. */
	wanted[0].access = wanted[1].access = NULL;
	sync_bus(wanted, 2);
	ck_assert_int_eq(find_device("d")->phase, UP);
}
END_TEST

/* The same device under another name: the old reader must be gone before the new one comes. */
START_TEST(test_renamed)
{
	struct wanted before[] = { want("old", "", "d") };
	struct wanted after[] = { want("new", "", "d") };
	struct wanted twice[] = { want("new", "", "d"), want("third", "", "d") };

	sync_conf(before, 1);
	report_up(find_device("d"));
	sync_conf(after, 1);
	report_gone(find_device("d"), READERS_END_REMOVED);
	inventory_tick(inventory, now);
	report_up(find_device("d"));
	/* configured twice: one stands, and the other isn't tried for ever */
	sync_conf(twice, 2);
	ck_assert_int_eq(inventory_deadline(inventory), INT64_MAX);
}
END_TEST

/* Storms. */

static uint64_t seed;

static unsigned roll(unsigned sides)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)((seed >> 33) % sides);
}

static unsigned births;

static bool node_taken(const char *node)
{
	for (size_t i = 0; i < PLACES; i++)
		if (bus[i].plugged && strcmp(bus[i].node, node) == 0)
			return true;
	return false;
}

/* Device numbers are used again, by another device, perhaps at another place. */
static void plug(size_t i)
{
	bus[i].plugged = false;
	bus[i].temper = (enum temper)roll(3);
	bus[i].birth = ++births;
	snprintf(bus[i].key, sizeof(bus[i].key), "1-%zu", i);
	snprintf(bus[i].identity, sizeof(bus[i].identity), "%u", bus[i].birth);
	do
		snprintf(bus[i].node, sizeof(bus[i].node), "n%u", roll(PLACES + 2));
	while (node_taken(bus[i].node));
	bus[i].plugged = true;
}

static void sync_all(void)
{
	struct wanted wanted[PLACES];
	size_t count = 0;
	size_t first = roll(PLACES);

	for (size_t n = 0; n < PLACES; n++) {
		size_t i = (first + n) % PLACES;

		if (bus[i].plugged)
			wanted[count++] = want(bus[i].key, bus[i].identity, bus[i].node);
	}
	sync_bus(wanted, count);
}

static bool takes(const struct device *device)
{
	for (size_t i = 0; i < PLACES; i++)
		if (bus[i].plugged && bus[i].birth == device->birth)
			return (bus[i].temper == WORKS && device->library[0] == 'a') ||
			       (bus[i].temper == WORKS_SECOND && device->library[0] == 'b');
	return false;
}

static bool stormy;

/* One thing happens in the table: what a device's own thread would report at some time. */
static void table_step(struct device *device)
{
	switch (device->phase) {
	case COMING:
		/* In a storm a reader that is there may be unable to answer. */
		if (takes(device) && stormy && roll(16) == 0)
			report_gone(device, READERS_END_REFUSED);
		else if (takes(device))
			report_up(device);
		else
			report_gone(
				device, roll(2) ? READERS_END_NO_DEVICE : READERS_END_OPEN_FAILED);
		break;
	case UP: /* it notices by itself that the device is gone, or fails though it is there */
		if (!takes(device) || roll(20) == 0)
			report_gone(device, READERS_END_NO_DEVICE);
		break;
	case LEAVING:
		report_gone(device, READERS_END_REMOVED);
		break;
	case FREE:
		break;
	}
}

static void storm_step(void)
{
	size_t i = roll(PLACES);

	switch (roll(6)) {
	case 0:
	case 1: /* plug or unplug, with or without an event that gets through */
		if (bus[i].plugged)
			bus[i].plugged = false;
		else
			plug(i);
		if (roll(2))
			sync_all();
		break;
	case 2: /* a bounce between two looks */
		if (bus[i].plugged) {
			bus[i].plugged = false;
			plug(i);
		}
		break;
	case 3: /* an event, perhaps doubled */
		sync_all();
		break;
	case 4:
		table_step(&devices[roll(DEVICES)]);
		for (size_t n = 0; n < 4; n++)
			table_step(&devices[roll(PLACES * 2)]);
		break;
	default:
		now += (int64_t)roll(1000) * CLOCK_MS;
		inventory_tick(inventory, now);
		break;
	}
}

/* The storm is over: one last event gets through, and time passes. */
static void settle(void)
{
	stormy = false;
	sync_all();
	for (int round = 0; round < 200; round++) {
		bool busy = false;

		for (size_t i = 0; i < DEVICES; i++) {
			if (devices[i].phase == COMING || devices[i].phase == LEAVING) {
				table_step(&devices[i]);
				busy = true;
			}
		}
		if (!busy && inventory_deadline(inventory) == INT64_MAX)
			return;
		if (inventory_deadline(inventory) != INT64_MAX &&
			inventory_deadline(inventory) > now)
			now = inventory_deadline(inventory);
		inventory_tick(inventory, now);
	}
	ck_abort_msg("no end");
}

/* Exactly the readers that are plugged in are up, each once. */
static void check_converged(uint64_t from)
{
	size_t up = 0;
	size_t there = 0;

	for (size_t i = 0; i < DEVICES; i++)
		up += devices[i].phase != FREE;
	for (size_t i = 0; i < PLACES; i++) {
		const struct device *device;

		if (!bus[i].plugged || bus[i].temper == NO_READER)
			continue;
		there++;
		device = find_device(bus[i].node);
		ck_assert_msg(device && device->phase == UP && takes(device),
			"seed %llu: device %s is not up", (unsigned long long)from, bus[i].node);
	}
	ck_assert_msg(
		up == there, "seed %llu: %zu up, %zu there", (unsigned long long)from, up, there);
}

START_TEST(test_storms)
{
	unsigned total = 0;

	teardown();
	for (uint64_t from = 1; from <= STORMS; from++) {
		seed = from * UINT64_C(0x9E3779B97F4A7C15);
		setup();
		memset(bus, 0, sizeof(bus));
		stormy = true;
		for (unsigned step = 5 + roll(40); step > 0; step--)
			storm_step();
		settle();
		check_converged(from);
		total += adds;
		teardown();
	}
	ck_assert_uint_gt(total, STORMS);
	ck_assert_uint_gt(overlaps, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("hotplug");
	TCase *choice = tcase_create("choice");
	TCase *tests = tcase_create("inventory");

	tcase_add_test(choice, test_names);
	tcase_add_test(choice, test_long_names);
	tcase_add_test(choice, test_ignore);
	tcase_add_test(choice, test_choose);
	tcase_add_test(choice, test_choose_by_class);
	tcase_add_test(choice, test_identity);
	suite_add_tcase(suite, choice);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 240);
	tcase_add_test(tests, test_come_and_go);
	tcase_add_test(tests, test_second_driver);
	tcase_add_test(tests, test_exchanged);
	tcase_add_test(tests, test_refused);
	tcase_add_test(tests, test_power_changed);
	tcase_add_test(tests, test_server_down);
	tcase_add_test(tests, test_flapping);
	tcase_add_test(tests, test_bus_recovers);
	tcase_add_test(tests, test_bus_refused);
	tcase_add_test(tests, test_access_changes);
	tcase_add_test(tests, test_renamed);
	tcase_add_test(tests, test_storms);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
