/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/options.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vreader/cards/card_options.h"
#include "vreader/cards/crypto.h"
#include "vreader/firmware/profile_json.h"

enum {
	SERVE = 1 << 0,
	RUN = 1 << 1,
	CTL = 1 << 2,
	READERS = SERVE | RUN,
};

/* What the command line says, before the pieces are put together. */
struct words {
	struct options *options;
	const char *profile;
	const char *id;
	const char *speed;
	bool pinpad;
};

typedef enum options_result (*option_handler)(struct words *w, const char *value);

enum options_result options_wrong(const char *what, const char *value)
{
	fprintf(stderr, "vreader: %s: %s\nTry 'vreader --help'.\n", what, value);
	return OPTIONS_USAGE;
}

/* A whole decimal number within the bounds. */
static bool parse_number(const char *text, long min, long max, long *value)
{
	char *end;

	errno = 0;
	*value = strtol(text, &end, 10);
	return end != text && !*end && !errno && *value >= min && *value <= max;
}

/* One to four hexadecimal digits, ended by end_mark. */
static bool parse_hex16(const char *text, char end_mark, const char **end, uint16_t *value)
{
	size_t digits = strspn(text, "0123456789abcdefABCDEF");

	if (digits < 1 || digits > 4 || text[digits] != end_mark)
		return false;
	*value = (uint16_t)strtoul(text, NULL, 16);
	*end = text + digits;
	return true;
}

static bool parse_id(const char *text, struct profile *p)
{
	const char *end;

	return parse_hex16(text, ':', &end, &p->vid) && parse_hex16(end + 1, '\0', &end, &p->pid);
}

static enum options_result set_listen(struct words *w, const char *value)
{
	struct service_options *s = &w->options->service;

	if (s->listen_count == SERVICE_LISTEN_MAX)
		return options_wrong("too many addresses", value);
	s->listen[s->listen_count++] = value;
	return OPTIONS_OK;
}

/* Of ctl it is the server to ask, of serve the socket to make. */
static enum options_result set_ctl(struct words *w, const char *value)
{
	w->options->service.ctl = value;
	w->options->ctl = value;
	return OPTIONS_OK;
}

static enum options_result set_profile(struct words *w, const char *value)
{
	w->profile = value;
	return OPTIONS_OK;
}

static enum options_result set_protocol(struct words *w, const char *value)
{
	if (!card_options_protocol(&w->options->service.card_options, value))
		return options_wrong("no such protocol", value);
	return OPTIONS_OK;
}

static enum options_result set_readers(struct words *w, const char *value)
{
	long n;

	if (!parse_number(value, 1, SERVICE_READERS_MAX, &n))
		return options_wrong("not a number of readers", value);
	w->options->service.readers = (size_t)n;
	return OPTIONS_OK;
}

static enum options_result set_card(struct words *w, const char *value)
{
	w->options->service.card = strcmp(value, "none") == 0 ? NULL : value;
	return OPTIONS_OK;
}

static enum options_result set_card_option(struct words *w, const char *value)
{
	const char *wrong = card_options_set(&w->options->service.card_options, value);

	return wrong ? options_wrong(value, wrong) : OPTIONS_OK;
}

static enum options_result set_state(struct words *w, const char *value)
{
	w->options->service.state = value;
	return OPTIONS_OK;
}

/* At once: everything random comes later. */
static enum options_result set_seed(struct words *w, const char *value)
{
	(void)w;
	return crypto_seed(value) ? OPTIONS_OK : options_wrong("cannot use the seed", value);
}

static enum options_result set_id(struct words *w, const char *value)
{
	w->id = value;
	return OPTIONS_OK;
}

static enum options_result set_speed(struct words *w, const char *value)
{
	w->speed = value;
	return OPTIONS_OK;
}

static enum options_result set_pinpad(struct words *w, const char *value)
{
	(void)value;
	w->pinpad = true;
	return OPTIONS_OK;
}

static enum options_result set_faults(struct words *w, const char *value)
{
	w->options->service.faults = value;
	return OPTIONS_OK;
}

enum options_result options_descriptor(const char *value, int *fd)
{
	long n;

	if (!parse_number(value, 0, 1 << 20, &n) || fcntl((int)n, F_GETFD) < 0)
		return options_wrong("not an open descriptor", value);
	*fd = (int)n;
	return OPTIONS_OK;
}

static enum options_result set_ready_fd(struct words *w, const char *value)
{
	return options_descriptor(value, &w->options->ready_fd);
}

static enum options_result set_pcscd(struct words *w, const char *value)
{
	w->options->pcscd = value;
	return OPTIONS_OK;
}

static enum options_result set_driver(struct words *w, const char *value)
{
	w->options->driver = value;
	return OPTIONS_OK;
}

static enum options_result set_verbose(struct words *w, const char *value)
{
	(void)value;
	w->options->verbose = true;
	return OPTIONS_OK;
}

static enum options_result ask_help(struct words *w, const char *value)
{
	(void)w;
	(void)value;
	return OPTIONS_HELP;
}

