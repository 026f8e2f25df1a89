/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/cards/share.h"

#include <stddef.h>
#include <string.h>

#include <winscard.h>

/* A deadline that passes while only the daemon itself is in the way is put off by this. */
#define DEADLINE_EXTENSION INT64_C(1000000000) /* ns */

void share_init(struct share *share, int64_t lease)
{
	memset(share, 0, sizeof(*share));
	share->lease = lease;
}

static void take_lock(struct share *share, struct share_handle *handle, int64_t now)
{
	if (share->owner != handle)
		share->locked_since = now;
	share->owner = handle;
	share->active = share->spoken = now;
}

static void drop_lock(struct share *share)
{
	share->owner = NULL;
	share->depth = 0;
	share->exclusive = false;
}

uint32_t share_add(struct share *share, struct share_handle *handle, bool exclusive, int64_t now)
{
	if (share->exclusive || (exclusive && share->count > 0))
		return SCARD_E_SHARING_VIOLATION;
	handle->event = SHARE_EVENT_NONE;
	handle->prev = NULL;
	handle->next = share->handles;
	if (share->handles)
		share->handles->prev = handle;
	share->handles = handle;
	share->count++;
	if (exclusive)
		share_set_mode(share, handle, true, now);
	return SCARD_S_SUCCESS;
}

uint32_t share_may_set_mode(
	const struct share *share, const struct share_handle *handle, bool exclusive)
{
	if (share_locked_by_other(share, handle) || (exclusive && share->count > 1))
		return SCARD_E_SHARING_VIOLATION;
	return SCARD_S_SUCCESS;
}

void share_set_mode(struct share *share, struct share_handle *handle, bool exclusive, int64_t now)
{
	if (exclusive)
		take_lock(share, handle, now);
	else if (share->owner == handle && share->depth == 0)
		drop_lock(share);
	share->exclusive = exclusive;
}

bool share_remove(struct share *share, struct share_handle *handle)
{
	bool owned = share->owner == handle;

	if (owned)
		drop_lock(share);
	if (handle->prev)
		handle->prev->next = handle->next;
	else
		share->handles = handle->next;
	if (handle->next)
		handle->next->prev = handle->prev;
	handle->next = handle->prev = NULL;
	share->count--;
	return owned;
}

int32_t share_sharing(const struct share *share)
{
	return share->exclusive ? -1 : (int32_t)share->count;
}

bool share_locked_by_other(const struct share *share, const struct share_handle *handle)
{
	return share->owner && share->owner != handle;
}

/* Is the lock in this request's way? */
static bool is_locked_out(const struct share *share, const struct share_wait *wait)
{
	if (wait->needs & SHARE_SYSTEM)
		return false;
	return share->recovering || share_locked_by_other(share, wait->handle);
}

/* The reason why waiting can't help this request, or SCARD_S_SUCCESS. */
static uint32_t refusal(const struct share *share, const struct share_wait *wait)
{
	bool locked = share_locked_by_other(share, wait->handle);

	if (wait->needs & SHARE_SYSTEM)
		return SCARD_S_SUCCESS;
	if (share->gone)
		return wait->handle ? SCARD_E_INVALID_VALUE : SCARD_E_UNKNOWN_READER;
	if (locked && (wait->needs & SHARE_TRY))
		return SCARD_E_SHARING_VIOLATION;
	if ((wait->needs & SHARE_FRESH) && wait->handle->event == SHARE_EVENT_RESET)
		return SCARD_W_RESET_CARD;
	if ((wait->needs & SHARE_FRESH) && wait->handle->event == SHARE_EVENT_REMOVED)
		return SCARD_W_REMOVED_CARD;
	if (locked && share->owner->group == wait->group)
		return SCARD_E_SHARING_VIOLATION;
	if (locked && !wait->handle && share->exclusive)
		return SCARD_E_SHARING_VIOLATION;
	return wait->expired ? SCARD_E_SHARING_VIOLATION : SCARD_S_SUCCESS;
}

/* Runs a call of another client? No transaction begins in the middle of it. */
static bool is_turn_of_other_client(const struct share *share, const struct share_wait *wait)
{
	return share->turn && !(share->turn->needs & SHARE_SYSTEM) &&
	       share->turn->handle != wait->handle;
}

/* May it have what it asks for now? ahead: a client stands before it in the queue. */
static bool is_grantable(const struct share *share, const struct share_wait *wait, bool ahead)
{
	bool takes = wait->needs & (SHARE_TURN | SHARE_LOCK);
	bool overtakes =
		(wait->needs & SHARE_SYSTEM) || (wait->handle && wait->handle == share->owner);

	if (is_locked_out(share, wait))
		return false;
	if ((wait->needs & SHARE_TURN) && share->turn)
		return false;
	if ((wait->needs & SHARE_LOCK) && is_turn_of_other_client(share, wait))
		return false;
	return !(ahead && takes) || overtakes;
}

static void grant(struct share *share, struct share_wait *wait, int64_t now)
{
	wait->rv = SCARD_S_SUCCESS;
	if (wait->needs & SHARE_TURN)
		share->turn = wait;
	if (wait->needs & SHARE_LOCK) {
		take_lock(share, wait->handle, now);
		share->depth++;
	}
	if (wait->handle && wait->handle == share->owner)
		share->active = now;
}

static void enqueue(struct share *share, struct share_wait *wait)
{
	struct share_wait *after = (wait->needs & SHARE_FIRST) ? NULL : share->last;
	struct share_wait *before = after ? NULL : share->first;

	wait->queued = true;
	wait->prev = after;
	wait->next = before;
	*(after ? &after->next : &share->first) = wait;
	*(before ? &before->prev : &share->last) = wait;
}

