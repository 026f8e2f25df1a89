/* SPDX-License-Identifier: BSD-3-Clause */
/* Files of the bundle that the library lies in (CONTENTS/Linux/libccid.so). Any thread may call. */
#ifndef CARDWIRE_CCID_BUNDLE_FILE_H
#define CARDWIRE_CCID_BUNDLE_FILE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The text of file NAME, relative to CONTENTS, ended by a zero; at most 1 MiB of it. The caller
 * frees it. NULL: there is none.
 */
char *bundle_read(const char *name);

/* The path of NAME, relative to CONTENTS, in PATH of SIZE bytes. False: not known, or too long. */
bool bundle_path(const char *name, char *path, size_t size);

#endif
