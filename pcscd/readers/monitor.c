/* SPDX-License-Identifier: BSD-3-Clause */
/* The monitor of a slot: notices cards that come and go. */
#include "pcscd/cards/slot.h"

#include "pcscd/clock.h"
#include "pcscd/log.h"

#define POLL_MS      600000           /* longest stay in a driver's poll function */
#define POLL_DEAF_MS 1000             /* the same if nothing can make it return early */
#define LOOK_NS      (400 * CLOCK_MS) /* between looks without a poll function */
#define HASTE_NS     (10 * CLOCK_MS)  /* a poll that is shorter ... */
#define HASTE_MAX    5                /* ... so many times in a row reports nothing, it is broken */

static bool look(struct slot *slot)
{
	bool there = true;

	slot_lock(slot);
	slot_take_turn(slot);
	if (!slot->stopping) {
		slot_unlock(slot);
		there = slot_check_presence(slot);
		slot_lock(slot);
	}
	slot_give_turn(slot, &slot->monitor_call);
	slot_unlock(slot);
	return there;
}

/* Sleeps until the next look is due, or the slot is stopped. */
static void sleep_between_looks(struct slot *slot)
{
	struct timespec until = clock_timespec(clock_now() + LOOK_NS);

	slot_lock(slot);
	while (!slot->stopping) {
		if (pthread_cond_clockwait(&slot->changed, &slot->lock, CLOCK_MONOTONIC, &until))
			break;
	}
	slot_unlock(slot);
}

bool slot_monitor_first(struct slot *slot)
{
	return look(slot);
}

/* How often a card has come or gone so far. */
static uint32_t changes(struct slot *slot)
{
	uint32_t counter;

	slot_lock(slot);
	counter = slot->counter;
	slot_unlock(slot);
	return counter;
}

static bool is_stopping(struct slot *slot)
{
	bool stopping;

	slot_lock(slot);
	stopping = slot->stopping;
	slot->monitored = !stopping;
	slot_unlock(slot);
	return stopping;
}

void slot_monitor(struct slot *slot)
{
	bool polls = driver_can_poll(slot->channel);
	int timeout = POLL_MS;
	unsigned haste = 0;

	if (polls && driver_stop_poll(slot->channel) == IFD_NOT_SUPPORTED)
		timeout = POLL_DEAF_MS;
	while (!is_stopping(slot)) {
		int64_t begun = clock_now();
		uint32_t before = changes(slot);
		RESPONSECODE rc = IFD_NOT_SUPPORTED;

		if (polls && haste < HASTE_MAX)
			rc = driver_poll(slot->channel, timeout);
		else if (polls)
			log_line(PCSC_LOG_DEBUG,
				"%s: the driver's poll function tells nothing, "
				"again and again; looking after a while",
				slot->name);
		if (rc != IFD_SUCCESS && rc != IFD_NO_SUCH_DEVICE)
			sleep_between_looks(slot);
		haste = clock_now() - begun < HASTE_NS ? haste + 1 : 0;
		if (!look(slot))
			break;
		if (changes(slot) != before)
			haste = 0;
	}
	slot_lock(slot);
	slot->monitored = false;
	slot_unlock(slot);
}
