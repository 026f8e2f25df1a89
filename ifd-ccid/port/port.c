/* SPDX-License-Identifier: BSD-3-Clause */
#include "port.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "ifd-ccid/deadline.h"
#include "ifd-ccid/log.h"
#include "port_libusb.h"
#include "port_serial.h"
#include "port_usbip.h"
#include "spec/usb.h"

static const struct {
	const char *prefix;
	struct port *(*open)(const char *name, void (*gone)(void *owner), void *owner);
} kinds[] = {
	{ USBIP_PREFIX, port_usbip_open },
	{ LIBUSB_PREFIX, port_libusb_open },
	{ SERIAL_PREFIX, port_serial_open },
};

struct port *port_open(const char *name, void (*gone)(void *owner), void *owner)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strncmp(name, kinds[i].prefix, strlen(kinds[i].prefix)) == 0)
			return kinds[i].open(name, gone, owner);
	log_line(LOG_ERROR,
		"device %s: this driver knows \"usbip:\" and \"usb:\" devices and serial ports "
		"(\"/dev/…\")",
		name);
	return NULL;
}

void port_close(struct port *port)
{
	if (port)
		port->ops->close(port);
}

enum port_status port_claim(struct port *port, uint8_t interface, uint8_t alternate)
{
	return port->ops->claim(port, interface, alternate);
}

bool port_submit(struct port *port, struct port_transfer *transfer)
{
	return port->ops->submit(port, transfer);
}

void port_cancel(struct port *port, struct port_transfer *transfer)
{
	port->ops->cancel(port, transfer);
}

void port_release(struct port *port, struct port_transfer *transfer)
{
	if (transfer->of_port && port->ops->release)
		port->ops->release(port, transfer);
	transfer->of_port = NULL;
}

enum port_status port_clear_halt(struct port *port, uint8_t endpoint)
{
	return port->ops->clear_halt(port, endpoint);
}

enum port_status port_reset(struct port *port)
{
	return port->ops->reset(port);
}

bool port_take_turn(struct port *port, int64_t deadline)
{
	return !port->ops->take_turn || port->ops->take_turn(port, deadline);
}

void port_give_turn(struct port *port)
{
	if (port->ops->give_turn)
		port->ops->give_turn(port);
}

/* Lets port_control() wait for its transfer. */
struct waiter {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool done;
};

static void waiter_done(struct port_transfer *transfer)
{
	struct waiter *waiter = transfer->owner;

	pthread_mutex_lock(&waiter->lock);
	waiter->done = true;
	pthread_cond_signal(&waiter->cond);
	pthread_mutex_unlock(&waiter->lock);
}

/* Submits and waits until the deadline; cancels then. */
static enum port_status run(struct port *port, struct port_transfer *transfer, int64_t deadline)
{
	struct waiter waiter = { .lock = PTHREAD_MUTEX_INITIALIZER };
	bool late = false;

	deadline_cond_init(&waiter.cond);
	transfer->owner = &waiter;
	transfer->done = waiter_done;
	if (!port_submit(port, transfer)) {
		pthread_cond_destroy(&waiter.cond);
		return PORT_GONE;
	}
	pthread_mutex_lock(&waiter.lock);
	while (!waiter.done && !late)
		late = deadline_cond_wait(&waiter.cond, &waiter.lock, deadline) != 0;
	late = !waiter.done;
	pthread_mutex_unlock(&waiter.lock);
	if (late)
		port_cancel(port, transfer);
	/* The last act of waiter_done() is the unlock: pass through it before the lock goes. */
	pthread_mutex_lock(&waiter.lock);
	pthread_mutex_unlock(&waiter.lock);
	pthread_mutex_destroy(&waiter.lock);
	pthread_cond_destroy(&waiter.cond);
	if (late && transfer->status == PORT_CANCELLED)
		return PORT_TIMEOUT;
	return transfer->status;
}

enum port_status port_control(
	struct port *port, const uint8_t setup[8], uint8_t *data, size_t *actual, int64_t deadline)
{
	size_t len = (size_t)(setup[USB_SETUP_wLength] | setup[USB_SETUP_wLength + 1] << 8);
	bool in = (setup[USB_SETUP_bmRequestType] & USB_DIR_MASK) == USB_DIR_IN;
	struct port_transfer transfer = { .endpoint = 0 };
	enum port_status status;

	transfer.length = USB_SETUP_SIZE + len;
	transfer.buffer = calloc(1, transfer.length);
	if (!transfer.buffer)
		return PORT_ERROR;
	memcpy(transfer.buffer, setup, USB_SETUP_SIZE);
	if (!in && len)
		memcpy(transfer.buffer + USB_SETUP_SIZE, data, len);
	status = run(port, &transfer, deadline);
	if (status == PORT_OK && in && transfer.actual)
		memcpy(data, transfer.buffer + USB_SETUP_SIZE, transfer.actual);
	if (actual)
		*actual = status == PORT_OK && in ? transfer.actual : 0;
	port_release(port, &transfer);
	explicit_bzero(transfer.buffer, transfer.length);
	free(transfer.buffer);
	return status;
}

const char *port_strstatus(enum port_status status)
{
	static const char *const words[] = {
		[PORT_OK] = "success",
		[PORT_STALL] = "stalled",
		[PORT_TIMEOUT] = "no answer in time",
		[PORT_CANCELLED] = "cancelled",
		[PORT_OVERFLOW] = "more data than expected",
		[PORT_ERROR] = "transfer error",
		[PORT_GONE] = "device is gone",
	};

	return words[status];
}
