/* SPDX-License-Identifier: BSD-3-Clause */
/* Which readers there are, in which state, and waiting for either to change. */
#include <stdlib.h>
#include <string.h>

#include "pcscd/cards/slots.h"
#include "pcscd/clients/commands.h"
#include "pcscd/clients/sessions.h"
#include "pcscd/readers/readers.h"

/*
 * While readers are being brought up, a client that asks for them waits a moment. Returns true if
 * it is to wait.
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
	return command_reply(answer, states, length);
}

enum session_outcome command_states(
	struct session *session, struct wire_request *request, struct session_answer *answer)
{
	(void)request;
	if (park_until_settled(session))
		return SESSION_PARK;
	session->states_sent = true;
	session->events_seen = events_count();
	return reply_states(answer, session->array_length);
}

enum session_outcome command_states_size(
	struct session *session, struct wire_request *request, struct session_answer *answer)
{
	struct wire_states_size *body = &request->body.states_size;

	session->places_told = slots_places();
	body->slots = (uint32_t)session->places_told;
	return command_reply(answer, body, sizeof(*body));
}

/* The client reads as many as it was told, even if there are more by now. */
enum session_outcome command_states_array(
	struct session *session, struct wire_request *request, struct session_answer *answer)
{
	(void)request;
	if (park_until_settled(session))
		return SESSION_PARK;
	return reply_states(answer, session->places_told ? session->places_told : slots_places());
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
enum session_outcome command_wait(
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
enum session_outcome command_stop_waiting(
	struct session *session, struct wire_request *request, struct session_answer *answer)
{
	struct wire_wait *body = &request->body.wait;

	if (!session->waiting)
		return SESSION_SILENT;
	events_unregister(&session->waiter);
	body->timeOut = 0;
	body->rv = session->cancelled ? SCARD_E_CANCELLED : SCARD_S_SUCCESS;
	session->waiting = session->raised = session->cancelled = false;
	return command_reply(answer, body, sizeof(*body));
}

enum session_outcome command_reader_events(
	struct session *session, struct wire_request *request, struct session_answer *answer)
{
	struct wire_reader_events *body = &request->body.reader_events;

	(void)session;
	body->readerEvents = slots_events();
	body->rv = SCARD_S_SUCCESS;
	return command_reply(answer, body, sizeof(*body));
}

enum session_outcome command_ext_list(
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
	return command_reply(answer, body, sizeof(*body));
}

static size_t watch_size(uint32_t count)
{
	return sizeof(struct session_watch) + count * sizeof(struct wire_ext_entry);
}

void session_drop_watch(struct session *session)
{
	if (!session->watch)
		return;
	sessions_credit(session, watch_size(session->watch->count));
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
	return command_reply(answer, head, sizeof(*head) + head->count * sizeof(*changes));
}

enum session_outcome command_ext_wait(
	struct session *session, struct wire_request *request, struct session_answer *answer)
{
	const struct wire_ext_wait *body = &request->body.ext_wait;
	struct session_watch *watch;

	if (session->waiting)
		return SESSION_CLOSE;
	if (park_until_settled(session))
		return SESSION_PARK;
	if (!sessions_charge(session, watch_size(body->count)))
		return SESSION_CLOSE;
	watch = malloc(watch_size(body->count));
	if (!watch) {
		sessions_credit(session, watch_size(body->count));
		return SESSION_CLOSE;
	}
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
enum session_outcome command_ext_stop(
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
	return command_reply(answer, body, sizeof(*body));
}
