/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_LIBPCSCLITE_CONTEXT_H
#define CARDWIRE_LIBPCSCLITE_CONTEXT_H

/*
 * Contexts and card handles: what the numbers that applications hold stand for, and which thread
 * may use which connection.
 *
 * Connections. A card handle has a connection of its own: the daemon binds a handle to the
 * connection it was opened on, and one connection does one thing at a time. So calls on two handles
 * run side by side, and calls on one handle in turn. Everything else (a connect, a list, a wait)
 * borrows a connection from its context for as long as it takes: a spare one if there is one, else a
 * new one. A connection that is given back becomes a spare, up to CONTEXT_SPARES. A context that is
 * not used by several threads therefore has one connection, and one more for each card handle.
 *
 * The lock. One mutex guards all that is in here, for the time of a few assignments; it is never
 * held while something waits or talks to the daemon. What a thread uses without it, it has taken:
 * a context by reference (context_get), a card (card_take, which waits for its turn), a connection
 * (context_borrow). SCardReleaseContext() may come at any time: it makes the numbers invalid at
 * once, wakes waiting threads and shuts down the sockets of others; these then find
 * context_released(), and the last to leave frees the memory.
 *
 * A daemon that comes and goes. A context outlives its connections; new ones are opened as needed.
 * A card handle whose connection broke is stale: it has none until SCardReconnect() gives it another.
 *
 * Fork. The child starts with no contexts: numbers it inherits are invalid, its copies of the
 * sockets are closed without a word to the daemon, and the parent notices nothing.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <winscard.h>

#include "conn.h"

#define CONTEXT_SPARES 2 /* idle connections that a context keeps */

struct context;

/* A connection borrowed from a context; lives on the borrower's stack. */
struct loan {
	struct loan *next;
	struct conn conn;
	bool fresh; /* opened for this loan: it can't have been dead for long */
};

/* A thread that waits for a change; lives on its stack. */
struct waiter {
	struct waiter *next;
	int wake_fd;    /* eventfd, readable when the wait is to end */
	bool waiting;   /* not still looking; guarded by the lock */
	bool cancelled; /* guarded by the lock: read it with context_leave_wait() */
};

/* A card handle. The fields below may be used by the thread that has taken it. */
struct card {
	SCARDHANDLE id;
	struct context *context;
	struct conn conn;      /* fd -1: stale */
	int32_t hCard;         /* as the daemon knows it */
	unsigned transactions; /* nested, as far as we know; changed under the lock */
	bool cancellable;      /* in a call that SCardCancel() ends; changed under the lock, too: */
	bool sent;             /* the daemon gets to know of that call before anything else, */
	bool cancel_due;       /* and once it does, it is to be cancelled */
	char reader[MAX_READERNAME];
	/* card.c's own: */
	struct card *next;
	pthread_cond_t turn; /* the card was given back */
	unsigned refs;
	bool busy;
	bool closed;
};

/* Opens a context; what SCardEstablishContext() does when its arguments are checked. */
LONG context_open(uint32_t scope, SCARDCONTEXT *id);

/* Closes it. SCARD_E_INVALID_HANDLE if there is none. */
LONG context_release(SCARDCONTEXT id);

/* The context of a number with a reference to it, for context_put(); NULL if there is none. */
struct context *context_get(SCARDCONTEXT id);
void context_put(struct context *context);

/* True if the context was released since it was got. */
bool context_released(struct context *context);

/* True unless $PCSCLITE_NO_BLOCKING is set: wait for others' transactions to end. */
bool context_blocking(void);

/*
 * Borrows a connection, opening one if there is no spare; or if `fresh` is true, in which case
 * spares are closed, since the caller has just found one dead. Errors as from conn_open(), and
 * SCARD_E_INVALID_HANDLE if the context is released; then nothing was borrowed.
 */
LONG context_borrow(struct context *context, struct loan *loan, bool fresh);

/* The same; when `wake_fd` becomes readable, soon SCARD_E_TIMEOUT instead (see conn_hurry()). */
LONG context_borrow_unless(struct context *context, struct loan *loan, bool fresh, int wake_fd);

/* Gives it back, or closes it if `result` isn't CONN_OK. */
void context_return(struct context *context, struct loan *loan, enum conn_result result);

/*
 * Asks whether the daemon can be talked to, opening a connection if there is none. SCARD_S_SUCCESS,
 * or the error of context_borrow().
 */
LONG context_reach(struct context *context);

/*
 * A wait that SCardCancel() and SCardReleaseContext() can end, and the look that comes before it:
 * waiter->wake_fd is readable from when one of them was called. context_enter_wait() returns
 * SCARD_E_NO_MEMORY if there can't be one. context_begin_wait() is called after the look if that
 * didn't settle the matter; it returns SCARD_E_CANCELLED if there was a cancel, then or before, that
 * met no wait: it is used up by that. context_leave_wait() returns true if the wait was cancelled or
 * the context released after it had begun.
 */
LONG context_enter_wait(struct context *context, struct waiter *waiter);
LONG context_begin_wait(struct context *context, struct waiter *waiter);
bool context_leave_wait(struct context *context, struct waiter *waiter);

/*
 * Cancels all waits on the context and, by the daemon, its calls that are cancellable; the next
 * wait if there are none of either.
 */
LONG context_cancel(SCARDCONTEXT id);

/* True if a card handle of the context holds a transaction on `reader`. */
bool context_in_transaction(struct context *context, const char *reader);

/*
 * Sleeps for `ms` or until the context is released. For daemons that answer a call with "try again"
 * and can't be waited for.
 */
void context_pause(struct context *context, uint32_t ms);

/*
 * Makes a card handle of the connection in `loan`, on which the daemon has just opened hCard. The
 * loan is used up, whatever the result.
 */
LONG card_open(struct context *context, struct loan *loan, int32_t hCard, const char *reader,
	SCARDHANDLE *id);

/*
 * Takes a card, waiting until no other thread uses it. SCARD_E_INVALID_HANDLE if there is no such
 * handle, or if it was closed in the meantime.
 */
LONG card_take(SCARDHANDLE id, struct card **card);

/* Gives it back. Anything but CONN_OK makes it stale. */
void card_give(struct card *card, enum conn_result result);

/* Gives it back for good: the number is invalid from now on, its connection becomes a spare. */
void card_close(struct card *card, enum conn_result result);

/* Makes a card that the caller has taken stale. */
void card_lose(struct card *card);

/* Gives a stale card, taken by the caller, the connection in `loan`, which is used up. */
void card_revive(struct card *card, struct loan *loan, int32_t hCard);

/* Counts the transactions of a card that the caller has taken: 1, -1, or 0 for none left. */
void card_count_transaction(struct card *card, int change);

/*
 * Whether SCardCancel() is to end the call that the caller makes on a card it has taken. The daemon
 * can be told only when the request is on its way to it: card_note_sent().
 */
void card_set_cancellable(struct card *card, bool cancellable);
void card_note_sent(struct card *card);

#endif
