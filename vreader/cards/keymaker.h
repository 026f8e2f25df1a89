/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Makes a key in a thread of its own, since an RSA key takes seconds, and a process of many readers
 * has one thread for all of them. What the thread touches is the key maker's alone; everything here
 * is called by the loop's thread.
 */
#ifndef CARDWIRE_VREADER_CARDS_KEYMAKER_H
#define CARDWIRE_VREADER_CARDS_KEYMAKER_H

#include "vreader/cards/crypto.h"
#include "vreader/loop.h"

struct keymaker;

/* Begins. done is called from the loop, once, when keymaker_take() has something to say. Its random
 * numbers begin with one drawn here, so that keys of a seed don't depend on the order in which
 * threads run. NULL: it cannot be. */
struct keymaker *keymaker_new(
	struct loop *loop, enum crypto_type type, void (*done)(void *ctx), void *ctx);

/* After done: the key, which is the caller's then; NULL: libcrypto could not make one. */
struct crypto_key *keymaker_take(struct keymaker *maker);

/* Gives up what is not done yet, which takes some milliseconds. maker may be NULL. */
void keymaker_free(struct keymaker *maker);

#endif
