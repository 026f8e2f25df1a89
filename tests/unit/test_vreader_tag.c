/* SPDX-License-Identifier: BSD-3-Clause */
/* Virtual tags, the reader's firmware in front of them, and the chip of raw-command readers. */
#include <stdlib.h>
#include <string.h>

#include "suite.h"
#include "vreader/cards/card_app.h"
#include "vreader/cards/tag.h"
#include "vreader/cards/tag_front.h"
#include "vreader/firmware/pn532.h"

static struct tag *tag;
static struct tag_front front;
static struct pn532 *chip;
static uint8_t out[PN532_ANSWER_MAX];

static void use(const char *name)
{
	struct tag_options options;

	ck_assert(tag_options_named(&options, name));
	tag = tag_new(
		&options, options.kind == TAG_A || options.kind == TAG_B ? iso_card_new() : NULL);
	ck_assert_ptr_nonnull(tag);
}

static void setup(void)
{
	chip = calloc(1, sizeof(*chip));
	memset(&front, 0, sizeof(front));
	tag = NULL;
}

static void teardown(void)
{
	free(chip);
	tag_free(tag);
}

/* The answer to a command for the tag is exactly this. */
#define EXPECT(command, answer)                                                                    \
	do {                                                                                       \
		static const uint8_t c[] = command;                                                \
		static const uint8_t a[] = answer;                                                 \
		const struct card_response *r = tag_front_exchange(&front, tag, c, sizeof(c));     \
		ck_assert_uint_eq(r->len, sizeof(a));                                              \
		ck_assert_mem_eq(r->data, a, sizeof(a));                                           \
	} while (0)

/* The chip's answer to a command begins so. */
#define CHIP(command, answer)                                                                      \
	do {                                                                                       \
		static const uint8_t c[] = command;                                                \
		static const uint8_t a[] = answer;                                                 \
		uint32_t delay;                                                                    \
		size_t n = pn532_command(chip, tag, c, sizeof(c), out, &delay);                    \
		ck_assert_uint_ge(n, sizeof(a));                                                   \
		ck_assert_mem_eq(out, a, sizeof(a));                                               \
	} while (0)

#define B(...)                                                                                     \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}

START_TEST(names)
{
	struct tag_options options;

	ck_assert(!tag_options_named(&options, "iso"));
	ck_assert(tag_options_named(&options, "tag-b"));
	ck_assert_ptr_null(tag_options_set(&options, "uid=01020304"));
	ck_assert_mem_eq(options.uid, "\1\2\3\4", 4);
	ck_assert_ptr_nonnull(tag_options_set(&options, "uid=01020304050607"));
	ck_assert_ptr_nonnull(tag_options_set(&options, "uid=010203"));
	ck_assert_ptr_nonnull(tag_options_set(&options, "uid=0102030x"));
	ck_assert_ptr_nonnull(tag_options_set(&options, "other=01"));
	ck_assert(tag_options_named(&options, "tag-a"));
	ck_assert_ptr_null(tag_options_set(&options, "hist="));
	ck_assert_uint_eq(options.historical_len, 0);
	ck_assert_ptr_nonnull(tag_options_set(&options, "hist=000102030405060708090A0B0C0D0E0F"));
	ck_assert_ptr_null(tag_new(&options, NULL));
}
END_TEST

/* As readers have it for these tags (PC/SC part 3 supplement, table of examples). */
START_TEST(atrs)
{
	static const uint8_t classic[] = { 0x3B, 0x8F, 0x80, 0x01, 0x80, 0x4F, 0x0C, 0xA0, 0x00,
		0x00, 0x03, 0x06, 0x03, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x6A };
	static const uint8_t desfire[] = { 0x3B, 0x81, 0x80, 0x01, 0x80, 0x80 };
	struct tag_identity identity = {
		.kind = TAG_A, .historical = { 0x80 }, .historical_len = 1
	};
	uint8_t atr[TAG_FRONT_ATR_MAX];

	use("tag-classic");
	ck_assert_uint_eq(tag_front_atr(tag_identity(tag), atr), sizeof(classic));
	ck_assert_mem_eq(atr, classic, sizeof(classic));
	ck_assert_uint_eq(tag_front_atr(&identity, atr), sizeof(desfire));
	ck_assert_mem_eq(atr, desfire, sizeof(desfire));
}
END_TEST

