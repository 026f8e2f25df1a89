/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/clients/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "pcscd/cards/slots.h"
#include "pcscd/clients/server.h"
#include "pcscd/clients/sessions.h"
#include "pcscd/clock.h"
#include "pcscd/log.h"
#include "wire/control.h"

#define CONTAINER(pointer, type, member)                                                           \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define WATCH_EVENTS (EPOLLIN | EPOLLRDHUP | EPOLLET)

/* Mail that may abort a call, which takes locks; so only who holds none brings it. */
#define ABORTING (SESSION_HANGUP | SESSION_CANCELLED | SESSION_TIMER)

#define TURN_REQUESTS 32 /* that a client may have handled before others have their turn */

#define OUTPUT_NS      (10 * CLOCK_S)   /* for a client to take its answer */
#define MESSAGE_NS     (10 * CLOCK_S)   /* for a client to complete a message */
#define ABORT_AGAIN_NS (250 * CLOCK_MS) /* a driver may miss an abort that comes too early */

static void run(struct session *session);

static void run_task(struct pool_task *task)
{
	struct session *session = CONTAINER(task, struct session, task);

	run(session);
	session_unref(session);
}

static void granted(struct slot_call *call)
{
	session_wake(CONTAINER(call, struct session, call), SESSION_GRANTED);
}

static void wake_changed(struct events_waiter *waiter)
{
	session_wake(CONTAINER(waiter, struct session, waiter), SESSION_CHANGED);
}

static void wake_settled(struct events_waiter *waiter)
{
	session_wake(CONTAINER(waiter, struct session, settle_waiter), SESSION_SETTLED);
}

static void fire(uint64_t id)
{
	struct session *session = sessions_find(id);

	if (!session)
		return;
	session_wake(session, SESSION_TIMER);
	session_unref(session);
}

struct session *session_new(int fd, uint64_t id, const struct peer *peer, unsigned array_length)
{
	struct session *session = calloc(1, sizeof(*session));

	if (!session)
		return NULL;
	atomic_init(&session->refs, 1);
	session->task.run = run_task;
	session->client.id = id;
	session->client.peer = *peer;
	session->fd = fd;
	session->dialect = WIRE_VERSION_MINOR;
	session->array_length = array_length;
	session->timer.fire = fire;
	session->timer.key = id;
	session->call.granted = granted;
	session->waiter.wake = wake_changed;
	session->settle_waiter.wake = wake_settled;
	session->settle_waiter.kinds = EVENTS_SETTLED;
	return session;
}

struct session *session_ref(struct session *session)
{
	atomic_fetch_add(&session->refs, 1);
	return session;
}

void session_unref(struct session *session)
{
	if (atomic_fetch_sub(&session->refs, 1) != 1)
		return;
	timer_cancel(&session->timer);
	free(session);
}

/* Frees bytes that may have been secret. */
static void drop_bytes(struct session_bytes *bytes)
{
	if (bytes->data)
		explicit_bzero(bytes->data, bytes->length);
	free(bytes->data);
	memset(bytes, 0, sizeof(*bytes));
}

/* Room for at least `more` bytes at the end. */
static bool reserve(struct session_bytes *bytes, size_t more)
{
	size_t size = bytes->length + more;
	uint8_t *data;

	if (size <= bytes->size)
		return true;
	/* Not realloc(): it might leave a copy of a secret behind. */
	data = malloc(size);
	if (!data)
		return false;
	if (bytes->length > 0) {
		memcpy(data, bytes->data, bytes->length);
		explicit_bzero(bytes->data, bytes->length);
	}
	free(bytes->data);
	bytes->data = data;
	bytes->size = size;
	return true;
}

/*
 * The call a dead client has running in a driver, or one that has been cancelled, is aborted, again
 * and again until it is over.
 */
static void abort_call(struct session *session)
{
	bool gone = atomic_load(&session->client.gone);
	struct slot *slot;

	if (!gone && !(atomic_load(&session->client.cancellable) &&
			     card_client_cancelled(&session->client)))
		return;
	slot = slots_by_id(atomic_load(&session->client.calling));
	if (!slot)
		return;
	slot_abort_call(slot, session->client.id, gone ? NULL : &session->client.cancellable);
	slot_unref(slot);
	timer_set(&session->timer, clock_now() + ABORT_AGAIN_NS);
}

