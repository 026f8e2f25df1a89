/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * USB ICCs: a card that is its own reader and speaks over the control pipe only, versions A and B
 * (ICCD 1.0 §6.1, §6.2).
 */
#ifndef CARDWIRE_VREADER_ICCD_H
#define CARDWIRE_VREADER_ICCD_H

#include "vreader/firmware/ccid_slot.h"

/* Whether the interface is one: by its protocol, and since it has no bulk pipes. */
bool iccd_is(const struct profile_interface *intf);

/* A class request; the number of answer bytes, or -1 for a stall. */
int iccd_control(struct ccid_device *dev, const uint8_t setup[8], const uint8_t *out,
	size_t out_len, uint8_t *in, size_t cap, int64_t now);

#endif
