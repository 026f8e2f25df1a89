/* SPDX-License-Identifier: BSD-3-Clause */
#include "fake_table.h"

#include <stdio.h>
#include <string.h>

#include "suite.h"
#include "pcscd/log.h"

struct table table;

static enum readers_result add(const struct reader_spec *spec, uint64_t *id)
{
	struct table_device *place = NULL;

	table.adds++;
	for (size_t i = 0; i < TABLE_DEVICES; i++) {
		if (table.devices[i].phase == TABLE_FREE)
			place = place ? place : &table.devices[i];
		else if (strcmp(table.devices[i].library, spec->library) == 0 &&
			 strcmp(table.devices[i].device, spec->device) == 0) {
			table.overlaps++;
			return READERS_DUPLICATE;
		}
	}
	if (!place)
		return READERS_FAILED;
	*place = (struct table_device){
		.phase = TABLE_COMING, .id = ++table.next_id, .again = spec->again
	};
	snprintf(place->library, sizeof(place->library), "%s", spec->library);
	snprintf(place->device, sizeof(place->device), "%s", spec->device);
	if (table.birth)
		place->birth = table.birth(spec->device);
	*id = place->id;
	return READERS_OK;
}

static void drop(uint64_t id, bool unplugged)
{
	for (size_t i = 0; i < TABLE_DEVICES; i++)
		if (table.devices[i].phase != TABLE_FREE && table.devices[i].id == id) {
			ALWAYS(table.devices[i].phase != TABLE_LEAVING);
			table.devices[i].phase = TABLE_LEAVING;
			table.devices[i].unplugged = unplugged;
		}
}

static const struct inventory_table calls = { add, drop };

void table_setup(void)
{
	const struct log_config quiet = { .level = PCSC_LOG_CRITICAL };

	log_open(&quiet);
	table = (struct table){ .now = CLOCK_S, .inventory = inventory_new(&calls) };
	ALWAYS(table.inventory);
}

void table_teardown(void)
{
	inventory_free(table.inventory);
	table.inventory = NULL;
}

struct table_device *table_find(const char *device)
{
	for (size_t i = 0; i < TABLE_DEVICES; i++)
		if (table.devices[i].phase != TABLE_FREE &&
			strcmp(table.devices[i].device, device) == 0)
			return &table.devices[i];
	return NULL;
}

void table_up(struct table_device *device)
{
	ALWAYS(device);
	device->phase = TABLE_UP;
	device->was_up = true;
	inventory_up(table.inventory, device->id, table.now);
}

void table_gone(struct table_device *device, enum readers_end why)
{
	uint64_t id;

	ALWAYS(device);
	id = device->id;
	device->phase = TABLE_FREE;
	inventory_gone(table.inventory, id, why, device->was_up, table.now);
}

struct wanted table_want(const char *key, const char *identity, const char *device)
{
	return (struct wanted){ .key = key,
		.identity = identity,
		.specs = { { .base_name = "R", .library = "a.so", .device = device, .origin = key },
			{ .base_name = "R", .library = "b.so", .device = device, .origin = key } },
		.count = 2 };
}

void table_sync_bus(const struct wanted *wanted, size_t count)
{
	inventory_sync(table.inventory, INVENTORY_BUS, wanted, count, false, table.now);
}

void table_sync_conf(const struct wanted *wanted, size_t count)
{
	inventory_sync(table.inventory, INVENTORY_CONF, wanted, count, false, table.now);
}
