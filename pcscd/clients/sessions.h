/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of open connections, and the limits on how many there may be, in all and of one user.
 * Any thread; one short lock.
 */
#ifndef CARDWIRE_PCSCD_SESSIONS_H
#define CARDWIRE_PCSCD_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pcscd/clients/ids.h"
#include "pcscd/peer.h"

struct session;

/* hContext: the id of its session. hCard: 1. */
extern struct ids session_contexts;
extern struct ids session_cards;

/* Ids of sessions are at least this; smaller epoll keys are for other descriptors. */
#define SESSIONS_FIRST_KEY (UINT64_C(1) << 32)

/*
 * Makes a session for a socket that was just accepted, which it owns then, and lets it begin.
 * false: it is over a limit (logged) or memory is missing; the socket is still the caller's.
 */
bool sessions_add(int fd, const struct peer *peer, unsigned array_length);

/* The session has shaken hands; it is no longer counted as silent. */
void sessions_greeted(struct session *session);

/*
 * Counts memory that a session keeps on behalf of its client: false, with a log line, if that would
 * be more than its user's connections may have together. And gives it back.
 */
bool sessions_charge(struct session *session, size_t bytes);
void sessions_credit(struct session *session, size_t bytes);

/* A reference to the session of that id; NULL if it is closed. */
struct session *sessions_find(uint64_t id);

/* The session is closed. The table's reference remains, for the caller to give back. */
void sessions_remove(struct session *session);

unsigned sessions_count(void);

/* Hangs up on all; returns false if some are not closed at the deadline (absolute ns). */
bool sessions_close_all(int64_t deadline);

#endif
