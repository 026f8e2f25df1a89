/* SPDX-License-Identifier: BSD-3-Clause */
/* What each request of the protocol does: one function a command, and the table of them. */
#include "pcscd/clients/session.h"

#include <stdlib.h>
#include <string.h>

#include "pcscd/cards/slots.h"
#include "pcscd/clients/ids.h"
#include "pcscd/clients/server.h"
#include "pcscd/clients/sessions.h"
#include "pcscd/clock.h"
#include "pcscd/log.h"
#include "pcscd/readers/readers.h"

#define CONNECT_NS (5 * CLOCK_S) /* longest wait of SCardConnect if transactions have no lease */

/* The request's body, changed, is the answer. */
static enum session_outcome reply(
	struct session_answer *answer, void *body, size_t length, uint32_t rv)
{
	if (rv == SLOT_PARKED)
		return SESSION_PARK;
	answer->head = body;
	answer->head_length = length;
	return SESSION_ANSWER;
}

/* A request that has to wait for a slot. */
static enum session_outcome reply_or_park(struct session *session, struct session_answer *answer,
	void *body, size_t length, uint32_t rv)
{
	if (rv == SLOT_PARKED)
		session->parking = SESSION_PARKED_SLOT;
	return reply(answer, body, length, rv);
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

void session_drop_context(struct session *session)
{
	struct card *card;

	if (session->parking == SESSION_PARKED_SLOT)
		slot_cancel_call(session->call.slot, &session->call);
	slot_unref(session->slot);
	session->slot = NULL;
	while ((card = session->cards)) {
		card_abandon(card);
		forget_card(session, card);
	}
	ids_drop(&session_contexts, session->context);
	session->context = 0;
}

/*
 * While readers are being brought up, a client that asks for them waits a moment. Returns true if it
 * is to wait.
 */
static bool park_until_settled(struct session *session)
{
	int64_t until;

	/* Registered first, so that a device that comes up in between is not missed. */
	events_register(&session->settle_waiter);
	until = readers_unsettled_until();
	if (!until) {
		events_unregister(&session->settle_waiter);
		return false;
	}
	session->parking = SESSION_PARKED_SETTLE;
	timer_set(&session->timer, until);
	return true;
}

static enum session_outcome do_version(
	struct session *session, struct wire_request *request, struct session_answer *answer)
{
	struct wire_version *body = &request->body.version;
	struct wire_version asked = *body;
	int dialect = wire_version_answer(&asked, body);

	if (dialect >= 0)
		session->dialect = dialect;
	session->client.no_blocking =
		dialect == WIRE_DIALECT_EXT && (asked.rv & WIRE_EXT_NO_BLOCKING);
	return reply(answer, body, sizeof(*body), 0);
}

static enum session_outcome do_establish(
	struct session *session, struct wire_request *request, struct session_answer *answer)
{
	struct wire_establish *body = &request->body.establish;
	uint32_t context = 0;

	body->rv = SCARD_S_SUCCESS;
	if (body->dwScope > SCARD_SCOPE_GLOBAL) {
		body->rv = SCARD_E_INVALID_VALUE;
	} else {
		context = ids_new(&session_contexts, session->client.id);
		if (!context)
			body->rv = SCARD_E_NO_MEMORY;
	}
	body->hContext = context;
	if (context) {
		ids_drop(&session_contexts, session->context);
		session->context = context;
	}
	return reply(answer, body, sizeof(*body), 0);
}

/* Is this the connection's context? */
static uint32_t check_context(const struct session *session, uint32_t context)
{
	if (!session->context)
		return SCARD_E_INVALID_HANDLE;
	return context == session->context ? SCARD_S_SUCCESS : SCARD_E_INVALID_VALUE;
}

static enum session_outcome do_release(
	struct session *session, struct wire_request *request, struct session_answer *answer)
{
	struct wire_release *body = &request->body.release;

	body->rv = check_context(session, body->hContext);
	if (body->rv == SCARD_S_SUCCESS)
		session_drop_context(session);
	return reply(answer, body, sizeof(*body), 0);
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
static uint32_t connect_slot(struct session *session, struct wire_connect *body)
{
	struct card_wish wish = {
		.mode = body->dwShareMode,
		.protocols = body->dwPreferredProtocols,
		.deadline = session->connect_by,
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
	uint32_t rv = check_context(session, body->hContext);

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

static enum session_outcome do_connect(
	struct session *session, struct wire_request *request, struct session_answer *answer)
{
	struct wire_connect *body = &request->body.connect;

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
			return reply(answer, body, sizeof(*body), 0);
		case ACCESS_PENDING:
			return SESSION_PARK;
		}
	}
	body->rv = begin_connect(session, body);
	if (body->rv == SCARD_S_SUCCESS)
		body->rv = connect_slot(session, body);
	if (body->rv != SLOT_PARKED) {
		slot_unref(session->slot);
		session->slot = NULL;
	}
	return reply_or_park(session, answer, body, sizeof(*body), body->rv);
}

static enum session_outcome do_reconnect(
	struct session *session, struct wire_request *request, struct session_answer *answer)
{
	struct wire_reconnect *body = &request->body.reconnect;
	struct card *card = find_card(session, body->hCard);
	struct card_wish wish = {
		.mode = body->dwShareMode,
		.protocols = body->dwPreferredProtocols,
		.action = body->dwInitialization,
	};

	if (!card)
		return SESSION_CLOSE;
	body->dwActiveProtocol = 0;
	body->rv = card_reconnect(
		&session->client, card, &session->call, &wish, &body->dwActiveProtocol);
	return reply_or_park(session, answer, body, sizeof(*body), body->rv);
}

static enum session_outcome do_disconnect(
	struct session *session, struct wire_request *request, struct session_answer *answer)
{
	struct wire_disconnect *body = &request->body.disconnect;
	struct card *card = find_card(session, body->hCard);

	if (!card)
		return SESSION_CLOSE;
	body->rv = card_disconnect(&session->client, card, &session->call, body->dwDisposition);
	if (body->rv == SCARD_S_SUCCESS)
		forget_card(session, card);
	return reply_or_park(session, answer, body, sizeof(*body), body->rv);
}

static enum session_outcome do_begin(
	struct session *session, struct wire_request *request, struct session_answer *answer)
{
	struct wire_begin *body = &request->body.begin;
	struct card *card = find_card(session, body->hCard);

	if (!card)
		return SESSION_CLOSE;
	body->rv = card_begin(&session->client, card, &session->call);
	return reply_or_park(session, answer, body, sizeof(*body), body->rv);
}

static enum session_outcome do_end(
	struct session *session, struct wire_request *request, struct session_answer *answer)
{
	struct wire_end *body = &request->body.end;
	struct card *card = find_card(session, body->hCard);

	if (!card)
		return SESSION_CLOSE;
	body->rv = card_end(&session->client, card, &session->call, body->dwDisposition);
	return reply_or_park(session, answer, body, sizeof(*body), body->rv);
}

static enum session_outcome do_status(
	struct session *session, struct wire_request *request, struct session_answer *answer)
{
	struct wire_status *body = &request->body.status;
	struct card *card = find_card(session, body->hCard);

	if (!card)
		return SESSION_CLOSE;
	body->rv = card_status(&session->client, card, &session->call);
	return reply_or_park(session, answer, body, sizeof(*body), body->rv);
}

static enum session_outcome do_ext_status(
	struct session *session, struct wire_request *request, struct session_answer *answer)
{
	struct wire_ext_status *body = &request->body.ext_status;
	struct card *card = find_card(session, body->hCard);

	if (!card)
		return SESSION_CLOSE;
	memset(&body->state, 0, sizeof(body->state));
	body->rv = card_status(&session->client, card, &session->call);
	if (body->rv == SCARD_S_SUCCESS) {
		slot_lock(card->slot);
		slot_publish(card->slot, &body->state);
		slot_unlock(card->slot);
	}
	return reply_or_park(session, answer, body, sizeof(*body), body->rv);
}

static enum session_outcome do_transmit(
	struct session *session, struct wire_request *request, struct session_answer *answer)
{
	struct wire_transmit *body = &request->body.transmit;
	struct card *card = find_card(session, body->hCard);
	struct card_exchange exchange = {
		.tx = request->tail,
		.tx_length = request->tail_length,
		.rx = pool_buffers()->out,
		.limit = body->pcbRecvLength,
	};

	if (!card)
		return SESSION_CLOSE;
	body->rv = card_transmit(
		&session->client, card, &session->call, body->ioSendPciProtocol, &exchange);
	body->pcbRecvLength = (uint32_t)exchange.rx_length;
	if (body->rv == SCARD_S_SUCCESS) {
		answer->tail = exchange.rx;
		answer->tail_length = exchange.rx_length;
	}
	return reply_or_park(session, answer, body, sizeof(*body), body->rv);
}

static enum session_outcome do_control(
	struct session *session, struct wire_request *request, struct session_answer *answer)
{
	struct wire_control *body = &request->body.control;
	struct card *card = find_card(session, body->hCard);
	struct card_exchange exchange = {
		.tx = request->tail,
		.tx_length = request->tail_length,
		.rx = pool_buffers()->out,
		.limit = body->cbRecvLength,
	};

	if (!card)
		return SESSION_CLOSE;
	body->rv = card_control(
		&session->client, card, &session->call, body->dwControlCode, &exchange);
	body->dwBytesReturned = (uint32_t)exchange.rx_length;
	if (body->rv == SCARD_S_SUCCESS) {
		answer->tail = exchange.rx;
		answer->tail_length = exchange.rx_length;
	}
	return reply_or_park(session, answer, body, sizeof(*body), body->rv);
}

static enum session_outcome do_get_attrib(
	struct session *session, struct wire_request *request, struct session_answer *answer)
{
	struct wire_getset *body = &request->body.getset;
	struct card *card = find_card(session, body->hCard);
	size_t length = body->cbAttrLen;

	if (!card)
		return SESSION_CLOSE;
	body->rv = card_get_attribute(
		&session->client, card, &session->call, body->dwAttrId, body->pbAttr, &length);
	body->cbAttrLen = (uint32_t)length;
	return reply_or_park(session, answer, body, sizeof(*body), body->rv);
}

static enum session_outcome do_set_attrib(
	struct session *session, struct wire_request *request, struct session_answer *answer)
{
	struct wire_getset *body = &request->body.getset;
	struct card *card = find_card(session, body->hCard);

	if (!card)
		return SESSION_CLOSE;
	body->rv = card_set_attribute(&session->client, card, &session->call, body->dwAttrId,
		body->pbAttr, body->cbAttrLen);
	return reply_or_park(session, answer, body, sizeof(*body), body->rv);
}

/* Only for contexts of the same user, or by root. Not told apart from those that don't exist. */
static enum session_outcome do_cancel(
	struct session *session, struct wire_request *request, struct session_answer *answer)
{
	struct wire_cancel *body = &request->body.cancel;
	struct session *other =
		sessions_find(ids_find(&session_contexts, (uint32_t)body->hContext));
	uid_t uid = session->client.peer.uid;

	body->rv = SCARD_E_INVALID_HANDLE;
	if (other && (uid == 0 || uid == other->client.peer.uid)) {
		session_wake(other, SESSION_CANCELLED);
		body->rv = SCARD_S_SUCCESS;
	}
	if (other)
		session_unref(other);
	return reply(answer, body, sizeof(*body), 0);
}

/* The states of `count` places as the answer's tail. */
static enum session_outcome reply_states(struct session_answer *answer, size_t count)
{
	size_t length = count * sizeof(struct wire_reader_state);
	struct wire_reader_state *states = (void *)pool_buffers()->out;

	if (length > POOL_BUFFER_OUT) {
		states = answer->allocated = malloc(length);
		if (!states)
			return SESSION_CLOSE;
	}
	slots_states(states, count);
	return reply(answer, states, length, 0);
}

static enum session_outcome do_states(
	struct session *session, struct wire_request *request, struct session_answer *answer)
{
	(void)request;
	if (park_until_settled(session))
		return SESSION_PARK;
	session->states_sent = true;
	session->events_seen = events_count();
	return reply_states(answer, session->array_length);
}

static enum session_outcome do_states_size(
	struct session *session, struct wire_request *request, struct session_answer *answer)
{
	struct wire_states_size *body = &request->body.states_size;

	(void)session;
	body->slots = (uint32_t)slots_places();
	return reply(answer, body, sizeof(*body), 0);
}

static enum session_outcome do_states_array(
	struct session *session, struct wire_request *request, struct session_answer *answer)
{
	(void)request;
	if (park_until_settled(session))
		return SESSION_PARK;
	return reply_states(answer, slots_places());
}

static void start_waiting(struct session *session)
{
	events_unregister(&session->waiter);
	session->waiting = true;
	session->raised = session->cancelled = false;
	session->waiter.kinds = EVENTS_ANY;
	events_register(&session->waiter);
}

/*
 * Peers of 4:4 and 4:5 get the states with it. One of 4:6 asks for them next, and no event may be
 * told before. One of 4:3 has asked for them before, so what happened since counts as an event.
 */
static enum session_outcome do_wait(
	struct session *session, struct wire_request *request, struct session_answer *answer)
{
	(void)request;
	if (park_until_settled(session))
		return SESSION_PARK;
	start_waiting(session);
	if (session->dialect == 4 || session->dialect == 5)
		return reply_states(answer, session->array_length);
	if (session->dialect < WIRE_MINOR_NO_WAIT_BODY)
		session->raised = session->states_sent && events_count() != session->events_seen;
	else
		session->held = true;
	return SESSION_SILENT;
}

/* If the registration has been used up, the message that did it was the answer. */
static enum session_outcome do_stop_waiting(
	struct session *session, struct wire_request *request, struct session_answer *answer)
{
	struct wire_wait *body = &request->body.wait;

	if (!session->waiting)
		return SESSION_SILENT;
	events_unregister(&session->waiter);
	body->timeOut = 0;
	body->rv = session->cancelled ? SCARD_E_CANCELLED : SCARD_S_SUCCESS;
	session->waiting = session->raised = session->cancelled = false;
	return reply(answer, body, sizeof(*body), 0);
}

static enum session_outcome do_reader_events(
	struct session *session, struct wire_request *request, struct session_answer *answer)
{
	struct wire_reader_events *body = &request->body.reader_events;

	(void)session;
	body->readerEvents = slots_events();
	body->rv = SCARD_S_SUCCESS;
	return reply(answer, body, sizeof(*body), 0);
}

static enum session_outcome do_ext_list(
	struct session *session, struct wire_request *request, struct session_answer *answer)
{
	struct wire_ext_list *body = &request->body.ext_list;
	size_t length, readers;
	char *names;

	if (park_until_settled(session))
		return SESSION_PARK;
	names = slots_names(&length, &readers);
	body->rv = names ? SCARD_S_SUCCESS : SCARD_E_NO_MEMORY;
	body->events = slots_events();
	body->readers = names ? (uint32_t)readers : 0;
	body->length = names ? (uint32_t)length : 0;
	answer->tail = answer->allocated = names;
	answer->tail_length = body->length;
	return reply(answer, body, sizeof(*body), 0);
}

void session_drop_watch(struct session *session)
{
	free(session->watch);
	session->watch = NULL;
}

static bool differs(uint32_t seen, uint32_t now)
{
	return seen != WIRE_EXT_SERIAL_ANY && seen != now;
}

/* Fills in what has changed of entry `index`; false if nothing has. */
static bool check_entry(
	const struct session_watch *watch, uint32_t index, struct wire_ext_change *change)
{
	const struct wire_ext_entry *entry = &watch->entries[index];

	if (!slots_look(entry->name, &change->state, &change->card, &change->sharing)) {
		memset(&change->state, 0, sizeof(change->state));
		change->card = change->sharing = WIRE_EXT_SERIAL_GONE;
	}
	change->index = index;
	return differs(entry->card_seen, change->card) ||
	       differs(entry->sharing_seen, change->sharing);
}

enum session_outcome session_check_watch(
	struct session *session, bool now, struct session_answer *answer)
{
	struct session_watch *watch = session->watch;
	struct wire_ext_changes *head;
	struct wire_ext_change *changes;

	head = malloc(sizeof(*head) + watch->count * sizeof(*changes));
	if (!head)
		return SESSION_CLOSE;
	changes = (struct wire_ext_change *)(head + 1);
	head->rv = SCARD_S_SUCCESS;
	head->events = slots_events();
	head->readers = (uint32_t)slots_count();
	head->count = 0;
	for (uint32_t i = 0; i < watch->count; i++) {
		if (check_entry(watch, i, &changes[head->count]))
			head->count++;
	}
	if (!now && head->count == 0 && !differs(watch->events_seen, head->events)) {
		free(head);
		return SESSION_SILENT;
	}
	events_unregister(&session->waiter);
	session_drop_watch(session);
	answer->allocated = head;
	return reply(answer, head, sizeof(*head) + head->count * sizeof(*changes), 0);
}

static enum session_outcome do_ext_wait(
	struct session *session, struct wire_request *request, struct session_answer *answer)
{
	const struct wire_ext_wait *body = &request->body.ext_wait;
	struct session_watch *watch;

	if (session->waiting)
		return SESSION_CLOSE;
	if (park_until_settled(session))
		return SESSION_PARK;
	watch = malloc(sizeof(*watch) + body->count * sizeof(*watch->entries));
	if (!watch)
		return SESSION_CLOSE;
	watch->count = body->count;
	watch->events_seen = body->events_seen;
	session->waiter.names = 0;
	session->waiter.kinds = EVENTS_NAMED;
	if (body->events_seen != WIRE_EXT_SERIAL_ANY)
		session->waiter.kinds |= EVENTS_READERS;
	for (uint32_t i = 0; i < body->count; i++) {
		wire_ext_entry_at(request, i, &watch->entries[i]);
		session->waiter.names |= events_name(watch->entries[i].name);
	}
	session->watch = watch;
	/* Registered before the first look, so that no change is missed in between. */
	events_register(&session->waiter);
	return session_check_watch(session, body->flags & WIRE_EXT_NOW, answer);
}

/* The WAIT that is pending is answered with whatever there is. */
static enum session_outcome do_ext_stop(
	struct session *session, struct wire_request *request, struct session_answer *answer)
{
	struct wire_ext_changes *body = &request->body.ext_changes;

	if (!session->watch)
		return SESSION_SILENT;
	events_unregister(&session->waiter);
	session_drop_watch(session);
	memset(body, 0, sizeof(*body));
	body->events = slots_events();
	body->readers = (uint32_t)slots_count();
	return reply(answer, body, sizeof(*body), 0);
}

static enum session_outcome (*const handlers[])(
	struct session *session, struct wire_request *request, struct session_answer *answer) = {
	[WIRE_ESTABLISH_CONTEXT] = do_establish,
	[WIRE_RELEASE_CONTEXT] = do_release,
	[WIRE_CONNECT] = do_connect,
	[WIRE_RECONNECT] = do_reconnect,
	[WIRE_DISCONNECT] = do_disconnect,
	[WIRE_BEGIN_TRANSACTION] = do_begin,
	[WIRE_END_TRANSACTION] = do_end,
	[WIRE_TRANSMIT] = do_transmit,
	[WIRE_CONTROL] = do_control,
	[WIRE_STATUS] = do_status,
	[WIRE_CANCEL] = do_cancel,
	[WIRE_GET_ATTRIB] = do_get_attrib,
	[WIRE_SET_ATTRIB] = do_set_attrib,
	[WIRE_VERSION] = do_version,
	[WIRE_GET_READERS_STATE] = do_states,
	[WIRE_WAIT_READER_STATE_CHANGE] = do_wait,
	[WIRE_STOP_WAITING] = do_stop_waiting,
	[WIRE_GET_READER_EVENTS] = do_reader_events,
	[WIRE_GET_READERS_STATE_SIZE] = do_states_size,
	[WIRE_GET_READERS_STATE_ARRAY] = do_states_array,
	[WIRE_EXT_STATUS] = do_ext_status,
	[WIRE_EXT_LIST] = do_ext_list,
	[WIRE_EXT_WAIT] = do_ext_wait,
	[WIRE_EXT_STOP] = do_ext_stop,
};

enum session_outcome session_handle(
	struct session *session, struct wire_request *request, struct session_answer *answer)
{
	size_t count = sizeof(handlers) / sizeof(*handlers);

	if (request->command >= count || !handlers[request->command])
		return SESSION_CLOSE;
	return handlers[request->command](session, request, answer);
}
