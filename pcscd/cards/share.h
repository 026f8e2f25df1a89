/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rules of sharing one card slot: shared, exclusive and direct handles, transactions, events
 * that a handle must be told, and the one queue of those who wait.
 *
 * Pure: no locks, no I/O, no clock (time is an argument, CLOCK_MONOTONIC ns). Each slot owns one
 * `struct share` and calls it under the slot's lock. The structs below are embedded in their owners'
 * (a card handle, a request); share links them together but allocates and frees nothing.
 *
 * Two things are given out:
 *  - the lock: a transaction (counted, so Begin may be nested) or exclusive access. The owner's
 *    handle alone may use the card while it holds it; so it isn't given while a call of another
 *    client runs. A transaction is a lease, see share_tick().
 *  - the turn: the right to have a call running inside the driver, one at a time.
 *
 * First come, first served: a request that must wait stands in one queue, and one that takes
 * something (the lock or the turn) never overtakes another that waits, but for two exceptions:
 * the lock's owner overtakes those who wait for its lock, and the daemon's own calls (the slot's
 * monitor, a reset that is due) do not heed the lock.
 */
#ifndef CARDWIRE_PCSCD_SHARE_H
#define CARDWIRE_PCSCD_SHARE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * What happened to the card behind a handle's back, told as SCARD_W_RESET_CARD or
 * SCARD_W_REMOVED_CARD until SCardReconnect. A removal outlives a later reset.
 */
enum share_event {
	SHARE_EVENT_NONE,
	SHARE_EVENT_RESET,
	SHARE_EVENT_REMOVED,
};

/* One card handle. Zeroed by its owner, then share_add(). */
struct share_handle {
	struct share_handle *next; /* the slot's handles, in no order */
	struct share_handle *prev;
	uint64_t group; /* the connection it belongs to: handles of one group don't wait for
				   one another, as their client can't free what it waits for */
	enum share_event event;
};

/* What a request asks for; a combination of these bits. */
enum {
	SHARE_TURN = 1,    /* the turn */
	SHARE_LOCK = 2,    /* the lock, once more if it is its own (Begin) */
	SHARE_FRESH = 4,   /* refuse it if its handle has an event pending */
	SHARE_TRY = 8,     /* refuse it, instead of waiting, if another holds the lock */
	SHARE_SYSTEM = 16, /* the daemon's own: doesn't heed the lock; no handle */
	SHARE_FIRST = 32,  /* with SHARE_SYSTEM: goes to the head of the queue */
};

/* One request. `handle` is NULL for SCardConnect and for the daemon's own. */
struct share_wait {
	unsigned needs; /* SHARE_TURN | … */
	struct share_handle *handle;
	uint64_t group;   /* as in the handle */
	int64_t deadline; /* ns; from then it is refused rather than waiting on; INT64_MAX: never */
	/* Set by share: */
	int64_t since; /* when it began to wait */
	uint32_t rv;   /* why it was refused: an SCARD_ code; SCARD_S_SUCCESS when granted */
	bool queued;
	bool expired;
	struct share_wait *next;
	struct share_wait *prev;
};

struct share {
	struct share_handle *handles;
	unsigned count;
	struct share_handle *owner; /* of the lock; NULL: free */
	bool exclusive;             /* the owner is connected with SCARD_SHARE_EXCLUSIVE */
	unsigned depth;             /* Begins of the owner that are not ended */
	int64_t locked_since;       /* ns, when the owner got the lock */
	int64_t active;             /* ns, the owner's last sign of life */
	int64_t spoken;             /* ns, its last request */
	bool recovering;            /* a reset is due after the owner was lost: nobody may go on */
	struct share_wait *turn;    /* who has it */
	struct share_wait *first;
	struct share_wait *last;
	int64_t lease; /* ns; 0: transactions last as long as their holder's connection */
	bool gone;     /* the reader was removed: everything is refused */
};

