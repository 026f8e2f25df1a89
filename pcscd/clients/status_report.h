/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who uses which reader, as a JSON document. pcscctl(1) describes what of it people see.
 *
 *	{ "daemon": { version, pid }, "readers": [ reader … ], "waiters": [ waiter … ] }
 *	reader:  name, card, atr, protocol, driver, device, sharing, holder, running,
 *	         handles [ … ], queue [ … ]
 *	waiter:  a client, and "readers": the names it waits for, or null: all
 *
 * A client is { "program", "pid", "uid" }, or { "program" } only if it is none of the viewer's
 * business. Times ("for_ms") are in ms.
 *
 * Any thread. Takes the locks of the list of slots, of each slot, and of the events, one after
 * another; what must be looked up in /proc is looked up without locks.
 */
#ifndef CARDWIRE_PCSCD_STATUS_REPORT_H
#define CARDWIRE_PCSCD_STATUS_REPORT_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * The document, for the caller to free; NULL if out of memory. all: the viewer may know everything;
 * otherwise what concerns processes of `viewer`, and the programs that hold readers.
 */
char *status_report(uid_t viewer, bool all);

#endif
