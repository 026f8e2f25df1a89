/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What drivers have recorded, from the daemon's recording socket (pcscd/clients/recording.h), entry
 * by entry (recording/entry.h). Complaints go to standard error. One thread.
 */
#ifndef CARDWIRE_TOOLS_RECORDINGS_H
#define CARDWIRE_TOOLS_RECORDINGS_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>

#include "recording/entry.h"

/*
 * Sends a request, "list", "all DEVICE" or "live DEVICE", to the daemon that serves `socket`. The
 * answer, line by line, for the caller to fclose(); NULL: it could not be asked. A live one has no
 * time limit.
 */
FILE *recordings_ask(const char *socket, const char *verb, const char *device);

/*
 * The reader that is meant: by its name, a part of its name that no other has, or its device string.
 * A new reference; NULL, after a complaint: none, or several. `readers` is as report_fetch() has it.
 */
json_object *recordings_find(json_object *readers, const char *name);

/* Called for each entry; false: that is enough. */
typedef bool recordings_each(void *ctx, const struct recording_entry *entry);

/* Reads entries to the end of the answer, or until a signal comes. Returns how many there were. */
size_t recordings_read(FILE *answer, recordings_each *each, void *ctx);

#endif
