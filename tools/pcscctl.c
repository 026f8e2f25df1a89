/* SPDX-License-Identifier: BSD-3-Clause */
/* pcscctl: options, and the table of subcommands. */
#include "tools/pcscctl.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct verb {
	const char *name;
	int (*run)(const struct pcscctl *options);
	const char *help;
} verbs[] = {
	{ "list", pcscctl_list, "readers, their cards, drivers and devices" },
	{ "doctor", pcscctl_doctor, "what keeps readers from working, and what to do about it" },
	{ "who", pcscctl_who, "which programs use which reader, and who waits for whom" },
};
#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

enum {
	OPT_SOCKET = 1,
	OPT_JSON,
	OPT_ROOT,
	OPT_HELP,
};

static const struct option long_options[] = {
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "root", required_argument, NULL, OPT_ROOT },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static void print_help(FILE *out)
{
	fprintf(out, "Usage: pcscctl [--socket PATH] COMMAND [--json]\n\nCommands:\n");
	for (size_t i = 0; i < VERBS; i++)
		fprintf(out, "  %-6s %s\n", verbs[i].name, verbs[i].help);
	fprintf(out, "\nOptions:\n"
		     "  --socket PATH  the daemon's socket, instead of $PCSCLITE_CSOCK_NAME or\n"
		     "                 " PCSCCTL_SOCKET "\n"
		     "  --json         for programs\n"
		     "  --root FOLDER  doctor: look at the system below this folder\n");
}

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < VERBS; i++) {
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	}
	return NULL;
}

int main(int argc, char *argv[])
{
	const char *socket = secure_getenv("PCSCLITE_CSOCK_NAME");
	struct pcscctl options = { .socket = socket && *socket ? socket : PCSCCTL_SOCKET,
		.root = "" };
	const struct verb *verb = NULL;
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (option) {
		case OPT_SOCKET:
			options.socket = optarg;
			break;
		case OPT_JSON:
			options.json = true;
			break;
		case OPT_ROOT:
			options.root = optarg;
			break;
		case OPT_HELP:
			print_help(stdout);
			return EXIT_SUCCESS;
		default:
			return EXIT_FAILURE;
		}
	}
	if (optind + 1 == argc)
		verb = find_verb(argv[optind]);
	if (!verb) {
		print_help(stderr);
		return EXIT_FAILURE;
	}
	return verb->run(&options);
}
