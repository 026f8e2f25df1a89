/* SPDX-License-Identifier: BSD-3-Clause */
#include "context.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "deadline.h"
#include "idmap.h"

enum {
	CANCELS_MAX = 16, /* calls that one SCardCancel() ends */
};

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

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct context *all_contexts;
static struct idmap context_ids;
static struct idmap card_ids;

static pthread_once_t process_once = PTHREAD_ONCE_INIT;
static bool blocking;

static void fork_prepare(void)
{
	pthread_mutex_lock(&lock);
}

static void fork_parent(void)
{
	pthread_mutex_unlock(&lock);
}

static void forget_in_child(struct context *context)
{
	for (struct loan *loan = context->loans; loan; loan = loan->next)
		conn_forget(&loan->conn);
	for (struct waiter *waiter = context->waiters; waiter; waiter = waiter->next)
		close(waiter->wake_fd);
	while (context->spares > 0)
		conn_forget(&context->spare[--context->spares]);
	while (context->cards) {
		struct card *card = context->cards;

		context->cards = card->next;
		conn_forget(&card->conn);
		free(card);
	}
	free(context);
}

/* The lock is held, by fork_prepare(), so everything is consistent; no other thread exists. */
static void fork_child(void)
{
	while (all_contexts) {
		struct context *context = all_contexts;

		all_contexts = context->next;
		forget_in_child(context);
	}
	idmap_clear(&context_ids);
	idmap_clear(&card_ids);
	pthread_mutex_unlock(&lock);
}

static void prepare_process(void)
{
	blocking = secure_getenv("PCSCLITE_NO_BLOCKING") == NULL;
	pthread_atfork(fork_prepare, fork_parent, fork_child);
}

bool context_blocking(void)
{
	return blocking;
}

static LONG open_conn(const struct context *context, struct conn *conn, int wake_fd)
{
	return conn_open(conn, context->scope, blocking ? 0 : WIRE_EXT_NO_BLOCKING, wake_fd);
}

static void cond_init_monotonic(pthread_cond_t *cond)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attributes);
	pthread_condattr_destroy(&attributes);
}

/* The lock is held. */
static void unref_context(struct context *context)
{
	struct context **link = &all_contexts;

	if (--context->refs > 0)
		return;
	while (*link != context)
		link = &(*link)->next;
	*link = context->next;
	pthread_cond_destroy(&context->release);
	free(context);
}

LONG context_open(uint32_t scope, SCARDCONTEXT *id)
{
	struct context *context = calloc(1, sizeof(*context));
	LONG rv;

	pthread_once(&process_once, prepare_process);
	if (!context)
		return SCARD_E_NO_MEMORY;
	context->scope = scope;
	context->refs = 1;
	rv = open_conn(context, &context->spare[0], -1);
	if (rv != SCARD_S_SUCCESS) {
		free(context);
		return rv;
	}
	context->spares = 1;
	cond_init_monotonic(&context->release);

	pthread_mutex_lock(&lock);
	context->id = idmap_add(&context_ids, (long)context->spare[0].hContext, context);
	context->next = all_contexts;
	all_contexts = context;
	*id = context->id;
	if (context->id == 0) {
		conn_close(&context->spare[0]);
		unref_context(context);
		rv = SCARD_E_NO_MEMORY;
	}
	pthread_mutex_unlock(&lock);
	return rv;
}

/* The lock is held. Frees the card if nobody refers to it. */
static void unref_card(struct card *card)
{
	struct context *context = card->context;
	struct card **link = &context->cards;

	if (--card->refs > 0)
		return;
	while (*link != card)
		link = &(*link)->next;
	*link = card->next;
	conn_close(&card->conn);
	pthread_cond_destroy(&card->turn);
	free(card);
	unref_context(context);
}

/*
 * The lock is held. Makes the number invalid; whoever waits for the card gives up. The number's
 * reference is the caller's then.
 */
static void retire_card(struct card *card)
{
	card->closed = true;
	idmap_remove(&card_ids, card->id);
	pthread_cond_broadcast(&card->turn);
}

/*
 * The daemon is told, and its answer awaited, so that when we return the card is free for others;
 * closing the socket alone would leave that to the daemon's convenience.
 */
static void say_goodbye(struct conn *conn)
{
	union wire_body body = { .release = { .hContext = conn->hContext } };
	struct conn_call call = { .command = WIRE_RELEASE_CONTEXT, .body = &body };

	conn_hurry(conn, CONN_PROMPT_MS, -1);
	conn_call(conn, &call);
	conn_close(conn);
}

/*
 * The lock is held. Retires one card of a released context and takes its connection out, unless a
 * thread uses that, which will then close it. False if no card is left.
 */
