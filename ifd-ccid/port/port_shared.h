/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One open device, several readers: interfaces of the same device that are opened one after the
 * other get ports of their own onto one port that is opened once (a USB/IP server gives a device to
 * one client, and a reset hits all of its interfaces).
 *
 * The port underneath belongs to this file, and is closed with the last of its users. Any thread may
 * call; devices with different keys don't wait for each other.
 */
#ifndef CARDWIRE_CCID_PORT_SHARED_H
#define CARDWIRE_CCID_PORT_SHARED_H

#include "port.h"

/*
 * As port_open(). KEY is the same for all interfaces of a device; INTERFACE is the one that NAME
 * names, -1 if none. OPEN opens the device when no user of it is there.
 *
 * Of the port: an interface can be claimed by one user at a time, and port_reset() is refused with
 * PORT_ERROR, after one log line, while there is more than one user.
 */
struct port *port_shared_open(const char *key, int interface, const char *name,
	struct port *(*open)(const char *name, void (*gone)(void *owner), void *owner),
	void (*gone)(void *owner), void *owner);

#endif
