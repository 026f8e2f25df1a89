/* SPDX-License-Identifier: BSD-3-Clause */
/* The reader in the virtual device: its CCID messages at each level of exchange. */
#include "suite.h"
#include "usb_host.h"

START_TEST(test_power)
{
	struct host *h = host_builtin(_i ? "tpdu" : "extended");

	command(h, PC_to_RDR_IccPowerOn, _i ? (const uint8_t *)"\1\0\0" : NULL, NULL, 0);
	expect_status(h, 0x42, 0xFE);
	insert(h, 0, CARD_T0 | CARD_T1);
	command(h, PC_to_RDR_GetSlotStatus, NULL, NULL, 0);
	expect_status(h, 1, 0);
	ck_assert_uint_eq(h->msg[0], RDR_to_PC_SlotStatus);
	ck_assert_uint_eq(h->msg[9], CCID_CLOCK_STOPPED_LOW);
	command(h, PC_to_RDR_IccPowerOn, NULL, NULL, 0);
	if (_i)
		expect_status(h, 0x41, 7); /* the host has to choose */
	else
		expect_status(h, 0, 0);
	command(h, PC_to_RDR_IccPowerOn, (const uint8_t *)"\4\0\0", NULL, 0);
	ck_assert_uint_eq(h->msg[8], 7);
	command(h, PC_to_RDR_IccPowerOn, (const uint8_t *)"\2\0\0", NULL, 0);
	expect_status(h, 0, 0);
	ck_assert_uint_eq(h->msg[0], RDR_to_PC_DataBlock);
	ck_assert_uint_eq(h->msg[10], 0x3B);
	command(h, PC_to_RDR_IccPowerOff, NULL, NULL, 0);
	expect_status(h, 1, 0);
	command(h, PC_to_RDR_XfrBlock, NULL, "\0\0\0\0", 4);
	expect_status(h, 0x41, 0xFE);
	host_free(h);
}
END_TEST

START_TEST(test_unknown_and_unsupported)
{
	struct host *h = host_builtin("extended");

	insert(h, 0, CARD_T0);
	command(h, 0x42, NULL, NULL, 0);
	expect_status(h, 0x41, 0);
	command(h, PC_to_RDR_Escape, NULL, "\x6A", 1);
	expect_status(h, 0x41, 0);
	ck_assert_uint_eq(h->msg[0], RDR_to_PC_Escape);
	command(h, PC_to_RDR_Secure, NULL, NULL, 0);
	expect_status(h, 0x41, 0);
	command(h, PC_to_RDR_IccClock, NULL, NULL, 0);
	expect_status(h, 0x41, 0);
	command(h, PC_to_RDR_SetDataRateAndClockFrequency, NULL, "\0\0\0\0\0\0\0\0", 8);
	expect_status(h, 0x41, 0);
	send_message(h, PC_to_RDR_GetSlotStatus, 1, NULL, NULL, 0);
	ck_assert(read_message(h));
	expect_status(h, 0x42, 5);
	ck_assert_uint_eq(h->msg[5], 1);
	host_free(h);
}
END_TEST

START_TEST(test_parameters)
{
	struct host *h = host_builtin("tpdu");
	static const uint8_t t1[] = { 0x11, 0x10, 0, 0x45, 0, 254, 0 };

	insert(h, 0, CARD_T0 | CARD_T1);
	command(h, PC_to_RDR_GetParameters, NULL, NULL, 0);
	expect_status(h, 0x41, 0xFE);
	command(h, PC_to_RDR_IccPowerOn, (const uint8_t *)"\1\0\0", NULL, 0);
	command(h, PC_to_RDR_GetParameters, NULL, NULL, 0);
	ck_assert_uint_eq(h->msg[9], 0);
	ck_assert_uint_eq(h->msg_len, 10 + 5);
	ck_assert_mem_eq(h->msg + 10, "\x11\x00\x00\x0A\x00", 5);
	command(h, PC_to_RDR_SetParameters, (const uint8_t *)"\1\0\0", t1, sizeof(t1));
	expect_status(h, 0, 0);
	ck_assert_uint_eq(h->msg[9], 1);
	ck_assert_mem_eq(h->msg + 10, t1, sizeof(t1));
	command(h, PC_to_RDR_SetParameters, (const uint8_t *)"\1\0\0", t1, 5);
	expect_status(h, 0x40, 1);
	command(h, PC_to_RDR_SetParameters, (const uint8_t *)"\2\0\0", t1, 7);
	expect_status(h, 0x40, 7);
	command(h, PC_to_RDR_ResetParameters, NULL, NULL, 0);
	ck_assert_uint_eq(h->msg[9], 0);
	host_free(h);
}
END_TEST

