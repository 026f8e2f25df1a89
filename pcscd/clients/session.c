/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pcscd/cards/slots.h"
#include "pcscd/clients/server.h"
#include "pcscd/clients/session_private.h"
#include "pcscd/clients/sessions.h"
#include "pcscd/clock.h"
#include "pcscd/log.h"
#include "wire/control.h"

#define CONTAINER(pointer, type, member)                                                           \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* Mail that may abort a call, which takes locks; so only who holds none brings it. */
#define ABORTING (SESSION_HANGUP | SESSION_CANCELLED | SESSION_TIMER)

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
	return pool_watch(session->fd, session->client.id, SESSION_EVENTS);
}

void session_set_deadline(struct session *session, int64_t deadline)
{
	session->deadline = deadline;
	timer_set(&session->timer, deadline);
}

void session_clear_deadline(struct session *session)
{
	if (!session->deadline)
		return;
	session->deadline = 0;
	timer_cancel(&session->timer);
}

void session_complain(const struct session *session, const char *what)
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
	session_bytes_drop(session, &session->in);
	session_bytes_drop(session, &session->out);
	if (session->access_pcsc != SESSION_ACCESS_DENIED)
		drain(session);
	/* From here on the process may end at any moment, and its sockets with it. */
	sessions_remove(session);
	timer_cancel(&session->timer);
	close(session->fd);
	server_fd_freed();
	free(session->allowed_reader);
	session_unref(session); /* the table's */
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
	return session->in.length == 0 || session_consume_kept(session);
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

/*
 * May the client talk to the daemon at all? Asked when its first request has arrived, and before it
 * is read: closed with unread bytes, the socket tells of a denial (see drain()); but not if it is
 * still writing. Returns false if it may not.
 */
static bool check_access(struct session *session)
{
	if (session->access_pcsc != SESSION_ACCESS_UNASKED || !session->readable)
		return session->access_pcsc != SESSION_ACCESS_DENIED;
	if (server_config()->access && !session_has_request(session)) {
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
		session_clear_deadline(session);
		break;
	}
	return true;
}

static bool tell_watch(struct session *session)
{
	struct session_answer answer = { 0 };

	switch (session_check_watch(session, false, &answer)) {
	case SESSION_ANSWER:
		return session_send_answer(session, &answer);
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
		session_complain(session, session->out.length > 0
						  ? "it does not take its answer"
						  : "it does not complete its request");
		return false;
	}
	/* A cancel is for a request that was sent before: it may be in the socket yet. */
	if (mail & (SESSION_READABLE | SESSION_CANCELLED))
		session->readable = true;
	if (session->out.length > 0 && !session_flush(session))
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
	if (!session_tell_event(session))
		return false;
	if (session->in.length > 0 && session_can_read(session) && !session_consume_kept(session))
		return false;
	return session_serve_input(session);
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
