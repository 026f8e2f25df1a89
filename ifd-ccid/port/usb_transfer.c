/* SPDX-License-Identifier: BSD-3-Clause */
#include "usb_transfer.h"

#include <libusb.h>
#include <pthread.h>
#include <stdlib.h>

struct usb_transfer {
	struct libusb_transfer *transfer;
	struct port_transfer *of;
	/* libusb calls us back without a lock of its own, so this one is held while it is called. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool pending;
	bool running;     /* done() is being called */
	unsigned submits; /* so far */
};

static enum port_status status_of(enum libusb_transfer_status status)
{
	switch (status) {
	case LIBUSB_TRANSFER_COMPLETED:
		return PORT_OK;
	case LIBUSB_TRANSFER_CANCELLED:
		return PORT_CANCELLED;
	case LIBUSB_TRANSFER_STALL:
		return PORT_STALL;
	case LIBUSB_TRANSFER_OVERFLOW:
		return PORT_OVERFLOW;
	case LIBUSB_TRANSFER_NO_DEVICE:
		return PORT_GONE;
	default:
		return PORT_ERROR;
	}
}

static void LIBUSB_CALL on_done(struct libusb_transfer *transfer)
{
	struct usb_transfer *mine = transfer->user_data;

	/* No longer pending before done(), which may submit again. */
	pthread_mutex_lock(&mine->lock);
	mine->of->status = status_of(transfer->status);
	mine->of->actual = transfer->actual_length > 0 ? (size_t)transfer->actual_length : 0;
	mine->pending = false;
	mine->running = true;
	pthread_cond_broadcast(&mine->changed);
	pthread_mutex_unlock(&mine->lock);
	mine->of->done(mine->of);
	pthread_mutex_lock(&mine->lock);
	mine->running = false;
	pthread_cond_broadcast(&mine->changed);
	pthread_mutex_unlock(&mine->lock);
}

static struct usb_transfer *prepare(struct port_transfer *transfer)
{
	struct usb_transfer *mine = transfer->of_port;

	if (mine)
		return mine;
	mine = calloc(1, sizeof(*mine));
	if (!mine)
		return NULL;
	mine->transfer = libusb_alloc_transfer(0);
	if (!mine->transfer) {
		free(mine);
		return NULL;
	}
	mine->of = transfer;
	pthread_mutex_init(&mine->lock, NULL);
	pthread_cond_init(&mine->changed, NULL);
	transfer->of_port = mine;
	return mine;
}

bool usb_transfer_submit(struct libusb_device_handle *handle, struct port_transfer *transfer)
{
	struct usb_transfer *mine = prepare(transfer);
	bool ok;

	if (!mine)
		return false;
	transfer->actual = 0;
	if (transfer->endpoint == 0)
		libusb_fill_control_transfer(
			mine->transfer, handle, transfer->buffer, on_done, mine, 0);
	else
		libusb_fill_bulk_transfer(mine->transfer, handle, transfer->endpoint,
			transfer->buffer, (int)transfer->length, on_done, mine, 0);
	mine->transfer->flags = transfer->zero_packet ? LIBUSB_TRANSFER_ADD_ZERO_PACKET : 0;
	/* Who cancels must not come between the two. */
	pthread_mutex_lock(&mine->lock);
	ok = libusb_submit_transfer(mine->transfer) == 0;
	mine->pending = ok;
	mine->submits++;
	pthread_mutex_unlock(&mine->lock);
	return ok;
}

void usb_transfer_cancel(struct port_transfer *transfer)
{
	struct usb_transfer *mine = transfer->of_port;
	unsigned submits;

	if (!mine)
		return;
	pthread_mutex_lock(&mine->lock);
	submits = mine->submits;
	/* Refused only when the transfer has ended and is about to be reported. */
	if (mine->pending)
		(void)libusb_cancel_transfer(mine->transfer);
	while (mine->pending && mine->submits == submits)
		pthread_cond_wait(&mine->changed, &mine->lock);
	while (mine->running)
		pthread_cond_wait(&mine->changed, &mine->lock);
	pthread_mutex_unlock(&mine->lock);
}

void usb_transfer_release(struct port_transfer *transfer)
{
	struct usb_transfer *mine = transfer->of_port;

	/* It may have been pending a moment ago. */
	pthread_mutex_lock(&mine->lock);
	while (mine->pending || mine->running)
		pthread_cond_wait(&mine->changed, &mine->lock);
	pthread_mutex_unlock(&mine->lock);
	libusb_free_transfer(mine->transfer);
	pthread_mutex_destroy(&mine->lock);
	pthread_cond_destroy(&mine->changed);
	free(mine);
}
