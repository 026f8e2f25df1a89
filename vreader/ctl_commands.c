/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/ctl_commands.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vreader/cards/card_options.h"
#include "vreader/firmware/pinpad.h"
#include "vreader/hex.h"

enum {
	WORDS_MAX = 16,
};

/* A command being run: words[0] is its name. */
struct command {
	struct rack *rack;
	bool *quit;
	char *words[WORDS_MAX + 1];
	size_t count;
	FILE *answer;
	char why[512];
};

/* NULL when done, else what is wrong. */
typedef const char *(*command_handler)(struct command *c);

/* Moves *text behind a decimal number; false when there is none. */
static bool parse_index(const char **text, size_t *index)
{
	char *end;

	if (**text < '0' || **text > '9')
		return false;
	errno = 0;
	*index = strtoul(*text, &end, 10);
	*text = end;
	return !errno;
}

/* "READER" or "READER.SLOT". */
static const char *parse_slot(const struct command *c, struct rack_slot *found)
{
	const char *text = c->words[1];
	size_t reader, slot = 0;
	bool ok;

	if (c->count < 2)
		return "which reader?";
	ok = parse_index(&text, &reader);
	if (ok && *text == '.') {
		text++;
		ok = parse_index(&text, &slot);
	}
	if (!ok || *text)
		return "a reader is a number, or READER.SLOT";
	return rack_find(c->rack, reader, slot, found) ? NULL : "no such reader or slot";
}

/* insert READER tag-KIND [KEY=VALUE]...; tags with commands hold the card "iso". */
static const char *insert_tag(
	const struct command *c, const struct rack_slot *where, struct tag_options *options)
{
	const char *wrong = NULL;

	for (size_t i = 3; !wrong && i < c->count; i++)
		wrong = tag_options_set(options, c->words[i]);
	if (wrong)
		return wrong;
	return rack_insert_tag(where, options, tag_wants_app(options) ? iso_card_new() : NULL);
}

/* insert READER [CARD [KEY=VALUE]...] */
static const char *do_insert(struct command *c)
{
	struct card_options options = c->rack->card;
	struct tag_options tag;
	struct rack_slot where;
	const char *wrong = parse_slot(c, &where);

	if (!wrong && c->count > 2 && tag_options_named(&tag, c->words[2]))
		return insert_tag(c, &where, &tag);
	for (size_t i = 3; !wrong && i < c->count; i++)
		wrong = card_options_set(&options, c->words[i]);
	return wrong ? wrong : rack_insert(&where, c->count > 2 ? c->words[2] : "iso", &options);
}

static const char *do_remove(struct command *c)
{
	struct rack_slot where;
	const char *wrong = parse_slot(c, &where);

	if (wrong)
		return wrong;
	return ccid_remove(where.ccid, where.slot) ? NULL : "there is no card";
}

static const char *do_plug(struct command *c)
{
	struct rack_slot where;
	const char *wrong = parse_slot(c, &where);

	if (wrong)
		return wrong;
	return usbip_server_plug(c->rack->server, where.reader) ? NULL : "it is plugged in already";
}

static const char *do_unplug(struct command *c)
{
	struct rack_slot where;
	const char *wrong = parse_slot(c, &where);

	if (wrong)
		return wrong;
	return usbip_server_unplug(c->rack->server, where.reader) ? NULL : "it is not plugged in";
}

static const char *do_list(struct command *c)
{
	const struct rack *rack = c->rack;

	for (size_t i = 0; i < rack->count; i++) {
		const struct profile *p = usb_device_profile(rack->devices[i]);
		const char *state = !usbip_server_plugged(rack->server, i)   ? "unplugged"
				    : usbip_server_imported(rack->server, i) ? "imported"
									     : "free";
		struct rack_slot where;

		fprintf(c->answer, "%zu 1-%zu %s %s:", i, i + 1, state, p->product);
		for (size_t slot = 0; rack_find(rack, i, slot, &where); slot++)
			fprintf(c->answer, " %s",
				ccid_present(where.ccid, where.slot) ? "card" : "empty");
		fputc('\n', c->answer);
	}
	return NULL;
}

static const char *do_stats(struct command *c)
{
	struct rack_slot where;
	const char *wrong = parse_slot(c, &where);
	const struct usb_stats *usb;
	const struct ccid_stats *ccid;

	if (wrong)
		return wrong;
	usb = usb_device_stats(c->rack->devices[where.reader]);
	ccid = ccid_stats(where.ccid);
	fprintf(c->answer, "control %" PRIu64 "\nbulk_out %" PRIu64 "\nbulk_in %" PRIu64 "\n",
		usb->control, usb->bulk_out, usb->bulk_in);
	fprintf(c->answer, "interrupt %" PRIu64 "\nstalls %" PRIu64 "\nresets %" PRIu64 "\n",
		usb->interrupt, usb->stalls, usb->resets);
	fprintf(c->answer, "messages_out %" PRIu64 "\nmessages_in %" PRIu64 "\n",
		ccid->messages_out, ccid->messages_in);
	fprintf(c->answer, "power_ons %" PRIu64 "\nxfr_blocks %" PRIu64 "\napdus %" PRIu64 "\n",
		ccid->power_ons, ccid->xfr_blocks, ccid->apdus);
	return NULL;
}

/* One that could keep us waiting, or never ends. */
static bool is_no_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

