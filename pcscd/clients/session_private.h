/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the parts of a session have in common: session.c (its life, its mailbox and what comes by it),
 * session_input.c (requests), session_output.c (answers). For these alone, and called by the thread
 * that runs the session. A result of false: the connection can't go on.
 */
#ifndef CARDWIRE_PCSCD_SESSION_PRIVATE_H
#define CARDWIRE_PCSCD_SESSION_PRIVATE_H

#include <sys/epoll.h>
#include <sys/uio.h>

#include "pcscd/clients/session.h"

#define SESSION_EVENTS (EPOLLIN | EPOLLRDHUP | EPOLLET) /* its socket is watched for, at least */

/* Frees bytes of the session, which may have been secret. */
void session_bytes_drop(struct session *session, struct session_bytes *bytes);

/* Room for at least `more` bytes at the end; false: out of memory, or of its user's share of it. */
bool session_bytes_reserve(struct session *session, struct session_bytes *bytes, size_t more);

/* When the connection is closed unless it is set anew, or cleared, before (absolute ns). */
void session_set_deadline(struct session *session, int64_t deadline);
void session_clear_deadline(struct session *session);

/* Sends, or keeps for when the client takes it. */
bool session_send(struct session *session, struct iovec *parts, int count);
/* The same; what the answer has allocated is freed. */
bool session_send_answer(struct session *session, struct session_answer *answer);

/* Sends more of what was kept. */
bool session_flush(struct session *session);

/*
 * The one message that each registration for events gets, if it is due and nothing stands in its
 * way: it must not come between the registration and the states that go with it.
 */
bool session_tell_event(struct session *session);

/* Whether requests are handled just now: nothing makes the session wait, and it is its turn. */
bool session_can_read(const struct session *session);

/* Handles the requests that are kept in session->in, as far as that is possible now. */
bool session_consume_kept(struct session *session);

/* Reads and handles what the client sends, until there is no more, or others have their turn. */
bool session_serve_input(struct session *session);

/* Has a whole request (or what will never be one) arrived? Nothing is read. */
bool session_has_request(const struct session *session);

#endif
