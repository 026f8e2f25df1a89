/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/readers/readers_conf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "pcscd/log.h"
#include "pcscd/readers/readers_conf_scan.h"
#include "pcscd/textfile.h"

enum key {
	KEY_FRIENDLYNAME,
	KEY_DEVICENAME,
	KEY_LIBPATH,
	KEY_CHANNELID,
	KEY_POWERGRACE,
	KEY_POWERON,
	KEY_UNKNOWN,
};

static const char *const key_names[] = {
	[KEY_FRIENDLYNAME] = "FRIENDLYNAME",
	[KEY_DEVICENAME] = "DEVICENAME",
	[KEY_LIBPATH] = "LIBPATH",
	[KEY_CHANNELID] = "CHANNELID",
	[KEY_POWERGRACE] = "POWERGRACE",
	[KEY_POWERON] = "POWERON",
};

#define FILE_ERRORS 20  /* lines written about one file: it may be no reader.conf at all */
#define GRACE_MAX   1e9 /* seconds; in ns it fits into 64 bits */

/* The group of lines being read. */
struct group {
	char *value[KEY_UNKNOWN];
	bool seen[KEY_UNKNOWN];
	unsigned long channel;
	struct reader_power power;
	bool has_grace;
	bool has_power_on;
	int line;       /* of its first keyword; 0: nothing yet */
	bool broken;    /* a value is wrong: the reader is lost */
	bool uncertain; /* an unknown keyword stands in it: where it ends must be guessed */
};

struct parser {
	struct readers_conf *conf;
	const char *file;
	struct group group;
	unsigned errors; /* in this file */
	bool started;
	enum key opener; /* the keyword that this file begins its groups with */
};

static __attribute__((format(printf, 3, 4))) void complain(
	struct parser *parser, int line, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	parser->conf->errors++;
	if (++parser->errors <= FILE_ERRORS)
		log_line(PCSC_LOG_ERROR, "%s:%d: %s", parser->file, line, text);
}

static void group_reset(struct group *group)
{
	for (size_t i = 0; i < KEY_UNKNOWN; i++)
		free(group->value[i]);
	*group = (struct group){ 0 };
}

static bool conf_append(struct readers_conf *conf, struct conf_reader *reader)
{
	struct conf_reader *grown =
		reallocarray(conf->readers, conf->count + 1, sizeof(*conf->readers));

	if (!grown)
		return false;
	conf->readers = grown;
	conf->readers[conf->count++] = *reader;
	return true;
}

static bool group_has_keyword(const struct group *group)
{
	for (size_t i = 0; i < KEY_UNKNOWN; i++)
		if (group->seen[i])
			return true;
	return false;
}

static const char *group_missing(const struct group *group)
{
	if (!group->seen[KEY_FRIENDLYNAME])
		return "FRIENDLYNAME";
	if (!group->seen[KEY_LIBPATH])
		return "LIBPATH";
	if (!group->seen[KEY_DEVICENAME] && !group->seen[KEY_CHANNELID])
		return "DEVICENAME or CHANNELID";
	return NULL;
}

/* Ends the group: its reader is kept if the group is whole. */
static void group_end(struct parser *parser)
{
	struct group *group = &parser->group;
	const char *missing = group_missing(group);
	struct conf_reader reader = { 0 };

	if (group->broken || !group_has_keyword(group))
		goto out;
	if (missing) {
		complain(parser, group->line, "this reader has no %s and is left out", missing);
		goto out;
	}
	if (asprintf(&reader.origin, "%s:%d", parser->file, group->line) < 0) {
		complain(parser, group->line, "out of memory");
		goto out;
	}
	reader.name = group->value[KEY_FRIENDLYNAME];
	reader.device = group->value[KEY_DEVICENAME];
	reader.library = group->value[KEY_LIBPATH];
	reader.channel = group->channel;
	reader.power = group->power;
	reader.has_grace = group->has_grace;
	reader.has_power_on = group->has_power_on;
	if (!conf_append(parser->conf, &reader)) {
		complain(parser, group->line, "out of memory");
		free(reader.origin);
		goto out;
	}
	group->value[KEY_FRIENDLYNAME] = NULL;
	group->value[KEY_DEVICENAME] = NULL;
	group->value[KEY_LIBPATH] = NULL;
out:
	group_reset(group);
}

static enum key key_find(const char *text, size_t length)
{
	for (int i = 0; i < KEY_UNKNOWN; i++)
		if (strlen(key_names[i]) == length && memcmp(key_names[i], text, length) == 0)
			return (enum key)i;
	return KEY_UNKNOWN;
}

