/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_LIBPCSCLITE_CONTEXT_PRIVATE_H
#define CARDWIRE_LIBPCSCLITE_CONTEXT_PRIVATE_H

/*
 * What contexts (context.c), card handles (card.c) and cancelling (cancel.c) know of each other: the
 * books of context.h and their lock. For these alone; the functions are called with the lock held.
 */

#include "context.h"
#include "idmap.h"

struct context {
	struct context *next; /* of all contexts, released ones included */
	SCARDCONTEXT id;
	uint32_t scope;
	unsigned refs; /* the number itself, each thread that got it, each card */
	bool released;
	bool cancel_pending;    /* a cancel that met no wait */
	pthread_cond_t release; /* broadcast by context_release() */
	unsigned spares;
	struct conn spare[CONTEXT_SPARES];
	struct loan *loans;
	struct waiter *waiters;
	struct card *cards;
};

extern pthread_mutex_t context_lock;
extern struct idmap context_ids;
extern struct idmap card_ids;

/* Gives a reference back; frees who has none left, and the connection of such a card. */
void context_unref(struct context *context);
void card_unref(struct card *card);

/*
 * Makes the number invalid; whoever waits for the card gives up. The number's reference is the
 * caller's then.
 */
void card_retire(struct card *card);

/* Takes a loan out of the books. */
void context_strike(struct context *context, struct loan *loan);

/* Keeps a connection as a spare, or closes it. */
void context_keep(struct context *context, struct conn *conn);

/* Makes waiter->wake_fd readable; false if that fails. */
bool waiter_wake(const struct waiter *waiter);

#endif
