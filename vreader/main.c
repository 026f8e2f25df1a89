/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "vreader/ctl.h"
#include "vreader/options.h"
#include "vreader/replay/replay_run.h"
#include "vreader/run.h"
#include "vreader/serve.h"

static const char usage_text[] =
	"usage: vreader serve [OPTION]...\n"
	"       vreader run [OPTION]... [--] COMMAND [ARGUMENT]...\n"
	"       vreader ctl [--ctl PATH] COMMAND...\n"
	"       vreader replay FILE --driver LIBRARY | --listen ADDRESS\n"
	"\n"
	"serve: virtual smart card readers over USB/IP\n"
	"  --listen ADDRESS   unix:PATH or tcp:HOST:PORT; may be repeated\n"
	"  --ctl PATH         control socket\n"
	"  --ready-fd N       write a newline to descriptor N when ready\n"
	"\n"
	"run: a command with readers, cards and a PC/SC daemon of its own\n"
	"  --pcscd PATH       the daemon, if it is not beside this program\n"
	"  --driver PATH      libccid.so, if it is not beside this program\n"
	"  --verbose          show what the daemon logs\n"
	"\n"
	"serve and run:\n"
	"  --profile NAME     extended (default), short, tpdu, character, contactless,\n"
	"                     contactless-polled, contactless-raw, dual, dual-exclusive,\n"
	"                     or FILE.json[:READER]\n"
	"  --protocol NAME    of the cards: t0, t1 or both (default; of cards with keys t1)\n"
	"  --card-option K=V  ta1, specific, inverse, ifsc, crc, wi, bwi, cwi, tc1, classes, wtx,\n"
	"                     single\n"
	"  --readers N        number of readers, bus ids 1-1 to 1-N (default 1)\n"
	"  --card NAME        iso (default), openpgp, piv, piv+openpgp, pkcs15, pin-oracle,\n"
	"                     vpcd:ADDRESS, none, or in contactless readers tag-a, tag-b,\n"
	"                     tag-classic, tag-ultralight\n"
	"  --state FILE       what the card remembers; without, it is new each time\n"
	"  --seed WORD        take random numbers, of keys too, from this word: for tests\n"
	"  --id VID:PID       USB identity, hexadecimal (default 1209:0001)\n"
	"  --speed NAME       full (default) or high\n"
	"  --pinpad           the readers have a PIN pad and a display\n"
	"  --faults FILE      make the readers misbehave; the grammar is in vreader(1)\n"
	"\n"
	"ctl: a running server; --ctl defaults to $VREADER_CTL\n"
	"  insert R [CARD]    put a card or tag into reader R (or R.SLOT)\n"
	"  remove R           take it out\n"
	"  plug R, unplug R   the reader itself\n"
	"  list               readers and cards\n"
	"  faults R FILE      load a fault script, or none\n"
	"  escape R HEX HEX   answer Escapes that begin so with that\n"
	"  keys R KEYS [MS]   type on its PIN pad: digits, E enter, C clear, X cancel; - forgets\n"
	"  display R          what the display shows\n"
	"  secure R           the last PC_to_RDR_Secure, in hexadecimal\n"
	"  stats R            counts of USB transfers and CCID messages\n"
	"  quit               end the server\n";

enum {
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
};

static int do_serve(const struct options *o)
{
	return serve(&o->service, o->ready_fd);
}

static int do_run(const struct options *o)
{
	return run(o);
}

static int do_ctl(const struct options *o)
{
	return ctl_client(o->ctl, o->command);
}

static const struct {
	const char *name;
	enum options_result (*parse)(int argc, char **argv, struct options *o);
	int (*act)(const struct options *o);
	int failed; /* exit status when the command line is no use */
} subcommands[] = {
	{ "serve", options_serve, do_serve, 0 },
	{ "run", options_run, do_run, RUN_FAILED },
	{ "ctl", options_ctl, do_ctl, 0 },
};

static int subcommand(size_t i, int argc, char **argv)
{
	struct options o;

	switch (subcommands[i].parse(argc, argv, &o)) {
	case OPTIONS_OK:
		return subcommands[i].act(&o);
	case OPTIONS_HELP:
		fputs(usage_text, stdout);
		return 0;
	case OPTIONS_FAILED:
		return subcommands[i].failed ? subcommands[i].failed : EXIT_FAILED;
	default:
		return subcommands[i].failed ? subcommands[i].failed : EXIT_USAGE;
	}
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fputs(usage_text, stderr);
		return EXIT_USAGE;
	}
	for (size_t i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++)
		if (strcmp(argv[1], subcommands[i].name) == 0)
			return subcommand(i, argc - 1, argv + 1);
	if (strcmp(argv[1], "replay") == 0)
		return replay_main(argc - 1, argv + 1);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		fputs(usage_text, stdout);
		return 0;
	}
	options_wrong("no such command", argv[1]);
	return EXIT_USAGE;
}
