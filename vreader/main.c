/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vreader/ctl.h"
#include "vreader/card_options.h"
#include "vreader/profile_json.h"
#include "vreader/serve.h"

static const char usage_text[] =
	"usage: vreader serve [OPTION]...\n"
	"       vreader ctl [--ctl PATH] COMMAND...\n"
	"\n"
	"serve: virtual smart card readers over USB/IP\n"
	"  --listen ADDRESS   unix:PATH or tcp:HOST:PORT; may be repeated\n"
	"  --ctl PATH         control socket\n"
	"  --profile NAME     extended (default), short, tpdu, character, or FILE.json[:READER]\n"
	"  --protocol NAME    of the cards: t0, t1 or both (default)\n"
	"  --card-option K=V  ta1, specific, inverse, ifsc, crc, wi, bwi, cwi, tc1, classes, wtx,\n"
	"                     single\n"
	"  --readers N        number of readers, bus ids 1-1 to 1-N (default 1)\n"
	"  --card NAME        iso (default) or none\n"
	"  --id VID:PID       USB identity, hexadecimal (default 1209:0001)\n"
	"  --speed NAME       full (default) or high\n"
	"  --faults FILE      make the readers misbehave; the grammar is in vreader(1)\n"
	"  --ready-fd N       write a newline to descriptor N when ready\n"
	"\n"
	"ctl: a running server; --ctl defaults to $VREADER_CTL\n"
	"  insert R [iso]     put a card into reader R (or R.SLOT)\n"
	"  remove R           take it out\n"
	"  plug R, unplug R   the reader itself\n"
	"  list               readers and cards\n"
	"  faults R FILE      load a fault script, or none\n"
	"  stats R            counts of USB transfers and CCID messages\n"
	"  quit               end the server\n";

static int usage_error(const char *what, const char *value)
{
	fprintf(stderr, "vreader: %s: %s\nTry 'vreader --help'.\n", what, value);
	return 2;
}

/* A whole decimal number within the bounds. */
static bool parse_number(const char *text, long min, long max, long *value)
{
	char *end;

	errno = 0;
	*value = strtol(text, &end, 10);
	return end != text && !*end && !errno && *value >= min && *value <= max;
}

static bool parse_hex16(const char *text, char end_mark, const char **end, uint16_t *value)
{
	char *stop;
	unsigned long v = strtoul(text, &stop, 16);

	*value = (uint16_t)v;
	*end = stop;
	return stop != text && stop - text <= 4 && *stop == end_mark;
}

static bool parse_id(const char *text, struct profile *p)
{
	const char *end;

	return parse_hex16(text, ':', &end, &p->vid) && parse_hex16(end + 1, '\0', &end, &p->pid);
}

/* What the command line says, before the pieces are put together. */
struct serve_words {
	const char *profile;
	const char *id;
	const char *speed;
};

enum {
	OPT_LISTEN = 256,
	OPT_CTL,
	OPT_PROFILE,
	OPT_PROTOCOL,
	OPT_READERS,
	OPT_CARD,
	OPT_CARD_OPTION,
	OPT_ID,
	OPT_SPEED,
	OPT_FAULTS,
	OPT_READY_FD,
};

