/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Quirk files: what the firmware of a reader does wrong, as data. They are parsed to a table of
 * sections; a device's facts select sections, which together make a struct quirk_set: one value a
 * property. The grammar is in quirks(5), the properties are in quirk_properties.h.
 *
 * Knows no USB, no threads, no log. The table belongs to who made it; sets and facts are plain data
 * that can be copied. Any thread may call; a table that is only read can be shared.
 */
#ifndef CARDWIRE_CCID_QUIRK_H
#define CARDWIRE_CCID_QUIRK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
	QUIRK_TEXT_MAX = 128,    /* bytes of a text, with its end */
	QUIRK_BYTES_MAX = 250,   /* of an Escape */
	QUIRK_ANSWER_MAX = 32,   /* of its expected answer */
	QUIRK_ESCAPES_MAX = 12,  /* in one list */
	QUIRK_PREFIXES_MAX = 24, /* in one list, of QUIRK_PREFIX_MAX bytes */
	QUIRK_PREFIX_MAX = 16,
	QUIRK_PATCHES_MAX = 24,
	QUIRK_NUMBERS_MAX = 64,
	QUIRK_ORDER_MAX = 4,
	QUIRK_FILE_MAX = 1 << 20, /* bytes of a file */
};

/* What a property holds: its type in struct quirk_set, and how a file writes it. */
enum quirk_kind {
	QUIRK_FLAG,     /* yes or no */
	QUIRK_NUMBER,   /* decimal, or hexadecimal with 0x */
	QUIRK_NUMBERS,  /* several, separated by blanks */
	QUIRK_WORD,     /* one of the words; the field is its number */
	QUIRK_BITS,     /* some of the words, or none; the field has a bit for each */
	QUIRK_ORDER,    /* some of the words in an order; the field has their numbers */
	QUIRK_TEXT,     /* in double quotes */
	QUIRK_BYTES,    /* hexadecimal digits in pairs, texts in double quotes */
	QUIRK_ESCAPES,  /* several BYTES [-> BYTES], separated by commas */
	QUIRK_PREFIXES, /* several BYTES, separated by commas; all: the empty one */
	QUIRK_PATCHES,  /* several FIELD=NUMBER, separated by blanks */
};

struct quirk_numbers {
	size_t count;
	uint32_t numbers[QUIRK_NUMBERS_MAX];
};

struct quirk_order {
	uint8_t count;
	uint8_t words[QUIRK_ORDER_MAX];
};

struct quirk_text {
	char text[QUIRK_TEXT_MAX];
};

struct quirk_bytes {
	size_t len;
	uint8_t bytes[QUIRK_BYTES_MAX];
};

/* A command, and what is expected of its answer; or what each property makes of the two. */
struct quirk_escape {
	char language[3]; /* of init-escape-language; else empty */
	bool arrow;       /* there is a second part */
	size_t len;
	uint8_t bytes[QUIRK_BYTES_MAX];
	size_t answer_len;
	uint8_t answer[QUIRK_ANSWER_MAX];
	uint8_t bcd_at; /* of fixed-answer: where "bcdDevice" is put in the answer; else UINT8_MAX */
};

struct quirk_escapes {
	size_t count;
	struct quirk_escape list[QUIRK_ESCAPES_MAX];
};

struct quirk_prefixes {
	size_t count;
	struct {
		uint8_t len; /* 0: everything */
		uint8_t bytes[QUIRK_PREFIX_MAX];
	} list[QUIRK_PREFIXES_MAX];
};

struct quirk_patches {
	size_t count;
	struct {
		uint8_t offset; /* in the class descriptor */
		uint8_t size;   /* 1, 2 or 4 */
		uint32_t value;
	} list[QUIRK_PATCHES_MAX];
};

#define QUIRK_TYPE_FLAG     bool
#define QUIRK_TYPE_NUMBER   uint32_t
#define QUIRK_TYPE_NUMBERS  struct quirk_numbers
#define QUIRK_TYPE_WORD     uint32_t
#define QUIRK_TYPE_BITS     uint32_t
#define QUIRK_TYPE_ORDER    struct quirk_order
#define QUIRK_TYPE_TEXT     struct quirk_text
#define QUIRK_TYPE_BYTES    struct quirk_bytes
#define QUIRK_TYPE_ESCAPES  struct quirk_escapes
#define QUIRK_TYPE_PREFIXES struct quirk_prefixes
#define QUIRK_TYPE_PATCHES  struct quirk_patches

/* QUIRK_IFSD and so on: the number of each property. */
enum quirk_id {
#define QUIRK(id, field, kind, name, low, high, unit, meaning, needed) QUIRK_##id,
#define QUIRK_LATE()
#include "quirk_properties.h"
	QUIRK_COUNT
};

/*
 * What holds for one device: set.ifsd is valid where set.has[QUIRK_IFSD]. Where it has not, the
 * field is 0, empty or false, but flags that are on by default ("no" is the quirk) are true.
 */
struct quirk_set {
	bool has[QUIRK_COUNT];
#define QUIRK(id, field, kind, name, low, high, unit, meaning, needed) QUIRK_TYPE_##kind field;
#define QUIRK_LATE()
#include "quirk_properties.h"
};