static const struct {
	const char *name;
	unsigned where; /* the subcommands that have it */
	int argument;
	option_handler set;
} known[] = {
	{ "listen", SERVE, required_argument, set_listen },
	{ "ctl", SERVE | CTL, required_argument, set_ctl },
	{ "profile", READERS, required_argument, set_profile },
	{ "protocol", READERS, required_argument, set_protocol },
	{ "readers", READERS, required_argument, set_readers },
	{ "card", READERS, required_argument, set_card },
	{ "card-option", READERS, required_argument, set_card_option },
	{ "state", READERS, required_argument, set_state },
	{ "seed", READERS, required_argument, set_seed },
	{ "id", READERS, required_argument, set_id },
	{ "speed", READERS, required_argument, set_speed },
	{ "pinpad", READERS, no_argument, set_pinpad },
	{ "faults", READERS, required_argument, set_faults },
	{ "ready-fd", SERVE, required_argument, set_ready_fd },
	{ "pcscd", RUN, required_argument, set_pcscd },
	{ "driver", RUN, required_argument, set_driver },
	{ "verbose", RUN, no_argument, set_verbose },
	{ "help", SERVE | RUN | CTL, no_argument, ask_help },
};

enum {
	KNOWN = sizeof(known) / sizeof(known[0]),
	OPT_FIRST = 256, /* beyond any character */
};

/* Reads the options; optind is then the first word behind them. */
static enum options_result parse(
	int argc, char **argv, const char *shorts, unsigned where, struct words *w)
{
	struct option longs[KNOWN + 1] = { 0 };
	enum options_result result = OPTIONS_OK;
	size_t count = 0;
	int opt;

	for (size_t i = 0; i < KNOWN; i++)
		if (known[i].where & where)
			longs[count++] = (struct option){ known[i].name, known[i].argument, NULL,
				OPT_FIRST + (int)i };
	argv[0] = (char *)"vreader"; /* the name in getopt's own messages */
	while (result == OPTIONS_OK && (opt = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (opt == 'h')
			return OPTIONS_HELP;
		if (opt < OPT_FIRST) {
			fprintf(stderr, "Try 'vreader --help'.\n");
			return OPTIONS_USAGE;
		}
		result = known[opt - OPT_FIRST].set(w, optarg);
	}
	return result;
}

/* FILE.json or FILE.json:READER. */
static enum options_result load_profile(const char *word, struct profile *p)
{
	const char *suffix = strstr(word, ".json");
	char path[512], why[768];
	size_t len = suffix ? (size_t)(suffix - word) + strlen(".json") : 0;

	if (!suffix || len >= sizeof(path) || (word[len] && word[len] != ':'))
		return options_wrong("no such profile", word);
	memcpy(path, word, len);
	path[len] = '\0';
	if (profile_json_load(path, word[len] ? word + len + 1 : NULL, p, why, sizeof(why)))
		return OPTIONS_OK;
	fprintf(stderr, "vreader: %s\n", why);
	return OPTIONS_FAILED;
}

static enum options_result build_profile(const struct words *w)
{
	struct profile *p = &w->options->service.profile;
	enum options_result result =
		profile_builtin(w->profile, p) ? OPTIONS_OK : load_profile(w->profile, p);

	if (result != OPTIONS_OK)
		return result;
	if (w->id && !parse_id(w->id, p))
		return options_wrong("not an identity of the form VID:PID", w->id);
	if (strcmp(w->speed, "full") != 0 && strcmp(w->speed, "high") != 0)
		return options_wrong("no such speed", w->speed);
	p->high_speed = strcmp(w->speed, "high") == 0;
	if (w->pinpad)
		profile_add_pinpad(p);
	return OPTIONS_OK;
}

static void defaults(struct options *o, struct words *w)
{
	*o = (struct options){ .ready_fd = -1 };
	o->service.readers = 1;
	o->service.card = "iso";
	o->service.card_options = card_options_default;
	*w = (struct words){ .options = o, .profile = "extended", .speed = "full" };
}

enum options_result options_serve(int argc, char **argv, struct options *o)
{
	enum options_result result;
	struct words w;

	defaults(o, &w);
	result = parse(argc, argv, "h", SERVE, &w);
	if (result != OPTIONS_OK)
		return result;
	if (optind < argc)
		return options_wrong("unexpected argument", argv[optind]);
	if (o->service.listen_count == 0)
		return options_wrong(
			"nowhere to listen", "give --listen unix:PATH or tcp:HOST:PORT");
	return build_profile(&w);
}

enum options_result options_run(int argc, char **argv, struct options *o)
{
	enum options_result result;
	struct words w;

	defaults(o, &w);
	result = parse(argc, argv, "+h", RUN, &w);
	if (result != OPTIONS_OK)
		return result;
	if (optind == argc)
		return options_wrong("nothing to run", "give a command behind --");
	o->command = argv + optind;
	return build_profile(&w);
}

enum options_result options_ctl(int argc, char **argv, struct options *o)
{
	enum options_result result;
	struct words w;

	defaults(o, &w);
	o->ctl = getenv("VREADER_CTL");
	result = parse(argc, argv, "+h", CTL, &w);
	if (result != OPTIONS_OK)
		return result;
	if (!o->ctl)
		return options_wrong("which server", "give --ctl PATH or set VREADER_CTL");
	if (optind == argc)
		return options_wrong(
			"no command", "insert, remove, plug, unplug, list, stats, faults or quit");
	o->command = argv + optind;
	return OPTIONS_OK;
}
