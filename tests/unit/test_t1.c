/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * T=1: scenarios by the rules of ISO 7816-3 §11.6, then random exchanges with a card model whose
 * line loses, damages and invents bytes: never a wrong answer taken for a good one, always an end.
 */
#include "iso7816/t1.h"
#include "iso7816_hex.h"

#include <string.h>

static struct t1 t1;
static uint8_t response[1024];

static void init(uint8_t ifsc)
{
	struct t1_config config = { .ifsc = ifsc, .edc = EDC_LRC };

	t1_init(&t1, &config);
	memset(response, 0xEE, sizeof response);
}

static struct t1_step begin(const char *command, size_t max)
{
	static uint8_t bytes[256];

	return t1_begin(&t1, bytes, hex(command, bytes, sizeof bytes), response, max);
}

/*
 * LINES: the block that must be sent, and what comes back, in turn, both without EDC. Instead of a
 * block "mute", "parity", or "=" before bytes that are given as they are. Returns the step after.
 */
static struct t1_step play(struct t1_step step, const char *const *lines)
{
	for (; *lines; lines += 2) {
		uint8_t sent[300];
		uint8_t back[600];
		size_t n = hex(lines[0], sent, sizeof sent);

		edc_append(t1.config.edc, sent, n);
		n += edc_size(t1.config.edc);
		ck_assert_msg(step.action == T1_SEND, "nothing sent, due: %s", lines[0]);
		ck_assert_uint_eq(step.len, n);
		ck_assert_mem_eq(step.block, sent, n);
		if (strcmp(lines[1], "mute") == 0) {
			step = t1_no_answer(&t1);
		} else if (strcmp(lines[1], "parity") == 0) {
			step = t1_parity_error(&t1);
		} else if (lines[1][0] == '=') {
			n = hex(lines[1] + 1, back, sizeof back);
			step = t1_block_received(&t1, back, n);
		} else {
			n = hex(lines[1], back, sizeof back);
			edc_append(t1.config.edc, back, n);
			step = t1_block_received(&t1, back, n + edc_size(t1.config.edc));
		}
	}
	return step;
}

#define PLAY(step, ...) play(step, (const char *const[]){ __VA_ARGS__, NULL })

static void check_done(struct t1_step step, const char *text)
{
	uint8_t expected[512];
	size_t n = hex(text, expected, sizeof expected);

	ck_assert_int_eq(step.action, T1_DONE);
	ck_assert_uint_eq(step.rsp_len, n);
	ck_assert_mem_eq(response, expected, n);
}

static void check_failed(struct t1_step step, enum t1_error error)
{
	ck_assert_int_eq(step.action, T1_FAILED);
	ck_assert_int_eq(step.error, error);
}

START_TEST(edc_vectors)
{
	const uint8_t *digits = (const uint8_t *)"123456789";
	uint8_t block[] = { 0x00, 0xC1, 0x01, 0xFE, 0, 0 };

	ck_assert_uint_eq(edc_lrc(digits, 9), 0x31);
	ck_assert_uint_eq(edc_lrc(digits, 0), 0);
	/* The published check value of this CRC (init FFFF, reflected, no final exclusive-or). */
	ck_assert_uint_eq(edc_crc(digits, 9), 0x6F91);
	edc_append(EDC_LRC, block, 4);
	ck_assert_uint_eq(block[4], 0x3E);
	ck_assert(edc_ok(EDC_LRC, block, 5));
	edc_append(EDC_CRC, block, 4);
	ck_assert(edc_ok(EDC_CRC, block, 6));
	block[1] ^= 4;
	ck_assert(!edc_ok(EDC_CRC, block, 6));
	ck_assert(!edc_ok(EDC_CRC, block, 1));
	ck_assert(!edc_ok(EDC_LRC, block, 0));
}
END_TEST

/* Annex A: no chaining, sequence numbers alternate over exchanges. */
START_TEST(plain)
{
	init(32);
	check_done(PLAY(begin("A0 A1", 256), "00 00 02 A0 A1", "00 00 02 90 00"), "90 00");
	check_done(PLAY(begin("A2", 256), "00 40 01 A2", "00 40 02 6A 82"), "6A 82");
	check_done(PLAY(begin("A3", 256), "00 00 01 A3", "00 00 00"), "");
	ck_assert_uint_eq(t1.counts.sent, 3);
	ck_assert_uint_eq(t1.counts.repeats, 0);
}
END_TEST

START_TEST(command_chain)
{
	init(2);
	check_done(PLAY(begin("01 02 03 04 05", 256), "00 20 02 01 02", "00 90 00",
			   "00 60 02 03 04", "00 80 00", "00 00 01 05", "00 00 02 90 00"),
		"90 00");
	check_done(PLAY(begin("06", 256), "00 40 01 06", "00 40 02 90 00"), "90 00");
	/* A multiple of IFSC: no empty block at the end. */
	check_done(PLAY(begin("01 02 03 04", 256), "00 20 02 01 02", "00 90 00", "00 40 02 03 04",
			   "00 00 02 90 00"),
		"90 00");
}
END_TEST