START_TEST(test_reader_makes_pps)
{
	struct host *h = host_builtin("extended");
	static const uint8_t t1[] = { 0x95, 0x10, 0, 0x45, 0, 254, 0 };
	static const uint8_t slower[] = { 0x94, 0x10, 0, 0x45, 0, 254, 0 };
	static const uint8_t other[] = { 0x18, 0x10, 0, 0x45, 0, 254, 0 };

	insert(h, 0, CARD_T0 | CARD_T1);
	command(h, PC_to_RDR_IccPowerOn, NULL, NULL, 0);
	command(h, PC_to_RDR_SetParameters, (const uint8_t *)"\1\0\0", t1, sizeof(t1));
	expect_status(h, 0, 0);
	command(h, PC_to_RDR_SetParameters, (const uint8_t *)"\1\0\0", slower, sizeof(t1));
	expect_status(h, 0, 0);
	command(h, PC_to_RDR_SetParameters, (const uint8_t *)"\1\0\0", other, sizeof(t1));
	expect_status(h, 0x40, 0xF6);
	host_free(h);
	/* A card without T=1 cannot be talked to so. */
	h = host_builtin("extended");
	insert(h, 0, CARD_T0);
	command(h, PC_to_RDR_IccPowerOn, NULL, NULL, 0);
	command(h, PC_to_RDR_SetParameters, (const uint8_t *)"\1\0\0", t1, sizeof(t1));
	expect_status(h, 0x40, 0xF6);
	host_free(h);
}
END_TEST

START_TEST(test_speed_limit)
{
	struct host *h = host_builtin("tpdu");
	static const uint8_t fastest[] = { 0x97, 0x00, 0, 10, 0 }; /* 500 kbit/s at 4 MHz */
	static const uint8_t too_fast[] = { 0x17, 0x00, 0, 10, 0 };
	static const uint8_t rfu[] = { 0x1A, 0x00, 0, 10, 0 };

	insert(h, 0, CARD_T0);
	command(h, PC_to_RDR_IccPowerOn, (const uint8_t *)"\1\0\0", NULL, 0);
	command(h, PC_to_RDR_SetParameters, NULL, fastest, 5);
	expect_status(h, 0, 0);
	command(h, PC_to_RDR_SetParameters, NULL, too_fast, 5);
	expect_status(h, 0x40, 10);
	command(h, PC_to_RDR_SetParameters, NULL, rfu, 5);
	expect_status(h, 0x40, 10);
	host_free(h);
}
END_TEST

START_TEST(test_voltage_classes)
{
	struct host *h = host_builtin(_i ? "tpdu" : "extended");
	struct card_options o = card_options_default;

	o.classes = CCID_VOLTAGE_3V;
	ck_assert(ccid_insert(h->ccid, 0, card_new(&o, iso_card_new())));
	command(h, PC_to_RDR_IccPowerOn, (const uint8_t *)"\1\0\0", NULL, 0);
	expect_status(h, 0x41, 0xFE);
	command(h, PC_to_RDR_IccPowerOn, (const uint8_t *)"\2\0\0", NULL, 0);
	expect_status(h, 0, 0);
	command(h, PC_to_RDR_IccPowerOn, (const uint8_t *)"\3\0\0", NULL, 0);
	expect_status(h, 0x41, 0xFE);
	command(h, PC_to_RDR_IccPowerOn, NULL, NULL, 0);
	if (_i)
		expect_status(h, 0x41, 7);
	else
		expect_status(h, 0, 0);
	host_free(h);
}
END_TEST

