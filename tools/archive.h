/* SPDX-License-Identifier: BSD-3-Clause */
/* An uncompressed tar archive (POSIX.1 ustar), which any unpacker reads. One thread a stream. */
#ifndef CARDWIRE_TOOLS_ARCHIVE_H
#define CARDWIRE_TOOLS_ARCHIVE_H

#include <stddef.h>
#include <stdio.h>

/* Adds a file; its name has at most 99 bytes. What goes wrong is found by ferror(). */
void archive_add(FILE *out, const char *name, const void *bytes, size_t length);

/* Ends the archive. */
void archive_end(FILE *out);

#endif
