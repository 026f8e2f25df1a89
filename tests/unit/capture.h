/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_TESTS_UNIT_CAPTURE_H
#define CARDWIRE_TESTS_UNIT_CAPTURE_H

/* Standard output into a buffer: the log of the daemon's modules is part of what is tested. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int capture_saved = -1;
static int capture_file = -1;

static inline void capture_begin(void)
{
	fflush(stdout);
	capture_saved = dup(STDOUT_FILENO);
	capture_file = memfd_create("captured", MFD_CLOEXEC);
	if (capture_saved < 0 || capture_file < 0 || dup2(capture_file, STDOUT_FILENO) < 0)
		abort();
}

/* What was written since capture_begin(), to be freed. */
static inline char *capture_end(void)
{
	off_t size;
	char *text;

	fflush(stdout);
	size = lseek(capture_file, 0, SEEK_END);
	text = calloc(1, (size_t)size + 1);
	if (size < 0 || !text || pread(capture_file, text, (size_t)size, 0) != size)
		abort();
	dup2(capture_saved, STDOUT_FILENO);
	close(capture_saved);
	close(capture_file);
	return text;
}

/* Lines in a text. */
static inline size_t capture_lines(const char *text)
{
	size_t count = 0;

	for (; *text; text++)
		count += *text == '\n';
	return count;
}

#endif
