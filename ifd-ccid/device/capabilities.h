/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IFDHGetCapabilities and IFDHSetCapabilities: a table of tags and SCARD_ATTR_… numbers.
 *
 * Any thread may call. Getting a tag that capabilities_need_turn() names needs the slot's turn; the
 * others, and setting, may go on while a call runs on the slot.
 */
#ifndef CARDWIRE_CCID_CAPABILITIES_H
#define CARDWIRE_CCID_CAPABILITIES_H

#include <ifdhandler.h>

#include "ifd-ccid/slot/slot.h"

bool capabilities_need_turn(DWORD tag);

/*
 * *LENGTH: room of VALUE in, length of the value out. IFD_ERROR_TAG: unknown tag;
 * IFD_ERROR_INSUFFICIENT_BUFFER: *LENGTH says how much is needed.
 */
RESPONSECODE capabilities_get(struct slot *slot, DWORD tag, PDWORD length, PUCHAR value);

/* IFD_SUCCESS, IFD_ERROR_TAG, or IFD_ERROR_VALUE_READ_ONLY. */
RESPONSECODE capabilities_set(struct slot *slot, DWORD tag, DWORD length, const UCHAR *value);

#endif
