/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading a client's requests without waking the client by it.
 *
 * Taking a message out of a Unix socket tells its sender that there is room again, and that wakes
 * a client which sleeps in recv() until its answer comes, as our library does: in vain, and at the
 * price of two switches of threads. So a busy connection of our library is read with MSG_PEEK and
 * SO_PEEK_OFF, and what has been read is taken out a few requests at a time, behind an answer, when
 * the client is awake anyway. Requests that carried data (a PIN, perhaps) are taken out as soon as
 * they are answered. The libraries of others poll(), which isn't disturbed.
 *
 * Part of a session, used by who runs it.
 */
#ifndef CARDWIRE_PCSCD_PEEK_H
#define CARDWIRE_PCSCD_PEEK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Zeroed: requests are not peeked at. */
struct peek {
	bool on;
	bool confidential; /* among what was read last was data */
	unsigned requests; /* that have come so far */
	unsigned reads;    /* that are still in the socket, */
	size_t bytes;      /* and their bytes */
};

/* A request has come; `data`: bytes that followed its body. Few don't make it worth to peek. */
void peek_count(struct peek *peek, int fd, size_t data);

/* recv() without waiting, at most `room` bytes. */
ssize_t peek_recv(struct peek *peek, int fd, uint8_t *buffer, size_t room);

/*
 * What peek_recv() read last is done with. It and what was read before is taken out of the socket if
 * it is time to, or if `now`; the buffer, `room` bytes, is used for that, and wiped.
 */
void peek_done(struct peek *peek, int fd, bool now, uint8_t *buffer, size_t room);

#endif