static const struct option serve_long[] = {
	{ "listen", required_argument, NULL, OPT_LISTEN },
	{ "ctl", required_argument, NULL, OPT_CTL },
	{ "profile", required_argument, NULL, OPT_PROFILE },
	{ "protocol", required_argument, NULL, OPT_PROTOCOL },
	{ "readers", required_argument, NULL, OPT_READERS },
	{ "card", required_argument, NULL, OPT_CARD },
	{ "card-option", required_argument, NULL, OPT_CARD_OPTION },
	{ "id", required_argument, NULL, OPT_ID },
	{ "speed", required_argument, NULL, OPT_SPEED },
	{ "faults", required_argument, NULL, OPT_FAULTS },
	{ "ready-fd", required_argument, NULL, OPT_READY_FD },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

/* 0, or the exit status of a wrong option. */
static int serve_option(int opt, struct serve_options *o, struct serve_words *w)
{
	const char *wrong;
	long n;

	switch (opt) {
	case OPT_LISTEN:
		if (o->listen_count == SERVE_LISTEN_MAX)
			return usage_error("too many addresses", optarg);
		o->listen[o->listen_count++] = optarg;
		return 0;
	case OPT_CTL:
		o->ctl = optarg;
		return 0;
	case OPT_PROFILE:
		w->profile = optarg;
		return 0;
	case OPT_PROTOCOL:
		if (!card_options_protocol(&o->card_options, optarg))
			return usage_error("no such protocol", optarg);
		return 0;
	case OPT_READERS:
		if (!parse_number(optarg, 1, SERVE_READERS_MAX, &n))
			return usage_error("not a number of readers", optarg);
		o->readers = (size_t)n;
		return 0;
	case OPT_CARD:
		o->card = strcmp(optarg, "none") == 0 ? NULL : optarg;
		return 0;
	case OPT_CARD_OPTION:
		wrong = card_options_set(&o->card_options, optarg);
		return wrong ? usage_error(optarg, wrong) : 0;
	case OPT_ID:
		w->id = optarg;
		return 0;
	case OPT_SPEED:
		w->speed = optarg;
		return 0;
	case OPT_FAULTS:
		o->faults = optarg;
		return 0;
	case OPT_READY_FD:
		if (!parse_number(optarg, 0, 1 << 20, &n))
			return usage_error("not a descriptor", optarg);
		o->ready_fd = (int)n;
		return 0;
	default:
		fprintf(stderr, "Try 'vreader --help'.\n");
		return 2;
	}
}

/* FILE.json or FILE.json:READER. */
static int load_profile(const char *word, struct profile *p)
{
	const char *suffix = strstr(word, ".json");
	char path[512], why[768];
	size_t len = suffix ? (size_t)(suffix - word) + strlen(".json") : 0;

	if (!suffix || len >= sizeof(path) || (word[len] && word[len] != ':'))
		return usage_error("no such profile", word);
	memcpy(path, word, len);
	path[len] = '\0';
	if (profile_json_load(path, word[len] ? word + len + 1 : NULL, p, why, sizeof(why)))
		return 0;
	fprintf(stderr, "vreader: %s\n", why);
	return 1;
}

static int build_profile(const struct serve_words *w, struct profile *p)
{
	int status = profile_builtin(w->profile, p) ? 0 : load_profile(w->profile, p);

	if (status)
		return status;
	if (w->id && !parse_id(w->id, p))
		return usage_error("not an identity of the form VID:PID", w->id);
	if (strcmp(w->speed, "full") != 0 && strcmp(w->speed, "high") != 0)
		return usage_error("no such speed", w->speed);
	p->high_speed = strcmp(w->speed, "high") == 0;
	return 0;
}

static int main_serve(int argc, char **argv)
{
	struct serve_options o = {
		.readers = 1, .card = "iso", .ready_fd = -1, .card_options = card_options_default
	};
	struct serve_words w = { .profile = "extended", .speed = "full" };
	int opt, status = 0;

	while (status == 0 && (opt = getopt_long(argc, argv, "h", serve_long, NULL)) != -1) {
		if (opt == 'h') {
			fputs(usage_text, stdout);
			return 0;
		}
		status = serve_option(opt, &o, &w);
	}
	if (status == 0 && optind < argc)
		status = usage_error("unexpected argument", argv[optind]);
	if (status == 0 && o.listen_count == 0)
		status = usage_error(
			"nowhere to listen", "give --listen unix:PATH or tcp:HOST:PORT");
	if (status == 0)
		status = build_profile(&w, &o.profile);
	return status ? status : serve(&o);
}

static int main_ctl(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "ctl", required_argument, NULL, OPT_CTL },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	const char *path = getenv("VREADER_CTL");
	int opt;

	while ((opt = getopt_long(argc, argv, "+h", longs, NULL)) != -1) {
		if (opt == 'h') {
			fputs(usage_text, stdout);
			return 0;
		}
		if (opt != OPT_CTL)
			return 2;
		path = optarg;
	}
	if (!path)
		return usage_error("which server", "give --ctl PATH or set VREADER_CTL");
	if (optind == argc)
		return usage_error(
			"no command", "insert, remove, plug, unplug, list, stats, faults or quit");
	return ctl_client(path, argc - optind, argv + optind);
}

int main(int argc, char **argv)
{
	if (argc >= 2 && strcmp(argv[1], "serve") == 0)
		return main_serve(argc - 1, argv + 1);
	if (argc >= 2 && strcmp(argv[1], "ctl") == 0)
		return main_ctl(argc - 1, argv + 1);
	if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		fputs(usage_text, stdout);
		return 0;
	}
	if (argc >= 2)
		return usage_error("no such command", argv[1]);
	fputs(usage_text, stderr);
	return 2;
}
