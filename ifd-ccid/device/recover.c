/* SPDX-License-Identifier: BSD-3-Clause */
/* From a failed exchange back to a usable slot, by steps from gentle to rough. */
#include "device_private.h"

#include "ifd-ccid/bytes.h"
#include "ifd-ccid/deadline.h"
#include "ifd-ccid/log.h"
#include "spec/usb.h"

enum {
	STEP_MS = 1000, /* longest time for one step of a ladder */
};

static int64_t step_end(int64_t end)
{
	return deadline_min(deadline_in_ms(STEP_MS), end);
}

static enum ccid_result ask(struct io *io, uint8_t type, uint8_t seq, int64_t end)
{
	struct ccid_command command = { .type = type };

	io->patience = (struct ccid_patience){
		.timeout_ms = STEP_MS, .ceiling_ms = STEP_MS, .end = step_end(end)
	};
	return pipe_exchange(io, &command, seq, false);
}

static bool answers(struct io *io, int64_t end)
{
	enum ccid_result result = ask(io, PC_to_RDR_GetSlotStatus, pipe_next_seq(io->device), end);

	/* Refused is no failure for an empty slot, but for one that still awaits the Abort it is. */
	return result == CCID_OK ||
	       (result == CCID_REFUSED && io->answer.bError != CCID_ERROR_CMD_ABORTED &&
		       io->answer.bError != CCID_ERROR_CMD_SLOT_BUSY);
}

/*
 * ABORT on the control pipe and PC_to_RDR_Abort with the same bSeq (CCID 1.1 §5.3.1). A late answer
 * to the aborted command has that bSeq too, and may even be a SlotStatus; hence the question with a
 * bSeq of its own behind it, whose answer comes after all of them.
 */
static bool try_abort(struct io *io, uint8_t seq, int64_t end)
{
	struct device *device = io->device;
	uint8_t setup[USB_SETUP_SIZE] = { USB_DIR_OUT | USB_TYPE_CLASS | USB_RECIP_INTERFACE,
		CCID_REQ_ABORT };
	enum ccid_result result;

	if (!device->quirks.control_abort)
		return false;
	put_le16(setup + USB_SETUP_wValue, (uint16_t)((unsigned int)seq << 8 | io->slot));
	put_le16(setup + USB_SETUP_wIndex, device->interface.bInterfaceNumber);
	if (device_control(device, setup, NULL, NULL, step_end(end), NULL) != PORT_OK)
		return false;
	result = ask(io, PC_to_RDR_Abort, seq, end);
	return (result == CCID_OK || result == CCID_REFUSED) && answers(io, end);
}

/* Takes bulk-IN away from everybody, or gives it back. */
static void set_repairing(struct device *device, bool repairing)
{
	pthread_mutex_lock(&device->lock);
	device->repairing = repairing;
	pipe_listen(device);
	pthread_mutex_unlock(&device->lock);
}

static void record_step(
	struct device *device, enum recording_kind kind, uint8_t endpoint, enum port_status status)
{
	const struct recording_entry entry = {
		.kind = kind,
		.endpoint = endpoint,
		.status = status == PORT_OK ? RECORDING_OK : RECORDING_ERROR,
	};

	recorder_add(device->recorder, &entry);
}

static void clear_halt(struct device *device, uint8_t endpoint)
{
	record_step(
		device, RECORDING_CLEAR_HALT, endpoint, port_clear_halt(device->port, endpoint));
}

static bool try_clear_halt(struct io *io, uint8_t seq, int64_t end)
{
	struct device *device = io->device;

	set_repairing(device, true);
	port_cancel(device->port, &device->in);
	clear_halt(device, device->interface.bulk_in);
	clear_halt(device, device->interface.bulk_out);
	set_repairing(device, false);
	/* A reader that has heard only one half of the Abort waits for the other. */
	return answers(io, end) || try_abort(io, seq, end);
}

/* The card loses its power, and with it whatever it was at; the host finds out by presence. */
static bool try_power_cycle(struct io *io, uint8_t seq, int64_t end)
{
	enum ccid_result result =
		ask(io, PC_to_RDR_IccPowerOff, pipe_next_seq(io->device), step_end(end));

	(void)seq;
	return (result == CCID_OK || result == CCID_REFUSED) && answers(io, end);
}

/* Takes the device for a reset, unless another slot is at work. */
static bool begin_reset(struct device *device)
{
	bool alone;

	pthread_mutex_lock(&device->lock);
	alone = device->busy == 1 && !device->resetting;
	if (alone)
		device->resetting = device->repairing = true;
	pthread_mutex_unlock(&device->lock);
	return alone;
}

static void end_reset(struct device *device, bool done)
{
	pthread_mutex_lock(&device->lock);
	device->resetting = device->repairing = false;
	for (unsigned i = 0; done && i < device->interface.ccid.slots; i++)
		if (device->ios[i])
			presence_power_lost(&device->ios[i]->presence);
	pipe_listen(device);
	pthread_cond_broadcast(&device->changed);
	pthread_mutex_unlock(&device->lock);
}

/* Costs the cards in all slots their power. */
static bool try_reset(struct io *io, uint8_t seq, int64_t end)
{
	struct device *device = io->device;
	enum port_status status;

	(void)seq;
	if (!begin_reset(device)) {
		log_line(LOG_INFO, "device %s: not reset, since another slot is at work",
			device->name);
		return false;
	}
	port_cancel(device->port, &device->in);
	status = port_reset(device->port);
	record_step(device, RECORDING_RESET, 0, status);
	end_reset(device, status == PORT_OK);
	if (status == PORT_GONE)
		device_removed(device);
	return status == PORT_OK && answers(io, end);
}

static const struct {
	const char *name;
	bool (*run)(struct io *io, uint8_t seq, int64_t end);
} ladder[] = {
	{ "abort", try_abort },
	{ "clear halt", try_clear_halt },
	{ "slot power cycle", try_power_cycle },
	{ "port reset", try_reset },
};

void recover(struct io *io, uint8_t seq, int64_t budget_ms)
{
	struct device *device = io->device;
	bool ok = false;

	for (size_t i = 0; !ok && i < sizeof(ladder) / sizeof(ladder[0]); i++) {
		ok = ladder[i].run(io, seq, deadline_in_ms(budget_ms));
		if (device_is_gone(device))
			return;
		log_line(ok ? LOG_INFO : LOG_ERROR, "device %s: slot %u: recovery by %s %s",
			device->name, io->slot, ladder[i].name, ok ? "worked" : "failed");
	}
	io->dirty = !ok;
}
