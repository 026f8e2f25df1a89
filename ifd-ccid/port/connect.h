/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stream sockets with deadlines. Sockets are non-blocking and close-on-exec. Any thread may call.
 */
#ifndef CARDWIRE_CCID_CONNECT_H
#define CARDWIRE_CCID_CONNECT_H

#include <stdint.h>

/*
 * Connects to a TCP server, name resolution included, with TCP_NODELAY and keep-alive probes that
 * notice a dead peer within half a minute. Returns the socket, or -1 with errno; *WHY (static or
 * libc's text) says what failed.
 */
int connect_tcp(const char *host, const char *port, int64_t deadline, const char **why);

/* The same for a Unix socket; PATH is shorter than 108 bytes. */
int connect_unix(const char *path, int64_t deadline, const char **why);

#endif
