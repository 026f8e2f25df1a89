/* SPDX-License-Identifier: BSD-3-Clause */
/* The vpcd protocol: a card program's bytes against the reader's side, without sockets. */
#include <string.h>

#include "suite.h"
#include "vreader/cards/vpcd.h"

static const uint8_t atr[] = { 0x3B, 0x80, 0x01, 0x81 };

static struct {
	struct vpcd *vpcd;
	struct card *card;
	uint8_t sent[70000];
	size_t sent_len;
	unsigned woken;
	bool removed;
	bool full; /* there is a card in the slot */
} host;

static void on_send(void *ctx, const uint8_t *bytes, size_t len)
{
	(void)ctx;
	ck_assert_uint_le(host.sent_len + len, sizeof(host.sent));
	memcpy(host.sent + host.sent_len, bytes, len);
	host.sent_len += len;
}

static void on_wake(void *ctx)
{
	(void)ctx;
	host.woken++;
}

static bool on_insert(void *ctx, struct card *card)
{
	(void)ctx;
	if (host.full)
		return false;
	host.card = card;
	card_wake_by(card, on_wake, NULL);
	return true;
}

static void on_removed(void *ctx)
{
	(void)ctx;
	host.removed = true;
}

static void setup(void)
{
	const struct vpcd_host functions = {
		.send = on_send, .insert = on_insert, .removed = on_removed
	};

	memset(&host, 0, sizeof(host));
	host.vpcd = vpcd_new(&functions);
	ck_assert_ptr_nonnull(host.vpcd);
}

static void teardown(void)
{
	card_free(host.card);
	vpcd_free(host.vpcd);
}

static void expect_sent(const void *bytes, size_t len)
{
	ck_assert_uint_eq(host.sent_len, len);
	ck_assert_mem_eq(host.sent, bytes, len);
	host.sent_len = 0;
}

/* One message of the program. */
static bool say(const uint8_t *bytes, size_t len)
{
	const uint8_t header[] = { (uint8_t)(len >> 8), (uint8_t)len };

	return vpcd_receive(host.vpcd, header, 2) && vpcd_receive(host.vpcd, bytes, len);
}

static void insert(void)
{
	ck_assert(say(atr, sizeof(atr)));
	ck_assert_ptr_nonnull(host.card);
	host.sent_len = 0;
}

START_TEST(test_insert)
{
	const uint8_t *got;

	expect_sent("\0\1\1\0\1\4", 6);
	ck_assert(!vpcd_has_card(host.vpcd));
	insert();
	ck_assert(vpcd_has_card(host.vpcd));
	ck_assert_uint_eq(card_power_on(host.card, &got), sizeof(atr));
	ck_assert_mem_eq(got, atr, sizeof(atr));
	expect_sent("\0\1\2", 3);
	card_power_off(host.card);
	expect_sent("\0\1\0", 3);
	card_power_off(host.card);
	ck_assert_uint_eq(host.sent_len, 0);
	card_power_on(host.card, &got);
	expect_sent("\0\1\1", 3);
}
END_TEST

START_TEST(test_exchange)
{
	static const uint8_t command[] = { 0x00, 0xA4, 0x00, 0x0C, 0x02, 0x3F, 0x00 };
	static const uint8_t answer[] = { 1, 2, 3, 0x90, 0x00 };
	const struct card_response *rsp;

	insert();
	rsp = card_exchange(host.card, command, sizeof(command));
	ck_assert(rsp->pending);
	ck_assert(!rsp->mute);
	expect_sent("\0\7\x00\xA4\x00\x0C\x02\x3F\x00", 9);
	ck_assert_uint_eq(host.woken, 0);
	ck_assert(say(answer, sizeof(answer)));
	ck_assert_uint_eq(host.woken, 1);
	ck_assert(!rsp->pending);
	ck_assert_uint_eq(rsp->len, sizeof(answer));
	ck_assert_mem_eq(rsp->data, answer, sizeof(answer));
}
END_TEST

/* The largest answer, byte by byte: the two length bytes are two pieces, too. */
START_TEST(test_large_in_pieces)
{
	static uint8_t message[2 + 65535];
	static const uint8_t command[] = { 0, 0xB0, 0, 0, 0, 0, 0 };
	const struct card_response *rsp;

	insert();
	rsp = card_exchange(host.card, command, sizeof(command));
	for (size_t i = 0; i < sizeof(message); i++)
		message[i] = (uint8_t)(i < 2 ? 0xFF : i);
	for (size_t i = 0; i < sizeof(message); i++) {
		ck_assert(rsp->pending);
		ck_assert(vpcd_receive(host.vpcd, message + i, 1));
	}
	ck_assert(!rsp->pending);
	ck_assert_uint_eq(rsp->len, 65535);
	ck_assert_mem_eq(rsp->data, message + 2, 65535);
}
END_TEST

