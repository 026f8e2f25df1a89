/* SPDX-License-Identifier: BSD-3-Clause */
/* What a host is told about cards, from interrupt messages and answers in every order. */

#include "suite.h"
#include "ifd-ccid/device/presence.h"
#include "spec/ccid.h"

enum {
	GONE = CCID_NOTIFY_CHANGED,
	HERE = CCID_NOTIFY_CHANGED | CCID_NOTIFY_PRESENT,
};

/* A card that is told, powered and known by events. */
static struct presence powered(void)
{
	struct presence p = { 0 };

	presence_status(&p, CCID_ICC_INACTIVE, p.events);
	ck_assert(presence_tell(&p));
	p.powered = true;
	return p;
}

START_TEST(unknown_must_be_asked)
{
	struct presence p = { 0 };

	ck_assert(presence_must_ask(&p, true));
	presence_status(&p, CCID_ICC_ABSENT, 0);
	ck_assert(!presence_must_ask(&p, true));
	ck_assert(presence_must_ask(&p, false));
	ck_assert(!presence_tell(&p));
}
END_TEST

START_TEST(removal_and_insertion)
{
	struct presence p = powered();

	ck_assert(presence_notice(&p, GONE));
	ck_assert_uint_ne(p.events, p.seen);
	ck_assert(!presence_must_ask(&p, true));
	ck_assert(!presence_tell(&p));
	ck_assert_uint_eq(p.events, p.seen);
	ck_assert(!p.powered);
	ck_assert(presence_notice(&p, HERE));
	ck_assert(presence_tell(&p));
}
END_TEST

START_TEST(exchange_between_two_looks_is_told_once)
{
	struct presence p = powered();

	presence_notice(&p, GONE);
	presence_notice(&p, HERE);
	ck_assert(!presence_tell(&p));
	/* A new card is waiting: the host shall look again at once. */
	ck_assert_uint_ne(p.events, p.seen);
	ck_assert(presence_tell(&p));
	ck_assert_uint_eq(p.events, p.seen);
}
END_TEST

START_TEST(changed_bit_on_a_powered_card_is_looked_into)
{
	struct presence p = powered();

	ck_assert(presence_notice(&p, HERE));
	ck_assert(presence_must_ask(&p, true));
	presence_status(&p, CCID_ICC_ACTIVE, p.events);
	ck_assert(!presence_must_ask(&p, true));
	ck_assert(presence_tell(&p));
	ck_assert(p.powered);

	presence_notice(&p, HERE);
	presence_status(&p, CCID_ICC_INACTIVE, p.events);
	ck_assert(!p.powered);
	ck_assert(!presence_tell(&p));
	ck_assert(presence_tell(&p));
}
END_TEST

START_TEST(late_first_notice_is_no_news)
{
	struct presence p = { 0 };

	presence_status(&p, CCID_ICC_INACTIVE, 0);
	presence_tell(&p);
	ck_assert(!presence_notice(&p, HERE));
	ck_assert_uint_eq(p.events, p.seen);
	ck_assert(!presence_must_ask(&p, true));
}
END_TEST

START_TEST(answers_tell_too)
{
	struct presence p = powered();

	ck_assert(!presence_answer(&p, CCID_ICC_ACTIVE, true));
	ck_assert(!presence_answer(&p, 3, true));
	ck_assert(presence_answer(&p, CCID_ICC_ABSENT, true));
	ck_assert(!presence_tell(&p));
	/* With events an answer that contradicts them is looked into, without them it is believed. */
	ck_assert(presence_answer(&p, CCID_ICC_INACTIVE, true));
	ck_assert(presence_must_ask(&p, true));
	p.doubtful = false;
	ck_assert(presence_answer(&p, CCID_ICC_INACTIVE, false));
	ck_assert(!p.doubtful);
	ck_assert(presence_tell(&p));
}
END_TEST

START_TEST(event_during_the_question_keeps_the_doubt)
{
	struct presence p = powered();
	uint32_t events;

	presence_notice(&p, HERE);
	events = p.events;
	presence_notice(&p, GONE);
	presence_notice(&p, HERE);
	presence_status(&p, CCID_ICC_INACTIVE, events);
	ck_assert(presence_must_ask(&p, true));
}
END_TEST

/* Of news and an answer that say the opposite nobody knows which is older: the next look comes at
 * once, and asks. */
START_TEST(doubt_that_is_left_has_the_next_look_come)
{
	struct presence p = { 0 };
	uint32_t events;

	presence_status(&p, CCID_ICC_ABSENT, 0);
	ck_assert(!presence_tell(&p));
	ck_assert_uint_eq(p.events, p.seen);
	events = p.events;
	presence_notice(&p, HERE);
	presence_status(&p, CCID_ICC_ABSENT, events);
	presence_tell(&p);
	ck_assert_uint_ne(p.events, p.seen);
	ck_assert(presence_must_ask(&p, true));
	presence_status(&p, CCID_ICC_INACTIVE, p.events);
	ck_assert(presence_tell(&p));
	ck_assert_uint_eq(p.events, p.seen);
	ck_assert(!presence_must_ask(&p, true));

	events = p.events;
	presence_notice(&p, GONE);
	presence_status(&p, CCID_ICC_INACTIVE, events);
	presence_tell(&p);
	ck_assert_uint_ne(p.events, p.seen);
	presence_status(&p, CCID_ICC_ABSENT, p.events);
	ck_assert(!presence_tell(&p));
	ck_assert_uint_eq(p.events, p.seen);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ccid_presence");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, unknown_must_be_asked);
	tcase_add_test(tc, removal_and_insertion);
	tcase_add_test(tc, exchange_between_two_looks_is_told_once);
	tcase_add_test(tc, changed_bit_on_a_powered_card_is_looked_into);
	tcase_add_test(tc, late_first_notice_is_no_news);
	tcase_add_test(tc, answers_tell_too);
	tcase_add_test(tc, event_during_the_question_keeps_the_doubt);
	tcase_add_test(tc, doubt_that_is_left_has_the_next_look_come);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
