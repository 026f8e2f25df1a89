/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * T=1: random exchanges with a card model whose line loses, damages and invents bytes, and with a
 * card that sends anything: never a wrong answer taken for a good one, always an end.
 */
#include <string.h>

#include "iso7816/t1.h"
#include "iso7816_hex.h"
#include "t1_card.h"

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
	struct t1_step step, struct t1 *host, struct t1_card *c, uint64_t *seed, unsigned percent)
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
		t1_card_take(c, line, n);
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

static void start(struct t1 *host, struct t1_card *c, uint64_t *seed, bool playful)
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

static void check_result(struct t1_step step, const struct t1_card *c, const uint8_t *cmd,
	size_t len, const uint8_t *rsp, size_t max, struct tally *tally)
{
	uint8_t right[T1_CARD_ANSWER];
	size_t n = t1_card_answer(cmd, len, right);

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
	struct t1_card card;
	bool alive = false;

	for (unsigned long i = 0; i < count; i++) {
		uint8_t cmd[T1_CARD_COMMAND];
		uint8_t rsp[T1_CARD_ANSWER + 1];
		size_t len = 8 + (chance(&seed, 20) ? draw(&seed) % (T1_CARD_COMMAND - 8)
						    : draw(&seed) % 30);
		size_t max = chance(&seed, 10) ? draw(&seed) % T1_CARD_ANSWER : T1_CARD_ANSWER;

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
	struct t1 host;

	for (unsigned long i = 0; i < count; i++) {
		struct t1_config config = { .ifsc = (uint8_t)draw(&seed), .edc = draw(&seed) % 2 };
		unsigned blocks = 0;
		unsigned kinds = 1 + draw(&seed) % sizeof pcbs; /* some kinds only, more of them */

		t1_init(&host, &config);
		rsp[64] = 0xA5;
		struct t1_step step = t1_begin(&host, cmd, draw(&seed) % sizeof cmd, rsp, 64);
		while (step.action == T1_SEND) {
			uint8_t block[T1_MAX_BLOCK + 4] = { 0 };
			size_t n = draw(&seed) % 3 == 0 ? draw(&seed) % 255 : draw(&seed) % 3;
			block[1] = pcbs[draw(&seed) % kinds];
			block[2] = (uint8_t)n;
			block[3] = (uint8_t)draw(&seed);
			edc_append(config.edc, block, 3 + n);
			step = t1_block_received(&host, block, 3 + n + edc_size(config.edc));
			/* WTX is the caller's to bound; blocks of one byte make 65 538 rounds. */
			if (host.counts.wtx > 1000)
				break;
			ALWAYS(++blocks < 300000);
		}
		ALWAYS(rsp[64] == 0xA5);
	}
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("t1_random");

	tcase_set_timeout(tests, 250);
	tcase_add_test(tests, random_without_errors);
	tcase_add_test(tests, random_with_requests);
	tcase_add_test(tests, random_with_errors);
	tcase_add_test(tests, hostile_card);
	return run_case("t1_random", tests);
}