START_TEST(classic)
{
	use("tag-classic");
	EXPECT(B(0xFF, 0xCA, 0, 0, 0), B(0x43, 0x57, 0x0C, 0x01, 0x90, 0));
	EXPECT(B(0xFF, 0xCA, 0, 0, 2), B(0x6C, 4));
	EXPECT(B(0xFF, 0xCA, 1, 0, 0), B(0x6A, 0x81));
	EXPECT(B(0xFF, 0xB0, 0, 4, 16), B(0x69, 0x82));
	EXPECT(B(0xFF, 0x86, 0, 0, 5, 1, 0, 4, 0x60, 0), B(0x69, 0x88));
	EXPECT(B(0xFF, 0x82, 0, 0, 6, 1, 2, 3, 4, 5, 6), B(0x90, 0));
	EXPECT(B(0xFF, 0x86, 0, 0, 5, 1, 0, 4, 0x60, 0), B(0x63, 0));
	EXPECT(B(0xFF, 0x82, 0, 1, 6, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF), B(0x90, 0));
	EXPECT(B(0xFF, 0x86, 0, 0, 5, 1, 0, 4, 0x60, 1), B(0x90, 0));
	EXPECT(B(0xFF, 0xB0, 0, 4, 16), B(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x90, 0));
	EXPECT(B(0xFF, 0xD6, 0, 4, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16),
		B(0x90, 0));
	EXPECT(B(0xFF, 0xB0, 0, 4, 4), B(1, 2, 3, 4, 0x90, 0));
	EXPECT(B(0xFF, 0xB0, 0, 4, 32), B(0x6C, 16));
	/* Another sector wants its own authentication, and a refusal ends the old one. */
	EXPECT(B(0xFF, 0xB0, 0, 8, 16), B(0x69, 0x82));
	EXPECT(B(0xFF, 0xB0, 0, 4, 16), B(0x69, 0x82));
	EXPECT(B(0xFF, 0x88, 0, 7, 2, 0x61, 1), B(0x90, 0));
	EXPECT(B(0xFF, 0xB0, 0, 7, 6), B(0, 0, 0, 0, 0, 0, 0x90, 0));
	EXPECT(B(0, 0xA4, 0, 0), B(0x6A, 0x81));
}
END_TEST

START_TEST(ultralight)
{
	use("tag-ultralight");
	EXPECT(B(0xFF, 0xD6, 0, 4, 4, 'a', 'b', 'c', 'd'), B(0x90, 0));
	EXPECT(B(0xFF, 0xB0, 0, 4, 4), B('a', 'b', 'c', 'd', 0x90, 0));
	EXPECT(B(0xFF, 0xB0, 0, 15, 16),
		B(0, 0, 0, 0, 0x04, 0x43, 0x57, 0x0D, 1, 2, 0x80, 0, 0, 0, 0, 0, 0x90, 0));
	EXPECT(B(0xFF, 0xD6, 0, 2, 4, 'a', 'b', 'c', 'd'), B(0x69, 0x82));
	EXPECT(B(0xFF, 0xD6, 0, 4, 2, 'a', 'b'), B(0x67, 0));
}
END_TEST

START_TEST(commands_pass)
{
	use("tag-a");
	EXPECT(B(0x80, 0xEC, 0, 0, 2, 7, 8, 0), B(7, 8, 0x90, 0));
	EXPECT(B(0xFF, 0xCA, 1, 0, 0), B('C', 'a', 'r', 'd', 'w', 'i', 'r', 'e', 0x90, 0));
	EXPECT(B(0xFF, 0xB0, 0, 4, 16), B(0x6A, 0x81));
	EXPECT(B(0xFF, 0xB1, 0, 4, 16), B(0x6D, 0));
}
END_TEST

