/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/readers/bundle.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pcscd/log.h"
#include "pcscd/readers/bundle_scan.h"
#include "pcscd/textfile.h"

#define CLASS_DRIVER_NAME "CCIDCLASSDRIVER"

enum key {
	KEY_EXECUTABLE,
	KEY_NAME,
	KEY_VENDORS,
	KEY_PRODUCTS,
	KEY_FRIENDLY_NAMES,
	KEY_COUNT,
	KEY_OTHER = KEY_COUNT,
};

static const char *const key_names[KEY_COUNT] = {
	[KEY_EXECUTABLE] = "CFBundleExecutable",
	[KEY_NAME] = "CFBundleName",
	[KEY_VENDORS] = "ifdVendorID",
	[KEY_PRODUCTS] = "ifdProductID",
	[KEY_FRIENDLY_NAMES] = "ifdFriendlyName",
};

/* The strings that follow a key. Arrays and other tags around them are not asked for. */
struct strings {
	char **list;
	int *lines;
	size_t count;
	int line; /* of the key */
};

/* Text collected between a tag and its end. */
struct text {
	char *bytes;
	size_t length;
	size_t room;
};

struct parser {
	struct bundles *bundles;
	const char *file;
	struct strings values[KEY_COUNT];
	enum key key;
	char element[8]; /* "key" or "string" while inside one, else empty */
	int element_line;
	struct text text;
	bool failed;
};

static __attribute__((format(printf, 3, 4))) void complain(
	struct parser *parser, int line, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	parser->bundles->errors++;
	log_line(PCSC_LOG_ERROR, "%s:%d: %s", parser->file, line, text);
}

/* As complain(); the bundle is lost. */
#define fail(parser, line, format, ...)                                                            \
	do {                                                                                       \
		complain(parser, line, format ": bundle left out" __VA_OPT__(, ) __VA_ARGS__);     \
		(parser)->failed = true;                                                           \
	} while (0)

static void strings_free(struct strings *strings)
{
	for (size_t i = 0; i < strings->count; i++)
		free(strings->list[i]);
	free(strings->list);
	free(strings->lines);
	*strings = (struct strings){ 0 };
}

/* Takes over `string`. */
static bool strings_add(struct strings *strings, char *string, int line)
{
	char **list = reallocarray(strings->list, strings->count + 1, sizeof(*list));
	int *lines;

	if (list)
		strings->list = list;
	lines = reallocarray(strings->lines, strings->count + 1, sizeof(*lines));
	if (lines)
		strings->lines = lines;
	if (!list || !lines || !string) {
		free(string);
		return false;
	}
	strings->list[strings->count] = string;
	strings->lines[strings->count] = line;
	strings->count++;
	return true;
}

static bool text_add(struct text *text, const char *bytes, size_t length)
{
	if (text->room - text->length < length + 1) {
		size_t room = (text->length + length + 1) * 2;
		char *grown = realloc(text->bytes, room);

		if (!grown)
			return false;
		text->bytes = grown;
		text->room = room;
	}
	memcpy(text->bytes + text->length, bytes, length);
	text->length += length;
	text->bytes[text->length] = '\0';
	return true;
}

/* UTF-8 of a code point; returns its length, 0 if it is none that text may hold. */
static size_t utf8(unsigned long point, char out[4])
{
	if (point == 0 || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF))
		return 0;
	if (point < 0x80) {
		out[0] = (char)point;
		return 1;
	}
	if (point < 0x800) {
		out[0] = (char)(0xC0 | point >> 6);
		out[1] = (char)(0x80 | (point & 0x3F));
		return 2;
	}
	if (point < 0x10000) {
		out[0] = (char)(0xE0 | point >> 12);
		out[1] = (char)(0x80 | (point >> 6 & 0x3F));
		out[2] = (char)(0x80 | (point & 0x3F));
		return 3;
	}
	out[0] = (char)(0xF0 | point >> 18);
	out[1] = (char)(0x80 | (point >> 12 & 0x3F));
	out[2] = (char)(0x80 | (point >> 6 & 0x3F));
	out[3] = (char)(0x80 | (point & 0x3F));
	return 4;
}

