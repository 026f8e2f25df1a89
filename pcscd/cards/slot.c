/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/cards/slot.h"

#include <stdlib.h>
#include <string.h>

#include "pcscd/cards/card.h"
#include "pcscd/cards/slots.h"
#include "pcscd/cards/events.h"
#include "pcscd/clock.h"
#include "pcscd/log.h"

#define CONTAINER(pointer, type, member)                                                           \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* Numbers for card_serial and sharing_serial; those with a meaning of their own are left out. */
static uint32_t next_serial(void)
{
	static atomic_uint last = WIRE_EXT_SERIAL_GONE;
	uint32_t serial;

	do {
		serial = atomic_fetch_add(&last, 1) + 1;
	} while (serial == WIRE_EXT_SERIAL_NONE || serial == WIRE_EXT_SERIAL_GONE ||
		 serial == WIRE_EXT_SERIAL_ANY);
	return serial;
}

void slot_card_changed(struct slot *slot)
{
	slot->card_serial = next_serial();
	slot->announce = true;
}

static void tick(uint64_t id);
static void power_tick(uint64_t id);

static void monitor_granted(struct slot_call *call)
{
	pthread_cond_broadcast(&CONTAINER(call, struct slot, monitor_call)->changed);
}

static void job_granted(struct slot_call *call)
{
	pool_submit(&CONTAINER(call, struct slot_job, call)->task);
}

/* On a pool thread, with the turn. */
static void run_job(struct pool_task *task)
{
	struct slot_job *job = CONTAINER(task, struct slot_job, task);
	struct slot *slot = job->slot;

	if (slot->channel) {
		pool_will_block();
		job->work(slot);
	}
	slot_lock(slot);
	slot_give_turn(slot, &job->call);
	job->call.state = SLOT_CALL_IDLE;
	job->queued = false;
	if (job == &slot->reset_job)
		share_recovered(&slot->share);
	slot_unlock(slot);
	slot_unref(slot);
}

void slot_start_job(struct slot *slot, struct slot_job *job)
{
	if (job->queued)
		return;
	job->queued = true;
	slot_ref(slot);
	if (slot_ask(slot, &job->call) != SLOT_PARKED)
		pool_submit(&job->task);
}

void slot_recover(struct slot *slot)
{
	share_recover(&slot->share);
	slot_start_job(slot, &slot->reset_job);
}

static void init_call(struct slot_call *call, unsigned needs, void (*granted)(struct slot_call *))
{
	call->granted = granted;
	call->wait.needs = needs;
	call->wait.deadline = CLOCK_NEVER;
}

static void init_job(
	struct slot_job *job, struct slot *slot, unsigned needs, void (*work)(struct slot *))
{
	job->slot = slot;
	job->work = work;
	job->task.run = run_job;
	init_call(&job->call, needs, job_granted);
}

struct slot *slot_new(uint64_t id, uint64_t device, const char *name, struct channel *channel,
	int64_t lease, const struct reader_power *policy, unsigned max_handles)
{
	struct slot *slot = calloc(1, sizeof(*slot));

	if (!slot)
		return NULL;
	slot->id = id;
	slot->device = device;
	strncpy(slot->name, name, sizeof(slot->name) - 1);
	slot->channel = channel;
	slot->policy = *policy;
	slot->max_handles = max_handles;
	atomic_init(&slot->refs, 1);
	pthread_mutex_init(&slot->lock, NULL);
	pthread_cond_init(&slot->changed, NULL);
	share_init(&slot->share, lease);
	slot->card_serial = next_serial();
	slot->sharing_serial = next_serial();
	slot->timer.fire = tick;
	slot->timer.key = id;
	slot->power_timer.fire = power_tick;
	slot->power_timer.key = id;
	init_call(&slot->monitor_call, SHARE_SYSTEM | SHARE_TURN, monitor_granted);
	init_job(&slot->reset_job, slot, SHARE_SYSTEM | SHARE_TURN | SHARE_FIRST, slot_do_reset);
	init_job(&slot->power_job, slot, SHARE_SYSTEM | SHARE_TURN, slot_do_power_off);
	return slot;
}

struct slot *slot_ref(struct slot *slot)
{
	atomic_fetch_add(&slot->refs, 1);
	return slot;
}

void slot_unref(struct slot *slot)
{
	if (!slot || atomic_fetch_sub(&slot->refs, 1) != 1)
		return;
	timer_cancel(&slot->timer);
	timer_cancel(&slot->power_timer);
	pthread_cond_destroy(&slot->changed);
	pthread_mutex_destroy(&slot->lock);
	explicit_bzero(slot, sizeof(*slot));
	free(slot);
}

void slot_lock(struct slot *slot)
{
	pthread_mutex_lock(&slot->lock);
}

/* Wakes all whose turn has come, and sees to it that those who wait on are looked after in time. */
static void serve_queue(struct slot *slot)
{
	int64_t now = clock_now(), next;
	struct share_wait *wait;

	while ((wait = share_next(&slot->share, now))) {
		struct slot_call *call = CONTAINER(wait, struct slot_call, wait);

		call->state = SLOT_CALL_READY;
		call->granted(call);
	}
	next = share_next_tick(&slot->share);
	if (next != CLOCK_NEVER)
		timer_set_by(&slot->timer, next);
}

void slot_unlock(struct slot *slot)
{
	bool announce;

	if (slot->share.first)
		serve_queue(slot);
	announce = slot->announce;
	slot->announce = false;
	pthread_mutex_unlock(&slot->lock);
	if (announce)
		events_raise(slot->name);
}

