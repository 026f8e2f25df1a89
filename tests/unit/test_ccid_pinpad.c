/* SPDX-License-Identifier: BSD-3-Clause */
/* PC/SC part 10 structures turned into the data of PC_to_RDR_Secure, byte by byte. */
#include <string.h>

#include "suite.h"
#include "ifd-ccid/pinpad/pinpad.h"
#include "spec/ccid.h"

/* 30 s, position 1 byte, left, BCD, length of 4 bits at bit 4, a block of 7 bytes, 4 to 12 digits,
 * max size or key, message 1 in English: the PIN block of EMV book 3 (format 2). */
static const uint8_t verify[] = { 30, 15, 0x89, 0x47, 0x04, 12, 4, 0x03, 1, 0x09, 0x04, 0, 0xA1,
	0xA2, 0xA3, 13, 0, 0, 0, 0x00, 0x20, 0x00, 0x80, 0x08, 0x20, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
	0xFF, 0xFF };

/* The same for both PINs of a change, asked for and confirmed. */
static const uint8_t modify[] = { 30, 15, 0x89, 0x47, 0x04, 0, 8, 12, 4, 0x03, 0x02, 3, 0x09, 0x04,
	0, 1, 2, 0xA1, 0xA2, 0xA3, 21, 0, 0, 0, 0x00, 0x24, 0x00, 0x80, 0x10, 0x20, 0xFF, 0xFF,
	0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x20, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF };

static const uint8_t prologue[3] = { 0x00, 0x40, 0x0D };
static const struct quirk_set none;
static struct pinpad_entry entry;
static uint8_t out[256];

static size_t build(bool change, const struct quirk_set *quirks, uint8_t known)
{
	const char *wrong = change ? pinpad_parse(true, modify, sizeof(modify), false, &entry)
				   : pinpad_parse(false, verify, sizeof(verify), false, &entry);

	ck_assert_msg(!wrong, "%s", wrong);
	return pinpad_build(&entry, quirks, known, prologue, out, sizeof(out));
}

START_TEST(test_verify)
{
	static const uint8_t expected[] = { 0x00, 30, 0x89, 0x47, 0x04, 12, 4, 0x03, 1, 0x09, 0x04,
		0, 0x00, 0x40, 0x0D, 0x00, 0x20, 0x00, 0x80, 0x08, 0x20, 0xFF, 0xFF, 0xFF, 0xFF,
		0xFF, 0xFF, 0xFF };

	ck_assert_uint_eq(build(false, &none, 0), sizeof(expected));
	ck_assert_mem_eq(out, expected, sizeof(expected));
	ck_assert_uint_eq(pinpad_entries(&entry), 1);
	ck_assert(!pinpad_grows(&entry));
	ck_assert_uint_eq(pinpad_longest(&entry), 13);
}
END_TEST

START_TEST(test_modify)
{
	static const uint8_t expected[] = { 0x01, 30, 0x89, 0x47, 0x04, 0, 8, 12, 4, 0x03, 0x02, 3,
		0x09, 0x04, 0, 1, 2, 0x00, 0x40, 0x0D, 0x00, 0x24, 0x00, 0x80, 0x10 };

	ck_assert_uint_eq(build(true, &none, 0), sizeof(expected) + 16);
	ck_assert_mem_eq(out, expected, sizeof(expected));
	ck_assert_mem_eq(out + sizeof(expected), modify + sizeof(modify) - 16, 16);
	ck_assert_uint_eq(pinpad_entries(&entry), 3);
}
END_TEST

/* How many indexes there are is up to bNumberMessage. */
START_TEST(test_message_indexes)
{
	static const struct {
		uint8_t number;
		size_t indexes;
	} cases[] = { { 0, 1 }, { 1, 2 }, { 2, 2 }, { 3, 3 }, { 0xFF, 3 } };
	uint8_t bytes[sizeof(modify)];

	memcpy(bytes, modify, sizeof(modify));
	bytes[11] = cases[_i].number;
	ck_assert_ptr_null(pinpad_parse(true, bytes, sizeof(bytes), false, &entry));
	ck_assert_uint_eq(pinpad_build(&entry, &none, 0, prologue, out, sizeof(out)),
		14 + cases[_i].indexes + 3 + 21);
	ck_assert_mem_eq(out + 14, modify + 14, cases[_i].indexes);
	ck_assert_mem_eq(out + 14 + cases[_i].indexes, prologue, 3);
}
END_TEST

