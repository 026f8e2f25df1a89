/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_LIBPCSCLITE_DEADLINE_H
#define CARDWIRE_LIBPCSCLITE_DEADLINE_H

/* Deadlines: nanoseconds of CLOCK_MONOTONIC, absolute. Any thread may call these functions. */

#include <stdint.h>
#include <time.h>

#define DEADLINE_NEVER INT64_MAX
#define NS_PER_MS      INT64_C(1000000)
#define NS_PER_S       INT64_C(1000000000)

static inline int64_t deadline_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* `ms` from now. */
static inline int64_t deadline_in_ms(uint32_t ms)
{
	return deadline_now() + (int64_t)ms * NS_PER_MS;
}

static inline int64_t deadline_earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* The deadline as pthread_cond_timedwait() on CLOCK_MONOTONIC wants it. */
static inline struct timespec deadline_timespec(int64_t deadline)
{
	return (struct timespec){
		.tv_sec = (time_t)(deadline / NS_PER_S),
		.tv_nsec = (long)(deadline % NS_PER_S),
	};
}

#endif
