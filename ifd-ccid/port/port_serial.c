/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_serial.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "ifd-ccid/bytes.h"
#include "ifd-ccid/deadline.h"
#include "ifd-ccid/device/ccid_msg.h"
#include "ifd-ccid/log.h"
#include "serial_frame.h"
#include "serial_model.h"
#include "spec/ccid.h"
#include "spec/usb.h"

enum {
	PROBE_MS = 2000,      /* for the first answer of a reader */
	SLOW_PROBE_MS = 1000, /* at 9600 bit/s */
	SPEED_UP_MS = 250,    /* a reader's own need before it hears the new speed */
	MAX_PENDING = 32,     /* transfers: an OUT a slot, one IN, control requests */
	MAX_REPEATS = 3,      /* of a command that the reader refuses as damaged */
};

struct serial {
	struct port port;
	char name[512];
	int fd;
	int wake; /* eventfd: something was submitted, or `stop` */
	pthread_t thread;
	bool running;
	struct serial_model model;
	uint8_t device_descriptor[USB_DEVICE_SIZE];
	uint8_t configuration[SERIAL_CONFIGURATION_SIZE];

	pthread_mutex_t lock; /* for what follows */
	pthread_cond_t ended;
	bool stop;
	bool gone;
	struct port_transfer *pending[MAX_PENDING]; /* oldest first */
	size_t count;
	struct port_transfer *ending; /* its done() runs */
	struct port_transfer *out;    /* of `pending`, being written */
	uint8_t tx[SERIAL_MAX_FRAME]; /* the last command, kept for a repetition */
	size_t tx_len;
	size_t tx_at;
	unsigned repeats;

	/* The event thread's own, and of start() before it. */
	struct serial_frame frame;
};

static struct serial *of(struct port *port)
{
	return (struct serial *)port;
}

static void wake(struct serial *s)
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

static bool serial_submit(struct port *port, struct port_transfer *transfer)
{
	struct serial *s = of(port);
	bool ok;

	transfer->actual = 0;
	pthread_mutex_lock(&s->lock);
	ok = !s->gone && s->count < MAX_PENDING;
	if (ok)
		s->pending[s->count++] = transfer;
	pthread_mutex_unlock(&s->lock);
	if (ok)
		wake(s);
	return ok;
}

static void serial_cancel(struct port *port, struct port_transfer *transfer)
{
	struct serial *s = of(port);
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

static enum port_status serial_claim(struct port *port, uint8_t interface, uint8_t alternate)
{
	(void)port;
	(void)interface;
	(void)alternate;
	return PORT_OK;
}

static enum port_status serial_clear_halt(struct port *port, uint8_t endpoint)
{
	if (endpoint & USB_DIR_IN)
		(void)tcflush(of(port)->fd, TCIFLUSH);
	return PORT_OK;
}

static enum port_status serial_reset(struct port *port)
{
	(void)port;
	return PORT_ERROR;
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
		s->tx_len = serial_frame_put(&s->frame, s->tx, transfer->buffer, transfer->length);
		s->tx_at = 0;
		s->repeats = 0;
		/* What the last answer has left unfinished will never be finished. */
		serial_frame_restart(&s->frame);
	}
}

/* With the lock held. False: the line is dead. */
static bool transmit(struct serial *s)
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
	if (pfd[0].revents & POLLOUT && !transmit(s))
		return false;
	if (pfd[0].revents & POLLIN && !(s->frame.bare ? receive_bare(s) : receive(s)))
		return false;
	return !(pfd[0].revents & (POLLHUP | POLLERR | POLLNVAL));
}

static void *events(void *arg)
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

static void serial_close(struct port *port)
{
	struct serial *s = of(port);

	if (s->running) {
		pthread_mutex_lock(&s->lock);
		s->stop = true;
		pthread_mutex_unlock(&s->lock);
		wake(s);
		pthread_join(s->thread, NULL);
	}
	if (s->fd >= 0)
		close(s->fd);
	if (s->wake >= 0)
		close(s->wake);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->ended);
	free(s);
}

static const struct port_ops ops = {
	.close = serial_close,
	.claim = serial_claim,
	.submit = serial_submit,
	.cancel = serial_cancel,
	.clear_halt = serial_clear_halt,
	.reset = serial_reset,
};

static bool set_speed(int fd, speed_t speed)
{
	struct termios mode;

	if (tcgetattr(fd, &mode) != 0)
		return false;
	cfmakeraw(&mode);
	mode.c_cflag |= CSTOPB | CLOCAL | CREAD | HUPCL;
	mode.c_cflag &= ~(tcflag_t)CRTSCTS;
	mode.c_cc[VMIN] = 1;
	mode.c_cc[VTIME] = 0;
	return cfsetspeed(&mode, speed) == 0 && tcsetattr(fd, TCSAFLUSH, &mode) == 0;
}

/* Writes what is left of `tx`. False: not by the deadline. */
static bool write_all(struct serial *s, int64_t deadline)
{
	struct pollfd pfd = { .fd = s->fd, .events = POLLOUT };

	while (s->tx_at < s->tx_len) {
		if (poll(&pfd, 1, deadline_left_ms(deadline)) != 1)
			return false;
		if (!transmit(s))
			return false;
	}
	return true;
}

