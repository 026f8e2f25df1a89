/* SPDX-License-Identifier: BSD-3-Clause */
#include "conn.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include "deadline.h"
#include "service.h"

LONG conn_error(enum conn_result result)
{
	static const LONG codes[] = {
		[CONN_OK] = SCARD_S_SUCCESS,
		[CONN_UNSENT] = SCARD_E_NO_SERVICE,
		[CONN_LOST] = SCARD_F_COMM_ERROR,
		[CONN_RESET] = SCARD_W_SECURITY_VIOLATION,
		[CONN_LATE] = SCARD_E_TIMEOUT,
		[CONN_BAD] = SCARD_F_COMM_ERROR,
	};

	return codes[result];
}

void conn_forget(struct conn *conn)
{
	if (conn->fd >= 0)
		close(conn->fd);
	conn->fd = -1;
}

void conn_close(struct conn *conn)
{
	if (conn->fd >= 0)
		shutdown(conn->fd, SHUT_RDWR);
	conn_forget(conn);
}

bool conn_alive(const struct conn *conn)
{
	char byte;
	ssize_t n = recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static enum conn_result send_bytes(int fd, const void *bytes, size_t length)
{
	const uint8_t *left = bytes;

	while (length > 0) {
		ssize_t n = send(fd, left, length, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return CONN_UNSENT;
		if (n > 0) {
			left += n;
			length -= (size_t)n;
		}
	}
	return CONN_OK;
}

/* Two pieces as one message, so that the daemon is woken once. */
static enum conn_result send_both(
	int fd, const uint8_t *head, size_t head_length, const uint8_t *data, size_t data_length)
{
	struct iovec parts[] = { { (void *)head, head_length }, { (void *)data, data_length } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
	size_t sent;
	ssize_t n;

	do {
		n = sendmsg(fd, &message, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return CONN_UNSENT;
	sent = (size_t)n;
	if (sent < head_length) {
		if (send_bytes(fd, head + sent, head_length - sent) != CONN_OK)
			return CONN_UNSENT;
		sent = head_length;
	}
	sent -= head_length;
	return send_bytes(fd, data + sent, data_length - sent);
}

void conn_hurry(struct conn *conn, uint32_t ms, int wake_fd)
{
	conn->by = deadline_in_ms(ms);
	conn->wake_fd = wake_fd;
}

void conn_patient(struct conn *conn)
{
	conn->by = DEADLINE_NEVER;
	conn->wake_fd = -1;
}

/* Waits for something to receive, or for the end of the connection. False if it is too late. */
static bool wait_reply(struct conn *conn)
{
	enum conn_event event = conn_wait(conn->fd, conn->wake_fd, conn->by);

	if (event == CONN_WOKEN) {
		conn->wake_fd = -1;
		conn->by = deadline_earlier(conn->by, deadline_in_ms(CONN_CANCEL_MS));
		event = conn_wait(conn->fd, -1, conn->by);
	}
	return event == CONN_READABLE;
}

/* Receives `least` bytes, and up to `most` if more have arrived; *got is their number. */
static enum conn_result receive(
	struct conn *conn, uint8_t *bytes, size_t least, size_t most, size_t *got)
{
	*got = 0;
	while (*got < least) {
		ssize_t n;

		if (conn->by != DEADLINE_NEVER && !wait_reply(conn))
			return CONN_LATE;
		n = recv(conn->fd, bytes + *got, most - *got, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == ECONNRESET ? CONN_RESET : CONN_LOST;
		if (n == 0)
			return CONN_LOST;
		*got += (size_t)n;
	}
	return CONN_OK;
}

enum conn_result conn_receive(struct conn *conn, void *bytes, size_t length)
{
	size_t got;

	return receive(conn, bytes, length, length, &got);
}

enum conn_result conn_receive_head(
	struct conn *conn, void *head, size_t length, struct conn_tail *tail)
{
	enum conn_result result =
		receive(conn, tail->early, length, sizeof(tail->early), &tail->end);

	if (result == CONN_OK)
		memcpy(head, tail->early, length);
	tail->start = length;
	return result;
}

enum conn_result conn_receive_tail(
	struct conn *conn, const struct conn_tail *tail, size_t length, void **bytes)
{
	size_t early = tail->end - tail->start;
	enum conn_result result;
	uint8_t *copy;

	*bytes = NULL;
	if (early > length)
		return CONN_BAD;
	copy = malloc(length ? length : 1);
	if (!copy)
		return CONN_BAD;
	memcpy(copy, tail->early + tail->start, early);
	result = conn_receive(conn, copy + early, length - early);
	if (result == CONN_OK)
		*bytes = copy;
	else
		free(copy);
	return result;
}

enum conn_result conn_send(struct conn *conn, uint32_t command, const union wire_body *body,
	const void *data, size_t data_length)
{
	uint8_t request[WIRE_REQUEST_MAX + CONN_SHORT];
	size_t length = wire_encode(command, conn->dialect, body, request);
	enum conn_result result;

	if (length == 0)
		return CONN_BAD;
	if (data_length <= CONN_SHORT) {
		/* Copying a short command is cheaper than a message of two pieces. */
		if (data_length > 0)
			memcpy(request + length, data, data_length);
		length += data_length;
		result = send_bytes(conn->fd, request, length);
	} else {
		result = send_both(conn->fd, request, length, data, data_length);
	}
	/* It may have held a PIN or a key. */
	explicit_bzero(request, length);
	return result;
}

/* Bytes that follow the reply in call->body; -1 if there are more than the call has room for. */
static long reply_tail(const struct conn_call *call)
{
	switch (call->command) {
	case WIRE_TRANSMIT:
		return wire_transmit_tail(&call->body->transmit, call->room);
	case WIRE_CONTROL:
		return wire_control_tail(&call->body->control, call->room);
	default:
		return 0;
	}
}

enum conn_result conn_call(struct conn *conn, const struct conn_call *call)
{
	uint8_t reply[sizeof(union wire_body) + CONN_SHORT];
	size_t ahead = call->room < CONN_SHORT ? call->room : CONN_SHORT;
	int fixed = wire_reply_size(call->command, conn->dialect);
	enum conn_result result;
	size_t length;
	size_t early;
	size_t got;
	long tail;

	if (fixed <= 0 || (size_t)fixed > sizeof(*call->body))
		return CONN_BAD;
	length = (size_t)fixed;
	result = conn_send(conn, call->command, call->body, call->data, call->data_length);
	if (result == CONN_OK && call->sent)
		call->sent(call->subject);
	if (result == CONN_OK)
		result = receive(conn, reply, length, length + ahead, &got);
	if (result != CONN_OK)
		return result;
	memcpy(call->body, reply, length);
	tail = reply_tail(call);
	early = got - length;
	if (tail < 0 || early > (size_t)tail)
		return CONN_BAD;
	if (early > 0)
		memcpy(call->answer, reply + length, early);
	if ((size_t)tail == early)
		return CONN_OK;
	return conn_receive(conn, (uint8_t *)call->answer + early, (size_t)tail - early);
}

static LONG connect_socket(struct conn *conn)
{
	struct timeval patience = { .tv_sec = CONN_SEND_TIMEOUT_S };
	struct sockaddr_un address;
	socklen_t length = service_address(&address);
	int result;

	conn->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (conn->fd < 0)
		return SCARD_E_NO_SERVICE;
	setsockopt(conn->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	do {
		result = connect(conn->fd, (struct sockaddr *)&address, length);
	} while (result < 0 && errno == EINTR);
	return result < 0 ? SCARD_E_NO_SERVICE : SCARD_S_SUCCESS;
}

/* A second VERSION, for a daemon that refused 4:6 but said what it speaks. */
static LONG ask_again(struct conn *conn, int minor)
{
	union wire_body body = {
		.version = { .major = WIRE_VERSION_MAJOR, .minor = minor },
	};
	struct conn_call call = { .command = WIRE_VERSION, .body = &body };
	enum conn_result result;
	int unused;

	conn->dialect = minor;
	result = conn_call(conn, &call);
	if (result != CONN_OK)
		return conn_error(result);
	conn->dialect = wire_version_agreed(&body.version, minor, &unused);
	if (conn->dialect >= 0)
		return SCARD_S_SUCCESS;
	return body.version.rv ? (LONG)body.version.rv : SCARD_E_SERVICE_STOPPED;
}

/*
 * VERSION and ESTABLISH_CONTEXT go out together; no daemon minds, and it saves a round trip.
 * *result: what became of them.
 */
static LONG shake_hands(struct conn *conn, uint32_t scope, uint32_t flags, enum conn_result *result)
{
	union wire_body version = { 0 };
	union wire_body establish = { .establish = { .dwScope = scope } };
	struct {
		struct wire_version version;
		struct wire_establish establish;
	} reply;
	uint8_t request[2 * WIRE_REQUEST_MAX];
	size_t length;
	int again;
	LONG rv;

	wire_version_ask(&version.version, flags);
	length = wire_encode(WIRE_VERSION, WIRE_VERSION_MINOR, &version, request);
	length += wire_encode(
		WIRE_ESTABLISH_CONTEXT, WIRE_VERSION_MINOR, &establish, request + length);
	*result = send_bytes(conn->fd, request, length);
	if (*result == CONN_OK)
		*result = conn_receive(conn, &reply, sizeof(reply));
	if (*result != CONN_OK)
		return conn_error(*result);

	conn->dialect = wire_version_agreed(&reply.version, WIRE_VERSION_MINOR, &again);
	if (conn->dialect < 0 && again >= 0) {
		rv = ask_again(conn, again);
		if (rv != SCARD_S_SUCCESS)
			return rv;
	}
	if (conn->dialect < 0)
		return reply.version.rv ? (LONG)reply.version.rv : SCARD_E_SERVICE_STOPPED;
	conn->hContext = reply.establish.hContext;
	return (LONG)reply.establish.rv;
}

/* The process that listened when the connection was made; 0 if it can't be told. */
static pid_t peer_of(const struct conn *conn)
{
	struct ucred peer = { 0 };
	socklen_t length = sizeof(peer);

	return getsockopt(conn->fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 ? peer.pid : 0;
}

/*
 * The daemon closed the connection, and that is no answer. It ended before it took us if it has read
 * what was sent, or if another process listens now, or will soon: connects to that one. Otherwise it
 * refuses us: returns `refusal`.
 */
static LONG connect_to_next(struct conn *conn, enum conn_result result, LONG refusal)
{
	int64_t until = deadline_earlier(conn->by, deadline_in_ms(CONN_RESTART_MS));
	pid_t before = peer_of(conn);
	struct service_watch watch;
	LONG rv;

	conn_close(conn);
	service_watch_open(&watch);
	do {
		rv = connect_socket(conn);
		if (rv != SCARD_S_SUCCESS)
			conn_close(conn);
	} while (rv != SCARD_S_SUCCESS &&
		 service_watch_wait(&watch, conn->wake_fd, until) == SERVICE_CHANGED);
	service_watch_close(&watch);
	if (rv == SCARD_S_SUCCESS && result != CONN_LOST && peer_of(conn) == before)
		rv = refusal;
	return rv;
}

LONG conn_open(struct conn *conn, uint32_t scope, uint32_t flags, int wake_fd)
{
	LONG rv = connect_socket(conn);
	enum conn_result result = CONN_OK;
	bool dropped;

	conn_hurry(conn, CONN_OPEN_MS, wake_fd);
	if (rv == SCARD_S_SUCCESS)
		rv = shake_hands(conn, scope, flags, &result);
	dropped = result == CONN_RESET || result == CONN_UNSENT || result == CONN_LOST;
	if (dropped)
		rv = connect_to_next(conn, result, rv);
	if (dropped && rv == SCARD_S_SUCCESS)
		rv = shake_hands(conn, scope, flags, &result);
	conn_patient(conn);
	if (rv != SCARD_S_SUCCESS)
		conn_close(conn);
	return rv;
}

enum conn_event conn_wait(int fd, int wake_fd, int64_t deadline)
{
	for (;;) {
		struct pollfd polled[] = { { fd, POLLIN, 0 }, { wake_fd, POLLIN, 0 } };
		int64_t left = deadline == DEADLINE_NEVER ? 0 : deadline - deadline_now();
		struct timespec timeout = deadline_timespec(left > 0 ? left : 0);
		int n = ppoll(polled, 2, deadline == DEADLINE_NEVER ? NULL : &timeout, NULL);

		if (n == 0)
			return CONN_TIMEOUT;
		if (n > 0)
			return polled[1].revents ? CONN_WOKEN : CONN_READABLE;
	}
}
