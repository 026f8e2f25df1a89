/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/readers/readers.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pcscd/cards/slot.h"
#include "pcscd/cards/slots.h"
#include "pcscd/clients/events.h"
#include "pcscd/clients/server.h"
#include "pcscd/clock.h"
#include "pcscd/log.h"
#include "pcscd/readers/names.h"
#include "pcscd/readers/places.h"
#include "pcscd/timers.h"

#define BASE_MAX      121 /* bytes of a name before " DD SS" */
#define DIGITS        256 /* devices of one driver: the digit has two hexadecimal places */
#define SLOTS_MAX     256
#define STACK_BYTES   ((size_t)1 << 20)
#define SETTLE_NS     (250 * CLOCK_MS) /* clients wait for a device that is coming up, so long */
#define ORDER_NS      (100 * CLOCK_MS) /* of that, what is left once the order is given up */
#define SUCCESSOR_NS  (3 * CLOCK_S)    /* a device waits for its own predecessor to be closed */
#define STOP_AGAIN_NS (100 * CLOCK_MS)

struct device {
	struct device *next;
	uint64_t id;
	unsigned refs;

	char *base_name;
	char *library;
	char *path; /* device string, or NULL */
	unsigned long channel;
	char *origin;
	char *place; /* or NULL */
	bool hotplug;
	bool again;
	struct reader_power power;

	/* Of the device's own thread. */
	struct driver *driver;

	/* Under table.lock. */
	struct slot **slots;
	unsigned slot_count;
	unsigned monitors; /* threads of further slots that run */
	unsigned looking;  /* slots that have not had their first look; the device counts as one */
	int digit;         /* -1: none yet */
	unsigned simultaneous; /* how many devices the driver takes, by its own word; 0: unknown */
	int64_t settle_by;
	bool opening; /* neither open nor failed yet */
	bool up;
	bool retired;
	bool unplugged;
	enum readers_end end;

	struct timer timer; /* asks monitors again to stop */
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct device *devices;
	unsigned threads; /* devices whose thread has not ended */
	uint64_t last_id;
	struct readers_callbacks callbacks;
	struct reader_power power; /* of readers that have none of their own */
	bool stopping;
} table = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.changed = PTHREAD_COND_INITIALIZER,
};

void readers_init(const struct readers_callbacks *callbacks, int64_t power_grace)
{
	table.callbacks = *callbacks;
	table.power = (struct reader_power){ .grace = power_grace };
	table.stopping = false;
}

static void device_unref(struct device *device)
{
	unsigned refs;

	pthread_mutex_lock(&table.lock);
	refs = --device->refs;
	pthread_mutex_unlock(&table.lock);
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

	pthread_mutex_lock(&table.lock);
	for (device = table.devices; device && device->id != id; device = device->next)
		;
	if (device)
		device->refs++;
	pthread_mutex_unlock(&table.lock);
	return device;
}

static bool is_same_device(
	const struct device *device, const char *library, const char *path, unsigned long channel)
{
	if (strcmp(device->library, library) != 0)
		return false;
	if (device->path && path)
		return strcmp(device->path, path) == 0;
	return !device->path && !path && device->channel == channel;
}

/*
 * Stops the slots of a device that is going. Drivers may miss the request if it comes just before
 * their poll begins, so a timer repeats it until the monitors have ended.
 */