/* Numbers of the words of WORD properties. */
enum quirk_presence {
	QUIRK_PRESENCE_INTERRUPT,
	QUIRK_PRESENCE_POLLING,
	QUIRK_PRESENCE_POWER_ON,
};

enum quirk_parameters_refused {
	QUIRK_PARAMETERS_FAIL,
	QUIRK_PARAMETERS_RESET,
	QUIRK_PARAMETERS_IGNORE,
};

enum quirk_pin_indexes {
	QUIRK_PIN_INDEXES_AS_NEEDED,
	QUIRK_PIN_INDEXES_ALL,
	QUIRK_PIN_INDEXES_ALL_ZERO,
};

enum quirk_dialect {
	QUIRK_DIALECT_NONE,
	QUIRK_DIALECT_PN532,
};

struct quirk_property {
	const char *name;
	const char *field;
	enum quirk_kind kind;
	uint32_t low;
	uint32_t high;
	const char *unit; /* or words */
	const char *meaning;
	const char *needed;
	size_t offset; /* of the field in struct quirk_set */
	size_t size;   /* of the field */
	bool late;     /* may depend on MatchFirmware */
};

/* All of them, by enum quirk_id. */
extern const struct quirk_property quirk_properties[QUIRK_COUNT];

/* What is known of a device. What isn't is as said; a section that asks for it doesn't match. */
struct quirk_facts {
	uint16_t vid;
	uint16_t pid;
	uint16_t bcdDevice;
	int interface;            /* bInterfaceNumber; -1: unknown */
	int interface_class;      /* bInterfaceClass; -1: unknown */
	const uint8_t *ccid;      /* class descriptor, 54 bytes; NULL: unknown */
	const char *manufacturer; /* the device's strings; NULL: not read, "": none */
	const char *product;
	const char *firmware;    /* answer to firmware-escape; NULL: not asked */
	unsigned driver_options; /* ifdDriverOptions */
};

/* Where a property's value comes from; the texts are the table's. */
struct quirk_origin {
	const char *file; /* NULL: not set */
	const char *section;
	unsigned line;
};

struct quirk_table;

/* Called for each error with one line, without newline: "FILE:LINE:COLUMN: expected …". */
typedef void quirk_say(void *owner, const char *line);

/* An empty table; NULL: out of memory. */
struct quirk_table *quirk_table_new(void);
void quirk_table_free(struct quirk_table *table);

/*
 * Adds the sections of one file behind those there are. TEXT of LEN bytes need not end with a zero;
 * NAME is for messages and origins. A section with an error is left out, the rest stands. False:
 * there was an error.
 */
bool quirk_table_add(struct quirk_table *table, const char *name, const char *text, size_t len,
	quirk_say *say, void *owner);

/* Adds a file. False: an error in it, or it can't be read, which is told, too. */
bool quirk_table_read(struct quirk_table *table, const char *path, quirk_say *say, void *owner);

/*
 * Adds all files NAME.quirks of a folder, in the order of their names' bytes. A folder that does not
 * exist is empty. False as above.
 */
bool quirk_table_load(struct quirk_table *table, const char *folder, quirk_say *say, void *owner);

/*
 * Adds the folders that hold at run time: those of the environment variable CARDWIRE_QUIRKS,
 * separated by colons, or else INSTALLED (may be NULL) and then the administrator's.
 */
bool quirk_table_load_all(
	struct quirk_table *table, const char *installed, quirk_say *say, void *owner);

/* What holds for a device: sections in order, the later wins. ORIGINS may be NULL. */
void quirk_match(const struct quirk_table *table, const struct quirk_facts *facts,
	struct quirk_set *set, struct quirk_origin origins[QUIRK_COUNT]);

/* Whether a section would match, or not, by the device's strings alone. */
bool quirk_wants_strings(const struct quirk_table *table, const struct quirk_facts *facts);

/* Whether some section might match if the firmware were asked. */
bool quirk_wants_firmware(const struct quirk_table *table, const struct quirk_facts *facts);

/* Sections, 0 to quirk_table_count() - 1, for whoever makes other files of them. */
size_t quirk_table_count(const struct quirk_table *table);
const char *quirk_section_name(const struct quirk_table *table, size_t section);

/* One VID:PID of a section's MatchUsb. */
struct quirk_usb {
	uint16_t vid;
	uint16_t pid;
	bool any_vid;
	bool any_pid;
};

/* The MatchUsb list of a section; *COUNT is its length, perhaps 0. */
const struct quirk_usb *quirk_section_usb(
	const struct quirk_table *table, size_t section, size_t *count);

/* The values of this section alone. */
void quirk_section_set(const struct quirk_table *table, size_t section, struct quirk_set *set);

/* Writes a property's value as a file has it. */
void quirk_print_value(FILE *out, const struct quirk_set *set, enum quirk_id id);

/* True when the bytes begin with one of the prefixes. */
bool quirk_has_prefix(const struct quirk_prefixes *prefixes, const uint8_t *bytes, size_t len);

#endif
