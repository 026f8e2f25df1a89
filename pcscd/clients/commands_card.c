/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests that need a card: connecting, and all that is done with a handle. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "pcscd/cards/slots.h"
#include "pcscd/clients/commands.h"
#include "pcscd/clients/ids.h"
#include "pcscd/clients/server.h"
#include "pcscd/clients/sessions.h"
#include "pcscd/clock.h"

#define CONNECT_NS (5 * CLOCK_S) /* longest wait of SCardConnect if transactions have no lease */

/* The answer of a request that may have to wait for a slot. */
static enum session_outcome reply_or_park(struct session *session, struct session_answer *answer,
	void *body, size_t length, uint32_t rv)
{
	if (rv != SLOT_PARKED)
		return command_reply(answer, body, length);
	session->parking = SESSION_PARKED_SLOT;
	return SESSION_PARK;
}

static struct card *find_card(struct session *session, int32_t handle)
{
	struct card *card = session->cards;

	while (card && card->handle != (uint32_t)handle)
		card = card->next;
	return card;
}

static void forget_card(struct session *session, struct card *card)
{
	struct card **at = &session->cards;

	while (*at != card)
		at = &(*at)->next;
	*at = card->next;
	session->card_count--;
	ids_drop(&session_cards, card->handle);
	card_free(card);
}

void command_drop_cards(struct session *session)
{
	struct card *card;

	while ((card = session->cards)) {
		card_abandon(card);
		forget_card(session, card);
	}
}

/*
 * May the client use this reader? A verdict that had to be waited for is used up by the request it
 * was asked for; one that allows is remembered for the reader of that name.
 */
static enum access_verdict check_card_access(struct session *session, const char *reader)
{
	enum session_access known = session->access_card;
	enum access_verdict verdict;

	session->access_card = SESSION_ACCESS_UNASKED;
	if (known == SESSION_ACCESS_DENIED)
		return ACCESS_DENIED;
	if (session->allowed_reader && strcmp(session->allowed_reader, reader) == 0)
		return ACCESS_ALLOWED;
	if (known == SESSION_ACCESS_ALLOWED) {
		free(session->allowed_reader);
		session->allowed_reader = strdup(reader);
		return ACCESS_ALLOWED;
	}
	verdict = server_ask_access(session, ACCESS_CARD, reader);
	if (verdict == ACCESS_PENDING) {
		session->access_card = SESSION_ACCESS_ASKED;
		session->parking = SESSION_PARKED_ACCESS;
	}
	return verdict;
}

/* Connects, as far as session->slot is known; *body is filled in. */
static uint32_t connect_slot(struct session *session, struct wire_connect *body, bool no_wait)
{
	struct card_wish wish = {
		.mode = body->dwShareMode,
		.protocols = body->dwPreferredProtocols,
		.deadline = session->connect_by,
		.no_wait = no_wait,
	};
	struct card *card;
	uint32_t rv, protocol;

	rv = card_connect(&session->client, session->slot, &session->call, &wish, &card, &protocol);
	if (rv != SCARD_S_SUCCESS)
		return rv;
	card->handle = ids_new(&session_cards, 1);
	if (!card->handle) {
		card_abandon(card);
		card_free(card);
		return SCARD_E_NO_MEMORY;
	}
	card->next = session->cards;
	session->cards = card;
	session->card_count++;
	body->hCard = (int32_t)card->handle;
	body->dwActiveProtocol = protocol;
	return SCARD_S_SUCCESS;
}

/* Finds the reader, unless the request has been there before. */
static uint32_t begin_connect(struct session *session, const struct wire_connect *body)
{
	const struct server_config *config = server_config();
	uint32_t rv = command_check_context(session, body->hContext);

	if (session->slot || rv != SCARD_S_SUCCESS)
		return rv;
	if (config->max_handles_per_context &&
		session->card_count >= config->max_handles_per_context)
		return SCARD_E_NO_MEMORY;
	/* A wrong mode or protocol is told before a wrong name, as clients know it. */
	rv = card_check_wish(body->dwShareMode, body->dwPreferredProtocols);
	if (rv != SCARD_S_SUCCESS)
		return rv;
	session->slot = slots_by_name(body->szReader);
	session->connect_by = clock_now() + (config->lease_ns > 0 ? config->lease_ns : CONNECT_NS);
	return session->slot ? SCARD_S_SUCCESS : SCARD_E_UNKNOWN_READER;
}

