/* SPDX-License-Identifier: BSD-3-Clause */
/* Answers: sent at once, or kept while the client does not take them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "pcscd/clients/session_private.h"
#include "pcscd/clients/sessions.h"
#include "pcscd/clock.h"

#define OUTPUT_NS (10 * CLOCK_S) /* for a client to take its answer */

void session_bytes_drop(struct session *session, struct session_bytes *bytes)
{
	if (!bytes->data)
		return;
	explicit_bzero(bytes->data, bytes->length);
	free(bytes->data);
	sessions_credit(session, bytes->size);
	memset(bytes, 0, sizeof(*bytes));
}

bool session_bytes_reserve(struct session *session, struct session_bytes *bytes, size_t more)
{
	size_t size = bytes->length + more;
	uint8_t *data;

	if (size <= bytes->size)
		return true;
	if (!sessions_charge(session, size - bytes->size))
		return false;
	/* Not realloc(): it might leave a copy of a secret behind. */
	data = malloc(size);
	if (!data) {
		sessions_credit(session, size - bytes->size);
		return false;
	}
	if (bytes->length > 0) {
		memcpy(data, bytes->data, bytes->length);
		explicit_bzero(bytes->data, bytes->length);
	}
	free(bytes->data);
	bytes->data = data;
	bytes->size = size;
	return true;
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
		if (!session_bytes_reserve(session, &session->out, rest))
			return false;
		memcpy(session->out.data + session->out.length,
			(const uint8_t *)parts[i].iov_base + skip, rest);
		session->out.length += rest;
	}
	session_set_deadline(session, clock_now() + OUTPUT_NS);
	return pool_rewatch(session->fd, session->client.id, SESSION_EVENTS | EPOLLOUT) == 0;
}

static ssize_t send_now(int fd, struct iovec *parts, int count)
{
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = (size_t)count };

	if (count == 1)
		return send(fd, parts->iov_base, parts->iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
	return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

bool session_send(struct session *session, struct iovec *parts, int count)
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

bool session_send_answer(struct session *session, struct session_answer *answer)
{
	struct iovec parts[2] = {
		{ .iov_base = answer->head, .iov_len = answer->head_length },
		{ .iov_base = answer->tail, .iov_len = answer->tail_length },
	};
	bool sent = session_send(session, parts, answer->tail_length > 0 ? 2 : 1);

	/* A response may be a key, and stands in a buffer that lives on. */
	if (answer->tail_length > 0)
		explicit_bzero(answer->tail, answer->tail_length);
	free(answer->allocated);
	return sent;
}

bool session_flush(struct session *session)
{
	ssize_t sent;

	sent = send(session->fd, session->out.data + session->out_sent,
		session->out.length - session->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent < 0)
		return errno == EAGAIN || errno == EINTR;
	session->out_sent += (size_t)sent;
	if (session->out_sent < session->out.length)
		return true;
	session_bytes_drop(session, &session->out);
	session->out_sent = 0;
	session_clear_deadline(session);
	return pool_rewatch(session->fd, session->client.id, SESSION_EVENTS) == 0;
}
