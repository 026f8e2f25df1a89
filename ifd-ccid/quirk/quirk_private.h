/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parser of quirk files, the matching and the table share. Nobody else includes this. */
#ifndef CARDWIRE_CCID_QUIRK_PRIVATE_H
#define CARDWIRE_CCID_QUIRK_PRIVATE_H

#include "quirk.h"

enum {
	QUIRK_FIELDS_MAX = 8,      /* MatchDescriptor lines of a section */
	QUIRK_INTERFACES_MAX = 32, /* bInterfaceNumber that MatchInterface can name, below this */
};

/* One MatchDescriptor: (field & mask) == value. */
struct quirk_field_match {
	uint8_t offset;
	uint8_t size;
	uint32_t mask;
	uint32_t value;
};

/* The Match lines of a section; what isn't given matches everything. */
struct quirk_condition {
	bool any; /* there is at least one */
	size_t usb_count;
	struct quirk_usb *usb;
	bool has_bcd;
	uint16_t bcd_low;
	uint16_t bcd_high;
	uint32_t interfaces;        /* bits; 0: all */
	int interface_class;        /* -1: all */
	struct quirk_text *strings; /* manufacturer, product, firmware: by enum quirk_string */
	bool has_string[3];
	unsigned driver_options; /* bits that must be set */
	size_t field_count;
	struct quirk_field_match fields[QUIRK_FIELDS_MAX];
};

enum quirk_string {
	QUIRK_STRING_MANUFACTURER,
	QUIRK_STRING_PRODUCT,
	QUIRK_STRING_FIRMWARE,
	QUIRK_STRINGS,
};

struct quirk_value {
	struct quirk_value *next;
	enum quirk_id id;
	unsigned line;
	void *field; /* as in struct quirk_set */
};

struct quirk_section {
	char *name;
	const char *file; /* the table's */
	unsigned line;
	struct quirk_condition when;
	struct quirk_value *values;
};

struct quirk_table {
	size_t count;
	struct quirk_section *sections;
	size_t file_count;
	char **files; /* names */
};

/* quirk_table.c */

/* Takes the section's contents over; false: out of memory, they are freed. */
bool quirk_table_append(struct quirk_table *table, struct quirk_section *section);
void quirk_section_free(struct quirk_section *section);

/* A copy of a file's name, which lives as long as the table; NULL: out of memory. */
const char *quirk_table_file(struct quirk_table *table, const char *name);

/* The field of the class descriptor by its name in the specification (CCID 1.1 §5.1). */
bool quirk_descriptor_field(const char *name, uint8_t *offset, uint8_t *size);
const char *quirk_descriptor_name(uint8_t offset);

/* The I-th of words separated by blanks, *LEN its length; NULL: there are fewer. */
const char *quirk_word(const char *words, unsigned i, size_t *len);

/* quirk_value.c */

struct quirk_parser;

/* Reads one value up to the end of its line into FIELD, adding to it if it's a list. */
bool quirk_parse_value(
	struct quirk_parser *parser, const struct quirk_property *property, void *field);

/* A number in the specified range; false after one error line. The token is the current one. */
bool quirk_parse_number(struct quirk_parser *parser, uint32_t low, uint32_t high, uint32_t *value);

/* quirk_parse.c: tokens for quirk_value.c. */

enum quirk_token {
	QUIRK_END, /* of the file */
	QUIRK_LINE_END,
	QUIRK_SECTION, /* [text] */
	QUIRK_A_WORD,
	QUIRK_A_TEXT, /* without its quotes */
	QUIRK_EQUALS,
	QUIRK_AND,
	QUIRK_COMMA,
	QUIRK_ARROW,
	QUIRK_SECTION_OPEN, /* without ] */
	QUIRK_TEXT_OPEN,    /* without the second quote */
	QUIRK_STRAY,        /* any other byte */
};

/* The current token, and its text (not ended by a zero). */
enum quirk_token quirk_token(const struct quirk_parser *parser);
const char *quirk_token_text(const struct quirk_parser *parser, size_t *len);
bool quirk_token_is(const struct quirk_parser *parser, const char *word);
void quirk_token_next(struct quirk_parser *parser);

/* True at the end of a line, or of the file. */
bool quirk_at_end(const struct quirk_parser *parser);

/* One error line: "FILE:LINE:COLUMN: expected …, found …". Returns false. */
bool quirk_expected(struct quirk_parser *parser, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* quirk_scan.l */

struct quirk_scan;

struct quirk_scan *quirk_scan_open(const char *text, size_t length);
enum quirk_token quirk_scan_next(struct quirk_scan *scan, const char **text, size_t *length,
	unsigned *line, unsigned *column);
void quirk_scan_close(struct quirk_scan *scan);

#endif
