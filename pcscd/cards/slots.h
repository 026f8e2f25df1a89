/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The readers that clients can see: one entry a slot that is up, in the order in which their
 * devices were added. The number of places that clients are told never shrinks, because client
 * libraries of pcsc-lite keep the largest they have seen.
 *
 * Any thread. The lock of this list is taken before slots' locks, so don't call these functions with
 * a slot's lock held.
 */
#ifndef CARDWIRE_PCSCD_SLOTS_H
#define CARDWIRE_PCSCD_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

struct slot;

/* Makes the slot visible (takes a reference of its own); -1 if out of memory. Clients are told. */
int slots_add(struct slot *slot);

/* Makes it invisible, if it is visible. Clients are told. */
void slots_remove(struct slot *slot);

/* 1 … 32767, changes when a reader comes or goes; for SCardGetStatusChange's PnP notification. */
uint32_t slots_events(void);

/* A reference to the visible slot of that name or id; NULL if there is none. */
struct slot *slots_by_name(const char *name);
struct slot *slots_by_id(uint64_t id);

/*
 * What clients may see of the visible slot of that name, with its serials (wire/ext.h). False if
 * there is none.
 */
bool slots_look(const char *name, struct wire_reader_state *state, uint32_t *card_serial,
	uint32_t *sharing_serial);

/*
 * The names of all visible slots, each with its NUL, in memory that the caller frees; NULL if there
 * is none. *length in bytes, *count in names.
 */
char *slots_names(size_t *length, size_t *count);

/* Number of visible slots. */
size_t slots_count(void);

/* Number of places. */
size_t slots_places(void);

/* Calls look() for each visible slot, with the list's lock held; it may lock the slot. */
void slots_each(void (*look)(void *ctx, struct slot *slot), void *ctx);

/* Fills in the states of the first `count` places; those that are empty are zeroed. */
void slots_states(struct wire_reader_state *states, size_t count);

#endif
