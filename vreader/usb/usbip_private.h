/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The USB/IP server, shared by its files: usbip_server.c (sockets and devices), usbip_protocol.c
 * (what a client's bytes mean). A connection's buffers are all that lies between them.
 */
#ifndef CARDWIRE_VREADER_USBIP_PRIVATE_H
#define CARDWIRE_VREADER_USBIP_PRIVATE_H

#include "spec/usbip.h"
#include "vreader/usb/usbip_server.h"

enum {
	/* Unsent answers at which we stop reading from a client until it reads from us. */
	USBIP_TX_HIGH = 4 << 20,
	USBIP_BUS = 1,
};

struct buffer {
	uint8_t *data;
	size_t len;
	size_t size;
};

struct connection {
	struct loop_source source;
	struct usbip_server *server;
	struct connection *next;
	struct export *export; /* after an import */
	struct buffer rx;
	struct buffer tx;
	uint32_t events; /* asked of the loop */
	size_t urbs;     /* under way */
	bool dead;       /* to be closed when nobody uses it */
	bool close_after_tx;
};

struct export
{
	struct usb_device *device;
	struct connection *importer; /* NULL: free */
	bool plugged;
	char busid[USBIP_BUSID_SIZE];
	uint32_t devid;
};

struct usbip_server {
	struct loop *loop;
	struct export *exports;
	size_t export_count;
	struct connection *connections;
	size_t connection_count;
	struct listener *listeners;
};

/* Room for n more bytes behind the buffer's end, which the caller fills and counts. NULL: no
 * memory. */
uint8_t *buffer_grow(struct buffer *b, size_t n);

/* Takes n bytes off the beginning. */
void buffer_drop(struct buffer *b, size_t n);

/* Does what the first message of these bytes asks for, and puts answers that are there into tx; marks
 * the connection as dead or to be closed if it is not USB/IP. Returns the length of the message, 0 if
 * it is not whole yet. */
size_t usbip_take(struct connection *c, const uint8_t *bytes, size_t len, int64_t now);

#endif
