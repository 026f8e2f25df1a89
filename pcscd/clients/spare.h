/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A descriptor that is kept for when none are left. It is given up for a moment then, so that a
 * client that comes is turned away rather than left waiting. There is one for all listening sockets
 * of the daemon. Any thread may call these functions; one lock, held for a few system calls.
 */
#ifndef CARDWIRE_PCSCD_SPARE_H
#define CARDWIRE_PCSCD_SPARE_H

/* Keeps one from now on, until spare_close(). */
void spare_open(void);
void spare_close(void);

/*
 * accept4(). When descriptors have run out, takes the connection and closes it: -1 with
 * ECONNREFUSED. If not even that is possible, -1 with EMFILE or ENFILE, and it waits on.
 */
int spare_accept(int listen_fd, int flags);

#endif