START_TEST(test_automatic_activation_and_ifsd)
{
	struct profile p;
	struct host *h;
	static const uint8_t t1[] = { 0x11, 0x10, 0, 0x45, 0, 254, 0 };
	static const uint8_t pattern[] = { 0, 0, 5, 0x80, 0xED, 0, 0x64, 0, 0x0C };

	ck_assert(profile_builtin("tpdu", &p));
	put_le32(p.interfaces[0].ccid + CCID_DESC_dwFeatures,
		CCID_FEATURE_LEVEL_TPDU | CCID_FEATURE_AUTO_ACTIVATION | CCID_FEATURE_AUTO_IFSD |
			CCID_FEATURE_AUTO_CONF_ATR);
	h = host_new(&p);
	insert(h, 0, CARD_T1);
	command(h, PC_to_RDR_GetSlotStatus, NULL, NULL, 0);
	expect_status(h, 0, 0);
	command(h, PC_to_RDR_SetParameters, (const uint8_t *)"\1\0\0", t1, sizeof(t1));
	/* 102 bytes in one block: the reader has told the card that it takes 254. */
	command(h, PC_to_RDR_XfrBlock, NULL, pattern, sizeof(pattern));
	expect_status(h, 0, 0);
	ck_assert_uint_eq(h->msg_len, 10 + 3 + 102 + 1);
	host_free(h);
}
END_TEST

START_TEST(test_extended_chaining)
{
	struct profile p;
	struct host *h;
	uint8_t apdu[600] = { 0x80, 0xEC, 0, 0, 0, 0x02, 0x00 };

	ck_assert(profile_builtin("extended", &p));
	put_le32(p.interfaces[0].ccid + CCID_DESC_dwMaxCCIDMessageLength, 271);
	h = host_new(&p);
	insert(h, 0, CARD_T1);
	command(h, PC_to_RDR_IccPowerOn, NULL, NULL, 0);
	for (int i = 0; i < 512; i++)
		apdu[7 + i] = (uint8_t)(i * 3);
	command(h, PC_to_RDR_XfrBlock, (const uint8_t *)"\0\1\0", apdu, 261);
	expect_status(h, 0, 0);
	ck_assert_uint_eq(h->msg[9], 0x10);
	command(h, PC_to_RDR_XfrBlock, (const uint8_t *)"\0\3\0", apdu + 261, 200);
	ck_assert_uint_eq(h->msg[9], 0x10);
	command(h, PC_to_RDR_XfrBlock, (const uint8_t *)"\0\2\0", apdu + 461, 7 + 512 + 2 - 461);
	ck_assert_uint_eq(h->msg[9], 0x01);
	ck_assert_uint_eq(h->msg_len, 271);
	ck_assert_mem_eq(h->msg + 10, apdu + 7, 261);
	command(h, PC_to_RDR_XfrBlock, (const uint8_t *)"\0\x10\0", NULL, 0);
	ck_assert_uint_eq(h->msg[9], 0x02);
	ck_assert_uint_eq(h->msg_len, 10 + 514 - 261);
	ck_assert_mem_eq(h->msg + 10, apdu + 7 + 261, 251);
	/* Out of order. */
	command(h, PC_to_RDR_XfrBlock, (const uint8_t *)"\0\x10\0", NULL, 0);
	expect_status(h, 0x40, 8);
	command(h, PC_to_RDR_XfrBlock, (const uint8_t *)"\0\2\0", apdu, 4);
	expect_status(h, 0x40, 8);
	command(h, PC_to_RDR_XfrBlock, (const uint8_t *)"\0\5\0", apdu, 4);
	expect_status(h, 0x40, 8);
	host_free(h);
}
END_TEST

