/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/timers.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "pcscd/pool.h"
#include "pcscd/clock.h"
#include "pcscd/log.h"

/* A pairing heap: no memory of its own, so that setting a timer can't fail. */
static struct {
	pthread_mutex_t lock;
	int fd;
	struct timer *root;
	int64_t armed; /* what the timerfd is set for; CLOCK_NEVER: not set */
} timers = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.fd = -1,
	.armed = CLOCK_NEVER,
};

static struct timer *meld(struct timer *a, struct timer *b)
{
	struct timer *swap;

	if (!a || !b)
		return a ? a : b;
	if (b->due < a->due) {
		swap = a;
		a = b;
		b = swap;
	}
	b->back = a;
	b->next = a->child;
	if (a->child)
		a->child->back = b;
	a->child = b;
	return a;
}

/* Melds a list of siblings into one heap: pairs from left to right, then all from right to left. */
static struct timer *meld_siblings(struct timer *first)
{
	struct timer *pairs = NULL, *root = NULL;

	while (first) {
		struct timer *a = first, *b = first->next;

		first = b ? b->next : NULL;
		a->next = a->back = NULL;
		if (b)
			b->next = b->back = NULL;
		a = meld(a, b);
		a->next = pairs;
		pairs = a;
	}
	while (pairs) {
		struct timer *a = pairs;

		pairs = a->next;
		a->next = NULL;
		root = meld(root, a);
	}
	return root;
}

static void insert(struct timer *timer, int64_t due)
{
	timer->due = due > 0 ? due : 1;
	timer->child = timer->next = timer->back = NULL;
	timers.root = meld(timers.root, timer);
}

static void extract(struct timer *timer)
{
	struct timer *children = meld_siblings(timer->child);

	if (timer == timers.root) {
		timers.root = children;
	} else {
		if (timer->back->child == timer)
			timer->back->child = timer->next;
		else
			timer->back->next = timer->next;
		if (timer->next)
			timer->next->back = timer->back;
		timers.root = meld(timers.root, children);
	}
	timer->child = timer->next = timer->back = NULL;
	timer->due = 0;
}

/*
 * Sets the timerfd when something is due before it would fire. The other way round it is left
 * alone: one wake-up in vain costs less than a system call for each request.
 */
static void arm(void)
{
	struct itimerspec spec = { 0 };

	if (!timers.root || timers.root->due >= timers.armed)
		return;
	timers.armed = timers.root->due;
	spec.it_value = clock_timespec(timers.armed);
	if (timerfd_settime(timers.fd, TFD_TIMER_ABSTIME, &spec, NULL) < 0)
		log_line(PCSC_LOG_CRITICAL, "timerfd_settime: %s", strerror(errno));
}

int timers_start(void)
{
	timers.root = NULL;
	timers.armed = CLOCK_NEVER;
	timers.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (timers.fd < 0)
		return -1;
	return pool_watch(timers.fd, TIMERS_KEY, EPOLLIN | EPOLLET);
}

void timers_stop(void)
{
	close(timers.fd);
	timers.fd = -1;
}

void timers_run(void)
{
	pthread_mutex_lock(&timers.lock);
	timers.armed = CLOCK_NEVER;
	while (timers.root && timers.root->due <= clock_now()) {
		void (*fire)(uint64_t) = timers.root->fire;
		uint64_t key = timers.root->key;

		extract(timers.root);
		pthread_mutex_unlock(&timers.lock);
		fire(key);
		pthread_mutex_lock(&timers.lock);
	}
	arm();
	pthread_mutex_unlock(&timers.lock);
}

void timer_set(struct timer *timer, int64_t due)
{
	pthread_mutex_lock(&timers.lock);
	if (timer->due)
		extract(timer);
	insert(timer, due);
	arm();
	pthread_mutex_unlock(&timers.lock);
}

void timer_set_by(struct timer *timer, int64_t due)
{
	pthread_mutex_lock(&timers.lock);
	if (!timer->due || due < timer->due) {
		if (timer->due)
			extract(timer);
		insert(timer, due);
		arm();
	}
	pthread_mutex_unlock(&timers.lock);
}

void timer_cancel(struct timer *timer)
{
	pthread_mutex_lock(&timers.lock);
	if (timer->due)
		extract(timer);
	pthread_mutex_unlock(&timers.lock);
}
