/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening a device: its Luns, its slots and their names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pcscd/cards/slot.h"
#include "pcscd/cards/slots.h"
#include "pcscd/clients/server.h"
#include "pcscd/clock.h"
#include "pcscd/log.h"
#include "pcscd/readers/names.h"
#include "pcscd/readers/places.h"
#include "pcscd/readers/readers_private.h"

#define BASE_MAX  121 /* bytes of a name before " DD SS" */
#define DIGITS    256 /* devices of one driver: the digit has two hexadecimal places */
#define SLOTS_MAX 256
#define ORDER_NS  (100 * CLOCK_MS) /* of that, what is left once the order is given up */

/* Must the two have different digits: to their driver, or to clients, since their names are equal? */
static bool share_digits(const struct device *a, const struct device *b)
{
	return strcmp(a->library, b->library) == 0 || strcmp(a->base_name, b->base_name) == 0;
}

/* Is the other an earlier device that is still being opened, and may take a digit that this one
 * might? With the table's lock held. */
static bool precedes(const struct device *other, const struct device *device)
{
	return other->id < device->id && other->opening && share_digits(other, device);
}

static bool is_preceded(const struct device *device)
{
	for (struct device *other = readers_table.devices; other; other = other->next) {
		if (precedes(other, device))
			return true;
	}
	return false;
}

/* Leaves a digit to each earlier device that has not chosen yet. With the table's lock held. */
static void leave_digits(const struct device *device, bool used[DIGITS])
{
	unsigned digit = 0;

	for (struct device *other = readers_table.devices; other; other = other->next) {
		if (!precedes(other, device) || other->digit >= 0)
			continue;
		while (digit < DIGITS && used[digit])
			digit++;
		if (digit < DIGITS)
			used[digit] = true;
	}
}

/*
 * The lowest digit that no other device of the driver or name has, or the one it had last. Devices
 * get them in the order in which they were added, so one waits (a little) for those before it to be
 * opened or to fail; where that takes too long they are expected to be opened. A driver that takes
 * one device only is not asked for a second one, unless both come from the bus. Returns false if
 * there is no room.
 */
static bool choose_digit(struct device *device)
{
	struct timespec until = clock_timespec(device->settle_by - ORDER_NS);
	bool used[DIGITS] = { false };
	unsigned limit = DIGITS;
	int digit = 0;

	pthread_mutex_lock(&readers_table.lock);
	while (is_preceded(device)) {
		if (pthread_cond_clockwait(
			    &readers_table.changed, &readers_table.lock, CLOCK_MONOTONIC, &until))
			break;
	}
	for (struct device *other = readers_table.devices; other; other = other->next) {
		if (other == device || other->digit < 0 || !share_digits(other, device))
			continue;
		used[other->digit] = true;
		if (strcmp(other->library, device->library) == 0 &&
			!(device->hotplug && other->hotplug) && other->simultaneous)
			limit = other->simultaneous;
	}
	leave_digits(device, used);
	if (device->place)
		digit = places_pick(device->base_name, device->place, used, DIGITS);
	while (!device->place && digit < DIGITS && used[digit])
		digit++;
	if (digit < 0 || digit >= DIGITS || (unsigned)digit >= limit)
		digit = -1;
	device->digit = digit;
	pthread_mutex_unlock(&readers_table.lock);
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

	/* There are drivers that agree to any tag, and write nothing. */
	memset(base, 0, BASE_MAX + 1);
	if (!device->hotplug ||
		driver_get_capability(channel, TAG_IFD_CARDWIRE_NAME, base, &length) !=
			IFD_SUCCESS ||
		length == 0 || length > BASE_MAX || memchr(base, '\0', length))
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
	pthread_mutex_lock(&readers_table.lock);
	device->slots[device->slot_count++] = slot;
	pthread_mutex_unlock(&readers_table.lock);
	return slot;
}

/* Opens slots 1 and on; one that fails is left out. */
static void open_more_slots(struct device *device, struct channel *first)
{
	unsigned count = driver_get_byte(first, TAG_IFD_SLOTS_NUMBER, 1);
	struct channel *channel;
	struct slot **more;
	RESPONSECODE rc;

	pthread_mutex_lock(&readers_table.lock);
	more = count > 1 ? reallocarray(device->slots, count, sizeof(struct slot *)) : NULL;
	if (more)
		device->slots = more;
	pthread_mutex_unlock(&readers_table.lock);
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

bool device_open(struct device *device, enum readers_end *end)
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
	pthread_mutex_lock(&readers_table.lock);
	device->simultaneous = simultaneous;
	pthread_mutex_unlock(&readers_table.lock);
	if (!add_slot(device, channel))
		return false;
	open_more_slots(device, channel);
	return true;
}
