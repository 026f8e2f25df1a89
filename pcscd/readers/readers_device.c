/* SPDX-License-Identifier: BSD-3-Clause */
/* The life of a device in its own threads, one for each slot: opened, watched, closed. */
#include <stdlib.h>
#include <string.h>

#include "pcscd/cards/slot.h"
#include "pcscd/cards/slots.h"
#include "pcscd/cards/events.h"
#include "pcscd/clock.h"
#include "pcscd/log.h"
#include "pcscd/readers/places.h"
#include "pcscd/readers/readers_private.h"

#define STACK_BYTES  ((size_t)1 << 20)
#define SUCCESSOR_NS (3 * CLOCK_S) /* a device waits for its own predecessor to be closed */

/* Waits until no other, older device of the same identity is being closed. */
static void await_predecessor(struct device *device)
{
	struct timespec until = clock_timespec(clock_now() + SUCCESSOR_NS);
	bool waits = true;

	pthread_mutex_lock(&readers_table.lock);
	while (waits) {
		waits = false;
		for (struct device *other = readers_table.devices; other; other = other->next) {
			if (other->id < device->id &&
				device_is(other, device->library, device->path, device->channel))
				waits = true;
		}
		if (waits && pthread_cond_clockwait(&readers_table.changed, &readers_table.lock,
				     CLOCK_MONOTONIC, &until))
			break;
	}
	pthread_mutex_unlock(&readers_table.lock);
}

/* One slot less that clients might wait for. */
static void settle_one(struct device *device)
{
	bool settled;

	pthread_mutex_lock(&readers_table.lock);
	settled = --device->looking == 0;
	if (settled)
		pthread_cond_broadcast(&readers_table.changed);
	pthread_mutex_unlock(&readers_table.lock);
	if (settled)
		events_raise_settled();
}

static bool is_retired(struct device *device)
{
	bool retired;

	pthread_mutex_lock(&readers_table.lock);
	retired = device->retired;
	pthread_mutex_unlock(&readers_table.lock);
	return retired;
}

/* The device's first slot is there. */
static void come_up(struct device *device)
{
	pthread_mutex_lock(&readers_table.lock);
	device->up = true;
	pthread_mutex_unlock(&readers_table.lock);
	if (device->place)
		places_keep(device->base_name, device->place, device->digit);
	if (readers_table.callbacks.on_up)
		readers_table.callbacks.on_up(readers_table.callbacks.ctx, device->id);
}

/* One slot, from its first look on; returns when it is stopped or its device is gone. */
static void run_slot(struct device *device, struct slot *slot)
{
	bool there;

	log_about_reader(slot->name);
	there = slot_monitor_first(slot) && !is_retired(device);
	if (there) {
		if (slot == device->slots[0])
			come_up(device);
		there = slots_add(slot) == 0;
	}
	settle_one(device);
	/* If it was stopped in between, nobody else would make it invisible again. */
	if (is_retired(device))
		slots_remove(slot);
	else if (there)
		slot_monitor(slot);
	device_retire(device, READERS_END_NO_DEVICE, true);
	log_about_reader(NULL);
}

struct monitor {
	struct device *device;
	struct slot *slot;
};

static void *monitor_main(void *arg)
{
	struct monitor *monitor = arg;

	run_slot(monitor->device, monitor->slot);
	pthread_mutex_lock(&readers_table.lock);
	monitor->device->monitors--;
	pthread_cond_broadcast(&readers_table.changed);
	pthread_mutex_unlock(&readers_table.lock);
	free(monitor);
	return NULL;
}

static int start_thread(void *(*run)(void *), void *arg)
{
	pthread_attr_t attr;
	pthread_t thread;
	int error;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	error = pthread_create(&thread, &attr, run, arg);
	pthread_attr_destroy(&attr);
	if (error)
		log_line(PCSC_LOG_ERROR, "cannot start another thread: %s", strerror(error));
	return error;
}

/* Slots 1 and on each get a thread; slot 0 has the device's. */
static void start_monitors(struct device *device)
{
	for (unsigned i = 1; i < device->slot_count; i++) {
		struct monitor *monitor = malloc(sizeof(*monitor));

		if (!monitor)
			return;
		monitor->device = device;
		monitor->slot = device->slots[i];
		pthread_mutex_lock(&readers_table.lock);
		device->monitors++;
		device->looking++;
		pthread_mutex_unlock(&readers_table.lock);
		if (start_thread(monitor_main, monitor) == 0)
			continue;
		free(monitor);
		pthread_mutex_lock(&readers_table.lock);
		device->monitors--;
		device->looking--;
		pthread_mutex_unlock(&readers_table.lock);
	}
}

static void close_device(struct device *device)
{
	pthread_mutex_lock(&readers_table.lock);
	while (device->monitors > 0)
		pthread_cond_wait(&readers_table.changed, &readers_table.lock);
	pthread_mutex_unlock(&readers_table.lock);
	timer_cancel(&device->timer);
	for (unsigned i = device->slot_count; i-- > 0;)
		slot_close(device->slots[i], device->unplugged);
	driver_unref(device->driver);
}

/* Takes the device out of the table and, if it wants to know, tells its source. */
static void end_device(struct device *device, bool tell)
{
	struct device **at;
	struct slot **slots = device->slots;
	unsigned count = device->slot_count;
	enum readers_end end = device->end;
	bool up = device->up;

	pthread_mutex_lock(&readers_table.lock);
	for (at = &readers_table.devices; *at != device; at = &(*at)->next)
		;
	*at = device->next;
	device->slot_count = 0;
	pthread_mutex_unlock(&readers_table.lock);
	for (unsigned i = 0; i < count; i++)
		slot_unref(slots[i]);
	if (tell && readers_table.callbacks.on_gone)
		readers_table.callbacks.on_gone(readers_table.callbacks.ctx, device->id, end, up);
	/* Last, since readers_stop() takes it for the end of the thread. */
	pthread_mutex_lock(&readers_table.lock);
	readers_table.threads--;
	pthread_cond_broadcast(&readers_table.changed);
	pthread_mutex_unlock(&readers_table.lock);
	device_unref(device);
}

/* Others may go on that wait for this device's digit, or for its failure. */
static void end_opening(struct device *device, bool opened)
{
	pthread_mutex_lock(&readers_table.lock);
	device->opening = false;
	if (!opened)
		device->digit = -1;
	pthread_cond_broadcast(&readers_table.changed);
	pthread_mutex_unlock(&readers_table.lock);
}

static void *device_main(void *arg)
{
	struct device *device = arg;
	enum readers_end end = READERS_END_REMOVED;
	bool opened;

	await_predecessor(device);
	opened = !is_retired(device) && device_open(device, &end);
	end_opening(device, opened);
	if (opened) {
		start_monitors(device);
		if (is_retired(device))
			device_stop_slots(device->id);
		run_slot(device, device->slots[0]);
	} else {
		device_retire(device, end, false);
		settle_one(device);
	}
	close_device(device);
	end_device(device, true);
	return NULL;
}

bool device_start(struct device *device)
{
	if (start_thread(device_main, device) == 0)
		return true;
	settle_one(device);
	end_device(device, false);
	return false;
}
