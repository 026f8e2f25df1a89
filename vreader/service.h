/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Readers with their cards, the sockets they are served on and the control socket: what
 * `vreader serve` and `vreader run` have in common. Borrows the loop and the options. One thread.
 */
#ifndef CARDWIRE_VREADER_SERVICE_H
#define CARDWIRE_VREADER_SERVICE_H

#include "vreader/cards/card.h"
#include "vreader/firmware/profile.h"
#include "vreader/loop.h"

enum {
	SERVICE_LISTEN_MAX = 16,
	SERVICE_READERS_MAX = 4096,
};

struct service_options {
	const char *listen[SERVICE_LISTEN_MAX]; /* unix:PATH or tcp:HOST:PORT */
	size_t listen_count;
	const char *ctl; /* path of the control socket; NULL: none */
	struct profile profile;
	size_t readers;
	const char *card;  /* name of the card in each slot; NULL: none */
	const char *state; /* file of what the first card remembers; NULL: it forgets */
	struct card_options card_options;
	const char *faults; /* path of a fault script; NULL: none */
};

struct service;

/* As many descriptors as the system allows are ours then, as many readers have many connections. NULL
 * when something went wrong, said on stderr. */
struct service *service_start(struct loop *loop, const struct service_options *options);
/* Removes its sockets; service may be NULL. */
void service_stop(struct service *service);

/* Waits for one event of the loop or for the deadline (CLOCK_MONOTONIC ns), and does what is due in
 * the readers. False on an error of the system, said on stderr. */
bool service_once(struct service *service, int64_t deadline);
/* `vreader ctl quit` asked for the end. */
bool service_quit(const struct service *service);
/* In a child: it may have as many descriptors open as before. */
void service_leave_limits(const struct service *service);

#endif
