/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests: read, decoded, carried out one after the other. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "pcscd/clients/session_private.h"
#include "pcscd/clients/sessions.h"
#include "pcscd/clock.h"

#define MESSAGE_NS (10 * CLOCK_S) /* for a client to complete a message */

#define TURN_REQUESTS 32 /* that a client may have handled before others have their turn */

bool session_tell_event(struct session *session)
{
	struct wire_wait message = { 0 };
	struct iovec part = { .iov_base = &message, .iov_len = sizeof(message) };

	if (!session->waiting || session->held || session->parking != SESSION_NOT_PARKED ||
		!(session->raised || session->cancelled))
		return true;
	if (session->cancelled)
		message.rv = SCARD_E_CANCELLED;
	events_unregister(&session->waiter);
	session->waiting = session->raised = session->cancelled = false;
	return session_send(session, &part, 1);
}

/* What a request leaves behind for events. */
static void note_states(struct session *session, uint32_t command)
{
	if (command != WIRE_WAIT_READER_STATE_CHANGE && command != WIRE_GET_READERS_STATE_SIZE)
		session->held = false;
}

/* One whole request. Returns false if the connection can't go on. */
static bool handle_request(struct session *session, struct wire_request *request)
{
	struct session_answer answer = { 0 };

	if (!session->greeted) {
		session->greeted = true;
		sessions_greeted(session);
	}
	if (session->watch && request->command != WIRE_EXT_STOP) {
		session_complain(session, "request while another is unanswered");
		return false;
	}
	switch (session_handle(session, request, &answer)) {
	case SESSION_ANSWER:
		if (!session_send_answer(session, &answer))
			return false;
		break;
	case SESSION_SILENT:
		break;
	case SESSION_PARK:
		return true;
	case SESSION_CLOSE:
		return false;
	}
	note_states(session, request->command);
	return session_tell_event(session);
}

/*
 * Handles the requests in `bytes`, as far as they are complete and nothing makes the session wait.
 * *used: how many bytes that took. Returns false if the connection can't go on.
 */
static bool consume(struct session *session, const uint8_t *bytes, size_t length, size_t *used)
{
	struct wire_request request;
	size_t needed;

	*used = 0;
	while (*used < length && session->out.length == 0 && session->handled < TURN_REQUESTS) {
		switch (wire_decode(
			bytes + *used, length - *used, session->dialect, &request, &needed)) {
		case WIRE_BAD:
			session_complain(session, "it does not speak the protocol");
			return false;
		case WIRE_MORE:
			if (!session->deadline)
				session_set_deadline(session, clock_now() + MESSAGE_NS);
			return true;
		case WIRE_OK:
			break;
		}
		session_clear_deadline(session);
		session->handled++;
		if (session->dialect == WIRE_DIALECT_EXT)
			peek_count(&session->peek, session->fd, request.tail_length);
		if (!handle_request(session, &request))
			return false;
		explicit_bzero(&request, sizeof(request));
		if (session->parking != SESSION_NOT_PARKED)
			return true;
		*used += needed;
	}
	return true;
}

bool session_consume_kept(struct session *session)
{
	size_t used;

	if (!consume(session, session->in.data, session->in.length, &used))
		return false;
	if (used == session->in.length) {
		session_bytes_drop(session, &session->in);
		return true;
	}
	memmove(session->in.data, session->in.data + used, session->in.length - used);
	session->in.length -= used;
	return true;
}

/* Reads into the thread's buffer, and keeps only what can't be handled now. */
static bool read_fresh(struct session *session)
{
	uint8_t *buffer = pool_buffers()->in;
	ssize_t got = peek_recv(&session->peek, session->fd, buffer, POOL_BUFFER_IN);
	size_t length, used;
	bool good = true;

	if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
		session->readable = errno == EINTR;
		return true;
	}
	if (got <= 0)
		return false;
	length = (size_t)got;
	session->readable = length == POOL_BUFFER_IN;
	good = consume(session, buffer, length, &used);
	if (good && used < length) {
		good = session_bytes_reserve(session, &session->in, length - used);
		if (good) {
			memcpy(session->in.data, buffer + used, length - used);
			session->in.length = length - used;
		}
	}
	explicit_bzero(buffer, length);
	peek_done(&session->peek, session->fd, used < length, buffer, POOL_BUFFER_IN);
	return good;
}

/* Reads more of a message of which a part has arrived. Memory grows with what has been sent. */
static bool read_more(struct session *session)
{
	size_t room = session->in.length < POOL_BUFFER_IN ? POOL_BUFFER_IN : session->in.length;
	ssize_t got;

	if (!session_bytes_reserve(session, &session->in, room))
		return false;
	got = recv(session->fd, session->in.data + session->in.length, room, MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
		session->readable = errno == EINTR;
		return true;
	}
	if (got <= 0)
		return false;
	session->readable = (size_t)got == room;
	session->in.length += (size_t)got;
	return session_consume_kept(session);
}

bool session_can_read(const struct session *session)
{
	return session->parking == SESSION_NOT_PARKED && session->out.length == 0 &&
	       session->handled < TURN_REQUESTS;
}

/*
 * A client that sends without waiting for answers must not keep a thread for itself: when it has had
 * its turn, the connection goes to the end of those that are ready, by way of epoll. A socket that
 * takes data is told of at once, one that does not, when the client has read some.
 */
static bool end_turn(struct session *session)
{
	bool over = session->handled >= TURN_REQUESTS;
	uint32_t events = SESSION_EVENTS | (over || session->out.length > 0 ? EPOLLOUT : 0);

	if (!over && !session->yielded)
		return true;
	session->yielded = over;
	return pool_rewatch(session->fd, session->client.id, events) == 0;
}

bool session_serve_input(struct session *session)
{
	while (session->readable && session_can_read(session)) {
		if (!(session->in.length > 0 ? read_more(session) : read_fresh(session)))
			return false;
	}
	return end_turn(session);
}

bool session_has_request(const struct session *session)
{
	uint8_t *buffer = pool_buffers()->in;
	ssize_t got = recv(session->fd, buffer, POOL_BUFFER_IN, MSG_PEEK | MSG_DONTWAIT);
	struct wire_request request;
	size_t needed;
	bool there;

	if (got <= 0)
		return false;
	there = got == POOL_BUFFER_IN ||
		wire_decode(buffer, (size_t)got, session->dialect, &request, &needed) != WIRE_MORE;
	explicit_bzero(buffer, (size_t)got);
	return there;
}
