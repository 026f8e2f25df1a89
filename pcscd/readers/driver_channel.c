/* SPDX-License-Identifier: BSD-3-Clause */
/* Channels: opening, closing, and which of them wait for each other. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pcscd/log.h"
#include "pcscd/readers/driver_private.h"

static struct lane *lane_new(void)
{
	struct lane *lane = calloc(1, sizeof(*lane));

	if (lane) {
		pthread_mutex_init(&lane->busy, NULL);
		lane->references = 1;
	}
	return lane;
}

/* With the driver's lock held. */
static void lane_unref(struct driver *driver, struct lane *lane)
{
	if (--lane->references)
		return;
	if (driver->first_lane == lane)
		driver->first_lane = NULL;
	pthread_mutex_destroy(&lane->busy);
	free(lane);
}

static void channel_free(struct channel *channel)
{
	struct driver *driver = channel->driver;

	if (channel->lane) {
		pthread_mutex_lock(&driver->lock);
		lane_unref(driver, channel->lane);
		pthread_mutex_unlock(&driver->lock);
	}
	free(channel->device);
	free(channel);
	driver_unref(driver);
}

/* A channel that isn't open yet, without lane. */
static struct channel *channel_new(
	struct driver *driver, DWORD lun, const char *device, DWORD number)
{
	struct channel *channel = calloc(1, sizeof(*channel));

	if (!channel)
		return NULL;
	channel->driver = driver_ref(driver);
	channel->lun = lun;
	channel->number = number;
	snprintf(channel->name, sizeof(channel->name), "Lun 0x%lX", lun);
	if (device) {
		channel->device = strdup(device);
		if (!channel->device) {
			channel_free(channel);
			return NULL;
		}
	}
	return channel;
}

static enum safety driver_safety(struct driver *driver)
{
	enum safety safety;

	pthread_mutex_lock(&driver->lock);
	safety = driver->safety;
	pthread_mutex_unlock(&driver->lock);
	return safety;
}

/* Asks whether readers may be called at once. */
static void ask_safety(struct channel *channel)
{
	struct driver *driver = channel->driver;
	bool safe = driver_get_byte(channel, TAG_IFD_THREAD_SAFE, 0) == 1;

	pthread_mutex_lock(&driver->lock);
	driver->safety = safe ? SAFETY_READERS : SAFETY_NONE;
	pthread_mutex_unlock(&driver->lock);
}

/* The lane of a new device: the driver's first one, or its own if the driver is thread safe. */
static bool choose_lane(struct channel *channel, enum safety safety)
{
	struct driver *driver = channel->driver;

	pthread_mutex_lock(&driver->lock);
	if (safety == SAFETY_READERS || !driver->first_lane) {
		channel->lane = lane_new();
		if (!driver->first_lane)
			driver->first_lane = channel->lane;
	} else {
		channel->lane = driver->first_lane;
		channel->lane->references++;
	}
	pthread_mutex_unlock(&driver->lock);
	return channel->lane != NULL;
}

void channel_enter(struct channel *channel)
{
	pthread_mutex_lock(&channel->lane->busy);
	channel->about_before = log_about_reader(channel->name);
}

void channel_leave(struct channel *channel)
{
	log_about_reader(channel->about_before);
	pthread_mutex_unlock(&channel->lane->busy);
}

static RESPONSECODE create(struct channel *channel)
{
	const struct entry_points *entry = &channel->driver->entry;
	RESPONSECODE result;

	channel_enter(channel);
	if (channel->device && entry->create_by_name)
		result = entry->create_by_name(channel->lun, channel->device);
	else
		result = entry->create(channel->lun, channel->number);
	channel_leave(channel);
	return result;
}

/* A function that the driver hands out by a tag; true if *function was set. */
static bool ask_function(struct channel *channel, DWORD tag, void *function, size_t size)
{
	void *value = NULL;
	size_t length = sizeof(value);

	if (driver_get_capability(channel, tag, &value, &length) != IFD_SUCCESS || length != size ||
		!value)
		return false;
	memcpy(function, &value, size);
	return true;
}

/* Opens a channel that has its lane, and asks what the calls outside the lane need to know. */
static RESPONSECODE channel_open(struct channel *channel)
{
	RESPONSECODE result = create(channel);

	if (result != IFD_SUCCESS)
		return result;
	ask_function(channel, TAG_IFD_POLLING_THREAD_WITH_TIMEOUT, &channel->poll,
		sizeof(channel->poll));
	ask_function(channel, TAG_IFD_STOP_POLLING_THREAD, &channel->stop, sizeof(channel->stop));
	channel->can_abort = driver_get_byte(channel, TAG_IFD_CARDWIRE_ABORT, 0) == 1;
	channel->wants_client = driver_get_byte(channel, TAG_IFD_CARDWIRE_CLIENT, 0) == 1;
	channel->tell_removed = driver_get_byte(channel, TAG_IFD_DEVICE_REMOVED, 0) == 1;
	return IFD_SUCCESS;
}

RESPONSECODE driver_open(
	struct driver *driver, DWORD lun, const char *device, DWORD number, struct channel **opened)
{
	struct channel *channel = channel_new(driver, lun, device, number);
	RESPONSECODE result = IFD_COMMUNICATION_ERROR;
	enum safety safety;

	if (!channel)
		return IFD_COMMUNICATION_ERROR;
	pthread_mutex_lock(&driver->opening);
	safety = driver_safety(driver);
	if (safety != SAFETY_UNKNOWN)
		pthread_mutex_unlock(&driver->opening);
	if (choose_lane(channel, safety))
		result = channel_open(channel);
	if (safety == SAFETY_UNKNOWN) {
		/* Now, since no call can be in the way: the next device would have to wait for one. */
		if (result == IFD_SUCCESS)
			ask_safety(channel);
		pthread_mutex_unlock(&driver->opening);
	}
	if (result == IFD_SUCCESS)
		*opened = channel;
	else
		channel_free(channel);
	return result;
}

RESPONSECODE driver_open_slot(struct channel *first, DWORD lun, struct channel **opened)
{
	struct driver *driver = first->driver;
	struct channel *channel = channel_new(driver, lun, first->device, first->number);
	bool apart = driver_get_byte(first, TAG_IFD_SLOT_THREAD_SAFE, 0) == 1;
	RESPONSECODE result = IFD_COMMUNICATION_ERROR;

	if (!channel)
		return IFD_COMMUNICATION_ERROR;
	pthread_mutex_lock(&driver->lock);
	if (apart) {
		channel->lane = lane_new();
	} else {
		channel->lane = first->lane;
		channel->lane->references++;
	}
	pthread_mutex_unlock(&driver->lock);
	if (channel->lane)
		result = channel_open(channel);
	if (result == IFD_SUCCESS)
		*opened = channel;
	else
		channel_free(channel);
	return result;
}

void driver_close(struct channel *channel)
{
	if (!channel)
		return;
	channel_enter(channel);
	channel->driver->entry.close(channel->lun);
	channel_leave(channel);
	channel_free(channel);
}

DWORD driver_lun(const struct channel *channel)
{
	return channel->lun;
}

const char *driver_device(const struct channel *channel)
{
	return channel->device;
}

struct driver *driver_of(const struct channel *channel)
{
	return channel->driver;
}

void driver_set_name(struct channel *channel, const char *name)
{
	snprintf(channel->name, sizeof(channel->name), "%s", name);
}