static void stop_slots(uint64_t id)
{
	struct device *device = device_find(id);
	struct slot *slot;
	bool again = false;

	if (!device)
		return;
	for (unsigned i = 0;; i++) {
		pthread_mutex_lock(&table.lock);
		slot = i < device->slot_count ? slot_ref(device->slots[i]) : NULL;
		pthread_mutex_unlock(&table.lock);
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

/* The device has to go; the first reason counts. */
static void retire(struct device *device, enum readers_end end, bool unplugged)
{
	bool first;

	pthread_mutex_lock(&table.lock);
	first = !device->retired;
	if (first) {
		device->retired = true;
		device->end = end;
		device->unplugged = unplugged;
		pthread_cond_broadcast(&table.changed);
	}
	pthread_mutex_unlock(&table.lock);
	if (first)
		stop_slots(device->id);
}

static void retire_id(uint64_t id, enum readers_end end, bool unplugged)
{
	struct device *device = device_find(id);

	if (!device)
		return;
	retire(device, end, unplugged);
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

/* Waits until no other, older device of the same identity is being closed. */
static void await_predecessor(struct device *device)
{
	struct timespec until = clock_timespec(clock_now() + SUCCESSOR_NS);
	bool waits = true;

	pthread_mutex_lock(&table.lock);
	while (waits) {
		waits = false;
		for (struct device *other = table.devices; other; other = other->next) {
			if (other->id < device->id && is_same_device(other, device->library,
							      device->path, device->channel))
				waits = true;
		}
		if (waits && pthread_cond_clockwait(
				     &table.changed, &table.lock, CLOCK_MONOTONIC, &until))
			break;
	}
	pthread_mutex_unlock(&table.lock);
}

/* Is an earlier device of the same driver still being opened? With the table's lock held. */
static bool is_preceded(const struct device *device)
{
	for (struct device *other = table.devices; other; other = other->next) {
		if (other->id < device->id && other->opening &&
			strcmp(other->library, device->library) == 0)
			return true;
	}
	return false;
}

/*
 * The lowest digit that no other device of the driver has, or the one the reader had last. Devices get them in the order in which
 * they were added, so one waits (a little) for those before it to be opened or to fail. A driver
 * that takes one device only is not asked for a second one, unless both come from the bus.
 * Returns false if there is no room.
 */
static bool choose_digit(struct device *device)
{
	struct timespec until = clock_timespec(device->settle_by - ORDER_NS);
	bool used[DIGITS] = { false };
	unsigned limit = DIGITS;
	int digit = 0;

	pthread_mutex_lock(&table.lock);
	while (is_preceded(device)) {
		if (pthread_cond_clockwait(&table.changed, &table.lock, CLOCK_MONOTONIC, &until))
			break;
	}
	for (struct device *other = table.devices; other; other = other->next) {
		if (other == device || other->digit < 0 ||
			strcmp(other->library, device->library) != 0)
			continue;
		used[other->digit] = true;
		if (!(device->hotplug && other->hotplug) && other->simultaneous)
			limit = other->simultaneous;
	}
	if (device->place)
		digit = places_pick(device->base_name, device->place, used, DIGITS);
	while (!device->place && digit < DIGITS && used[digit])
		digit++;
	if (digit < 0 || digit >= DIGITS || (unsigned)digit >= limit)
		digit = -1;
	device->digit = digit;
	pthread_mutex_unlock(&table.lock);
	return digit >= 0;
}

/*
 * What the name has to add when the driver knows that the slot is for contactless cards: nothing if
 * it is the device's only one and the name tells it already.
 */
static const char *contactless_mark(const struct device *device, struct channel *channel)
{
	if (driver_get_byte(channel, TAG_IFD_CARDWIRE_CONTACTLESS, 0) != 1)
		return "";
	if (driver_get_byte(channel, TAG_IFD_SLOTS_NUMBER, 1) < 2 &&
		name_says_contactless(device->base_name))
		return "";
	return " [Contactless]";
}

/*
 * The name that the driver knows for a reader from the bus, in BASE, or the one formed of what the
 * reader says. A configured name stands.
 */
static const char *base_of(
	const struct device *device, struct channel *channel, char base[BASE_MAX + 1])
{
	size_t length = BASE_MAX;

	if (!device->hotplug ||
		driver_get_capability(channel, TAG_IFD_CARDWIRE_NAME, base, &length) !=
			IFD_SUCCESS ||
		length == 0 || length > BASE_MAX)
		return device->base_name;
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)base[i] < ' ' || base[i] == 0x7F)
			base[i] = '.';
	base[length] = '\0';
	return base;
}

/* "BASE MARK DD SS"; the base is cut at a whole character. */
static void compose_name(const struct device *device, const char *base, const char *mark,
	unsigned slot, char name[MAX_READERNAME])
{
	size_t max = BASE_MAX - strlen(mark);
	size_t length = strnlen(base, max + 1);

	if (length > max) {
		length = max;
		while (length > 0 && ((unsigned char)base[length] & 0xC0) == 0x80)
			length--;
	}
	snprintf(name, MAX_READERNAME, "%.*s%s %02X %02X", (int)length, base, mark,
		(unsigned)device->digit & 0xFF, slot & 0xFF);
}

/* Takes over the channel. */
static struct slot *add_slot(struct device *device, struct channel *channel)
{
	char base[BASE_MAX + 1];
	char name[MAX_READERNAME];
	struct slot *slot;

	compose_name(device, base_of(device, channel, base), contactless_mark(device, channel),
		device->slot_count, name);
	driver_set_name(channel, name);
	slot = slot_new((device->id << 8) | device->slot_count, device->id, name, channel,
		server_config()->lease_ns, &device->power, server_config()->max_handles_per_reader);
	if (!slot) {
		driver_close(channel);
		return NULL;
	}
	pthread_mutex_lock(&table.lock);
	device->slots[device->slot_count++] = slot;
	pthread_mutex_unlock(&table.lock);
	return slot;
}

/* Opens slots 1 and on; one that fails is left out. */
static void open_more_slots(struct device *device, struct channel *first)
{
	unsigned count = driver_get_byte(first, TAG_IFD_SLOTS_NUMBER, 1);
	struct channel *channel;
	struct slot **more;
	RESPONSECODE rc;

	pthread_mutex_lock(&table.lock);
	more = count > 1 ? reallocarray(device->slots, count, sizeof(struct slot *)) : NULL;
	if (more)
		device->slots = more;
	pthread_mutex_unlock(&table.lock);
	if (!more)
		return;
	for (unsigned i = 1; i < count && i < SLOTS_MAX; i++) {
		rc = driver_open_slot(first, driver_lun(first) + i, &channel);
		if (rc != IFD_SUCCESS) {
			log_line(PCSC_LOG_ERROR, "%s: slot %u of %s cannot be opened (%ld)",
				device->origin, i, device->base_name, rc);
			break;
		}
		if (!add_slot(device, channel))
			break;
	}
}

/* Opens the device. Returns true, or false with the reason in *end. */
static bool open_device(struct device *device, enum readers_end *end)
{
	struct channel *channel;
	unsigned simultaneous;
	RESPONSECODE rc;

	*end = READERS_END_OPEN_FAILED;
	device->driver = driver_load(device->library, device->origin);
	device->slots = calloc(1, sizeof(struct slot *));
	if (!device->driver || !device->slots)
		return false;
	if (!choose_digit(device)) {
		log_line(PCSC_LOG_ERROR, "%s: %s takes no further reader", device->origin,
			device->library);
		return false;
	}
	rc = driver_open(device->driver, (DWORD)device->digit << 16, device->path, device->channel,
		&channel);
	if (rc == IFD_NO_SUCH_DEVICE) {
		*end = READERS_END_NO_DEVICE;
		return false;
	}
	if (rc != IFD_SUCCESS) {
		log_line(device->again ? PCSC_LOG_DEBUG : PCSC_LOG_ERROR,
			"%s: %s: the driver cannot open %s (%ld)", device->origin,
			device->base_name, device->path ? device->path : "the device", rc);
		*end = READERS_END_REFUSED;
		return false;
	}
	simultaneous = driver_get_byte(channel, TAG_IFD_SIMULTANEOUS_ACCESS, 1);
	pthread_mutex_lock(&table.lock);
	device->simultaneous = simultaneous;
	pthread_mutex_unlock(&table.lock);
	if (!add_slot(device, channel))
		return false;
	open_more_slots(device, channel);
	return true;
}

/* One slot less that clients might wait for. */
static void settle_one(struct device *device)
{
	bool settled;

	pthread_mutex_lock(&table.lock);
	settled = --device->looking == 0;
	if (settled)
		pthread_cond_broadcast(&table.changed);
	pthread_mutex_unlock(&table.lock);
	if (settled)
		events_raise_settled();
}

static bool is_retired(struct device *device)
{
	bool retired;

	pthread_mutex_lock(&table.lock);
	retired = device->retired;
	pthread_mutex_unlock(&table.lock);
	return retired;
}

/* The device's first slot is there. */
static void come_up(struct device *device)
{
	pthread_mutex_lock(&table.lock);
	device->up = true;
	pthread_mutex_unlock(&table.lock);
	if (device->place)
		places_keep(device->base_name, device->place, device->digit);
	if (table.callbacks.on_up)
		table.callbacks.on_up(table.callbacks.ctx, device->id);
}

/* One slot, from its first look on; returns when it is stopped or its device is gone. */
static void run_slot(struct device *device, struct slot *slot)
{
	bool there = slot_monitor_first(slot) && !is_retired(device);

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
	retire(device, READERS_END_NO_DEVICE, true);
}

struct monitor {
	struct device *device;
	struct slot *slot;
};

static void *monitor_main(void *arg)
{
	struct monitor *monitor = arg;

	run_slot(monitor->device, monitor->slot);
	pthread_mutex_lock(&table.lock);
	monitor->device->monitors--;
	pthread_cond_broadcast(&table.changed);
	pthread_mutex_unlock(&table.lock);
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
		pthread_mutex_lock(&table.lock);
		device->monitors++;
		device->looking++;
		pthread_mutex_unlock(&table.lock);
		if (start_thread(monitor_main, monitor) == 0)
			continue;
		free(monitor);
		pthread_mutex_lock(&table.lock);
		device->monitors--;
		device->looking--;
		pthread_mutex_unlock(&table.lock);
	}
}