static void dequeue(struct share *share, struct share_wait *wait)
{
	*(wait->prev ? &wait->prev->next : &share->first) = wait->next;
	*(wait->next ? &wait->next->prev : &share->last) = wait->prev;
	wait->next = wait->prev = NULL;
	wait->queued = false;
}

static bool is_client_queued(const struct share *share)
{
	for (const struct share_wait *wait = share->first; wait; wait = wait->next) {
		if (!(wait->needs & SHARE_SYSTEM))
			return true;
	}
	return false;
}

enum share_verdict share_ask(struct share *share, struct share_wait *wait, int64_t now)
{
	wait->next = wait->prev = NULL;
	wait->queued = wait->expired = false;
	wait->since = now;
	if (wait->handle && wait->handle == share->owner)
		share->active = share->spoken = now;
	wait->rv = refusal(share, wait);
	if (wait->rv != SCARD_S_SUCCESS)
		return SHARE_REFUSED;
	if (!is_grantable(share, wait, is_client_queued(share))) {
		enqueue(share, wait);
		return SHARE_WAIT;
	}
	grant(share, wait, now);
	return SHARE_GO;
}

struct share_wait *share_next(struct share *share, int64_t now)
{
	bool ahead = false;

	for (struct share_wait *wait = share->first; wait; wait = wait->next) {
		wait->rv = refusal(share, wait);
		if (wait->rv != SCARD_S_SUCCESS) {
			dequeue(share, wait);
			return wait;
		}
		if (is_grantable(share, wait, ahead)) {
			dequeue(share, wait);
			grant(share, wait, now);
			return wait;
		}
		if (!(wait->needs & SHARE_SYSTEM))
			ahead = true;
	}
	return NULL;
}

void share_done(struct share *share, struct share_wait *wait, int64_t now)
{
	if (share->turn != wait)
		return;
	share->turn = NULL;
	if (wait->handle && wait->handle == share->owner)
		share->active = now;
}

void share_leave(struct share *share, struct share_wait *wait)
{
	if (wait->queued)
		dequeue(share, wait);
}

uint32_t share_may_end(const struct share *share, const struct share_handle *handle)
{
	if (share_locked_by_other(share, handle))
		return SCARD_E_SHARING_VIOLATION;
	return share->depth > 0 ? SCARD_S_SUCCESS : SCARD_E_NOT_TRANSACTED;
}

uint32_t share_end(struct share *share, struct share_handle *handle, int64_t now)
{
	uint32_t rv = share_may_end(share, handle);

	if (rv != SCARD_S_SUCCESS)
		return rv;
	share->active = share->spoken = now;
	if (--share->depth == 0 && !share->exclusive)
		drop_lock(share);
	return SCARD_S_SUCCESS;
}

void share_event(struct share *share, enum share_event event, const struct share_handle *except)
{
	for (struct share_handle *handle = share->handles; handle; handle = handle->next) {
		if (handle != except && handle->event < event)
			handle->event = event;
	}
	if (event == SHARE_EVENT_REMOVED) {
		share->depth = 0;
		if (!share->exclusive)
			drop_lock(share);
	}
}

void share_recover(struct share *share)
{
	share->recovering = true;
}

void share_recovered(struct share *share)
{
	share->recovering = false;
}

void share_gone(struct share *share)
{
	share->gone = true;
}

/*
 * When the owner's lease runs out; INT64_MAX if nobody waits for it, or it is at work, or waits
 * itself (for the turn, which the daemon has).
 */
static int64_t lease_end(const struct share *share)
{
	int64_t since = INT64_MAX;

	if (!share->owner || share->lease <= 0)
		return INT64_MAX;
	if (share->turn && share->turn->handle == share->owner)
		return INT64_MAX;
	for (const struct share_wait *wait = share->first; wait; wait = wait->next) {
		if (wait->handle == share->owner)
			return INT64_MAX;
		if (is_locked_out(share, wait) && wait->since < since)
			since = wait->since;
	}
	if (since == INT64_MAX)
		return INT64_MAX;
	return (since > share->active ? since : share->active) + share->lease;
}

int64_t share_next_tick(const struct share *share)
{
	int64_t next = lease_end(share);

	for (const struct share_wait *wait = share->first; wait; wait = wait->next) {
		if (!wait->expired && wait->deadline < next)
			next = wait->deadline;
	}
	return next;
}

/* The lock's owner, or another client's call, stands in the way; not just the daemon. */
static bool is_client_in_way(const struct share *share)
{
	return !share->recovering &&
	       (share->owner || (share->turn && !(share->turn->needs & SHARE_SYSTEM)));
}

/* A request's deadline has passed. */
static void expire(const struct share *share, struct share_wait *wait, int64_t now)
{
	int64_t lease = lease_end(share);

	if (!is_client_in_way(share))
		wait->deadline = now + DEADLINE_EXTENSION;
	else if (lease != INT64_MAX && share->spoken < wait->since)
		wait->deadline = lease;
	else
		wait->expired = true;
}

struct share_handle *share_tick(struct share *share, int64_t now)
{
	struct share_handle *evicted = NULL;

	if (lease_end(share) <= now) {
		evicted = share->owner;
		drop_lock(share);
		share_event(share, SHARE_EVENT_RESET, NULL);
		share_recover(share);
	}
	for (struct share_wait *wait = share->first; wait; wait = wait->next) {
		if (wait->deadline <= now)
			expire(share, wait, now);
	}
	return evicted;
}
