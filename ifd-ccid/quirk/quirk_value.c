/* SPDX-License-Identifier: BSD-3-Clause */
/* Values of properties: one reader a kind, and the way back for whoever prints them. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "quirk_private.h"

enum {
	NUMBER_DIGITS = 10,
	NOT_THERE = UINT8_MAX,
};

typedef bool reader(
	struct quirk_parser *parser, const struct quirk_property *property, void *field);

/* Decimal without leading zeros, or hexadecimal behind 0x. */
static bool to_number(const char *text, size_t len, uint32_t *value)
{
	bool hex = len > 2 && text[0] == '0' && text[1] == 'x';
	char digits[NUMBER_DIGITS + 1];
	unsigned long long number;

	if (len == 0 || len > NUMBER_DIGITS || (!hex && len > 1 && text[0] == '0'))
		return false;
	for (size_t i = hex ? 2 : 0; i < len; i++)
		if (!(hex ? isxdigit((unsigned char)text[i]) : isdigit((unsigned char)text[i])))
			return false;
	memcpy(digits, text, len);
	digits[len] = '\0';
	number = strtoull(digits, NULL, hex ? 16 : 10);
	*value = (uint32_t)number;
	return number <= UINT32_MAX;
}

bool quirk_parse_number(struct quirk_parser *parser, uint32_t low, uint32_t high, uint32_t *value)
{
	size_t len;
	const char *text = quirk_token_text(parser, &len);

	if (quirk_token(parser) != QUIRK_A_WORD || !to_number(text, len, value) || *value < low ||
		*value > high)
		return quirk_expected(parser, "a number from %u to %u", low, high);
	quirk_token_next(parser);
	return true;
}

static bool read_flag(
	struct quirk_parser *parser, const struct quirk_property *property, void *field)
{
	bool *flag = field;

	(void)property;
	*flag = quirk_token_is(parser, "yes");
	if (!*flag && !quirk_token_is(parser, "no"))
		return quirk_expected(parser, "yes or no");
	quirk_token_next(parser);
	return true;
}

static bool read_number(
	struct quirk_parser *parser, const struct quirk_property *property, void *field)
{
	return quirk_parse_number(parser, property->low, property->high, field);
}

static bool read_numbers(
	struct quirk_parser *parser, const struct quirk_property *property, void *field)
{
	struct quirk_numbers *numbers = field;

	do {
		if (numbers->count == QUIRK_NUMBERS_MAX)
			return quirk_expected(parser, "at most %d numbers", QUIRK_NUMBERS_MAX);
		if (!quirk_parse_number(parser, property->low, property->high,
			    &numbers->numbers[numbers->count]))
			return false;
		numbers->count++;
	} while (!quirk_at_end(parser));
	return true;
}

/* The number of the current word among the property's words. */
static bool word_number(
	struct quirk_parser *parser, const struct quirk_property *property, uint32_t *number)
{
	size_t want;
	const char *text = quirk_token_text(parser, &want);
	const char *word;
	size_t len;

	for (unsigned i = 0; (word = quirk_word(property->unit, i, &len)) != NULL; i++) {
		if (quirk_token(parser) != QUIRK_A_WORD || len != want || word[0] == '-' ||
			memcmp(word, text, len) != 0)
			continue;
		*number = i;
		quirk_token_next(parser);
		return true;
	}
	return quirk_expected(parser, "one of %s",
		property->unit[0] == '-' ? property->unit + 2 : property->unit);
}

static bool read_word(
	struct quirk_parser *parser, const struct quirk_property *property, void *field)
{
	return word_number(parser, property, field);
}

static bool read_bits(
	struct quirk_parser *parser, const struct quirk_property *property, void *field)
{
	uint32_t *bits = field;
	uint32_t number = 0;

	if (quirk_token_is(parser, "none")) {
		quirk_token_next(parser);
		return true;
	}
	do {
		if (!word_number(parser, property, &number))
			return false;
		*bits |= UINT32_C(1) << number;
	} while (!quirk_at_end(parser));
	return true;
}

