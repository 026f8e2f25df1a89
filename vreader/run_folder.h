/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The temporary folder of `vreader run`: sockets, and the daemon's configuration.
 */
#ifndef CARDWIRE_VREADER_RUN_FOLDER_H
#define CARDWIRE_VREADER_RUN_FOLDER_H

#include <stdbool.h>

#include "vreader/service.h"

enum {
	/* A socket's path is at most 107 bytes (unix(7)). */
	RUN_PATH_MAX = 108,
};

struct run_folder {
	char path[RUN_PATH_MAX - 16]; /* empty: there is none */
	char usbip[RUN_PATH_MAX + 8]; /* address of the readers, unix:PATH */
	char ctl[RUN_PATH_MAX];
	char pcscd[RUN_PATH_MAX]; /* the daemon's socket */
	char conf[RUN_PATH_MAX];  /* its reader.conf */
	char drivers
		[RUN_PATH_MAX]; /* an empty folder: the machine's readers are not its business */
};

/* Makes it below $TMPDIR, else /tmp, for this user alone. False, with a line on stderr. */
bool run_folder_make(struct run_folder *f);
/* Removes it with all that is in it. */
void run_folder_remove(struct run_folder *f);

/* Writes an entry for each interface of each reader. False, with a line on stderr. */
bool run_folder_write_conf(
	const struct run_folder *f, const struct service_options *service, const char *driver);

#endif
