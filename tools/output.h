/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file that a command writes. What cards have answered may be in it, and the daemon tells that
 * to root alone, so it is readable by its owner only: the user of this program, or who has asked for
 * root by sudo(8). One thread.
 */
#ifndef CARDWIRE_TOOLS_OUTPUT_H
#define CARDWIRE_TOOLS_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

struct output {
	const char *path; /* the caller's */
	FILE *stream;
	bool created; /* it was not there before */
};

/* Opens PATH; "-" is the standard output. False after a complaint. */
bool output_open(struct output *output, const char *path);

/*
 * Ends it. False after a complaint: not all could be written. A file that is not wanted, or not
 * whole, and was not there before, goes.
 */
bool output_close(struct output *output, bool wanted);

#endif
