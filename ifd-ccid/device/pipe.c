/* SPDX-License-Identifier: BSD-3-Clause */
/* One command and its answer over the bulk pipes. */
#include "device_private.h"

#include <stdlib.h>
#include <string.h>

#include "ifd-ccid/deadline.h"
#include "ifd-ccid/log.h"

enum {
	MAX_LOOKS = 3, /* in the life of a device: one that leaves packets out shows soon */
	OUT_MS = 5000, /* for a command to be taken, once its answer is there */
};

static void on_out(struct port_transfer *transfer);

struct io *io_new(struct device *device, unsigned slot)
{
	struct io *io = calloc(1, sizeof(*io));

	if (!io)
		return NULL;
	io->device = device;
	io->slot = slot;
	deadline_cond_init(&io->cond);
	io->out_bytes = malloc(CCID_MAX_MESSAGE);
	io->answer_bytes = malloc(pipe_answer_room(device));
	if (!io->out_bytes || !io->answer_bytes) {
		io_free(io);
		return NULL;
	}
	io->out.endpoint = device->interface.bulk_out;
	io->out.buffer = io->out_bytes;
	io->out.done = on_out;
	io->out.owner = io;
	io->out.zero_packet = device->quirks.zero_length_packet;
	return io;
}

void io_free(struct io *io)
{
	if (!io)
		return;
	port_release(io->device->port, &io->out);
	pthread_cond_destroy(&io->cond);
	free(io->out_bytes);
	free(io->answer_bytes);
	free(io);
}

static void on_out(struct port_transfer *transfer)
{
	struct io *io = transfer->owner;
	struct device *device = io->device;

	pthread_mutex_lock(&device->lock);
	io->out_pending = false;
	if (transfer->status == PORT_GONE) {
		device_lost(device);
	} else if (transfer->status != PORT_OK && io->state == IO_WAITING) {
		log_line(LOG_ERROR, "device %s: bulk-OUT: %s", device->name,
			port_strstatus(transfer->status));
		pipe_settle(io, IO_FAILED);
	}
	/* A waiter that already has its answer waits for this too. */
	pthread_cond_broadcast(&io->cond);
	pthread_mutex_unlock(&device->lock);
}

uint8_t pipe_next_seq(struct device *device)
{
	uint8_t seq;

	pthread_mutex_lock(&device->lock);
	seq = device->seq++;
	pthread_mutex_unlock(&device->lock);
	return seq;
}

/* With the lock held: sends what io->out has. */
static void send_out(struct io *io)
{
	struct device *device = io->device;

	if (device->gone)
		return;
	io->out_pending = true;
	if (!port_submit(device->port, &io->out)) {
		io->out_pending = false;
		device_lost(device);
	}
}

/* With the lock held: makes io->out, which is not pending, this command, recorded as that secret. */
static void fill_out(struct io *io, const struct ccid_command *command, uint8_t seq,
	struct mask_secrecy *secrecy)
{
	struct device *device = io->device;

	ccid_put_header(io->out_bytes, command, (uint8_t)io->slot, seq);
	if (command->len)
		memcpy(io->out_bytes + CCID_MSG_abData, command->data, command->len);
	io->out.length = CCID_MSG_HEADER_SIZE + command->len;
	log_line(LOG_COMM, "device %s: slot %u -> %02X bSeq %u, %zu bytes", device->name, io->slot,
		command->type, seq, command->len);
	recorder_bulk(device->recorder, io->out.endpoint, PORT_OK, io->out_bytes, 0, io->out.length,
		secrecy);
}

/*
 * Makes the reader send a short packet, which ends the transfer that holds an answer without an end:
 * a slot with an answer out is not busy, and tells its status. One that is still at work says just
 * that (CMD_SLOT_BUSY, CCID 1.1 §6.2.6), or nothing before it is done.
 */