START_TEST(response_chain)
{
	init(32);
	check_done(PLAY(begin("01", 256), "00 00 01 01", "00 20 02 11 12", "00 90 00",
			   "00 60 02 13 14", "00 80 00", "00 00 02 90 00"),
		"11 12 13 14 90 00");
	check_done(PLAY(begin("02", 256), "00 40 01 02", "00 40 02 90 00"), "90 00");
}
END_TEST

START_TEST(wtx)
{
	init(32);
	struct t1_step step = PLAY(begin("01", 256), "00 00 01 01", "00 C3 01 05");
	ck_assert_uint_eq(step.wtx, 5);
	ck_assert_int_eq(step.reason, T1_WHY_WTX);
	step = PLAY(step, "00 E3 01 05", "mute");
	/* Rule 7.3: an R-block, and the extension is over. */
	ck_assert_uint_eq(step.wtx, 1);
	step = PLAY(step, "00 82 00", "00 C3 01 00");
	ck_assert_uint_eq(step.wtx, 1);
	check_done(PLAY(step, "00 E3 01 00", "00 00 02 90 00"), "90 00");
	ck_assert_uint_eq(t1.counts.wtx, 2);
}
END_TEST

START_TEST(ifs_of_the_card)
{
	init(2);
	check_done(PLAY(begin("01 02 03 04 05 06", 256), "00 20 02 01 02", "00 C1 01 03",
			   "00 E1 01 03", "00 90 00", "00 60 03 03 04 05", "00 80 00",
			   "00 00 01 06", "00 00 02 90 00"),
		"90 00");
	/* It shrinks before the card asks for the same block again. */
	check_done(PLAY(begin("01 02 03", 256), "00 40 03 01 02 03", "00 C1 01 01", "00 E1 01 01",
			   "00 92 00", "00 60 01 01", "00 80 00", "00 20 01 02", "00 90 00",
			   "00 40 01 03", "00 40 02 90 00"),
		"90 00");
	/* 0 and 255 are reserved. */
	check_done(PLAY(begin("01", 256), "00 00 01 01", "00 C1 01 00", "00 82 00", "00 C1 01 FF",
			   "00 82 00", "00 00 02 90 00"),
		"90 00");
}
END_TEST

START_TEST(ifsd)
{
	init(32);
	struct t1_step step = PLAY(t1_ifsd_request(&t1, 254), "00 C1 01 FE", "00 E1 01 FE");
	ck_assert_int_eq(step.action, T1_DONE);
	ck_assert_uint_eq(t1.ifsd, 254);
	check_done(PLAY(begin("01", 256), "00 00 01 01", "00 00 02 90 00"), "90 00");

	/* Rule 7.3: the request again; a wrong value is no answer. */
	init(32);
	step = PLAY(t1_ifsd_request(&t1, 254), "00 C1 01 FE", "00 E1 01 20", "00 C1 01 FE", "mute",
		"00 C1 01 FE", "00 E1 01 FE");
	ck_assert_int_eq(step.action, T1_DONE);

	init(32);
	step = PLAY(t1_ifsd_request(&t1, 254), "00 C1 01 FE", "00 82 00", "00 C1 01 FE", "mute",
		"00 C1 01 FE", "parity");
	check_failed(step, T1_IFSD_REFUSED);
	ck_assert_uint_eq(t1.ifsd, 32);
	/* Usable: a late answer cannot spoil the first exchange, which starts with RESYNCH. */
	check_done(PLAY(begin("01", 256), "00 C0 00", "00 E1 01 FE", "00 C0 00", "00 E0 00",
			   "00 00 01 01", "00 00 02 90 00"),
		"90 00");
	init(32);
	check_failed(t1_ifsd_request(&t1, 0), T1_IFSD_REFUSED);
	check_failed(t1_ifsd_request(&t1, 255), T1_IFSD_REFUSED);
	check_done(PLAY(begin("01", 256), "00 00 01 01", "00 00 02 90 00"), "90 00");
}
END_TEST

/* Rules 7.1 and 7.2, the errors named in the R-block. */
START_TEST(retransmission)
{
	init(32);
	check_done(PLAY(begin("01", 256), "00 00 01 01", "=00 00 02 90 00 93", "00 81 00", "parity",
			   "00 81 00", "00 00 02 90 00"),
		"90 00");
	check_done(PLAY(begin("02", 256), "00 40 01 02", "parity", "00 91 00", "00 40 02 90 00"),
		"90 00");
	/* The card did not get our I-block, and asks for it. */
	check_done(
		PLAY(begin("03", 256), "00 00 01 03", "00 81 00", "00 00 01 03", "00 00 02 90 00"),
		"90 00");
	/* It has it, but not our R-block. */
	check_done(PLAY(begin("04", 256), "00 40 01 04", "mute", "00 92 00", "00 81 00", "00 92 00",
			   "00 40 02 90 00"),
		"90 00");
	/* An acknowledgement is lost both ways. */
	init(1);
	check_done(PLAY(begin("01 02", 256), "00 20 01 01", "mute", "00 82 00", "00 90 00",
			   "00 40 01 02", "00 20 01 11", "00 90 00", "00 20 01 11", "00 90 00",
			   "00 40 01 12"),
		"11 12");
}
END_TEST

