/* SPDX-License-Identifier: BSD-3-Clause */
#include "service.h"

#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conn.h"
#include "deadline.h"

/* How long a wait without inotify lasts before the next attempt. */
#define RETRY_MS 200

/* A daemon creates or replaces its socket, and makes it accessible when it listens. */
#define SOCKET_EVENTS (IN_CREATE | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)

static struct sockaddr_un service;
static pthread_once_t service_once = PTHREAD_ONCE_INIT;

static void find_service(void)
{
	const char *path = secure_getenv("PCSCLITE_CSOCK_NAME");

	if (!path)
		path = PCSCLITE_CSOCK_DEFAULT;
	service.sun_family = AF_UNIX;
	strncpy(service.sun_path, path, sizeof(service.sun_path) - 1);
}

socklen_t service_address(struct sockaddr_un *address)
{
	pthread_once(&service_once, find_service);
	*address = service;
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(service.sun_path) + 1);
}

bool service_exists(void)
{
	struct sockaddr_un address;
	struct stat info;

	service_address(&address);
	return stat(address.sun_path, &info) == 0;
}

/* Shortens a path to that of its parent; false if it has none. */
static bool to_parent(char *path)
{
	char *slash = strrchr(path, '/');

	if (!slash || strcmp(path, "/") == 0 || strcmp(path, ".") == 0) {
		bool relative = path[0] != '/' && strcmp(path, ".") != 0;

		memcpy(path, ".", 2);
		return relative;
	}
	slash[slash == path ? 1 : 0] = '\0';
	return true;
}

void service_watch_open(struct service_watch *watch)
{
	struct sockaddr_un address;

	service_address(&address);
	watch->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (watch->fd < 0)
		return;
	/* The folder may have gone with the daemon: then watch the nearest that exists. */
	while (to_parent(address.sun_path)) {
		if (inotify_add_watch(watch->fd, address.sun_path, SOCKET_EVENTS) >= 0)
			return;
	}
	service_watch_close(watch);
}

void service_watch_close(struct service_watch *watch)
{
	if (watch->fd >= 0)
		close(watch->fd);
	watch->fd = -1;
}

enum service_event service_watch_wait(struct service_watch *watch, int wake_fd, int64_t deadline)
{
	bool blind = watch->fd < 0;
	int64_t until = blind ? deadline_earlier(deadline, deadline_in_ms(RETRY_MS)) : deadline;
	enum conn_event event = conn_wait(watch->fd, wake_fd, until);

	if (event == CONN_WOKEN)
		return SERVICE_WOKEN;
	if (event == CONN_TIMEOUT && until == deadline)
		return SERVICE_TIMEOUT;
	/* Which folder is the nearest may have changed, so start anew. */
	service_watch_close(watch);
	service_watch_open(watch);
	return SERVICE_CHANGED;
}
