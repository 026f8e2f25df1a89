/* SPDX-License-Identifier: BSD-3-Clause */
#include "serial_link.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "ifd-ccid/bytes.h"
#include "ifd-ccid/log.h"
#include "spec/ccid.h"

enum {
	MAX_REPEATS = 3, /* of a command that the reader refuses as damaged */
};

void serial_wake(struct serial *s)
{
	uint64_t one = 1;

	(void)!write(s->wake, &one, sizeof(one));
}

/* With the lock held. False: it is not pending. */
static bool take_out(struct serial *s, const struct port_transfer *transfer)
{
	for (size_t i = 0; i < s->count; i++) {
		if (s->pending[i] != transfer)
			continue;
		s->count--;
		memmove(s->pending + i, s->pending + i + 1,
			(s->count - i) * sizeof(struct port_transfer *));
		if (s->out == transfer)
			s->out = NULL;
		return true;
	}
	return false;
}

/* With the lock held, which is given up during done(). */
static void end(struct serial *s, struct port_transfer *transfer, enum port_status status)
{
	if (!take_out(s, transfer))
		return;
	s->ending = transfer;
	pthread_mutex_unlock(&s->lock);
	transfer->status = status;
	transfer->done(transfer);
	pthread_mutex_lock(&s->lock);
	s->ending = NULL;
	pthread_cond_broadcast(&s->ended);
}

bool serial_submit(struct port *port, struct port_transfer *transfer)
{
	struct serial *s = serial_of(port);
	bool ok;

	transfer->actual = 0;
	pthread_mutex_lock(&s->lock);
	ok = !s->gone && s->count < SERIAL_MAX_PENDING;
	if (ok)
		s->pending[s->count++] = transfer;
	pthread_mutex_unlock(&s->lock);
	if (ok)
		serial_wake(s);
	return ok;
}

void serial_cancel(struct port *port, struct port_transfer *transfer)
{
	struct serial *s = serial_of(port);
	bool mine;

	pthread_mutex_lock(&s->lock);
	mine = take_out(s, transfer);
	while (!mine && s->ending == transfer)
		pthread_cond_wait(&s->ended, &s->lock);
	pthread_mutex_unlock(&s->lock);
	if (mine) {
		transfer->status = PORT_CANCELLED;
		transfer->done(transfer);
	}
}

/* With the lock held: answers a control request in the reader's place. */
static enum port_status control(const struct serial *s, struct port_transfer *transfer)
{
	const uint8_t *setup = transfer->buffer;
	uint8_t *data = transfer->buffer + USB_SETUP_SIZE;
	size_t room = transfer->length - USB_SETUP_SIZE;

	switch (setup[USB_SETUP_bRequest]) {
	case CCID_REQ_GET_DATA_RATES:
		for (size_t i = 0; i < s->model.rate_count && 4 * i + 4 <= room; i++) {
			put_le32(data + 4 * i, s->model.rates[i]);
			transfer->actual = 4 * i + 4;
		}
		return PORT_OK;
	case CCID_REQ_ABORT: /* its other half, PC_to_RDR_Abort, follows */
		return PORT_OK;
	default:
		return PORT_STALL;
	}
}

static struct port_transfer *first_pending(const struct serial *s, uint8_t endpoint, uint8_t mask)
{
	for (size_t i = 0; i < s->count; i++)
		if ((s->pending[i]->endpoint & mask) == endpoint)
			return s->pending[i];
	return NULL;
}

static struct port_transfer *pending_in(const struct serial *s)
{
	return first_pending(s, USB_DIR_IN, USB_DIR_MASK);
}

/* With the lock held: ends control requests, begins to write the next command. */
static void serve(struct serial *s)
{
	struct port_transfer *transfer;

	while ((transfer = first_pending(s, 0, UINT8_MAX)) != NULL)
		end(s, transfer, control(s, transfer));
	for (size_t i = 0; i < s->count && !s->out; i++) {
		transfer = s->pending[i];
		if (transfer->endpoint & USB_DIR_IN)
			continue;
		if (transfer->length > SERIAL_MAX_MESSAGE) {
			end(s, transfer, PORT_ERROR);
			i = (size_t)-1;
			continue;
		}
		s->out = transfer;
		explicit_bzero(s->tx, sizeof(s->tx));
		s->tx_len = serial_frame_put(&s->frame, s->tx, transfer->buffer, transfer->length);
		s->tx_at = 0;
		s->repeats = 0;
		/* What the last answer has left unfinished will never be finished. */
		serial_frame_restart(&s->frame);
	}
}