START_TEST(test_time_extension_and_mute)
{
	struct host *h = host_builtin("short");
	int64_t start;
	unsigned extensions = 0;

	insert(h, 0, CARD_T1);
	command(h, PC_to_RDR_IccPowerOn, NULL, NULL, 0);
	start = h->now;
	send_message(h, PC_to_RDR_XfrBlock, 0, NULL, (const uint8_t *)"\x80\xEE\x05\xDC\0", 5);
	run(h);
	ck_assert_int_eq(h->now - start, 1500 * MS);
	while (read_message(h) && h->msg[7] == 0x80) {
		ck_assert_uint_eq(h->msg[8], 1);
		ck_assert_uint_eq(h->msg[6], h->seq);
		extensions++;
	}
	ck_assert_uint_ge(extensions, 2);
	expect_status(h, 0, 0);
	start = h->now;
	send_message(h, PC_to_RDR_XfrBlock, 0, NULL, (const uint8_t *)"\x80\xEF\0\0", 4);
	ck_assert(!read_message(h));
	run(h);
	ck_assert_int_gt(h->now - start, 500 * MS);
	ck_assert(read_message(h));
	expect_status(h, 0x40, 0xFE);
	host_free(h);
}
END_TEST

START_TEST(test_busy_and_abort)
{
	struct host *h = host_builtin("short");
	uint8_t long_one[] = { 0x80, 0xEE, 0x01, 0x00, 0x00 };
	uint8_t abort_msg[10] = { PC_to_RDR_Abort };
	uint8_t seq;

	insert(h, 0, CARD_T1);
	command(h, PC_to_RDR_IccPowerOn, NULL, NULL, 0);
	send_message(h, PC_to_RDR_XfrBlock, 0, NULL, long_one, 5);
	seq = h->seq;
	command(h, PC_to_RDR_GetSlotStatus, NULL, NULL, 0);
	expect_status(h, 0x40, 0xE0);
	/* An abort needs both halves, with the same number. */
	send_message(h, PC_to_RDR_Abort, 0, NULL, NULL, 0);
	ck_assert(!read_message(h));
	ck_assert_int_eq(
		control(h, 0x21, CCID_REQ_ABORT, (uint16_t)((seq + 9) << 8), 0, NULL, 0), 0);
	command(h, PC_to_RDR_GetSlotStatus, NULL, NULL, 0);
	expect_status(h, 0x40, 0xFF);
	abort_msg[6] = (uint8_t)(seq + 9);
	free(take(h, submit(h, 0x01, abort_msg, 10)));
	ck_assert(read_message(h));
	expect_status(h, 0, 0);
	ck_assert_uint_eq(h->msg[0], RDR_to_PC_SlotStatus);
	run(h);
	ck_assert(!read_message(h));
	/* In the other order, too; but a message behind it gives up the first half. */
	send_message(h, PC_to_RDR_XfrBlock, 0, NULL, long_one, 5);
	for (int i = 0; i < 2; i++) {
		send_message(h, PC_to_RDR_Abort, 0, NULL, NULL, 0);
		seq = h->seq;
		if (i == 0) {
			command(h, PC_to_RDR_GetSlotStatus, NULL, NULL, 0);
			expect_status(h, 0x40, 0xE0);
		}
	}
	ck_assert(!read_message(h));
	ck_assert_int_eq(control(h, 0x21, CCID_REQ_ABORT, (uint16_t)(seq << 8), 0, NULL, 0), 0);
	ck_assert(read_message(h));
	ck_assert_uint_eq(h->msg[0], RDR_to_PC_SlotStatus);
	ck_assert_uint_eq(h->msg[6], seq);
	expect_status(h, 0, 0);
	command(h, PC_to_RDR_XfrBlock, NULL, "\x80\xEC\0\0", 4);
	expect_status(h, 0, 0);
	host_free(h);
}
END_TEST

