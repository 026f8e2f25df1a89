/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The features of PC/SC part 10 (§2.2): which of them this reader has, and what each does. All run
 * in the slot's turn; the arguments are those of control_do().
 *
 * Not offered: the START and FINISH forms, ABORT and GET_KEY_PRESSED, since the class has no
 * message that tells of keys (hosts that find these forms prefer them, and would show their user
 * nothing), and an entry that outlives the call which began it would keep the reader from everybody;
 * SCardCancel() ends a DIRECT entry. WRITE_DISPLAY, GET_KEY and
 * SET_SPE_MESSAGE have no counterpart in CCID.
 */
#ifndef CARDWIRE_CCID_FEATURE_LIST_H
#define CARDWIRE_CCID_FEATURE_LIST_H

#include <ifdhandler.h>

#include "ifd-ccid/slot/slot.h"

/* CM_IOCTL_GET_FEATURE_REQUEST: a record for each feature the reader has. */
RESPONSECODE features_list(
	struct slot *slot, const uint8_t *tx, size_t tx_len, uint8_t *rx, size_t *rx_len);

/* The control code of a feature. False: CODE is none of them. *RV: IFD_NOT_SUPPORTED if the reader
 * hasn't the feature. */
bool features_do(struct slot *slot, DWORD code, const uint8_t *tx, size_t tx_len, uint8_t *rx,
	size_t *rx_len, RESPONSECODE *rv);

#endif
