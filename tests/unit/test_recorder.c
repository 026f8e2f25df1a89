/* SPDX-License-Identifier: BSD-3-Clause */
/* The flight recorder: what it keeps, and that no PIN is in it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"
#include "ifd-ccid/bytes.h"
#include "ifd-ccid/device/ccid_msg.h"
#include "ifd-ccid/recorder/recorder.h"
#include "iso7816/edc.h"
#include "iso7816/secret.h"
#include "iso7816/t1.h"

enum {
	PINS = 100000,
	BATCH = 20,
	PIN_LEN = 12, /* digits: in no form is one found by chance */
	FORMS = 5,
	FORM_MAX = 64,
};

static char text[RECORDER_TEXT_MIN];

/* The lines from *position on, with a NUL. */
static enum recorder_found read_lines(const char *device, uint64_t *position)
{
	size_t length = sizeof(text) - 1;
	enum recorder_found found = recorder_read(device, position, 0, text, &length);

	text[length] = '\0';
	return found;
}

static void add_note(struct recorder *r, uint64_t value)
{
	recorder_call(r, 0, RECORDING_PROTOCOL, value, NULL, 0, false);
}

START_TEST(ring)
{
	struct recorder *r = recorder_new("ring", 4096);
	uint64_t position = 0;
	unsigned long long dropped;
	char *line;

	recorder_call(r, 7, RECORDING_OPEN, 0, (const uint8_t *)"\x12", 1, false);
	recorder_opened(r);
	for (uint64_t i = 0; i < 1000; i++)
		add_note(r, i);
	ck_assert_int_eq(read_lines("ring", &position), RECORDER_LIVE);
	/* The opening stays, then the gap, then the latest. */
	ck_assert_ptr_nonnull(strstr(text, "call 7 open 0 12\n"));
	line = strstr(text, "dropped ");
	ck_assert_ptr_nonnull(line);
	ck_assert_int_eq(sscanf(line, "dropped %llu", &dropped), 1);
	ck_assert_uint_gt(dropped, 900);
	ck_assert_uint_eq(position, 1002);
	ck_assert_ptr_nonnull(strstr(text, "protocol 3E7 -\n"));
	ck_assert_ptr_null(strstr(text, "protocol 1 -\n"));
	/* Nothing new; then one. */
	ck_assert_int_eq(read_lines("ring", &position), RECORDER_LIVE);
	ck_assert_str_eq(text, "");
	add_note(r, 0xABC);
	read_lines("ring", &position);
	ck_assert_ptr_nonnull(strstr(text, "protocol ABC -\n"));
	recorder_gone(r);
	position = 0;
	ck_assert_int_eq(read_lines("ring", &position), RECORDER_GONE);
	ck_assert_ptr_nonnull(strstr(text, "protocol ABC -\n"));
}
END_TEST

START_TEST(too_long)
{
	static const uint8_t zeros[RECORDING_DATA_MAX + 1];
	struct recorder *r = recorder_new("long", 4096);
	struct recorder *big = recorder_new("big", 1 << 20);
	uint64_t position = 0;

	recorder_opened(r);
	recorder_call(r, 0, RECORDING_TRANSMIT, 1, zeros, 4096, false);
	read_lines("long", &position);
	ck_assert_ptr_nonnull(strstr(text, "call 0 transmit 1 -+4096\n"));
	recorder_gone(r);
	/* Longer than those who read it have room for, though the ring has. */
	recorder_opened(big);
	recorder_call(big, 0, RECORDING_TRANSMIT, 1, zeros, sizeof(zeros), false);
	recorder_call(big, 0, RECORDING_TRANSMIT, 2, zeros, RECORDING_DATA_MAX, false);
	position = 0;
	read_lines("big", &position);
	ck_assert_ptr_nonnull(strstr(text, "call 0 transmit 1 -+66049\n"));
	ck_assert_ptr_nonnull(strstr(text, "call 0 transmit 2 0000"));
	recorder_gone(big);
}
END_TEST

START_TEST(gone_ones)
{
	char name[16];
	size_t length = sizeof(text) - 1;

	for (int i = 0; i < 10; i++) {
		struct recorder *r;

		snprintf(name, sizeof(name), "gone%d", i);
		r = recorder_new(name, 4096);
		add_note(r, 1);
		recorder_gone(r);
	}
	recorder_list(text, &length);
	text[length] = '\0';
	ck_assert_ptr_nonnull(strstr(text, "gone gone9\n"));
	ck_assert_ptr_nonnull(strstr(text, "gone gone6\n"));
	ck_assert_ptr_null(strstr(text, "gone gone5\n"));
}
END_TEST

