/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CCID readers on a serial line, 115200 bit/s. Device strings:
 *
 *	/dev/ttyS0		any absolute path; the first model of serial.readers
 *	/dev/ttyS0:MODEL	a model of serial.readers (see serial_model.h)
 *
 * To the driver they look like USB readers without an interrupt endpoint: bulk transfers are frames
 * (see serial_frame.h), descriptors are made from the model's data. There is nothing like a reset of
 * the port, nor an endpoint that could halt.
 */
#ifndef CARDWIRE_CCID_PORT_SERIAL_H
#define CARDWIRE_CCID_PORT_SERIAL_H

#include "port.h"

#define SERIAL_PREFIX "/"

/* As port_open(). */
struct port *port_serial_open(const char *name, void (*gone)(void *owner), void *owner);

#endif
