/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of open Luns (reader number << 16 | slot number) and who may use one when.
 *
 * Any thread may call. A slot stays valid between lun_hold() and lun_drop(), or lun_enter() and
 * lun_leave(); lun_close() waits for those, after it has aborted the call that runs.
 */
#ifndef CARDWIRE_CCID_LUN_H
#define CARDWIRE_CCID_LUN_H

#include <ifdhandler.h>

#include "ifd-ccid/slot/slot.h"

/*
 * Opens the device NAME as Lun. A further slot (slot number above 0) joins the device that the same
 * reader number has open under the same name. IFD_SUCCESS; IFD_NO_SUCH_DEVICE when the device is not
 * there or can't be used, IFD_COMMUNICATION_ERROR when the Lun is taken or there is no such slot;
 * after one error line.
 */
RESPONSECODE lun_open(DWORD lun, const char *name);

/* IFD_SUCCESS, or IFD_COMMUNICATION_ERROR when it isn't open. */
RESPONSECODE lun_close(DWORD lun);

/* The slot, for things that may go on while a call runs; NULL: not open. */
struct slot *lun_hold(DWORD lun);
void lun_drop(DWORD lun);

/* The slot, in its turn: one thread at a time; a call begins and ends. NULL: not open. */
struct slot *lun_enter(DWORD lun);
void lun_leave(DWORD lun);

#endif