/* An answer that comes after a reset belongs to the command before it. */
START_TEST(test_late_answer_is_dropped)
{
	static const uint8_t command[] = { 0, 0x84, 0, 0, 8 };
	static const uint8_t late[] = { 0x11, 0x90, 0 }, right[] = { 0x22, 0x90, 0 };
	const struct card_response *rsp;
	const uint8_t *got;

	insert();
	card_exchange(host.card, command, sizeof(command));
	card_power_on(host.card, &got);
	rsp = card_exchange(host.card, command, sizeof(command));
	ck_assert(say(late, sizeof(late)));
	ck_assert(rsp->pending);
	ck_assert_uint_eq(host.woken, 0);
	ck_assert(say(right, sizeof(right)));
	ck_assert(!rsp->pending);
	ck_assert_uint_eq(rsp->data[0], 0x22);
	/* The same with nothing behind it. */
	card_exchange(host.card, command, sizeof(command));
	card_power_off(host.card);
	ck_assert(say(late, sizeof(late)));
	ck_assert_uint_eq(host.woken, 1);
}
END_TEST

START_TEST(test_short_answer_is_mute)
{
	static const uint8_t command[] = { 0, 0x84, 0, 0, 8 };
	const struct card_response *rsp;

	insert();
	rsp = card_exchange(host.card, command, sizeof(command));
	ck_assert(say(command, 1));
	ck_assert(!rsp->pending);
	ck_assert(rsp->mute);
	rsp = card_exchange(host.card, command, sizeof(command));
	ck_assert(say(command, 0));
	ck_assert(rsp->mute);
}
END_TEST

/* A command that the protocol cannot carry, or that looks like one of its own. */
START_TEST(test_impossible_commands)
{
	static const uint8_t command[65536];

	insert();
	ck_assert(card_exchange(host.card, command, 1)->mute);
	ck_assert(card_exchange(host.card, command, sizeof(command))->mute);
	ck_assert_uint_eq(host.sent_len, 0);
}
END_TEST

/* A program that answers nothing, and a host that gives up and tries again, and again. */
START_TEST(test_owed_answers_are_bounded)
{
	static const uint8_t command[] = { 0, 0x84, 0, 0, 8 };
	const uint8_t *got;
	int taken = 0;

	insert();
	while (card_exchange(host.card, command, sizeof(command))->pending) {
		card_power_on(host.card, &got);
		ck_assert_int_lt(++taken, 100);
	}
	ck_assert_int_gt(taken, 0);
}
END_TEST

/* Puts in a card of T=0 or T=1 and switches it on. */
static struct card_link insert_with(const uint8_t *bytes, size_t len)
{
	const struct card_link link = { .fidi = CARD_TA1_DEFAULT };
	const uint8_t *got;

	ck_assert(say(bytes, len));
	ck_assert_ptr_nonnull(host.card);
	card_power_on(host.card, &got);
	host.sent_len = 0;
	return link;
}

/* The card says exactly this next; an empty burst: it has nothing yet. */
static void expect_burst(const void *bytes, size_t len)
{
	struct card_burst burst;

	ck_assert(card_send(host.card, &burst));
	ck_assert_uint_eq(burst.len, len);
	if (len)
		ck_assert_mem_eq(burst.data, bytes, len);
	else
		ck_assert_uint_gt(burst.delay_ms, 0);
}

/* Time is asked for as often as the block waiting time wants it, until the answer is there. */
START_TEST(test_t1_asks_for_time)
{
	static const uint8_t answer[] = { 0x61, 0x05 };
	struct card_link link = insert_with(atr, sizeof(atr));
	struct card_burst burst;

	card_receive(host.card, link, (const uint8_t *)"\0\0\5\0\x84\0\0\x8\x89", 9);
	expect_sent("\0\5\0\x84\0\0\x8", 7);
	for (int i = 0; i < 3; i++) {
		expect_burst(NULL, 0);
		expect_burst("\0\xC3\1\1\xC3", 5);
		ck_assert(!card_send(host.card, &burst));
		card_receive(host.card, link, (const uint8_t *)"\0\xE3\1\1\xE3", 5);
	}
	expect_burst(NULL, 0);
	ck_assert(say(answer, sizeof(answer)));
	ck_assert_uint_eq(host.woken, 1);
	expect_burst("\0\0\2\x61\x05\x66", 6);
	ck_assert(!card_send(host.card, &burst));
}
END_TEST

/* The host's block that grants time finds the answer there. */
START_TEST(test_t1_answer_while_time_is_granted)
{
	static const uint8_t answer[] = { 0x90, 0x00 };
	struct card_link link = insert_with(atr, sizeof(atr));

	card_receive(host.card, link, (const uint8_t *)"\0\0\5\0\x84\0\0\x8\x89", 9);
	expect_burst(NULL, 0);
	expect_burst("\0\xC3\1\1\xC3", 5);
	ck_assert(say(answer, sizeof(answer)));
	card_receive(host.card, link, (const uint8_t *)"\0\xE3\1\1\xE3", 5);
	expect_burst("\0\0\2\x90\x00\x92", 6);
}
END_TEST

