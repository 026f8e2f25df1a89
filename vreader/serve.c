/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/serve.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct signals {
	struct loop_source source;
	bool quit;
};

static int complain(const char *what)
{
	fprintf(stderr, "vreader: %s: %s\n", what, strerror(errno));
	return 1;
}

static void signals_ready(struct loop_source *source, uint32_t events)
{
	struct signals *s = (struct signals *)source;

	(void)events;
	s->quit = true;
}

static bool catch_signals(struct signals *s, struct loop *loop)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s->source.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	s->source.ready = signals_ready;
	return s->source.fd >= 0 && loop_add(loop, &s->source, EPOLLIN);
}

static void say_ready(int fd)
{
	if (fd < 0)
		return;
	if (write(fd, "\n", 1) != 1)
		complain("ready descriptor");
	close(fd);
}

static int run(struct service *service, const struct signals *signals, int ready_fd)
{
	if (!service)
		return 1;
	say_ready(ready_fd);
	while (!signals->quit && !service_quit(service))
		if (!service_once(service, INT64_MAX))
			return 1;
	return 0;
}

int serve(const struct service_options *options, int ready_fd)
{
	struct signals signals = { .source.fd = -1 };
	struct loop *loop = loop_new();
	struct service *service;
	int status;

	if (!loop || !catch_signals(&signals, loop)) {
		status = complain("event loop");
	} else {
		service = service_start(loop, options);
		status = run(service, &signals, ready_fd);
		service_stop(service);
	}
	if (signals.source.fd >= 0)
		close(signals.source.fd);
	loop_free(loop);
	return status;
}
