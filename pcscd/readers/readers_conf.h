/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_PCSCD_READERS_CONF_H
#define CARDWIRE_PCSCD_READERS_CONF_H

/*
 * reader.conf: the readers that no bus announces, read from a file or a folder of files.
 *
 *	FRIENDLYNAME "Name shown to applications"
 *	DEVICENAME   /dev/ttyS0:GemPCTwin
 *	LIBPATH      /usr/lib/pcsc/drivers/serial/libccidtwin.so
 *	CHANNELID    1
 *	POWERGRACE   never
 *	POWERON      demand
 *
 * A reader is a group of lines in any order: FRIENDLYNAME, LIBPATH, and DEVICENAME or CHANNELID or
 * both; POWERGRACE and POWERON as it likes. A keyword that the group already has begins the next
 * group. '#' starts a comment; a value stands on the line of its keyword and is quoted if it holds
 * spaces.
 *
 * What is wrong is logged as an error with file and line, and costs that reader: the others stand.
 * A wrong POWERGRACE or POWERON costs that line only.
 *
 * Threads: no shared state; a `struct readers_conf` belongs to its caller.
 */

#include <stdbool.h>
#include <stddef.h>

#include "pcscd/readers/readers.h"

struct conf_reader {
	char *name;            /* FRIENDLYNAME */
	char *device;          /* DEVICENAME, NULL if there is none */
	char *library;         /* LIBPATH */
	unsigned long channel; /* CHANNELID, 0 if there is none */
	char *origin;          /* "file:line" of the group's first line */

	struct reader_power power; /* POWERGRACE and POWERON */
	bool has_grace;            /* POWERGRACE was there; without it the grace is 0 */
	bool has_power_on;         /* POWERON was there */
};

struct readers_conf {
	struct conf_reader *readers;
	size_t count;
	unsigned errors; /* faults found; of a file's, the log has the first 20 and the number */
};

/*
 * Reads `path`: a file, or a folder of which every regular file (links followed) is read in the
 * order of names, but for hidden ones and what editors and package managers leave behind ("~",
 * ".dpkg-…", ".rpm…"). Readers are added to `conf`, which starts as zeros.
 * 0, or -1 with errno if `path` cannot be read (ENOENT if it isn't there); nothing is logged then.
 */
int readers_conf_load(struct readers_conf *conf, const char *path);

/* The same for `length` bytes of text, called `file` in messages. */
void readers_conf_parse(
	struct readers_conf *conf, const char *text, size_t length, const char *file);

/* Frees what `conf` holds and makes it zeros. */
void readers_conf_free(struct readers_conf *conf);

#endif
