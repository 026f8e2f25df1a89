/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/loop.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S ((int64_t)1000000000)

struct loop {
	int epoll;
};

struct loop *loop_new(void)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return NULL;
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll < 0) {
		free(loop);
		return NULL;
	}
	return loop;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	close(loop->epoll);
	free(loop);
}

bool loop_add(struct loop *loop, struct loop_source *source, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = source };

	return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, source->fd, &ev) == 0;
}

bool loop_change(struct loop *loop, struct loop_source *source, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = source };

	return epoll_ctl(loop->epoll, EPOLL_CTL_MOD, source->fd, &ev) == 0;
}

void loop_remove(struct loop *loop, struct loop_source *source)
{
	epoll_ctl(loop->epoll, EPOLL_CTL_DEL, source->fd, NULL);
}

int64_t loop_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

/* NULL: for ever. Kernels before 5.11 do not have the one call, and some sandboxes forbid what they do
 * not know; the other one counts in milliseconds. */
static int wait_one(int epoll, struct epoll_event *ev, const struct timespec *timeout)
{
	int n = epoll_pwait2(epoll, ev, 1, timeout, NULL);
	int64_t ms = -1;

	if (n >= 0 || (errno != ENOSYS && errno != EPERM))
		return n;
	if (timeout)
		ms = timeout->tv_sec * 1000 + (timeout->tv_nsec + 999999) / 1000000;
	return epoll_wait(epoll, ev, 1, ms > INT_MAX ? INT_MAX : (int)ms);
}

bool loop_once(struct loop *loop, int64_t deadline)
{
	struct timespec ts, *timeout = NULL;
	struct epoll_event ev;
	int n;

	if (deadline != INT64_MAX) {
		int64_t left = deadline - loop_now();

		if (left < 0)
			left = 0;
		ts = (struct timespec){ .tv_sec = left / NS_PER_S, .tv_nsec = left % NS_PER_S };
		timeout = &ts;
	}
	/* One event at a time: what one handler frees cannot be waiting in the same batch. */
	n = wait_one(loop->epoll, &ev, timeout);
	if (n < 0)
		return errno == EINTR;
	if (n == 1) {
		struct loop_source *source = ev.data.ptr;

		source->ready(source, ev.events);
	}
	return true;
}
