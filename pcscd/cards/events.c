/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/cards/events.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct events_waiter *waiters;
static atomic_uint count;

uint64_t events_name(const char *name)
{
	uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * UINT64_C(1099511628211);
	return UINT64_C(1) << (hash >> 58);
}

void events_register(struct events_waiter *waiter)
{
	pthread_mutex_lock(&lock);
	waiter->registered = true;
	waiter->prev = NULL;
	waiter->next = waiters;
	if (waiters)
		waiters->prev = waiter;
	waiters = waiter;
	pthread_mutex_unlock(&lock);
}

void events_unregister(struct events_waiter *waiter)
{
	pthread_mutex_lock(&lock);
	if (waiter->registered) {
		if (waiter->prev)
			waiter->prev->next = waiter->next;
		else
			waiters = waiter->next;
		if (waiter->next)
			waiter->next->prev = waiter->prev;
		waiter->registered = false;
	}
	pthread_mutex_unlock(&lock);
}

static void tell(unsigned kinds, uint64_t name)
{
	if (!(kinds & EVENTS_SETTLED))
		atomic_fetch_add(&count, 1);
	pthread_mutex_lock(&lock);
	for (struct events_waiter *waiter = waiters; waiter; waiter = waiter->next) {
		if ((waiter->kinds & kinds) ||
			((waiter->kinds & EVENTS_NAMED) && (waiter->names & name)))
			waiter->wake(waiter);
	}
	pthread_mutex_unlock(&lock);
}

void events_raise(const char *name)
{
	tell(EVENTS_ANY, events_name(name));
}

void events_raise_reader(const char *name)
{
	tell(EVENTS_ANY | EVENTS_READERS, events_name(name));
}

void events_raise_settled(void)
{
	tell(EVENTS_SETTLED, 0);
}

unsigned events_count(void)
{
	return atomic_load(&count);
}

void events_each(void (*look)(void *ctx, struct events_waiter *waiter), void *ctx)
{
	pthread_mutex_lock(&lock);
	for (struct events_waiter *waiter = waiters; waiter; waiter = waiter->next)
		look(ctx, waiter);
	pthread_mutex_unlock(&lock);
}