/* Returns true if the caller must run the session. */
static bool post(struct session *session, unsigned mail)
{
	unsigned old;

	if (mail & SESSION_HANGUP)
		atomic_store(&session->client.gone, true);
	if (mail & SESSION_CANCELLED)
		atomic_fetch_add(&session->client.cancels, 1);
	old = atomic_fetch_or(&session->mail, mail | SESSION_RUNNING);
	if (!(old & SESSION_RUNNING))
		return true;
	if (mail & ABORTING)
		abort_call(session);
	return false;
}

void session_wake(struct session *session, unsigned mail)
{
	if (post(session, mail))
		pool_submit(&session_ref(session)->task);
}

void session_wake_run(struct session *session, unsigned mail)
{
	if (post(session, mail))
		run(session);
}

int session_start(struct session *session, int64_t handshake_by)
{
	session->deadline = handshake_by;
	timer_set(&session->timer, handshake_by);
	return pool_watch(session->fd, session->client.id, WATCH_EVENTS);
}

static void set_deadline(struct session *session, int64_t deadline)
{
	session->deadline = deadline;
	timer_set(&session->timer, deadline);
}

static void clear_deadline(struct session *session)
{
	if (!session->deadline)
		return;
	session->deadline = 0;
	timer_cancel(&session->timer);
}

static void complain(const struct session *session, const char *what)
{
	char who[PEER_TEXT];

	peer_describe(&session->client.peer, who);
	log_line(PCSC_LOG_ERROR, "%s: connection closed: %s", who, what);
}

/*
 * Takes what the client has sent, so that the end of the connection reads as an end: a socket that
 * is closed with unread bytes tells the client ECONNRESET, which its library understands as a
 * denial. First nothing more may come; what has come is bounded by the socket's buffer.
 */
static void drain(const struct session *session)
{
	char waste[512];
	ssize_t got;

	shutdown(session->fd, SHUT_RDWR);
	do {
		got = recv(session->fd, waste, sizeof(waste), MSG_DONTWAIT);
	} while (got > 0 || (got < 0 && errno == EINTR));
	explicit_bzero(waste, sizeof(waste));
}

/* The end of a connection, whatever the reason; the session is never run again. */
static void close_session(struct session *session)
{
	if (session->closed)
		return;
	session->closed = true;
	if (session->access_pcsc == SESSION_ACCESS_ASKED ||
		session->access_card == SESSION_ACCESS_ASKED)
		server_cancel_access(session);
	events_unregister(&session->waiter);
	events_unregister(&session->settle_waiter);
	session_drop_watch(session);
	session_drop_context(session);
	if (session->access_pcsc != SESSION_ACCESS_DENIED)
		drain(session);
	/* From here on the process may end at any moment, and its sockets with it. */
	sessions_remove(session);
	timer_cancel(&session->timer);
	close(session->fd);
	server_fd_freed();
	drop_bytes(&session->in);
	drop_bytes(&session->out);
	free(session->allowed_reader);
	session_unref(session); /* the table's */
}

/* Keeps what could not be sent, for when the client has read some. */
static bool keep_output(struct session *session, const struct iovec *parts, int count, size_t sent)
{
	for (int i = 0; i < count; i++) {
		size_t skip = sent < parts[i].iov_len ? sent : parts[i].iov_len;
		size_t rest = parts[i].iov_len - skip;

		sent -= skip;
		if (rest == 0)
			continue;
		if (!reserve(&session->out, rest))
			return false;
		memcpy(session->out.data + session->out.length,
			(const uint8_t *)parts[i].iov_base + skip, rest);
		session->out.length += rest;
	}
	set_deadline(session, clock_now() + OUTPUT_NS);
	return pool_rewatch(session->fd, session->client.id, WATCH_EVENTS | EPOLLOUT) == 0;
}

