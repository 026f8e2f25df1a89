/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/clients/spare.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

static struct {
	pthread_mutex_t lock;
	int null; /* what the spare one is a duplicate of */
	int fd;   /* -1: lost to somebody else, or closed */
} spare = { .lock = PTHREAD_MUTEX_INITIALIZER, .null = -1, .fd = -1 };

/* With the lock held. */
static void keep(void)
{
	if (spare.fd < 0)
		spare.fd = fcntl(spare.null, F_DUPFD_CLOEXEC, 0);
}

void spare_open(void)
{
	pthread_mutex_lock(&spare.lock);
	spare.null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	keep();
	pthread_mutex_unlock(&spare.lock);
}

void spare_close(void)
{
	pthread_mutex_lock(&spare.lock);
	close(spare.null);
	close(spare.fd);
	spare.null = spare.fd = -1;
	pthread_mutex_unlock(&spare.lock);
}

/* Returns what errno is to be. */
static int turn_away(int listen_fd)
{
	int error = EMFILE;

	pthread_mutex_lock(&spare.lock);
	keep();
	if (spare.fd >= 0) {
		close(spare.fd);
		spare.fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
		error = spare.fd >= 0 ? ECONNREFUSED : errno;
		/* Closes the connection, and leaves no moment in which another could have it. */
		if (spare.fd >= 0)
			dup3(spare.null, spare.fd, O_CLOEXEC);
		keep();
	}
	pthread_mutex_unlock(&spare.lock);
	return error;
}

int spare_accept(int listen_fd, int flags)
{
	int fd = accept4(listen_fd, NULL, NULL, flags);

	if (fd >= 0 || (errno != EMFILE && errno != ENFILE))
		return fd;
	errno = turn_away(listen_fd);
	return -1;
}
