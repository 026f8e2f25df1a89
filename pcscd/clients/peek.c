/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/clients/peek.h"

#include <string.h>
#include <sys/socket.h>

#define WORTH_REQUESTS 16   /* before that many a connection isn't busy */
#define READS_MAX      32   /* that may lie in the socket: the client needs room for others, */
#define BYTES_MAX      1024 /* and how long they may be together */

void peek_count(struct peek *peek, int fd, size_t data)
{
	int offset = 0;

	if (data > 0)
		peek->confidential = true;
	if (++peek->requests == WORTH_REQUESTS)
		peek->on = setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof(offset)) == 0;
}

ssize_t peek_recv(struct peek *peek, int fd, uint8_t *buffer, size_t room)
{
	ssize_t got;

	peek->confidential = false;
	if (!peek->on)
		return recv(fd, buffer, room, MSG_DONTWAIT);
	got = recv(fd, buffer, room, MSG_DONTWAIT | MSG_PEEK);
	if (got > 0) {
		peek->reads++;
		peek->bytes += (size_t)got;
	}
	return got;
}

void peek_done(struct peek *peek, int fd, bool now, uint8_t *buffer, size_t room)
{
	ssize_t got = 1;

	if (!now && !peek->confidential && peek->reads < READS_MAX && peek->bytes < BYTES_MAX)
		return;
	while (peek->bytes > 0 && got > 0) {
		got = recv(fd, buffer, peek->bytes < room ? peek->bytes : room, MSG_DONTWAIT);
		if (got > 0) {
			explicit_bzero(buffer, (size_t)got);
			peek->bytes -= (size_t)got;
		}
	}
	peek->reads = 0;
}
