/* SPDX-License-Identifier: BSD-3-Clause */
#include "connect.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ifd-ccid/deadline.h"

/*
 * A lookup that may outlive the wait for it: when libc can't take the request back, its memory
 * stays allocated, since a thread of libc still writes to it.
 */
struct lookup {
	struct gaicb request;
	struct gaicb *list[1];
	struct addrinfo hints;
	char host[256];
	char port[32];
};

/* Names, by libc's own threads. */
static struct addrinfo *look_up(
	const char *host, const char *port, int64_t deadline, const char **why)
{
	struct lookup *lookup = calloc(1, sizeof(*lookup));
	struct timespec left = deadline_timespec(deadline - deadline_now());
	struct addrinfo *found = NULL;
	int err;

	if (!lookup) {
		*why = "out of memory";
		return NULL;
	}
	strncpy(lookup->host, host, sizeof(lookup->host) - 1);
	strncpy(lookup->port, port, sizeof(lookup->port) - 1);
	lookup->hints.ai_socktype = SOCK_STREAM;
	lookup->request = (struct gaicb){
		.ar_name = lookup->host, .ar_service = lookup->port, .ar_request = &lookup->hints
	};
	lookup->list[0] = &lookup->request;
	err = getaddrinfo_a(GAI_NOWAIT, lookup->list, 1, NULL);
	if (err == 0 && deadline_left_ms(deadline) > 0)
		gai_suspend((const struct gaicb *const *)lookup->list, 1, &left);
	if (err == 0)
		err = gai_error(&lookup->request);
	if (err == EAI_INPROGRESS) {
		*why = "name not resolved in time";
		if (gai_cancel(&lookup->request) == EAI_CANCELED)
			free(lookup);
		return NULL;
	}
	if (err == 0)
		found = lookup->request.ar_result;
	else
		*why = gai_strerror(err);
	free(lookup);
	return found;
}

/* Numbers need nobody to be asked. */
static struct addrinfo *resolve(
	const char *host, const char *port, int64_t deadline, const char **why)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM };
	struct addrinfo *found;

	if (getaddrinfo(host, port, &hints, &found) == 0)
		return found;
	return look_up(host, port, deadline, why);
}

static void set_option(int fd, int level, int option, int value)
{
	/* These only tune; a socket that refuses one still works. */
	(void)setsockopt(fd, level, option, &value, sizeof(value));
}

static void tune(int fd)
{
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_option(fd, IPPROTO_TCP, TCP_QUICKACK, 1);
	set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 10);
	set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 5);
	set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 4);
	set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 30000);
}

/* A connected socket, or -1 with errno. */
static int connect_to(
	int family, int protocol, const struct sockaddr *address, socklen_t len, int64_t deadline)
{
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	int err = 0;
	socklen_t err_len = sizeof(err);

	if (fd < 0)
		return -1;
	if (connect(fd, address, len) == 0)
		return fd;
	if (errno == EINPROGRESS) {
		if (poll(&pfd, 1, deadline_left_ms(deadline)) != 1)
			err = ETIMEDOUT;
		else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &err_len) != 0)
			err = errno;
	} else {
		err = errno;
	}
	if (err == 0)
		return fd;
	close(fd);
	errno = err;
	return -1;
}

int connect_tcp(const char *host, const char *port, int64_t deadline, const char **why)
{
	struct addrinfo *found = resolve(host, port, deadline, why);
	int fd = -1;

	for (struct addrinfo *ai = found; ai && fd < 0; ai = ai->ai_next) {
		fd = connect_to(
			ai->ai_family, ai->ai_protocol, ai->ai_addr, ai->ai_addrlen, deadline);
		if (fd < 0)
			*why = strerror(errno);
	}
	if (found)
		freeaddrinfo(found);
	if (fd >= 0)
		tune(fd);
	return fd;
}

int connect_unix(const char *path, int64_t deadline, const char **why)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	fd = connect_to(AF_UNIX, 0, (struct sockaddr *)&address, sizeof(address), deadline);
	if (fd < 0)
		*why = strerror(errno);
	return fd;
}
