/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/clients/sessions.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "pcscd/clients/server.h"
#include "pcscd/clients/session.h"
#include "pcscd/clock.h"
#include "pcscd/log.h"

struct ids session_contexts = IDS_INITIALIZER;
struct ids session_cards = IDS_INITIALIZER;

/* The connections of one user. */
struct user {
	struct user *next;
	uid_t uid;
	unsigned connections;
	unsigned silent;
	size_t kept; /* bytes */
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct session **by_fd;
	size_t size;
	uint64_t serial;
	unsigned count;
	struct user *users;
	pthread_mutex_t idle_lock; /* keeps the calls of on_idle in order */
	bool told_idle;
} table = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.changed = PTHREAD_COND_INITIALIZER,
	.idle_lock = PTHREAD_MUTEX_INITIALIZER,
	.told_idle = true,
};

static void tell_idle(void)
{
	const struct server_config *config = server_config();
	bool idle;

	pthread_mutex_lock(&table.idle_lock);
	idle = sessions_count() == 0;
	if (idle != table.told_idle) {
		table.told_idle = idle;
		if (config->on_idle)
			config->on_idle(config->ctx, idle);
	}
	pthread_mutex_unlock(&table.idle_lock);
}

static struct user *user_of(uid_t uid)
{
	struct user *user;

	for (user = table.users; user && user->uid != uid; user = user->next)
		;
	if (user)
		return user;
	user = calloc(1, sizeof(*user));
	if (!user)
		return NULL;
	user->uid = uid;
	user->next = table.users;
	table.users = user;
	return user;
}

/* A user without connections is forgotten. */
static void drop_user(uid_t uid)
{
	struct user **at = &table.users;

	while (*at && (*at)->uid != uid)
		at = &(*at)->next;
	if (*at && (*at)->connections == 0) {
		struct user *user = *at;

		*at = user->next;
		free(user);
	}
}

/* The limit that one more connection of the user would break; NULL: none. */
static const char *broken_limit(const struct user *user)
{
	const struct server_config *config = server_config();

	if (config->max_contexts && table.count >= config->max_contexts)
		return "too many connections";
	if (config->max_connections_per_user &&
		user->connections >= config->max_connections_per_user)
		return "too many connections of this user";
	if (config->max_silent_per_user && user->silent >= config->max_silent_per_user)
		return "too many connections of this user that have said nothing yet";
	return NULL;
}

static bool reserve_fd(int fd)
{
	size_t size = table.size ? table.size : 64;
	struct session **more;

	while (size <= (size_t)fd)
		size *= 2;
	if (size == table.size)
		return true;
	more = reallocarray(table.by_fd, size, sizeof(struct session *));
	if (!more)
		return false;
	memset(more + table.size, 0, (size - table.size) * sizeof(struct session *));
	table.by_fd = more;
	table.size = size;
	return true;
}

/* Enters a session into the table; with the lock held. NULL, with the reason, if it may not. */
static struct session *enter(
	int fd, const struct peer *peer, unsigned array_length, const char **reason)
{
	struct user *user = user_of(peer->uid);
	struct session *session = NULL;

	*reason = "out of memory";
	if (user && reserve_fd(fd))
		*reason = broken_limit(user);
	if (!*reason) {
		session =
			session_new(fd, (++table.serial << 32) | (unsigned)fd, peer, array_length);
		*reason = session ? NULL : "out of memory";
	}
	if (session) {
		table.by_fd[fd] = session;
		table.count++;
		user->connections++;
		user->silent++;
	}
	drop_user(peer->uid);
	return session;
}

bool sessions_add(int fd, const struct peer *peer, unsigned array_length)
{
	struct session *session;
	const char *reason;
	char who[PEER_TEXT];

	pthread_mutex_lock(&table.lock);
	session = enter(fd, peer, array_length, &reason);
	if (session)
		session_ref(session);
	pthread_mutex_unlock(&table.lock);
	if (!session) {
		peer_describe(peer, who);
		log_line(PCSC_LOG_ERROR, "%s: connection refused: %s", who, reason);
		return false;
	}
	tell_idle();
	if (session_start(session, clock_now() + server_config()->handshake_ns) < 0)
		session_wake(session, SESSION_HANGUP);
	session_unref(session);
	return true;
}

void sessions_greeted(struct session *session)
{
	pthread_mutex_lock(&table.lock);
	user_of(session->client.peer.uid)->silent--;
	pthread_mutex_unlock(&table.lock);
}

bool sessions_charge(struct session *session, size_t bytes)
{
	size_t most = server_config()->max_kept_per_user;
	struct user *user;
	bool fits;

	pthread_mutex_lock(&table.lock);
	user = user_of(session->client.peer.uid);
	fits = !most || (bytes <= most && user->kept <= most - bytes);
	if (fits)
		user->kept += bytes;
	pthread_mutex_unlock(&table.lock);
	if (!fits)
		session_complain(session, "what its user's clients leave waiting is too much");
	return fits;
}

void sessions_credit(struct session *session, size_t bytes)
{
	pthread_mutex_lock(&table.lock);
	user_of(session->client.peer.uid)->kept -= bytes;
	pthread_mutex_unlock(&table.lock);
}

struct session *sessions_find(uint64_t id)
{
	struct session *session = NULL;
	size_t fd = id & 0xFFFFFFFF;

	pthread_mutex_lock(&table.lock);
	if (fd < table.size && table.by_fd[fd] && table.by_fd[fd]->client.id == id)
		session = session_ref(table.by_fd[fd]);
	pthread_mutex_unlock(&table.lock);
	return session;
}

void sessions_remove(struct session *session)
{
	struct user *user;

	ids_drop(&session_contexts, session->context);
	pthread_mutex_lock(&table.lock);
	table.by_fd[session->fd] = NULL;
	table.count--;
	user = user_of(session->client.peer.uid);
	user->connections--;
	if (!session->greeted)
		user->silent--;
	drop_user(session->client.peer.uid);
	pthread_cond_broadcast(&table.changed);
	pthread_mutex_unlock(&table.lock);
	tell_idle();
}

unsigned sessions_count(void)
{
	unsigned count;

	pthread_mutex_lock(&table.lock);
	count = table.count;
	pthread_mutex_unlock(&table.lock);
	return count;
}

/* A reference to the first session from *fd on, which is then behind it; NULL: there is none. */
static struct session *next_session(size_t *fd)
{
	struct session *session = NULL;

	pthread_mutex_lock(&table.lock);
	while (!session && *fd < table.size) {
		if (table.by_fd[*fd])
			session = session_ref(table.by_fd[*fd]);
		++*fd;
	}
	pthread_mutex_unlock(&table.lock);
	return session;
}

bool sessions_close_all(int64_t deadline)
{
	struct timespec until = clock_timespec(deadline);
	struct session *session;
	bool closed;

	/* All at once: none is served any more because another is gone. */
	pthread_mutex_lock(&table.lock);
	for (size_t i = 0; i < table.size; i++) {
		if (table.by_fd[i])
			atomic_store(&table.by_fd[i]->client.gone, true);
	}
	pthread_mutex_unlock(&table.lock);
	for (size_t fd = 0; (session = next_session(&fd));) {
		session_wake(session, SESSION_HANGUP);
		session_unref(session);
	}
	pthread_mutex_lock(&table.lock);
	while (table.count > 0) {
		if (pthread_cond_clockwait(&table.changed, &table.lock, CLOCK_MONOTONIC, &until))
			break;
	}
	closed = table.count == 0;
	pthread_mutex_unlock(&table.lock);
	return closed;
}