enum session_outcome command_connect(
	struct session *session, struct wire_request *request, struct session_answer *answer)
{
	struct wire_connect *body = &request->body.connect;
	bool no_wait = session->dialect == WIRE_DIALECT_EXT && body->rv == WIRE_EXT_TRY;

	body->hCard = 0;
	body->dwActiveProtocol = 0;
	if (!session->slot) {
		switch (check_card_access(session, body->szReader)) {
		case ACCESS_ALLOWED:
			break;
		case ACCESS_DENIED:
			body->hCard = WIRE_HCARD_NONE;
			body->dwActiveProtocol = UINT32_MAX;
			body->rv = SCARD_W_SECURITY_VIOLATION;
			return command_reply(answer, body, sizeof(*body));
		case ACCESS_PENDING:
			return SESSION_PARK;
		}
	}
	body->rv = begin_connect(session, body);
	if (body->rv == SCARD_S_SUCCESS)
		body->rv = connect_slot(session, body, no_wait);
	if (body->rv != SLOT_PARKED) {
		slot_unref(session->slot);
		session->slot = NULL;
	}
	return reply_or_park(session, answer, body, sizeof(*body), body->rv);
}

static uint32_t do_reconnect(struct session *session, struct card *card,
	struct wire_request *request, struct session_answer *answer)
{
	struct wire_reconnect *body = &request->body.reconnect;
	struct card_wish wish = {
		.mode = body->dwShareMode,
		.protocols = body->dwPreferredProtocols,
		.action = body->dwInitialization,
	};

	(void)answer;
	body->dwActiveProtocol = 0;
	return card_reconnect(
		&session->client, card, &session->call, &wish, &body->dwActiveProtocol);
}

static uint32_t do_disconnect(struct session *session, struct card *card,
	struct wire_request *request, struct session_answer *answer)
{
	uint32_t rv = card_disconnect(
		&session->client, card, &session->call, request->body.disconnect.dwDisposition);

	(void)answer;
	if (rv == SCARD_S_SUCCESS)
		forget_card(session, card);
	return rv;
}

static uint32_t do_begin(struct session *session, struct card *card, struct wire_request *request,
	struct session_answer *answer)
{
	(void)request;
	(void)answer;
	return card_begin(&session->client, card, &session->call);
}

static uint32_t do_end(struct session *session, struct card *card, struct wire_request *request,
	struct session_answer *answer)
{
	(void)answer;
	return card_end(&session->client, card, &session->call, request->body.end.dwDisposition);
}

static uint32_t do_status(struct session *session, struct card *card, struct wire_request *request,
	struct session_answer *answer)
{
	(void)request;
	(void)answer;
	return card_status(&session->client, card, &session->call);
}

static uint32_t do_ext_status(struct session *session, struct card *card,
	struct wire_request *request, struct session_answer *answer)
{
	struct wire_reader_state *state = &request->body.ext_status.state;
	uint32_t rv = card_status(&session->client, card, &session->call);

	(void)answer;
	memset(state, 0, sizeof(*state));
	if (rv == SCARD_S_SUCCESS) {
		slot_lock(card->slot);
		slot_publish(card->slot, state);
		slot_unlock(card->slot);
	}
	return rv;
}

/* What the request hands to the card or the driver; the answer has the client's limit. */
static struct card_exchange exchange_of(const struct wire_request *request, uint32_t limit)
{
	return (struct card_exchange){
		.tx = request->tail,
		.tx_length = request->tail_length,
		.rx = pool_buffers()->out,
		.limit = limit,
	};
}

