/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The link to a USB/IP server that has given us a device: transfers out, answers in, matched by
 * their sequence numbers. Part of port_usbip.c, which opens it; nobody else includes this.
 *
 * Threads: usbip_submit() and usbip_cancel() from any; answers come in the event thread alone.
 */
#ifndef CARDWIRE_CCID_USBIP_LINK_H
#define CARDWIRE_CCID_USBIP_LINK_H

#include <pthread.h>
#include <sys/uio.h>

#include "port.h"
#include "spec/usb.h"
#include "usbip_msg.h"

enum {
	USBIP_RX_SIZE = 4096,
};

struct pending;

struct usbip {
	struct port port;
	char name[512];
	bool tcp;
	int fd;
	int wake; /* eventfd: the event thread shall end */
	pthread_t thread;
	bool running;
	struct usbip_device device;
	uint8_t device_descriptor[USB_DEVICE_SIZE];
	uint8_t *configuration;

	pthread_mutex_t configure_lock; /* held while the device is configured */
	bool configured;

	/* Held while one message is written. Taken before `lock`. */
	pthread_mutex_t send_lock;

	pthread_mutex_t lock; /* for what follows */
	pthread_cond_t received;
	bool gone;
	uint32_t seqnum;
	struct pending *table;
	size_t count;
	size_t room;
	struct port_transfer *receiving; /* its data is being read, or its done() runs */

	/* The event thread's own. */
	uint8_t rx[USBIP_RX_SIZE];
	size_t rx_at;
	size_t rx_len;
};

static inline struct usbip *usbip_of(struct port *port)
{
	return (struct usbip *)port;
}

/* Sends all, waiting for room at most 5 s. A broken connection is left to the event thread. */
bool usbip_send(struct usbip *u, struct iovec *iov, size_t count);

/* As in struct port_ops. */
bool usbip_submit(struct port *port, struct port_transfer *transfer);
void usbip_cancel(struct port *port, struct port_transfer *transfer);

/* The event thread, whose argument is the struct usbip: brings answers until the link breaks or is
 * closed, then ends all transfers with PORT_GONE and tells the owner. */
void *usbip_events(void *arg);

#endif