enum share_verdict {
	SHARE_GO,      /* granted: has what it asked for */
	SHARE_WAIT,    /* stands in the queue; share_next() will return it */
	SHARE_REFUSED, /* see share_wait.rv */
};

/* An empty slot. lease in ns. */
void share_init(struct share *share, int64_t lease);

/*
 * Connects a handle. SCARD_E_SHARING_VIOLATION if another is exclusive, or if exclusive is wanted
 * and there are others; exclusive access gives the lock.
 */
uint32_t share_add(struct share *share, struct share_handle *handle, bool exclusive, int64_t now);

/*
 * May share_set_mode() be called with these? SCARD_S_SUCCESS or SCARD_E_SHARING_VIOLATION. For
 * SCardReconnect, which asks before it touches the card.
 */
uint32_t share_may_set_mode(
	const struct share *share, const struct share_handle *handle, bool exclusive);

/* Makes the handle exclusive or not. A transaction it holds goes on. */
void share_set_mode(struct share *share, struct share_handle *handle, bool exclusive, int64_t now);

/*
 * Disconnects a handle that no request in the queue and no turn belongs to. Returns true if it
 * held the lock, which is free from then.
 */
bool share_remove(struct share *share, struct share_handle *handle);

/* -1: exclusive, 0: unused, n: handles (the readerSharing of READER_STATE). */
int32_t share_sharing(const struct share *share);

/* True if a handle other than this one (NULL: any) holds the lock. */
bool share_locked_by_other(const struct share *share, const struct share_handle *handle);

/*
 * A request comes. The caller fills needs, handle, group and deadline; the struct is share's until
 * it is granted, refused, or share_leave() is called. A granted turn is given back with
 * share_done().
 */
enum share_verdict share_ask(struct share *share, struct share_wait *wait, int64_t now);

/*
 * The next one in the queue who needs wait no longer: granted (rv is SCARD_S_SUCCESS) or refused.
 * NULL if there is none. To be called, until it says NULL, after each change: share_done(),
 * share_end(), share_remove(), share_set_mode(), share_event(), share_tick() and so on.
 */
struct share_wait *share_next(struct share *share, int64_t now);

/* Gives the turn back. */
void share_done(struct share *share, struct share_wait *wait, int64_t now);

/* Leaves the queue, if it stands there: its client is gone. */
void share_leave(struct share *share, struct share_wait *wait);

/*
 * Ends one Begin. SCARD_E_SHARING_VIOLATION if another holds the lock, SCARD_E_NOT_TRANSACTED if
 * nothing was begun.
 */
uint32_t share_end(struct share *share, struct share_handle *handle, int64_t now);

/* share_end() without its effect. */
uint32_t share_may_end(const struct share *share, const struct share_handle *handle);

/*
 * The card was reset (SHARE_EVENT_RESET) or taken out (SHARE_EVENT_REMOVED): all handles will be
 * told, but `except` (NULL: none). A removal ends the transaction.
 */
void share_event(struct share *share, enum share_event event, const struct share_handle *except);

/*
 * The lock's owner was lost, and with it the state of the card: nobody goes on until
 * share_recovered() says that the card has been reset.
 */
void share_recover(struct share *share);
void share_recovered(struct share *share);

/* The reader is gone: all in the queue are refused, and all who come. */
void share_gone(struct share *share);

/*
 * When share_tick() must be called next, ns; INT64_MAX: not at all. It changes with every call
 * here.
 */
int64_t share_next_tick(const struct share *share);

/*
 * Time passes. Requests past their deadline are refused (share_next() returns them) while another
 * handle is in their way; but if the lock's owner has not spoken since they came, and will lose its
 * lease, they wait for that. Returns the lock's owner, whose lease has run out: it has been silent
 * for the lease time while others waited all that time, and no request of its own did. It has lost
 * the lock, its handle and all others have SHARE_EVENT_RESET pending, and share_recover() is in
 * force: the caller must reset the card. NULL: nobody.
 */
struct share_handle *share_tick(struct share *share, int64_t now);

#endif
