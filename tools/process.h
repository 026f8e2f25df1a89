/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a process is part of: a unit of systemd, an application of Flatpak or Snap. Looked up here
 * and not in the daemon, which must not be kept waiting by what a client's file system holds.
 */
#ifndef CARDWIRE_TOOLS_PROCESS_H
#define CARDWIRE_TOOLS_PROCESS_H

#include <stddef.h>
#include <sys/types.h>

#define PROCESS_TEXT 256

/* Each "" if there is none, or if it may not be known. */
struct process {
	char unit[PROCESS_TEXT];    /* "gpg-agent.service" */
	char flatpak[PROCESS_TEXT]; /* "org.mozilla.firefox" */
	char snap[PROCESS_TEXT];    /* "firefox" */
};

void process_look_up(pid_t pid, struct process *process);

/* The snap that a unit's name, "snap.NAME.…", belongs to. Pure. */
void process_snap_of_unit(const char *unit, char snap[PROCESS_TEXT]);

/*
 * The application's name in the text of a .flatpak-info file: `name` in the group [Application].
 * Pure.
 */
void process_flatpak_of_info(const char *info, char flatpak[PROCESS_TEXT]);

#endif
