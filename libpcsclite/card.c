/* SPDX-License-Identifier: BSD-3-Clause */
/* Card handles. */
#include <stdlib.h>
#include <string.h>

#include "context_private.h"

void card_unref(struct card *card)
{
	struct context *context = card->context;
	struct card **link = &context->cards;

	if (--card->refs > 0)
		return;
	while (*link != card)
		link = &(*link)->next;
	*link = card->next;
	conn_close(&card->conn);
	pthread_cond_destroy(&card->turn);
	free(card);
	context_unref(context);
}

void card_retire(struct card *card)
{
	card->closed = true;
	idmap_remove(&card_ids, card->id);
	pthread_cond_broadcast(&card->turn);
}

bool context_in_transaction(struct context *context, const char *reader)
{
	bool found = false;

	pthread_mutex_lock(&context_lock);
	for (struct card *card = context->cards; card && !found; card = card->next)
		found = card->transactions > 0 && strcmp(card->reader, reader) == 0;
	pthread_mutex_unlock(&context_lock);
	return found;
}

LONG card_open(struct context *context, struct loan *loan, int32_t hCard, const char *reader,
	SCARDHANDLE *id)
{
	struct card *card = calloc(1, sizeof(*card));
	LONG rv = card ? SCARD_S_SUCCESS : SCARD_E_NO_MEMORY;

	pthread_mutex_lock(&context_lock);
	context_strike(context, loan);
	if (card && context->released)
		rv = SCARD_E_INVALID_HANDLE;
	if (rv == SCARD_S_SUCCESS) {
		card->id = idmap_add(&card_ids, hCard, card);
		if (card->id == 0)
			rv = SCARD_E_NO_MEMORY;
	}
	if (rv == SCARD_S_SUCCESS) {
		card->context = context;
		context->refs++;
		card->conn = loan->conn;
		card->hCard = hCard;
		card->refs = 1;
		strncpy(card->reader, reader, sizeof(card->reader) - 1);
		pthread_cond_init(&card->turn, NULL);
		card->next = context->cards;
		context->cards = card;
		*id = card->id;
	}
	pthread_mutex_unlock(&context_lock);
	if (rv != SCARD_S_SUCCESS) {
		/* The daemon closes the handle with its connection. */
		conn_close(&loan->conn);
		free(card);
	}
	return rv;
}

LONG card_take(SCARDHANDLE id, struct card **taken)
{
	struct card *card;
	bool closed;

	pthread_mutex_lock(&context_lock);
	card = idmap_find(&card_ids, id);
	if (!card) {
		pthread_mutex_unlock(&context_lock);
		return SCARD_E_INVALID_HANDLE;
	}
	card->refs++;
	while (card->busy && !card->closed)
		pthread_cond_wait(&card->turn, &context_lock);
	closed = card->closed;
	*taken = closed ? NULL : card;
	if (closed)
		card_unref(card);
	else
		card->busy = true;
	pthread_mutex_unlock(&context_lock);
	return closed ? SCARD_E_INVALID_HANDLE : SCARD_S_SUCCESS;
}

/* The lock is held. */
static void give(struct card *card, enum conn_result result)
{
	card->busy = false;
	if (result != CONN_OK || card->context->released) {
		conn_close(&card->conn);
		card->transactions = 0;
	}
	pthread_cond_signal(&card->turn);
}

void card_give(struct card *card, enum conn_result result)
{
	pthread_mutex_lock(&context_lock);
	give(card, result);
	card_unref(card);
	pthread_mutex_unlock(&context_lock);
}

void card_close(struct card *card, enum conn_result result)
{
	pthread_mutex_lock(&context_lock);
	if (result == CONN_OK && card->conn.fd >= 0)
		context_keep(card->context, &card->conn);
	give(card, result);
	if (!card->closed) {
		card_retire(card);
		card->refs--;
	}
	card_unref(card);
	pthread_mutex_unlock(&context_lock);
}

void card_lose(struct card *card)
{
	pthread_mutex_lock(&context_lock);
	conn_close(&card->conn);
	card->transactions = 0;
	pthread_mutex_unlock(&context_lock);
}

void card_revive(struct card *card, struct loan *loan, int32_t hCard)
{
	pthread_mutex_lock(&context_lock);
	context_strike(card->context, loan);
	card->conn = loan->conn;
	card->hCard = hCard;
	card->transactions = 0;
	pthread_mutex_unlock(&context_lock);
}

void card_count_transaction(struct card *card, int change)
{
	pthread_mutex_lock(&context_lock);
	if (change > 0)
		card->transactions++;
	else if (change == 0)
		card->transactions = 0;
	else if (card->transactions > 0)
		card->transactions--;
	pthread_mutex_unlock(&context_lock);
}
