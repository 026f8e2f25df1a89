/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests about the connection and its context, and the table of all requests. */
#include "pcscd/clients/commands.h"
#include "pcscd/clients/ids.h"
#include "pcscd/clients/sessions.h"

enum session_outcome command_reply(struct session_answer *answer, void *head, size_t length)
{
	answer->head = head;
	answer->head_length = length;
	return SESSION_ANSWER;
}

void session_drop_context(struct session *session)
{
	if (session->parking == SESSION_PARKED_SLOT)
		slot_cancel_call(session->call.slot, &session->call);
	slot_unref(session->slot);
	session->slot = NULL;
	command_drop_cards(session);
	ids_drop(&session_contexts, session->context);
	session->context = 0;
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
	return command_reply(answer, body, sizeof(*body));
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
	return command_reply(answer, body, sizeof(*body));
}

uint32_t command_check_context(const struct session *session, uint32_t context)
{
	if (!session->context)
		return SCARD_E_INVALID_HANDLE;
	return context == session->context ? SCARD_S_SUCCESS : SCARD_E_INVALID_VALUE;
}

static enum session_outcome do_release(
	struct session *session, struct wire_request *request, struct session_answer *answer)
{
	struct wire_release *body = &request->body.release;

	body->rv = command_check_context(session, body->hContext);
	if (body->rv == SCARD_S_SUCCESS)
		session_drop_context(session);
	return command_reply(answer, body, sizeof(*body));
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
	return command_reply(answer, body, sizeof(*body));
}

static command_handler *const handlers[] = {
	[WIRE_ESTABLISH_CONTEXT] = do_establish,
	[WIRE_RELEASE_CONTEXT] = do_release,
	[WIRE_CONNECT] = command_connect,
	[WIRE_RECONNECT] = command_of_card,
	[WIRE_DISCONNECT] = command_of_card,
	[WIRE_BEGIN_TRANSACTION] = command_of_card,
	[WIRE_END_TRANSACTION] = command_of_card,
	[WIRE_TRANSMIT] = command_of_card,
	[WIRE_CONTROL] = command_of_card,
	[WIRE_STATUS] = command_of_card,
	[WIRE_CANCEL] = do_cancel,
	[WIRE_GET_ATTRIB] = command_of_card,
	[WIRE_SET_ATTRIB] = command_of_card,
	[WIRE_VERSION] = do_version,
	[WIRE_GET_READERS_STATE] = command_states,
	[WIRE_WAIT_READER_STATE_CHANGE] = command_wait,
	[WIRE_STOP_WAITING] = command_stop_waiting,
	[WIRE_GET_READER_EVENTS] = command_reader_events,
	[WIRE_GET_READERS_STATE_SIZE] = command_states_size,
	[WIRE_GET_READERS_STATE_ARRAY] = command_states_array,
	[WIRE_EXT_STATUS] = command_of_card,
	[WIRE_EXT_LIST] = command_ext_list,
	[WIRE_EXT_WAIT] = command_ext_wait,
	[WIRE_EXT_STOP] = command_ext_stop,
};

enum session_outcome session_handle(
	struct session *session, struct wire_request *request, struct session_answer *answer)
{
	size_t count = sizeof(handlers) / sizeof(*handlers);

	if (request->command >= count || !handlers[request->command])
		return SESSION_CLOSE;
	return handlers[request->command](session, request, answer);
}
