/* SPDX-License-Identifier: BSD-3-Clause */
/* How far a recording has come, the driver's calls in it, and what was different. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "spec/ccid.h"
#include "vreader/replay/replay_private.h"

enum {
	STUCK_S = 150, /* longer than a driver waits for anything that is not answered */
	SHOWN = 48,    /* bytes of a message in a difference */
};

/* Steps that nobody takes. */
static bool passes(const struct replay *r, const struct script_step *step)
{
	switch (step->entry.kind) {
	case RECORDING_CLEAR_HALT:
	case RECORDING_RESET:
	case RECORDING_DROPPED:
	case RECORDING_QUIRK:
		return true;
	case RECORDING_CALL:
	case RECORDING_RETURN:
		return !r->driven;
	case RECORDING_EVENT:
		return step->entry.status != RECORDING_OK;
	default:
		return step->done;
	}
}

void replay_advance(struct replay *r)
{
	while (r->first < r->script->count &&
		(replay_step(r, r->first)->done || passes(r, replay_step(r, r->first))))
		replay_step(r, r->first++)->done = true;
	pthread_cond_broadcast(&r->moved);
	r->woken(r->ctx);
}

void replay_take(struct replay *r, size_t i)
{
	replay_step(r, i)->done = true;
	r->matched++;
	replay_advance(r);
}

void replay_set_failed(struct replay *r)
{
	r->failed = true;
	pthread_cond_broadcast(&r->moved);
	r->woken(r->ctx);
}

static size_t put_hex(char *text, size_t room, const struct recording_entry *entry)
{
	size_t used = 0;

	text[0] = '\0';
	if (entry->len == 0)
		used = (size_t)snprintf(text, room, " nothing");
	for (size_t i = 0; i < entry->len && i < SHOWN && used + 8 < room; i++)
		used += (size_t)snprintf(text + used, room - used,
			recording_masked(entry, i) ? " **" : " %02X", entry->data[i]);
	if (entry->len > SHOWN)
		used += (size_t)snprintf(text + used, room - used, " …");
	return used;
}

void replay_differ(struct replay *r, size_t i, const char *what,
	const struct recording_entry *recorded, const struct recording_entry *came)
{
	enum recording_kind kind = came ? came->kind : RECORDING_OUT;
	char one[4 * SHOWN] = " nothing";
	char other[4 * SHOWN] = " nothing";

	if (r->failed)
		return;
	if (recorded)
		put_hex(one, sizeof(one), recorded);
	if (came)
		put_hex(other, sizeof(other), came);
	snprintf(r->difference, sizeof(r->difference), "message %zu (%s): %s: expected%s; came%s",
		i + 1, recording_strkind(recorded ? recorded->kind : kind), what, one, other);
	replay_set_failed(r);
}

bool replay_same(const struct recording_entry *recorded, const struct recording_entry *came,
	size_t skip, size_t *at)
{
	size_t len = recorded->len < came->len ? recorded->len : came->len;

	for (*at = 0; *at < len; ++*at)
		if (*at != skip && !recording_masked(recorded, *at) &&
			recorded->data[*at] != came->data[*at])
			return false;
	return recorded->missing ? came->len >= len : recorded->len == came->len;
}

struct replay *replay_new(struct script *script, bool driven, void (*woken)(void *ctx), void *ctx,
	char *why, size_t why_size)
{
	struct replay *r = calloc(1, sizeof(*r));

	snprintf(why, why_size, "out of memory");
	if (!r)
		return NULL;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->moved, NULL);
	r->script = script;
	r->driven = driven;
	r->woken = woken;
	r->ctx = ctx;
	r->message = malloc(REPLAY_MESSAGE_MAX);
	memset(r->last_status, CCID_ICC_ABSENT, sizeof(r->last_status));
	if (!r->message || !replay_find_device(r, why, why_size)) {
		replay_free(r);
		return NULL;
	}
	replay_advance(r);
	return r;
}

void replay_free(struct replay *r)
{
	if (!r)
		return;
	pthread_mutex_destroy(&r->lock);
	pthread_cond_destroy(&r->moved);
	free(r->message);
	free(r);
}

const struct profile *replay_profile(const struct replay *r)
{
	return &r->profile;
}

const struct replay_endpoint *replay_endpoints(const struct replay *r, size_t *count)
{
	*count = r->endpoint_count;
	return r->endpoints;
}

const struct script *replay_script(const struct replay *r)
{
	return r->script;
}

