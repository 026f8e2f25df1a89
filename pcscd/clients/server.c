/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/clients/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pcscd/pool.h"
#include "pcscd/clients/session.h"
#include "pcscd/clients/sessions.h"
#include "pcscd/clients/spare.h"
#include "pcscd/clock.h"
#include "pcscd/log.h"
#include "pcscd/timers.h"

#define LISTENERS_MAX        8
#define LISTENER_KEY         UINT64_C(16) /* and on: epoll keys of listeners */
#define FDS_KEPT             128          /* descriptors that connections leave to the rest */
#define ACCEPTS_IN_A_ROW     32           /* before others have their turn */
#define CONNECTIONS_PER_USER 16384
#define SILENT_PER_USER      1024
#define KEPT_PER_USER        ((size_t)128 << 20)

static struct {
	struct server_config config;
	struct {
		int fd;
		unsigned array_length;
	} listeners[LISTENERS_MAX];
	unsigned listener_count;
	atomic_bool stopping;  /* no more connections are taken */
	atomic_uint accepting; /* threads that may take one */
	atomic_bool starved;   /* a connection waits for a descriptor */
} server;

void server_defaults(struct server_config *config)
{
	memset(config, 0, sizeof(*config));
	config->max_connections_per_user = CONNECTIONS_PER_USER;
	config->max_silent_per_user = SILENT_PER_USER;
	config->max_kept_per_user = KEPT_PER_USER;
	config->handshake_ns = 5 * CLOCK_S;
	config->lease_ns = 5 * CLOCK_S;
}

const struct server_config *server_config(void)
{
	return &server.config;
}

/* Connections need descriptors: takes as many as the system allows, and leaves others a part. */
static void raise_fd_limit(void)
{
	struct rlimit limit;
	unsigned most;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur <= (rlim_t)2 * FDS_KEPT)
		return;
	if (limit.rlim_cur - FDS_KEPT > 2 * (rlim_t)CONNECTIONS_PER_USER)
		return;
	most = (unsigned)(limit.rlim_cur - FDS_KEPT) / 4 * 3;
	if (!server.config.max_connections_per_user ||
		server.config.max_connections_per_user > most)
		server.config.max_connections_per_user = most;
}

/*
 * Drivers may use select(), which does not know descriptors from FD_SETSIZE on: lower ones are left to
 * them, as long as there are others.
 */
static int move_away(int fd)
{
	int other = fcntl(fd, F_DUPFD_CLOEXEC, FD_SETSIZE);

	if (other < 0)
		return fd;
	close(fd);
	return other;
}

/* Accepts one connection; false when there are no more, or no descriptors. */
static bool accept_one(int listen_fd, unsigned array_length)
{
	struct peer peer;
	int fd = spare_accept(listen_fd, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0 && errno == ECONNREFUSED) {
		log_line(PCSC_LOG_ERROR, "connection refused: no file descriptors are left");
		return true;
	}
	/* Tried once more, since one may have become free before server_fd_freed() would tell. */
	if (fd < 0 && (errno == EMFILE || errno == ENFILE))
		return !atomic_exchange(&server.starved, true);
	if (fd < 0)
		return errno == ECONNABORTED || errno == EINTR;
	fd = move_away(fd);
	if (peer_of(fd, &peer) < 0 || !sessions_add(fd, &peer, array_length))
		close(fd);
	return true;
}

static void watch_listener(unsigned at)
{
	pool_rewatch(server.listeners[at].fd, LISTENER_KEY + at, EPOLLIN | EPOLLET);
}

/* What is left of a crowd is told of again, when others have had their turn. */
static void accept_some(unsigned at)
{
	int fd = server.listeners[at].fd;
	unsigned array_length = server.listeners[at].array_length;
	unsigned count = 0;

	atomic_fetch_add(&server.accepting, 1);
	while (!atomic_load(&server.stopping) && count < ACCEPTS_IN_A_ROW &&
		accept_one(fd, array_length))
		count++;
	if (count == ACCEPTS_IN_A_ROW)
		watch_listener(at);
	atomic_fetch_sub(&server.accepting, 1);
}