/*
 * Begins a new group if `key` cannot belong to the one being read. After an unknown keyword the
 * group's own keywords may be incomplete, and taking the next reader's for them would give a
 * reader the wrong device; so the keyword that usually comes first ends it then.
 */
static void group_enter(struct parser *parser, enum key key, int line)
{
	struct group *group = &parser->group;
	bool ends;

	if (!parser->started) {
		parser->started = true;
		parser->opener = key == KEY_UNKNOWN ? KEY_FRIENDLYNAME : key;
	}
	if (key == KEY_UNKNOWN)
		ends = !group_missing(group);
	else
		ends = group->seen[key] || (group->uncertain && key == parser->opener);
	if (ends)
		group_end(parser);
	if (!group->line)
		group->line = line;
	if (key == KEY_UNKNOWN)
		group->uncertain = true;
	else
		group->seen[key] = true;
}

/* The value of `key` is of no use. That costs the reader, unless it can do without. */
static __attribute__((format(printf, 4, 5))) void refuse(
	struct parser *parser, enum key key, int line, const char *format, ...)
{
	bool spare = key == KEY_POWERGRACE || key == KEY_POWERON;
	char text[400];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	complain(parser, line, "%s %s: %s left out", key_names[key], text,
		spare ? "line" : "reader");
	if (!spare)
		parser->group.broken = true;
}

static void set_channel(struct parser *parser, const char *text, int line)
{
	char *end;

	errno = 0;
	parser->group.channel = strtoul(text, &end, 0);
	if (errno || end == text || *end || *text == '-')
		refuse(parser, KEY_CHANNELID, line, "\"%s\" is not a number", text);
}

static void set_grace(struct parser *parser, const char *text, int line)
{
	double seconds;
	char *end;

	if (strcmp(text, "never") == 0) {
		parser->group.power.grace = -1;
		parser->group.has_grace = true;
		return;
	}
	errno = 0;
	seconds = strtod(text, &end);
	if (errno || end == text || *end || !(seconds >= 0 && seconds <= GRACE_MAX)) {
		refuse(parser, KEY_POWERGRACE, line,
			"\"%s\" is neither a number of seconds nor \"never\"", text);
		return;
	}
	parser->group.power.grace = (int64_t)(seconds * 1e9);
	parser->group.has_grace = true;
}

static void set_power_on(struct parser *parser, const char *text, int line)
{
	bool on_demand = strcmp(text, "demand") == 0;

	if (!on_demand && strcmp(text, "insertion") != 0) {
		refuse(parser, KEY_POWERON, line, "\"%s\" is neither \"insertion\" nor \"demand\"",
			text);
		return;
	}
	parser->group.power.on_demand = on_demand;
	parser->group.has_power_on = true;
}

static void set_value(struct parser *parser, enum key key, const char *text, int line)
{
	static void (*const set[KEY_UNKNOWN])(struct parser *, const char *, int) = {
		[KEY_CHANNELID] = set_channel,
		[KEY_POWERGRACE] = set_grace,
		[KEY_POWERON] = set_power_on,
	};
	struct group *group = &parser->group;

	if (*text == '\0') {
		refuse(parser, key, line, "is empty");
		return;
	}
	if (set[key]) {
		set[key](parser, text, line);
		return;
	}
	group->value[key] = strdup(text);
	if (!group->value[key])
		refuse(parser, key, line, "cannot be kept, memory is short");
}

/* One token of a line, as a string of its own. */
struct word {
	char *text;
	enum conf_token kind;
};

/* pcsc-lite strips only double quotes off a name; users have such names in their configuration. */
static char *word_value(const struct word *word, enum key key)
{
	size_t length = strlen(word->text);

	if (word->kind == CONF_WORD || (word->kind == CONF_APOSTROPHED && key == KEY_FRIENDLYNAME))
		return strdup(word->text);
	return strndup(word->text + 1, length - 2);
}

/*
 * A keyword and its value; `value` is NULL if the line ends after the keyword. False if something
 * is wrong with it: then the rest of the line makes no sense either.
 */
static bool take_pair(
	struct parser *parser, const struct word *name, const struct word *value, int line)
{
	enum key key = key_find(name->text, strlen(name->text));
	char *text = NULL;

	group_enter(parser, key, line);
	if (key == KEY_UNKNOWN) {
		complain(parser, line, "unknown keyword \"%s\"", name->text);
		return false;
	}
	if (value)
		text = word_value(value, key);
	if (!text) {
		refuse(parser, key, line,
			value ? "cannot be kept, memory is short" : "without a value");
		return false;
	}
	set_value(parser, key, text, line);
	free(text);
	return !parser->group.broken;
}

#define LINE_WORDS 16 /* words a line may have: six keywords and values, and some to spare */

