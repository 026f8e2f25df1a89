/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a card in the slot to a card that speaks: voltage and ATR, PPS, parameters.
 *
 * All run in the slot's turn. Results are RESPONSECODE values of <ifdhandler.h>.
 */
#ifndef CARDWIRE_CCID_ACTIVATE_H
#define CARDWIRE_CCID_ACTIVATE_H

#include <ifdhandler.h>

#include "slot.h"

/*
 * Powers the card up, or resets it if it is powered (warm reset), trying the voltages that reader and
 * options allow; a warm reset that fails is followed by a cold one. IFD_SUCCESS: slot->atr holds its
 * ATR. IFD_NO_SUCH_DEVICE, or IFD_ERROR_POWER_ACTION.
 */
RESPONSECODE activate_power_up(struct slot *slot);

/* Powers the card down. The ATR is forgotten even if the reader fails. */
RESPONSECODE activate_power_down(struct slot *slot);

/*
 * Agrees on T=PROTOCOL (0 or 1) and the best speed with card and reader, as far as the reader leaves
 * that to us (CCID 1.1 §5.1 dwFeatures, ISO 7816-3 clause 9). IFD_SUCCESS; IFD_ERROR_NOT_SUPPORTED:
 * the reader hasn't the protocol; IFD_PROTOCOL_NOT_SUPPORTED: the card hasn't, or its ATR is no ATR;
 * IFD_ERROR_PTS_FAILURE; IFD_NOT_SUPPORTED: the reader keeps its own; or a failure of the exchange.
 */
RESPONSECODE activate_set_protocol(struct slot *slot, unsigned protocol);

/* The code a host gets for a result. */
RESPONSECODE ifd_code(enum ccid_result result);

/*
 * The fastest PPS1 (as TA1) that the card with this TA1 and a reader with these limits can both do:
 * same clock rate conversion, adjustment factor as the card's or lower. RATES may be NULL (any up to
 * MAX_RATE bit/s) or ends with 0; CLOCK in kHz. 11h: nothing beyond the default speed. Pure.
 */
uint8_t activate_best_ta1(
	uint8_t ta1, uint32_t clock_khz, uint32_t max_rate, const uint32_t *rates);

#endif
