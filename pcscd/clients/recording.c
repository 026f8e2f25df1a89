/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/clients/recording.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "pcscd/peer.h"
#include "pcscd/clients/spare.h"
#include "pcscd/clock.h"
#include "pcscd/log.h"
#include "pcscd/readers/driver.h"

enum {
	DRIVERS = 16,
	REQUEST_MAX = 1024,
	LOOK_MS = 200,  /* between looks whether the client is still there */
	FULL_MS = 1000, /* and whether there are descriptors again */
};

static struct {
	pthread_t thread;
	bool started;
	int listen_fd;
	int stop_fd;
	atomic_bool stop;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	unsigned clients; /* under the lock */
} recording = { .lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER };

static bool send_all(int fd, const char *text, size_t length)
{
	while (length > 0) {
		ssize_t sent = send(fd, text, length, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return false;
		text += sent;
		length -= (size_t)sent;
	}
	return true;
}

/* One line without its newline; false: none, or too long. */
static bool read_request(int fd, char line[REQUEST_MAX])
{
	size_t used = 0;

	while (used < REQUEST_MAX - 1) {
		ssize_t got = recv(fd, line + used, 1, 0);

		if (got <= 0)
			return false;
		if (line[used] == '\n') {
			line[used] = '\0';
			return true;
		}
		used++;
	}
	return false;
}

static bool hung_up(int fd)
{
	struct pollfd state = { .fd = fd, .events = POLLRDHUP };

	return poll(&state, 1, 0) > 0 && (state.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

static void send_list(int fd, struct driver **drivers, size_t count, char *text)
{
	for (size_t i = 0; i < count; i++) {
		size_t length = DRIVER_RECORDING_ROOM;

		if (driver_recording(drivers[i], NULL, NULL, 0, text, &length) == IFD_SUCCESS &&
			!send_all(fd, text, length))
			return;
	}
}

/* All that is kept. False: the driver knows no such device. */
static bool send_kept(int fd, struct driver *driver, const char *device, char *text)
{
	uint64_t position = 0;
	RESPONSECODE rv;
	size_t length;

	do {
		length = DRIVER_RECORDING_ROOM;
		rv = driver_recording(driver, device, &position, 0, text, &length);
	} while (rv != IFD_NO_SUCH_DEVICE && length > 0 && send_all(fd, text, length) &&
		 !recording.stop);
	return rv != IFD_NO_SUCH_DEVICE;
}

static bool send_live(int fd, struct driver *driver, const char *device, char *text)
{
	uint64_t position = UINT64_MAX;
	bool known = false;
	RESPONSECODE rv;
	size_t length;

	do {
		length = DRIVER_RECORDING_ROOM;
		rv = driver_recording(driver, device, &position, LOOK_MS, text, &length);
		/* The device may go with things left to tell. */
		if (rv == IFD_NO_SUCH_DEVICE || (rv != IFD_SUCCESS && length == 0))
			return known || rv != IFD_NO_SUCH_DEVICE;
		known = true;
	} while (send_all(fd, text, length) && !hung_up(fd) && !recording.stop);
	return true;
}

static void answer(int fd, const char *request, char *text)
{
	static const struct {
		const char *verb;
		bool (*send)(int fd, struct driver *driver, const char *device, char *text);
	} verbs[] = { { "all ", send_kept }, { "live ", send_live } };
	struct driver *drivers[DRIVERS];
	size_t count = driver_recorders(drivers, DRIVERS);

	if (strcmp(request, "list") == 0)
		send_list(fd, drivers, count, text);
	for (size_t v = 0; v < sizeof(verbs) / sizeof(verbs[0]); v++) {
		size_t len = strlen(verbs[v].verb);
		size_t i = 0;

		if (strncmp(request, verbs[v].verb, len) != 0)
			continue;
		while (i < count && !verbs[v].send(fd, drivers[i], request + len, text))
			i++;
	}
	for (size_t i = 0; i < count; i++)
		driver_unref(drivers[i]);
}

static void *client_main(void *arg)
{
	int fd = *(int *)arg;
	char *text = malloc(DRIVER_RECORDING_ROOM);
	char request[REQUEST_MAX];

	if (text && read_request(fd, request))
		answer(fd, request, text);
	free(text);
	free(arg);
	close(fd);
	pthread_mutex_lock(&recording.lock);
	recording.clients--;
	pthread_cond_signal(&recording.ended);
	pthread_mutex_unlock(&recording.lock);
	return NULL;
}

static bool admit(int fd)
{
	static const struct timeval ask = { .tv_sec = RECORDING_ASK_S };
	static const struct timeval take = { .tv_sec = RECORDING_SEND_S };
	char who[PEER_TEXT];
	struct peer peer;

	if (peer_of(fd, &peer) < 0)
		return false;
	if (peer.uid != 0 && peer.uid != geteuid()) {
		peer_describe(&peer, who);
		log_line(PCSC_LOG_ERROR, "recordings refused to %s: they are for root", who);
		return false;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &ask, sizeof(ask));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &take, sizeof(take));
	return true;
}

/* False: the connection is not taken over. */
static bool start_client(int fd)
{
	pthread_attr_t attr;
	pthread_t thread;
	bool started = false;
	int *own = malloc(sizeof(*own));

	if (!own)
		return false;
	*own = fd;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_mutex_lock(&recording.lock);
	if (recording.clients < RECORDING_CLIENTS)
		started = pthread_create(&thread, &attr, client_main, own) == 0;
	recording.clients += started;
	pthread_mutex_unlock(&recording.lock);
	pthread_attr_destroy(&attr);
	if (!started)
		free(own);
	return started;
}

/* False: no descriptor is left for the connection that waits. */
static bool accept_one(void)
{
	int fd = spare_accept(recording.listen_fd, SOCK_CLOEXEC);

	if (fd < 0)
		return errno != EMFILE && errno != ENFILE;
	if (!admit(fd) || !start_client(fd))
		close(fd);
	return true;
}

static void *recording_main(void *arg)
{
	struct pollfd fds[] = {
		{ .fd = recording.stop_fd, .events = POLLIN },
		{ .fd = recording.listen_fd, .events = POLLIN },
	};

	bool full = false;

	while (fds[0].revents == 0) {
		fds[1].revents = 0;
		poll(fds, full ? 1 : 2, full ? FULL_MS : -1);
		full = (full || (fds[1].revents & POLLIN)) && !accept_one();
	}
	return arg;
}

void recording_start(int listen_fd)
{
	int error = EMFILE;

	if (listen_fd < 0)
		return;
	recording.listen_fd = listen_fd;
	recording.stop = false;
	recording.stop_fd = eventfd(0, EFD_CLOEXEC);
	if (recording.stop_fd >= 0)
		error = pthread_create(&recording.thread, NULL, recording_main, NULL);
	recording.started = error == 0;
	if (recording.started)
		return;
	log_line(PCSC_LOG_ERROR, "cannot serve the recording socket: %s", strerror(error));
	close(listen_fd);
	if (recording.stop_fd >= 0)
		close(recording.stop_fd);
}

void recording_stop(void)
{
	if (!recording.started)
		return;
	recording.stop = true;
	eventfd_write(recording.stop_fd, 1);
	pthread_join(recording.thread, NULL);
	pthread_mutex_lock(&recording.lock);
	while (recording.clients > 0)
		pthread_cond_wait(&recording.ended, &recording.lock);
	pthread_mutex_unlock(&recording.lock);
	close(recording.listen_fd);
	close(recording.stop_fd);
	recording.started = false;
}