START_TEST(tried_again)
{
	struct recorder *r = recorder_new("back", 4096);
	uint64_t position = 0;

	add_note(r, 0xABC);
	recorder_gone(r);
	/* It is not there, again and again: what it did is still known. */
	for (int i = 0; i < 10; i++) {
		r = recorder_new("back", 4096);
		position = 0;
		ck_assert_int_eq(read_lines("back", &position), RECORDER_GONE);
		ck_assert_ptr_nonnull(strstr(text, "protocol ABC -\n"));
		recorder_gone(r);
	}
	position = 0;
	ck_assert_int_eq(read_lines("back", &position), RECORDER_GONE);
	ck_assert_ptr_nonnull(strstr(text, "protocol ABC -\n"));
	/* Then it is there. */
	r = recorder_new("back", 4096);
	add_note(r, 0xDEF);
	position = 0;
	ck_assert_int_eq(read_lines("back", &position), RECORDER_LIVE);
	ck_assert_ptr_nonnull(strstr(text, "protocol DEF -\n"));
	recorder_gone(r);
}
END_TEST

START_TEST(live)
{
	struct recorder *r = recorder_new("live", 4096);
	uint64_t position = UINT64_MAX;

	recorder_call(r, 7, RECORDING_OPEN, 0, NULL, 0, false);
	recorder_opened(r);
	add_note(r, 1);
	add_note(r, 2);
	read_lines("live", &position);
	ck_assert_ptr_nonnull(strstr(text, "open"));
	ck_assert_ptr_nonnull(strstr(text, "dropped 2\n"));
	ck_assert_ptr_null(strstr(text, "protocol"));
	add_note(r, 3);
	read_lines("live", &position);
	ck_assert_ptr_nonnull(strstr(text, "protocol 3 -\n"));
	recorder_gone(r);
}
END_TEST

START_TEST(questions)
{
	struct recorder *r = recorder_new("ask", 4096);
	uint64_t position = 0;

	recorder_opened(r);
	/* The first answer is news, the second is not; one that led to an exchange is told. */
	for (int i = 0; i < 3; i++) {
		recorder_call(r, 0, RECORDING_PRESENCE, 0, NULL, 0, false);
		if (i == 2)
			add_note(r, 5);
		recorder_return(r, 0, RECORDING_PRESENCE, 615, NULL, 0, false);
		read_lines("ask", &position);
		if (i == 1)
			ck_assert_str_eq(text, "");
		else
			ck_assert_ptr_nonnull(strstr(text, "call 0 presence 0 -\n"));
	}
	recorder_gone(r);
}
END_TEST

START_TEST(edc_is_replaced)
{
	/* VERIFY in a block: the LRC would tell the sum of the PIN. */
	static const uint8_t message[] = { PC_to_RDR_XfrBlock, 13, 0, 0, 0, 0, 7, 0, 0, 0, /**/ 0,
		0x40, 9, /**/ 0, 0x20, 0, 1, 4, '1', '2', '3', '4',
		/**/ 0x68 };
	struct mask_secrecy secrecy = { .shape = MASK_T1 };
	struct recorder *r = recorder_new("edc", 4096);
	uint64_t position = 0;

	ck_assert(edc_ok(EDC_LRC, message + 10, sizeof(message) - 10));
	recorder_opened(r);
	recorder_bulk(r, 2, PORT_OK, message, 0, sizeof(message), &secrecy);
	read_lines("edc", &position);
	ck_assert_ptr_nonnull(strstr(text, "6F0D00000000070000000040090020000104*********6C\n"));
	recorder_gone(r);
}
END_TEST