/* An answer of another slot that waits for the host is none of the abort's. */
START_TEST(test_abort_of_one_slot)
{
	struct host *h = host_builtin("dual");
	uint8_t abort_msg[10] = { PC_to_RDR_Abort };
	uint8_t seq;

	send_message(h, PC_to_RDR_GetSlotStatus, 1, NULL, NULL, 0);
	send_message(h, PC_to_RDR_GetSlotStatus, 0, NULL, NULL, 0);
	seq = h->seq;
	ck_assert_int_eq(
		control(h, 0x21, CCID_REQ_ABORT, (uint16_t)((seq + 1) << 8), 0, NULL, 0), 0);
	abort_msg[6] = (uint8_t)(seq + 1);
	free(take(h, submit(h, 0x01, abort_msg, 10)));
	ck_assert(read_message(h));
	ck_assert_uint_eq(h->msg[5], 1);
	ck_assert_uint_eq(h->msg[6], seq - 1);
	ck_assert(read_message(h));
	ck_assert_uint_eq(h->msg[5], 0);
	ck_assert_uint_eq(h->msg[6], seq + 1);
	ck_assert(!read_message(h));
	host_free(h);
}
END_TEST

START_TEST(test_removal_during_command)
{
	struct host *h = host_builtin("short");

	insert(h, 0, CARD_T1);
	command(h, PC_to_RDR_IccPowerOn, NULL, NULL, 0);
	send_message(h, PC_to_RDR_XfrBlock, 0, NULL, (const uint8_t *)"\x80\xEE\x01\x00\0", 5);
	ck_assert(ccid_remove(h->ccid, 0));
	ck_assert(read_message(h));
	expect_status(h, 0x42, 0xFE);
	host_free(h);
}
END_TEST

START_TEST(test_tpdu_t0)
{
	struct host *h = host_builtin("tpdu");
	unsigned extensions = 0;

	insert(h, 0, CARD_T0);
	command(h, PC_to_RDR_IccPowerOn, (const uint8_t *)"\1\0\0", NULL, 0);
	command(h, PC_to_RDR_XfrBlock, NULL, "\x80\xEC\0\0", 4);
	ck_assert_mem_eq(h->msg + 10, "\x90\x00", 2);
	command(h, PC_to_RDR_XfrBlock, NULL, "\x80\xEC\0\0\3abc", 8);
	ck_assert_mem_eq(h->msg + 10, "\x61\x03", 2);
	command(h, PC_to_RDR_XfrBlock, NULL, "\x00\xC0\0\0\3", 5);
	ck_assert_mem_eq(h->msg + 10, "abc\x90\x00", 5);
	command(h, PC_to_RDR_XfrBlock, NULL, "\x80\xED\1\0\0", 5);
	ck_assert_uint_eq(h->msg_len, 10 + 258);
	command(h, PC_to_RDR_XfrBlock, NULL, "\x80\xEC\0\0\3ab", 7);
	expect_status(h, 0x40, 1);
	command(h, PC_to_RDR_XfrBlock, (const uint8_t *)"\0\1\0", "\x80\xEC\0\0", 4);
	expect_status(h, 0x40, 8);
	send_message(h, PC_to_RDR_XfrBlock, 0, NULL, (const uint8_t *)"\x80\xEE\x05\xDC\0", 5);
	run(h);
	while (read_message(h) && h->msg[7] == 0x80)
		extensions++;
	ck_assert_uint_eq(extensions, 2);
	ck_assert_mem_eq(h->msg + 10, "\x90\x00", 2);
	send_message(h, PC_to_RDR_XfrBlock, 0, NULL, (const uint8_t *)"\x80\xEF\0\0", 4);
	run(h);
	ck_assert(read_message(h));
	expect_status(h, 0x40, 0xFE);
	host_free(h);
}
END_TEST

