/* SPDX-License-Identifier: BSD-3-Clause */
/* The processes of the machine that pcscctl doctor looks at, from its /proc. */
#ifndef CARDWIRE_TOOLS_DOCTOR_PROCESS_H
#define CARDWIRE_TOOLS_DOCTOR_PROCESS_H

#include "tools/doctor_checks.h"

#define DOCTOR_PROCESS 320 /* bytes of a process's description */

/* "pid 123 (/usr/sbin/pcscd)"; the name the kernel has where the path is not to be known. */
void doctor_describe(const struct doctor *doctor, pid_t pid, char text[DOCTOR_PROCESS]);

/* Calls `each` for every process until it returns false. */
void doctor_each_process(
	const struct doctor *doctor, bool (*each)(void *context, pid_t pid), void *context);

/* Is that the name the kernel has for the process? */
bool doctor_is_called(const struct doctor *doctor, pid_t pid, const char *name);

/*
 * Has the process opened that file (a path as it sees it)? False, too, if it may not be known: then
 * *hidden becomes true.
 */
bool doctor_has_open(const struct doctor *doctor, pid_t pid, const char *file, bool *hidden);

/*
 * The process's arguments, each with its NUL, cut at `size`, and one NUL more. Returns the length
 * without the last; 0 if it can't be known.
 */
size_t doctor_arguments(const struct doctor *doctor, pid_t pid, char *text, size_t size);

#endif