uint32_t slot_ask(struct slot *slot, struct slot_call *call)
{
	if (call->state == SLOT_CALL_READY) {
		call->state = SLOT_CALL_IDLE;
		return call->wait.rv;
	}
	if (call->state == SLOT_CALL_WAITING)
		return SLOT_PARKED;
	call->slot = slot;
	if (share_ask(&slot->share, &call->wait, clock_now()) == SHARE_WAIT) {
		call->state = SLOT_CALL_WAITING;
		return SLOT_PARKED;
	}
	return call->wait.rv;
}

void slot_take_turn(struct slot *slot)
{
	if (slot_ask(slot, &slot->monitor_call) != SLOT_PARKED)
		return;
	while (slot->monitor_call.state != SLOT_CALL_READY)
		pthread_cond_wait(&slot->changed, &slot->lock);
	slot->monitor_call.state = SLOT_CALL_IDLE;
}

void slot_give_turn(struct slot *slot, struct slot_call *call)
{
	if (slot->share.turn != &call->wait)
		return;
	if (slot->visitors > 0)
		pool_will_block();
	while (slot->visitors > 0)
		pthread_cond_wait(&slot->changed, &slot->lock);
	share_done(&slot->share, &call->wait, clock_now());
}

void slot_cancel_call(struct slot *slot, struct slot_call *call)
{
	slot_lock(slot);
	share_leave(&slot->share, &call->wait);
	if (call->state == SLOT_CALL_READY)
		slot_give_turn(slot, call);
	call->state = SLOT_CALL_IDLE;
	slot_unlock(slot);
}

/* Does `visit` on the channel while no turn can end. With the lock held, which it releases. */
static void visit_channel(struct slot *slot, RESPONSECODE (*visit)(struct channel *channel))
{
	struct channel *channel = slot->channel;

	if (!channel)
		return;
	slot->visitors++;
	slot_unlock(slot);
	pool_will_block();
	visit(channel);
	slot_lock(slot);
	if (--slot->visitors == 0)
		pthread_cond_broadcast(&slot->changed);
}

void slot_abort_call(struct slot *slot, uint64_t session, const atomic_bool *only)
{
	slot_lock(slot);
	if (slot->share.turn && slot->share.turn->group == session &&
		!(slot->share.turn->needs & SHARE_SYSTEM) && (!only || atomic_load(only)))
		visit_channel(slot, driver_abort);
	slot_unlock(slot);
}

void slot_stop(struct slot *slot)
{
	slot_lock(slot);
	slot->stopping = true;
	share_gone(&slot->share);
	pthread_cond_broadcast(&slot->changed);
	if (slot->share.turn && !(slot->share.turn->needs & SHARE_SYSTEM))
		visit_channel(slot, driver_abort);
	if (slot->monitored)
		visit_channel(slot, driver_stop_poll);
	slot_unlock(slot);
}

bool slot_is_monitored(struct slot *slot)
{
	bool monitored;

	slot_lock(slot);
	monitored = slot->monitored;
	slot_unlock(slot);
	return monitored;
}

void slot_close(struct slot *slot, bool unplugged)
{
	struct channel *channel;
	uint8_t atr[MAX_ATR_SIZE];
	size_t length;
	bool powered;

	slot_lock(slot);
	slot_take_turn(slot);
	while (slot->visitors > 0)
		pthread_cond_wait(&slot->changed, &slot->lock);
	channel = slot->channel;
	slot->channel = NULL;
	powered = slot->power != SLOT_UNPOWERED;
	share_event(&slot->share, SHARE_EVENT_REMOVED, NULL);
	slot_unlock(slot);
	if (unplugged)
		driver_device_removed(channel);
	else if (powered)
		driver_power(channel, IFD_POWER_DOWN, atr, &length);
	driver_close(channel);
	slot_lock(slot);
	slot_give_turn(slot, &slot->monitor_call);
	slot_unlock(slot);
}

void slot_publish(const struct slot *slot, struct wire_reader_state *state)
{
	memset(state, 0, sizeof(*state));
	_Static_assert(sizeof(state->readerName) == sizeof(slot->name), "both end with a NUL");
	memcpy(state->readerName, slot->name, sizeof(state->readerName));
	state->eventCounter = slot->counter;
	state->readerState = slot->state;
	state->readerSharing = share_sharing(&slot->share);
	memcpy(state->cardAtr, slot->atr, slot->atr_length);
	state->cardAtrLength = (uint32_t)slot->atr_length;
	state->cardProtocol = slot->protocol;
	if (!slot->protocol && slot->raw_handles > 0)
		state->cardProtocol = SCARD_PROTOCOL_RAW;
}

void slot_sharing_changed(struct slot *slot)
{
	int32_t sharing = share_sharing(&slot->share);

	if (sharing > 1)
		sharing = 1;
	if (sharing == slot->sharing_class)
		return;
	slot->sharing_class = sharing;
	slot->sharing_serial = next_serial();
	slot->announce = true;
}

/* The timer of the queue: leases and deadlines. */
static void tick(uint64_t id)
{
	struct slot *slot = slots_by_id(id);
	struct share_handle *evicted;
	struct card_holder holder = { 0 };

	if (!slot)
		return;
	slot_lock(slot);
	evicted = share_tick(&slot->share, clock_now());
	if (evicted) {
		holder = card_holder(slot, evicted);
		slot_recover(slot);
	}
	slot_unlock(slot);
	if (evicted)
		card_log_eviction(slot, &holder);
	slot_unref(slot);
}

static void power_tick(uint64_t id)
{
	struct slot *slot = slots_by_id(id);

	if (!slot)
		return;
	slot_lock(slot);
	if (slot->power == SLOT_POWERED && !slot->stopping) {
		if (clock_now() < slot->power_off_at)
			timer_set_by(&slot->power_timer, slot->power_off_at);
		else
			slot_start_job(slot, &slot->power_job);
	}
	slot_unlock(slot);
	slot_unref(slot);
}
