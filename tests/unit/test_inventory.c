/* SPDX-License-Identifier: BSD-3-Clause */
/* What the inventory does about changes, one by one. test_inventory_storms.c is the other half. */
#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "fake_table.h"
#include "suite.h"
#include "pcscd/log.h"

START_TEST(test_come_and_go)
{
	struct wanted wanted[] = { table_want("1", "x", "d1"), table_want("2", "y", "d2") };

	table_sync_bus(wanted, 2);
	ck_assert_uint_eq(table.adds, 2);
	table_up(table_find("d1"));
	table_up(table_find("d2"));
	table_sync_bus(wanted, 2);
	ck_assert_uint_eq(table.adds, 2);
	table_sync_bus(&wanted[1], 1);
	ck_assert_int_eq(table_find("d1")->phase, TABLE_LEAVING);
	ck_assert(table_find("d1")->unplugged);
	table_gone(table_find("d1"), READERS_END_REMOVED);
	ck_assert_ptr_null(table_find("d1"));
	ck_assert_int_eq(table_find("d2")->phase, TABLE_UP);
	ck_assert_int_eq(inventory_deadline(table.inventory), INT64_MAX);
}
END_TEST

/* The driver that lists it doesn't open it: the class driver gets it; neither: it is left alone. */
START_TEST(test_second_driver)
{
	struct wanted wanted[] = { table_want("1", "x", "d1") };

	table_sync_bus(wanted, 1);
	table_gone(table_find("d1"), READERS_END_OPEN_FAILED);
	ck_assert_str_eq(table_find("d1")->library, "b.so");
	table_gone(table_find("d1"), READERS_END_OPEN_FAILED);
	ck_assert_ptr_null(table_find("d1"));
	ck_assert_int_eq(inventory_deadline(table.inventory), INT64_MAX);
	table_sync_bus(wanted, 1);
	ck_assert_uint_eq(table.adds, 2);
	inventory_sync(table.inventory, INVENTORY_BUS, wanted, 1, true, table.now);
	ck_assert_uint_eq(table.adds, 3);
	table_up(table_find("d1"));
}
END_TEST

START_TEST(test_exchanged)
{
	struct wanted before[] = { table_want("1", "x", "d1") };
	struct wanted after[] = { table_want("1", "y", "d1") };

	table_sync_bus(before, 1);
	table_up(table_find("d1"));
	table_sync_bus(after, 1);
	ck_assert_int_eq(table_find("d1")->phase, TABLE_LEAVING);
	table_sync_bus(after, 1);
	table_gone(table_find("d1"), READERS_END_REMOVED);
	ck_assert_int_eq(table_find("d1")->phase, TABLE_COMING);
	table_up(table_find("d1"));
}
END_TEST

/* A device that the driver cannot open yet: tried again, more and more rarely, without a word. */
START_TEST(test_refused)
{
	struct wanted wanted[] = { table_want("c", "", "d") };
	const struct log_config log = { .level = PCSC_LOG_ERROR };
	int64_t begin = table.now;
	char *said;

	wanted[0].count = 1;
	log_open(&log);
	capture_begin();
	table_sync_conf(wanted, 1);
	for (int i = 0; i < 20; i++) {
		table_gone(table_find("d"), READERS_END_REFUSED);
		ck_assert_ptr_null(table_find("d"));
		ck_assert_int_ge(
			inventory_deadline(table.inventory), table.now + INVENTORY_RETRY_MIN);
		ck_assert_int_le(
			inventory_deadline(table.inventory), table.now + INVENTORY_RETRY_MAX);
		table.now = inventory_deadline(table.inventory);
		inventory_tick(table.inventory, table.now);
	}
	ck_assert_int_gt(table.now - begin, 60 * CLOCK_S);
	table_up(table_find("d"));
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
	struct wanted wanted[] = { table_want("c", "", "d") };

	wanted[0].count = 1;
	wanted[0].specs[0].power = &never;
	table_sync_conf(wanted, 1);
	table_up(table_find("d"));
	wanted[0].specs[0].power = &same;
	table_sync_conf(wanted, 1);
	ck_assert_int_eq(table_find("d")->phase, TABLE_UP);
	wanted[0].specs[0].power = &demand;
	table_sync_conf(wanted, 1);
	ck_assert_int_eq(table_find("d")->phase, TABLE_LEAVING);
	table_gone(table_find("d"), READERS_END_REMOVED);
	table_up(table_find("d"));
	wanted[0].specs[0].power = NULL;
	table_sync_conf(wanted, 1);
	ck_assert_int_eq(table_find("d")->phase, TABLE_LEAVING);
	table_gone(table_find("d"), READERS_END_REMOVED);
	ck_assert_int_eq(table_find("d")->phase, TABLE_COMING);
}
END_TEST

