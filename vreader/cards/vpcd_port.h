/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sockets for card programs of the vpcd protocol (vpcd.h): each slot that was told to has one, and
 * a program that connects to it is a card put in; when the connection ends, the card is gone. As
 * with vpcd it is the reader that listens.
 *
 * Borrows the loop and the readers. One thread.
 */
#ifndef CARDWIRE_VREADER_VPCD_PORT_H
#define CARDWIRE_VREADER_VPCD_PORT_H

#include <stddef.h>

#include "vreader/firmware/ccid_device.h"
#include "vreader/loop.h"

struct vpcd_ports;

/* No sockets yet. NULL without memory. */
struct vpcd_ports *vpcd_ports_new(struct loop *loop);
/* Takes out the cards and closes the sockets. ports may be NULL. */
void vpcd_ports_free(struct vpcd_ports *ports);

/*
 * Listens for the card of a slot at unix:PATH or tcp:HOST:PORT. Where slots share one address the
 * first has it as it is, and the following ones PORT+1, PORT+2, … or PATH.1, PATH.2, …
 * Returns NULL when done, else what is wrong, valid until the next call. The reader must be one
 * that exchanges APDUs.
 */
const char *vpcd_ports_open(
	struct vpcd_ports *ports, const char *address, struct ccid_device *ccid, size_t slot);

#endif