START_TEST(pace)
{
	/* A password for PACE: from where it begins, or, where a length is wrong, all. */
	static const struct {
		enum mask_shape shape;
		uint8_t last;
		const char *shown;
	} cases[] = {
		{ MASK_NOTHING, 0, "6909000000000700000020030003**********\n" },
		{ MASK_APDU, 0, "6909000000000700000020030003**********\n" },
		{ MASK_APDU, 1, "69090000000007000000******************\n" },
	};
	uint8_t message[] = { PC_to_RDR_Secure, 9, 0, 0, 0, 0, 7, 0, 0, 0, /**/ 0x20, 3, 0, 3, '1',
		'2', '3', 0, cases[_i].last };
	struct mask_secrecy secrecy = { .shape = cases[_i].shape };
	struct recorder *r = recorder_new("pace", 4096);
	uint64_t position = 0;

	recorder_opened(r);
	recorder_bulk(r, 2, PORT_OK, message, 0, sizeof(message), &secrecy);
	read_lines("pace", &position);
	ck_assert_msg(strstr(text, cases[_i].shown) != NULL, "%s", text);
	recorder_gone(r);
}
END_TEST

START_TEST(answers)
{
	static const struct {
		enum mask_shape shape;
		const char *bytes;
		size_t len;
		const char *shown;
	} cases[] = {
		{ MASK_NOTHING, "\x80\x04\0\0\0\0\0\0\0\0\x11\x22\x90\0", 14, "000011229000\n" },
		{ MASK_APDU, "\x80\x04\0\0\0\0\0\0\0\0\x11\x22\x90\0", 14, "0000****9000\n" },
		/* more is to come: SW1 SW2 are not here */
		{ MASK_APDU, "\x80\x04\0\0\0\0\0\0\0\x01\x11\x22\x33\x44", 14, "0001********\n" },
		{ MASK_T0, "\x80\x04\0\0\0\0\0\0\0\0\x11\x22\x90\0", 14, "0000****9000\n" },
		{ MASK_T0, "\x80\x01\0\0\0\0\0\0\0\0\x20", 11, "000020\n" },
		{ MASK_T1, "\x80\x08\0\0\0\0\0\0\0\0\0\0\x04\x11\x22\x90\0\xA7", 18,
			"0000000004****9000*94\n" },
		{ MASK_T1, "\x80\x06\0\0\0\0\0\0\0\0\0\0\x02\x90\0\x92", 16,
			"000000000290"
			"0092\n" },
		{ MASK_T1, "\x80\x04\0\0\0\0\0\0\0\0\0\x80\0\x80", 14, "000000800080\n" },
	};
	struct mask_secrecy secrecy = { .shape = cases[_i].shape };
	struct recorder *r = recorder_new("answers", 4096);
	uint64_t position = 0;

	recorder_opened(r);
	recorder_bulk(
		r, 0x81, PORT_OK, (const uint8_t *)cases[_i].bytes, 0, cases[_i].len, &secrecy);
	read_lines("answers", &position);
	ck_assert_msg(strstr(text, cases[_i].shown) != NULL, "%d: %s", _i, text);
	recorder_gone(r);
}
END_TEST
#define ANSWERS 8

/* Secrets. */

static char forms[BATCH][FORMS][FORM_MAX];
static size_t form_len[BATCH][FORMS];

static void put_base64(char *out, const uint8_t *in, size_t len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i + 2 < len; i += 3) {
		uint32_t bits = (uint32_t)in[i] << 16 | (uint32_t)in[i + 1] << 8 | in[i + 2];

		for (int shift = 18; shift >= 0; shift -= 6)
			*out++ = digits[bits >> shift & 63];
	}
	*out = '\0';
}

static void put_hex(char *out, const uint8_t *in, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sprintf(out + 2 * i, "%02X", in[i]);
}

/* A PIN, and how it would look. Returns its length as the card gets it. */
static size_t make_pin(unsigned n, uint8_t pin[PIN_LEN])
{
	uint8_t digits[PIN_LEN];
	uint8_t bcd[PIN_LEN / 2];

	for (int i = 0; i < PIN_LEN; i++)
		digits[i] = (uint8_t)('0' + random() % 10);
	for (int i = 0; i < PIN_LEN / 2; i++)
		bcd[i] = (uint8_t)((digits[2 * i] - '0') << 4 | (digits[2 * i + 1] - '0'));
	memcpy(forms[n][0], digits, PIN_LEN);
	memcpy(forms[n][1], bcd, sizeof(bcd));
	put_hex(forms[n][2], digits, PIN_LEN);
	put_hex(forms[n][3], bcd, sizeof(bcd));
	put_base64(forms[n][4], digits, PIN_LEN);
	form_len[n][0] = PIN_LEN;
	form_len[n][1] = sizeof(bcd);
	for (int f = 2; f < FORMS; f++)
		form_len[n][f] = strlen(forms[n][f]);
	if (random() % 2) {
		memcpy(pin, bcd, sizeof(bcd));
		return sizeof(bcd);
	}
	memcpy(pin, digits, PIN_LEN);
	return PIN_LEN;
}