START_TEST(chip_lists)
{
	CHIP(B(0xD4, 0x02), B(0xD5, 0x03, 0x32));
	CHIP(B(0xD4, 0x4A, 1, 0), B(0xD5, 0x4B, 0));
	use("tag-classic");
	CHIP(B(0xD4, 0x40, 1, 0x30, 0), B(0xD5, 0x41, 0x27));
	CHIP(B(0xD4, 0x4A, 1, 3, 0), B(0xD5, 0x4B, 0));
	CHIP(B(0xD4, 0x4A, 1, 0), B(0xD5, 0x4B, 1, 1, 0, 4, 8, 4, 0x43, 0x57, 0x0C, 1));
	CHIP(B(0xD4, 0x40, 1, 0x30, 0), B(0xD5, 0x41, 0x01));
	CHIP(B(0xD4, 0x4A, 1, 0), B(0xD5, 0x4B, 1));
	CHIP(B(0xD4, 0x40, 1, 0x60, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x43, 0x57, 0x0C, 1),
		B(0xD5, 0x41, 0));
	CHIP(B(0xD4, 0x40, 1, 0x30, 0), B(0xD5, 0x41, 0, 0x43, 0x57, 0x0C, 1));
	ck_assert_uint_eq(
		pn532_command(chip, tag, (const uint8_t *)"\xD4", 1, out, &(uint32_t){ 0 }), 0);
	ck_assert_uint_eq(
		pn532_command(chip, tag, (const uint8_t *)"\xD4\x99", 2, out, &(uint32_t){ 0 }), 0);
}
END_TEST

START_TEST(chip_exchanges_in_parts)
{
	use("tag-a");
	CHIP(B(0xD4, 0x4A, 1, 0),
		B(0xD5, 0x4B, 1, 1, 0, 0x44, 0x20, 7, 4, 0x43, 0x57, 1, 2, 3, 0x80, 13, 0x78));
	CHIP(B(0xD4, 0x00, 6), B(0xD5, 0x01, 0));
	CHIP(B(0xD4, 0x40, 0x41, 0x80, 0xEC), B(0xD5, 0x41, 0));
	CHIP(B(0xD4, 0x40, 0x01, 0, 0, 2, 7, 8, 0), B(0xD5, 0x41, 0, 7, 8, 0x90, 0));
	CHIP(B(0xD4, 0x40, 0x01, 0x80, 0xED, 2, 0, 0, 0, 0), B(0xD5, 0x41, 0x40, 0, 1, 2, 3));
	CHIP(B(0xD4, 0x40, 0x01), B(0xD5, 0x41, 0x40, 0xFC));
	CHIP(B(0xD4, 0x40, 0x01), B(0xD5, 0x41, 0x00, 0xF9));
	tag_free(tag);
	tag = NULL;
	CHIP(B(0xD4, 0x00, 6), B(0xD5, 0x01, 1));
	CHIP(B(0xD4, 0x40, 0x01, 0x80), B(0xD5, 0x41, 1));
}
END_TEST

START_TEST(chip_type_b)
{
	use("tag-b");
	CHIP(B(0xD4, 0x4A, 1, 0), B(0xD5, 0x4B, 0));
	CHIP(B(0xD4, 0x4A, 1, 3, 0), B(0xD5, 0x4B, 1, 1, 0x50, 0x43, 0x57, 0x0B, 0x01, 0x11));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vreader_tag");
	TCase *tc = tcase_create("tag");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, names);
	tcase_add_test(tc, atrs);
	tcase_add_test(tc, classic);
	tcase_add_test(tc, ultralight);
	tcase_add_test(tc, commands_pass);
	tcase_add_test(tc, chip_lists);
	tcase_add_test(tc, chip_exchanges_in_parts);
	tcase_add_test(tc, chip_type_b);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
