/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Transfers of port_libusb.c: one of libusb's behind each struct port_transfer, kept in its of_port,
 * and what it takes to end it from another thread.
 *
 * Threads: as port.h has it; done() runs in the thread that handles libusb's events.
 */
#ifndef CARDWIRE_CCID_USB_TRANSFER_H
#define CARDWIRE_CCID_USB_TRANSFER_H

#include <stdbool.h>

#include "port.h"

struct libusb_device_handle;

/* As port_submit(). */
bool usb_transfer_submit(struct libusb_device_handle *handle, struct port_transfer *transfer);

/*
 * As port_cancel(). What done() has submitted anew meanwhile is another transfer: it stays pending,
 * and is not waited for.
 */
void usb_transfer_cancel(struct port_transfer *transfer);

/* As port_release(). */
void usb_transfer_release(struct port_transfer *transfer);

#endif
