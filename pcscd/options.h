/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_PCSCD_OPTIONS_H
#define CARDWIRE_PCSCD_OPTIONS_H

/*
 * The command line and the environment of the daemon, as one struct. One thread, at the start.
 * The options are pcsc-lite's, and those of pcscd(8) that are ours.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define OPTIONS_ALLOW_MAX 32 /* static access rules of one command line */

/* Who may use readers when polkit isn't asked. */
struct allow_rule {
	bool group; /* id is a gid */
	uint32_t id;
};

struct options {
	/* Logging */
	bool foreground;
	bool colour;
	bool apdu;
	int log_level; /* PCSC_LOG_… */

	/* Places; all absolute */
	char *socket;       /* of the daemon */
	bool socket_chosen; /* not the default: then the pid file is SOCKET.pid */
	char *pid_file;
	char *config;       /* reader.conf, file or folder */
	bool config_chosen; /* it must exist */
	char *drivers;      /* folder of bundles */
	char *state;        /* folder of what outlasts the daemon; NULL: nothing does */

	/* A second socket for clients built with another PCSCLITE_MAX_READERS_CONTEXTS */
	char *array_socket; /* NULL: none */
	unsigned array_length;

	/* Limits: 0 is none */
	unsigned max_contexts;
	unsigned max_handles_per_context;
	unsigned max_handles_per_reader;
	unsigned max_connections_per_user; /* UINT_MAX: the server's default */
	int64_t lease_ns;                  /* -1: the server's default */
	int64_t power_grace_ns;

	/* Behaviour */
	bool auto_exit;
	bool no_serial_in_name;
	bool no_interface_in_name;
	int64_t poll_bus_ns; /* look at the bus so often even without events; 0: no */
	bool polkit;
	struct allow_rule allow[OPTIONS_ALLOW_MAX];
	size_t allow_count;
	int ready_fd; /* -1: none */

	bool hotplug_request; /* -H: tell the running daemon to look again */
	bool check;           /* --check: say what is wrong with the configuration, and end */
};

enum options_result {
	OPTIONS_RUN,   /* go on */
	OPTIONS_DONE,  /* --help or --version was answered on standard output: exit 0 */
	OPTIONS_ERROR, /* told on standard error: exit 1 */
};

/* Reads command line and environment into `options`; free it with options_free() in any case. */
enum options_result options_parse(struct options *options, int argc, char *argv[]);

/* Frees what options_parse() allocated. */
void options_free(struct options *options);

#endif