/* A command to slot 0 before the event thread runs. True: it is answered in time. */
static bool ask(struct serial *s, uint8_t type, const struct serial_escape *escape, int timeout_ms)
{
	struct ccid_command command = { .type = type, .len = escape ? escape->len : 0 };
	int64_t deadline = deadline_in_ms(timeout_ms);
	struct pollfd pfd = { .fd = s->fd, .events = POLLIN };
	uint8_t bytes[CCID_MSG_HEADER_SIZE + SERIAL_MAX_ESCAPE];
	const uint8_t *message;
	size_t len;
	uint8_t byte;
	ssize_t n;

	ccid_put_header(bytes, &command, 0, 0);
	if (escape)
		memcpy(bytes + CCID_MSG_abData, escape->bytes, escape->len);
	s->tx_len = serial_frame_put(&s->frame, s->tx, bytes, CCID_MSG_HEADER_SIZE + command.len);
	s->tx_at = 0;
	serial_frame_restart(&s->frame);
	if (!write_all(s, deadline))
		return false;
	for (;;) {
		if (poll(&pfd, 1, deadline_left_ms(deadline)) != 1)
			return false;
		n = read(s->fd, &byte, 1);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return false;
		if (n == 1 && serial_frame_byte(&s->frame, byte, &message, &len) == SERIAL_MESSAGE)
			return true;
	}
}

/* NULL, or what went wrong. */
static const char *wake_reader(struct serial *s)
{
	struct timespec settle = deadline_timespec((int64_t)SPEED_UP_MS * 1000000);
	int rts = TIOCM_RTS;

	if (s->model.speed_up.len) {
		if (!set_speed(s->fd, B9600))
			return strerror(errno);
		if (ask(s, PC_to_RDR_GetSlotStatus, NULL, SLOW_PROBE_MS)) {
			(void)ask(s, PC_to_RDR_Escape, &s->model.speed_up, SLOW_PROBE_MS);
			(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &settle, NULL);
		}
	}
	if (!set_speed(s->fd, B115200))
		return strerror(errno);
	/* Keeps readers from telling who they are in the plug and play way. */
	(void)ioctl(s->fd, TIOCMBIC, &rts);
	if (s->model.probe.len && !ask(s, PC_to_RDR_Escape, &s->model.probe, PROBE_MS))
		return "no reader answers";
	if (s->model.setup.len)
		(void)ask(s, PC_to_RDR_Escape, &s->model.setup, PROBE_MS);
	s->tx_at = s->tx_len;
	serial_frame_restart(&s->frame);
	return NULL;
}

/* NULL, or what went wrong. */
static const char *start(struct serial *s, const char *path)
{
	const char *why;

	s->fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (s->fd < 0)
		return strerror(errno);
	s->frame.bare = s->model.bare;
	if (!s->frame.bare && ioctl(s->fd, TIOCEXCL) != 0)
		return "it is no serial port";
	why = s->frame.bare ? NULL : wake_reader(s);
	if (why)
		return why;
	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wake < 0)
		return strerror(errno);
	if (pthread_create(&s->thread, NULL, events, s) != 0)
		return "can't start a thread";
	s->running = true;
	return NULL;
}

/* Cuts NAME into PATH and, behind the last colon, the model; NULL: it has none. */
static const char *split(const char *name, char *path, size_t size)
{
	const char *colon = strrchr(name, ':');
	size_t len = colon ? (size_t)(colon - name) : strlen(name);

	/* Colons are found in /dev/serial/by-path too; a model has no slash. */
	if (colon && (strchr(colon, '/') || colon[1] == '\0'))
		colon = NULL;
	if (!colon)
		len = strlen(name);
	snprintf(path, size, "%.*s", (int)len, name);
	return colon ? colon + 1 : NULL;
}

struct port *port_serial_open(const char *name, void (*gone)(void *owner), void *owner)
{
	struct serial *s = calloc(1, sizeof(*s));
	char path[sizeof(s->name)];
	char why_model[256];
	const char *model;
	const char *why = why_model;

	if (!s)
		return NULL;
	s->port.ops = &ops;
	s->port.interface = -1;
	s->port.framed = true;
	s->port.gone = gone;
	s->port.owner = owner;
	s->port.device = s->device_descriptor;
	s->port.configuration = s->configuration;
	s->port.configuration_len = sizeof(s->configuration);
	s->fd = -1;
	s->wake = -1;
	snprintf(s->name, sizeof(s->name), "%s", name);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->ended, NULL);
	model = split(name, path, sizeof(path));
	if (serial_model_load(model, &s->model, why_model, sizeof(why_model))) {
		serial_model_device(&s->model, s->device_descriptor);
		serial_model_configuration(&s->model, s->configuration);
		why = start(s, path);
	}
	if (!why)
		return &s->port;
	log_line(LOG_ERROR, "device %s: %s", name, why);
	serial_close(&s->port);
	return NULL;
}
