/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Applets: the programs of a card that are selected by their application identifiers (ISO 7816-4
 * §11.2.2). Several can be on one card; applet_card_new() makes the card's application of them.
 *
 * The card owns its applets and their state. What an applet must not lose, it keeps in the state
 * (state.h) under names that begin with its own ("openpgp.pw1"), reads from there whenever it needs
 * it, and never caches: a change that cannot be written is undone there. The card commits the
 * state after each command, before the answer leaves. One thread serves all cards.
 */
#ifndef CARDWIRE_VREADER_CARDS_APP_H
#define CARDWIRE_VREADER_CARDS_APP_H

#include "vreader/cards/card_app.h"
#include "vreader/cards/crypto.h"
#include "vreader/cards/state.h"

enum {
	AID_MAX = 16,
	APPLETS_MAX = 4,
};

struct applet;

/* A command of an applet, of class 00. The answer it fills in is empty when it comes; what it holds
 * beside an error (ISO 7816-4 §5.6) does not go out. */
struct applet_command {
	uint8_t ins;
	bool takes_data; /* as in struct card_app_ops */
	void (*run)(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans);
};

struct applet_ops {
	/* The applet has become the current one, or was it already: gives its FCI and SW. */
	void (*select)(
		struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans);
	/* Another applet was selected, or the card was reset: security status is lost, and what
	 * else is volatile. */
	void (*deselect)(struct applet *applet);
	/* SW by which it refuses the command in its present state; SW_OK: it does not. May be
	 * NULL: it never does. */
	uint16_t (*refuses)(const struct applet *applet, uint8_t ins);
	/* All commands but SELECT by name, while the applet is the current one. */
	const struct applet_command *commands;
	size_t command_count;
};

/* Applets begin with this. The card frees them with free(); the state was only lent. */
struct applet {
	const struct applet_ops *ops;
	struct applet_card *card; /* it is on */
	uint8_t aid[AID_MAX];     /* in full; a command may name it by a part from its beginning */
	size_t aid_len;
};

/*
 * Makes a key for a command that may have changed nothing yet: when that takes long, NULL comes with
 * ans->pending set, and the command is run once more when the key is there. NULL otherwise: libcrypto
 * cannot.
 */
struct crypto_key *applet_generate(
	struct applet *applet, enum crypto_type type, struct apdu_answer *ans);

/* A card with 1 to APPLETS_MAX applets; the first one is current after a reset. Takes over the
 * state and the applets, also when it fails; any of them may be NULL, then NULL is returned. */
struct card_app *applet_card_new(struct state *state, struct applet *const *applets, size_t count);

#endif
