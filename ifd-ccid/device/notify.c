/* SPDX-License-Identifier: BSD-3-Clause */
/* The interrupt pipe: card changes told by the reader, and waiting for them. */
#include "device_private.h"

#include <stdlib.h>

#include "iccd.h"
#include "ifd-ccid/deadline.h"
#include "ifd-ccid/log.h"

enum {
	MAX_ERRORS = 3,   /* failed interrupt transfers in a row before they are given up */
	POLLED_MS = 400,  /* between looks at a reader whose interrupt pipe has failed */
	STATUS_MS = 3000, /* for GetSlotStatus; contactless readers search their field first */
};

static void listen(struct device *device)
{
	if (!device->event_bytes || device->event_pending || device->event_halted ||
		device->event_errors >= MAX_ERRORS || device->gone || device->closing)
		return;
	device->event_pending = true;
	if (!port_submit(device->port, &device->event)) {
		device->event_pending = false;
		device_lost(device);
	}
}

bool notify_works(const struct device *device)
{
	if (!iccd_is(&device->interface))
		return device->event_pending;
	/* A card that is its own reader doesn't go without it; but it may be slow to be there. */
	for (unsigned i = 0; i < device->interface.ccid.slots; i++)
		if (device->ios[i] && device->ios[i]->presence.state != PRESENCE_PRESENT)
			return false;
	return true;
}

static void heard(struct device *device, const struct port_transfer *transfer)
{
	struct ccid_notice notice;
	size_t at = 0;

	while (ccid_next_notice(
		transfer->buffer, transfer->actual, device->interface.ccid.slots, &at, &notice)) {
		if (notice.type == RDR_to_PC_HardwareError) {
			log_line(LOG_ERROR, "device %s: slot %u reports hardware error %02X",
				device->name, notice.slot, notice.code);
			continue;
		}
		for (unsigned i = 0; i < device->interface.ccid.slots; i++)
			if (device->ios[i] && i / CCID_NOTIFY_SLOTS_PER_BYTE < notice.states_len)
				presence_notice(
					&device->ios[i]->presence, ccid_notice_state(&notice, i));
	}
}

/* What comes before a slot is open leads to nothing: the slot's state is asked for. */
static void record(struct device *device, const struct port_transfer *transfer)
{
	bool open = false;

	for (unsigned i = 0; i < device->interface.ccid.slots; i++)
		open = open || device->ios[i];
	if (open)
		recorder_event(device->recorder, transfer);
}

static void on_event(struct port_transfer *transfer)
{
	struct device *device = transfer->owner;

	pthread_mutex_lock(&device->lock);
	device->event_pending = false;
	switch (transfer->status) {
	case PORT_OK:
		device->event_errors = 0;
		record(device, transfer);
		heard(device, transfer);
		break;
	case PORT_CANCELLED:
		break;
	case PORT_GONE:
		device_lost(device);
		break;
	default:
		record(device, transfer);
		device->event_errors++;
		device->event_halted =
			transfer->status == PORT_STALL && device->event_errors < MAX_ERRORS;
		log_line(LOG_ERROR, "device %s: interrupt pipe: %s", device->name,
			port_strstatus(transfer->status));
	}
	if (transfer->status != PORT_CANCELLED)
		listen(device);
	pthread_cond_broadcast(&device->changed);
	pthread_mutex_unlock(&device->lock);
}

bool notify_init(struct device *device)
{
	size_t packet = device->interface.interrupt_packet;
	size_t message = 1 + (device->interface.ccid.slots + CCID_NOTIFY_SLOTS_PER_BYTE - 1) /
				     CCID_NOTIFY_SLOTS_PER_BYTE;

	if (!device->interface.interrupt_in)
		return true;
	/* Whole packets, but no more than the longest message needs: a longer transfer would not
	 * end with a message that fills its packet. */
	device->event.length = (message + packet - 1) / packet * packet;
	device->event_bytes = malloc(device->event.length);
	if (!device->event_bytes)
		return false;
	device->event.endpoint = device->interface.interrupt_in;
	device->event.buffer = device->event_bytes;
	device->event.done = on_event;
	device->event.owner = device;
	pthread_mutex_lock(&device->lock);
	listen(device);
	pthread_mutex_unlock(&device->lock);
	return true;
}

void notify_fini(struct device *device)
{
	if (!device->event_bytes)
		return;
	port_cancel(device->port, &device->event);
	port_release(device->port, &device->event);
	free(device->event_bytes);
	device->event_bytes = NULL;
}

bool device_has_events(const struct device *device)
{
	return device->event_bytes != NULL || iccd_is(&device->interface);
}