static void check_other_error(const char *line)
{
	init(32);
	check_done(
		PLAY(begin("01", 256), "00 00 01 01", line, "00 82 00", "00 00 02 90 00"), "90 00");
}

START_TEST(unusable_blocks)
{
	check_other_error("=");
	check_other_error("=00");
	check_other_error("=00 00 00");
	check_other_error("=00 00 02 90 00 92 00"); /* a byte too many */
	check_other_error("=00 00 FF 00 00 00 00"); /* LEN FF */
	check_other_error("22 00 02 90 00");        /* NAD */
	check_other_error("00 40 02 90 00");        /* N(S) */
	check_other_error("00 01 02 90 00");        /* reserved bit of an I-block */
	check_other_error("00 80 01 00");           /* R-block with INF */
	check_other_error("00 A0 00");              /* R-block, bit 6 */
	check_other_error("00 83 00");              /* R-block, unknown error */
	check_other_error("00 90 00");              /* acknowledges the last block: nothing left */
	check_other_error("00 C3 00");              /* WTX without a number */
	check_other_error("00 C1 02 10 10");        /* IFS with two */
	check_other_error("00 C2 01 00");           /* ABORT with INF */
	check_other_error("00 E3 01 01");           /* responses without request */
	check_other_error("00 E1 01 20");
	check_other_error("00 E0 00");
	check_other_error("00 C4 00"); /* Vpp error, and unknown */
	check_other_error("00 FF 00");
}
END_TEST

/* Rules 6 and 7.4.2: after three attempts RESYNCH, then the command from its start. */
START_TEST(resynch)
{
	init(2);
	check_done(
		PLAY(begin("01 02 03", 256), "00 20 02 01 02", "00 90 00", "00 40 01 03", "mute",
			"00 82 00", "mute", "00 82 00", "mute", "00 C0 00", "mute", "00 C0 00",
			"00 E0 00", "00 20 02 01 02", "00 90 00", "00 40 01 03", "00 00 02 90 00"),
		"90 00");
	ck_assert_uint_eq(t1.counts.resynchs, 2);
	/* Three requests in all, then the card is given up for good. */
	struct t1_step step = PLAY(begin("01", 256), "00 00 01 01", "mute", "00 92 00", "mute",
		"00 92 00", "mute", "00 C0 00", "00 E0 01 00", "00 C0 00", "00 00 02 90 00",
		"00 C0 00", "mute");
	check_failed(step, T1_DEAD);
	check_failed(begin("01", 256), T1_DEAD);
	check_failed(t1_block_received(&t1, NULL, 0), T1_DEAD);
	check_failed(t1_ifsd_request(&t1, 254), T1_DEAD);
	init(2);
	check_done(PLAY(begin("01", 256), "00 00 01 01", "00 00 02 90 00"), "90 00");
}
END_TEST

START_TEST(resynch_in_all_is_bounded)
{
	init(32);
	/* Each RESYNCH is answered, nothing else ever. */
	struct t1_step step = begin("01", 256);
	for (int i = 0; i < T1_RESYNCHS; i++)
		step = PLAY(step, "00 00 01 01", "mute", "00 82 00", "mute", "00 82 00", "mute",
			"00 C0 00", "00 E0 00");
	step = PLAY(step, "00 00 01 01", "mute", "00 82 00", "mute", "00 82 00", "mute");
	check_failed(step, T1_DEAD);
	/* S(RESYNCH request) of the card: never allowed, and it does not go on for ever. */
	init(32);
	step = PLAY(begin("01", 256), "00 00 01 01", "00 C0 00", "00 C0 00", "00 C0 00", "00 C0 00",
		"00 C0 00", "00 C0 00", "00 C0 00");
	check_failed(step, T1_DEAD);
}
END_TEST

/* Once the response has begun the command has been executed: it is not sent again. */
START_TEST(lost_response)
{
	init(32);
	struct t1_step step = PLAY(begin("01", 256), "00 00 01 01", "00 20 01 11", "00 90 00",
		"mute", "00 90 00", "mute", "00 90 00", "mute", "00 C0 00", "00 E0 00");
	check_failed(step, T1_LOST);
	check_done(PLAY(begin("02", 256), "00 00 01 02", "00 00 02 90 00"), "90 00");
}
END_TEST

/* An IFSC that the card raised is not relied on after RESYNCH. */
START_TEST(ifsc_after_resynch)
{
	init(1);
	check_done(PLAY(begin("01 02", 256), "00 20 01 01", "00 C1 01 04", "00 E1 01 04", "mute",
			   "00 82 00", "mute", "00 82 00", "mute", "00 C0 00", "00 E0 00",
			   "00 20 01 01", "00 90 00", "00 40 01 02", "00 00 02 90 00"),
		"90 00");
}
END_TEST