static void nudge(struct io *io)
{
	static const struct ccid_command status = { .type = PC_to_RDR_GetSlotStatus };
	struct mask_secrecy nothing = { .shape = MASK_NOTHING };
	struct device *device = io->device;

	if (io->type != PC_to_RDR_XfrBlock || io->out_pending || !device->in_pending ||
		device->in.length <= device->interface.bulk_in_packet)
		return;
	log_line(LOG_INFO, "device %s: slot %u: no answer yet, the slot's status is asked",
		device->name, io->slot);
	fill_out(io, &status, device->seq++, &nothing);
	send_out(io);
}

/* With the lock held, which may be given up for a while: is there an answer that has no end? */
static void look(struct io *io)
{
	struct device *device = io->device;

	device->looks++;
	if (!device->port->keeps_partial) {
		nudge(io);
		return;
	}
	pthread_mutex_unlock(&device->lock);
	port_cancel(device->port, &device->in);
	pthread_mutex_lock(&device->lock);
	pipe_listen(device);
}

static bool may_look(const struct device *device)
{
	return !device->packetwise && device->looks < MAX_LOOKS &&
	       (device->port->keeps_partial || !(device->ends || device->port->framed));
}

/* With the lock held, until the exchange has ended. */
static enum ccid_result await(struct io *io, bool abortable)
{
	struct device *device = io->device;
	bool looks = abortable && may_look(device);
	int64_t out_deadline = 0;

	for (;;) {
		if (device->gone)
			return CCID_GONE;
		if (io->state == IO_FAILED)
			return CCID_GARBLED;
		if (io->state == IO_ANSWERED && !io->out_pending)
			break;
		if (abortable && io->aborting)
			return CCID_ABORTED;
		if (io->state == IO_ANSWERED && !out_deadline)
			out_deadline = deadline_in_ms(OUT_MS);
		if (out_deadline)
			io->deadline = out_deadline;
		if (deadline_now() >= io->deadline)
			return out_deadline ? CCID_GARBLED : CCID_TIMEOUT;
		if (looks && deadline_now() >= io->look_at) {
			looks = false;
			look(io);
			continue;
		}
		deadline_cond_wait(&io->cond, &device->lock,
			looks ? deadline_min(io->look_at, io->deadline) : io->deadline);
	}
	if (ccid_command_status(&io->answer) == CCID_COMMAND_OK)
		return CCID_OK;
	return CCID_REFUSED;
}

enum ccid_result pipe_exchange(
	struct io *io, const struct ccid_command *command, uint8_t seq, bool abortable)
{
	struct mask_secrecy nothing = { .shape = MASK_NOTHING };
	struct device *device = io->device;
	enum ccid_result result;
	bool cancel;

	pthread_mutex_lock(&device->lock);
	/* During recovery the answer to what has failed may come yet, as secret as ever. */
	if (abortable)
		io->secrecy.shape = command->shape;
	fill_out(io, command, seq, abortable ? &io->secrecy : &nothing);
	io->type = command->type;
	io->seq = seq;
	io->expect = command->expect ? CCID_MSG_HEADER_SIZE + command->expect : 0;
	io->deadline = deadline_min(deadline_in_ms(io->patience.timeout_ms), io->patience.end);
	io->look_at = pipe_look_time(io);
	io->state = IO_WAITING;
	device->waiting++;
	pipe_listen(device);
	send_out(io);
	result = await(io, abortable);
	pipe_settle(io, IO_IDLE);
	cancel = io->out_pending;
	pthread_mutex_unlock(&device->lock);
	if (cancel)
		port_cancel(device->port, &io->out);
	if (result == CCID_OK || result == CCID_REFUSED)
		log_line(LOG_COMM, "device %s: slot %u <- %02X bSeq %u, %zu bytes, %02X %02X",
			device->name, io->slot, io->answer.type, seq, io->answer.len,
			io->answer.bStatus, io->answer.bError);
	return result;
}
