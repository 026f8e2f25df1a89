/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of readers: which devices the daemon drives, under which names, with which Luns.
 *
 * A source of readers (configuration files, hotplug) says what should be there with readers_add()
 * and readers_remove(); the table brings each device up and down by itself, each in a thread of its
 * own, so that a slow device delays nobody. What became of it is told through the callbacks. One
 * device has one or more slots; each slot is one reader to clients (see slot.h).
 *
 * Every function here may be called from any thread.
 */
#ifndef CARDWIRE_PCSCD_READERS_H
#define CARDWIRE_PCSCD_READERS_H

#include <stdbool.h>
#include <stdint.h>

/* When the card of a reader has power, beside while it is in use. */
struct reader_power {
	int64_t grace;  /* ns it stays powered when nobody uses it any more; negative: for ever */
	bool on_demand; /* not powered before the first connection, rather than when inserted */
};

/* What a source knows about one device. The strings are copied by readers_add(). */
struct reader_spec {
	const char *base_name; /* UTF-8, without " 00 00"; cut to 121 bytes as pcsc-lite does */
	const char *library;   /* path of the IFD handler to load */
	const char *device;    /* device string, or NULL: open by channel number */
	unsigned long channel; /* channel number; also tells two devices without string apart */
	const char *origin;    /* for messages: "reader.conf:12" or "usb 1-3:1.0" */
	const char *place;     /* what tells it from readers of equal name, or NULL: see places.h */
	const struct reader_power *power; /* NULL: what readers_init() said */
	bool hotplug; /* comes from the USB bus: several of one driver may live together */
	bool again;   /* not the first try: that the driver does not open it has been said */
};

enum readers_result {
	READERS_OK,        /* accepted; on_up or on_gone follows */
	READERS_DUPLICATE, /* the same library and device (or channel) is there already */
	READERS_FAILED,    /* out of memory or threads, or the table is stopping; logged */
};

/* Why a device is no longer in the table. */
enum readers_end {
	READERS_END_REMOVED,     /* readers_remove() asked for it */
	READERS_END_NO_DEVICE,   /* the driver said IFD_NO_SUCH_DEVICE, on opening or later */
	READERS_END_OPEN_FAILED, /* the driver could not be loaded, or takes no more; logged */
	READERS_END_REFUSED,     /* the driver did not open it; logged, unless tried again */
};

/*
 * Called without locks from the device's own thread; they may call readers_add() and
 * readers_remove(). After on_gone the id means nothing any more, and the same device may be added
 * again at once. Either may be NULL.
 */
struct readers_callbacks {
	void (*on_up)(void *ctx, uint64_t id);
	/* was_up: on_up had been called for it, that is, clients have seen it. */
	void (*on_gone)(void *ctx, uint64_t id, enum readers_end why, bool was_up);
	void *ctx;
};

/* Once, before any other call here. power_grace: ns an unused card stays powered. */
void readers_init(const struct readers_callbacks *callbacks, int64_t power_grace);

/* Starts to bring a device up. *id (never 0) names it until on_gone. */
enum readers_result readers_add(const struct reader_spec *spec, uint64_t *id);

/*
 * Starts to take a device down: calls under way are aborted, its handles see a removed reader, the
 * driver is told TAG_IFD_DEVICE_REMOVED where it wants to know and unplugged is set. on_gone
 * follows. An unknown id is ignored.
 */
void readers_remove(uint64_t id, bool unplugged);

/* A driver said IFD_NO_SUCH_DEVICE: the device of that id is taken down. For slots. */
void readers_no_device(uint64_t id);

/*
 * Waits until each device added before the call is up or gone, or until the deadline (absolute
 * CLOCK_MONOTONIC, ns). Returns true if all are settled. For the start-up, so that "ready" means
 * that readers which come up quickly are there.
 */
bool readers_settle(int64_t deadline);

/*
 * Until when (absolute ns) a client that asks for the list of readers should wait, because a
 * device is being brought up; 0: not at all. EVENTS_SETTLED (events.h) tells when to ask again. A
 * device that is slow to come up is waited for a moment only.
 */
int64_t readers_unsettled_until(void);

/*
 * Takes all devices down: cards powered off, channels closed. Returns true when all are gone;
 * false at the deadline (absolute, ns), when a driver does not come back from a call.
 */
bool readers_stop(int64_t deadline);

#endif