/* Rule 9. */
START_TEST(aborts)
{
	/* The card gives up a command it cannot store, and hands back the right to send. */
	init(1);
	struct t1_step step =
		PLAY(begin("01 02 03", 256), "00 20 01 01", "00 C2 00", "00 E2 00", "00 90 00");
	check_failed(step, T1_ABORTED);
	check_done(PLAY(begin("04", 256), "00 40 01 04", "00 00 02 90 00"), "90 00");
	/* Its R-block tells whether it counted the block that it would not take. */
	init(1);
	step = PLAY(begin("01 02", 256), "00 20 01 01", "00 C2 00", "00 E2 00", "00 80 00");
	check_failed(step, T1_ABORTED);
	check_done(PLAY(begin("04", 256), "00 00 01 04", "00 00 02 90 00"), "90 00");
	/* It gives up its own response and says why in a new block. */
	init(32);
	check_done(PLAY(begin("01", 256), "00 00 01 01", "00 20 01 11", "00 90 00", "00 C2 00",
			   "00 E2 00", "00 40 02 6F 00"),
		"6F 00");
	/* It gives up for ever. */
	init(32);
	step = begin("01", 256);
	step = PLAY(step, "00 00 01 01", "00 C2 00");
	for (int i = 1; i < T1_S_REQUESTS; i++)
		step = PLAY(step, "00 E2 00", "00 C2 00");
	step = PLAY(step, "00 E2 00", "00 C2 00", "00 82 00", "00 C2 00", "00 82 00", "00 C2 00",
		"00 C0 00", "00 E0 00");
	check_failed(step, T1_ABORTED);
}
END_TEST

/* A card that knows enough from the first part of a chain may answer at once. */
START_TEST(early_answer)
{
	init(1);
	check_done(PLAY(begin("01 02 03", 256), "00 20 01 01", "00 00 02 67 00"), "67 00");
	check_done(PLAY(begin("04", 256), "00 40 01 04", "00 40 02 90 00"), "90 00");
}
END_TEST

START_TEST(nad_and_crc)
{
	struct t1_config config = { .ifsc = 32, .edc = EDC_CRC, .nad = 0x12 };

	t1_init(&t1, &config);
	check_done(PLAY(begin("01", 256), "12 00 01 01", "12 00 02 90 00", "12 82 00",
			   "21 00 02 90 00"),
		"90 00");
	check_done(PLAY(begin("01", 256), "12 40 01 01", "=21 40 02 90 00 00 00", "12 91 00",
			   "21 40 02 90 00"),
		"90 00");
}
END_TEST

START_TEST(short_buffer)
{
	init(32);
	struct t1_step step = PLAY(begin("01", 3), "00 00 01 01", "00 20 02 11 12", "00 90 00",
		"00 60 02 13 14", "00 80 00", "00 00 02 90 00");
	ck_assert_int_eq(step.action, T1_TOO_LONG);
	ck_assert_uint_eq(step.rsp_len, 6);
	ck_assert_mem_eq(response, "\x11\x12\x13\xEE", 4);
	check_done(PLAY(begin("02", 2), "00 40 01 02", "00 40 02 90 00"), "90 00");
	step = PLAY(begin("03", 0), "00 00 01 03", "00 00 02 90 00");
	ck_assert_int_eq(step.action, T1_TOO_LONG);
}
END_TEST

START_TEST(endless_response)
{
	uint8_t block[T1_MAX_BLOCK] = { 0, 0x20, 254 };
	unsigned blocks = 0;

	init(32);
	struct t1_step step = begin("01", sizeof response);
	while (step.action == T1_SEND) {
		edc_append(EDC_LRC, block, 257);
		step = t1_block_received(&t1, block, 258);
		block[1] ^= 0x40;
		ck_assert_uint_lt(++blocks, 300);
	}
	check_failed(step, T1_RUNAWAY);
	check_failed(begin("01", 256), T1_DEAD);
	/* Empty blocks with the M bit. */
	init(32);
	step = PLAY(begin("01", 256), "00 00 01 01", "00 20 00", "00 90 00", "00 60 00", "00 80 00",
		"00 20 00", "00 C0 00", "00 E0 00");
	check_failed(step, T1_LOST);
}
END_TEST

START_TEST(given_up_exchange)
{
	init(32);
	(void)begin("01", 256);
	/* The caller's deadline passes; the late answer of the first command is not the second's. */
	check_done(PLAY(begin("02", 256), "00 C0 00", "00 00 02 61 05", "00 C0 00", "00 E0 00",
			   "00 00 01 02", "00 00 02 90 00"),
		"90 00");
}
END_TEST

