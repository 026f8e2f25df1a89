/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices on this machine's USB, through libusb-1.0. Device strings, numbers in hexadecimal unless
 * noted, as pcscd makes them:
 *
 *	usb:VVVV/PPPP:libudev:I:/dev/bus/usb/BBB/DDD	I, BBB, DDD decimal
 *	usb:VVVV/PPPP:libusb-1.0:B:D:I			B, D, I decimal
 *	usb:VVVV/PPPP					the first that is free
 */
#ifndef CARDWIRE_CCID_PORT_LIBUSB_H
#define CARDWIRE_CCID_PORT_LIBUSB_H

#include <stdbool.h>
#include <stdint.h>

#include "port.h"

#define LIBUSB_PREFIX "usb:"

struct libusb_address {
	uint16_t vid;
	uint16_t pid;
	int bus; /* -1: not named */
	int device;
	int interface;
};

/* Reads a device string. False: it is malformed. Pure. */
bool libusb_parse(const char *name, struct libusb_address *address);

/* As port_open(). */
struct port *port_libusb_open(const char *name, void (*gone)(void *owner), void *owner);

#endif
