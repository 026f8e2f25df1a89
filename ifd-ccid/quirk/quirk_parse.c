/* SPDX-License-Identifier: BSD-3-Clause */
/* The grammar of quirk files: sections of Match lines and properties (quirks(5)). */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "quirk_private.h"

enum {
	SHOWN_MAX = 40, /* bytes of a token that a message shows */
	LINE_MAX_BYTES = 512,
};

struct quirk_parser {
	struct quirk_table *table;
	struct quirk_scan *scan;
	const char *file;
	quirk_say *say;
	void *owner;
	bool wrong; /* there was an error */

	enum quirk_token token;
	const char *text;
	size_t length;
	unsigned line;
	unsigned column;

	bool open;  /* a section has begun */
	bool valid; /* and is right so far */
	struct quirk_section section;
};

enum quirk_token quirk_token(const struct quirk_parser *parser)
{
	return parser->token;
}

const char *quirk_token_text(const struct quirk_parser *parser, size_t *len)
{
	*len = parser->length;
	return parser->text;
}

bool quirk_token_is(const struct quirk_parser *parser, const char *word)
{
	return parser->token == QUIRK_A_WORD && parser->length == strlen(word) &&
	       memcmp(parser->text, word, parser->length) == 0;
}

void quirk_token_next(struct quirk_parser *parser)
{
	parser->token = quirk_scan_next(
		parser->scan, &parser->text, &parser->length, &parser->line, &parser->column);
}

bool quirk_at_end(const struct quirk_parser *parser)
{
	return parser->token == QUIRK_LINE_END || parser->token == QUIRK_END;
}

/* What the current token is, in words. */
static void describe(const struct quirk_parser *parser, char *out, size_t size)
{
	int shown = parser->length < SHOWN_MAX ? (int)parser->length : SHOWN_MAX;

	switch (parser->token) {
	case QUIRK_END:
		snprintf(out, size, "the end of the file");
		break;
	case QUIRK_LINE_END:
		snprintf(out, size, "the end of the line");
		break;
	case QUIRK_SECTION:
		snprintf(out, size, "[%.*s]", shown, parser->text);
		break;
	case QUIRK_A_TEXT:
		snprintf(out, size, "the text \"%.*s\"", shown, parser->text);
		break;
	case QUIRK_TEXT_OPEN:
		snprintf(out, size, "a text without its second quote");
		break;
	case QUIRK_SECTION_OPEN:
		snprintf(out, size, "a name without ]");
		break;
	case QUIRK_STRAY:
		if (*parser->text >= ' ' && *parser->text <= '~')
			snprintf(out, size, "%c", *parser->text);
		else
			snprintf(out, size, "byte %02X", (unsigned char)*parser->text);
		break;
	default:
		snprintf(out, size, "%.*s", shown, parser->text);
	}
}

/* Hands one line to the caller, at the current token; the section is wrong from now on. */
static void report(struct quirk_parser *parser, const char *what)
{
	char line[2 * LINE_MAX_BYTES];

	parser->wrong = true;
	if (parser->open)
		snprintf(line, sizeof(line), "%s:%u:%u: %s; section \"%s\" is ignored",
			parser->file, parser->line, parser->column, what,
			parser->section.name ? parser->section.name : "");
	else
		snprintf(line, sizeof(line), "%s:%u:%u: %s", parser->file, parser->line,
			parser->column, what);
	parser->valid = false;
	if (parser->say)
		parser->say(parser->owner, line);
}