/* A command that was never sent leaves no trace, whatever went before. */
START_TEST(withdrawn)
{
	struct t1_step step;

	init(32);
	(void)begin("01", 256);
	t1_withdraw(&t1);
	check_done(PLAY(begin("02", 256), "00 00 01 02", "00 00 02 90 00"), "90 00");
	(void)begin("03", 256);
	t1_withdraw(&t1);
	check_done(PLAY(begin("04", 256), "00 40 01 04", "00 40 02 90 00"), "90 00");
	/* After a RESYNCH, too. */
	(void)begin("05", 256);
	step = PLAY(begin("06", 256), "00 C0 00", "00 E0 00");
	ck_assert_int_eq(step.action, T1_SEND);
	t1_withdraw(&t1);
	check_done(PLAY(begin("07", 256), "00 00 01 07", "00 00 02 90 00"), "90 00");
}
END_TEST

/* A command that the card has a part of, or has asked for again, can't be withdrawn. */
START_TEST(withdrawn_too_late)
{
	init(1);
	(void)PLAY(begin("01 02", 256), "00 20 01 01", "00 90 00");
	t1_withdraw(&t1);
	(void)PLAY(begin("03", 256), "00 C0 00", "00 E0 00", "00 00 01 03", "mute");
	t1_withdraw(&t1);
	check_done(PLAY(begin("04", 256), "00 C0 00", "00 E0 00", "00 00 01 04", "00 00 02 90 00"),
		"90 00");
}
END_TEST

START_TEST(small_reader)
{
	struct t1_config config = { .ifsc = 254, .edc = EDC_LRC, .max_block = 6 };

	t1_init(&t1, &config);
	check_done(PLAY(begin("01 02 03", 256), "00 20 02 01 02", "00 90 00", "00 40 01 03",
			   "00 00 02 90 00"),
		"90 00");
	config.ifsc = 255;
	config.max_block = 0;
	t1_init(&t1, &config);
	ck_assert_uint_eq(t1.ifsc, 254);
	config.ifsc = 0;
	t1_init(&t1, &config);
	ck_assert_uint_eq(t1.ifsc, 32);
}
END_TEST

START_TEST(missing_bytes)
{
	uint8_t block[] = { 0, 0, 5, 1 };

	init(32);
	ck_assert_uint_eq(t1_missing(&t1, block, 0), 3);
	ck_assert_uint_eq(t1_missing(&t1, block, 2), 1);
	ck_assert_uint_eq(t1_missing(&t1, block, 3), 6);
	ck_assert_uint_eq(t1_missing(&t1, block, 4), 5);
	ck_assert_uint_eq(t1_missing(&t1, block, 9), 0);
	block[2] = 255;
	ck_assert_uint_eq(t1_missing(&t1, block, 3), 0);
	t1.config.edc = EDC_CRC;
	block[2] = 254;
	ck_assert_uint_eq(t1_missing(&t1, block, 3), 256);
}
END_TEST

/* The block buffer may hold a PIN; nothing of it stays. */
START_TEST(wiped)
{
	static const uint8_t zeros[sizeof t1.block];

	init(32);
	check_done(
		PLAY(begin("31 32 33 34", 256), "00 00 04 31 32 33 34", "00 00 02 90 00"), "90 00");
	ck_assert_mem_eq(t1.block, zeros, sizeof zeros);
	ck_assert_ptr_null(t1.cmd);
	for (int e = T1_NO_ERROR; e <= T1_IFSD_REFUSED + 1; e++)
		ck_assert_uint_gt(strlen(t1_strerror((enum t1_error)e)), 0);
}
END_TEST

/*
 * The card model. A command is 8 bytes of name and length, then filler: the response is made from
 * the name alone, so that each exchange has its own right answer.
 */
#define MAX_COMMAND 700
#define MAX_ANSWER  900

struct card {
	enum edc edc;
	unsigned ifsc; /* what it takes in an INF */
	unsigned ifsd; /* what it sends in one */
	uint8_t ns;    /* N(S) of its current or next I-block */
	uint8_t nr;    /* N(S) it expects */
	uint8_t cmd[MAX_COMMAND * 2];
	size_t cmd_len;
	uint8_t rsp[MAX_ANSWER];
	size_t rsp_len;
	size_t at; /* start of the current I-block in rsp */
	size_t part;
	bool answering;
	uint8_t last[T1_MAX_BLOCK]; /* last block sent */
	size_t last_len;
	uint8_t owed; /* PCB of the S-request whose response is due, 0 if none */
	uint8_t owed_value;
	unsigned executed; /* commands, since the test looked */
	unsigned aborted;
	unsigned requests; /* for IFS and ABORT in this exchange: the host takes T1_S_REQUESTS */
	bool playful;      /* makes requests of its own */
	uint64_t *seed;
};

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The right answer to a command. */
static size_t answer(const uint8_t *cmd, size_t len, uint8_t *out)
{
	uint64_t name = ((uint64_t)be32(cmd) << 32 | be32(cmd + 4)) ^ len;
	size_t n = be32(cmd + 4) % (MAX_ANSWER - 2);

	for (size_t i = 0; i < len; i++)
		name = name * 31 + cmd[i];
	name |= 1;
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)draw(&name);
	out[n] = 0x90;
	out[n + 1] = 0x00;
	return n + 2;
}

