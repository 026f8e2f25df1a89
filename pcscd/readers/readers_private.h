/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of readers, shared by the files that make it up: readers.c (the table and who asks for
 * what), readers_device.c (a device's own threads), readers_open.c (opening: names, Luns, slots).
 */
#ifndef CARDWIRE_PCSCD_READERS_PRIVATE_H
#define CARDWIRE_PCSCD_READERS_PRIVATE_H

#include <pthread.h>

#include "pcscd/readers/driver.h"
#include "pcscd/readers/readers.h"
#include "pcscd/timers.h"

struct slot;

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

	/* Under the table's lock. */
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

extern struct readers_table {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct device *devices;
	unsigned threads; /* devices whose thread has not ended */
	uint64_t last_id;
	struct readers_callbacks callbacks;
	struct reader_power power; /* of readers that have none of their own */
	bool stopping;
} readers_table;

/* Gives back a reference; the last one frees. Without the table's lock. */
void device_unref(struct device *device);

/* Whether a device of this library, path (or NULL) and channel number is this one. */
bool device_is(
	const struct device *device, const char *library, const char *path, unsigned long channel);

/*
 * Stops the slots of a device that is going. Drivers may miss the request if it comes just before
 * their poll begins, so a timer repeats it until the monitors have ended.
 */
void device_stop_slots(uint64_t id);

/* The device has to go; the first reason counts. */
void device_retire(struct device *device, enum readers_end end, bool unplugged);

/* Starts the thread of a device that is in the table. False, after an error line: there is none,
 * and the device is out of the table again. */
bool device_start(struct device *device);

/* Opens the device. Returns true, or false with the reason in *end. */
bool device_open(struct device *device, enum readers_end *end);

#endif
