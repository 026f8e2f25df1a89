/* SPDX-License-Identifier: BSD-3-Clause */
/* A command's place among those of other slots, and what is done when it fails. */
#include "device_private.h"

#include <string.h>

#include "iccd.h"
#include "ifd-ccid/deadline.h"

enum {
	RECOVER_MS = 3000,      /* for recovery after a failure */
	RECOVER_ABORT_MS = 800, /* after an abort, whose caller waits for it */
};

/* One exchange fewer runs. */
static void give_up(struct device *device)
{
	pthread_mutex_lock(&device->lock);
	device->busy--;
	/* Only slots beyond the busy ones wait here; with enough of them nobody does. */
	if (device->interface.ccid.busy_slots < device->interface.ccid.slots)
		pthread_cond_broadcast(&device->changed);
	pthread_mutex_unlock(&device->lock);
}

/* Waits until one more exchange may run (bMaxCCIDBusySlots). */
static enum ccid_result enter(struct io *io)
{
	struct device *device = io->device;
	enum ccid_result result = CCID_OK;

	pthread_mutex_lock(&device->lock);
	for (;;) {
		if (device->gone)
			result = CCID_GONE;
		else if (io->aborting)
			result = CCID_ABORTED;
		else if (!device->resetting && device->busy < device->interface.ccid.busy_slots)
			device->busy++;
		else if (deadline_now() >= io->patience.end)
			result = CCID_BUSY;
		else {
			deadline_cond_wait(&device->changed, &device->lock, io->patience.end);
			continue;
		}
		break;
	}
	pthread_mutex_unlock(&device->lock);
	if (result == CCID_OK && device->quirks.interfaces_take_turns &&
		!port_take_turn(device->port, io->patience.end)) {
		give_up(device);
		return CCID_BUSY;
	}
	return result;
}

static void leave(struct device *device)
{
	if (device->quirks.interfaces_take_turns)
		port_give_turn(device->port);
	give_up(device);
}

static bool reaches_card(const struct ccid_command *command)
{
	return command->type == PC_to_RDR_XfrBlock || command->type == PC_to_RDR_Secure ||
	       command->type == PC_to_RDR_Secure_KEYBOARD || command->type == PC_to_RDR_Escape;
}

static enum ccid_result exchange_and_recover(
	struct io *io, const struct ccid_command *command, const struct ccid_patience *patience)
{
	struct ccid_answer answer;
	enum ccid_result result;
	uint8_t seq;

	if (io->dirty)
		recover(io, io->seq, RECOVER_MS);
	io->patience = *patience;
	seq = pipe_next_seq(io->device);
	result = pipe_exchange(io, command, seq, true);
	answer = io->answer;
	if (result == CCID_TIMEOUT) {
		pthread_mutex_lock(&io->device->lock);
		pipe_read_packetwise(io->device);
		pthread_mutex_unlock(&io->device->lock);
	}
	if (result == CCID_TIMEOUT || result == CCID_GARBLED)
		recover(io, seq, RECOVER_MS);
	else if (result == CCID_ABORTED)
		recover(io, seq, RECOVER_ABORT_MS);
	io->answer = answer;
	return result;
}

enum ccid_result device_exchange(struct device *device, unsigned slot,
	const struct ccid_command *command, const struct ccid_patience *patience, bool secret,
	struct ccid_answer *answer)
{
	struct io *io = device->ios[slot];
	enum ccid_result result;

	if (command->len > CCID_MAX_MESSAGE - CCID_MSG_HEADER_SIZE)
		return CCID_LIMIT;
	if (io->secret)
		explicit_bzero(io->answer_bytes, device->in_room);
	io->secret = secret;
	io->patience = *patience;
	result = enter(io);
	if (result != CCID_OK)
		return result;
	if (iccd_is(&device->interface)) {
		io->secrecy.shape = command->shape;
		result = iccd_exchange(io, command, answer);
		if (secret)
			explicit_bzero(io->out_bytes, command->len);
		leave(device);
		return result;
	}
	result = exchange_and_recover(io, command, patience);
	/* Nothing is done twice that the card would notice. */
	if (result == CCID_GARBLED && !io->dirty && !reaches_card(command))
		result = exchange_and_recover(io, command, patience);
	if (secret)
		explicit_bzero(io->out_bytes, CCID_MSG_HEADER_SIZE + command->len);
	*answer = io->answer;
	leave(device);
	return result;
}
