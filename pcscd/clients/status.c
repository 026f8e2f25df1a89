/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/clients/status.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pcscd/peer.h"
#include "pcscd/clients/spare.h"
#include "pcscd/clients/status_report.h"
#include "pcscd/clock.h"
#include "pcscd/log.h"

#define FULL_MS 1000 /* between looks whether there are descriptors again */

static struct {
	pthread_t thread;
	bool started;
	int listen_fd;
	int stop_fd; /* an eventfd: readable when the thread shall end */
} status;

/* Milliseconds left, rounded up. */
static int time_left(int64_t deadline)
{
	int64_t left = deadline - clock_now();

	return left > 0 ? (int)((left + CLOCK_MS - 1) / CLOCK_MS) : 0;
}

/* Sends all, unless the other side does not take it in time. */
static void send_text(int fd, const char *text)
{
	int64_t deadline = clock_now() + STATUS_SEND_S * CLOCK_S;
	size_t length = strlen(text);
	struct pollfd writable = { .fd = fd, .events = POLLOUT };
	ssize_t sent;

	while (length > 0) {
		sent = send(fd, text, length, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && errno != EAGAIN && errno != EINTR)
			return;
		if (sent > 0) {
			text += sent;
			length -= (size_t)sent;
		} else if (poll(&writable, 1, time_left(deadline)) == 0) {
			return;
		}
	}
}

static void serve(int fd)
{
	struct peer viewer;
	char *text;

	if (peer_of(fd, &viewer) < 0)
		return;
	text = status_report(viewer.uid, viewer.uid == 0 || viewer.uid == geteuid());
	if (text)
		send_text(fd, text);
	free(text);
}

static void close_all(void)
{
	close(status.listen_fd);
	if (status.stop_fd >= 0)
		close(status.stop_fd);
}

/* False: no descriptor is left for the connection that waits. */
static bool accept_one(void)
{
	int fd = spare_accept(status.listen_fd, SOCK_CLOEXEC);

	if (fd < 0)
		return errno != EMFILE && errno != ENFILE;
	serve(fd);
	close(fd);
	return true;
}

static void *status_main(void *arg)
{
	struct pollfd fds[] = {
		{ .fd = status.stop_fd, .events = POLLIN },
		{ .fd = status.listen_fd, .events = POLLIN },
	};
	bool full = false;

	while (fds[0].revents == 0) {
		fds[1].revents = 0;
		poll(fds, full ? 1 : 2, full ? FULL_MS : -1);
		full = (full || (fds[1].revents & POLLIN)) && !accept_one();
	}
	return arg;
}

void status_start(int listen_fd)
{
	int error = EMFILE;

	if (listen_fd < 0)
		return;
	status.listen_fd = listen_fd;
	status.stop_fd = eventfd(0, EFD_CLOEXEC);
	if (status.stop_fd >= 0)
		error = pthread_create(&status.thread, NULL, status_main, NULL);
	status.started = error == 0;
	if (!status.started) {
		log_line(PCSC_LOG_ERROR, "cannot serve the status socket: %s", strerror(error));
		close_all();
	}
}

void status_stop(void)
{
	if (!status.started)
		return;
	eventfd_write(status.stop_fd, 1);
	pthread_join(status.thread, NULL);
	close_all();
	status.started = false;
}
