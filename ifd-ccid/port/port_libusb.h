/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices on this machine's USB, through libusb-1.0. Device strings, numbers in hexadecimal unless
 * noted, as pcscd makes them:
 *
 *	usb:VVVV/PPPP:libudev:I:/dev/bus/usb/BBB/DDD	I, BBB, DDD decimal
 *	usb:VVVV/PPPP:libusb-1.0:B:D:I			B, D, I decimal
 *	usb:VVVV/PPPP					the first that can be opened
 *
 * System sleep: the kernel ends all transfers of a device that it suspends just as those of one that
 * is unplugged, so that the port is gone, and the host opens the reader anew when it finds it still
 * there. That is left so: a suspended device may draw so little (USB 2.0 §7.2.3) that its cards lose
 * their power, and who had one connected has to begin anew in any case; and a card that was
 * exchanged, or a reader that was, can't be taken for the old one. A reset behind our back, with the
 * port kept, shows in the status of the next answer (see presence.h).
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
