/* SPDX-License-Identifier: BSD-3-Clause */
#include "share_model.h"

#include <string.h>

#include <winscard.h>

#define SECOND INT64_C(1000000000) /* ns */

static bool is_system(int request)
{
	return request >= MODEL_FIRST_SYSTEM;
}

static int handle_of(int request)
{
	return request < MODEL_HANDLES ? request : NOBODY;
}

void model_init(struct model *model, int64_t lease)
{
	memset(model, 0, sizeof(*model));
	model->owner = NOBODY;
	model->turn = NOBODY;
	model->lease = lease;
}

int model_count(const struct model *model)
{
	int count = 0;

	for (int i = 0; i < MODEL_HANDLES; i++)
		count += model->connected[i];
	return count;
}

static void unlock(struct model *model)
{
	model->owner = NOBODY;
	model->depth = 0;
	model->exclusive = false;
}

uint32_t model_add(struct model *model, int handle, uint64_t group, bool exclusive, int64_t now)
{
	if (model->exclusive)
		return SCARD_E_SHARING_VIOLATION;
	if (exclusive && model_count(model) != 0)
		return SCARD_E_SHARING_VIOLATION;
	model->connected[handle] = true;
	model->group[handle] = group;
	model->event[handle] = SHARE_EVENT_NONE;
	if (exclusive) {
		model->exclusive = true;
		model->owner = handle;
		model->active = model->spoken = now;
	}
	return SCARD_S_SUCCESS;
}

uint32_t model_may_set_mode(const struct model *model, int handle, bool exclusive)
{
	if (model->owner != NOBODY && model->owner != handle)
		return SCARD_E_SHARING_VIOLATION;
	if (exclusive && model_count(model) != 1)
		return SCARD_E_SHARING_VIOLATION;
	return SCARD_S_SUCCESS;
}

void model_set_mode(struct model *model, int handle, bool exclusive, int64_t now)
{
	model->exclusive = exclusive;
	if (exclusive) {
		model->owner = handle;
		model->active = model->spoken = now;
	} else if (model->depth == 0) {
		model->owner = NOBODY;
	}
}

bool model_remove(struct model *model, int handle)
{
	bool owned = model->owner == handle;

	model->connected[handle] = false;
	if (owned)
		unlock(model);
	return owned;
}

/* A client whom someone else's transaction or exclusive access concerns. */
static bool is_other_owner(const struct model *model, int request)
{
	return !is_system(request) && model->owner != NOBODY && model->owner != handle_of(request);
}

static bool is_shut_out(const struct model *model, int request)
{
	return is_other_owner(model, request) || (model->recovering && !is_system(request));
}

/* Why it shall not wait, in the order of precedence; SCARD_S_SUCCESS: it may. */
static uint32_t model_refusal(const struct model *model, int request)
{
	const struct model_request *what = &model->requests[request];
	int handle = handle_of(request);
	bool other = is_other_owner(model, request);

	if (is_system(request))
		return SCARD_S_SUCCESS;
	if (model->gone)
		return handle == NOBODY ? SCARD_E_UNKNOWN_READER : SCARD_E_INVALID_VALUE;
	if (other && (what->needs & SHARE_TRY))
		return SCARD_E_SHARING_VIOLATION;
	if (what->needs & SHARE_FRESH) {
		if (model->event[handle] == SHARE_EVENT_RESET)
			return SCARD_W_RESET_CARD;
		if (model->event[handle] == SHARE_EVENT_REMOVED)
			return SCARD_W_REMOVED_CARD;
	}
	/* Its own client can't free what it would wait for. */
	if (other && model->group[model->owner] == what->group)
		return SCARD_E_SHARING_VIOLATION;
	/* SCardConnect to a reader that is connected exclusively fails at once. */
	if (other && handle == NOBODY && model->exclusive)
		return SCARD_E_SHARING_VIOLATION;
	if (what->expired)
		return SCARD_E_SHARING_VIOLATION;
	return SCARD_S_SUCCESS;
}

/* Is anything in its way? The first `before` of the queue stand before it. */
static bool is_blocked(const struct model *model, int request, int before)
{
	unsigned needs = model->requests[request].needs;
	int turn = model->turn;

	if (is_shut_out(model, request))
		return true;
	if ((needs & SHARE_TURN) && turn != NOBODY)
		return true;
	/* A transaction doesn't begin during another client's call. */
	if ((needs & SHARE_LOCK) && turn != NOBODY && !is_system(turn) && turn != request)
		return true;
	if (is_system(request) || (model->owner != NOBODY && model->owner == handle_of(request)))
		return false;
	if (!(needs & (SHARE_TURN | SHARE_LOCK)))
		return false;
	for (int i = 0; i < before; i++) {
		if (!is_system(model->queue[i]))
			return true;
	}
	return false;
}

static void model_grant(struct model *model, int request, int64_t now)
{
	unsigned needs = model->requests[request].needs;

	if (needs & SHARE_TURN)
		model->turn = request;
	if (needs & SHARE_LOCK) {
		model->owner = handle_of(request);
		model->depth++;
		model->spoken = now;
	}
	if (model->owner != NOBODY && model->owner == handle_of(request))
		model->active = now;
}