static bool must_ask(const struct device *device, const struct presence *presence)
{
	/* A card there was powered up to be found: it stays until something shows that it left. */
	if (device->quirks.presence == QUIRK_PRESENCE_POWER_ON)
		return presence->state != PRESENCE_PRESENT;
	return presence_must_ask(presence, notify_works(device));
}

/*
 * Of a reader that doesn't know whether it has a card: one that can be powered up is there. It is
 * left without power, as its host expects it.
 */
static enum ccid_result ask_by_power(struct device *device, unsigned slot,
	const struct ccid_patience *patience, struct ccid_answer *answer)
{
	static const struct ccid_command on = { .type = PC_to_RDR_IccPowerOn };
	static const struct ccid_command off = { .type = PC_to_RDR_IccPowerOff };
	enum ccid_result result = device_exchange(device, slot, &on, patience, false, answer);
	struct ccid_answer ignored;

	if (result == CCID_OK)
		result = device_exchange(device, slot, &off, patience, false, &ignored);
	else if (result == CCID_REFUSED)
		answer->bStatus = CCID_ICC_ABSENT;
	return result;
}

static enum ccid_result ask_reader(struct device *device, unsigned slot, struct ccid_answer *answer)
{
	static const struct ccid_command command = { .type = PC_to_RDR_GetSlotStatus };
	int64_t ms = device->quirks.has[QUIRK_STATUS_TIMEOUT] ? device->quirks.status_timeout
							      : STATUS_MS;
	struct ccid_patience patience = {
		.timeout_ms = ms, .ceiling_ms = ms, .end = deadline_in_ms(2 * ms)
	};

	if (device->quirks.presence == QUIRK_PRESENCE_POWER_ON)
		return ask_by_power(device, slot, &patience, answer);
	return device_exchange(device, slot, &command, &patience, false, answer);
}

enum ccid_result device_presence(struct device *device, unsigned slot)
{
	struct io *io = device->ios[slot];
	enum ccid_result result = CCID_OK;
	struct ccid_answer answer;
	uint32_t events;
	bool present;
	bool known;
	bool ask;

	pthread_mutex_lock(&device->lock);
	ask = must_ask(device, &io->presence);
	known = io->presence.state != PRESENCE_UNKNOWN;
	events = io->presence.events;
	if (device->gone)
		result = CCID_GONE;
	pthread_mutex_unlock(&device->lock);
	if (ask && result == CCID_OK)
		result = ask_reader(device, slot, &answer);
	if (result == CCID_BUSY && known)
		ask = false;
	else if (result != CCID_OK && result != CCID_REFUSED)
		return result;
	pthread_mutex_lock(&device->lock);
	/* Refused is no failure here: many readers tell an empty slot so. */
	if (ask)
		presence_status(&io->presence, ccid_icc(&answer), events);
	present = presence_tell(&io->presence);
	pthread_mutex_unlock(&device->lock);
	return present ? CCID_OK : CCID_ABSENT;
}

void device_power_result(struct device *device, unsigned slot, bool worked)
{
	struct presence *presence = &device->ios[slot]->presence;

	if (device->quirks.presence != QUIRK_PRESENCE_POWER_ON)
		return;
	pthread_mutex_lock(&device->lock);
	presence_status(presence, worked ? CCID_ICC_ACTIVE : CCID_ICC_ABSENT, presence->events);
	pthread_mutex_unlock(&device->lock);
}

/* A halted interrupt pipe is repaired by the thread that waits for it. */
static void repair(struct device *device)
{
	bool halted;

	pthread_mutex_lock(&device->lock);
	halted = device->event_halted && !device->gone;
	pthread_mutex_unlock(&device->lock);
	if (!halted)
		return;
	port_clear_halt(device->port, device->event.endpoint);
	pthread_mutex_lock(&device->lock);
	device->event_halted = false;
	listen(device);
	pthread_mutex_unlock(&device->lock);
}

enum ccid_result device_poll(struct device *device, unsigned slot, int timeout_ms)
{
	struct io *io = device->ios[slot];
	int64_t deadline = deadline_in_ms(timeout_ms);
	enum ccid_result result = CCID_OK;

	repair(device);
	pthread_mutex_lock(&device->lock);
	if (!notify_works(device))
		deadline = deadline_min(deadline, deadline_in_ms(POLLED_MS));
	while (!device->gone && !io->stop && io->presence.events == io->presence.seen &&
		!device->event_halted)
		if (deadline_cond_wait(&device->changed, &device->lock, deadline) != 0)
			break;
	io->stop = false;
	if (device->gone)
		result = CCID_GONE;
	pthread_mutex_unlock(&device->lock);
	return result;
}

void device_stop_poll(struct device *device, unsigned slot)
{
	pthread_mutex_lock(&device->lock);
	device->ios[slot]->stop = true;
	pthread_cond_broadcast(&device->changed);
	pthread_mutex_unlock(&device->lock);
}