static size_t entity_number(const char *name, char out[4])
{
	bool hex = name[1] == 'x' || name[1] == 'X';
	const char *digits = name + (hex ? 2 : 1);
	unsigned long point;
	char *end;

	errno = 0;
	point = strtoul(digits, &end, hex ? 16 : 10);
	if (errno || end == digits || *end)
		return 0;
	return utf8(point, out);
}

static const struct {
	const char *name;
	char character;
} entities[] = {
	{ "amp", '&' },
	{ "lt", '<' },
	{ "gt", '>' },
	{ "quot", '"' },
	{ "apos", '\'' },
};

/* Adds the character that "&name;" stands for; an unknown one is kept as it is written. */
static bool text_add_entity(struct text *text, const char *bytes, size_t length)
{
	char name[16];
	char out[4];
	size_t size;

	if (length < sizeof(name)) {
		memcpy(name, bytes, length);
		name[length] = '\0';
		for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]); i++)
			if (strcmp(name, entities[i].name) == 0)
				return text_add(text, &entities[i].character, 1);
		size = name[0] == '#' ? entity_number(name, out) : 0;
		if (size)
			return text_add(text, out, size);
	}
	return text_add(text, "&", 1) && text_add(text, bytes, length) && text_add(text, ";", 1);
}

/* The text without white space around it. */
static char *text_take(struct text *text)
{
	const char *begin = text->bytes ? text->bytes : "";
	size_t length = text->length;

	while (length && strchr(" \t\r\n", begin[0])) {
		begin++;
		length--;
	}
	while (length && strchr(" \t\r\n", begin[length - 1]))
		length--;
	return strndup(begin, length);
}

/* A key begins a new list; of a key that stands there twice the last one counts. */
static void take_key(struct parser *parser, const char *name)
{
	parser->key = KEY_OTHER;
	for (int i = 0; i < KEY_COUNT; i++)
		if (strcmp(name, key_names[i]) == 0)
			parser->key = (enum key)i;
	if (parser->key == KEY_OTHER)
		return;
	strings_free(&parser->values[parser->key]);
	parser->values[parser->key].line = parser->element_line;
}

static void take_element(struct parser *parser)
{
	char *text = text_take(&parser->text);

	if (!text) {
		fail(parser, parser->element_line, "out of memory");
		return;
	}
	if (strcmp(parser->element, "key") == 0) {
		take_key(parser, text);
		free(text);
	} else if (parser->key == KEY_OTHER) {
		free(text);
	} else if (!strings_add(&parser->values[parser->key], text, parser->element_line)) {
		fail(parser, parser->element_line, "out of memory");
	}
}

static bool is_name(const char *text, size_t length, const char *name)
{
	return strlen(name) == length && memcmp(text, name, length) == 0;
}

static bool is_collected(const char *text, size_t length)
{
	return is_name(text, length, "key") || is_name(text, length, "string");
}

static void open_element(struct parser *parser, const char *name, size_t length, int line)
{
	if (!is_collected(name, length))
		return;
	memcpy(parser->element, name, length);
	parser->element[length] = '\0';
	parser->element_line = line;
	parser->text.length = 0;
	if (!text_add(&parser->text, "", 0))
		fail(parser, line, "out of memory");
}

/* A token outside of <key> and <string>: only those two are looked for, text is passed over. */
static void outside(
	struct parser *parser, enum plist_token token, const char *text, size_t length, int line)
{
	if (token == PLIST_OPEN) {
		open_element(parser, text, length, line);
	} else if (token == PLIST_EMPTY && is_collected(text, length)) {
		open_element(parser, text, length, line);
		if (!parser->failed)
			take_element(parser);
		parser->element[0] = '\0';
	} else if (token == PLIST_CLOSE && is_collected(text, length)) {
		fail(parser, line, "</%.*s> without its beginning", (int)length, text);
	}
}

/* A token inside of <key> or <string>. */
static void inside(
	struct parser *parser, enum plist_token token, const char *text, size_t length, int line)
{
	bool kept = true;

