/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/cards/catalog.h"

#include <stdio.h>
#include <string.h>

#include "vreader/cards/app.h"
#include "vreader/cards/openpgp/openpgp.h"
#include "vreader/cards/pin_oracle.h"
#include "vreader/cards/piv/piv.h"
#include "vreader/cards/pkcs15/pkcs15.h"

typedef struct applet *(*applet_new)(struct state *state);

static const struct {
	const char *name;
	struct card_app *(*plain)(void); /* a card without a memory of its own; else NULL */
	applet_new applets[APPLETS_MAX];
} known[] = {
	{ "iso", iso_card_new, { NULL } },
	{ "openpgp", NULL, { openpgp_new } },
	{ "pin-oracle", pin_oracle_new, { NULL } },
	{ "piv", NULL, { piv_new } },
	{ "pkcs15", NULL, { pkcs15_new, pkcs15_isoapplet_new } },
	{ "piv+openpgp", NULL, { piv_new, openpgp_new } },
};

enum {
	KNOWN = sizeof(known) / sizeof(known[0]),
};

static void say_known(char *why, size_t why_size)
{
	size_t len = (size_t)snprintf(why, why_size, "no such card; there are:");

	for (size_t i = 0; i < KNOWN && len < why_size; i++)
		len += (size_t)snprintf(why + len, why_size - len, " %s,", known[i].name);
	if (len < why_size)
		snprintf(why + len, why_size - len, " vpcd:ADDRESS");
}

static struct card_app *with_applets(
	const applet_new *makers, const char *state_path, char *why, size_t why_size)
{
	struct state *state = state_open(state_path, why, why_size);
	struct applet *applets[APPLETS_MAX];
	struct card_app *card;
	size_t count = 0;

	if (!state)
		return NULL;
	for (; count < APPLETS_MAX && makers[count]; count++)
		applets[count] = makers[count](state);
	card = applet_card_new(state, applets, count);
	if (!card) {
		snprintf(why, why_size, "out of memory");
		return NULL;
	}
	/* What a new card is born with, a serial number say, it keeps. */
	if (state_commit(state))
		return card;
	snprintf(why, why_size, "%s: cannot be written", state_path);
	card->ops->free(card);
	return NULL;
}

/* KNOWN: none. */
static size_t find(const char *name)
{
	size_t i = 0;

	while (i < KNOWN && strcmp(known[i].name, name) != 0)
		i++;
	return i;
}

bool catalog_has(const char *name)
{
	return find(name) < KNOWN;
}

struct card_app *catalog_new(const char *name, const char *state_path, char *why, size_t why_size)
{
	struct card_app *card;
	size_t i = find(name);

	if (i == KNOWN) {
		say_known(why, why_size);
		return NULL;
	}
	if (known[i].plain) {
		card = known[i].plain();
		if (!card)
			snprintf(why, why_size, "out of memory");
		return card;
	}
	return with_applets(known[i].applets, state_path, why, why_size);
}

bool catalog_slow(const char *name)
{
	size_t i = find(name);

	return i < KNOWN && !known[i].plain;
}
