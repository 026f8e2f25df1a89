/* SPDX-License-Identifier: BSD-3-Clause */
/* Bulk-IN: how much is asked for, what has come, and whose answer it is. */
#include "device_private.h"

#include <stdlib.h>
#include <string.h>

#include "iccd.h"
#include "ifd-ccid/bytes.h"
#include "ifd-ccid/deadline.h"
#include "ifd-ccid/log.h"

enum {
	MAX_USELESS = 200, /* empty, stale or cut answers in a row before the pipe is given up */
	SHORT_ANSWER = CCID_MSG_HEADER_SIZE + 256 + 2 + 3, /* a short response, or a T=1 block */
	ICCD_READ = 4096,                                  /* the longest data stage of iccd.c */
	LOOK_MS = 1000,  /* without an answer, until a look for one without an end */
	NUDGE_MS = 5000, /* the same, where to look is to ask the reader */
	REST_MS = 2000,  /* for the rest of a message that came in parts */
};

static void on_in(struct port_transfer *transfer);

static size_t round_up(size_t n, size_t unit)
{
	return (n + unit - 1) / unit * unit;
}

/* Longest answer that is taken; some readers send longer ones than they announce. */
static size_t longest_answer(const struct device *device)
{
	size_t max = device->interface.ccid.max_message;

	if (iccd_is(&device->interface) && max < ICCD_READ)
		return ICCD_READ;
	return max < SHORT_ANSWER ? SHORT_ANSWER : max;
}

size_t pipe_answer_room(const struct device *device)
{
	size_t packet = iccd_is(&device->interface) ? 64 : device->interface.bulk_in_packet;

	/* One packet more, so that the rest of a split message always has whole packets' room. */
	return round_up(longest_answer(device), packet) + packet;
}

bool pipe_init(struct device *device)
{
	device->in_room = pipe_answer_room(device);
	device->in_bytes = malloc(device->in_room);
	device->in.endpoint = device->interface.bulk_in;
	device->in.done = on_in;
	device->in.owner = device;
	device->packetwise = device->quirks.packet_reads;
	return device->in_bytes != NULL;
}

void pipe_fini(struct device *device)
{
	port_cancel(device->port, &device->in);
	for (unsigned i = 0; i < device->interface.ccid.slots; i++)
		if (device->ios[i])
			port_cancel(device->port, &device->ios[i]->out);
	port_release(device->port, &device->in);
	free(device->in_bytes);
	device->in_bytes = NULL;
}

/* The longest answer that is likely to those who wait; 0: not known. */
static size_t longest_expected(const struct device *device)
{
	size_t longest = 0;

	for (unsigned i = 0; i < device->interface.ccid.slots; i++) {
		const struct io *io = device->ios[i];

		if (!io || io->state != IO_WAITING)
			continue;
		if (io->expect == 0)
			return 0;
		if (io->expect > longest)
			longest = io->expect;
	}
	return longest;
}

/*
 * Bytes to ask for next. A transfer ends with a short packet or when it is full, so no more is asked
 * for than the command lets expect, and the rest of a message by its dwLength: then nothing depends
 * on a packet that a reader may leave out. One that sends it has that packet left over once.
 */
static size_t next_length(const struct device *device)
{
	size_t packet = device->interface.bulk_in_packet;
	size_t room = (device->in_room - device->in_len) / packet * packet;
	size_t expect = device->ends ? 0 : round_up(longest_expected(device), packet);
	struct ccid_answer answer;
	size_t rest;

	if (device->in_len == 0 && device->packetwise)
		return packet;
	if (device->in_len == 0)
		return expect && expect < room ? expect : room;
	if (ccid_get_answer(device->in_bytes, device->in_len, longest_answer(device), &answer) !=
		CCID_INCOMPLETE)
		return room;
	rest = CCID_MSG_HEADER_SIZE + le32(device->in_bytes + CCID_MSG_dwLength) - device->in_len;
	return round_up(rest, packet) < room ? round_up(rest, packet) : room;
}