static void insert(struct model *model, int place, int request)
{
	memmove(&model->queue[place + 1], &model->queue[place],
		(size_t)(model->waiting - place) * sizeof(int));
	model->queue[place] = request;
	model->waiting++;
}

static void take_out(struct model *model, int place)
{
	model->waiting--;
	memmove(&model->queue[place], &model->queue[place + 1],
		(size_t)(model->waiting - place) * sizeof(int));
}

enum share_verdict model_ask(
	struct model *model, int request, const struct model_request *what, int64_t now)
{
	model->requests[request] = *what;
	model->requests[request].since = now;
	model->requests[request].expired = false;
	if (model->owner != NOBODY && model->owner == handle_of(request))
		model->active = model->spoken = now;
	if (model_refusal(model, request) != SCARD_S_SUCCESS)
		return SHARE_REFUSED;
	if (is_blocked(model, request, model->waiting)) {
		insert(model, (what->needs & SHARE_FIRST) ? 0 : model->waiting, request);
		return SHARE_WAIT;
	}
	model_grant(model, request, now);
	return SHARE_GO;
}

struct model_outcome model_next(struct model *model, int64_t now)
{
	for (int i = 0; i < model->waiting; i++) {
		struct model_outcome out = { model->queue[i], SCARD_S_SUCCESS };

		out.rv = model_refusal(model, out.request);
		if (out.rv == SCARD_S_SUCCESS && is_blocked(model, out.request, i))
			continue;
		take_out(model, i);
		if (out.rv == SCARD_S_SUCCESS)
			model_grant(model, out.request, now);
		return out;
	}
	return (struct model_outcome){ NOBODY, SCARD_S_SUCCESS };
}

void model_done(struct model *model, int64_t now)
{
	if (model->owner != NOBODY && model->owner == handle_of(model->turn))
		model->active = now;
	model->turn = NOBODY;
}

void model_leave(struct model *model, int request)
{
	for (int i = 0; i < model->waiting; i++) {
		if (model->queue[i] == request) {
			take_out(model, i);
			return;
		}
	}
}

uint32_t model_end(struct model *model, int handle, int64_t now)
{
	if (model->owner != NOBODY && model->owner != handle)
		return SCARD_E_SHARING_VIOLATION;
	if (model->depth == 0)
		return SCARD_E_NOT_TRANSACTED;
	model->active = model->spoken = now;
	model->depth--;
	if (model->depth == 0 && !model->exclusive)
		model->owner = NOBODY;
	return SCARD_S_SUCCESS;
}

void model_event(struct model *model, enum share_event event, int except)
{
	for (int i = 0; i < MODEL_HANDLES; i++) {
		if (!model->connected[i] || i == except)
			continue;
		if (model->event[i] == SHARE_EVENT_REMOVED)
			continue;
		model->event[i] = event;
	}
	if (event == SHARE_EVENT_REMOVED) {
		model->depth = 0;
		if (!model->exclusive)
			model->owner = NOBODY;
	}
}

/* Since when the owner has been silent while somebody waited for it; INT64_MAX: it isn't. */
static int64_t silent_since(const struct model *model)
{
	int64_t since = INT64_MAX;

	if (model->owner == NOBODY || model->lease == 0 || model->turn == model->owner)
		return INT64_MAX;
	for (int i = 0; i < model->waiting; i++) {
		int request = model->queue[i];

		if (request == model->owner)
			return INT64_MAX; /* it is we who keep the owner waiting */
		if (is_shut_out(model, request) && model->requests[request].since < since)
			since = model->requests[request].since;
	}
	if (since < model->active)
		since = model->active;
	return since;
}

int64_t model_next_tick(const struct model *model)
{
	int64_t since = silent_since(model);
	int64_t next = since == INT64_MAX ? INT64_MAX : since + model->lease;

	for (int i = 0; i < model->waiting; i++) {
		const struct model_request *what = &model->requests[model->queue[i]];

		if (!what->expired && what->deadline < next)
			next = what->deadline;
	}
	return next;
}

int model_tick(struct model *model, int64_t now)
{
	int64_t since = silent_since(model);
	int evicted = NOBODY;

	if (since != INT64_MAX && now - since >= model->lease) {
		evicted = model->owner;
		unlock(model);
		model_event(model, SHARE_EVENT_RESET, NOBODY);
		model->recovering = true;
	}
	for (int i = 0; i < model->waiting; i++) {
		struct model_request *what = &model->requests[model->queue[i]];
		bool client_in_way = model->owner != NOBODY ||
				     (model->turn != NOBODY && !is_system(model->turn));

		if (what->deadline > now)
			continue;
		since = silent_since(model);
		if (!client_in_way || model->recovering)
			what->deadline = now + SECOND;
		else if (since != INT64_MAX && model->spoken < what->since)
			what->deadline =
				since + model->lease; /* the owner will have lost it then */
		else
			what->expired = true;
	}
	return evicted;
}

bool model_is_stuck(const struct model *model)
{
	return model->waiting > 0 && model->owner == NOBODY && model->turn == NOBODY &&
	       !model->recovering;
}
