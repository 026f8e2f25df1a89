/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of devices: who comes, who goes, and waiting for them. */
#include <stdlib.h>
#include <string.h>

#include "pcscd/cards/slot.h"
#include "pcscd/cards/slots.h"
#include "pcscd/clock.h"
#include "pcscd/log.h"
#include "pcscd/readers/readers_private.h"

#define SETTLE_NS     (250 * CLOCK_MS) /* clients wait for a device that is coming up, so long */
#define STOP_AGAIN_NS (100 * CLOCK_MS)

struct readers_table readers_table = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.changed = PTHREAD_COND_INITIALIZER,
};

void readers_init(const struct readers_callbacks *callbacks, int64_t power_grace)
{
	readers_table.callbacks = *callbacks;
	readers_table.power = (struct reader_power){ .grace = power_grace };
	readers_table.stopping = false;
}

void device_unref(struct device *device)
{
	unsigned refs;

	pthread_mutex_lock(&readers_table.lock);
	refs = --device->refs;
	pthread_mutex_unlock(&readers_table.lock);
	if (refs > 0)
		return;
	timer_cancel(&device->timer);
	free(device->slots);
	free(device->base_name);
	free(device->library);
	free(device->path);
	free(device->origin);
	free(device->place);
	free(device);
}

static struct device *device_find(uint64_t id)
{
	struct device *device;

	pthread_mutex_lock(&readers_table.lock);
	for (device = readers_table.devices; device && device->id != id; device = device->next)
		;
	if (device)
		device->refs++;
	pthread_mutex_unlock(&readers_table.lock);
	return device;
}

bool device_is(
	const struct device *device, const char *library, const char *path, unsigned long channel)
{
	if (strcmp(device->library, library) != 0)
		return false;
	if (device->path && path)
		return strcmp(device->path, path) == 0;
	return !device->path && !path && device->channel == channel;
}

void device_stop_slots(uint64_t id)
{
	struct device *device = device_find(id);
	struct slot *slot;
	bool again = false;

	if (!device)
		return;
	for (unsigned i = 0;; i++) {
		pthread_mutex_lock(&readers_table.lock);
		slot = i < device->slot_count ? slot_ref(device->slots[i]) : NULL;
		pthread_mutex_unlock(&readers_table.lock);
		if (!slot)
			break;
		slot_stop(slot);
		slots_remove(slot);
		again = slot_is_monitored(slot) || again;
		slot_unref(slot);
	}
	if (again)
		timer_set(&device->timer, clock_now() + STOP_AGAIN_NS);
	device_unref(device);
}

void device_retire(struct device *device, enum readers_end end, bool unplugged)
{
	bool first;

	pthread_mutex_lock(&readers_table.lock);
	first = !device->retired;
	if (first) {
		device->retired = true;
		device->end = end;
		device->unplugged = unplugged;
		pthread_cond_broadcast(&readers_table.changed);
	}
	pthread_mutex_unlock(&readers_table.lock);
	if (first)
		device_stop_slots(device->id);
}

static void retire_id(uint64_t id, enum readers_end end, bool unplugged)
{
	struct device *device = device_find(id);

	if (!device)
		return;
	device_retire(device, end, unplugged);
	device_unref(device);
}

void readers_remove(uint64_t id, bool unplugged)
{
	retire_id(id, READERS_END_REMOVED, unplugged);
}

void readers_no_device(uint64_t id)
{
	retire_id(id, READERS_END_NO_DEVICE, true);
}

static struct device *device_new(const struct reader_spec *spec)
{
	struct device *device = calloc(1, sizeof(*device));

	if (!device)
		return NULL;
	device->refs = 1;
	device->base_name = strdup(spec->base_name);
	device->library = strdup(spec->library);
	device->path = spec->device ? strdup(spec->device) : NULL;
	device->channel = spec->channel;
	device->origin = strdup(spec->origin ? spec->origin : "reader");
	device->place = spec->place ? strdup(spec->place) : NULL;
	device->hotplug = spec->hotplug;
	device->again = spec->again;
	device->power = spec->power ? *spec->power : readers_table.power;
	device->digit = -1;
	device->looking = 1;
	device->opening = true;
	device->settle_by = clock_now() + SETTLE_NS;
	device->timer.fire = device_stop_slots;
	if (device->base_name && device->library && device->origin &&
		(device->path || !spec->device) && (device->place || !spec->place))
		return device;
	device_unref(device);
	return NULL;
}

/* Puts the device into the table, which counts as a reference, unless it is there or the table is
 * stopping. */
static enum readers_result insert(struct device *device)
{
	enum readers_result result = READERS_OK;

	pthread_mutex_lock(&readers_table.lock);
	for (struct device *other = readers_table.devices; other; other = other->next) {
		if (!other->retired &&
			device_is(other, device->library, device->path, device->channel))
			result = READERS_DUPLICATE;
	}
	if (readers_table.stopping)
		result = READERS_FAILED;
	if (result == READERS_OK) {
		device->id = device->timer.key = ++readers_table.last_id;
		device->next = readers_table.devices;
		readers_table.devices = device;
		device->refs++;
		readers_table.threads++;
	}
	pthread_mutex_unlock(&readers_table.lock);
	return result;
}

enum readers_result readers_add(const struct reader_spec *spec, uint64_t *id)
{
	struct device *device = device_new(spec);
	enum readers_result result;

	if (!device) {
		log_line(PCSC_LOG_ERROR, "%s: out of memory", spec->origin);
		return READERS_FAILED;
	}
	result = insert(device);
	*id = device->id;
	if (result == READERS_OK && !device_start(device))
		result = READERS_FAILED;
	device_unref(device);
	return result;
}

int64_t readers_unsettled_until(void)
{
	int64_t now = clock_now(), until = 0;

	pthread_mutex_lock(&readers_table.lock);
	for (struct device *device = readers_table.devices; device; device = device->next) {
		if (device->looking > 0 && device->settle_by > now && device->settle_by > until)
			until = device->settle_by;
	}
	pthread_mutex_unlock(&readers_table.lock);
	return until;
}

bool readers_settle(int64_t deadline)
{
	struct timespec until = clock_timespec(deadline);
	uint64_t last;
	bool settled = false;
	int error = 0;

	pthread_mutex_lock(&readers_table.lock);
	last = readers_table.last_id;
	while (!settled && !error) {
		settled = true;
		for (struct device *device = readers_table.devices; device; device = device->next)
			settled = settled && (device->id > last || device->looking == 0);
		if (!settled)
			error = pthread_cond_clockwait(&readers_table.changed, &readers_table.lock,
				CLOCK_MONOTONIC, &until);
	}
	pthread_mutex_unlock(&readers_table.lock);
	return settled;
}

bool readers_stop(int64_t deadline)
{
	struct timespec until = clock_timespec(deadline);
	uint64_t id;
	bool stopped;

	pthread_mutex_lock(&readers_table.lock);
	readers_table.stopping = true;
	do {
		id = 0;
		for (struct device *device = readers_table.devices; device && !id;
			device = device->next)
			id = device->retired ? 0 : device->id;
		pthread_mutex_unlock(&readers_table.lock);
		readers_remove(id, false);
		pthread_mutex_lock(&readers_table.lock);
	} while (id);
	while (readers_table.threads > 0) {
		if (pthread_cond_clockwait(
			    &readers_table.changed, &readers_table.lock, CLOCK_MONOTONIC, &until))
			break;
	}
	stopped = readers_table.threads == 0;
	pthread_mutex_unlock(&readers_table.lock);
	return stopped;
}
