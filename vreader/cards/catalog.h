/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The cards that can be had by name.
 */
#ifndef CARDWIRE_VREADER_CARDS_CATALOG_H
#define CARDWIRE_VREADER_CARDS_CATALOG_H

#include "vreader/cards/card_app.h"

/* Whether there is a card of that name. */
bool catalog_has(const char *name);

/*
 * The application of a card, with what it remembers in the file state_path; NULL: it forgets it
 * when it is freed. Cards without a memory of their own ("iso") take no file. NULL with an
 * explanation in why: no such card, its state cannot be used, no memory.
 */
struct card_app *catalog_new(const char *name, const char *state_path, char *why, size_t why_size);

/* Whether a command of that card can take many seconds, as the making of a long RSA key does. */
bool catalog_slow(const char *name);

#endif