static void close_device(struct device *device)
{
	pthread_mutex_lock(&table.lock);
	while (device->monitors > 0)
		pthread_cond_wait(&table.changed, &table.lock);
	pthread_mutex_unlock(&table.lock);
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

	pthread_mutex_lock(&table.lock);
	for (at = &table.devices; *at != device; at = &(*at)->next)
		;
	*at = device->next;
	device->slot_count = 0;
	pthread_mutex_unlock(&table.lock);
	for (unsigned i = 0; i < count; i++)
		slot_unref(slots[i]);
	if (tell && table.callbacks.on_gone)
		table.callbacks.on_gone(table.callbacks.ctx, device->id, end, up);
	/* Last, since readers_stop() takes it for the end of the thread. */
	pthread_mutex_lock(&table.lock);
	table.threads--;
	pthread_cond_broadcast(&table.changed);
	pthread_mutex_unlock(&table.lock);
	device_unref(device);
}

/* Others may go on that wait for this device's digit, or for its failure. */
static void end_opening(struct device *device, bool opened)
{
	pthread_mutex_lock(&table.lock);
	device->opening = false;
	if (!opened)
		device->digit = -1;
	pthread_cond_broadcast(&table.changed);
	pthread_mutex_unlock(&table.lock);
}

static void *device_main(void *arg)
{
	struct device *device = arg;
	enum readers_end end = READERS_END_REMOVED;
	bool opened;

	await_predecessor(device);
	opened = !is_retired(device) && open_device(device, &end);
	end_opening(device, opened);
	if (opened) {
		start_monitors(device);
		if (is_retired(device))
			stop_slots(device->id);
		run_slot(device, device->slots[0]);
	} else {
		retire(device, end, false);
		settle_one(device);
	}
	close_device(device);
	end_device(device, true);
	return NULL;
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
	device->power = spec->power ? *spec->power : table.power;
	device->digit = -1;
	device->looking = 1;
	device->opening = true;
	device->settle_by = clock_now() + SETTLE_NS;
	device->timer.fire = stop_slots;
	if (device->base_name && device->library && device->origin &&
		(device->path || !spec->device) && (device->place || !spec->place))
		return device;
	device_unref(device);
	return NULL;
}

