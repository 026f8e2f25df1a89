/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What quirk files change about a device before it is spoken to. Pure functions.
 */
#ifndef CARDWIRE_CCID_QUIRK_APPLY_H
#define CARDWIRE_CCID_QUIRK_APPLY_H

#include "ifd-ccid/device/descriptor.h"
#include "quirk.h"

/*
 * Corrects what the class descriptor says: first the whole of it and its fields, then single
 * properties, within the same bounds as descriptor_class().
 */
void quirk_apply(const struct quirk_set *set, struct ccid_interface *interface);

/* As level-after-init says, once the reader has accepted its Escapes. */
void quirk_apply_level(uint32_t word, struct ccid_interface *interface);

/* The fastest speed of a slot, bit/s. */
uint32_t quirk_max_data_rate(
	const struct quirk_set *set, const struct ccid_interface *interface, unsigned slot);

/*
 * The speeds of a slot, ended by 0 in OUT; false: the quirk files have none, and the reader's list
 * holds.
 */
bool quirk_data_rates(
	const struct quirk_set *set, unsigned slot, uint32_t out[QUIRK_NUMBERS_MAX + 1]);

#endif
