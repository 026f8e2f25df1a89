/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One connection of a client: reads requests, has them carried out (commands.c), answers.
 *
 * A session is run by one thread at a time, without a lock: whoever has something for it puts a
 * bit into its mailbox (session_wake()), and if nobody runs it just then it is run by this or
 * another pool thread. All fields but the mailbox and those of `client` that say so belong to
 * whoever runs it. A session that waits (for a slot, for an event, for its client) costs no thread.
 */
#ifndef CARDWIRE_PCSCD_SESSION_H
#define CARDWIRE_PCSCD_SESSION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pcscd/cards/card.h"
#include "pcscd/cards/events.h"
#include "pcscd/clients/peek.h"
#include "pcscd/peer.h"
#include "pcscd/pool.h"
#include "pcscd/timers.h"
#include "wire/wire.h"

/* Mailbox bits. */
enum {
	SESSION_RUNNING = 1,     /* a thread runs it, or will soon */
	SESSION_READABLE = 2,    /* the socket has data */
	SESSION_WRITABLE = 4,    /* the socket takes data again */
	SESSION_HANGUP = 8,      /* the client is gone, or shall be */
	SESSION_GRANTED = 16,    /* a parked request can go on */
	SESSION_CHANGED = 32,    /* readers it waits for have changed */
	SESSION_SETTLED = 64,    /* readers that were being brought up are up */
	SESSION_CANCELLED = 128, /* SCardCancel */
	SESSION_TIMER = 256,
	SESSION_ACCESS_YES = 512, /* the verdict it waits for */
	SESSION_ACCESS_NO = 1024,
};

/* Why the request at the head of the input is not answered yet. */
enum session_parking {
	SESSION_NOT_PARKED,
	SESSION_PARKED_SLOT,   /* stands in a slot's queue */
	SESSION_PARKED_SETTLE, /* asks for readers while some are being brought up */
	SESSION_PARKED_ACCESS, /* may it do that? */
};

enum session_access {
	SESSION_ACCESS_UNASKED,
	SESSION_ACCESS_ASKED,
	SESSION_ACCESS_ALLOWED,
	SESSION_ACCESS_DENIED,
};

/* Bytes that have arrived or are to be sent; data is NULL when there are none. */
struct session_bytes {
	uint8_t *data;
	size_t length;
	size_t size;
};

/* A WIRE_EXT_WAIT that is not answered yet. */
struct session_watch {
	uint32_t count;
	uint32_t events_seen;
	struct wire_ext_entry entries[];
};

struct session {
	atomic_uint mail;
	atomic_uint refs;
	struct pool_task task;
	struct client client; /* client.id is the session's */
	int fd;
	int dialect;           /* see wire/wire.h */
	unsigned array_length; /* states for peers below 4:6 */
	bool closed;
	bool greeted;     /* has sent a complete request: no longer counted as silent */
	bool readable;    /* the socket may have more data */
	unsigned handled; /* requests in this turn (session.c) */
	bool yielded;     /* it is watched for its next turn */

	uint32_t context; /* hContext; 0: none */
	struct card *cards;
	unsigned card_count;

	struct peek peek;
	struct session_bytes in;
	struct session_bytes out;
	size_t out_sent;
	int64_t deadline; /* of the handshake, a message that is incomplete, or the output; 0: none */
	struct timer timer;

	enum session_parking parking;
	enum session_access access_pcsc;
	enum session_access access_card;
	char *allowed_reader; /* name of the reader that it was last asked about and allowed */
	struct slot_call call;
	struct slot *slot; /* of an SCardConnect that is parked */
	int64_t connect_by;

	/* Events of the protocol that all speak: one message for each registration. */
	bool waiting;
	bool raised;
	bool cancelled;
	bool held; /* its states have not been sent: no message may come before them */
	bool states_sent;
	unsigned events_seen; /* events_count() when the states were sent to a 4:3 peer */
	size_t places_told;   /* to a 4:6 peer, which reads as many states; 0: none */
	struct events_waiter waiter;
	struct events_waiter settle_waiter;
	struct session_watch *watch;
};

/* What became of a request. */
enum session_outcome {
	SESSION_ANSWER, /* send the answer */
	SESSION_SILENT, /* no answer */
	SESSION_PARK,   /* parking is set; the request will be handled again from the start */
	SESSION_CLOSE,  /* the client broke the protocol */
};

struct session_answer {
	void *head;
	size_t head_length;
	void *tail;
	size_t tail_length;
	void *allocated; /* freed once it is sent */
};

/*
 * A new session on an accepted socket, which it owns from now on, with one reference. NULL: out
 * of memory; the socket is then the caller's still.
 */
struct session *session_new(int fd, uint64_t id, const struct peer *peer, unsigned array_length);
struct session *session_ref(struct session *session);
void session_unref(struct session *session);

/*
 * Puts bits into the mailbox; runs the session on a pool thread if nobody does. Any thread; with
 * SESSION_HANGUP, SESSION_CANCELLED and SESSION_TIMER, which may abort a call in a driver, without
 * locks.
 */
void session_wake(struct session *session, unsigned mail);

/* The same on a pool thread that has nothing else to do: runs it at once. */
void session_wake_run(struct session *session, unsigned mail);

/* Watches the socket, sets the handshake's deadline. Returns 0, or -1 with errno. */
int session_start(struct session *session, int64_t handshake_by);

/* Carries out a request (commands.c). */
enum session_outcome session_handle(
	struct session *session, struct wire_request *request, struct session_answer *answer);

/* Evaluates session->watch; SESSION_SILENT: nothing has changed yet (commands.c). */
enum session_outcome session_check_watch(
	struct session *session, bool now, struct session_answer *answer);
void session_drop_watch(struct session *session);

/* Logs why the connection is closed: what its client did. */
void session_complain(const struct session *session, const char *what);

/* Gives up all card handles and the context (commands.c). */
void session_drop_context(struct session *session);

#endif