void pipe_listen(struct device *device)
{
	if (device->in_pending || device->repairing || device->waiting == 0 || device->gone ||
		device->closing)
		return;
	device->in.buffer = device->in_bytes + device->in_len;
	device->in.length = next_length(device);
	device->in_pending = true;
	if (!port_submit(device->port, &device->in)) {
		device->in_pending = false;
		device_lost(device);
	}
}

void pipe_settle(struct io *io, enum io_state state)
{
	if (io->state == IO_WAITING)
		io->device->waiting--;
	io->state = state;
	pthread_cond_broadcast(&io->cond);
}

static struct io *waiting_io(struct device *device, const struct ccid_answer *answer)
{
	struct io *io;

	if (answer->slot >= device->interface.ccid.slots)
		return NULL;
	io = device->ios[answer->slot];
	if (!io || io->state != IO_WAITING || io->seq != answer->seq)
		return NULL;
	return io;
}

int64_t pipe_look_time(const struct io *io)
{
	if (io->device->port->keeps_partial)
		return deadline_in_ms(LOOK_MS);
	return deadline_min(deadline_in_ms(NUDGE_MS), deadline_in_ms(io->patience.timeout_ms / 2));
}

/* The reader asks for time: bError times the usual, which is at least once (CCID 1.1 §6.2.6). */
static void extend(struct io *io, uint8_t factor)
{
	int64_t gain = io->patience.timeout_ms * (factor ? factor : 1);

	if (gain > io->patience.ceiling_ms)
		gain = io->patience.ceiling_ms;
	io->deadline = deadline_min(deadline_in_ms(gain), io->patience.end);
	io->look_at = pipe_look_time(io);
}

/* A whole message, or one that can never be whole. */
static void deliver(struct device *device, enum ccid_decoded how, struct ccid_answer *answer)
{
	struct io *io = waiting_io(device, answer);
	uint8_t *swap;

	if (!io) {
		log_line(LOG_INFO,
			"device %s: answer %02X to an earlier command (slot %u, bSeq %u) dropped",
			device->name, answer->type, answer->slot, answer->seq);
		return;
	}
	device->useless = 0;
	if (io->type == PC_to_RDR_Abort && answer->type != RDR_to_PC_SlotStatus) {
		log_line(LOG_INFO, "device %s: answer %02X to the aborted command dropped",
			device->name, answer->type);
		return;
	}
	if (how == CCID_COMPLETE && ccid_command_status(answer) == CCID_COMMAND_TIME_EXTENSION) {
		extend(io, answer->bError);
		return;
	}
	if (how != CCID_COMPLETE || !ccid_answers(io->type, answer)) {
		log_line(LOG_ERROR, "device %s: malformed answer %02X to command %02X",
			device->name, answer->type, io->type);
		pipe_settle(io, IO_FAILED);
		return;
	}
	if (presence_answer(&io->presence, ccid_icc(answer), notify_works(device)))
		pthread_cond_broadcast(&device->changed);
	/* The bytes go to the slot by exchanging buffers. */
	swap = io->answer_bytes;
	io->answer_bytes = device->in_bytes;
	device->in_bytes = swap;
	io->answer = *answer;
	pipe_settle(io, IO_ANSWERED);
}

/* With bytes in the buffer. False: the message goes on in the next transfer. */
static bool take(struct device *device)
{
	struct ccid_answer answer;
	enum ccid_decoded how =
		ccid_get_answer(device->in_bytes, device->in_len, longest_answer(device), &answer);
	struct io *io;

	if (how == CCID_INCOMPLETE) {
		io = waiting_io(device, &answer);
		if (io) {
			io->deadline = deadline_min(io->deadline, deadline_in_ms(REST_MS));
			pthread_cond_broadcast(&io->cond);
		}
		return io == NULL;
	}
	if (how == CCID_TOO_SHORT)
		log_line(LOG_ERROR, "device %s: answer of %zu bytes dropped", device->name,
			device->in_len);
	else
		deliver(device, how, &answer);
	return true;
}

void pipe_read_packetwise(struct device *device)
{
	if (!device->packetwise)
		log_line(LOG_INFO, "device %s: answers are read packet by packet from now on",
			device->name);
	device->packetwise = true;
}