static bool read_order(
	struct quirk_parser *parser, const struct quirk_property *property, void *field)
{
	struct quirk_order *order = field;
	uint32_t number = 0;

	do {
		if (order->count == QUIRK_ORDER_MAX)
			return quirk_expected(parser, "the end of the line");
		if (!word_number(parser, property, &number))
			return false;
		order->words[order->count++] = (uint8_t)number;
	} while (!quirk_at_end(parser));
	return true;
}

static bool read_text(
	struct quirk_parser *parser, const struct quirk_property *property, void *field)
{
	struct quirk_text *out = field;
	size_t len;
	const char *text = quirk_token_text(parser, &len);

	if (quirk_token(parser) != QUIRK_A_TEXT || len < property->low || len > property->high)
		return quirk_expected(parser, "a text in double quotes, of %u to %u bytes",
			property->low, property->high);
	memcpy(out->text, text, len);
	out->text[len] = '\0';
	quirk_token_next(parser);
	return true;
}

/* One token of bytes: pairs of hexadecimal digits, or a text. */
static bool add_bytes(struct quirk_parser *parser, uint8_t *out, size_t max, size_t *count)
{
	size_t len;
	const char *text = quirk_token_text(parser, &len);
	bool is_text = quirk_token(parser) == QUIRK_A_TEXT;
	size_t bytes = is_text ? len : len / 2;

	if (!is_text) {
		bool ok = quirk_token(parser) == QUIRK_A_WORD && len % 2 == 0;

		for (size_t i = 0; ok && i < len; i++)
			ok = isxdigit((unsigned char)text[i]) != 0;
		if (!ok)
			return quirk_expected(
				parser, "bytes: pairs of hexadecimal digits, or a text");
	}
	if (bytes > max - *count)
		return quirk_expected(parser, "at most %zu bytes", max);
	for (size_t i = 0; i < bytes; i++) {
		char pair[3] = { text[is_text ? i : 2 * i], is_text ? '\0' : text[2 * i + 1], 0 };

		out[*count + i] = is_text ? (uint8_t)text[i] : (uint8_t)strtoul(pair, NULL, 16);
	}
	*count += bytes;
	quirk_token_next(parser);
	return true;
}

static bool bytes_end(const struct quirk_parser *parser)
{
	return quirk_at_end(parser) || quirk_token(parser) == QUIRK_COMMA ||
	       quirk_token(parser) == QUIRK_ARROW;
}

static bool read_run(
	struct quirk_parser *parser, uint8_t *out, size_t min, size_t max, size_t *count)
{
	do {
		if (!add_bytes(parser, out, max, count))
			return false;
	} while (!bytes_end(parser));
	if (*count < min)
		return quirk_expected(parser, "at least %zu bytes", min);
	return true;
}

static bool read_bytes(
	struct quirk_parser *parser, const struct quirk_property *property, void *field)
{
	struct quirk_bytes *bytes = field;

	return read_run(parser, bytes->bytes, property->low, property->high, &bytes->len);
}

/* What is behind the arrow; "bcdDevice" stands for the device's, as text. */
static bool read_answer(struct quirk_parser *parser, struct quirk_escape *escape)
{
	do {
		if (quirk_token_is(parser, "bcdDevice") && escape->bcd_at == NOT_THERE) {
			escape->bcd_at = (uint8_t)escape->answer_len;
			quirk_token_next(parser);
		} else if (!add_bytes(
				   parser, escape->answer, QUIRK_ANSWER_MAX, &escape->answer_len)) {
			return false;
		}
	} while (!bytes_end(parser));
	return true;
}

static bool read_language(struct quirk_parser *parser, struct quirk_escape *escape)
{
	size_t len;
	const char *text = quirk_token_text(parser, &len);

	if (quirk_token(parser) != QUIRK_A_WORD || len != 2 || !islower((unsigned char)text[0]) ||
		!islower((unsigned char)text[1]))
		return quirk_expected(parser, "a language of two letters");
	memcpy(escape->language, text, 2);
	quirk_token_next(parser);
	return true;
}

static bool read_escape(struct quirk_parser *parser, const struct quirk_property *property,
	struct quirk_escape *escape)
{
	bool needs_arrow = !strstr(property->unit, "[->");

