/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Escape commands of applications (SCARD_CTL_CODE(1), CCID 1.1 §6.1.8): what a vendor made of them
 * can be a question for the firmware's version or a firmware update, so they are closed by default.
 * Open is what quirk files allow for this reader, byte by byte from the start, for every client, for
 * those of root or of some users only; or everything, by bit 1 of ifdDriverOptions.
 *
 * Threads: in the slot's turn; escape_permitted() is pure.
 */
#ifndef CARDWIRE_CCID_ESCAPE_H
#define CARDWIRE_CCID_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ifdhandler.h>

#include "ifd-ccid/quirk/quirk.h"
#include "slot.h"

/*
 * True when an Escape may be sent by a client with user ID CLIENT (or SLOT_NO_CLIENT): by the lists
 * escape-allow, of root by escape-allow-root, too, of escape-users by escape-allow-users; or by
 * OPTIONS, the ifdDriverOptions.
 */
bool escape_permitted(const struct quirk_set *quirks, unsigned options, uint32_t client,
	const uint8_t *command, size_t len);

/* True when the present client may send some Escape or other: whether the feature is offered. */
bool escape_any_allowed(const struct slot *slot);

/* The control code: sends TX if it may, *RX_LEN is the room in RX, then the answer's length. */
RESPONSECODE escape_do(
	struct slot *slot, const uint8_t *tx, size_t tx_len, uint8_t *rx, size_t *rx_len);

#endif