/* A server that is down: tried at growing intervals; a line when it goes, one when it is back. */
START_TEST(test_server_down)
{
	struct wanted wanted[] = { table_want("c", "", "d") };
	const struct log_config log = { .level = PCSC_LOG_ERROR };
	int64_t last = 0;
	char *said;

	wanted[0].count = 1;
	log_open(&log);
	capture_begin();
	table_sync_conf(wanted, 1);
	for (int i = 0; i < 20; i++) {
		int64_t wait;

		table_gone(table_find("d"), READERS_END_NO_DEVICE);
		wait = inventory_deadline(table.inventory) - table.now;
		ck_assert_int_ge(wait, last);
		ck_assert_int_ge(wait, INVENTORY_RETRY_MIN);
		ck_assert_int_le(wait, INVENTORY_RETRY_MAX);
		last = wait;
		inventory_tick(table.inventory, table.now + wait - 1);
		ck_assert_ptr_null(table_find("d"));
		table.now += wait;
		inventory_tick(table.inventory, table.now);
	}
	ck_assert_int_eq(last, INVENTORY_RETRY_MAX);
	table_up(table_find("d"));
	table.now += INVENTORY_STABLE;
	table_gone(table_find("d"), READERS_END_NO_DEVICE);
	ck_assert_int_eq(inventory_deadline(table.inventory), table.now + INVENTORY_RETRY_MIN);
	/* it comes back in the middle of its own start: still tried */
	table.now = inventory_deadline(table.inventory);
	inventory_tick(table.inventory, table.now);
	table_gone(table_find("d"), READERS_END_OPEN_FAILED);
	table.now = inventory_deadline(table.inventory);
	inventory_tick(table.inventory, table.now);
	table_up(table_find("d"));
	said = capture_end();
	ck_assert_uint_eq(capture_lines(said), 4);
	ck_assert_ptr_nonnull(strstr(said, "is not there; it is tried again"));
	ck_assert_ptr_nonnull(strstr(said, "is gone; it is tried again"));
	free(said);
	table_sync_conf(NULL, 0);
	table_gone(table_find("d"), READERS_END_REMOVED);
	ck_assert_int_eq(inventory_deadline(table.inventory), INT64_MAX);
}
END_TEST

/* One that comes up and dies at once must not be tried in a loop. */
START_TEST(test_flapping)
{
	struct wanted wanted[] = { table_want("c", "", "d") };
	int64_t begin = table.now;

	table_sync_conf(wanted, 1);
	for (int i = 0; i < 20; i++) {
		table_up(table_find("d"));
		table_gone(table_find("d"), READERS_END_NO_DEVICE);
		table.now = inventory_deadline(table.inventory);
		inventory_tick(table.inventory, table.now);
	}
	ck_assert_int_gt(table.now - begin, 60 * CLOCK_S);
}
END_TEST