static bool retire_one(struct context *context, struct conn *conn)
{
	struct card *card = context->cards;

	while (card && card->closed)
		card = card->next;
	if (!card)
		return false;
	conn->fd = -1;
	if (!card->busy) {
		*conn = card->conn;
		card->conn.fd = -1;
	}
	retire_card(card);
	unref_card(card);
	return true;
}

/* The lock is held. */
static bool wake(const struct waiter *waiter)
{
	uint64_t one = 1;

	return write(waiter->wake_fd, &one, sizeof(one)) == sizeof(one);
}

/* The lock is held. */
static void interrupt_threads(struct context *context)
{
	for (struct waiter *waiter = context->waiters; waiter; waiter = waiter->next) {
		if (wake(waiter))
			waiter->cancelled = true;
	}
	for (struct loan *loan = context->loans; loan; loan = loan->next)
		shutdown(loan->conn.fd, SHUT_RDWR);
	for (struct card *card = context->cards; card; card = card->next) {
		if (card->busy && card->conn.fd >= 0)
			shutdown(card->conn.fd, SHUT_RDWR);
	}
	pthread_cond_broadcast(&context->release);
}

LONG context_release(SCARDCONTEXT id)
{
	struct context *context;
	struct conn conn;

	pthread_mutex_lock(&lock);
	context = idmap_find(&context_ids, id);
	if (!context) {
		pthread_mutex_unlock(&lock);
		return SCARD_E_INVALID_HANDLE;
	}
	idmap_remove(&context_ids, id);
	context->released = true;
	interrupt_threads(context);
	while (context->spares > 0)
		conn_close(&context->spare[--context->spares]);
	while (retire_one(context, &conn)) {
		if (conn.fd < 0)
			continue;
		pthread_mutex_unlock(&lock);
		say_goodbye(&conn);
		pthread_mutex_lock(&lock);
	}
	unref_context(context);
	pthread_mutex_unlock(&lock);
	return SCARD_S_SUCCESS;
}

struct context *context_get(SCARDCONTEXT id)
{
	struct context *context;

	pthread_mutex_lock(&lock);
	context = idmap_find(&context_ids, id);
	if (context)
		context->refs++;
	pthread_mutex_unlock(&lock);
	return context;
}

void context_put(struct context *context)
{
	pthread_mutex_lock(&lock);
	unref_context(context);
	pthread_mutex_unlock(&lock);
}

bool context_released(struct context *context)
{
	bool released;

	pthread_mutex_lock(&lock);
	released = context->released;
	pthread_mutex_unlock(&lock);
	return released;
}

/* The lock is held. Enters a connection that the caller will use into the books. */
static LONG enter_loan(struct context *context, struct loan *loan)
{
	if (context->released) {
		conn_close(&loan->conn);
		return SCARD_E_INVALID_HANDLE;
	}
	loan->next = context->loans;
	context->loans = loan;
	return SCARD_S_SUCCESS;
}

LONG context_borrow(struct context *context, struct loan *loan, bool fresh)
{
	return context_borrow_unless(context, loan, fresh, -1);
}

LONG context_borrow_unless(struct context *context, struct loan *loan, bool fresh, int wake_fd)
{
	LONG rv = SCARD_S_SUCCESS;

	loan->conn.fd = -1;
	loan->fresh = true;
	pthread_mutex_lock(&lock);
	while (fresh && context->spares > 0)
		conn_close(&context->spare[--context->spares]);
	if (context->spares > 0) {
		loan->conn = context->spare[--context->spares];
		loan->fresh = false;
		rv = enter_loan(context, loan);
	}
	pthread_mutex_unlock(&lock);
	if (!loan->fresh)
		return rv;

	rv = open_conn(context, &loan->conn, wake_fd);
	if (rv != SCARD_S_SUCCESS)
		return rv;
	pthread_mutex_lock(&lock);
	rv = enter_loan(context, loan);
	pthread_mutex_unlock(&lock);
	return rv;
}

/* The lock is held. */
static void strike_loan(struct context *context, struct loan *loan)
{
	struct loan **link = &context->loans;

	while (*link != loan)
		link = &(*link)->next;
	*link = loan->next;
}

/* The lock is held. Keeps a connection as a spare, or closes it. */
static void keep_conn(struct context *context, struct conn *conn)
{
	if (context->released || context->spares == CONTEXT_SPARES) {
		conn_close(conn);
		return;
	}
	context->spare[context->spares++] = *conn;
	conn->fd = -1;
}

void context_return(struct context *context, struct loan *loan, enum conn_result result)
{
	pthread_mutex_lock(&lock);
	strike_loan(context, loan);
	if (result == CONN_OK)
		keep_conn(context, &loan->conn);
	else
		conn_close(&loan->conn);
	pthread_mutex_unlock(&lock);
}

