/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Seeded storms of events against an inventory: devices come, go, change places and fail, with or
 * without an event that gets through. Afterwards exactly what is plugged in is up.
 */
#include <stdio.h>
#include <string.h>

#include "fake_table.h"
#include "suite.h"

#define STORMS 100000
#define PLACES 6

enum temper {
	WORKS,        /* the first driver takes it */
	WORKS_SECOND, /* only the second does */
	NO_READER,    /* none does */
};

/* The kernel's side: what is plugged in where. */
static struct {
	bool plugged;
	enum temper temper;
	char key[16];
	char identity[24];
	char node[16];
	unsigned birth;
} bus[PLACES];

static uint64_t seed;

static unsigned roll(unsigned sides)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)((seed >> 33) % sides);
}

static unsigned births;

/* The birth of what has this node; 0: nothing has. */
static unsigned birth_at(const char *node)
{
	for (size_t i = 0; i < PLACES; i++)
		if (bus[i].plugged && strcmp(bus[i].node, node) == 0)
			return bus[i].birth;
	return 0;
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
	while (birth_at(bus[i].node));
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
			wanted[count++] = table_want(bus[i].key, bus[i].identity, bus[i].node);
	}
	table_sync_bus(wanted, count);
}

static bool takes(const struct table_device *device)
{
	for (size_t i = 0; i < PLACES; i++)
		if (bus[i].plugged && bus[i].birth == device->birth)
			return (bus[i].temper == WORKS && device->library[0] == 'a') ||
			       (bus[i].temper == WORKS_SECOND && device->library[0] == 'b');
	return false;
}

static bool stormy;

/* One thing happens in the table: what a device's own thread would report at some time. */
static void table_step(struct table_device *device)
{
	switch (device->phase) {
	case TABLE_COMING:
		/* In a storm a reader that is there may be unable to answer. */
		if (takes(device) && stormy && roll(16) == 0)
			table_gone(device, READERS_END_REFUSED);
		else if (takes(device))
			table_up(device);
		else
			table_gone(
				device, roll(2) ? READERS_END_NO_DEVICE : READERS_END_OPEN_FAILED);
		break;
	case TABLE_UP: /* it notices that the device is gone, or fails though it is there */
		if (!takes(device) || roll(20) == 0)
			table_gone(device, READERS_END_NO_DEVICE);
		break;
	case TABLE_LEAVING:
		table_gone(device, READERS_END_REMOVED);
		break;
	case TABLE_FREE:
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
		table_step(&table.devices[roll(TABLE_DEVICES)]);
		for (size_t n = 0; n < 4; n++)
			table_step(&table.devices[roll(PLACES * 2)]);
		break;
	default:
		table.now += (int64_t)roll(1000) * CLOCK_MS;
		inventory_tick(table.inventory, table.now);
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

		for (size_t i = 0; i < TABLE_DEVICES; i++) {
			if (table.devices[i].phase == TABLE_COMING ||
				table.devices[i].phase == TABLE_LEAVING) {
				table_step(&table.devices[i]);
				busy = true;
			}
		}
		if (!busy && inventory_deadline(table.inventory) == INT64_MAX)
			return;
		if (inventory_deadline(table.inventory) != INT64_MAX &&
			inventory_deadline(table.inventory) > table.now)
			table.now = inventory_deadline(table.inventory);
		inventory_tick(table.inventory, table.now);
	}
	ck_abort_msg("no end");
}

/* Exactly the readers that are plugged in are up, each once. */
static void check_converged(uint64_t from)
{
	size_t up = 0;
	size_t there = 0;

	for (size_t i = 0; i < TABLE_DEVICES; i++)
		up += table.devices[i].phase != TABLE_FREE;
	for (size_t i = 0; i < PLACES; i++) {
		const struct table_device *device;

		if (!bus[i].plugged || bus[i].temper == NO_READER)
			continue;
		there++;
		device = table_find(bus[i].node);
		if (!device || device->phase != TABLE_UP || !takes(device))
			ck_abort_msg("seed %llu: device %s is not up", (unsigned long long)from,
				bus[i].node);
	}
	if (up != there)
		ck_abort_msg("seed %llu: %zu up, %zu there", (unsigned long long)from, up, there);
}

START_TEST(test_storms)
{
	unsigned total = 0, overlaps = 0;

	for (uint64_t from = 1; from <= STORMS; from++) {
		seed = from * UINT64_C(0x9E3779B97F4A7C15);
		table_setup();
		table.birth = birth_at;
		memset(bus, 0, sizeof(bus));
		stormy = true;
		for (unsigned step = 5 + roll(40); step > 0; step--)
			storm_step();
		settle();
		check_converged(from);
		total += table.adds;
		overlaps += table.overlaps;
		table_teardown();
	}
	ck_assert_uint_gt(total, STORMS);
	ck_assert_uint_gt(overlaps, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("inventory_storms");
	TCase *tests = tcase_create("storms");

	tcase_set_timeout(tests, 240);
	tcase_add_test(tests, test_storms);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
