/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_PCSCD_RIM_H
#define CARDWIRE_PCSCD_RIM_H

/*
 * The daemon's main loop: signals, the sources of readers (reader.conf, the USB bus) and the
 * clock, around the reader table and the server. One thread, the main one; rim_block_signals() is
 * called before there are others.
 */

#include "pcscd/options.h"

/* Blocks the signals that the loop takes, and ignores those that mean nothing to a daemon. */
void rim_block_signals(void);

/* A listening socket and the array length of its clients (see server_listen()). */
struct rim_socket {
	int fd;
	unsigned array_length;
};

/* Called once, when clients are being accepted and the first readers are up. */
typedef void (*rim_ready)(void *context);

/*
 * Runs the daemon until a signal or the auto-exit ends it, and takes everything down. The sockets
 * are the server's from here. Returns the exit code: 0 after an orderly stop.
 */
int rim_run(const struct options *options, const struct rim_socket *sockets, size_t count,
	rim_ready ready, void *context);

#endif
