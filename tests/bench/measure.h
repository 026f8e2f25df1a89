/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Times an operation: many runs of it, one clock reading around each, and the median, since a
 * mean on a shared machine measures its neighbours. One thread.
 */
#ifndef CARDWIRE_BENCH_MEASURE_H
#define CARDWIRE_BENCH_MEASURE_H

#include <stdbool.h>
#include <stdint.h>

/* One run of what is measured; false ends the measurement with a failure. */
typedef bool (*measure_operation)(void *context);

/* Nanoseconds of CLOCK_MONOTONIC. */
int64_t measure_now_ns(void);

/*
 * Runs the operation for about that time (at least 16 times) after a tenth of it to warm up.
 * Returns the median of a run in µs, or -1 if the operation failed.
 */
double measure_median_us(measure_operation operation, void *context, int64_t duration_ns);

#endif
