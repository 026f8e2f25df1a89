/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_serial.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "ifd-ccid/deadline.h"
#include "ifd-ccid/device/ccid_msg.h"
#include "ifd-ccid/log.h"
#include "serial_link.h"
#include "spec/ccid.h"
#include "spec/usb.h"

enum {
	PROBE_MS = 2000,      /* for the first answer of a reader */
	SLOW_PROBE_MS = 1000, /* at 9600 bit/s */
	SPEED_UP_MS = 250,    /* a reader's own need before it hears the new speed */
};

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
		(void)tcflush(serial_of(port)->fd, TCIFLUSH);
	return PORT_OK;
}

static enum port_status serial_reset(struct port *port)
{
	(void)port;
	return PORT_ERROR;
}

static void serial_close(struct port *port)
{
	struct serial *s = serial_of(port);

	if (s->running) {
		pthread_mutex_lock(&s->lock);
		s->stop = true;
		pthread_mutex_unlock(&s->lock);
		serial_wake(s);
		pthread_join(s->thread, NULL);
	}
	if (s->fd >= 0)
		close(s->fd);
	if (s->wake >= 0)
		close(s->wake);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->ended);
	explicit_bzero(s, sizeof(*s));
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
		if (!serial_transmit(s))
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
	struct pollfd hang_up = { .fd = s->fd };
	int rts = TIOCM_RTS;

	if (s->model.speed_up.len) {
		if (!set_speed(s->fd, B9600))
			return strerror(errno);
		if (ask(s, PC_to_RDR_GetSlotStatus, NULL, SLOW_PROBE_MS)) {
			(void)ask(s, PC_to_RDR_Escape, &s->model.speed_up, SLOW_PROBE_MS);
			(void)poll(&hang_up, 1, SPEED_UP_MS);
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
	if (pthread_create(&s->thread, NULL, serial_events, s) != 0)
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