static ssize_t send_now(int fd, struct iovec *parts, int count)
{
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = (size_t)count };

	if (count == 1)
		return send(fd, parts->iov_base, parts->iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
	return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Sends, or keeps for later; false if the connection can't go on. */
static bool send_parts(struct session *session, struct iovec *parts, int count)
{
	size_t total = 0;
	ssize_t sent = 0;

	for (int i = 0; i < count; i++)
		total += parts[i].iov_len;
	if (session->out.length == 0) {
		sent = send_now(session->fd, parts, count);
		if (sent < 0 && errno != EAGAIN && errno != EINTR)
			return false;
	}
	if (sent < 0)
		sent = 0;
	if ((size_t)sent == total)
		return true;
	return keep_output(session, parts, count, (size_t)sent);
}

static bool send_answer(struct session *session, struct session_answer *answer)
{
	struct iovec parts[2] = {
		{ .iov_base = answer->head, .iov_len = answer->head_length },
		{ .iov_base = answer->tail, .iov_len = answer->tail_length },
	};
	bool sent = send_parts(session, parts, answer->tail_length > 0 ? 2 : 1);

	free(answer->allocated);
	return sent;
}

/* Sends more of the output that was kept. */
static bool flush_output(struct session *session)
{
	ssize_t sent;

	sent = send(session->fd, session->out.data + session->out_sent,
		session->out.length - session->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent < 0)
		return errno == EAGAIN || errno == EINTR;
	session->out_sent += (size_t)sent;
	if (session->out_sent < session->out.length)
		return true;
	drop_bytes(&session->out);
	session->out_sent = 0;
	clear_deadline(session);
	return pool_rewatch(session->fd, session->client.id, WATCH_EVENTS) == 0;
}

/*
 * The one message that each registration for events gets, if it is due and nothing stands in its
 * way: it must not come between the registration and the states that go with it.
 */
static bool tell_event(struct session *session)
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
	return send_parts(session, &part, 1);
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
		complain(session, "request while another is unanswered");
		return false;
	}
	switch (session_handle(session, request, &answer)) {
	case SESSION_ANSWER:
		if (!send_answer(session, &answer))
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
	return tell_event(session);
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
			complain(session, "it does not speak the protocol");
			return false;
		case WIRE_MORE:
			if (!session->deadline)
				set_deadline(session, clock_now() + MESSAGE_NS);
			return true;
		case WIRE_OK:
			break;
		}
		clear_deadline(session);
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

/* Handles what is kept in session->in. */
static bool consume_kept(struct session *session)
{
	size_t used;

	if (!consume(session, session->in.data, session->in.length, &used))
		return false;
	if (used == session->in.length) {
		drop_bytes(&session->in);
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
		good = reserve(&session->in, length - used);
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

	if (!reserve(&session->in, room))
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
	return consume_kept(session);
}

static bool can_read(const struct session *session)
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
	uint32_t events = WATCH_EVENTS | (over || session->out.length > 0 ? EPOLLOUT : 0);

	if (!over && !session->yielded)
		return true;
	session->yielded = over;
	return pool_rewatch(session->fd, session->client.id, events) == 0;
}

static bool serve_input(struct session *session)
{
	while (session->readable && can_read(session)) {
		if (!(session->in.length > 0 ? read_more(session) : read_fresh(session)))
			return false;
	}
	return end_turn(session);
}

/* Is the parked request one that SCardCancel ends? */
static bool is_cancellable(const struct session *session)
{
	struct wire_request request;
	size_t needed;

	return wire_decode(session->in.data, session->in.length, session->dialect, &request,
		       &needed) == WIRE_OK &&
	       request.command == WIRE_CONTROL &&
	       wire_control_waits(request.body.control.dwControlCode);
}

/* What is parked can go on: the request is handled again. */
static bool resume(struct session *session, unsigned mail)
{
	bool go_on = false;

	switch (session->parking) {
	case SESSION_NOT_PARKED:
		return true;
	case SESSION_PARKED_SLOT:
		go_on = (mail & SESSION_GRANTED) ||
			((mail & SESSION_CANCELLED) && is_cancellable(session));
		break;
	case SESSION_PARKED_SETTLE:
		go_on = mail & (SESSION_SETTLED | SESSION_TIMER);
		break;
	case SESSION_PARKED_ACCESS:
		go_on = mail & (SESSION_ACCESS_YES | SESSION_ACCESS_NO);
		break;
	}
	if (!go_on)
		return true;
	session->parking = SESSION_NOT_PARKED;
	events_unregister(&session->settle_waiter);
	return session->in.length == 0 || consume_kept(session);
}