/*
 * Length of the first message of a transfer. After one of whole packets the reader should have sent
 * an empty packet; where it has not, its next message goes on in the same transfer.
 */
static size_t first_length(const struct device *device)
{
	struct ccid_answer answer;
	size_t len;

	if (ccid_get_answer(device->in_bytes, device->in_len, longest_answer(device), &answer) !=
		CCID_TRAILING)
		return device->in_len;
	len = CCID_MSG_HEADER_SIZE + le32(device->in_bytes + CCID_MSG_dwLength);
	return len % device->interface.bulk_in_packet == 0 ? len : device->in_len;
}

/* All messages of a transfer, or of several that bring one. */
static void take_all(struct device *device)
{
	while (device->in_len > 0) {
		uint8_t *bytes = device->in_bytes;
		size_t first = first_length(device);
		size_t rest = device->in_len - first;

		if (rest > 0)
			pipe_read_packetwise(device);
		device->in_len = first;
		if (!take(device))
			return;
		/* The buffer may be the slot's by now, which gets the lock after us. */
		memmove(device->in_bytes, bytes + first, rest);
		device->in_len = rest;
	}
}

static void fail_all(struct device *device)
{
	for (unsigned i = 0; i < device->interface.ccid.slots; i++)
		if (device->ios[i] && device->ios[i]->state == IO_WAITING)
			pipe_settle(device->ios[i], IO_FAILED);
}

/* Of a transfer that was cancelled since it didn't end: what has come of an answer all the same. */
static void harvest(struct device *device, size_t len)
{
	if (!device->port->keeps_partial || len == 0)
		return;
	pipe_read_packetwise(device);
	device->in_len += len;
	take_all(device);
}

/* Whether a transfer was ended by the empty packet behind whole ones, or is that packet. */
static bool ends_with_empty(const struct device *device, const struct port_transfer *transfer)
{
	if (transfer->actual == 0)
		return device->in_len == 0 && device->filled;
	return transfer->actual < transfer->length &&
	       transfer->actual % device->interface.bulk_in_packet == 0;
}

/*
 * An answer is as secret as the command that its slot is at. One to an earlier command is recorded as
 * if it were secret, and so are several in one transfer.
 */
static void record_in(struct device *device, const struct port_transfer *transfer)
{
	const uint8_t *message = device->in_bytes;
	size_t len = device->in_len + transfer->actual;
	struct mask_secrecy stray = { .shape = MASK_APDU };
	struct io *io = NULL;

	if (transfer->status == PORT_CANCELLED && transfer->actual == 0)
		return;
	if (len >= CCID_MSG_HEADER_SIZE && message[CCID_MSG_bSlot] < device->interface.ccid.slots &&
		le32(message + CCID_MSG_dwLength) >= len - CCID_MSG_HEADER_SIZE)
		io = device->ios[message[CCID_MSG_bSlot]];
	if (io && io->seq != message[CCID_MSG_bSeq])
		io = NULL;
	recorder_bulk(device->recorder, transfer->endpoint, transfer->status, message,
		device->in_len, len, io ? &io->secrecy : &stray);
}

static void on_in(struct port_transfer *transfer)
{
	struct device *device = transfer->owner;

	pthread_mutex_lock(&device->lock);
	device->in_pending = false;
	record_in(device, transfer);
	switch (transfer->status) {
	case PORT_OK:
		device->ends = device->ends || ends_with_empty(device, transfer);
		device->filled = transfer->actual == transfer->length;
		device->in_len += transfer->actual;
		if (++device->useless > MAX_USELESS)
			fail_all(device);
		if (transfer->actual > 0)
			take_all(device);
		pipe_listen(device);
		break;
	case PORT_CANCELLED:
		if (device->repairing || device->closing)
			device->in_len = 0;
		else
			harvest(device, transfer->actual);
		break;
	case PORT_GONE:
		device_lost(device);
		break;
	default:
		log_line(LOG_ERROR, "device %s: bulk-IN: %s", device->name,
			port_strstatus(transfer->status));
		device->in_len = 0;
		fail_all(device);
	}
	pthread_mutex_unlock(&device->lock);
}