void server_fd_freed(void)
{
	if (!atomic_load(&server.starved) || !atomic_exchange(&server.starved, false))
		return;
	for (unsigned i = 0; i < server.listener_count; i++)
		watch_listener(i);
}

bool server_retire(void)
{
	atomic_store(&server.stopping, true);
	if (atomic_load(&server.accepting) == 0 && sessions_count() == 0)
		return true;
	atomic_store(&server.stopping, false);
	for (unsigned i = 0; i < server.listener_count; i++)
		watch_listener(i);
	return false;
}

static void ready(uint64_t key, uint32_t events)
{
	struct session *session;
	unsigned mail = 0;

	if (key == TIMERS_KEY) {
		timers_run();
		return;
	}
	if (key < SESSIONS_FIRST_KEY) {
		accept_some((unsigned)(key - LISTENER_KEY));
		return;
	}
	session = sessions_find(key);
	if (!session)
		return;
	if (events & EPOLLIN)
		mail |= SESSION_READABLE;
	if (events & EPOLLOUT)
		mail |= SESSION_WRITABLE;
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		mail |= SESSION_HANGUP;
	session_wake_run(session, mail);
	session_unref(session);
}

int server_start(const struct server_config *config)
{
	server.config = *config;
	server.listener_count = 0;
	atomic_store(&server.stopping, false);
	atomic_store(&server.starved, false);
	spare_open();
	raise_fd_limit();
	if (pool_start(ready) == 0 && timers_start() == 0)
		return 0;
	log_line(PCSC_LOG_CRITICAL, "cannot start the server: %s", strerror(errno));
	return -1;
}

int server_listen(int listen_fd, unsigned array_length)
{
	unsigned at = server.listener_count;
	int flags = fcntl(listen_fd, F_GETFL);

	if (at == LISTENERS_MAX) {
		errno = ENOSPC;
		goto fail;
	}
	if (flags < 0 || fcntl(listen_fd, F_SETFL, flags | O_NONBLOCK) < 0)
		goto fail;
	server.listeners[at].fd = listen_fd;
	server.listeners[at].array_length = array_length;
	server.listener_count++;
	if (pool_watch(listen_fd, LISTENER_KEY + at, EPOLLIN | EPOLLET) == 0)
		return 0;
fail:
	log_line(PCSC_LOG_CRITICAL, "cannot listen: %s", strerror(errno));
	return -1;
}

enum access_verdict server_ask_access(
	struct session *session, enum access_action action, const char *reader)
{
	const struct server_config *config = &server.config;

	if (!config->access)
		return ACCESS_ALLOWED;
	return config->access(config->ctx, &session->client.peer, session->fd, action, reader,
		session->client.id);
}

void server_cancel_access(struct session *session)
{
	const struct server_config *config = &server.config;

	if (config->access_cancel)
		config->access_cancel(config->ctx, session->client.id);
}

void server_access_verdict(uint64_t ticket, bool allowed)
{
	struct session *session = sessions_find(ticket);

	if (!session)
		return;
	session_wake(session, allowed ? SESSION_ACCESS_YES : SESSION_ACCESS_NO);
	session_unref(session);
}

bool server_stop(int64_t deadline)
{
	bool closed;

	/* No shutdown(): the service manager may hold the socket, for the next daemon. */
	atomic_store(&server.stopping, true);
	for (unsigned i = 0; i < server.listener_count; i++)
		pool_rewatch(server.listeners[i].fd, LISTENER_KEY + i, 0);
	closed = sessions_close_all(deadline);
	for (unsigned i = 0; i < server.listener_count; i++)
		close(server.listeners[i].fd);
	server.listener_count = 0;
	return closed;
}

bool server_end(int64_t deadline)
{
	if (!pool_stop(deadline))
		return false;
	timers_stop();
	spare_close();
	return true;
}
