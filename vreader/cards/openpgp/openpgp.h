/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The OpenPGP card application, version 3.4 ("Functional Specification of the OpenPGP application
 * on ISO Smart Card Operating Systems"). Its manufacturer is FF00h, one of the numbers for cards
 * with random serial numbers.
 */
#ifndef CARDWIRE_VREADER_CARDS_OPENPGP_H
#define CARDWIRE_VREADER_CARDS_OPENPGP_H

#include "vreader/cards/app.h"

/* With the keys and data in state, which it borrows, or as it comes from the factory: PW1 "123456",
 * PW3 "12345678". NULL without memory. */
struct applet *openpgp_new(struct state *state);

#endif
