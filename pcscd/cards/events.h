/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who waits for what: clients that want to know of changes to readers.
 *
 * A waiter is embedded in the connection that waits. It is woken by each event it registered
 * for, until it is unregistered; what the event means to its client, the connection finds out
 * itself. Any thread; one lock, which may be taken under a slot's and under which wake() is called.
 */
#ifndef CARDWIRE_PCSCD_EVENTS_H
#define CARDWIRE_PCSCD_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

struct slot;

enum {
	EVENTS_ANY = 1,     /* anything that happens to any reader */
	EVENTS_NAMED = 2,   /* what happens to readers of certain names */
	EVENTS_READERS = 4, /* readers that come or go */
	EVENTS_SETTLED = 8, /* a device that was being brought up is up, or will not be */
};

struct events_waiter {
	unsigned kinds; /* EVENTS_… bits */
	uint64_t names; /* EVENTS_NAMED: union of events_name() of the names */
	/* Called with the lock held: may only wake. It may be called for a name that isn't meant. */
	void (*wake)(struct events_waiter *waiter);
	bool registered;
	struct events_waiter *next;
	struct events_waiter *prev;
};

/* What stands for a name in events_waiter.names: one bit of 64, so others may share it. */
uint64_t events_name(const char *name);

/* After it returned, all events are told; it must not be registered already. */
void events_register(struct events_waiter *waiter);

/* After it returned, wake() is not running and won't be called. No-op if it is not registered. */
void events_unregister(struct events_waiter *waiter);

/* Something happened to the reader of that name. */
void events_raise(const char *name);

/* The reader of that name has come or gone. */
void events_raise_reader(const char *name);

void events_raise_settled(void);

/* Calls look() for each registered waiter, with the lock held. */
void events_each(void (*look)(void *ctx, struct events_waiter *waiter), void *ctx);

/* Counts all events but those of events_raise_settled(). */
unsigned events_count(void);

#endif