LONG context_reach(struct context *context)
{
	struct loan loan;
	LONG rv = context_borrow(context, &loan, false);

	if (rv == SCARD_S_SUCCESS && !loan.fresh && !conn_alive(&loan.conn)) {
		context_return(context, &loan, CONN_LOST);
		rv = context_borrow(context, &loan, true);
	}
	if (rv == SCARD_S_SUCCESS)
		context_return(context, &loan, CONN_OK);
	return rv;
}

LONG context_enter_wait(struct context *context, struct waiter *waiter)
{
	waiter->waiting = false;
	waiter->cancelled = false;
	waiter->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (waiter->wake_fd < 0)
		return SCARD_E_NO_MEMORY;
	pthread_mutex_lock(&lock);
	waiter->next = context->waiters;
	context->waiters = waiter;
	if (context->released || context->cancel_pending)
		wake(waiter);
	pthread_mutex_unlock(&lock);
	return SCARD_S_SUCCESS;
}

LONG context_begin_wait(struct context *context, struct waiter *waiter)
{
	eventfd_t used_up;
	bool cancelled;

	pthread_mutex_lock(&lock);
	cancelled = waiter->cancelled || context->released || context->cancel_pending;
	waiter->waiting = true;
	waiter->cancelled = cancelled;
	context->cancel_pending = false;
	/* It may have been woken by a cancel that another wait has used up. */
	if (!cancelled)
		eventfd_read(waiter->wake_fd, &used_up);
	pthread_mutex_unlock(&lock);
	return cancelled ? SCARD_E_CANCELLED : SCARD_S_SUCCESS;
}

bool context_leave_wait(struct context *context, struct waiter *waiter)
{
	struct waiter **link = &context->waiters;
	bool cancelled;

	pthread_mutex_lock(&lock);
	while (*link != waiter)
		link = &(*link)->next;
	*link = waiter->next;
	cancelled = waiter->cancelled && waiter->waiting;
	pthread_mutex_unlock(&lock);
	close(waiter->wake_fd);
	return cancelled;
}

/* The lock is held. Ends all waits, and looks before a wait; true if there was a wait. */
static bool cancel_waits(struct context *context)
{
	bool waiting = false;

	for (struct waiter *waiter = context->waiters; waiter; waiter = waiter->next)
		waiting = waiting || waiter->waiting;
	for (struct waiter *waiter = context->waiters; waiter; waiter = waiter->next) {
		if (wake(waiter) && waiting)
			waiter->cancelled = true;
	}
	return waiting;
}

/*
 * The lock is held. Notes the cancel for calls that have not been sent; those that have are told by
 * the daemon's numbers of their connections, of which there is room for CANCELS_MAX.
 */
static bool cancel_cards(const struct context *context, int32_t *numbers, size_t *count)
{
	bool any = false;

	*count = 0;
	for (struct card *card = context->cards; card; card = card->next) {
		if (!card->cancellable)
			continue;
		any = true;
		if (!card->sent)
			card->cancel_due = true;
		else if (*count < CANCELS_MAX)
			numbers[(*count)++] = (int32_t)card->conn.hContext;
	}
	return any;
}

/* By a connection of its own, since those of the calls are busy with them. */
static LONG cancel_calls(struct context *context, const int32_t *numbers, size_t count)
{
	enum conn_result result = CONN_OK;
	struct loan loan;
	LONG rv = context_borrow(context, &loan, true);

	if (rv != SCARD_S_SUCCESS)
		return rv;
	conn_hurry(&loan.conn, CONN_PROMPT_MS, -1);
	for (size_t i = 0; result == CONN_OK && i < count; i++) {
		union wire_body body = { .cancel = { .hContext = numbers[i] } };
		struct conn_call call = { .command = WIRE_CANCEL, .body = &body };

		result = conn_call(&loan.conn, &call);
	}
	conn_patient(&loan.conn);
	context_return(context, &loan, result);
	return conn_error(result);
}

LONG context_cancel(SCARDCONTEXT id)
{
	int32_t calls[CANCELS_MAX];
	LONG rv = SCARD_S_SUCCESS;
	struct context *context;
	bool any_card, any_wait;
	size_t count;

	pthread_mutex_lock(&lock);
	context = idmap_find(&context_ids, id);
	if (!context) {
		pthread_mutex_unlock(&lock);
		return SCARD_E_INVALID_HANDLE;
	}
	context->refs++;
	any_card = cancel_cards(context, calls, &count);
	any_wait = cancel_waits(context);
	if (!any_card && !any_wait)
		context->cancel_pending = true;
	pthread_mutex_unlock(&lock);
	if (count > 0)
		rv = cancel_calls(context, calls, count);
	context_put(context);
	return rv;
}

