/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * USB/IP client in user space, over TCP or a Unix socket. Device strings:
 *
 *	usbip:HOST:PORT/BUSID		HOST a name, an IPv4 address or [an IPv6 address]
 *	usbip:unix:PATH/BUSID
 *
 * and optionally ":C.I" behind BUSID, where I is the bInterfaceNumber (as in sysfs: 1-1:1.2).
 *
 * Written for servers that are less than perfect: answers are matched by sequence number alone;
 * vendor and product are read from the device descriptor, not from the server's list; the
 * actual_length of OUT transfers is not looked at; error codes may have either sign.
 */
#ifndef CARDWIRE_CCID_PORT_USBIP_H
#define CARDWIRE_CCID_PORT_USBIP_H

#include <stdbool.h>

#include "port.h"
#include "spec/usbip.h"

#define USBIP_PREFIX "usbip:"

struct usbip_address {
	char host[256]; /* empty: Unix socket */
	char port[32];  /* TCP: number or service name */
	char path[108]; /* Unix socket */
	char busid[USBIP_BUSID_SIZE];
	int interface; /* -1: not named */
};

/* Reads a device string. False: it is malformed. Pure. */
bool usbip_parse(const char *name, struct usbip_address *address);

/* As port_open(). */
struct port *port_usbip_open(const char *name, void (*gone)(void *owner), void *owner);

#endif
