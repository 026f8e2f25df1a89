/* SPDX-License-Identifier: BSD-3-Clause */
/* T=1 where blocks are lost or wrong: repetition, RESYNCH, ABORT, given up (ISO 7816-3 §11.6.3). */
#include "t1_play.h"

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

/* A protocol that was never started sends nothing. */
START_TEST(not_started)
{
	memset(&t1, 0, sizeof t1);
	check_failed(begin("01 02", 256), T1_DEAD);
	check_failed(t1_no_answer(&t1), T1_DEAD);
	init(32);
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

int main(void)
{
	TCase *tests = tcase_create("t1_errors");

	tcase_add_test(tests, retransmission);
	tcase_add_test(tests, unusable_blocks);
	tcase_add_test(tests, resynch);
	tcase_add_test(tests, not_started);
	tcase_add_test(tests, resynch_in_all_is_bounded);
	tcase_add_test(tests, lost_response);
	tcase_add_test(tests, ifsc_after_resynch);
	tcase_add_test(tests, aborts);
	tcase_add_test(tests, endless_response);
	tcase_add_test(tests, given_up_exchange);
	tcase_add_test(tests, withdrawn);
	tcase_add_test(tests, withdrawn_too_late);
	return run_case("t1_errors", tests);
}