START_TEST(test_tpdu_t1)
{
	struct host *h = host_builtin("tpdu");
	static const uint8_t pps[] = { 0xFF, 0x11, 0x95, 0x7B };
	static const uint8_t fast[] = { 0x95, 0x10, 0, 0x45, 0, 254, 0 };
	static const uint8_t block[] = { 0, 0, 4, 0x80, 0xEC, 0, 0, 0x68 };

	insert(h, 0, CARD_T0 | CARD_T1);
	command(h, PC_to_RDR_IccPowerOn, (const uint8_t *)"\1\0\0", NULL, 0);
	command(h, PC_to_RDR_XfrBlock, NULL, pps, 4);
	ck_assert_mem_eq(h->msg + 10, pps, 4);
	/* The reader still runs at the default speed: nothing is understood. */
	send_message(h, PC_to_RDR_XfrBlock, 0, NULL, pps, 4);
	run(h);
	ck_assert(read_message(h));
	expect_status(h, 0x40, 0xFE);
	command(h, PC_to_RDR_SetParameters, (const uint8_t *)"\1\0\0", fast, sizeof(fast));
	command(h, PC_to_RDR_XfrBlock, NULL, block, sizeof(block));
	expect_status(h, 0, 0);
	ck_assert_mem_eq(h->msg + 10, "\x00\x00\x02\x90\x00\x92", 6);
	host_free(h);
}
END_TEST

START_TEST(test_character_t0)
{
	struct host *h = host_builtin("character");

	insert(h, 0, CARD_T0);
	command(h, PC_to_RDR_IccPowerOn, (const uint8_t *)"\1\0\0", NULL, 0);
	command(h, PC_to_RDR_XfrBlock, (const uint8_t *)"\0\1\0", "\x80\xED\0\x10\x10", 5);
	ck_assert_uint_eq(h->msg_len, 11);
	ck_assert_uint_eq(h->msg[10], 0xED);
	command(h, PC_to_RDR_XfrBlock, (const uint8_t *)"\0\x12\0", NULL, 0);
	ck_assert_uint_eq(h->msg_len, 10 + 18);
	ck_assert_mem_eq(h->msg + 26, "\x90\x00", 2);
	send_message(h, PC_to_RDR_XfrBlock, 0, (const uint8_t *)"\0\1\0", NULL, 0);
	run(h);
	ck_assert(read_message(h));
	expect_status(h, 0x40, 0xFE);
	host_free(h);
}
END_TEST

START_TEST(test_taught_escapes)
{
	struct host *h = host_builtin("short");
	uint8_t first = 0;

	for (uint8_t i = 0; i < 20; i++)
		ck_assert(ccid_teach_escape(h->ccid, &first, 1, &i, 1));
	command(h, PC_to_RDR_Escape, NULL, &first, 1);
	ck_assert_uint_eq(h->msg_len, 11);
	ck_assert_uint_eq(h->msg[10], 19);
	for (first = 1; first != CCID_TAUGHT_MAX; first++)
		ck_assert(ccid_teach_escape(h->ccid, &first, 1, &first, 1));
	ck_assert(!ccid_teach_escape(h->ccid, &first, 1, &first, 1));
	first = 0;
	ck_assert(ccid_teach_escape(h->ccid, &first, 1, &first, 0));
	command(h, PC_to_RDR_Escape, NULL, &first, 1);
	ck_assert_uint_eq(h->msg_len, 10);
	host_free(h);
}
END_TEST

static void no_power(struct card_remote *remote)
{
	(void)remote;
}

static bool take_long(struct card_remote *remote, const uint8_t *apdu, size_t len)
{
	(void)remote;
	(void)apdu;
	(void)len;
	return true;
}

