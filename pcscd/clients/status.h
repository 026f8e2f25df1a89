/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The status socket: sends everyone who connects one JSON document of who uses which reader
 * (status_report.h), as far as he may know, and closes the connection. One thread of its own, which
 * sleeps unless somebody connects; nothing that comes from there is read.
 */
#ifndef CARDWIRE_PCSCD_STATUS_H
#define CARDWIRE_PCSCD_STATUS_H

/*
 * Serves a listening Unix stream socket, which is its own from here; -1 is allowed and is nothing.
 * After server_start(). A failure is logged and harms nobody else.
 */
void status_start(int listen_fd);

/* Ends it; takes STATUS_SEND_S at most. No-op if it was not started. */
void status_stop(void);

#define STATUS_SEND_S 2 /* for the other side to take its answer */

#endif
