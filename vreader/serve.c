/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/serve.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "vreader/address.h"
#include "vreader/ctl.h"
#include "vreader/loop.h"
#include "vreader/rack.h"
#include "vreader/usbip_server.h"

struct signals {
	struct loop_source source;
	bool *quit;
};

struct service {
	struct loop *loop;
	struct rack rack;
	struct ctl *ctl;
	struct signals signals;
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
	*s->quit = true;
}

static bool catch_signals(struct service *s)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s->signals.source.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	s->signals.source.ready = signals_ready;
	s->signals.quit = &s->quit;
	return s->signals.source.fd >= 0 && loop_add(s->loop, &s->signals.source, EPOLLIN);
}

static const char *insert_cards(struct rack *rack, const char *card)
{
	for (size_t r = 0; r < rack->count; r++) {
		struct rack_slot where;

		for (size_t slot = 0; rack_find(rack, r, slot, &where); slot++) {
			const char *wrong = rack_insert(&where, card, &rack->card);

			if (wrong)
				return wrong;
		}
	}
	return NULL;
}

static bool open_listeners(struct service *s, const struct serve_options *o)
{
	char why[512];

	for (size_t i = 0; i < o->listen_count; i++) {
		int fd = address_listen(o->listen[i], why, sizeof(why));

		if (fd < 0 || !usbip_server_listen(s->rack.server, fd)) {
			fprintf(stderr, "vreader: cannot listen on %s\n",
				fd < 0 ? why : o->listen[i]);
			return false;
		}
	}
	return true;
}

static bool open_ctl(struct service *s, const struct serve_options *o)
{
	char address[512], why[512];
	int fd;

	if (!o->ctl)
		return true;
	snprintf(address, sizeof(address), "unix:%s", o->ctl);
	fd = address_listen(address, why, sizeof(why));
	if (fd < 0) {
		fprintf(stderr, "vreader: cannot listen on %s\n", why);
		return false;
	}
	s->ctl = ctl_new(s->loop, &s->rack, fd, &s->quit);
	return s->ctl;
}

static void say_ready(int fd)
{
	if (fd < 0)
		return;
	if (write(fd, "\n", 1) != 1)
		complain("ready descriptor");
	close(fd);
}

static int run(struct service *s)
{
	while (!s->quit) {
		if (!loop_once(s->loop, usbip_server_deadline(s->rack.server)))
			return complain("epoll");
		usbip_server_run(s->rack.server, loop_now());
	}
	return 0;
}

static int start_and_run(struct service *s, const struct serve_options *o)
{
	const char *wrong;
	char why[512];

	s->loop = loop_new();
	if (!s->loop || !catch_signals(s))
		return complain("event loop");
	if (!rack_init(&s->rack, &o->profile, o->readers, &o->card_options))
		return complain("readers");
	wrong = o->card ? insert_cards(&s->rack, o->card) : NULL;
	if (wrong) {
		fprintf(stderr, "vreader: card %s: %s\n", o->card, wrong);
		return 1;
	}
	if (o->faults && !rack_load_faults(&s->rack, o->faults, why, sizeof(why))) {
		fprintf(stderr, "vreader: %s\n", why);
		return 1;
	}
	s->rack.server = usbip_server_new(s->loop, s->rack.devices, s->rack.count);
	if (!s->rack.server)
		return complain("server");
	if (!open_listeners(s, o) || !open_ctl(s, o))
		return 1;
	say_ready(o->ready_fd);
	return run(s);
}

int serve(const struct serve_options *o)
{
	struct service s = { .signals.source.fd = -1 };
	int status = start_and_run(&s, o);

	if (s.rack.server)
		for (size_t i = 0; i < o->listen_count; i++)
			address_forget(o->listen[i]);
	if (s.ctl && o->ctl)
		unlink(o->ctl);
	ctl_free(s.ctl);
	usbip_server_free(s.rack.server);
	rack_free(&s.rack);
	if (s.signals.source.fd >= 0)
		close(s.signals.source.fd);
	loop_free(s.loop);
	return status;
}