/* A block in an Escape that the card needs time for: it asks for that in its block. */
START_TEST(test_block_in_escape)
{
	static const struct card_remote_ops ops = {
		.power_on = no_power, .power_off = no_power, .exchange = take_long, .free = no_power
	};
	static const uint8_t atr[] = { 0x3B, 0x80, 0x01, 0x81 };
	static const uint8_t select[] = { 0x1A, 0x00, 0x00, 0x04, 0x00, 0xA4, 0x00, 0x00, 0xA0 };
	struct card_remote remote = { .ops = &ops };
	struct profile p;
	struct host *h;

	ck_assert(profile_builtin("short", &p));
	p.interfaces[0].block_escape[0] = 0x1A;
	p.interfaces[0].block_escape_len = 1;
	h = host_new(&p);
	ck_assert(ccid_insert(h->ccid, 0, card_new_remote(&remote, atr, sizeof(atr))));
	command(h, PC_to_RDR_IccPowerOn, NULL, NULL, 0);
	send_message(h, PC_to_RDR_Escape, 0, NULL, select, sizeof(select));
	ck_assert(!read_message(h));
	run(h);
	ck_assert(read_message(h));
	ck_assert_uint_eq(h->msg_len, 10 + 6);
	ck_assert_mem_eq(h->msg + 10, "\x1A\x00\xC3\x01\x01\xC3", 6);
	host_free(h);
}
END_TEST

START_TEST(test_busy_slots)
{
	struct profile p;
	struct host *h;
	static const uint8_t slow[] = { 0x80, 0xEE, 0x01, 0x00, 0x00 };

	ck_assert(profile_builtin("short", &p));
	p.interfaces[0].ccid[CCID_DESC_bMaxSlotIndex] = 4;
	p.interfaces[0].ccid[CCID_DESC_bMaxCCIDBusySlots] = 2;
	h = host_new(&p);
	ck_assert_uint_eq(ccid_slots(h->ccid), 5);
	for (uint8_t i = 0; i < 3; i++) {
		insert(h, i, CARD_T1);
		send_message(h, PC_to_RDR_IccPowerOn, i, NULL, NULL, 0);
		ck_assert(read_message(h));
	}
	for (uint8_t i = 0; i < 3; i++)
		send_message(h, PC_to_RDR_XfrBlock, i, NULL, slow, sizeof(slow));
	ck_assert(read_message(h));
	ck_assert_uint_eq(h->msg[5], 2);
	expect_status(h, 0x40, 0xE0);
	ck_assert(!read_message(h));
	run(h);
	ck_assert_int_eq(h->now, 1256 * MS); /* both at once */
	ck_assert(read_message(h));
	ck_assert_uint_eq(h->msg[5], 0);
	ck_assert(read_message(h));
	ck_assert_uint_eq(h->msg[5], 1);
	host_free(h);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vreader_ccid");
	TCase *tc = tcase_create("ccid");

	tcase_add_loop_test(tc, test_power, 0, 2);
	tcase_add_test(tc, test_unknown_and_unsupported);
	tcase_add_test(tc, test_parameters);
	tcase_add_test(tc, test_reader_makes_pps);
	tcase_add_test(tc, test_speed_limit);
	tcase_add_loop_test(tc, test_voltage_classes, 0, 2);
	tcase_add_test(tc, test_automatic_activation_and_ifsd);
	tcase_add_test(tc, test_extended_chaining);
	tcase_add_test(tc, test_time_extension_and_mute);
	tcase_add_test(tc, test_busy_and_abort);
	tcase_add_test(tc, test_taught_escapes);
	tcase_add_test(tc, test_block_in_escape);
	tcase_add_test(tc, test_abort_of_one_slot);
	tcase_add_test(tc, test_removal_during_command);
	tcase_add_test(tc, test_tpdu_t0);
	tcase_add_test(tc, test_tpdu_t1);
	tcase_add_test(tc, test_character_t0);
	tcase_add_test(tc, test_busy_slots);
	suite_add_tcase(s, tc);
	return suite_run(s);
}
