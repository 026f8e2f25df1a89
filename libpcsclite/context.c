/* SPDX-License-Identifier: BSD-3-Clause */
/* Contexts, their connections, and what a fork leaves of them. */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "context_private.h"
#include "deadline.h"

pthread_mutex_t context_lock = PTHREAD_MUTEX_INITIALIZER;
struct idmap context_ids;
struct idmap card_ids;
static struct context *all_contexts;

static pthread_once_t process_once = PTHREAD_ONCE_INIT;
static bool blocking;

static void fork_prepare(void)
{
	pthread_mutex_lock(&context_lock);
}

static void fork_parent(void)
{
	pthread_mutex_unlock(&context_lock);
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
	pthread_mutex_unlock(&context_lock);
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

void context_unref(struct context *context)
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

	pthread_mutex_lock(&context_lock);
	context->id = idmap_add(&context_ids, (long)context->spare[0].hContext, context);
	context->next = all_contexts;
	all_contexts = context;
	*id = context->id;
	if (context->id == 0) {
		conn_close(&context->spare[0]);
		context_unref(context);
		rv = SCARD_E_NO_MEMORY;
	}
	pthread_mutex_unlock(&context_lock);
	return rv;
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
	card_retire(card);
	card_unref(card);
	return true;
}

/* The lock is held. */
static void interrupt_threads(struct context *context)
{
	for (struct waiter *waiter = context->waiters; waiter; waiter = waiter->next) {
		if (waiter_wake(waiter))
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

	pthread_mutex_lock(&context_lock);
	context = idmap_find(&context_ids, id);
	if (!context) {
		pthread_mutex_unlock(&context_lock);
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
		pthread_mutex_unlock(&context_lock);
		say_goodbye(&conn);
		pthread_mutex_lock(&context_lock);
	}
	context_unref(context);
	pthread_mutex_unlock(&context_lock);
	return SCARD_S_SUCCESS;
}

struct context *context_get(SCARDCONTEXT id)
{
	struct context *context;

	pthread_mutex_lock(&context_lock);
	context = idmap_find(&context_ids, id);
	if (context)
		context->refs++;
	pthread_mutex_unlock(&context_lock);
	return context;
}

void context_put(struct context *context)
{
	pthread_mutex_lock(&context_lock);
	context_unref(context);
	pthread_mutex_unlock(&context_lock);
}

bool context_released(struct context *context)
{
	bool released;

	pthread_mutex_lock(&context_lock);
	released = context->released;
	pthread_mutex_unlock(&context_lock);
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
	pthread_mutex_lock(&context_lock);
	while (fresh && context->spares > 0)
		conn_close(&context->spare[--context->spares]);
	if (context->spares > 0) {
		loan->conn = context->spare[--context->spares];
		loan->fresh = false;
		rv = enter_loan(context, loan);
	}
	pthread_mutex_unlock(&context_lock);
	if (!loan->fresh)
		return rv;

	rv = open_conn(context, &loan->conn, wake_fd);
	if (rv != SCARD_S_SUCCESS)
		return rv;
	pthread_mutex_lock(&context_lock);
	rv = enter_loan(context, loan);
	pthread_mutex_unlock(&context_lock);
	return rv;
}

void context_strike(struct context *context, struct loan *loan)
{
	struct loan **link = &context->loans;

	while (*link != loan)
		link = &(*link)->next;
	*link = loan->next;
}

void context_keep(struct context *context, struct conn *conn)
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
	pthread_mutex_lock(&context_lock);
	context_strike(context, loan);
	if (result == CONN_OK)
		context_keep(context, &loan->conn);
	else
		conn_close(&loan->conn);
	pthread_mutex_unlock(&context_lock);
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

void context_pause(struct context *context, uint32_t ms)
{
	struct timespec until = deadline_timespec(deadline_in_ms(ms));
	int result = 0;

	pthread_mutex_lock(&context_lock);
	while (!context->released && result == 0)
		result = pthread_cond_timedwait(&context->release, &context_lock, &until);
	pthread_mutex_unlock(&context_lock);
}
