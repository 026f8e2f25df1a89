/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `vreader serve`: readers on sockets until a signal or `vreader ctl quit`.
 */
#ifndef CARDWIRE_VREADER_SERVE_H
#define CARDWIRE_VREADER_SERVE_H

#include "vreader/card.h"
#include "vreader/profile.h"

enum {
	SERVE_LISTEN_MAX = 16,
	SERVE_READERS_MAX = 4096,
};

struct serve_options {
	const char *listen[SERVE_LISTEN_MAX]; /* unix:PATH or tcp:HOST:PORT */
	size_t listen_count;
	const char *ctl; /* path of the control socket; NULL: none */
	struct profile profile;
	size_t readers;
	const char *card; /* name of the card in each slot; NULL: none */
	struct card_options card_options;
	const char *faults; /* path of a fault script; NULL: none */
	int ready_fd;       /* gets a newline when clients can come, then is closed; -1: none */
};

/* Returns the exit status of the program; says on stderr what went wrong. */
int serve(const struct serve_options *options);

#endif
