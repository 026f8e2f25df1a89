/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_PCSCD_TEXTFILE_H
#define CARDWIRE_PCSCD_TEXTFILE_H

/* Reads the configuration files of the daemon into memory. Any thread. */

#include <dirent.h>
#include <stddef.h>

#define TEXTFILE_MAX (4L * 1024 * 1024) /* bytes; a longer file is no configuration */

/*
 * The content of the file `path`, with a NUL after its *length bytes; to be freed by the caller.
 * NULL with errno: as open() and read(), EFBIG beyond TEXTFILE_MAX, EISDIR, EINVAL if it is no
 * regular file.
 */
char *textfile_read(const char *path, size_t *length);

/*
 * Calls `each` with the names of a folder's entries that `meant` says 1 of, in their order.
 * Returns 0, or -1 with errno if the folder cannot be read.
 */
int textfile_each(const char *folder, int (*meant)(const struct dirent *entry),
	void (*each)(void *ctx, const char *folder, const char *name), void *ctx);

#endif
