/* SPDX-License-Identifier: BSD-3-Clause */
/* Who is at the other end of a connection, and how to say so in a log line. */
#ifndef CARDWIRE_PCSCD_PEER_H
#define CARDWIRE_PCSCD_PEER_H

#include <stddef.h>
#include <sys/types.h>

struct peer {
	pid_t pid; /* 0 if it lives in another pid namespace */
	uid_t uid;
	gid_t gid;
};

/* From SO_PEERCRED: as it was when the connection was made. Returns 0, or -1 with errno. */
int peer_of(int fd, struct peer *peer);

/*
 * The program of a process: its path; where that is not allowed, the name the kernel has for it.
 * Without control characters, cut to `size`.
 */
void peer_program(pid_t pid, char *text, size_t size);

#define PEER_TEXT 512

/* "pid 123 (/usr/bin/gpg), uid 1000"; the program is looked up in /proc now. */
void peer_describe(const struct peer *peer, char text[PEER_TEXT]);

#endif
