/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A card that judges PIN commands: it is told beforehand where the digits of a PIN have to stand and
 * what the rest has to be, and says of the next command whether it is so. For tests of PIN pads.
 *
 *	80 D0 00 00 Lc data  what is expected, see below; nothing at all: everything is right
 *	xx 20, 24, 2C        9000, or what is wrong: 63C1 the length of the data, 63C2 a digit,
 *	                     63C3 the length field, 63C4 another bit, 63C5 the header
 *	80 D2 00 00 06       number of PIN commands since power came, 2 bytes, and the FNV-1a hash of
 *	                     the last one's data, 4 bytes
 *
 * The data of 80 D0, numbers of two bytes being big endian: header of the command, 4 bytes; number of
 * PINs; of each the bit where its first digit is, 2 bytes, bits a digit, code of digit 0, bit and
 * bits of the length field, 2 bytes and 1, number of digits, the digits; then the data of the
 * command, where bits that belong to digits and lengths don't matter. Bit 0 is the highest of the
 * first byte.
 */
#ifndef CARDWIRE_VREADER_CARDS_PIN_ORACLE_H
#define CARDWIRE_VREADER_CARDS_PIN_ORACLE_H

#include "vreader/cards/card_app.h"

/* NULL without memory. */
struct card_app *pin_oracle_new(void);

#endif
