/* SPDX-License-Identifier: BSD-3-Clause */
/* pcscctl: options, and the table of subcommands. */
#include "tools/pcscctl.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Options that some commands have, as bits. */
enum {
	JSON = 1,
	OUTPUT = 2,
	APDU = 4,
	WITH_SERIAL = 8,
	ROOT = 16,
};

static const struct verb {
	const char *name;
	int (*run)(const struct pcscctl *options);
	int most;         /* arguments */
	unsigned options; /* that it has */
	const char *help;
} verbs[] = {
	{ "list", pcscctl_list, 0, JSON, "readers, their cards, drivers and devices" },
	{ "doctor", pcscctl_doctor, 0, JSON | ROOT,
		"what keeps readers from working, and what to do about it" },
	{ "who", pcscctl_who, 0, JSON, "which programs use which reader, and who waits for whom" },
	{ "quirks", pcscctl_quirks, INT_MAX, 0,
		"list [READER|VID:PID[:BCD]], test DUMP, validate [FILE...]: quirk files" },
	{ "report", pcscctl_report, 1, OUTPUT | WITH_SERIAL | ROOT,
		"[READER] --output FILE: what a bug report needs, without secrets" },
	{ "trace", pcscctl_trace, 1, OUTPUT | APDU,
		"READER [--output FILE] [--apdu]: what passes to and from a reader" },
};
#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

enum {
	OPT_SOCKET = 1,
	OPT_JSON,
	OPT_ROOT,
	OPT_APDU,
	OPT_WITH_SERIAL,
};

static const struct option long_options[] = {
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "output", required_argument, NULL, 'o' },
	{ "apdu", no_argument, NULL, OPT_APDU },
	{ "with-serial", no_argument, NULL, OPT_WITH_SERIAL },
	{ "root", required_argument, NULL, OPT_ROOT },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'v' },
	{ NULL, 0, NULL, 0 },
};

static void print_help(FILE *out)
{
	fprintf(out, "Usage: pcscctl [--socket PATH] COMMAND [OPTION...]\n\nCommands:\n");
	for (size_t i = 0; i < VERBS; i++)
		fprintf(out, "  %-6s %s\n", verbs[i].name, verbs[i].help);
	fprintf(out, "\nOptions:\n"
		     "  --socket PATH  the daemon's socket, instead of $PCSCLITE_CSOCK_NAME or\n"
		     "                 " PCSCCTL_SOCKET "\n"
		     "  --json         list, who, doctor: for programs\n"
		     "  -o, --output FILE  report: a tar archive; trace: for Wireshark\n"
		     "  --apdu         trace: print APDUs\n"
		     "  --with-serial  report: don't mask serial numbers\n"
		     "  --root FOLDER  doctor, report: look at the system below this folder\n"
		     "  -h, --help     this text\n"
		     "  -v, --version  the version\n");
}

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < VERBS; i++) {
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	}
	return NULL;
}

/* Takes the options; what of them not every command has goes to *given. False: that was all. */
static bool take_options(
	int argc, char *argv[], struct pcscctl *options, unsigned *given, int *status)
{
	int option;

	while ((option = getopt_long(argc, argv, "o:hv", long_options, NULL)) != -1) {
		switch (option) {
		case OPT_SOCKET:
			options->socket = optarg;
			break;
		case OPT_JSON:
			options->json = true;
			*given |= JSON;
			break;
		case 'o':
			options->output = optarg;
			*given |= OUTPUT;
			break;
		case OPT_APDU:
			options->apdu = true;
			*given |= APDU;
			break;
		case OPT_WITH_SERIAL:
			options->with_serial = true;
			*given |= WITH_SERIAL;
			break;
		case OPT_ROOT:
			options->root = optarg;
			*given |= ROOT;
			break;
		case 'h':
			print_help(stdout);
			return false;
		case 'v':
			printf("pcscctl %s\n", CARDWIRE_VERSION);
			return false;
		default:
			*status = EXIT_FAILURE;
			return false;
		}
	}
	return true;
}

/* The command that is meant, if it can take what it is given; NULL after a complaint. */
static const struct verb *choose_verb(char **words, int count, unsigned given)
{
	static const char *const names[] = { "--json", "--output", "--apdu", "--with-serial",
		"--root" };
	const struct verb *verb = count > 0 ? find_verb(words[0]) : NULL;

	if (count == 0) {
		print_help(stderr);
		return NULL;
	}
	if (!verb) {
		fprintf(stderr, "pcscctl: %s: no such command; see pcscctl --help\n", words[0]);
		return NULL;
	}
	if (count - 1 > verb->most) {
		fprintf(stderr, "pcscctl: %s: \"%s\" is too much; see pcscctl --help\n", words[0],
			words[1 + verb->most]);
		return NULL;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (given & ~verb->options & 1U << i) {
			fprintf(stderr, "pcscctl: %s has no option %s\n", words[0], names[i]);
			return NULL;
		}
	}
	return verb;
}

int main(int argc, char *argv[])
{
	const char *socket = secure_getenv("PCSCLITE_CSOCK_NAME");
	struct pcscctl options = { .socket = socket && *socket ? socket : PCSCCTL_SOCKET,
		.root = "" };
	const struct verb *verb = NULL;
	int status = EXIT_SUCCESS;
	unsigned given = 0;

	if (take_options(argc, argv, &options, &given, &status)) {
		verb = choose_verb(argv + optind, argc - optind, given);
		options.arguments = argv + optind + 1;
		status = verb ? verb->run(&options) : EXIT_FAILURE;
	}
	if (ferror(stdout) || fflush(stdout) != 0) {
		fprintf(stderr, "pcscctl: standard output: %s\n", strerror(errno));
		status = EXIT_FAILURE;
	}
	return status;
}
