/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Socket addresses as the command line writes them: unix:PATH, tcp:HOST:PORT, tcp:[HOST]:PORT.
 */
#ifndef CARDWIRE_VREADER_ADDRESS_H
#define CARDWIRE_VREADER_ADDRESS_H

#include <stddef.h>

/* A non-blocking listening socket, close-on-exec; or -1 with an explanation in why. A Unix socket
 * left behind by a server that died is replaced, any other is not. The folder is not made. */
int address_listen(const char *address, char *why, size_t why_size);

/* A client of a listening socket, non-blocking, close-on-exec; or -1. A network that is gone ends a TCP
 * connection within half a minute. When no descriptor is left the client is turned away, and stderr
 * says so. */
int address_accept(int listener);

/* Removes the file of a unix: address. */
void address_forget(const char *address);

/* A connected blocking stream socket to a Unix path; or -1 with an explanation in why. */
int address_connect_unix(const char *path, char *why, size_t why_size);

#endif
