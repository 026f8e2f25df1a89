/* SPDX-License-Identifier: BSD-3-Clause */
/* pcscctl: options, and the table of subcommands. */
#include "tools/pcscctl.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct verb {
	const char *name;
	int (*run)(const struct pcscctl *options);
	int most; /* arguments */
	const char *help;
} verbs[] = {
	{ "list", pcscctl_list, 0, "readers, their cards, drivers and devices" },
	{ "doctor", pcscctl_doctor, 0, "what keeps readers from working, and what to do about it" },
	{ "who", pcscctl_who, 0, "which programs use which reader, and who waits for whom" },
	{ "quirks", pcscctl_quirks, INT_MAX,
		"list [READER|VID:PID[:BCD]], test DUMP, validate [FILE...]: quirk files" },
	{ "report", pcscctl_report, 1,
		"[READER] --output FILE: what a bug report needs, without secrets" },
	{ "trace", pcscctl_trace, 1,
		"READER [--output FILE] [--apdu]: what passes to and from a reader" },
};
#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

enum {
	OPT_SOCKET = 1,
	OPT_JSON,
	OPT_ROOT,
	OPT_APDU,
	OPT_WITH_SERIAL,
	OPT_HELP,
};

static const struct option long_options[] = {
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "output", required_argument, NULL, 'o' },
	{ "apdu", no_argument, NULL, OPT_APDU },
	{ "with-serial", no_argument, NULL, OPT_WITH_SERIAL },
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
		     "  -o, --output FILE  report: a tar archive; trace: for Wireshark\n"
		     "  --apdu         trace: print APDUs\n"
		     "  --with-serial  report: don't mask serial numbers\n"
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

	while ((option = getopt_long(argc, argv, "o:", long_options, NULL)) != -1) {
		switch (option) {
		case OPT_SOCKET:
			options.socket = optarg;
			break;
		case OPT_JSON:
			options.json = true;
			break;
		case 'o':
			options.output = optarg;
			break;
		case OPT_APDU:
			options.apdu = true;
			break;
		case OPT_WITH_SERIAL:
			options.with_serial = true;
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
	if (optind < argc)
		verb = find_verb(argv[optind]);
	if (!verb || argc - optind - 1 > verb->most) {
		print_help(stderr);
		return EXIT_FAILURE;
	}
	options.arguments = argv + optind + 1;
	return verb->run(&options);
}
