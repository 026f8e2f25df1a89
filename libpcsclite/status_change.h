/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_LIBPCSCLITE_STATUS_CHANGE_H
#define CARDWIRE_LIBPCSCLITE_STATUS_CHANGE_H

/*
 * What SCardGetStatusChange() makes of a reader's state: pure functions, no I/O, any thread.
 *
 * The rules are those of pcsc-lite, bit by bit. dwEventState of an entry is 0 before the first
 * evaluation; bits gather there over several.
 */

#include <stdbool.h>

#include <winscard.h>

#include "wire/messages.h"

/* True for the name by which an application waits for readers to come and go. */
bool status_change_is_pnp(const char *name);

/*
 * Brings `entry` up to date with its reader's state, or with the reader's absence (NULL). True if
 * that is a change to what dwCurrentState says; then SCARD_STATE_CHANGED is set too. An entry with
 * SCARD_STATE_IGNORE is left alone.
 */
bool status_change_evaluate(SCARD_READERSTATE *entry, const struct wire_reader_state *state);

/*
 * The same for the entry of a name for which status_change_is_pnp(). `events` is the daemon's count
 * of readers that came or went, 0 if it has none; `moved` says that one did since the call began.
 */
bool status_change_evaluate_pnp(SCARD_READERSTATE *entry, uint32_t events, bool moved);

/* True if a change in who shares the reader can be a change to what dwCurrentState says. */
bool status_change_minds_sharing(const SCARD_READERSTATE *entry);

#endif