static void give_answer(
	struct session_answer *answer, const struct card_exchange *exchange, uint32_t rv)
{
	if (rv != SCARD_S_SUCCESS)
		return;
	answer->tail = exchange->rx;
	answer->tail_length = exchange->rx_length;
}

static uint32_t do_transmit(struct session *session, struct card *card,
	struct wire_request *request, struct session_answer *answer)
{
	struct wire_transmit *body = &request->body.transmit;
	struct card_exchange exchange = exchange_of(request, body->pcbRecvLength);
	uint32_t rv = card_transmit(
		&session->client, card, &session->call, body->ioSendPciProtocol, &exchange);

	body->pcbRecvLength = (uint32_t)exchange.rx_length;
	give_answer(answer, &exchange, rv);
	return rv;
}

static uint32_t do_control(struct session *session, struct card *card, struct wire_request *request,
	struct session_answer *answer)
{
	struct wire_control *body = &request->body.control;
	struct card_exchange exchange = exchange_of(request, body->cbRecvLength);
	uint32_t rv = card_control(
		&session->client, card, &session->call, body->dwControlCode, &exchange);

	body->dwBytesReturned = (uint32_t)exchange.rx_length;
	give_answer(answer, &exchange, rv);
	return rv;
}

static uint32_t do_get_attrib(struct session *session, struct card *card,
	struct wire_request *request, struct session_answer *answer)
{
	struct wire_getset *body = &request->body.getset;
	size_t length = body->cbAttrLen;
	uint32_t rv = card_get_attribute(
		&session->client, card, &session->call, body->dwAttrId, body->pbAttr, &length);

	(void)answer;
	body->cbAttrLen = (uint32_t)length;
	return rv;
}

static uint32_t do_set_attrib(struct session *session, struct card *card,
	struct wire_request *request, struct session_answer *answer)
{
	struct wire_getset *body = &request->body.getset;

	(void)answer;
	return card_set_attribute(&session->client, card, &session->call, body->dwAttrId,
		body->pbAttr, body->cbAttrLen);
}

#define CARD_COMMAND(type, function)                                                               \
	{                                                                                          \
		function, sizeof(struct type), offsetof(struct type, rv)                           \
	}

static const struct {
	uint32_t (*run)(struct session *session, struct card *card, struct wire_request *request,
		struct session_answer *answer);
	size_t size; /* of the answer */
	size_t rv;   /* where it has the result */
} card_commands[] = {
	[WIRE_RECONNECT] = CARD_COMMAND(wire_reconnect, do_reconnect),
	[WIRE_DISCONNECT] = CARD_COMMAND(wire_disconnect, do_disconnect),
	[WIRE_BEGIN_TRANSACTION] = CARD_COMMAND(wire_begin, do_begin),
	[WIRE_END_TRANSACTION] = CARD_COMMAND(wire_end, do_end),
	[WIRE_TRANSMIT] = CARD_COMMAND(wire_transmit, do_transmit),
	[WIRE_CONTROL] = CARD_COMMAND(wire_control, do_control),
	[WIRE_STATUS] = CARD_COMMAND(wire_status, do_status),
	[WIRE_GET_ATTRIB] = CARD_COMMAND(wire_getset, do_get_attrib),
	[WIRE_SET_ATTRIB] = CARD_COMMAND(wire_getset, do_set_attrib),
	[WIRE_EXT_STATUS] = CARD_COMMAND(wire_ext_status, do_ext_status),
};

enum session_outcome command_of_card(
	struct session *session, struct wire_request *request, struct session_answer *answer)
{
	uint8_t *body = (uint8_t *)&request->body;
	size_t size = card_commands[request->command].size;
	/* All of these bodies begin with it. */
	struct card *card = find_card(session, request->body.status.hCard);
	uint32_t rv;

	if (!card) {
		session_complain(session, "it used a card handle that is not its own");
		return SESSION_CLOSE;
	}
	rv = card_commands[request->command].run(session, card, request, answer);
	memcpy(body + card_commands[request->command].rv, &rv, sizeof(rv));
	return reply_or_park(session, answer, body, size, rv);
}
