/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The words that describe a card on the command line and on the control socket.
 */
#ifndef CARDWIRE_VREADER_CARD_OPTIONS_H
#define CARDWIRE_VREADER_CARD_OPTIONS_H

#include "vreader/cards/card.h"

/* "t0", "t1" or "both". False: another word. */
bool card_options_protocol(struct card_options *o, const char *word);

/* "KEY=VALUE" with the keys protocol, ta1 (hexadecimal), specific, inverse, crc, single (0 or 1),
 * ifsc, wi, bwi, cwi, tc1, classes, wtx (decimal). NULL when done, else what is wrong. */
const char *card_options_set(struct card_options *o, const char *assignment);

#endif