	if (token == PLIST_TEXT || token == PLIST_AMPERSAND) {
		kept = text_add(&parser->text, text, length);
	} else if (token == PLIST_ENTITY) {
		kept = text_add_entity(&parser->text, text, length);
	} else if (token == PLIST_CLOSE && is_name(text, length, parser->element)) {
		take_element(parser);
		parser->element[0] = '\0';
	} else {
		fail(parser, line, "<%s> of line %d is not closed", parser->element,
			parser->element_line);
	}
	if (!kept)
		fail(parser, line, "out of memory");
}

static void scan(struct parser *parser, struct plist_scan *pieces)
{
	enum plist_token token;
	const char *text;
	size_t length;
	int line;

	do {
		token = plist_scan_next(pieces, &text, &length, &line);
		if (token == PLIST_BAD)
			fail(parser, line, "a '<' that begins no tag");
		else if (token == PLIST_OPENED)
			fail(parser, line, "a comment or declaration is not closed");
		else if (memchr(text, '\0', length))
			fail(parser, line, "a NUL byte");
		else if (parser->element[0])
			inside(parser, token, text, length, line);
		else
			outside(parser, token, text, length, line);
	} while (!parser->failed && token != PLIST_END);
}

/* The last string of a key that has one value. */
static const char *single(const struct parser *parser, enum key key)
{
	const struct strings *strings = &parser->values[key];

	return strings->count ? strings->list[strings->count - 1] : NULL;
}

static bool parse_id(const char *text, uint16_t *id)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 16);
	if (errno || end == text || *end || *text == '-' || *text == '+' || value > UINT16_MAX)
		return false;
	*id = (uint16_t)value;
	return true;
}

/* Takes the i-th device of the three lists over into the bundle. */
static void take_device(struct parser *parser, struct bundle *bundle, size_t i)
{
	static const enum key ids[] = { KEY_VENDORS, KEY_PRODUCTS };
	struct bundle_device *device = &bundle->devices[bundle->count];
	uint16_t value[2];

	for (size_t k = 0; k < 2; k++) {
		const struct strings *list = &parser->values[ids[k]];

		if (!parse_id(list->list[i], &value[k])) {
			complain(parser, list->lines[i],
				"%s \"%s\" is no 16-bit hexadecimal number: device left out",
				key_names[ids[k]], list->list[i]);
			return;
		}
	}
	device->vendor = value[0];
	device->product = value[1];
	device->name = parser->values[KEY_FRIENDLY_NAMES].list[i];
	parser->values[KEY_FRIENDLY_NAMES].list[i] = NULL;
	bundle->count++;
}

static bool lists_agree(struct parser *parser)
{
	const struct strings *vendors = &parser->values[KEY_VENDORS];
	const struct strings *products = &parser->values[KEY_PRODUCTS];
	const struct strings *names = &parser->values[KEY_FRIENDLY_NAMES];

	if (vendors->count == products->count && vendors->count == names->count)
		return true;
	fail(parser, names->line ? names->line : 1,
		"%zu ifdVendorID, %zu ifdProductID and %zu ifdFriendlyName, which must be as many",
		vendors->count, products->count, names->count);
	return false;
}

static void bundle_free(struct bundle *bundle)
{
	for (size_t i = 0; i < bundle->count; i++)
		free(bundle->devices[i].name);
	free(bundle->devices);
	free(bundle->library);
}

/* Makes a bundle of what was read. */
static void build(struct parser *parser, const char *libraries)
{
	const char *executable = single(parser, KEY_EXECUTABLE);
	const char *name = single(parser, KEY_NAME);
	struct bundles *bundles = parser->bundles;
	struct bundle bundle = { .class_driver = name && strcmp(name, CLASS_DRIVER_NAME) == 0 };
	struct bundle *grown;
	size_t count = parser->values[KEY_VENDORS].count;

	if (!executable || !*executable) {
		fail(parser, 1, "no CFBundleExecutable");
		return;
	}
	if (!lists_agree(parser))
		return;
	if (count == 0 && !bundle.class_driver) {
		fail(parser, 1, "no ifdVendorID");
		return;
	}
	grown = reallocarray(bundles->list, bundles->count + 1, sizeof(*grown));
	if (grown)
		bundles->list = grown;
	bundle.devices = calloc(count ? count : 1, sizeof(*bundle.devices));
	if (!grown || !bundle.devices ||
		asprintf(&bundle.library, "%s/%s", libraries, executable) < 0) {
		bundle.library = NULL;
		fail(parser, 1, "out of memory");
		bundle_free(&bundle);
		return;
	}
	for (size_t i = 0; i < count; i++)
		take_device(parser, &bundle, i);
	bundles->list[bundles->count++] = bundle;
}

