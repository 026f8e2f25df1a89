/* SPDX-License-Identifier: BSD-3-Clause */
/* `vreader replay`: a recording becomes a reader. */
#ifndef CARDWIRE_VREADER_REPLAY_RUN_H
#define CARDWIRE_VREADER_REPLAY_RUN_H

enum {
	REPLAY_SAME = 0,
	REPLAY_DIFFERS = 1,
	REPLAY_NOT_RUN = 2,
};

struct replay_options {
	const char *file;
	const char *listen; /* unix:PATH or tcp:HOST:PORT; NULL: a private place, for the driver */
	const char *driver; /* path of the driver that is to be driven; NULL: whoever connects */
	int ready_fd;       /* gets a newline when clients can come; -1: none */
};

/* argv[0] is the subcommand's name. The exit status: one of the above; says on stderr why. */
int replay_main(int argc, char **argv);

/* The same with the options read. */
int replay_run(const struct replay_options *options);

#endif
