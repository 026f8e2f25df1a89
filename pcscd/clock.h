/* SPDX-License-Identifier: BSD-3-Clause */
/* The daemon's one clock: CLOCK_MONOTONIC in ns. Deadlines are absolute values of it. */
#ifndef CARDWIRE_PCSCD_CLOCK_H
#define CARDWIRE_PCSCD_CLOCK_H

#include <stdint.h>
#include <time.h>

#define CLOCK_MS    INT64_C(1000000)
#define CLOCK_S     INT64_C(1000000000)
#define CLOCK_NEVER INT64_MAX

static inline int64_t clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * CLOCK_S + ts.tv_nsec;
}

/* The same instant as a timespec, for pthread_cond_clockwait() and timerfd_settime(). */
static inline struct timespec clock_timespec(int64_t ns)
{
	struct timespec ts = { .tv_sec = ns / CLOCK_S, .tv_nsec = ns % CLOCK_S };

	return ts;
}

#endif