bool bundles_parse(struct bundles *bundles, const char *text, size_t length, const char *file,
	const char *libraries)
{
	struct parser parser = { .bundles = bundles, .file = file, .key = KEY_OTHER };
	struct plist_scan *pieces = plist_scan_open(text, length);

	if (!pieces) {
		fail(&parser, 1, "out of memory");
		return false;
	}
	scan(&parser, pieces);
	plist_scan_close(pieces);
	if (!parser.failed)
		build(&parser, libraries);
	for (size_t i = 0; i < KEY_COUNT; i++)
		strings_free(&parser.values[i]);
	free(parser.text.bytes);
	return !parser.failed;
}

static void load_bundle(void *ctx, const char *folder, const char *name)
{
	struct bundles *bundles = ctx;
	char *file = NULL;
	char *libraries = NULL;
	char *text = NULL;
	size_t length;

	if (asprintf(&file, "%s/%s/Contents/Info.plist", folder, name) < 0)
		file = NULL;
	if (asprintf(&libraries, "%s/%s/Contents/Linux", folder, name) < 0)
		libraries = NULL;
	if (file && libraries)
		text = textfile_read(file, &length);
	if (text) {
		bundles_parse(bundles, text, length, file, libraries);
	} else {
		bundles->errors++;
		log_line(PCSC_LOG_ERROR, "%s/%s/Contents/Info.plist: %s: bundle left out", folder,
			name, strerror(errno));
	}
	free(text);
	free(libraries);
	free(file);
}

static int is_bundle(const struct dirent *entry)
{
	return strstr(entry->d_name, ".bundle") != NULL;
}

int bundles_load(struct bundles *bundles, const char *folder)
{
	return textfile_each(folder, is_bundle, load_bundle, bundles);
}

void bundles_free(struct bundles *bundles)
{
	for (size_t i = 0; i < bundles->count; i++)
		bundle_free(&bundles->list[i]);
	free(bundles->list);
	*bundles = (struct bundles){ 0 };
}

static const struct bundle_device *bundle_lists(
	const struct bundle *bundle, uint16_t vendor, uint16_t product)
{
	for (size_t i = 0; i < bundle->count; i++)
		if (bundle->devices[i].vendor == vendor && bundle->devices[i].product == product)
			return &bundle->devices[i];
	return NULL;
}

/* Composite devices have other interfaces, too. */
static bool is_reader_class(uint8_t interface_class)
{
	return interface_class == BUNDLE_CLASS_CCID || interface_class == BUNDLE_CLASS_VENDOR;
}

size_t bundles_match(const struct bundles *bundles, uint16_t vendor, uint16_t product,
	uint8_t interface_class, struct bundle_match matches[BUNDLE_MATCHES])
{
	struct bundle_match specific = { 0 };
	struct bundle_match class_driver = { 0 };
	size_t count = 0;

	for (size_t i = 0; i < bundles->count; i++) {
		const struct bundle *bundle = &bundles->list[i];
		const struct bundle_device *device = bundle_lists(bundle, vendor, product);
		struct bundle_match *match = bundle->class_driver ? &class_driver : &specific;

		if (device && (!bundle->class_driver || is_reader_class(interface_class)))
			*match = (struct bundle_match){ bundle->library, device->name };
		else if (bundle->class_driver && interface_class == BUNDLE_CLASS_CCID &&
			 !class_driver.library)
			class_driver.library = bundle->library;
	}
	if (specific.library)
		matches[count++] = specific;
	if (class_driver.library)
		matches[count++] = class_driver;
	return count;
}
