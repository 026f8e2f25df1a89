/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/service.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "vreader/cards/vpcd_port.h"
#include "vreader/ctl.h"
#include "vreader/rack.h"
#include "vreader/usb/address.h"
#include "vreader/usb/usbip_server.h"

struct service {
	const struct service_options *options;
	struct loop *loop;
	struct rack rack;
	size_t listening; /* of the addresses, how many are ours */
	struct ctl *ctl;
	struct rlimit old_limit; /* of open descriptors */
	bool quit;
};

static bool complain(const char *what)
{
	fprintf(stderr, "vreader: %s: %s\n", what, strerror(errno));
	return false;
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

static bool open_listeners(struct service *s)
{
	const struct service_options *o = s->options;
	char why[512];

	for (size_t i = 0; i < o->listen_count; i++) {
		int fd = address_listen(o->listen[i], why, sizeof(why));

		if (fd < 0 || !usbip_server_listen(s->rack.server, fd)) {
			fprintf(stderr, "vreader: cannot listen on %s\n",
				fd < 0 ? why : o->listen[i]);
			return false;
		}
		s->listening++;
	}
	return true;
}

static bool open_ctl(struct service *s)
{
	const char *path = s->options->ctl;
	char address[512], why[512];
	int fd;

	if (!path)
		return true;
	snprintf(address, sizeof(address), "unix:%s", path);
	fd = address_listen(address, why, sizeof(why));
	if (fd < 0) {
		fprintf(stderr, "vreader: cannot listen on %s\n", why);
		return false;
	}
	s->ctl = ctl_new(s->loop, &s->rack, fd, &s->quit);
	return s->ctl || complain("control socket");
}

static bool start(struct service *s)
{
	const struct service_options *o = s->options;
	const char *wrong;
	char why[512];

	if (!rack_init(&s->rack, &o->profile, o->readers, &o->card_options))
		return complain("readers");
	s->rack.state = o->state;
	s->rack.loop = s->loop;
	s->rack.vpcd = vpcd_ports_new(s->loop);
	if (!s->rack.vpcd)
		return complain("readers");
	wrong = o->card ? insert_cards(&s->rack, o->card) : NULL;
	if (wrong) {
		fprintf(stderr, "vreader: card %s: %s\n", o->card, wrong);
		return false;
	}
	if (o->faults && !rack_load_faults(&s->rack, o->faults, why, sizeof(why))) {
		fprintf(stderr, "vreader: %s\n", why);
		return false;
	}
	s->rack.server = usbip_server_new(s->loop, s->rack.devices, s->rack.count);
	if (!s->rack.server)
		return complain("server");
	return open_listeners(s) && open_ctl(s);
}

static void raise_limit(struct service *s)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &s->old_limit);
	limit = s->old_limit;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

void service_leave_limits(const struct service *s)
{
	setrlimit(RLIMIT_NOFILE, &s->old_limit);
}

struct service *service_start(struct loop *loop, const struct service_options *options)
{
	struct service *s = calloc(1, sizeof(*s));

	if (!s) {
		complain("readers");
		return NULL;
	}
	s->loop = loop;
	s->options = options;
	raise_limit(s);
	if (start(s))
		return s;
	service_stop(s);
	return NULL;
}

void service_stop(struct service *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->listening; i++)
		address_forget(s->options->listen[i]);
	if (s->ctl)
		unlink(s->options->ctl);
	ctl_free(s->ctl);
	usbip_server_free(s->rack.server);
	rack_free(&s->rack);
	free(s);
}

bool service_once(struct service *s, int64_t deadline)
{
	int64_t due = usbip_server_deadline(s->rack.server);

	if (!loop_once(s->loop, due < deadline ? due : deadline))
		return complain("epoll");
	usbip_server_run(s->rack.server, loop_now());
	return true;
}

bool service_quit(const struct service *s)
{
	return s->quit;
}