bool context_in_transaction(struct context *context, const char *reader)
{
	bool found = false;

	pthread_mutex_lock(&lock);
	for (struct card *card = context->cards; card && !found; card = card->next)
		found = card->transactions > 0 && strcmp(card->reader, reader) == 0;
	pthread_mutex_unlock(&lock);
	return found;
}

void context_pause(struct context *context, uint32_t ms)
{
	struct timespec until = deadline_timespec(deadline_in_ms(ms));
	int result = 0;

	pthread_mutex_lock(&lock);
	while (!context->released && result == 0)
		result = pthread_cond_timedwait(&context->release, &lock, &until);
	pthread_mutex_unlock(&lock);
}

LONG card_open(struct context *context, struct loan *loan, int32_t hCard, const char *reader,
	SCARDHANDLE *id)
{
	struct card *card = calloc(1, sizeof(*card));
	LONG rv = card ? SCARD_S_SUCCESS : SCARD_E_NO_MEMORY;

	pthread_mutex_lock(&lock);
	strike_loan(context, loan);
	if (card && context->released)
		rv = SCARD_E_INVALID_HANDLE;
	if (rv == SCARD_S_SUCCESS) {
		card->id = idmap_add(&card_ids, hCard, card);
		if (card->id == 0)
			rv = SCARD_E_NO_MEMORY;
	}
	if (rv == SCARD_S_SUCCESS) {
		card->context = context;
		context->refs++;
		card->conn = loan->conn;
		card->hCard = hCard;
		card->refs = 1;
		strncpy(card->reader, reader, sizeof(card->reader) - 1);
		pthread_cond_init(&card->turn, NULL);
		card->next = context->cards;
		context->cards = card;
		*id = card->id;
	}
	pthread_mutex_unlock(&lock);
	if (rv != SCARD_S_SUCCESS) {
		/* The daemon closes the handle with its connection. */
		conn_close(&loan->conn);
		free(card);
	}
	return rv;
}

LONG card_take(SCARDHANDLE id, struct card **taken)
{
	struct card *card;
	bool closed;

	pthread_mutex_lock(&lock);
	card = idmap_find(&card_ids, id);
	if (!card) {
		pthread_mutex_unlock(&lock);
		return SCARD_E_INVALID_HANDLE;
	}
	card->refs++;
	while (card->busy && !card->closed)
		pthread_cond_wait(&card->turn, &lock);
	closed = card->closed;
	*taken = closed ? NULL : card;
	if (closed)
		unref_card(card);
	else
		card->busy = true;
	pthread_mutex_unlock(&lock);
	return closed ? SCARD_E_INVALID_HANDLE : SCARD_S_SUCCESS;
}

/* The lock is held. */
static void give(struct card *card, enum conn_result result)
{
	card->busy = false;
	if (result != CONN_OK || card->context->released) {
		conn_close(&card->conn);
		card->transactions = 0;
	}
	pthread_cond_signal(&card->turn);
}

void card_give(struct card *card, enum conn_result result)
{
	pthread_mutex_lock(&lock);
	give(card, result);
	unref_card(card);
	pthread_mutex_unlock(&lock);
}

void card_close(struct card *card, enum conn_result result)
{
	pthread_mutex_lock(&lock);
	if (result == CONN_OK && card->conn.fd >= 0)
		keep_conn(card->context, &card->conn);
	give(card, result);
	if (!card->closed) {
		retire_card(card);
		card->refs--;
	}
	unref_card(card);
	pthread_mutex_unlock(&lock);
}

void card_lose(struct card *card)
{
	pthread_mutex_lock(&lock);
	conn_close(&card->conn);
	card->transactions = 0;
	pthread_mutex_unlock(&lock);
}

void card_revive(struct card *card, struct loan *loan, int32_t hCard)
{
	pthread_mutex_lock(&lock);
	strike_loan(card->context, loan);
	card->conn = loan->conn;
	card->hCard = hCard;
	card->transactions = 0;
	pthread_mutex_unlock(&lock);
}

void card_count_transaction(struct card *card, int change)
{
	pthread_mutex_lock(&lock);
	if (change > 0)
		card->transactions++;
	else if (change == 0)
		card->transactions = 0;
	else if (card->transactions > 0)
		card->transactions--;
	pthread_mutex_unlock(&lock);
}

void card_set_cancellable(struct card *card, bool cancellable)
{
	pthread_mutex_lock(&lock);
	card->cancellable = cancellable;
	card->sent = card->cancel_due = false;
	pthread_mutex_unlock(&lock);
}

void card_note_sent(struct card *card)
{
	int32_t number;
	bool due;

	pthread_mutex_lock(&lock);
	card->sent = true;
	due = card->cancel_due;
	number = (int32_t)card->conn.hContext;
	pthread_mutex_unlock(&lock);
	if (due)
		cancel_calls(card->context, &number, 1);
}