	escape->bcd_at = NOT_THERE;
	if (strncmp(property->unit, "LANGUAGE", strlen("LANGUAGE")) == 0 &&
		!read_language(parser, escape))
		return false;
	if (!read_run(parser, escape->bytes, property->low, property->high, &escape->len))
		return false;
	if (needs_arrow && quirk_token(parser) != QUIRK_ARROW)
		return quirk_expected(parser, "->");
	if (quirk_token(parser) != QUIRK_ARROW)
		return true;
	escape->arrow = true;
	quirk_token_next(parser);
	return read_answer(parser, escape);
}

/* Between the elements of a list. False at its end, or after an error. */
static bool next_element(struct quirk_parser *parser)
{
	if (quirk_token(parser) != QUIRK_COMMA)
		return false;
	quirk_token_next(parser);
	return true;
}

static bool read_escapes(
	struct quirk_parser *parser, const struct quirk_property *property, void *field)
{
	struct quirk_escapes *escapes = field;

	do {
		if (escapes->count == QUIRK_ESCAPES_MAX)
			return quirk_expected(parser, "at most %d of them", QUIRK_ESCAPES_MAX);
		if (!read_escape(parser, property, &escapes->list[escapes->count]))
			return false;
		escapes->count++;
	} while (next_element(parser));
	return true;
}

static bool read_prefixes(
	struct quirk_parser *parser, const struct quirk_property *property, void *field)
{
	struct quirk_prefixes *prefixes = field;
	size_t len;

	do {
		if (prefixes->count == QUIRK_PREFIXES_MAX)
			return quirk_expected(parser, "at most %d of them", QUIRK_PREFIXES_MAX);
		len = 0;
		if (quirk_token_is(parser, "all"))
			quirk_token_next(parser);
		else if (!read_run(parser, prefixes->list[prefixes->count].bytes, property->low,
				 property->high, &len))
			return false;
		prefixes->list[prefixes->count++].len = (uint8_t)len;
	} while (next_element(parser));
	return true;
}

static bool read_patches(
	struct quirk_parser *parser, const struct quirk_property *property, void *field)
{
	struct quirk_patches *patches = field;
	char name[QUIRK_TEXT_MAX];
	uint8_t offset;
	uint8_t size;
	size_t len;

	(void)property;
	do {
		const char *text = quirk_token_text(parser, &len);

		snprintf(name, sizeof(name), "%.*s",
			quirk_token(parser) == QUIRK_A_WORD ? (int)len : 0, text);
		if (!quirk_descriptor_field(name, &offset, &size))
			return quirk_expected(parser, "a field of the class descriptor");
		if (patches->count == QUIRK_PATCHES_MAX)
			return quirk_expected(parser, "at most %d of them", QUIRK_PATCHES_MAX);
		quirk_token_next(parser);
		if (quirk_token(parser) != QUIRK_EQUALS)
			return quirk_expected(parser, "=");
		quirk_token_next(parser);
		patches->list[patches->count].offset = offset;
		patches->list[patches->count].size = size;
		if (!quirk_parse_number(parser, 0, UINT32_MAX >> (32 - 8 * size),
			    &patches->list[patches->count].value))
			return false;
		patches->count++;
	} while (!quirk_at_end(parser));
	return true;
}

bool quirk_parse_value(
	struct quirk_parser *parser, const struct quirk_property *property, void *field)
{
	static reader *const readers[] = {
		[QUIRK_FLAG] = read_flag,
		[QUIRK_NUMBER] = read_number,
		[QUIRK_NUMBERS] = read_numbers,
		[QUIRK_WORD] = read_word,
		[QUIRK_BITS] = read_bits,
		[QUIRK_ORDER] = read_order,
		[QUIRK_TEXT] = read_text,
		[QUIRK_BYTES] = read_bytes,
		[QUIRK_ESCAPES] = read_escapes,
		[QUIRK_PREFIXES] = read_prefixes,
		[QUIRK_PATCHES] = read_patches,
	};

	return readers[property->kind](parser, property, field);
}
