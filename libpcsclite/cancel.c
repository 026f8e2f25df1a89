/* SPDX-License-Identifier: BSD-3-Clause */
/* What SCardCancel() ends: waits for readers to change, and calls that wait for the user. */
#include <sys/eventfd.h>
#include <unistd.h>

#include "context_private.h"

enum {
	CANCELS_MAX = 16, /* calls that one SCardCancel() ends */
};

bool waiter_wake(const struct waiter *waiter)
{
	uint64_t one = 1;

	return write(waiter->wake_fd, &one, sizeof(one)) == sizeof(one);
}

LONG context_enter_wait(struct context *context, struct waiter *waiter)
{
	waiter->waiting = false;
	waiter->cancelled = false;
	waiter->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (waiter->wake_fd < 0)
		return SCARD_E_NO_MEMORY;
	pthread_mutex_lock(&context_lock);
	waiter->next = context->waiters;
	context->waiters = waiter;
	if (context->released || context->cancel_pending)
		waiter_wake(waiter);
	pthread_mutex_unlock(&context_lock);
	return SCARD_S_SUCCESS;
}

LONG context_begin_wait(struct context *context, struct waiter *waiter)
{
	eventfd_t used_up;
	bool cancelled;

	pthread_mutex_lock(&context_lock);
	cancelled = waiter->cancelled || context->released || context->cancel_pending;
	waiter->waiting = true;
	waiter->cancelled = cancelled;
	context->cancel_pending = false;
	/* It may have been woken by a cancel that another wait has used up. */
	if (!cancelled)
		eventfd_read(waiter->wake_fd, &used_up);
	pthread_mutex_unlock(&context_lock);
	return cancelled ? SCARD_E_CANCELLED : SCARD_S_SUCCESS;
}

bool context_leave_wait(struct context *context, struct waiter *waiter)
{
	struct waiter **link = &context->waiters;
	bool cancelled;

	pthread_mutex_lock(&context_lock);
	while (*link != waiter)
		link = &(*link)->next;
	*link = waiter->next;
	cancelled = waiter->cancelled && waiter->waiting;
	pthread_mutex_unlock(&context_lock);
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
		if (waiter_wake(waiter) && waiting)
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

	pthread_mutex_lock(&context_lock);
	context = idmap_find(&context_ids, id);
	if (!context) {
		pthread_mutex_unlock(&context_lock);
		return SCARD_E_INVALID_HANDLE;
	}
	context->refs++;
	any_card = cancel_cards(context, calls, &count);
	any_wait = cancel_waits(context);
	if (!any_card && !any_wait)
		context->cancel_pending = true;
	pthread_mutex_unlock(&context_lock);
	if (count > 0)
		rv = cancel_calls(context, calls, count);
	context_put(context);
	return rv;
}

void card_set_cancellable(struct card *card, bool cancellable)
{
	pthread_mutex_lock(&context_lock);
	card->cancellable = cancellable;
	card->sent = card->cancel_due = false;
	pthread_mutex_unlock(&context_lock);
}

void card_note_sent(struct card *card)
{
	int32_t number;
	bool due;

	pthread_mutex_lock(&context_lock);
	card->sent = true;
	due = card->cancel_due;
	number = (int32_t)card->conn.hContext;
	pthread_mutex_unlock(&context_lock);
	if (due)
		cancel_calls(card->context, &number, 1);
}