bool serial_transmit(struct serial *s)
{
	ssize_t n = write(s->fd, s->tx + s->tx_at, s->tx_len - s->tx_at);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	s->tx_at += (size_t)n;
	if (s->tx_at == s->tx_len && s->out)
		end(s, s->out, PORT_OK);
	return true;
}

static void deliver(struct serial *s, const uint8_t *message, size_t len)
{
	struct port_transfer *in = pending_in(s);

	if (!in)
		return;
	if (len > in->length) {
		end(s, in, PORT_OVERFLOW);
		return;
	}
	memcpy(in->buffer, message, len);
	in->actual = len;
	end(s, in, PORT_OK);
}

/* A request for time as readers on USB make it (CCID 1.1 §6.2.6). */
static void deliver_time(struct serial *s)
{
	uint8_t message[CCID_MSG_HEADER_SIZE] = { RDR_to_PC_DataBlock };

	message[CCID_MSG_bSlot] = s->tx[2 + CCID_MSG_bSlot];
	message[CCID_MSG_bSeq] = s->tx[2 + CCID_MSG_bSeq];
	message[CCID_MSG_bStatus] = CCID_COMMAND_TIME_EXTENSION;
	message[CCID_MSG_bError] = 1;
	deliver(s, message, sizeof(message));
}

static void fail_in(struct serial *s, const char *what)
{
	struct port_transfer *in = pending_in(s);

	log_line(LOG_ERROR, "device %s: %s", s->name, what);
	if (in)
		end(s, in, PORT_ERROR);
}

/* With the lock held. */
static void take_byte(struct serial *s, uint8_t byte)
{
	const uint8_t *message;
	size_t len;

	switch (serial_frame_byte(&s->frame, byte, &message, &len)) {
	case SERIAL_MESSAGE:
		deliver(s, message, len);
		break;
	case SERIAL_REFUSED:
		if (s->repeats++ < MAX_REPEATS)
			s->tx_at = 0;
		else
			fail_in(s, "the reader refuses a command again and again");
		break;
	case SERIAL_TIME:
		deliver_time(s);
		break;
	case SERIAL_DAMAGED:
		fail_in(s, "damaged frame");
		break;
	case SERIAL_NOTHING:
		break;
	}
}

/* With the lock held. False: the line is dead. */
static bool receive(struct serial *s)
{
	uint8_t byte;
	ssize_t n;

	/* Byte by byte, since what follows a message waits for the next transfer. */
	while (pending_in(s)) {
		n = read(s->fd, &byte, 1);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n <= 0)
			return false;
		take_byte(s, byte);
	}
	return true;
}

/* The same where a read brings one message, and what it has no room for is lost. */
static bool receive_bare(struct serial *s)
{
	uint8_t bytes[SERIAL_MAX_FRAME];
	ssize_t n;

	if (!pending_in(s))
		return true;
	n = read(s->fd, bytes, sizeof(bytes));
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	for (ssize_t i = 0; i < n; i++)
		take_byte(s, bytes[i]);
	explicit_bzero(bytes, sizeof(bytes));
	return n > 0;
}

/* With the lock held, which is given up while waiting. False: it's over. */
static bool step(struct serial *s)
{
	struct pollfd pfd[2] = { { .fd = s->fd }, { .fd = s->wake, .events = POLLIN } };
	uint64_t count;

	serve(s);
	if (s->tx_at < s->tx_len)
		pfd[0].events |= POLLOUT;
	if (pending_in(s))
		pfd[0].events |= POLLIN;
	pthread_mutex_unlock(&s->lock);
	poll(pfd, 2, -1);
	if (pfd[1].revents)
		(void)!read(s->wake, &count, sizeof(count));
	pthread_mutex_lock(&s->lock);
	if (s->stop)
		return false;
	if (pfd[0].revents & POLLOUT && !serial_transmit(s))
		return false;
	if (pfd[0].revents & POLLIN && !(s->frame.bare ? receive_bare(s) : receive(s)))
		return false;
	return !(pfd[0].revents & (POLLHUP | POLLERR | POLLNVAL));
}

void *serial_events(void *arg)
{
	struct serial *s = arg;
	bool stop;

	pthread_mutex_lock(&s->lock);
	while (step(s))
		;
	s->gone = true;
	stop = s->stop;
	while (s->count > 0)
		end(s, s->pending[0], PORT_GONE);
	pthread_mutex_unlock(&s->lock);
	if (!stop && s->port.gone)
		s->port.gone(s->port.owner);
	return NULL;
}
