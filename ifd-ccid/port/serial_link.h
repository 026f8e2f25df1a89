/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The line to a serial reader: transfers to frames and back. Part of port_serial.c, which opens it;
 * nobody else includes this.
 *
 * Threads: serial_submit() and serial_cancel() from any; all bytes go out and come in the event
 * thread alone, or before it runs.
 */
#ifndef CARDWIRE_CCID_SERIAL_LINK_H
#define CARDWIRE_CCID_SERIAL_LINK_H

#include <pthread.h>

#include "port.h"
#include "serial_frame.h"
#include "serial_model.h"
#include "spec/usb.h"

enum {
	SERIAL_MAX_PENDING = 32, /* transfers: an OUT a slot, one IN, control requests */
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
	struct port_transfer *pending[SERIAL_MAX_PENDING]; /* oldest first */
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

static inline struct serial *serial_of(struct port *port)
{
	return (struct serial *)port;
}

/* As in struct port_ops. */
bool serial_submit(struct port *port, struct port_transfer *transfer);
void serial_cancel(struct port *port, struct port_transfer *transfer);

/* Makes the event thread look at what has changed. */
void serial_wake(struct serial *s);

/* Writes what the line takes of `tx`. With the lock held, if others run. False: the line is dead. */
bool serial_transmit(struct serial *s);

/* The event thread, whose argument is the struct serial: moves bytes until the line breaks or `stop`
 * is set, then ends all transfers with PORT_GONE and, unless stopped, tells the owner. */
void *serial_events(void *arg);

#endif