static void card_send(struct card *c, uint8_t pcb, const uint8_t *inf, size_t n)
{
	c->last[0] = 0;
	c->last[1] = pcb;
	c->last[2] = (uint8_t)n;
	memcpy(c->last + 3, inf, n);
	edc_append(c->edc, c->last, 3 + n);
	c->last_len = 3 + n + edc_size(c->edc);
}

static void card_send_r(struct card *c, unsigned error)
{
	card_send(c, (uint8_t)(0x80U | (unsigned)c->nr << 4 | error), c->last, 0);
}

static void card_send_i(struct card *c)
{
	size_t rest = c->rsp_len - c->at;

	c->part = rest < c->ifsd ? rest : c->ifsd;
	card_send(c, (uint8_t)(c->ns << 6 | (c->part < rest ? 0x20 : 0)), c->rsp + c->at, c->part);
}

static void card_request(struct card *c, uint8_t pcb, uint8_t value)
{
	c->owed = pcb;
	c->owed_value = value;
	card_send(c, pcb, &value, pcb == 0xC2 ? 0 : 1);
}

/* Continue after a request of its own has been answered, or at once. */
static void card_go_on(struct card *c)
{
	bool may_ask = c->playful && c->requests < T1_S_REQUESTS;

	if (c->playful && chance(c->seed, 10)) {
		card_request(c, 0xC3, (uint8_t)(1 + draw(c->seed) % 255));
	} else if (may_ask && chance(c->seed, 3)) {
		c->requests++;
		c->ifsc = 1 + draw(c->seed) % 254;
		card_request(c, 0xC1, (uint8_t)c->ifsc);
	} else if (may_ask && chance(c->seed, 1)) {
		c->requests++;
		c->aborted++;
		c->answering = false;
		c->cmd_len = 0;
		card_request(c, 0xC2, 0);
	} else if (c->answering) {
		card_send_i(c);
	} else {
		card_send_r(c, 0);
	}
}

static void card_take_i(struct card *c, uint8_t pcb, const uint8_t *inf, size_t n)
{
	if ((pcb >> 6 & 1) != c->nr || n > c->ifsc) {
		card_send_r(c, 2);
		return;
	}
	if (c->answering) { /* its last block has been acknowledged by this one */
		ALWAYS(c->at + c->part == c->rsp_len);
		c->answering = false;
		c->ns ^= 1;
	}
	c->owed = 0;
	c->nr ^= 1;
	ALWAYS(c->cmd_len + n <= sizeof c->cmd);
	memcpy(c->cmd + c->cmd_len, inf, n);
	c->cmd_len += n;
	if (!(pcb & 0x20)) {
		c->rsp_len = answer(c->cmd, c->cmd_len, c->rsp);
		c->cmd_len = 0;
		c->at = 0;
		c->executed++;
		c->answering = true;
	}
	card_go_on(c);
}

static void card_take_r(struct card *c, uint8_t pcb)
{
	uint8_t wanted = pcb >> 4 & 1;

	if (c->owed)
		return; /* its request again */
	if (c->answering && wanted == c->ns) {
		card_send_i(c);
	} else if (c->answering && c->at + c->part < c->rsp_len) {
		c->ns ^= 1;
		c->at += c->part;
		card_go_on(c);
	} else {
		card_send_r(c, 0); /* it has nothing to say, and waits for an I-block */
	}
}

static void card_take_s(struct card *c, uint8_t pcb, const uint8_t *inf, size_t n)
{
	if (pcb == 0xC0) {
		c->ns = c->nr = 0;
		c->cmd_len = 0;
		c->answering = false;
		c->owed = 0;
		card_send(c, 0xE0, c->last, 0);
	} else if (pcb == 0xC1) {
		c->ifsd = inf[0];
		card_send(c, 0xE1, inf, 1);
	} else if (c->owed && pcb == (c->owed | 0x20) && n == (c->owed == 0xC2 ? 0U : 1U) &&
		   (n == 0 || inf[0] == c->owed_value)) {
		bool abort = c->owed == 0xC2;
		c->owed = 0;
		if (abort)
			card_send_r(c, 0);
		else
			card_go_on(c);
	}
	/* Otherwise: not the response it waits for, its request again. */
}

/* What the card does with the bytes that reached it; its answer is in c->last. */
static void card_take(struct card *c, const uint8_t *bytes, size_t n)
{
	size_t edc = edc_size(c->edc);

	if (n < 3 + edc || n != 3 + bytes[2] + edc || !edc_ok(c->edc, bytes, n)) {
		/* Rules 7.1 to 7.3: R-block, or its last R-block or request again. */
		if (!c->owed && (c->last_len == 0 || (c->last[1] & 0xC0) != 0x80))
			card_send_r(c, 1);
	} else if (!(bytes[1] & 0x80)) {
		card_take_i(c, bytes[1], bytes + 3, bytes[2]);
	} else if ((bytes[1] & 0xC0) == 0x80) {
		card_take_r(c, bytes[1]);
	} else {
		card_take_s(c, bytes[1], bytes + 3, bytes[2]);
	}
}