/* A reader on the bus that fails while plugged in gets some tries, not all of them at once. */
START_TEST(test_bus_recovers)
{
	struct wanted wanted[] = { table_want("1", "x", "d") };
	int tries = 0;

	table_sync_bus(wanted, 1);
	table_up(table_find("d"));
	table_gone(table_find("d"), READERS_END_NO_DEVICE);
	for (; inventory_deadline(table.inventory) != INT64_MAX; tries++) {
		table.now = inventory_deadline(table.inventory);
		inventory_tick(table.inventory, table.now);
		table_gone(table_find("d"), READERS_END_NO_DEVICE);
		table_gone(table_find("d"), READERS_END_NO_DEVICE);
	}
	ck_assert_int_eq(tries, INVENTORY_BUS_TRIES);
	ck_assert_ptr_null(table_find("d"));
}
END_TEST

/* A reader on the bus that can't be opened when it comes gets some tries, one line, then rest. */
START_TEST(test_bus_refused)
{
	struct wanted wanted[] = { table_want("1", "x", "d") };
	int tries = 0;

	wanted[0].count = 1;
	table_sync_bus(wanted, 1);
	ck_assert(!table_find("d")->again);
	table_gone(table_find("d"), READERS_END_REFUSED);
	for (; inventory_deadline(table.inventory) != INT64_MAX; tries++) {
		table.now = inventory_deadline(table.inventory);
		inventory_tick(table.inventory, table.now);
		ck_assert(table_find("d")->again);
		table_gone(table_find("d"), READERS_END_REFUSED);
	}
	ck_assert_int_eq(tries, INVENTORY_BUS_TRIES);
	table_sync_bus(wanted, 1);
	ck_assert_ptr_null(table_find("d"));
	table_sync_bus(NULL, 0);
	table_sync_bus(wanted, 1);
	ck_assert(!table_find("d")->again);
	table_gone(table_find("d"), READERS_END_REFUSED);
	inventory_tick(table.inventory, inventory_deadline(table.inventory));
	table_up(table_find("d"));
	ck_assert_int_eq(inventory_deadline(table.inventory), INT64_MAX);
}
END_TEST

/* Its node's permissions change: one that could not be opened is tried, one that works stays. */
START_TEST(test_access_changes)
{
	struct wanted wanted[] = { table_want("1", "x", "d"), table_want("2", "y", "e") };

	wanted[0].access = wanted[1].access = "0 0 664";
	table_sync_bus(wanted, 2);
	table_up(table_find("e"));
	table_gone(table_find("d"), READERS_END_OPEN_FAILED);
	table_gone(table_find("d"), READERS_END_OPEN_FAILED);
	table_sync_bus(wanted, 2);
	ck_assert_ptr_null(table_find("d"));
	wanted[0].access = wanted[1].access = "0 105 660";
	table_sync_bus(wanted, 2);
	ck_assert_int_eq(table_find("e")->phase, TABLE_UP);
	table_up(table_find("d"));
	/* What can't be told is no change. */
	wanted[0].access = wanted[1].access = NULL;
	table_sync_bus(wanted, 2);
	ck_assert_int_eq(table_find("d")->phase, TABLE_UP);
}
END_TEST

/* The same device under another name: the old reader must be gone before the new one comes. */
START_TEST(test_renamed)
{
	struct wanted before[] = { table_want("old", "", "d") };
	struct wanted after[] = { table_want("new", "", "d") };
	struct wanted twice[] = { table_want("new", "", "d"), table_want("third", "", "d") };

	table_sync_conf(before, 1);
	table_up(table_find("d"));
	table_sync_conf(after, 1);
	table_gone(table_find("d"), READERS_END_REMOVED);
	inventory_tick(table.inventory, table.now);
	table_up(table_find("d"));
	/* configured twice: one stands, and the other isn't tried for ever */
	table_sync_conf(twice, 2);
	ck_assert_int_eq(inventory_deadline(table.inventory), INT64_MAX);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("inventory");
	TCase *tests = tcase_create("inventory");

	tcase_add_checked_fixture(tests, table_setup, table_teardown);
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
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