/* Puts the device into the table, which counts as a reference, unless it is there or the table is stopping. */
static enum readers_result insert(struct device *device)
{
	enum readers_result result = READERS_OK;

	pthread_mutex_lock(&table.lock);
	for (struct device *other = table.devices; other; other = other->next) {
		if (!other->retired &&
			is_same_device(other, device->library, device->path, device->channel))
			result = READERS_DUPLICATE;
	}
	if (table.stopping)
		result = READERS_FAILED;
	if (result == READERS_OK) {
		device->id = device->timer.key = ++table.last_id;
		device->next = table.devices;
		table.devices = device;
		device->refs++;
		table.threads++;
	}
	pthread_mutex_unlock(&table.lock);
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
	if (result == READERS_OK && start_thread(device_main, device) != 0) {
		settle_one(device);
		end_device(device, false);
		result = READERS_FAILED;
	}
	device_unref(device);
	return result;
}

int64_t readers_unsettled_until(void)
{
	int64_t now = clock_now(), until = 0;

	pthread_mutex_lock(&table.lock);
	for (struct device *device = table.devices; device; device = device->next) {
		if (device->looking > 0 && device->settle_by > now && device->settle_by > until)
			until = device->settle_by;
	}
	pthread_mutex_unlock(&table.lock);
	return until;
}

bool readers_settle(int64_t deadline)
{
	struct timespec until = clock_timespec(deadline);
	uint64_t last;
	bool settled = false;
	int error = 0;

	pthread_mutex_lock(&table.lock);
	last = table.last_id;
	while (!settled && !error) {
		settled = true;
		for (struct device *device = table.devices; device; device = device->next)
			settled = settled && (device->id > last || device->looking == 0);
		if (!settled)
			error = pthread_cond_clockwait(
				&table.changed, &table.lock, CLOCK_MONOTONIC, &until);
	}
	pthread_mutex_unlock(&table.lock);
	return settled;
}

bool readers_stop(int64_t deadline)
{
	struct timespec until = clock_timespec(deadline);
	uint64_t id;
	bool stopped;

	pthread_mutex_lock(&table.lock);
	table.stopping = true;
	do {
		id = 0;
		for (struct device *device = table.devices; device && !id; device = device->next)
			id = device->retired ? 0 : device->id;
		pthread_mutex_unlock(&table.lock);
		readers_remove(id, false);
		pthread_mutex_lock(&table.lock);
	} while (id);
	while (table.threads > 0) {
		if (pthread_cond_clockwait(&table.changed, &table.lock, CLOCK_MONOTONIC, &until))
			break;
	}
	stopped = table.threads == 0;
	pthread_mutex_unlock(&table.lock);
	return stopped;
}