/* Nobody will take the next step: it is the driver's, and the driver has nothing to do. */
static bool is_left_out(const struct replay *r)
{
	const struct script_step *step;

	if (!r->opened || r->running > 0 || r->first >= r->script->count)
		return false;
	step = replay_step(r, r->first);
	return step->entry.kind == RECORDING_OUT || step->entry.kind == RECORDING_CONTROL ||
	       step->entry.kind == RECORDING_IN;
}

static void check_stuck(struct replay *r, bool late)
{
	if (is_left_out(r))
		replay_differ(r, r->first, "the driver leaves it out",
			&replay_step(r, r->first)->entry, NULL);
	else if (late && r->first < r->script->count)
		replay_differ(r, r->first, "this is waited for in vain",
			&replay_step(r, r->first)->entry, NULL);
}

void replay_opened(struct replay *r)
{
	pthread_mutex_lock(&r->lock);
	r->opened = true;
	replay_advance(r);
	pthread_mutex_unlock(&r->lock);
}

bool replay_next_call(struct replay *r, unsigned slot, size_t *call)
{
	struct timespec until;
	bool good;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += STUCK_S;
	pthread_mutex_lock(&r->lock);
	*call = script_next(r->script, SCRIPT_NONE, RECORDING_CALL, slot);
	while (*call != SCRIPT_NONE && !r->failed && (r->first != *call || r->event_out)) {
		bool late;

		check_stuck(r, false);
		if (r->failed)
			break;
		late = pthread_cond_clockwait(&r->moved, &r->lock, CLOCK_MONOTONIC, &until) ==
		       ETIMEDOUT;
		check_stuck(r, late);
	}
	if (*call != SCRIPT_NONE && !r->failed) {
		r->running++;
		replay_take(r, *call);
	}
	good = !r->failed;
	pthread_mutex_unlock(&r->lock);
	return good;
}

bool replay_returned(struct replay *r, size_t call, const struct recording_entry *got)
{
	const struct recording_entry *made = &replay_step(r, call)->entry;
	const struct recording_entry *recorded = NULL;
	size_t at = 0;
	size_t i;
	bool good;

	pthread_mutex_lock(&r->lock);
	r->running--;
	i = script_next(r->script, call, RECORDING_RETURN, made->slot);
	if (i != SCRIPT_NONE)
		recorded = &replay_step(r, i)->entry;
	for (size_t o = call; o < i && o < r->script->count && !r->failed; o++)
		if (!replay_step(r, o)->done && replay_step(r, o)->entry.kind == RECORDING_OUT &&
			script_slot(&replay_step(r, o)->entry) == made->slot)
			replay_differ(
				r, o, "the driver leaves it out", &replay_step(r, o)->entry, NULL);
	if (recorded && !r->failed && recorded->value != got->value) {
		snprintf(r->difference, sizeof(r->difference),
			"message %zu (return of %s): expected result %llX; came %llX", i + 1,
			recording_strcall(made->call), (unsigned long long)recorded->value,
			(unsigned long long)got->value);
		replay_set_failed(r);
	}
	if (recorded && !r->failed && !replay_same(recorded, got, SIZE_MAX, &at))
		replay_differ(r, i, recording_strcall(made->call), recorded, got);
	if (recorded && !r->failed)
		replay_take(r, i);
	else
		replay_advance(r);
	good = !r->failed;
	pthread_mutex_unlock(&r->lock);
	return good;
}

bool replay_finish(struct replay *r)
{
	bool good;

	pthread_mutex_lock(&r->lock);
	replay_advance(r);
	if (r->first < r->script->count && !r->failed &&
		replay_step(r, r->first)->entry.kind != RECORDING_EVENT)
		replay_differ(r, r->first, "the driver leaves it out",
			&replay_step(r, r->first)->entry, NULL);
	good = !r->failed;
	pthread_mutex_unlock(&r->lock);
	return good;
}

void replay_fail(struct replay *r, const char *why)
{
	pthread_mutex_lock(&r->lock);
	if (!r->failed)
		snprintf(r->difference, sizeof(r->difference), "%s", why);
	replay_set_failed(r);
	pthread_mutex_unlock(&r->lock);
}

enum replay_state replay_state(struct replay *r)
{
	enum replay_state state = REPLAY_GOING_ON;

	pthread_mutex_lock(&r->lock);
	if (r->failed)
		state = REPLAY_FAILED;
	else if (r->first >= r->script->count)
		state = REPLAY_AT_END;
	pthread_mutex_unlock(&r->lock);
	return state;
}

const char *replay_difference(const struct replay *r)
{
	return r->difference;
}

size_t replay_matched(struct replay *r)
{
	size_t matched;

	pthread_mutex_lock(&r->lock);
	matched = r->matched;
	pthread_mutex_unlock(&r->lock);
	return matched;
}
