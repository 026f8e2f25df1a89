/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The PIV application (NIST SP 800-73-4), with the commands that Yubico added to manage it, as
 * OpenSC's driver and yubico-piv-tool use them. A new one has PIN 123456, PUK 12345678 and the
 * management key 0102030405060708 three times over (3DES), three tries each, no keys, and a CHUID
 * and a CCC with random numbers. It keeps everything under names that begin with "piv.".
 */
#ifndef CARDWIRE_VREADER_CARDS_PIV_H
#define CARDWIRE_VREADER_CARDS_PIV_H

#include "vreader/cards/app.h"

/* The state is lent by the card. NULL: state is NULL, no memory, or no random numbers. */
struct applet *piv_new(struct state *state);

#endif
