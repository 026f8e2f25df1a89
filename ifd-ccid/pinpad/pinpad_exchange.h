/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PIN entry at the reader, carried out: FEATURE_VERIFY_PIN_DIRECT, FEATURE_MODIFY_PIN_DIRECT and
 * FEATURE_EXECUTE_PACE of PC/SC part 10. All run in the slot's turn; device_abort() ends a running
 * entry, at the reader too.
 */
#ifndef CARDWIRE_CCID_PINPAD_EXCHANGE_H
#define CARDWIRE_CCID_PINPAD_EXCHANGE_H

#include <ifdhandler.h>

#include "ifd-ccid/slot/slot.h"

/*
 * TX is PIN_VERIFY or PIN_MODIFY; RX gets the card's response, or two bytes of the reader's or
 * ours: 64 00 no entry in time, 64 01 cancelled at the reader, 64 02 and 64 03 as the reader has
 * it, 6B 80 the structure is wrong. *RX_LEN: room in, bytes out. IFD_SUCCESS, or how the exchange
 * failed.
 */
RESPONSECODE pinpad_verify(
	struct slot *slot, const uint8_t *tx, size_t tx_len, uint8_t *rx, size_t *rx_len);
RESPONSECODE pinpad_modify(
	struct slot *slot, const uint8_t *tx, size_t tx_len, uint8_t *rx, size_t *rx_len);

/*
 * Part 10 amendment 1: TX and RX are its input and output structures, and what is between their
 * headers and ends is between application and reader. An entry that the user cancels or lets run out
 * is told in the output, by a result of its own. IFD_NOT_SUPPORTED: a function that CCID has no
 * operation for (DestroyPACEChannel).
 */
RESPONSECODE pinpad_pace(
	struct slot *slot, const uint8_t *tx, size_t tx_len, uint8_t *rx, size_t *rx_len);

/* Whether the reader can do these (bPINSupport, exchange level). */
bool pinpad_can_verify(const struct slot *slot);
bool pinpad_can_modify(const struct slot *slot);
bool pinpad_can_pace(const struct slot *slot);

/*
 * What a reader of a vendor's family says of its PIN pad, where the quirks know how to ask
 * (pin-features-escape); numbers are 0 where it says nothing. Costs an exchange.
 */
struct pinpad_told {
	uint8_t validation; /* CCID_PIN_VALID_… */
	uint8_t min;        /* digits */
	uint8_t max;
};
struct pinpad_told pinpad_ask(struct slot *slot);

#endif
