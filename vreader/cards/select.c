/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A card with several applets: which one is current, which of its commands is meant, and that none
 * keeps rights another gave up (ISO 7816-4 §11.2.2). What a command has changed is on disk before
 * its answer leaves.
 */
#include <stdlib.h>
#include <string.h>

#include "vreader/cards/app.h"
#include "vreader/cards/keymaker.h"

enum {
	INS_SELECT = 0xA4,
	SELECT_BY_NAME = 0x04,
	OCCURRENCE = 0x03,
	NEXT = 0x02,
	LONG_COMMAND_MAX = 255, /* bytes of command data that can be kept meanwhile */
	SW_ERRORS = 0x6400, /* from here on, but for SW_OK: nothing was done (ISO 7816-4 §5.6) */
};

struct applet_card {
	struct card_app app;
	struct state *state;
	struct applet *applets[APPLETS_MAX];
	size_t count;
	size_t current;
	struct keymaker *maker;      /* works for the command that is pending; NULL: none is */
	struct apdu_command command; /* which one */
	uint8_t data[LONG_COMMAND_MAX];
	bool may_wait; /* there is room for the data of the command that runs */
};

static struct applet *current(const struct applet_card *card)
{
	return card->applets[card->current];
}

static bool matches(const struct applet *applet, const struct apdu_command *cmd)
{
	return cmd->nc && cmd->nc <= applet->aid_len &&
	       memcmp(applet->aid, cmd->data, cmd->nc) == 0;
}

/* The applet a SELECT means: the first one of that name, or the next one behind the current. count:
 * none. */
static size_t find(const struct applet_card *card, const struct apdu_command *cmd)
{
	size_t first = (cmd->p2 & OCCURRENCE) == NEXT ? card->current + 1 : 0;

	for (size_t i = first; i < card->count; i++)
		if (matches(card->applets[i], cmd))
			return i;
	return card->count;
}

/* A SELECT that names nobody changes nothing. */
static void select_applet(
	struct applet_card *card, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	size_t found = find(card, cmd);

	ans->sw = SW_FILE_NOT_FOUND;
	if (found == card->count)
		return;
	if (found != card->current)
		current(card)->ops->deselect(current(card));
	card->current = found;
	current(card)->ops->select(current(card), cmd, ans);
}

static void give_up(struct applet_card *card)
{
	keymaker_free(card->maker);
	card->maker = NULL;
}

static void card_reset(struct card_app *app)
{
	struct applet_card *card = (struct applet_card *)app;

	give_up(card);
	current(card)->ops->deselect(current(card));
	card->current = 0;
}

/* NULL: the applet has no such command. */
static const struct applet_command *find_command(const struct applet *applet, uint8_t ins)
{
	for (size_t i = 0; i < applet->ops->command_count; i++)
		if (applet->ops->commands[i].ins == ins)
			return &applet->ops->commands[i];
	return NULL;
}

static void run_command(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	const struct applet_command *command = find_command(applet, cmd->ins);

	ans->sw = SW_CLA_NOT_SUPPORTED;
	if (cmd->cla != 0)
		return;
	ans->sw = applet->ops->refuses ? applet->ops->refuses(applet, cmd->ins) : SW_OK;
	if (ans->sw != SW_OK)
		return;
	ans->sw = SW_INS_NOT_SUPPORTED;
	if (command)
		command->run(applet, cmd, ans);
	if (ans->sw != SW_OK && ans->sw >= SW_ERRORS)
		ans->len = 0;
}

static bool is_select(uint8_t cla, uint8_t ins)
{
	return cla == 0 && ins == INS_SELECT;
}

static bool card_takes_data(const struct card_app *app, uint8_t cla, uint8_t ins)
{
	const struct applet_card *card = (const struct applet_card *)app;
	const struct applet_command *command = find_command(current(card), ins);

	return is_select(cla, ins) || (command && command->takes_data);
}

struct crypto_key *applet_generate(
	struct applet *applet, enum crypto_type type, struct apdu_answer *ans)
{
	struct applet_card *card = applet->card;
	const struct card_host *host = card->app.host;
	struct crypto_key *key;

	if (card->maker) {
		key = keymaker_take(card->maker);
		give_up(card);
		return key;
	}
	/* Others than RSA's are made in no time. */
	if (host && crypto_is_rsa(type) && card->may_wait)
		card->maker = keymaker_new(host->loop, type, host->ready, host->ctx);
	ans->pending = card->maker != NULL;
	return ans->pending ? NULL : crypto_generate(type, NULL);
}

static void keep_command(struct applet_card *card, const struct apdu_command *cmd)
{
	card->command = *cmd;
	card->command.data = card->data;
	if (cmd->nc)
		memmove(card->data, cmd->data, cmd->nc);
}

static void run_any(
	struct applet_card *card, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	card->may_wait = cmd->nc <= LONG_COMMAND_MAX;
	/* Real cards are as generous, and there are programs that leave out Le. */
	ans->unasked = true;
	if (is_select(cmd->cla, cmd->ins) && cmd->p1 == SELECT_BY_NAME)
		select_applet(card, cmd, ans);
	else
		run_command(current(card), cmd, ans);
	if (ans->pending) {
		keep_command(card, cmd);
		return;
	}
	if (state_commit(card->state))
		return;
	/* It is as if the command had not been; what it granted is taken back, too. */
	current(card)->ops->deselect(current(card));
	ans->len = 0;
	ans->sw = SW_MEMORY_FAILURE;
}

static void card_process(
	struct card_app *app, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct applet_card *card = (struct applet_card *)app;

	give_up(card);
	run_any(card, cmd, ans);
}

static void card_resume(struct card_app *app, struct apdu_answer *ans)
{
	struct applet_card *card = (struct applet_card *)app;

	run_any(card, &card->command, ans);
}

static void free_all(struct state *state, struct applet *const *applets, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(applets[i]);
	state_close(state);
}

static void card_free_app(struct card_app *app)
{
	struct applet_card *card = (struct applet_card *)app;

	give_up(card);
	free_all(card->state, card->applets, card->count);
	free(card);
}

static const struct card_app_ops card_ops = {
	.name = "applets",
	.reset = card_reset,
	.takes_data = card_takes_data,
	.process = card_process,
	.resume = card_resume,
	.free = card_free_app,
};

struct card_app *applet_card_new(struct state *state, struct applet *const *applets, size_t count)
{
	bool complete = state && count >= 1 && count <= APPLETS_MAX;
	struct applet_card *card = NULL;

	for (size_t i = 0; i < count; i++)
		complete = complete && applets[i];
	if (complete)
		card = calloc(1, sizeof(*card));
	if (!card) {
		free_all(state, applets, count);
		return NULL;
	}
	card->app.ops = &card_ops;
	card->state = state;
	memcpy(card->applets, applets, count * sizeof(*applets));
	card->count = count;
	for (size_t i = 0; i < count; i++)
		applets[i]->card = card;
	return &card->app;
}