/* One way over the line. Damage that an LRC must notice: one byte changed, cut short, or noise. */
static size_t over_the_line(uint64_t *seed, unsigned percent, uint8_t *bytes, size_t n)
{
	if (!chance(seed, percent))
		return n;
	switch (draw(seed) % 4) {
	case 0:
		bytes[draw(seed) % n] ^= (uint8_t)(1 + draw(seed) % 255);
		return n;
	case 1:
		return n - 1 - draw(seed) % n;
	case 2:
		bytes[n] = (uint8_t)draw(seed);
		return n + 1;
	default:
		return 0;
	}
}

struct tally {
	unsigned long good;
	unsigned long dead;
	unsigned long lost;
	unsigned long aborted;
	unsigned long too_long;
	unsigned long resent;
};

/* Host and card until the exchange ends. PERCENT of the blocks are damaged, each way. */
static struct t1_step converse(
	struct t1_step step, struct t1 *host, struct card *c, uint64_t *seed, unsigned percent)
{
	unsigned blocks = 0;

	while (step.action == T1_SEND) {
		uint8_t line[T1_MAX_BLOCK + 1];
		/* Bounded by the length of the messages, but for requests of the card. */
		ALWAYS(++blocks < 40000);
		memcpy(line, step.block, step.len);
		size_t n = over_the_line(seed, percent, line, step.len);
		if (n == 0) { /* the card heard nothing */
			step = t1_no_answer(host);
			continue;
		}
		card_take(c, line, n);
		memcpy(line, c->last, c->last_len);
		n = over_the_line(seed, percent, line, c->last_len);
		if (n == 0)
			step = t1_no_answer(host);
		else if (chance(seed, percent / 4))
			step = t1_parity_error(host);
		else
			step = t1_block_received(host, line, n);
	}
	return step;
}

static void start(struct t1 *host, struct card *c, uint64_t *seed, bool playful)
{
	struct t1_config config = {
		.ifsc = (uint8_t)(1 + draw(seed) % 254),
		.edc = chance(seed, 30) ? EDC_CRC : EDC_LRC,
		.max_block = chance(seed, 20) ? 10 + draw(seed) % 100 : 0,
	};

	memset(c, 0, sizeof *c);
	c->edc = config.edc;
	c->ifsc = config.ifsc;
	c->ifsd = 32;
	c->playful = playful;
	c->seed = seed;
	t1_init(host, &config);
}

static void check_result(struct t1_step step, const struct card *c, const uint8_t *cmd, size_t len,
	const uint8_t *rsp, size_t max, struct tally *tally)
{
	uint8_t right[MAX_ANSWER];
	size_t n = answer(cmd, len, right);

	if (step.action == T1_DONE || step.action == T1_TOO_LONG) {
		ALWAYS(step.rsp_len == n);
		ck_assert_int_eq(step.action == T1_TOO_LONG, n > max);
		ck_assert_mem_eq(rsp, right, n < max ? n : max);
		ALWAYS(c->executed >= 1);
		tally->good++;
		tally->too_long += step.action == T1_TOO_LONG;
		tally->resent += c->executed > 1;
	} else {
		ALWAYS(step.error == T1_DEAD || step.error == T1_LOST || step.error == T1_ABORTED);
		tally->dead += step.error == T1_DEAD;
		tally->lost += step.error == T1_LOST;
		tally->aborted += step.error == T1_ABORTED;
		if (step.error == T1_LOST)
			ALWAYS(c->executed >= 1);
		if (step.error == T1_ABORTED)
			ALWAYS(c->aborted >= 1);
	}
}

static struct tally random_exchanges(
	uint64_t seed, unsigned long count, unsigned percent, bool playful)
{
	struct tally tally = { 0 };
	struct t1 host;
	struct card card;
	bool alive = false;

	for (unsigned long i = 0; i < count; i++) {
		uint8_t cmd[MAX_COMMAND];
		uint8_t rsp[MAX_ANSWER + 1];
		size_t len = 8 + (chance(&seed, 20) ? draw(&seed) % (MAX_COMMAND - 8)
						    : draw(&seed) % 30);
		size_t max = chance(&seed, 10) ? draw(&seed) % MAX_ANSWER : MAX_ANSWER;

		if (!alive || chance(&seed, 1)) {
			start(&host, &card, &seed, playful);
			(void)converse(t1_ifsd_request(&host, (uint8_t)(1 + draw(&seed) % 254)),
				&host, &card, &seed, percent);
		}
		for (size_t j = 0; j < len; j++)
			cmd[j] = (uint8_t)draw(&seed);
		if (chance(&seed, 80)) /* a short answer */
			memset(cmd + 4, 0, 3);
		rsp[max] = 0xA5;
		card.executed = 0;
		card.aborted = 0;
		card.requests = 0;
		struct t1_step step =
			converse(t1_begin(&host, cmd, len, rsp, max), &host, &card, &seed, percent);
		ALWAYS(rsp[max] == 0xA5);
		check_result(step, &card, cmd, len, rsp, max, &tally);
		alive = !(step.action == T1_FAILED && step.error == T1_DEAD);
	}
	return tally;
}

