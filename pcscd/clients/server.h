/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The serving side of the daemon: listens, accepts within the limits, and runs clients' requests
 * on a small pool of threads (see pool.h, session.h). The rim (main) opens the sockets and owns
 * their paths; the server owns the connections.
 *
 * server_start() and server_stop() are called by one thread, once each.
 */
#ifndef CARDWIRE_PCSCD_SERVER_H
#define CARDWIRE_PCSCD_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pcscd/peer.h"

/* What may be asked of the access hook; the names are those of the polkit actions. */
enum access_action {
	ACCESS_PCSC, /* org.debian.pcsc-lite.access_pcsc: each new connection */
	ACCESS_CARD, /* org.debian.pcsc-lite.access_card: each SCardConnect, with the reader's name */
};

enum access_verdict {
	ACCESS_ALLOWED,
	ACCESS_DENIED,
	ACCESS_PENDING, /* the answer comes by server_access_verdict() */
};

struct server_config {
	/* Limits; 0 means none. */
	unsigned max_contexts;             /* connections in all (-t) */
	unsigned max_handles_per_context;  /* card handles of one connection (-s) */
	unsigned max_handles_per_reader;   /* card handles on one reader (-r) */
	unsigned max_connections_per_user; /* connections of one uid */
	unsigned max_silent_per_user;      /* of those, such that have not yet shaken hands */
	size_t max_kept_per_user;          /* bytes of their requests and answers that wait */

	int64_t handshake_ns; /* a connection that sends no complete request for so long is closed */
	int64_t lease_ns;     /* a silent transaction holder is evicted after it; 0: never */

	/*
	 * Called without locks, from any thread: with true when the last connection has closed,
	 * with false when the first one is accepted. Calls are in order. May be NULL.
	 */
	void (*on_idle)(void *ctx, bool idle);

	/*
	 * May this peer do that? reader is NULL for ACCESS_PCSC. Must not block: ACCESS_PENDING, and
	 * later server_access_verdict(ticket) from any thread. Denials are logged by the hook, which
	 * knows the reason. NULL allows everything.
	 */
	enum access_verdict (*access)(void *ctx, const struct peer *peer, int peer_fd,
		enum access_action action, const char *reader, uint64_t ticket);

	/* Nobody waits for the verdict on that ticket any more. May be NULL. */
	void (*access_cancel)(void *ctx, uint64_t ticket);
	void *ctx;
};

/* Fills in the defaults: no global limits, per-user limits, 5 s handshake, 5 s lease. */
void server_defaults(struct server_config *config);

/*
 * Starts the pool (no connection is accepted yet). Returns 0, or -1 with errno and a log line.
 * The configuration is copied. Call before readers_init().
 */
int server_start(const struct server_config *config);

/*
 * Accepts connections on a listening Unix stream socket from now on; the descriptor is the
 * server's from here. array_length: entries of the reader-state array that clients of protocol 4:5
 * and older get on this socket (16, unless they are built with another
 * PCSCLITE_MAX_READERS_CONTEXTS). Returns 0, or -1 with errno and a log line.
 */
int server_listen(int listen_fd, unsigned array_length);

/* Asks the access hook on behalf of a session. For sessions. */
struct session;
enum access_verdict server_ask_access(
	struct session *session, enum access_action action, const char *reader);

/* The session that asked ends before there is a verdict. For sessions. */
void server_cancel_access(struct session *session);

/* The answer to an access hook's ACCESS_PENDING. A ticket whose connection is gone is ignored. */
void server_access_verdict(uint64_t ticket, bool allowed);

/* The configuration that server_start() was given. */
const struct server_config *server_config(void);

/* A connection has closed its descriptor: one that waits for it is accepted. For sessions. */
void server_fd_freed(void);

/*
 * Stops accepting if there is no connection, nor one being accepted: who comes from then on waits
 * for the next daemon. False if there is; then nothing has changed.
 */
bool server_retire(void);

/*
 * Stops accepting and closes all connections; transactions end as when a client dies, and calls
 * inside drivers are aborted. Returns false if some have not come back at the deadline (absolute
 * CLOCK_MONOTONIC, ns). readers_stop() comes next, then server_end().
 */
bool server_stop(int64_t deadline);

/* Ends the pool. Returns false if a thread has not come back from a driver at the deadline. */
bool server_end(int64_t deadline);

#endif