struct line {
	struct word words[LINE_WORDS];
	size_t count;
	const char *fault; /* what is wrong with it, NULL if nothing */
};

static void line_add(struct line *line, enum conf_token kind, const char *text, size_t length)
{
	char *copy;

	if (line->fault)
		return;
	if (kind == CONF_UNTERMINATED) {
		line->fault = "a quote is not closed";
		return;
	}
	if (kind == CONF_STRAY || memchr(text, '\0', length)) {
		line->fault = "a control character";
		return;
	}
	if (line->count == LINE_WORDS) {
		line->fault = "too many words";
		return;
	}
	copy = strndup(text, length);
	if (!copy) {
		line->fault = "out of memory";
		return;
	}
	line->words[line->count++] = (struct word){ .text = copy, .kind = kind };
}

/* Handles a whole line and empties it. A line with a fault breaks the group it stands in. */
static void line_end(struct parser *parser, struct line *line, int number)
{
	if (line->fault) {
		enum key key = KEY_UNKNOWN;

		if (line->count)
			key = key_find(line->words[0].text, strlen(line->words[0].text));
		group_enter(parser, key, number);
		complain(parser, number, "%s: reader left out", line->fault);
		parser->group.broken = true;
	} else {
		bool good = true;

		for (size_t i = 0; i < line->count && good; i += 2)
			good = take_pair(parser, &line->words[i],
				i + 1 < line->count ? &line->words[i + 1] : NULL, number);
	}
	for (size_t i = 0; i < line->count; i++)
		free(line->words[i].text);
	*line = (struct line){ 0 };
}

void readers_conf_parse(
	struct readers_conf *conf, const char *text, size_t length, const char *file)
{
	static const char mark[] = "\xEF\xBB\xBF"; /* editors begin UTF-8 with it */
	size_t skip = length >= 3 && memcmp(text, mark, 3) == 0 ? 3 : 0;
	struct parser parser = { .conf = conf, .file = file };
	struct conf_scan *scan = conf_scan_open(text + skip, length - skip);
	struct line line = { 0 };
	enum conf_token token;
	const char *word;
	size_t size;
	int number;

	if (!scan) {
		complain(&parser, 1, "out of memory: file left out");
		return;
	}
	do {
		token = conf_scan_next(scan, &word, &size, &number);
		if (token == CONF_NEWLINE || token == CONF_END)
			line_end(&parser, &line, number);
		else
			line_add(&line, token, word, size);
	} while (token != CONF_END);
	group_end(&parser);
	if (parser.errors > FILE_ERRORS)
		log_line(PCSC_LOG_ERROR, "%s: %u more errors", file, parser.errors - FILE_ERRORS);
	conf_scan_close(scan);
}

/* A file of the folder that isn't meant: hidden, an editor's or a package manager's leftover. */
static int is_meant(const struct dirent *entry)
{
	const char *name = entry->d_name;
	size_t length = strlen(name);

	return name[0] != '.' && name[length - 1] != '~' && !strstr(name, ".dpkg-") &&
	       !strstr(name, ".rpmnew") && !strstr(name, ".rpmsave") && !strstr(name, ".rpmorig");
}

static int load_file(struct readers_conf *conf, const char *path)
{
	size_t length;
	char *text = textfile_read(path, &length);

	if (!text)
		return -1;
	readers_conf_parse(conf, text, length, path);
	free(text);
	return 0;
}

static void load_entry(void *ctx, const char *folder, const char *name)
{
	struct readers_conf *conf = ctx;
	struct stat status;
	char *path;

	if (asprintf(&path, "%s/%s", folder, name) < 0)
		return;
	/* A link that leads nowhere is an error; a folder, FIFO or socket isn't ours to read. */
	if (stat(path, &status) < 0 || (S_ISREG(status.st_mode) && load_file(conf, path) < 0)) {
		conf->errors++;
		log_line(PCSC_LOG_ERROR, "%s: %s: file left out", path, strerror(errno));
	}
	free(path);
}

int readers_conf_load(struct readers_conf *conf, const char *path)
{
	struct stat status;

	if (stat(path, &status) < 0)
		return -1;
	if (!S_ISDIR(status.st_mode))
		return load_file(conf, path);
	return textfile_each(path, is_meant, load_entry, conf);
}

void readers_conf_free(struct readers_conf *conf)
{
	for (size_t i = 0; i < conf->count; i++) {
		free(conf->readers[i].name);
		free(conf->readers[i].device);
		free(conf->readers[i].library);
		free(conf->readers[i].origin);
	}
	free(conf->readers);
	*conf = (struct readers_conf){ 0 };
}
