/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Timers of the daemon: one timerfd in the pool's epoll for all of them. When nothing is due,
 * nothing wakes up.
 *
 * A timer is embedded in what it belongs to and names it by a key, never by a pointer: fire() is
 * called on a pool thread, without locks, and may run even after the timer has been cancelled or
 * its owner freed, so it looks the key up. Any thread may call these functions; they take one short
 * lock and may be called under others.
 */
#ifndef CARDWIRE_PCSCD_TIMERS_H
#define CARDWIRE_PCSCD_TIMERS_H

#include <stdint.h>

/* Zeroed by its owner, who sets fire and key; the rest is the heap's. */
struct timer {
	void (*fire)(uint64_t key);
	uint64_t key;
	int64_t due; /* absolute ns; 0: not set */
	struct timer *child;
	struct timer *next; /* sibling */
	struct timer *back; /* parent or left sibling */
};

/* After pool_start(). Returns 0, or -1 with errno. */
int timers_start(void);

/* After pool_stop() has returned true. */
void timers_stop(void);

/* The epoll key that ready() must hand to timers_run(). */
#define TIMERS_KEY UINT64_C(1)
void timers_run(void);

/* Sets the timer to fire once at `due` (absolute ns), instead of when it was set for before. */
void timer_set(struct timer *timer, int64_t due);

/* Makes it fire at `due` or, if it is set for an earlier time, then. */
void timer_set_by(struct timer *timer, int64_t due);

/* No-op if it is not set. Must be called before the timer is freed. */
void timer_cancel(struct timer *timer);

#endif
