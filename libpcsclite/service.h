/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_LIBPCSCLITE_SERVICE_H
#define CARDWIRE_LIBPCSCLITE_SERVICE_H

/*
 * Where the daemon's socket is, and waiting for it to appear.
 *
 * The path is $PCSCLITE_CSOCK_NAME, or the one compiled in; it is read once a process. Any thread
 * may call these functions.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Fills in the socket's address; returns its length for connect(). */
socklen_t service_address(struct sockaddr_un *address);

/* True if something is at the socket's path. */
bool service_exists(void);

/*
 * A watch on the folder of the socket. Open it, try to connect, then wait: what happens between
 * opening and waiting is not missed.
 */
struct service_watch {
	int fd; /* inotify, or -1 if there is none to be had: waits then end after a short time */
};

void service_watch_open(struct service_watch *watch);
void service_watch_close(struct service_watch *watch);

enum service_event {
	SERVICE_CHANGED, /* it is worth trying again */
	SERVICE_WOKEN,   /* wake_fd is readable */
	SERVICE_TIMEOUT
};

/* Waits until something happens to the socket, until `deadline`. The watch is open again after it. */
enum service_event service_watch_wait(struct service_watch *watch, int wake_fd, int64_t deadline);

#endif
