/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/usb/address.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const char unix_prefix[] = "unix:";
static const char tcp_prefix[] = "tcp:";

static bool unix_address(const char *path, struct sockaddr_un *sun)
{
	*sun = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (!*path || strlen(path) >= sizeof(sun->sun_path))
		return false;
	memcpy(sun->sun_path, path, strlen(path) + 1);
	return true;
}

int address_connect_unix(const char *path, char *why, size_t why_size)
{
	struct sockaddr_un sun;
	int fd;

	if (!unix_address(path, &sun)) {
		snprintf(why, why_size, "%s: empty or too long for a socket", path);
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0) {
		snprintf(why, why_size, "%s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

/* Whether nobody has the socket open any more. One that may not be asked, that is of another kind, or
 * whose server is too busy to take us, has somebody. */
static bool is_stale(const struct sockaddr_un *sun)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool stale = fd >= 0 && connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) < 0 &&
		     errno == ECONNREFUSED;

	if (fd >= 0)
		close(fd);
	return stale;
}

static void remove_stale(const struct sockaddr_un *sun)
{
	struct stat st;

	if (lstat(sun->sun_path, &st) == 0 && S_ISSOCK(st.st_mode) && is_stale(sun))
		unlink(sun->sun_path);
}

static int listen_unix(const char *path, char *why, size_t why_size)
{
	struct sockaddr_un sun;
	int fd;

	if (!unix_address(path, &sun)) {
		snprintf(why, why_size, "unix:%s: empty or too long for a socket", path);
		return -1;
	}
	remove_stale(&sun);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0 &&
		listen(fd, SOMAXCONN) == 0)
		return fd;
	snprintf(why, why_size, "unix:%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

static int bind_and_listen(const struct addrinfo *ai)
{
	int one = 1;
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
		return fd;
	close(fd);
	return -1;
}

static bool is_port(const char *text)
{
	size_t digits = strspn(text, "0123456789");
	long port = strtol(text, NULL, 10);

	return digits && !text[digits] && port >= 1 && port <= 65535;
}

static int listen_tcp(const char *host_port, char *why, size_t why_size)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE },
			*list = NULL;
	const char *colon = strrchr(host_port, ':');
	char host[256];
	size_t len = colon ? (size_t)(colon - host_port) : 0;
	const char *start = host_port;
	int fd = -1, rc;

	if (len >= 2 && start[0] == '[' && start[len - 1] == ']') {
		start++;
		len -= 2;
	}
	/* getaddrinfo() takes a port modulo 65536. */
	if (!colon || len == 0 || len >= sizeof(host) || !is_port(colon + 1)) {
		snprintf(why, why_size, "tcp:%s: expected tcp:HOST:PORT", host_port);
		return -1;
	}
	memcpy(host, start, len);
	host[len] = '\0';
	rc = getaddrinfo(host, colon + 1, &hints, &list);
	if (rc) {
		snprintf(why, why_size, "tcp:%s: %s", host_port, gai_strerror(rc));
		return -1;
	}
	for (struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next)
		fd = bind_and_listen(ai);
	if (fd < 0)
		snprintf(why, why_size, "tcp:%s: %s", host_port, strerror(errno));
	freeaddrinfo(list);
	return fd;
}

/* Held for the moment when no descriptor is left: a connection that cannot be taken would keep the
 * loop awake. */
static int spare = -1;

static void take_spare(void)
{
	if (spare < 0)
		spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

int address_listen(const char *address, char *why, size_t why_size)
{
	take_spare();
	if (strncmp(address, unix_prefix, strlen(unix_prefix)) == 0)
		return listen_unix(address + strlen(unix_prefix), why, why_size);
	if (strncmp(address, tcp_prefix, strlen(tcp_prefix)) == 0)
		return listen_tcp(address + strlen(tcp_prefix), why, why_size);
	snprintf(why, why_size, "%s: expected unix:PATH or tcp:HOST:PORT", address);
	return -1;
}

static void set_option(int fd, int level, int option, int value)
{
	/* These only tune; a socket that refuses one, as Unix sockets do, still works. */
	(void)setsockopt(fd, level, option, &value, sizeof(value));
}

static void refuse(int listener)
{
	int fd;

	fputs("vreader: a connection is refused: no file descriptors are left\n", stderr);
	if (spare >= 0)
		close(spare);
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	spare = -1;
	take_spare();
}

int address_accept(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE)
			refuse(listener);
		return -1;
	}
	set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 10);
	set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 5);
	set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 4);
	set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 30000);
	return fd;
}

void address_forget(const char *address)
{
	if (strncmp(address, unix_prefix, strlen(unix_prefix)) == 0)
		unlink(address + strlen(unix_prefix));
}