/* VERIFY, CHANGE REFERENCE DATA, RESET RETRY COUNTER (UNBLOCK), ENABLE, LOAD KEYS, …; chained or
 * not, short or extended, with what may stand around the PIN. */
static size_t make_apdu(uint8_t *apdu, const uint8_t *pin, size_t len)
{
	static const uint8_t ins[] = { 0x20, 0x21, 0x24, 0x2C, 0x28, 0x26, 0x82, 0xDA, 0x2D };
	static const uint8_t cla[] = { 0x00, 0x10, 0x01, 0x80, 0x0C, 0xFF };
	size_t before = (size_t)(random() % 9);
	size_t after = (size_t)(random() % 9);
	size_t at = 4;

	apdu[0] = cla[random() % (long)sizeof(cla)];
	apdu[1] = apdu[0] == 0xFF ? 0x82 : ins[random() % (long)sizeof(ins)];
	apdu[2] = (uint8_t)random();
	apdu[3] = (uint8_t)random();
	if (random() % 3 == 0) {
		apdu[at++] = 0;
		apdu[at++] = 0;
	}
	apdu[at++] = (uint8_t)(before + len + after);
	memset(apdu + at, 0x2C, before);
	memcpy(apdu + at + before, pin, len);
	memset(apdu + at + before + len, 0xFF, after);
	at += before + len + after;
	if (random() % 2)
		apdu[at++] = 0;
	return at;
}

/* Sends bytes to the reader as the driver would. */
static void send(struct recorder *r, uint8_t type, const uint8_t *data, size_t len,
	struct mask_secrecy *secrecy)
{
	struct ccid_command command = { .type = type, .data = data, .len = len };
	uint8_t message[400];

	ccid_put_header(message, &command, 0, (uint8_t)random());
	memcpy(message + CCID_MSG_abData, data, len);
	recorder_bulk(r, 2, PORT_OK, message, 0, CCID_MSG_HEADER_SIZE + len, secrecy);
}

static void send_parts(struct recorder *r, const uint8_t *apdu, size_t len)
{
	struct mask_secrecy secrecy = { .shape = MASK_APDU };

	for (size_t at = 0; at < len; at += 11)
		send(r, PC_to_RDR_XfrBlock, apdu + at, len - at < 11 ? len - at : 11, &secrecy);
}

static void send_tpdu(struct recorder *r, const uint8_t *apdu, size_t len)
{
	struct mask_secrecy secrecy = { .shape = MASK_T0 };
	uint8_t envelope[300] = { 0, 0xC2, 0, 0, (uint8_t)len };

	if (apdu[4]) {
		send(r, PC_to_RDR_XfrBlock, apdu, len, &secrecy);
		return;
	}
	memcpy(envelope + 5, apdu, len);
	send(r, PC_to_RDR_XfrBlock, envelope, 5 + len, &secrecy);
}

static void send_characters(struct recorder *r, const uint8_t *apdu, size_t len)
{
	struct mask_secrecy secrecy = { .shape = MASK_T0_CHARACTERS };

	send(r, PC_to_RDR_XfrBlock, apdu, 5, &secrecy);
	send(r, PC_to_RDR_XfrBlock, apdu + 5, len - 5, &secrecy);
}

static void send_blocks(struct recorder *r, const uint8_t *apdu, size_t len)
{
	struct mask_secrecy secrecy = { .shape = random() % 2 ? MASK_T1 : MASK_T1_CHARACTERS };
	enum edc edc = random() % 2 ? EDC_LRC : EDC_CRC;
	size_t ifsc = (size_t)(8 + random() % 60);

	for (size_t at = 0; at < len; at += ifsc) {
		size_t n = len - at < ifsc ? len - at : ifsc;
		uint8_t block[T1_MAX_BLOCK] = { 0, at + n < len ? 0x20 : 0, (uint8_t)n };

		memcpy(block + T1_PROLOGUE, apdu + at, n);
		edc_append(edc, block, T1_PROLOGUE + n);
		send(r, PC_to_RDR_XfrBlock, block, T1_PROLOGUE + n + edc_size(edc), &secrecy);
	}
}

