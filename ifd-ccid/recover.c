/* SPDX-License-Identifier: BSD-3-Clause */
/* From a failed exchange back to a usable slot, by steps from gentle to rough. */
#include "device_private.h"

#include "bytes.h"
#include "deadline.h"
#include "log.h"
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

	put_le16(setup + USB_SETUP_wValue, (uint16_t)((unsigned int)seq << 8 | io->slot));
	put_le16(setup + USB_SETUP_wIndex, device->interface.bInterfaceNumber);
	if (port_control(device->port, setup, NULL, NULL, step_end(end)) != PORT_OK)
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

static bool try_clear_halt(struct io *io, uint8_t seq, int64_t end)
{
	struct device *device = io->device;

	set_repairing(device, true);
	port_cancel(device->port, &device->in);
	port_clear_halt(device->port, device->interface.bulk_in);
	port_clear_halt(device->port, device->interface.bulk_out);
	set_repairing(device, false);
	/* A reader that has heard only one half of the Abort waits for the other. */
	return answers(io, end) || try_abort(io, seq, end);
}

/* Costs the cards in all slots their power, so only a reader of one slot is treated so. */
static bool try_reset(struct io *io, int64_t end)
{
	struct device *device = io->device;

	if (device->interface.ccid.slots > 1)
		return false;
	set_repairing(device, true);
	port_cancel(device->port, &device->in);
	port_reset(device->port);
	set_repairing(device, false);
	return answers(io, end);
}

void recover(struct io *io, uint8_t seq, int64_t budget_ms)
{
	struct device *device = io->device;
	int64_t end = deadline_in_ms(budget_ms);
	const char *step = "abort";
	bool ok = try_abort(io, seq, end);

	if (!ok && !device_is_gone(device)) {
		step = "clear halt";
		ok = try_clear_halt(io, seq, deadline_in_ms(budget_ms));
	}
	if (!ok && !device_is_gone(device)) {
		step = "port reset";
		ok = try_reset(io, deadline_in_ms(budget_ms));
	}
	io->dirty = !ok;
	if (device_is_gone(device))
		return;
	if (ok)
		log_line(LOG_INFO, "device %s: slot %u usable again after %s", device->name,
			io->slot, step);
	else
		log_line(LOG_ERROR,
			"device %s: slot %u doesn't recover; tried abort, clear halt, reset",
			device->name, io->slot);
}
