/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Deadlines: absolute CLOCK_MONOTONIC time in nanoseconds. Any thread may call.
 */
#ifndef CARDWIRE_CCID_DEADLINE_H
#define CARDWIRE_CCID_DEADLINE_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

#define DEADLINE_NS_PER_MS INT64_C(1000000)
#define DEADLINE_NS_PER_S  INT64_C(1000000000)

static inline int64_t deadline_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * DEADLINE_NS_PER_S + ts.tv_nsec;
}

/* The moment MS milliseconds from now. */
static inline int64_t deadline_in_ms(int64_t ms)
{
	return deadline_now() + ms * DEADLINE_NS_PER_MS;
}

/* The earlier of two. */
static inline int64_t deadline_min(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Milliseconds left, rounded up, 0 when it has passed, at most 60 000: for poll(2). */
static inline int deadline_left_ms(int64_t deadline)
{
	int64_t left = deadline - deadline_now();

	if (left <= 0)
		return 0;
	if (left > 60 * DEADLINE_NS_PER_S)
		return 60000;
	return (int)((left + DEADLINE_NS_PER_MS - 1) / DEADLINE_NS_PER_MS);
}

static inline struct timespec deadline_timespec(int64_t deadline)
{
	return (struct timespec){ .tv_sec = deadline / DEADLINE_NS_PER_S,
		.tv_nsec = deadline % DEADLINE_NS_PER_S };
}

/* A condition variable whose timed wait takes these deadlines. */
static inline void deadline_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

/* Waits on COND until DEADLINE at the latest; 0 or ETIMEDOUT, as pthread_cond_timedwait(). */
static inline int deadline_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline)
{
	struct timespec ts = deadline_timespec(deadline);

	return pthread_cond_timedwait(cond, lock, &ts);
}

#endif
