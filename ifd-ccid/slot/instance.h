/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two control codes that other CCID drivers have and some applications use: where the reader is
 * plugged in, and the node address (NAD) of T=1 blocks.
 *
 * Threads: in the slot's turn.
 */
#ifndef CARDWIRE_CCID_INSTANCE_H
#define CARDWIRE_CCID_INSTANCE_H

#include <ifdhandler.h>

#include "slot.h"

#define CONTROL_NAD      SCARD_CTL_CODE(3600)
#define CONTROL_USB_PATH SCARD_CTL_CODE(3601)

/* CONTROL_USB_PATH: "BUS-PORT.PORT:CONFIGURATION.INTERFACE" and a zero. */
RESPONSECODE instance_path(
	struct slot *slot, const uint8_t *tx, size_t tx_len, uint8_t *rx, size_t *rx_len);

/*
 * CONTROL_NAD, at TPDU and character level: 3E 00 01 NAD sets it, answer 3E 00 01 00 (01: not a
 * NAD, ISO 7816-3 §11.3.2.1); 3F 00 00 asks for it, answer 3F 00 02 00 NAD.
 */
RESPONSECODE instance_nad(
	struct slot *slot, const uint8_t *tx, size_t tx_len, uint8_t *rx, size_t *rx_len);

#endif
