/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_PCSCD_INVENTORY_H
#define CARDWIRE_PCSCD_INVENTORY_H

/*
 * What devices there should be against what the reader table has, and what to do about the
 * difference. Sources (reader.conf, the USB bus) hand in their whole list each time something may
 * have changed; the inventory adds, removes, tries the next driver, and tries again later.
 *
 * A device is known by its key (where it is: "usb 1-3:1.0", "file:line") and its identity (what it
 * is: another identity at the same key is another device). It is tried with each of its drivers in
 * order. When none takes it, a bus device is tried again INVENTORY_BUS_TRIES times (somebody else
 * may have it, or udev has not yet set its permissions), then left alone until it is unplugged or
 * its permissions change; a configured one that isn't there (IFD_NO_SUCH_DEVICE) or that its driver
 * cannot open is tried again with growing intervals for as long as it is configured. One line is
 * logged when such a device goes missing and one when it is back.
 *
 * Threads: not locked. One thread (the main loop) makes all calls; what the reader table reports
 * from its threads must be handed over to it first. Time is an argument (CLOCK_MONOTONIC, ns);
 * nothing here blocks, so that tests drive it with a table and a clock of their own.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pcscd/readers/readers.h"

#define INVENTORY_DRIVERS   2                     /* drivers one device may be tried with */
#define INVENTORY_RETRY_MIN (INT64_C(250000000))  /* ns: first try again, doubled each time … */
#define INVENTORY_RETRY_MAX (INT64_C(5000000000)) /* … up to this */
#define INVENTORY_BUS_TRIES 6 /* tries again for a bus device that no driver takes */
#define INVENTORY_STABLE    (INT64_C(1000000000)) /* ns up after which failures are forgotten */

enum inventory_source {
	INVENTORY_CONF, /* configured: tried again as long as it is wanted */
	INVENTORY_BUS,  /* on the bus: what isn't a reader is left alone */
};

/* A device that a source wants. All strings are copied. */
struct wanted {
	const char *key;      /* unique within the source */
	const char *identity; /* "" if there is nothing to tell devices at one key apart */
	const char *access; /* who may open it: another one is worth another try; NULL: not known */
	struct reader_spec specs[INVENTORY_DRIVERS]; /* by driver, best first */
	size_t count;                                /* of specs, at least 1 */
};

/* The reader table: readers_add() and readers_remove(), or a test's. */
struct inventory_table {
	enum readers_result (*add)(const struct reader_spec *spec, uint64_t *id);
	void (*remove)(uint64_t id, bool unplugged);
};

struct inventory;

/* NULL if memory is short. `table` must outlive the inventory. */
struct inventory *inventory_new(const struct inventory_table *table);

/* Frees it; devices in the table stay there. NULL is allowed. */
void inventory_free(struct inventory *inventory);

/*
 * The whole list of `source` as it is now. A device that isn't in it any more is removed. A device
 * that was declined is only tried again if its identity or drivers changed, or `again` is set.
 */
void inventory_sync(struct inventory *inventory, enum inventory_source source,
	const struct wanted *wanted, size_t count, bool again, int64_t now);

/* What the table reports about the device `id`; unknown ids are ignored. */
void inventory_up(struct inventory *inventory, uint64_t id, int64_t now);
void inventory_gone(
	struct inventory *inventory, uint64_t id, enum readers_end why, bool was_up, int64_t now);

/* When inventory_tick() is due, absolute ns; INT64_MAX if nothing waits for time to pass. */
int64_t inventory_deadline(const struct inventory *inventory);

/* Tries again what is due. */
void inventory_tick(struct inventory *inventory, int64_t now);

#endif