/* The verdict on what it asked for, for the request that waits for it. */
static void note_verdict(struct session *session, unsigned mail)
{
	enum session_access *access = session->access_pcsc == SESSION_ACCESS_ASKED
					      ? &session->access_pcsc
					      : &session->access_card;

	if ((mail & (SESSION_ACCESS_YES | SESSION_ACCESS_NO)) && *access == SESSION_ACCESS_ASKED)
		*access =
			(mail & SESSION_ACCESS_NO) ? SESSION_ACCESS_DENIED : SESSION_ACCESS_ALLOWED;
}

/* Has a whole request (or what will never be one) arrived? Nothing is read. */
static bool is_request_there(const struct session *session)
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

/*
 * May the client talk to the daemon at all? Asked when its first request has arrived, and before it
 * is read: closed with unread bytes, the socket tells of a denial (see drain()); but not if it is
 * still writing. Returns false if it may not.
 */
static bool check_access(struct session *session)
{
	if (session->access_pcsc != SESSION_ACCESS_UNASKED || !session->readable)
		return session->access_pcsc != SESSION_ACCESS_DENIED;
	if (server_config()->access && !is_request_there(session)) {
		session->readable = false;
		return true;
	}
	switch (server_ask_access(session, ACCESS_PCSC, NULL)) {
	case ACCESS_ALLOWED:
		session->access_pcsc = SESSION_ACCESS_ALLOWED;
		break;
	case ACCESS_DENIED:
		session->access_pcsc = SESSION_ACCESS_DENIED;
		return false;
	case ACCESS_PENDING:
		session->access_pcsc = SESSION_ACCESS_ASKED;
		session->parking = SESSION_PARKED_ACCESS;
		clear_deadline(session);
		break;
	}
	return true;
}

static bool tell_watch(struct session *session)
{
	struct session_answer answer = { 0 };

	switch (session_check_watch(session, false, &answer)) {
	case SESSION_ANSWER:
		return send_answer(session, &answer);
	case SESSION_CLOSE:
		return false;
	default:
		return true;
	}
}

/* Acts on what was in the mailbox. Returns false if the connection ends. */
static bool act_on(struct session *session, unsigned mail)
{
	if (atomic_load(&session->client.gone))
		return false;
	if ((mail & SESSION_TIMER) && session->deadline && clock_now() >= session->deadline) {
		complain(session, session->out.length > 0 ? "it does not take its answer"
							  : "it does not complete its request");
		return false;
	}
	/* A cancel is for a request that was sent before: it may be in the socket yet. */
	if (mail & (SESSION_READABLE | SESSION_CANCELLED))
		session->readable = true;
	if (session->out.length > 0 && !flush_output(session))
		return false;
	note_verdict(session, mail);
	if (mail & SESSION_CHANGED)
		session->raised = session->waiting;
	if (mail & SESSION_CANCELLED)
		session->cancelled = session->waiting;
	if (!check_access(session) || !resume(session, mail))
		return false;
	if ((mail & SESSION_CHANGED) && session->watch && !tell_watch(session))
		return false;
	if (!tell_event(session))
		return false;
	if (session->in.length > 0 && can_read(session) && !consume_kept(session))
		return false;
	return serve_input(session);
}

/* The same; a cancel that has come, and met no request it could end, is used up by it. */
static bool act(struct session *session, unsigned mail)
{
	unsigned cancels = atomic_load(&session->client.cancels);
	bool good;

	session->handled = 0;
	good = act_on(session, mail);
	if (mail & SESSION_CANCELLED)
		atomic_store(&session->client.cancels_seen, cancels);
	return good;
}

static void run(struct session *session)
{
	unsigned mail;

	log_about_client(session->client.peer.pid);
	do {
		mail = atomic_exchange(&session->mail, SESSION_RUNNING) &
		       ~(unsigned)SESSION_RUNNING;
		if (!act(session, mail)) {
			close_session(session);
			break;
		}
		mail = SESSION_RUNNING;
	} while (!atomic_compare_exchange_strong(&session->mail, &mail, 0));
	log_about_client(0);
}
