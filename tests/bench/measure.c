/* SPDX-License-Identifier: BSD-3-Clause */
#include "measure.h"

#include <stdlib.h>
#include <time.h>

#define MIN_RUNS 16
#define MAX_RUNS 1000000

int64_t measure_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* Fills times with the durations of runs until the deadline; returns their number, 0 on failure. */
static size_t run_until(
	measure_operation operation, void *context, int64_t deadline, int64_t *times)
{
	size_t n = 0;
	int64_t before = measure_now_ns();

	while (n < MAX_RUNS && (n < MIN_RUNS || before < deadline)) {
		if (!operation(context))
			return 0;
		int64_t after = measure_now_ns();
		times[n++] = after - before;
		before = after;
	}
	return n;
}

double measure_median_us(measure_operation operation, void *context, int64_t duration_ns)
{
	double median_us = -1;
	int64_t *times = malloc(MAX_RUNS * sizeof(*times));

	if (!times)
		return -1;
	int64_t now = measure_now_ns();
	size_t n = run_until(operation, context, now + duration_ns / 10, times);
	if (n > 0)
		n = run_until(operation, context, measure_now_ns() + duration_ns, times);
	if (n > 0) {
		qsort(times, n, sizeof(*times), compare);
		int64_t median_ns = times[n / 2];
		median_us = (double)median_ns / 1000.0;
	}
	free(times);
	return median_us;
}
