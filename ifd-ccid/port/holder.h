/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who has a USB interface that we can't get: for the line that says so. Reads /sys and /proc only;
 * any thread may call.
 */
#ifndef CARDWIRE_CCID_HOLDER_H
#define CARDWIRE_CCID_HOLDER_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Writes to OUT (SIZE bytes) "kernel driver NAME", or "PROGRAM (process N)" of the processes that
 * have the device node NODE open, as far as we may see them. INTERFACE is the interface's name in
 * sysfs, such as 1-2:1.0; ROOT is "" (tests put folders of their own there). False: nobody found.
 */
bool holder_find(const char *root, const char *interface, const char *node, char *out, size_t size);

#endif
