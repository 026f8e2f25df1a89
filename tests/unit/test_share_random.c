/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * share.c against share_model.c: the same random calls to both, everything that can be seen
 * compared after each. Besides, the promises of share.h are checked by themselves.
 *
 * CARDWIRE_SEED and CARDWIRE_STEPS choose another run; a failure prints the seed and the step.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <winscard.h>

#include "share_model.h"
#include "suite.h"

#define STEPS       2000000
#define WORLD_STEPS 500 /* then the reader is another one */
#define GROUPS      4
#define MS          INT64_C(1000000) /* ns */

enum phase {
	IDLE,
	WAITING,
	HAS_TURN,
};

/* One slot, seen by both. */
static struct world {
	struct share share;
	struct model model;
	struct share_handle handles[MODEL_HANDLES];
	struct share_wait waits[MODEL_REQUESTS];
	enum phase phases[MODEL_REQUESTS];
	uint64_t tickets[MODEL_REQUESTS]; /* in the order of asking */
	uint64_t last_ticket;
	int64_t now;
} w;

static uint64_t seed, random_state, step;
static const char *doing;

static uint64_t get_env(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

/* Splitmix64. */
static uint64_t draw(uint64_t below)
{
	uint64_t z = (random_state += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return (z ^ (z >> 31)) % below;
}

static int draw_int(int below)
{
	return (int)draw((uint64_t)below);
}

static bool chance(unsigned percent)
{
	return draw(100) < percent;
}

static void expect_at(bool condition, const char *text, int line)
{
	if (!condition)
		ck_abort_msg("line %d: not so: %s; CARDWIRE_SEED=%" PRIu64 ", step %" PRIu64 ", %s",
			line, text, seed, step, doing);
}

#define EXPECT(condition) expect_at((condition), #condition, __LINE__)

static struct share_handle *handle_at(int index)
{
	return index < 0 || index >= MODEL_HANDLES ? NULL : &w.handles[index];
}

static int index_of_handle(const struct share_handle *handle)
{
	return handle ? (int)(handle - w.handles) : NOBODY;
}

static int index_of_wait(const struct share_wait *wait)
{
	return wait ? (int)(wait - w.waits) : NOBODY;
}

static bool is_system(int request)
{
	return request >= MODEL_FIRST_SYSTEM;
}

static bool is_owner(int request)
{
	return w.share.owner && w.share.owner == handle_at(request);
}

/* What is promised about a request that is granted; before its effect. */
static void check_grant(int request, int owner, int turn)
{
	unsigned needs = w.waits[request].needs;

	if (needs & SHARE_TURN)
		EXPECT(turn == NOBODY);
	if (is_system(request))
		return;
	EXPECT(!w.share.recovering);
	EXPECT(!w.share.gone);
	EXPECT(owner == NOBODY || owner == request);
	if (needs & SHARE_LOCK)
		EXPECT(turn == NOBODY || turn == request || is_system(turn));
	if (!(needs & (SHARE_TURN | SHARE_LOCK)) || owner == request)
		return;
	for (int i = 0; i < MODEL_FIRST_SYSTEM; i++) {
		if (w.phases[i] == WAITING)
			EXPECT(w.tickets[i] > w.tickets[request]);
	}
}

static void granted(int request)
{
	w.phases[request] = (w.waits[request].needs & SHARE_TURN) ? HAS_TURN : IDLE;
}

/* Nobody waits who need not. */
static void check_queue(void)
{
	EXPECT(!model_is_stuck(&w.model));
	for (const struct share_wait *wait = w.share.first; wait; wait = wait->next) {
		int i = index_of_wait(wait);

		EXPECT(w.phases[i] == WAITING);
		if (is_system(i)) {
			EXPECT(w.share.turn != NULL);
			continue;
		}
		EXPECT(!w.share.gone);
		EXPECT(!wait->expired);
		if (w.share.owner && !is_owner(i))
			EXPECT(w.share.owner->group != wait->group);
		if (wait->needs & SHARE_FRESH)
			EXPECT(wait->handle->event == SHARE_EVENT_NONE);
	}
}

static void compare_handles(void)
{
	int count = 0;

	for (struct share_handle *h = w.share.handles; h; h = h->next) {
		EXPECT(w.model.connected[index_of_handle(h)]);
		EXPECT(!h->next || h->next->prev == h);
		count++;
	}
	EXPECT(count == model_count(&w.model));
	EXPECT(w.share.count == (unsigned)count);
	for (int i = 0; i < MODEL_HANDLES; i++) {
		bool other = w.model.owner != NOBODY && w.model.owner != i;

		if (!w.model.connected[i])
			continue;
		EXPECT(w.handles[i].event == w.model.event[i]);
		EXPECT(share_locked_by_other(&w.share, &w.handles[i]) == other);
		EXPECT(share_may_set_mode(&w.share, &w.handles[i], true) ==
			model_may_set_mode(&w.model, i, true));
		EXPECT(share_may_set_mode(&w.share, &w.handles[i], false) ==
			model_may_set_mode(&w.model, i, false));
	}
}

static void compare(void)
{
	const struct share_wait *wait = w.share.first;

	for (int i = 0; i < w.model.waiting; i++, wait = wait->next) {
		EXPECT(wait != NULL);
		EXPECT(index_of_wait(wait) == w.model.queue[i]);
		EXPECT(wait->queued);
		EXPECT(wait->next ? wait->next->prev == wait : w.share.last == wait);
	}
	EXPECT(wait == NULL);
	EXPECT(index_of_wait(w.share.turn) == w.model.turn);
	EXPECT(index_of_handle(w.share.owner) == w.model.owner);
	EXPECT(share_locked_by_other(&w.share, NULL) == (w.model.owner != NOBODY));
	EXPECT(w.share.exclusive == w.model.exclusive);
	EXPECT(w.share.depth == (unsigned)w.model.depth);
	EXPECT(w.share.recovering == w.model.recovering);
	EXPECT(share_sharing(&w.share) == (w.model.exclusive ? -1 : model_count(&w.model)));
	EXPECT(share_next_tick(&w.share) == model_next_tick(&w.model));
	compare_handles();
}

/* Takes all out of the queue who can go on, then compares the two. */
static void settle(void)
{
	for (;;) {
		int owner = index_of_handle(w.share.owner), turn = index_of_wait(w.share.turn);
		struct share_wait *wait = share_next(&w.share, w.now);
		struct model_outcome out = model_next(&w.model, w.now);

		EXPECT(index_of_wait(wait) == out.request);
		if (!wait)
			break;
		EXPECT(wait->rv == out.rv);
		EXPECT(!wait->queued);
		w.phases[out.request] = IDLE;
		if (out.rv != SCARD_S_SUCCESS)
			continue;
		check_grant(out.request, owner, turn);
		granted(out.request);
	}
	compare();
	check_queue();
}

static void ask(int request, unsigned needs, uint64_t group, int64_t deadline)
{
	struct model_request what = { .needs = needs, .group = group, .deadline = deadline };
	int owner = index_of_handle(w.share.owner), turn = index_of_wait(w.share.turn);
	struct share_wait *wait = &w.waits[request];
	enum share_verdict verdict;

	wait->needs = needs;
	wait->handle = handle_at(request);
	wait->group = group;
	wait->deadline = deadline;
	w.tickets[request] = ++w.last_ticket;
	verdict = share_ask(&w.share, wait, w.now);
	EXPECT(verdict == model_ask(&w.model, request, &what, w.now));
	EXPECT((verdict == SHARE_REFUSED) == (wait->rv != SCARD_S_SUCCESS));
	if (verdict == SHARE_WAIT)
		w.phases[request] = WAITING;
	if (verdict != SHARE_GO)
		return;
	check_grant(request, owner, turn);
	granted(request);
}

/* The owner is lost: the card must be reset first. */
static void start_recovery(void)
{
	w.model.recovering = true;
	share_recover(&w.share);
	if (w.phases[MODEL_RESET] == IDLE)
		ask(MODEL_RESET, SHARE_SYSTEM | SHARE_TURN | SHARE_FIRST, 0, INT64_MAX);
}

/* What clients and daemon do. Each does nothing if it can't be done just now. */

static void do_connect(void)
{
	int handle = draw_int(MODEL_HANDLES);
	bool exclusive = chance(15);
	uint64_t group = 1 + draw(GROUPS);

	if (w.model.connected[handle])
		return;
	memset(&w.handles[handle], 0, sizeof(w.handles[handle]));
	w.handles[handle].group = group;
	EXPECT(share_add(&w.share, &w.handles[handle], exclusive, w.now) ==
		model_add(&w.model, handle, group, exclusive, w.now));
}

static void do_ask_connect(void)
{
	int request = MODEL_FIRST_CONNECT + draw_int(MODEL_CONNECTS);
	unsigned needs = chance(60) ? SHARE_TURN : 0;

	if (w.phases[request] == IDLE)
		ask(request, needs, 1 + draw(GROUPS), w.now + (int64_t)draw(9000) * MS);
}

static void do_ask(void)
{
	static const unsigned kinds[] = {
		SHARE_LOCK | SHARE_FRESH,
		SHARE_LOCK | SHARE_FRESH,
		SHARE_TURN | SHARE_FRESH,
		SHARE_TURN | SHARE_FRESH,
		SHARE_TURN | SHARE_FRESH | SHARE_TRY,
		SHARE_TURN | SHARE_TRY,
		SHARE_TURN,
		SHARE_FRESH,
		SHARE_FRESH | SHARE_TRY,
	};
	int handle = draw_int(MODEL_HANDLES);

	if (!w.model.connected[handle] || w.phases[handle] != IDLE)
		return;
	ask(handle, kinds[draw(sizeof(kinds) / sizeof(kinds[0]))], w.handles[handle].group,
		chance(90) ? INT64_MAX : w.now + (int64_t)draw(9000) * MS);
}

static void do_ask_system(void)
{
	int request = MODEL_FIRST_SYSTEM + draw_int(MODEL_SYSTEMS - 1);

	if (w.phases[request] == IDLE)
		ask(request, SHARE_SYSTEM | SHARE_TURN, 0, INT64_MAX);
}

static void do_done(void)
{
	struct share_wait *wait = w.share.turn;
	int request = index_of_wait(wait);

	/* Giving back what one doesn't have changes nothing. */
	share_done(&w.share, &w.waits[(request + 1) % MODEL_REQUESTS], w.now);
	EXPECT(w.share.turn == wait);
	if (!wait)
		return;
	share_done(&w.share, wait, w.now);
	model_done(&w.model, w.now);
	w.phases[request] = IDLE;
	if (request != MODEL_RESET)
		return;
	w.model.recovering = false;
	share_recovered(&w.share);
}

static void do_end(void)
{
	int handle = draw_int(MODEL_HANDLES);
	uint32_t rv;

	if (w.model.owner != NOBODY && chance(70))
		handle = w.model.owner;
	if (!w.model.connected[handle] || w.phases[handle] != IDLE)
		return;
	rv = share_may_end(&w.share, &w.handles[handle]);
	EXPECT(share_end(&w.share, &w.handles[handle], w.now) == rv);
	EXPECT(model_end(&w.model, handle, w.now) == rv);
}

static void do_set_mode(void)
{
	int handle = draw_int(MODEL_HANDLES);
	bool exclusive = chance(50);

	/* As in SCardReconnect, with the turn. */
	if (w.phases[handle] != HAS_TURN ||
		model_may_set_mode(&w.model, handle, exclusive) != SCARD_S_SUCCESS)
		return;
	share_set_mode(&w.share, &w.handles[handle], exclusive, w.now);
	model_set_mode(&w.model, handle, exclusive, w.now);
	w.handles[handle].event = w.model.event[handle] = SHARE_EVENT_NONE;
}

static void do_clear(void)
{
	int handle = draw_int(MODEL_HANDLES);

	if (w.model.connected[handle])
		w.handles[handle].event = w.model.event[handle] = SHARE_EVENT_NONE;
}

/* SCardDisconnect, or the death of the client with all its handles. */
static void remove_handle(int handle, bool died)
{
	bool owned;

	if (w.phases[handle] == HAS_TURN)
		do_done();
	share_leave(&w.share, &w.waits[handle]);
	model_leave(&w.model, handle);
	w.phases[handle] = IDLE;
	owned = share_remove(&w.share, &w.handles[handle]);
	EXPECT(owned == model_remove(&w.model, handle));
	if (!owned || !died)
		return;
	share_event(&w.share, SHARE_EVENT_RESET, NULL);
	model_event(&w.model, SHARE_EVENT_RESET, NOBODY);
	start_recovery();
}

static void do_disconnect(void)
{
	int handle = draw_int(MODEL_HANDLES);

	if (w.model.connected[handle] && w.phases[handle] == IDLE)
		remove_handle(handle, false);
}

static void do_die(void)
{
	uint64_t group = 1 + draw(GROUPS);

	for (int i = MODEL_FIRST_CONNECT; i < MODEL_FIRST_SYSTEM; i++) {
		if (w.waits[i].group != group || w.phases[i] == IDLE)
			continue;
		if (w.phases[i] == HAS_TURN)
			do_done();
		share_leave(&w.share, &w.waits[i]);
		model_leave(&w.model, i);
		w.phases[i] = IDLE;
	}
	for (int i = 0; i < MODEL_HANDLES; i++) {
		if (w.model.connected[i] && w.handles[i].group == group)
			remove_handle(i, true);
	}
}

static void do_leave(void)
{
	int request = draw_int(MODEL_FIRST_SYSTEM);

	share_leave(&w.share, &w.waits[request]);
	model_leave(&w.model, request);
	if (w.phases[request] == WAITING)
		w.phases[request] = IDLE;
}

static void do_event(void)
{
	enum share_event event = chance(80) ? SHARE_EVENT_RESET : SHARE_EVENT_REMOVED;
	int except = chance(50) ? NOBODY : draw_int(MODEL_HANDLES);

	share_event(&w.share, event, handle_at(except));
	model_event(&w.model, event, except);
}

static void tick(void)
{
	struct share_handle *evicted = share_tick(&w.share, w.now);

	EXPECT(index_of_handle(evicted) == model_tick(&w.model, w.now));
	if (!evicted)
		return;
	for (const struct share_handle *h = w.share.handles; h; h = h->next)
		EXPECT(h->event != SHARE_EVENT_NONE);
	EXPECT(!w.share.owner);
	EXPECT(w.share.recovering);
	start_recovery();
}

static void do_time(void)
{
	int64_t next = share_next_tick(&w.share);

	if (next != INT64_MAX && next > w.now && chance(40))
		w.now = next - (chance(50) ? 1 : 0);
	else
		w.now += (int64_t)draw(chance(10) ? 6000 : 50) * MS;
	tick();
}

static const struct {
	const char *name;
	void (*run)(void);
	unsigned weight;
} actions[] = {
	{ "connect", do_connect, 8 },
	{ "ask to connect", do_ask_connect, 6 },
	{ "ask", do_ask, 30 },
	{ "ask for the daemon", do_ask_system, 4 },
	{ "done", do_done, 22 },
	{ "end", do_end, 12 },
	{ "set mode", do_set_mode, 6 },
	{ "clear event", do_clear, 8 },
	{ "disconnect", do_disconnect, 2 },
	{ "die", do_die, 2 },
	{ "leave", do_leave, 2 },
	{ "event", do_event, 1 },
	{ "time", do_time, 15 },
};
#define ACTIONS (sizeof(actions) / sizeof(actions[0]))

static void act(void)
{
	uint64_t total = 0, ticket;
	size_t i = 0;

	for (size_t j = 0; j < ACTIONS; j++)
		total += actions[j].weight;
	for (ticket = draw(total); ticket >= actions[i].weight; i++)
		ticket -= actions[i].weight;
	doing = actions[i].name;
	actions[i].run();
	settle();
}

static void new_world(void)
{
	static const int64_t leases[] = { 0, 1000 * MS, 5000 * MS };
	int64_t lease = leases[draw(3)];

	memset(&w, 0, sizeof(w));
	w.now = (int64_t)draw(100000) * MS;
	share_init(&w.share, lease);
	model_init(&w.model, lease);
}

/* All clients fall silent. With a lease, all who wait are served without their doing anything. */
static void end_silently(void)
{
	doing = "silence";
	for (int round = 0; w.share.turn || w.share.first; round++) {
		int64_t next;

		EXPECT(round < 10 * MODEL_REQUESTS);
		while (w.share.turn) {
			do_done();
			settle();
		}
		next = share_next_tick(&w.share);
		if (w.share.lease == 0 && w.share.owner)
			remove_handle(w.model.owner, false);
		else if (w.share.first)
			EXPECT(next != INT64_MAX);
		if (next != INT64_MAX && next > w.now)
			w.now = next;
		tick();
		settle();
	}
}

/* The reader goes: nobody is left waiting but for the turn. */
static void end_by_unplugging(void)
{
	doing = "unplugging";
	share_gone(&w.share);
	w.model.gone = true;
	settle();
	for (int i = 0; i < 20; i++)
		act();
	while (w.share.turn) {
		do_done();
		settle();
	}
	EXPECT(!w.share.first);
}

START_TEST(test_random)
{
	uint64_t steps = get_env("CARDWIRE_STEPS", STEPS);

	seed = get_env("CARDWIRE_SEED", 1);
	random_state = seed;
	for (step = 0; step < steps; step++) {
		if (step % WORLD_STEPS == 0) {
			if (step > 0 && chance(50))
				end_by_unplugging();
			else if (step > 0)
				end_silently();
			new_world();
		}
		act();
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("share_random");
	TCase *random_case = tcase_create("random");

	tcase_add_test(random_case, test_random);
	tcase_set_timeout(random_case, 280);
	suite_add_tcase(suite, random_case);
	return suite_run(suite);
}
