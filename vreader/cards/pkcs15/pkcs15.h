/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A PKCS #15 file system (ISO 7816-15) that can be read and used: two PINs, a P-256 key that signs
 * after VERIFY, its certificate, a public and a protected data object.
 *
 *   3F00 MF
 *     2F00 EF.DIR
 *     5015 DF, name A0 00 00 00 63 "PKCS-15"
 *       5031 EF.ODF
 *       5032 EF.TokenInfo
 *       4401 EF.AOD, 4402 EF.PrKD, 4404 EF.CD, 4407 EF.DOD
 *       4501 certificate
 *       4601 data object, 4602 data object that is read after VERIFY
 *
 * PIN 01 is 123456, PIN 02, which unblocks it, 12345678; both are of 4 to 12 digits, 3 tries.
 *
 * There is no driver in OpenSC for cards that are known by their PKCS #15 name alone. The same file
 * system therefore answers to the name of IsoApplet, too, with that applet's version, so that
 * OpenSC's driver of that name takes the card.
 */
#ifndef CARDWIRE_VREADER_CARDS_PKCS15_H
#define CARDWIRE_VREADER_CARDS_PKCS15_H

#include "vreader/cards/app.h"

/* The state is lent by the card. NULL: state is NULL, no memory, or libcrypto fails. */
struct applet *pkcs15_new(struct state *state);
struct applet *pkcs15_isoapplet_new(struct state *state);

#endif
