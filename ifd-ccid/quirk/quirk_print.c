/* SPDX-License-Identifier: BSD-3-Clause */
/* Values of properties as a file writes them. */
#include "quirk_private.h"

typedef void printer(FILE *out, const struct quirk_property *property, const void *field);

static void print_flag(FILE *out, const struct quirk_property *property, const void *field)
{
	(void)property;
	fputs(*(const bool *)field ? "yes" : "no", out);
}

static void print_number(FILE *out, const struct quirk_property *property, const void *field)
{
	(void)property;
	fprintf(out, "%u", *(const uint32_t *)field);
}

static void print_numbers(FILE *out, const struct quirk_property *property, const void *field)
{
	const struct quirk_numbers *numbers = field;

	(void)property;
	for (size_t i = 0; i < numbers->count; i++)
		fprintf(out, "%s%u", i ? " " : "", numbers->numbers[i]);
}

static void print_a_word(FILE *out, const struct quirk_property *property, unsigned i)
{
	size_t len = 0;
	const char *word = quirk_word(property->unit, i, &len);

	fprintf(out, "%.*s", word ? (int)len : 1, word ? word : "?");
}

static void print_word(FILE *out, const struct quirk_property *property, const void *field)
{
	print_a_word(out, property, *(const uint32_t *)field);
}

static void print_bits(FILE *out, const struct quirk_property *property, const void *field)
{
	uint32_t bits = *(const uint32_t *)field;
	bool first = true;

	if (!bits)
		fputs("none", out);
	for (unsigned i = 0; i < 32; i++) {
		if (!(bits & UINT32_C(1) << i))
			continue;
		fputs(first ? "" : " ", out);
		print_a_word(out, property, i);
		first = false;
	}
}

static void print_order(FILE *out, const struct quirk_property *property, const void *field)
{
	const struct quirk_order *order = field;

	for (unsigned i = 0; i < order->count; i++) {
		fputs(i ? " " : "", out);
		print_a_word(out, property, order->words[i]);
	}
}

static void print_text(FILE *out, const struct quirk_property *property, const void *field)
{
	(void)property;
	fprintf(out, "\"%s\"", ((const struct quirk_text *)field)->text);
}

/* Bytes from here on that can be written as a text. */
static size_t text_at(const uint8_t *bytes, size_t len)
{
	size_t n = 0;

	while (n < len && bytes[n] >= ' ' && bytes[n] < 0x7F && bytes[n] != '"')
		n++;
	return n;
}

/* Hexadecimal digits, but texts as such. */
static void put_bytes(FILE *out, const uint8_t *bytes, size_t len)
{
	enum {
		TEXT_MIN = 8
	};
	bool after_text = false;

	for (size_t i = 0; i < len;) {
		size_t text = text_at(bytes + i, len - i);

		if (text >= TEXT_MIN) {
			fprintf(out, "%s\"%.*s\"", i ? " " : "", (int)text,
				(const char *)bytes + i);
			after_text = true;
			i += text;
		} else {
			fprintf(out, "%s%02X", after_text ? " " : "", bytes[i++]);
			after_text = false;
		}
	}
}

static void print_bytes(FILE *out, const struct quirk_property *property, const void *field)
{
	const struct quirk_bytes *bytes = field;

	(void)property;
	put_bytes(out, bytes->bytes, bytes->len);
}

static void print_answer(FILE *out, const struct quirk_escape *escape)
{
	size_t head = escape->bcd_at < escape->answer_len ? escape->bcd_at : escape->answer_len;

	fputs(" -> ", out);
	put_bytes(out, escape->answer, head);
	if (escape->bcd_at != UINT8_MAX)
		fprintf(out, "%sbcdDevice%s", head ? " " : "",
			head < escape->answer_len ? " " : "");
	put_bytes(out, escape->answer + head, escape->answer_len - head);
}

static void print_escapes(FILE *out, const struct quirk_property *property, const void *field)
{
	const struct quirk_escapes *escapes = field;

	(void)property;
	for (size_t i = 0; i < escapes->count; i++) {
		const struct quirk_escape *escape = &escapes->list[i];

		fprintf(out, "%s%s%s", i ? ", " : "", escape->language,
			escape->language[0] ? " " : "");
		put_bytes(out, escape->bytes, escape->len);
		if (escape->arrow)
			print_answer(out, escape);
	}
}

static void print_prefixes(FILE *out, const struct quirk_property *property, const void *field)
{
	const struct quirk_prefixes *prefixes = field;

	(void)property;
	for (size_t i = 0; i < prefixes->count; i++) {
		fputs(i ? ", " : "", out);
		if (prefixes->list[i].len == 0)
			fputs("all", out);
		put_bytes(out, prefixes->list[i].bytes, prefixes->list[i].len);
	}
}

static void print_patches(FILE *out, const struct quirk_property *property, const void *field)
{
	const struct quirk_patches *patches = field;

	(void)property;
	for (size_t i = 0; i < patches->count; i++)
		fprintf(out, "%s%s=%u", i ? " " : "",
			quirk_descriptor_name(patches->list[i].offset), patches->list[i].value);
}

void quirk_print_value(FILE *out, const struct quirk_set *set, enum quirk_id id)
{
	static printer *const printers[] = {
		[QUIRK_FLAG] = print_flag,
		[QUIRK_NUMBER] = print_number,
		[QUIRK_NUMBERS] = print_numbers,
		[QUIRK_WORD] = print_word,
		[QUIRK_BITS] = print_bits,
		[QUIRK_ORDER] = print_order,
		[QUIRK_TEXT] = print_text,
		[QUIRK_BYTES] = print_bytes,
		[QUIRK_ESCAPES] = print_escapes,
		[QUIRK_PREFIXES] = print_prefixes,
		[QUIRK_PATCHES] = print_patches,
	};
	const struct quirk_property *property = &quirk_properties[id];

	printers[property->kind](out, property, (const char *)set + property->offset);
}