START_TEST(random_without_errors)
{
	unsigned long count = exchanges(100000) / 5;
	struct tally t = random_exchanges(0x11, count, 0, false);

	ck_assert_uint_eq(t.good, count);
	ck_assert_uint_eq(t.resent, 0);
}
END_TEST

START_TEST(random_with_requests)
{
	unsigned long count = exchanges(100000) / 5;
	struct tally t = random_exchanges(0x22, count, 0, true);

	ck_assert_uint_eq(t.good + t.aborted, count);
	ck_assert_uint_gt(t.aborted, 0);
	ck_assert_uint_eq(t.resent, 0);
}
END_TEST

START_TEST(random_with_errors)
{
	static const unsigned percents[] = { 1, 5, 20, 50 };
	unsigned long count = exchanges(100000) / 8;

	for (unsigned i = 0; i < 8; i++) {
		unsigned percent = percents[i % 4];
		struct tally t = random_exchanges(0x33 + i, count, percent, i >= 4);
		/* The test would prove little if most exchanges failed, or none met an error. */
		if (percent <= 5)
			ck_assert_uint_gt(t.good, count / 10 * 9);
		if (percent >= 20)
			ck_assert_uint_gt(t.resent + t.dead, 0);
		ck_assert_uint_gt(t.good, 0);
	}
}
END_TEST

/* A card that sends correct blocks of any kind in any order: an end, within the buffer. */
START_TEST(hostile_card)
{
	static const uint8_t pcbs[] = { 0x00, 0x20, 0x40, 0x60, 0x80, 0x90, 0x81, 0x92, 0xC0, 0xC1,
		0xC2, 0xC3, 0xE0, 0xE1, 0xE2, 0xE3, 0x01, 0xA0, 0xC4, 0xFF };
	uint64_t seed = 0xBAD;
	unsigned long count = exchanges(100000) / 5;
	uint8_t cmd[300] = { 0 };
	uint8_t rsp[65];

	for (unsigned long i = 0; i < count; i++) {
		struct t1_config config = { .ifsc = (uint8_t)draw(&seed), .edc = draw(&seed) % 2 };
		unsigned blocks = 0;
		unsigned kinds = 1 + draw(&seed) % sizeof pcbs; /* some kinds only, more of them */

		t1_init(&t1, &config);
		rsp[64] = 0xA5;
		struct t1_step step = t1_begin(&t1, cmd, draw(&seed) % sizeof cmd, rsp, 64);
		while (step.action == T1_SEND) {
			uint8_t block[T1_MAX_BLOCK + 4] = { 0 };
			size_t n = draw(&seed) % 3 == 0 ? draw(&seed) % 255 : draw(&seed) % 3;
			block[1] = pcbs[draw(&seed) % kinds];
			block[2] = (uint8_t)n;
			block[3] = (uint8_t)draw(&seed);
			edc_append(config.edc, block, 3 + n);
			step = t1_block_received(&t1, block, 3 + n + edc_size(config.edc));
			/* WTX is the caller's to bound; blocks of one byte make 65 538 rounds. */
			if (t1.counts.wtx > 1000)
				break;
			ALWAYS(++blocks < 300000);
		}
		ALWAYS(rsp[64] == 0xA5);
	}
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("t1");

	tcase_set_timeout(tests, 250);
	tcase_add_test(tests, edc_vectors);
	tcase_add_test(tests, plain);
	tcase_add_test(tests, command_chain);
	tcase_add_test(tests, response_chain);
	tcase_add_test(tests, wtx);
	tcase_add_test(tests, ifs_of_the_card);
	tcase_add_test(tests, ifsd);
	tcase_add_test(tests, retransmission);
	tcase_add_test(tests, unusable_blocks);
	tcase_add_test(tests, resynch);
	tcase_add_test(tests, resynch_in_all_is_bounded);
	tcase_add_test(tests, lost_response);
	tcase_add_test(tests, ifsc_after_resynch);
	tcase_add_test(tests, aborts);
	tcase_add_test(tests, early_answer);
	tcase_add_test(tests, nad_and_crc);
	tcase_add_test(tests, short_buffer);
	tcase_add_test(tests, endless_response);
	tcase_add_test(tests, given_up_exchange);
	tcase_add_test(tests, withdrawn);
	tcase_add_test(tests, withdrawn_too_late);
	tcase_add_test(tests, small_reader);
	tcase_add_test(tests, missing_bytes);
	tcase_add_test(tests, wiped);
	tcase_add_test(tests, random_without_errors);
	tcase_add_test(tests, random_with_requests);
	tcase_add_test(tests, random_with_errors);
	tcase_add_test(tests, hostile_card);
	return run_case("t1", tests);
}
