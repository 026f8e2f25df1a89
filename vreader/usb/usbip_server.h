/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A USB/IP server, protocol 1.1.1: lists and exports virtual USB devices over stream sockets, one
 * importer a device. Clients are not trusted: every length is bounded before memory is taken, and
 * one who breaks the protocol loses the connection, nothing else.
 *
 * The server borrows the loop and the devices. One thread.
 */
#ifndef CARDWIRE_VREADER_USBIP_SERVER_H
#define CARDWIRE_VREADER_USBIP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vreader/loop.h"
#include "vreader/usb/usb_device.h"

struct usbip_server;

/* Devices are exported as bus ids 1-1, 1-2, … in the order of the array, which must stay. */
struct usbip_server *usbip_server_new(struct loop *loop, struct usb_device **devices, size_t count);
void usbip_server_free(struct usbip_server *server);

/* Takes over a listening socket. False with errno set: it is closed. */
bool usbip_server_listen(struct usbip_server *server, int fd);
/* Takes over a connected, non-blocking socket, as if accepted. */
bool usbip_server_adopt(struct usbip_server *server, int fd);

/* Takes device i off the list and ends its import, as pulling the plug does; or puts it back.
 * False: it was so already. */
bool usbip_server_unplug(struct usbip_server *server, size_t i);
bool usbip_server_plug(struct usbip_server *server, size_t i);
bool usbip_server_plugged(const struct usbip_server *server, size_t i);
bool usbip_server_imported(const struct usbip_server *server, size_t i);

/* Runs what is due in the devices, and sends what they have to say. */
void usbip_server_run(struct usbip_server *server, int64_t now);
int64_t usbip_server_deadline(const struct usbip_server *server);

#endif
