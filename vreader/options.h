/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command lines of `vreader serve`, `run` and `ctl`, read into structs. What is wrong is said on
 * stderr in one line. The strings are those of argv.
 */
#ifndef CARDWIRE_VREADER_OPTIONS_H
#define CARDWIRE_VREADER_OPTIONS_H

#include "vreader/service.h"

enum options_result {
	OPTIONS_OK,
	OPTIONS_HELP,
	OPTIONS_USAGE,  /* a wrong command line */
	OPTIONS_FAILED, /* a file that it names is missing or wrong */
};

struct options {
	struct service_options service;
	int ready_fd;       /* serve; -1: none */
	const char *pcscd;  /* run: path of the daemon; NULL: beside this program */
	const char *driver; /* run: path of the driver; NULL: beside this program */
	bool verbose;       /* run */
	const char *ctl;    /* ctl: where the server is */
	char **command;     /* run and ctl: the words behind the options, NULL at the end */
};

/* argv[0] is the name of the subcommand. */
enum options_result options_serve(int argc, char **argv, struct options *o);
enum options_result options_run(int argc, char **argv, struct options *o);
enum options_result options_ctl(int argc, char **argv, struct options *o);

/* The number of a descriptor that is open. */
enum options_result options_descriptor(const char *value, int *fd);

/* Says what is wrong and where help is. */
enum options_result options_wrong(const char *what, const char *value);

#endif