START_TEST(test_t0_sends_null_bytes)
{
	static const uint8_t answer[] = { 7, 8, 0x90, 0x00 };
	struct card_link link = insert_with((const uint8_t *)"\x3B\x00", 2);
	struct card_burst burst;

	card_receive(host.card, link, (const uint8_t *)"\0\x84\0\0\2", 5);
	expect_sent("\0\5\0\x84\0\0\2", 7);
	expect_burst(NULL, 0);
	expect_burst("\x60", 1);
	expect_burst(NULL, 0);
	ck_assert(say(answer, sizeof(answer)));
	expect_burst("\x84\7\x8\x90\0", 5);
	ck_assert(!card_send(host.card, &burst));
}
END_TEST

/* Data behind a command with data wait for GET RESPONSE; with the wrong Le, for the right one. The
 * program is asked once. */
START_TEST(test_t0_keeps_data)
{
	static const uint8_t answer[] = { 7, 8, 0x90, 0x00 };
	struct card_link link = insert_with((const uint8_t *)"\x3B\x00", 2);

	card_receive(host.card, link, (const uint8_t *)"\0\xA4\4\0\1", 5);
	expect_burst("\xA4", 1);
	ck_assert_uint_eq(host.sent_len, 0);
	card_receive(host.card, link, (const uint8_t *)"\x5A", 1);
	expect_sent("\0\6\0\xA4\4\0\1\x5A", 8);
	ck_assert(say(answer, sizeof(answer)));
	expect_burst("\x61\2", 2);
	card_receive(host.card, link, (const uint8_t *)"\0\xC0\0\0\2", 5);
	expect_burst("\xC0\7\x8\x90\0", 5);
	ck_assert_uint_eq(host.sent_len, 0);
	card_receive(host.card, link, (const uint8_t *)"\0\xB0\0\0\0", 5);
	expect_sent("\0\5\0\xB0\0\0\0", 7);
	ck_assert(say(answer, sizeof(answer)));
	expect_burst("\x6C\2", 2);
	card_receive(host.card, link, (const uint8_t *)"\0\xB0\0\0\2", 5);
	expect_burst("\xB0\7\x8\x90\0", 5);
	ck_assert_uint_eq(host.sent_len, 0);
	/* The same once more is a new command, and GET RESPONSE is now the program's. */
	card_receive(host.card, link, (const uint8_t *)"\0\xB0\0\0\2", 5);
	expect_sent("\0\5\0\xB0\0\0\2", 7);
	ck_assert(say(answer, sizeof(answer)));
	expect_burst("\xB0\7\x8\x90\0", 5);
	card_receive(host.card, link, (const uint8_t *)"\0\xC0\0\0\2", 5);
	expect_sent("\0\5\0\xC0\0\0\2", 7);
}
END_TEST

/* A command without P3: its data, if any, wait as well. */
START_TEST(test_t0_without_p3)
{
	static const uint8_t answer[] = { 7, 8, 0x90, 0x00 };
	struct card_link link = insert_with((const uint8_t *)"\x3B\x00", 2);

	card_receive(host.card, link, (const uint8_t *)"\0\xA4\4\0\0", 5);
	expect_sent("\0\4\0\xA4\4\0", 6);
	ck_assert(say(answer, sizeof(answer)));
	expect_burst("\x61\2", 2);
	card_receive(host.card, link, (const uint8_t *)"\0\xC0\0\0\2", 5);
	expect_burst("\xC0\7\x8\x90\0", 5);
}
END_TEST

START_TEST(test_no_card)
{
	static const uint8_t bad[] = { 0x3C, 0x80 };

	ck_assert(!say(bad, sizeof(bad)));
	teardown();
	setup();
	ck_assert(!say(bad, 0));
	teardown();
	setup();
	/* Longer than any ATR. */
	ck_assert(!say((const uint8_t[40]){ 0x3B, 0x8F }, 40));
	teardown();
	setup();
	host.full = true;
	ck_assert(!say(atr, sizeof(atr)));
	ck_assert(host.removed);
}
END_TEST

START_TEST(test_unasked_answer_ends_it)
{
	insert();
	ck_assert(!say(atr, sizeof(atr)));
}
END_TEST

START_TEST(test_removed_by_hand)
{
	insert();
	card_free(host.card);
	host.card = NULL;
	ck_assert(host.removed);
	ck_assert(!vpcd_has_card(host.vpcd));
	ck_assert(!say(atr, sizeof(atr)));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vreader_vpcd");
	TCase *t = tcase_create("vpcd");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_insert);
	tcase_add_test(t, test_exchange);
	tcase_add_test(t, test_large_in_pieces);
	tcase_add_test(t, test_late_answer_is_dropped);
	tcase_add_test(t, test_short_answer_is_mute);
	tcase_add_test(t, test_impossible_commands);
	tcase_add_test(t, test_owed_answers_are_bounded);
	tcase_add_test(t, test_t1_asks_for_time);
	tcase_add_test(t, test_t1_answer_while_time_is_granted);
	tcase_add_test(t, test_t0_sends_null_bytes);
	tcase_add_test(t, test_t0_keeps_data);
	tcase_add_test(t, test_t0_without_p3);
	tcase_add_test(t, test_no_card);
	tcase_add_test(t, test_unasked_answer_ends_it);
	tcase_add_test(t, test_removed_by_hand);
	suite_add_tcase(s, t);
	return suite_run(s);
}