static void send_escape(struct recorder *r, const uint8_t *apdu, size_t len)
{
	struct mask_secrecy secrecy = { .shape = MASK_NOTHING };
	uint8_t frame[320] = { 0xD4, 0x40, 0x01 };

	memcpy(frame + 3, apdu, len);
	send(r, PC_to_RDR_Escape, frame, 3 + len, &secrecy);
}

/* PIN entry on the reader: the host may have put the old PIN into the command. */
static void send_secure(struct recorder *r, const uint8_t *apdu, size_t len)
{
	struct mask_secrecy secrecy = { .shape = MASK_NOTHING };
	uint8_t frame[320] = { 0, 0, 0x82, 0x08, 0, 4, 8, 2, 1, 9, 4, 0, 0, 0, 0 };

	memcpy(frame + 15, apdu, len);
	send(r, random() % 2 ? PC_to_RDR_Secure : PC_to_RDR_Secure_KEYBOARD, frame, 15 + len,
		&secrecy);
}

static void send_iccd(struct recorder *r, const uint8_t *apdu, size_t len)
{
	struct mask_secrecy secrecy = { .shape = random() % 2 ? MASK_APDU : MASK_T0_CHARACTERS };
	static const uint8_t setup[8] = { 0x21, 0x65 };
	size_t first = secrecy.shape == MASK_APDU ? 16 : 5;

	recorder_control(r, setup, PORT_OK, apdu, first, &secrecy);
	recorder_control(r, setup, PORT_OK, apdu + first, len - first, &secrecy);
}

static void (*const ways[])(struct recorder *r, const uint8_t *apdu, size_t len) = { send_parts,
	send_tpdu, send_characters, send_blocks, send_escape, send_secure, send_iccd };

START_TEST(no_pin)
{
	struct recorder *r = recorder_new("pins", 256 << 10);
	uint64_t position = 0;

	recorder_opened(r);
	srandom(20);
	for (unsigned n = 0; n < PINS; n++) {
		uint8_t pin[PIN_LEN], apdu[300];
		size_t pin_len = make_pin(n % BATCH, pin);
		size_t len = make_apdu(apdu, pin, pin_len);

		ck_assert(secret_command(apdu, len));
		recorder_call(r, 0, RECORDING_TRANSMIT, 1, apdu, len, true);
		ways[random() % (long)(sizeof(ways) / sizeof(ways[0]))](r, apdu, len);
		recorder_return(r, 0, RECORDING_TRANSMIT, 0, pin, pin_len, true);
		if (n % BATCH != BATCH - 1)
			continue;
		read_lines("pins", &position);
		ck_assert_ptr_nonnull(strstr(text, "transmit"));
		for (unsigned i = 0; i < BATCH; i++)
			for (unsigned f = 0; f < FORMS; f++)
				ck_assert_msg(memmem(text, strlen(text), forms[i][f],
						      form_len[i][f]) == NULL,
					"%s in:\n%s", forms[i][2], text);
	}
	recorder_gone(r);
}
END_TEST

/* The search finds what is not masked. */
START_TEST(pins_would_be_found)
{
	struct recorder *r = recorder_new("found", 4096);
	uint64_t position = 0;
	uint8_t pin[PIN_LEN];
	size_t len = make_pin(0, pin);

	recorder_opened(r);
	recorder_call(r, 0, RECORDING_TRANSMIT, 1, pin, len, false);
	read_lines("found", &position);
	ck_assert(strstr(text, forms[0][2]) || strstr(text, forms[0][3]));
	recorder_gone(r);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("recorder");
	TCase *tcase = tcase_create("ring");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, ring);
	tcase_add_test(tcase, too_long);
	tcase_add_test(tcase, gone_ones);
	tcase_add_test(tcase, tried_again);
	tcase_add_test(tcase, live);
	tcase_add_test(tcase, questions);
	tcase_add_test(tcase, edc_is_replaced);
	tcase_add_loop_test(tcase, pace, 0, 3);
	tcase_add_loop_test(tcase, answers, 0, ANSWERS);
	tcase_add_test(tcase, no_pin);
	tcase_add_test(tcase, pins_would_be_found);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