START_TEST(test_room)
{
	size_t len = build(false, &none, 0);

	ck_assert_uint_eq(pinpad_build(&entry, &none, 0, prologue, out, len), len);
	ck_assert_uint_eq(pinpad_build(&entry, &none, 0, prologue, out, len - 1), 0);
	ck_assert_uint_eq(pinpad_build(&entry, &none, 0, prologue, out, 17), 0);
	ck_assert_uint_eq(pinpad_build(&entry, &none, 0, prologue, out, 0), 0);
}
END_TEST

/* PIN without a block size: a header may be all of the command. */
START_TEST(test_growing)
{
	static const uint8_t header_only[] = { 0, 0, 0x82, 0, 0, 16, 0, 2, 0, 0, 0, 0, 0, 0, 0, 4,
		0, 0, 0, 0x00, 0x20, 0x00, 0x81 };

	ck_assert_ptr_null(pinpad_parse(false, header_only, sizeof(header_only), false, &entry));
	ck_assert(pinpad_grows(&entry));
	ck_assert_uint_eq(pinpad_longest(&entry), 4 + 1 + 16);
}
END_TEST

/* Each quirk alone, and the byte that it changes. */
START_TEST(test_quirks)
{
	struct quirk_set q = { 0 };

	q.has[QUIRK_PIN_VERIFY_MESSAGES] = true;
	q.pin_verify_messages = 0xFF;
	build(false, &q, 0);
	ck_assert_uint_eq(out[8], 0xFF);
	build(true, &q, 0);
	ck_assert_uint_eq(out[11], 3);

	q = none;
	q.has[QUIRK_PIN_MODIFY_MESSAGES] = true;
	q.pin_modify_messages = 0;
	ck_assert_uint_eq(build(true, &q, 0), 14 + 1 + 3 + 21);
	ck_assert_uint_eq(out[11], 0);
	q.pin_modify_indexes = QUIRK_PIN_INDEXES_ALL;
	ck_assert_uint_eq(build(true, &q, 0), 14 + 3 + 3 + 21);
	ck_assert_mem_eq(out + 14, "\x00\x01\x02", 3);
	q.pin_modify_indexes = QUIRK_PIN_INDEXES_ALL_ZERO;
	ck_assert_uint_eq(build(true, &q, 0), 14 + 3 + 3 + 21);
	ck_assert_mem_eq(out + 14, "\x00\x00\x00", 3);

	q = none;
	q.has[QUIRK_PIN_VALIDATION] = true;
	q.pin_validation = 2;
	build(false, &q, 5);
	ck_assert_uint_eq(out[7], 2);

	q = none;
	q.pin_swap_extra_digit = true;
	build(false, &q, 0);
	ck_assert_mem_eq(out + 5, "\x04\x0C", 2);

	q = none;
	q.pin_block_zero = true;
	build(false, &q, 0);
	ck_assert_mem_eq(out + 2, "\x89\x47\x04", 3);
	entry.bmPINBlockString = 0x40;
	pinpad_build(&entry, &q, 0, prologue, out, sizeof(out));
	ck_assert_mem_eq(out + 2, "\x89\x00\x00", 3);
}
END_TEST

START_TEST(test_quirk_for_no_message)
{
	struct quirk_set q = { 0 };
	uint8_t bytes[sizeof(modify)];

	q.has[QUIRK_PIN_MODIFY_NO_MESSAGES] = true;
	q.pin_modify_no_messages = 0xFF;
	build(true, &q, 0);
	ck_assert_uint_eq(out[11], 3);
	memcpy(bytes, modify, sizeof(modify));
	bytes[11] = 0;
	ck_assert_ptr_null(pinpad_parse(true, bytes, sizeof(bytes), false, &entry));
	pinpad_build(&entry, &q, 0, prologue, out, sizeof(out));
	ck_assert_uint_eq(out[11], 0xFF);
}
END_TEST

/* What the reader says it knows narrows what the host wants, but never to nothing. */
START_TEST(test_conditions)
{
	static const uint8_t cases[][3] = { { 7, 0, 7 }, { 7, 2, 2 }, { 3, 6, 2 }, { 1, 6, 2 },
		{ 2, 5, 5 }, { 4, 1, 1 } };

	entry.bEntryValidationCondition = cases[_i][0];
	ck_assert_uint_eq(pinpad_validation(&entry, &none, cases[_i][1]), cases[_i][2]);
}
END_TEST

