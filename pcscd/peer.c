/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/peer.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int peer_of(int fd, struct peer *peer)
{
	struct ucred credentials;
	socklen_t length = sizeof(credentials);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0)
		return -1;
	peer->pid = credentials.pid;
	peer->uid = credentials.uid;
	peer->gid = credentials.gid;
	return 0;
}

void peer_program(pid_t pid, char *text, size_t size)
{
	char path[64];
	ssize_t length;
	int fd;

	snprintf(path, sizeof(path), "/proc/%ld/exe", (long)pid);
	length = readlink(path, text, size - 1);
	if (length < 0) {
		snprintf(path, sizeof(path), "/proc/%ld/comm", (long)pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0) {
			length = read(fd, text, size - 1);
			close(fd);
		}
	}
	text[length > 0 ? length : 0] = '\0';
	/* A program may have any name; a log line must stay one line. */
	for (char *at = text; *at; at++) {
		if ((unsigned char)*at < ' ')
			*at = at[1] ? '?' : '\0';
	}
	if (!*text)
		snprintf(text, size, "unknown program");
}

void peer_describe(const struct peer *peer, char text[PEER_TEXT])
{
	char program[PEER_TEXT - 64];

	peer_program(peer->pid, program, sizeof(program));
	snprintf(text, PEER_TEXT, "pid %ld (%s), uid %lu", (long)peer->pid, program,
		(unsigned long)peer->uid);
}