/* faults READER FILE|none */
static const char *do_faults(struct command *c)
{
	struct rack_slot where;
	const char *wrong = parse_slot(c, &where);
	struct fault_script *script = NULL;

	if (wrong)
		return wrong;
	if (c->count < 3)
		return "expected: faults READER FILE, or none";
	if (is_no_file(c->words[2]))
		return "a fault script is a regular file";
	if (strcmp(c->words[2], "none") != 0) {
		script = fault_load(c->words[2], c->why, sizeof(c->why));
		if (!script)
			return c->why;
	}
	usb_device_set_faults(c->rack->devices[where.reader], script);
	return NULL;
}

/* escape READER COMMAND ANSWER, in hexadecimal; ANSWER may be "-" for none. */
static const char *do_escape(struct command *c)
{
	uint8_t command[32];
	uint8_t answer[64];
	struct rack_slot where;
	const char *wrong = parse_slot(c, &where);
	size_t len;
	size_t answer_len = 0;

	if (wrong)
		return wrong;
	if (c->count < 4 || !hex_parse(c->words[2], command, sizeof(command), &len) ||
		(strcmp(c->words[3], "-") != 0 &&
			!hex_parse(c->words[3], answer, sizeof(answer), &answer_len)))
		return "expected: escape READER HEX HEX";
	return ccid_teach_escape(where.ccid, command, len, answer, answer_len)
		       ? NULL
		       : "it can't learn that, or no more";
}

/* keys READER KEYS [MS]: types ahead; "-" forgets what was typed. */
static const char *do_keys(struct command *c)
{
	struct rack_slot where;
	const char *wrong = parse_slot(c, &where);
	const char *gap = c->count > 3 ? c->words[3] : "0";
	size_t gap_ms;

	if (wrong)
		return wrong;
	if (c->count < 3 || !parse_index(&gap, &gap_ms) || *gap || gap_ms > 60000)
		return "expected: keys READER KEYS [MILLISECONDS]";
	if (strcmp(c->words[2], "-") == 0)
		pinpad_forget(where.ccid);
	else if (!pinpad_press(where.ccid, c->words[2], (uint32_t)gap_ms))
		return "keys are 0 to 9, E enter, C clear, X cancel, and not too many";
	return NULL;
}

/* display READER: the prompt, a star for each digit typed, the language asked for. */
static const char *do_display(struct command *c)
{
	struct rack_slot where;
	const char *wrong = parse_slot(c, &where);
	const struct pinpad *pad;

	if (wrong)
		return wrong;
	pad = pinpad_of(where.ccid);
	fprintf(c->answer, "%s\n%s\nlanguage %04X\n", pad->prompt, pad->typed, pad->language);
	return NULL;
}

/* secure READER: bMessageType and data of the last PC_to_RDR_Secure. */
static const char *do_secure(struct command *c)
{
	struct rack_slot where;
	const char *wrong = parse_slot(c, &where);
	const struct pinpad *pad;

	if (wrong)
		return wrong;
	pad = pinpad_of(where.ccid);
	fprintf(c->answer, "%02X ", pad->secure_type);
	for (size_t i = 0; i < pad->secure_len; i++)
		fprintf(c->answer, "%02X", pad->secure[i]);
	fputc('\n', c->answer);
	return NULL;
}

static const char *do_quit(struct command *c)
{
	*c->quit = true;
	return NULL;
}

static const struct {
	const char *name;
	size_t words; /* with the name, at most */
	command_handler run;
} commands[] = {
	{ "insert", WORDS_MAX, do_insert },
	{ "remove", 2, do_remove },
	{ "plug", 2, do_plug },
	{ "unplug", 2, do_unplug },
	{ "list", 1, do_list },
	{ "stats", 2, do_stats },
	{ "faults", 3, do_faults },
	{ "escape", 4, do_escape },
	{ "keys", 4, do_keys },
	{ "display", 2, do_display },
	{ "secure", 2, do_secure },
	{ "quit", 1, do_quit },
};

static const char *run_words(struct command *c)
{
	for (size_t i = 0; c->count && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, c->words[0]) == 0)
			return c->count > commands[i].words ? "too many words" : commands[i].run(c);
	return "no such command; there are: insert, remove, plug, unplug, list, stats, faults, "
	       "escape, keys, display, secure, quit";
}

/* Puts "ok", or what is wrong, before what the command has printed. */
static char *with_result(const char *wrong, const char *text, size_t size, size_t *len)
{
	char *all = NULL;
	FILE *out = open_memstream(&all, len);

	if (!out)
		return NULL;
	if (wrong)
		fprintf(out, "error %s\n", wrong);
	else
		fputs("ok\n", out);
	fwrite(text, 1, wrong ? 0 : size, out);
	if (fclose(out) == 0)
		return all;
	free(all);
	return NULL;
}

char *ctl_run_line(struct rack *rack, bool *quit, char *line, size_t *len)
{
	struct command c = { .rack = rack, .quit = quit };
	char *text = NULL, *save = NULL, *answer;
	const char *wrong;
	size_t size = 0;

	for (char *w = strtok_r(line, " \t\r", &save); w && c.count <= WORDS_MAX;
		w = strtok_r(NULL, " \t\r", &save))
		c.words[c.count++] = w;
	c.answer = open_memstream(&text, &size);
	if (!c.answer)
		return NULL;
	wrong = run_words(&c);
	fclose(c.answer);
	answer = text ? with_result(wrong, text, size, len) : NULL;
	free(text);
	return answer;
}
