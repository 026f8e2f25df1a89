/* SPDX-License-Identifier: BSD-3-Clause */
/* CCID messages against the layouts of CCID 1.1 §6. */
#include <string.h>

#include "suite.h"
#include "ifd-ccid/device/ccid_msg.h"

START_TEST(header_is_laid_out)
{
	static const uint8_t expected[] = { 0x6F, 0x04, 0x03, 0, 0, 2, 0x7F, 5, 0x10, 0x00 };
	struct ccid_command command = {
		.type = PC_to_RDR_XfrBlock, .specific = { 5, 0x10, 0x00 }, .len = 0x304
	};
	uint8_t out[CCID_MSG_HEADER_SIZE];

	ccid_put_header(out, &command, 2, 0x7F);
	ck_assert_mem_eq(out, expected, sizeof(expected));
}
END_TEST

START_TEST(answer_is_read)
{
	static const uint8_t bytes[] = { 0x80, 2, 0, 0, 0, 1, 9, 0x40, 0xFE, 0x03, 0x90, 0x00 };
	struct ccid_answer answer;

	ck_assert_int_eq(ccid_get_answer(bytes, 12, 271, &answer), CCID_COMPLETE);
	ck_assert_uint_eq(answer.type, RDR_to_PC_DataBlock);
	ck_assert_uint_eq(answer.slot, 1);
	ck_assert_uint_eq(answer.seq, 9);
	ck_assert_uint_eq(ccid_command_status(&answer), CCID_COMMAND_FAILED);
	ck_assert_uint_eq(ccid_icc(&answer), CCID_ICC_ACTIVE);
	ck_assert_uint_eq(answer.bError, CCID_ERROR_ICC_MUTE);
	ck_assert_uint_eq(answer.specific, CCID_CHAIN_CONTINUE);
	ck_assert_uint_eq(answer.len, 2);
	ck_assert_ptr_eq(answer.data, bytes + 10);
}
END_TEST

START_TEST(lengths_are_checked)
{
	uint8_t bytes[64] = { 0x80, 10 };
	struct ccid_answer answer;

	for (size_t n = 0; n < 10; n++)
		ck_assert_int_eq(ccid_get_answer(bytes, n, 271, &answer), CCID_TOO_SHORT);
	for (size_t n = 10; n < 20; n++)
		ck_assert_int_eq(ccid_get_answer(bytes, n, 271, &answer), CCID_INCOMPLETE);
	ck_assert_int_eq(ccid_get_answer(bytes, 20, 271, &answer), CCID_COMPLETE);
	ck_assert_int_eq(ccid_get_answer(bytes, 20, 20, &answer), CCID_COMPLETE);
	ck_assert_int_eq(ccid_get_answer(bytes, 21, 271, &answer), CCID_TRAILING);
	ck_assert_int_eq(ccid_get_answer(bytes, 20, 19, &answer), CCID_TOO_LONG);
	memset(bytes + 1, 0xFF, 4);
	ck_assert_int_eq(ccid_get_answer(bytes, 20, 271, &answer), CCID_TOO_LONG);
	ck_assert_ptr_null(answer.data);
}
END_TEST

START_TEST(answers_match_commands)
{
	struct ccid_answer answer = { .type = RDR_to_PC_DataBlock };

	ck_assert(ccid_answers(PC_to_RDR_XfrBlock, &answer));
	ck_assert(ccid_answers(PC_to_RDR_IccPowerOn, &answer));
	ck_assert(!ccid_answers(PC_to_RDR_GetSlotStatus, &answer));
	ck_assert(!ccid_answers(0x42, &answer));
	answer.type = RDR_to_PC_SlotStatus;
	ck_assert(!ccid_answers(PC_to_RDR_XfrBlock, &answer));
	answer.bStatus = CCID_COMMAND_FAILED;
	ck_assert(ccid_answers(PC_to_RDR_XfrBlock, &answer));
	answer.type = 0x50;
	ck_assert(!ccid_answers(PC_to_RDR_XfrBlock, &answer));
}
END_TEST

START_TEST(notices_are_walked)
{
	static const uint8_t bytes[] = { 0x50, 0x0B, 0x02, 0x51, 3, 7, 1, 0x50, 0x01 };
	struct ccid_notice notice;
	size_t at = 0;

	ck_assert(ccid_next_notice(bytes, sizeof(bytes), 5, &at, &notice));
	ck_assert_uint_eq(notice.type, RDR_to_PC_NotifySlotChange);
	ck_assert_uint_eq(ccid_notice_state(&notice, 0), 3);
	ck_assert_uint_eq(ccid_notice_state(&notice, 1), 2);
	ck_assert_uint_eq(ccid_notice_state(&notice, 4), 2);
	ck_assert_uint_eq(ccid_notice_state(&notice, 8), 0);
	ck_assert(ccid_next_notice(bytes, sizeof(bytes), 5, &at, &notice));
	ck_assert_uint_eq(notice.type, RDR_to_PC_HardwareError);
	ck_assert_uint_eq(notice.slot, 3);
	ck_assert_uint_eq(notice.code, CCID_HWERROR_OVERCURRENT);
	/* Cut short: the part that is there counts. */
	ck_assert(ccid_next_notice(bytes, sizeof(bytes), 5, &at, &notice));
	ck_assert_uint_eq(ccid_notice_state(&notice, 0), 1);
	ck_assert_uint_eq(ccid_notice_state(&notice, 4), 0);
	ck_assert(!ccid_next_notice(bytes, sizeof(bytes), 5, &at, &notice));
	ck_assert_uint_eq(at, sizeof(bytes));
}
END_TEST

START_TEST(unknown_notices_end_the_walk)
{
	static const uint8_t bytes[] = { 0x99, 1, 2, 3, 0x51, 1 };
	struct ccid_notice notice;
	size_t at = 0;

	ck_assert(!ccid_next_notice(bytes, sizeof(bytes), 1, &at, &notice));
	at = 4;
	ck_assert(!ccid_next_notice(bytes, sizeof(bytes), 1, &at, &notice));
	at = 0;
	ck_assert(!ccid_next_notice(bytes, 0, 1, &at, &notice));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ccid_msg");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, header_is_laid_out);
	tcase_add_test(tc, answer_is_read);
	tcase_add_test(tc, lengths_are_checked);
	tcase_add_test(tc, answers_match_commands);
	tcase_add_test(tc, notices_are_walked);
	tcase_add_test(tc, unknown_notices_end_the_walk);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
