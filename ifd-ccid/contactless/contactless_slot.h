/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which slots are contactless, and the raw-command ones of them: what quirks say, bound to a slot.
 *
 * Threads: in the slot's turn, or while nobody else has the slot yet or any more.
 */
#ifndef CARDWIRE_CCID_CONTACTLESS_SLOT_H
#define CARDWIRE_CCID_CONTACTLESS_SLOT_H

#include "ifd-ccid/slot/slot.h"

/* Sets slot->contactless and slot->raw of a new slot. False: out of memory. */
bool contactless_slot_open(struct slot *slot);

/* The field off, everything freed. */
void contactless_slot_close(struct slot *slot);

/*
 * True if the slot is for tags: by quirk, by its ATRs (raw commands), or, of readers with one slot,
 * by what the interface or the product calls itself. May ask the device for strings.
 */
bool contactless_slot_is(struct slot *slot);

#endif