/* One byte changed of a structure that is right. */
static const struct {
	bool change;
	size_t at;
	uint8_t value;
	const char *wrong;
} mistakes[] = {
	{ false, 2, 0x8B, "bmFormatString" },
	{ false, 2, 0xF9, "bmFormatString: the PIN lies behind the data" },
	{ false, 3, 0x27, "bmPINBlockString: the length field is too small" },
	{ false, 3, 0x41, "bmPINBlockString: the shortest PIN doesn't fit" },
	{ false, 4, 0x18, "bmPINLengthFormat: the length lies behind the data" },
	{ false, 4, 0x80, "bmPINLengthFormat" },
	{ false, 6, 13, "wPINMaxExtraDigit" },
	{ false, 7, 0x08, NULL },
	{ false, 8, 2, "bNumberMessage" },
	{ false, 15, 14, "ulDataLength" },
	{ false, 18, 1, "ulDataLength" },
	{ false, 23, 9, "abData is no command with data" },
	{ false, 23, 0, "abData is no command with data" },
	{ true, 5, 16, "bmPINLengthFormat: the length lies behind the data" },
	{ true, 6, 9, NULL },
	{ true, 6, 10, "bmFormatString: the PIN lies behind the data" },
	{ true, 6, 5, "bInsertionOffsetNew: old and new PIN overlap" },
	{ true, 9, 0x04, "bConfirmPIN" },
	{ true, 9, 0x00, NULL },
	{ true, 11, 4, "bNumberMessage" },
	{ true, 20, 20, "ulDataLength" },
};

START_TEST(test_mistakes)
{
	uint8_t bytes[64];
	size_t len = mistakes[_i].change ? sizeof(modify) : sizeof(verify);
	const char *wrong;

	memcpy(bytes, mistakes[_i].change ? modify : verify, len);
	bytes[mistakes[_i].at] = mistakes[_i].value;
	wrong = pinpad_parse(mistakes[_i].change, bytes, len, false, &entry);
	if (mistakes[_i].wrong)
		ck_assert_pstr_eq(wrong, mistakes[_i].wrong);
	else
		ck_assert_ptr_null(wrong);
}
END_TEST

START_TEST(test_lengths)
{
	for (size_t len = 0; len < sizeof(verify); len++)
		ck_assert_ptr_nonnull(pinpad_parse(false, verify, len, true, &entry));
	for (size_t len = 0; len < sizeof(modify); len++)
		ck_assert_ptr_nonnull(pinpad_parse(true, modify, len, true, &entry));
}
END_TEST

/* Numbers of a host of the other byte order. */
START_TEST(test_byte_order)
{
	static const size_t swaps[][2] = { { 5, 6 }, { 9, 10 }, { 15, 18 }, { 16, 17 } };
	uint8_t bytes[sizeof(verify)];
	uint8_t expected[64];
	size_t len = build(false, &none, 0);

	memcpy(expected, out, len);
	memcpy(bytes, verify, sizeof(verify));
	for (size_t i = 0; i < sizeof(swaps) / sizeof(swaps[0]); i++) {
		bytes[swaps[i][0]] = verify[swaps[i][1]];
		bytes[swaps[i][1]] = verify[swaps[i][0]];
	}
	ck_assert_ptr_null(pinpad_parse(false, bytes, sizeof(bytes), false, &entry));
	ck_assert_uint_eq(pinpad_build(&entry, &none, 0, prologue, out, sizeof(out)), len);
	ck_assert_mem_eq(out, expected, len);
}
END_TEST

START_TEST(test_extended_apdu)
{
	uint8_t bytes[19 + 7 + 300] = { 0, 0, 0x82, 0x08, 0, 8, 4, 2, 0, 0, 0, 0, 0, 0, 0, 0x33,
		0x01, 0, 0, 0x00, 0x20, 0x00, 0x81, 0x00, 0x01, 0x2C };

	ck_assert_pstr_eq(pinpad_parse(false, bytes, sizeof(bytes), false, &entry),
		"abData is an extended APDU, which the reader doesn't take");
	ck_assert_ptr_null(pinpad_parse(false, bytes, sizeof(bytes), true, &entry));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ccid_pinpad");
	TCase *tc = tcase_create("pinpad");

	tcase_add_test(tc, test_verify);
	tcase_add_test(tc, test_modify);
	tcase_add_loop_test(tc, test_message_indexes, 0, 5);
	tcase_add_test(tc, test_room);
	tcase_add_test(tc, test_growing);
	tcase_add_test(tc, test_quirks);
	tcase_add_test(tc, test_quirk_for_no_message);
	tcase_add_loop_test(tc, test_conditions, 0, 6);
	tcase_add_loop_test(tc, test_mistakes, 0, (int)(sizeof(mistakes) / sizeof(mistakes[0])));
	tcase_add_test(tc, test_lengths);
	tcase_add_test(tc, test_byte_order);
	tcase_add_test(tc, test_extended_apdu);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
