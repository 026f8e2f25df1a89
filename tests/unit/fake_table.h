/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A reader table that is made up, for an inventory: what the inventory adds and removes is noted
 * down, and the test says what becomes of it, and what time it is. Where the inventory removes what
 * is leaving already, the test fails.
 *
 * Each test has one, `table`; one thread.
 */
#ifndef CARDWIRE_TESTS_UNIT_FAKE_TABLE_H
#define CARDWIRE_TESTS_UNIT_FAKE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pcscd/clock.h"
#include "pcscd/readers/hotplug.h"
#include "pcscd/readers/inventory.h"

#define TABLE_DEVICES 64

enum table_phase {
	TABLE_FREE,
	TABLE_COMING,
	TABLE_UP,
	TABLE_LEAVING
};

struct table_device {
	enum table_phase phase;
	uint64_t id;
	char library[16];
	char device[32];
	unsigned birth; /* what `birth` below said of the device string when it was opened */
	bool was_up;
	bool unplugged;
	bool again;
};

extern struct table {
	struct inventory *inventory;
	int64_t now; /* CLOCK_MONOTONIC, ns; as the inventory is told */
	struct table_device devices[TABLE_DEVICES];
	uint64_t next_id;
	unsigned adds;
	unsigned overlaps; /* the same device twice: refused */
	/* Which device on the bus has a device string just now; NULL: it is not asked. */
	unsigned (*birth)(const char *device);
} table;

/* An empty table with its inventory; frees both. */
void table_setup(void);
void table_teardown(void);

/* The device with this device string; NULL: none. */
struct table_device *table_find(const char *device);

/* Tells the inventory what became of a device; one that is gone is free then. */
void table_up(struct table_device *device);
void table_gone(struct table_device *device, enum readers_end why);

/* A device that is there, with two drivers, a.so and b.so. */
struct wanted table_want(const char *key, const char *identity, const char *device);

/* Hands in the list of what is on the bus, or configured. */
void table_sync_bus(const struct wanted *wanted, size_t count);
void table_sync_conf(const struct wanted *wanted, size_t count);

#endif