bool quirk_expected(struct quirk_parser *parser, const char *format, ...)
{
	char wanted[LINE_MAX_BYTES / 2];
	char found[LINE_MAX_BYTES / 4];
	char what[LINE_MAX_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(wanted, sizeof(wanted), format, args);
	va_end(args);
	describe(parser, found, sizeof(found));
	snprintf(what, sizeof(what), "expected %s, found %s", wanted, found);
	report(parser, what);
	return false;
}

/* --- Match lines ------------------------------------------------------------------------------ */

/* Exactly four hexadecimal digits at TEXT. */
static bool hex4(const char *text, size_t len, uint16_t *value)
{
	char digits[5];

	if (len < 4 || strspn(text, "0123456789abcdefABCDEF") < 4)
		return false;
	memcpy(digits, text, 4);
	digits[4] = '\0';
	*value = (uint16_t)strtoul(digits, NULL, 16);
	return true;
}

/* VVVV:PPPP, VVVV:* or *:* */
static bool parse_usb(const char *text, size_t len, struct quirk_usb *usb)
{
	size_t at = 4;

	*usb = (struct quirk_usb){ .any_vid = len > 0 && text[0] == '*' };
	if (usb->any_vid)
		at = 1;
	else if (!hex4(text, len, &usb->vid))
		return false;
	if (at >= len || text[at++] != ':')
		return false;
	usb->any_pid = len == at + 1 && text[at] == '*';
	if (usb->any_pid)
		return true;
	return !usb->any_vid && len == at + 4 && hex4(text + at, 4, &usb->pid);
}

static bool match_usb(struct quirk_parser *parser, struct quirk_condition *when)
{
	do {
		struct quirk_usb *more;
		struct quirk_usb usb;

		if (parser->token != QUIRK_A_WORD || !parse_usb(parser->text, parser->length, &usb))
			return quirk_expected(parser, "VENDOR:PRODUCT in hexadecimal");
		more = reallocarray(when->usb, when->usb_count + 1, sizeof(*more));
		if (!more)
			return quirk_expected(parser, "more memory");
		when->usb = more;
		when->usb[when->usb_count++] = usb;
		quirk_token_next(parser);
	} while (!quirk_at_end(parser));
	return true;
}

/* 0100, 0100-0200, 0100- or -0200 */
static bool match_bcd(struct quirk_parser *parser, struct quirk_condition *when)
{
	const char *text = parser->text;
	size_t len = parser->length;
	bool ok = parser->token == QUIRK_A_WORD;

	when->has_bcd = true;
	when->bcd_low = 0;
	when->bcd_high = UINT16_MAX;
	if (ok && text[0] != '-') {
		ok = hex4(text, len, &when->bcd_low);
		text += 4;
		len -= 4;
		if (ok && len == 0)
			when->bcd_high = when->bcd_low;
	}
	if (ok && len > 0)
		ok = text[0] == '-' &&
		     (len == 5 ? hex4(text + 1, 4, &when->bcd_high) : len == 1 && when->bcd_low);
	if (!ok || when->bcd_low > when->bcd_high)
		return quirk_expected(
			parser, "bcdDevice, or a range of it, in four hexadecimal digits");
	quirk_token_next(parser);
	return true;
}

static bool match_interface(struct quirk_parser *parser, struct quirk_condition *when)
{
	uint32_t number;

	do {
		if (!quirk_parse_number(parser, 0, QUIRK_INTERFACES_MAX - 1, &number))
			return false;
		when->interfaces |= UINT32_C(1) << number;
	} while (!quirk_at_end(parser));
	return true;
}

static bool match_class(struct quirk_parser *parser, struct quirk_condition *when)
{
	uint32_t number;

	if (!quirk_parse_number(parser, 0, UINT8_MAX, &number))
		return false;
	when->interface_class = (int)number;
	return true;
}

static bool match_options(struct quirk_parser *parser, struct quirk_condition *when)
{
	uint32_t number;

	if (!quirk_parse_number(parser, 1, UINT16_MAX, &number))
		return false;
	when->driver_options |= number;
	return true;
}

static bool match_string(
	struct quirk_parser *parser, struct quirk_condition *when, enum quirk_string which)
{
	if (parser->token != QUIRK_A_TEXT || parser->length >= QUIRK_TEXT_MAX)
		return quirk_expected(
			parser, "a text in double quotes, of at most %d bytes", QUIRK_TEXT_MAX - 1);
	if (!when->strings)
		when->strings = calloc(QUIRK_STRINGS, sizeof(*when->strings));
	if (!when->strings)
		return quirk_expected(parser, "more memory");
	memcpy(when->strings[which].text, parser->text, parser->length);
	when->strings[which].text[parser->length] = '\0';
	when->has_string[which] = true;
	quirk_token_next(parser);
	return true;
}

static bool match_manufacturer(struct quirk_parser *parser, struct quirk_condition *when)
{
	return match_string(parser, when, QUIRK_STRING_MANUFACTURER);
}

static bool match_product(struct quirk_parser *parser, struct quirk_condition *when)
{
	return match_string(parser, when, QUIRK_STRING_PRODUCT);
}

static bool match_firmware(struct quirk_parser *parser, struct quirk_condition *when)
{
	return match_string(parser, when, QUIRK_STRING_FIRMWARE);
}

/* FIELD [& MASK] = NUMBER */
static bool match_descriptor(struct quirk_parser *parser, struct quirk_condition *when)
{
	struct quirk_field_match match = { .mask = UINT32_MAX };
	char name[SHOWN_MAX];

	if (when->field_count == QUIRK_FIELDS_MAX)
		return quirk_expected(
			parser, "at most %d MatchDescriptor in a section", QUIRK_FIELDS_MAX);
	snprintf(name, sizeof(name), "%.*s",
		parser->token == QUIRK_A_WORD ? (int)parser->length : 0, parser->text);
	if (!quirk_descriptor_field(name, &match.offset, &match.size))
		return quirk_expected(parser, "a field of the class descriptor");
	quirk_token_next(parser);
	if (parser->token == QUIRK_AND) {
		quirk_token_next(parser);
		if (!quirk_parse_number(parser, 0, UINT32_MAX, &match.mask))
			return false;
	}
	if (parser->token != QUIRK_EQUALS)
		return quirk_expected(parser, "=");
	quirk_token_next(parser);
	if (!quirk_parse_number(parser, 0, UINT32_MAX, &match.value))
		return false;
	when->fields[when->field_count++] = match;
	return true;
}

static const struct {
	const char *name;
	bool (*parse)(struct quirk_parser *parser, struct quirk_condition *when);
} matches[] = {
	{ "MatchUsb", match_usb },
	{ "MatchBcdDevice", match_bcd },
	{ "MatchInterface", match_interface },
	{ "MatchInterfaceClass", match_class },
	{ "MatchManufacturer", match_manufacturer },
	{ "MatchProduct", match_product },
	{ "MatchDescriptor", match_descriptor },
	{ "MatchFirmware", match_firmware },
	{ "MatchDriverOptions", match_options },
};

/* --- Lines ------------------------------------------------------------------------------------ */

static bool is_list(enum quirk_kind kind)
{
	return kind == QUIRK_NUMBERS || kind == QUIRK_ESCAPES || kind == QUIRK_PREFIXES ||
	       kind == QUIRK_PATCHES;
}

/* The section's value of a property: the one there is, if it is a list, or a new one. */
static struct quirk_value *value_for(struct quirk_parser *parser, enum quirk_id id)
{
	struct quirk_value **link = &parser->section.values;
	struct quirk_value *value;

	for (; *link; link = &(*link)->next) {
		if ((*link)->id != id)
			continue;
		if (is_list(quirk_properties[id].kind))
			return *link;
		quirk_expected(parser, "another property than that of line %u", (*link)->line);
		return NULL;
	}
	value = calloc(1, sizeof(*value));
	if (value)
		value->field = calloc(1, quirk_properties[id].size);
	if (!value || !value->field) {
		free(value);
		quirk_expected(parser, "more memory");
		return NULL;
	}
	value->id = id;
	value->line = parser->line;
	*link = value;
	return value;
}

static bool parse_equals(struct quirk_parser *parser)
{
	quirk_token_next(parser);
	if (parser->token != QUIRK_EQUALS)
		return quirk_expected(parser, "=");
	quirk_token_next(parser);
	return true;
}

static bool parse_property(struct quirk_parser *parser)
{
	for (int i = 0; i < QUIRK_COUNT; i++) {
		struct quirk_value *value;

		if (!quirk_token_is(parser, quirk_properties[i].name))
			continue;
		if (!quirk_properties[i].late &&
			parser->section.when.has_string[QUIRK_STRING_FIRMWARE])
			return quirk_expected(
				parser, "a property that can wait until the firmware is known");
		value = value_for(parser, (enum quirk_id)i);
		return value && parse_equals(parser) &&
		       quirk_parse_value(parser, &quirk_properties[i], value->field);
	}
	return quirk_expected(parser, "a property, or Match…");
}

/* NAME = VALUE */
static bool parse_line(struct quirk_parser *parser)
{
	for (size_t i = 0; i < sizeof(matches) / sizeof(matches[0]); i++) {
		if (!quirk_token_is(parser, matches[i].name))
			continue;
		if (parser->section.values)
			return quirk_expected(parser, "Match… lines before all properties");
		parser->section.when.any = true;
		return parse_equals(parser) && matches[i].parse(parser, &parser->section.when);
	}
	return parse_property(parser);
}

/* What the section as a whole lacks, told at its name. */
static void check_section(struct quirk_parser *parser)
{
	unsigned line = parser->line;
	unsigned column = parser->column;

	parser->line = parser->section.line;
	parser->column = 1;
	if (!parser->section.when.any)
		report(parser, "expected a Match… line in the section");
	else if (!parser->section.values)
		report(parser, "expected a property in the section");
	parser->line = line;
	parser->column = column;
}

/* The section that has passed is complete: into the table with it. */
static void end_section(struct quirk_parser *parser)
{
	if (parser->open && parser->valid)
		check_section(parser);
	if (parser->open && parser->valid) {
		if (!quirk_table_append(parser->table, &parser->section))
			parser->wrong = true;
	} else {
		quirk_section_free(&parser->section);
	}
	parser->open = parser->valid = false;
}

static void begin_section(struct quirk_parser *parser)
{
	end_section(parser);
	parser->section.file = parser->file;
	parser->section.line = parser->line;
	parser->section.when.interface_class = -1;
	parser->open = true;
	parser->section.name = strndup(parser->text, parser->length);
	parser->valid = parser->section.name != NULL;
	if (parser->token == QUIRK_SECTION_OPEN || parser->length == 0 ||
		parser->length >= QUIRK_TEXT_MAX)
		quirk_expected(parser, "[NAME], of at most %d bytes", QUIRK_TEXT_MAX - 1);
	quirk_token_next(parser);
}

static void skip_line(struct quirk_parser *parser)
{
	while (!quirk_at_end(parser))
		quirk_token_next(parser);
}

static void parse_one(struct quirk_parser *parser)
{
	bool ok = true;

	if (parser->token == QUIRK_SECTION || parser->token == QUIRK_SECTION_OPEN)
		begin_section(parser);
	else if (!parser->open && parser->token != QUIRK_LINE_END)
		ok = quirk_expected(parser, "[NAME] of a section");
	else if (parser->token != QUIRK_LINE_END)
		ok = parse_line(parser);
	if (ok && !quirk_at_end(parser))
		quirk_expected(parser, "the end of the line");
	skip_line(parser);
	if (parser->token == QUIRK_LINE_END)
		quirk_token_next(parser);
}

bool quirk_table_add(struct quirk_table *table, const char *name, const char *text, size_t len,
	quirk_say *say, void *owner)
{
	struct quirk_parser parser = { .table = table, .say = say, .owner = owner, .file = name };

	if (len > QUIRK_FILE_MAX) {
		parser.line = parser.column = 1;
		report(&parser, "the file is longer than 1 MiB");
		return false;
	}
	parser.file = quirk_table_file(table, name);
	parser.scan = quirk_scan_open(text, len);
	if (parser.file && parser.scan) {
		quirk_token_next(&parser);
		while (parser.token != QUIRK_END)
			parse_one(&parser);
		end_section(&parser);
	} else {
		parser.wrong = true;
	}
	quirk_scan_close(parser.scan);
	return !parser.wrong;
}
