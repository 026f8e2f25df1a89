/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * USB ICCs without bulk pipes: a card that is its own reader and speaks over the control pipe
 * (ICCD 1.0 §6). Commands and answers look to the rest of the driver like those of a CCID reader.
 *
 * All run in the slot's turn.
 */
#ifndef CARDWIRE_CCID_ICCD_H
#define CARDWIRE_CCID_ICCD_H

#include "device_private.h"

/* True when the interface is one. */
bool iccd_is(const struct ccid_interface *interface);

/* As device_exchange(), for the commands such a card has; others are refused. */
enum ccid_result iccd_exchange(
	struct io *io, const struct ccid_command *command, struct ccid_answer *answer);

#endif
