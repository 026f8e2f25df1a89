/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IFDHControl: a table of control codes (PC/SC part 10 §2). Runs in the slot's turn.
 */
#ifndef CARDWIRE_CCID_CONTROL_H
#define CARDWIRE_CCID_CONTROL_H

#include <ifdhandler.h>
#include <reader.h>

#include "slot.h"

#define CONTROL_ESCAPE SCARD_CTL_CODE(1) /* IOCTL_SMARTCARD_VENDOR_IFD_EXCHANGE */

/*
 * *RX_LEN: room of RX in, bytes of the answer out. IFD_ERROR_NOT_SUPPORTED: unknown code;
 * IFD_ERROR_INSUFFICIENT_BUFFER; IFD_COMMUNICATION_ERROR: an Escape that the options don't allow,
 * or a failed exchange.
 */
RESPONSECODE control_do(struct slot *slot, DWORD code, const uint8_t *tx, size_t tx_len,
	uint8_t *rx, size_t *rx_len);

#endif
