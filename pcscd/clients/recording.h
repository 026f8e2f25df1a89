/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The recording socket: hands out what drivers have recorded of their readers, to root and to the
 * user that the daemon runs as. What it says is the driver's text; nothing here understands it.
 *
 * A client sends one line, and gets text until the connection ends:
 *
 *	list          a line "live DEVICE" or "gone DEVICE" for each recording
 *	all DEVICE    all that is kept of that device
 *	live DEVICE   what tells what device it is, then what comes, until the client hangs up or the
 *	              device goes; a client that is slow misses entries and is told how many
 *
 * A thread that accepts, and one for each client, RECORDING_CLIENTS at most; none of them wakes
 * unless a client is there.
 */
#ifndef CARDWIRE_PCSCD_RECORDING_H
#define CARDWIRE_PCSCD_RECORDING_H

#define RECORDING_CLIENTS 8
#define RECORDING_SEND_S  10 /* for a client to take something */
#define RECORDING_ASK_S   5  /* for a client to say what it wants */

/* As status_start() and status_stop(), which takes 1 s at most. */
void recording_start(int listen_fd);
void recording_stop(void);

#endif
