/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * T=0: random exchanges with a card model that uses its freedoms, and with cards and readers that
 * send anything: the right answer from the one, an end with the others.
 */
#include <string.h>

#include "iso7816/apdu.h"
#include "iso7816/t0.h"
#include "iso7816/t0_apdu.h"
#include "iso7816_hex.h"
#include "t0_card.h"

static struct t0 t0;
static struct t0_apdu mapping;
static uint8_t response[70000];
static uint8_t command[70000];

/* One TPDU through t0.h. Each time at most as many bytes as are expected, often fewer. */
static size_t exchange_tpdu(
	struct t0_card *c, const uint8_t *tpdu, size_t len, uint8_t *rsp, size_t max)
{
	struct t0_step step = t0_begin(&t0, tpdu, len, rsp, max);
	unsigned steps = 0;

	while (step.action == T0_EXCHANGE) {
		ALWAYS(++steps < 4000);
		t0_card_take(c, step.send, step.send_len);
		size_t n = c->out_len - c->out_at;
		/* The card never has fewer for us than the step relies on. */
		ALWAYS(n >= step.expect);
		n = chance(c->seed, 30) ? 1 + draw(c->seed) % step.expect : step.expect;
		c->out_at += n;
		step = t0_received(&t0, c->out + c->out_at - n, n);
	}
	ALWAYS(step.action == T0_DONE);
	ALWAYS(c->out_at == c->out_len);
	c->out_at = c->out_len = 0;
	return step.rsp_len;
}

static void check_answer(struct t0_apdu_step step, const struct apdu *apdu, size_t len, size_t max)
{
	static uint8_t right[70000 * 2];
	size_t n = t0_card_answer(command, len, apdu->ne, right);

	if (n > apdu->ne)
		n = apdu->ne;
	ALWAYS(step.action == T0_APDU_DONE || step.action == T0_APDU_TOO_LONG);
	ALWAYS(step.rsp_len == n + 2);
	ALWAYS((step.action == T0_APDU_TOO_LONG) == (n + 2 > max));
	ALWAYS(memcmp(response, right, n < max ? n : max) == 0);
	ALWAYS(response[max] == 0xA5);
}

START_TEST(random_exchanges)
{
	static struct t0_card card;
	static const size_t ncs[] = { 0, 0, 1, 5, 255, 256, 600 };
	static const size_t nes[] = { 0, 1, 2, 20, 256, 257, 1000 };
	unsigned long count = exchanges(100000);
	static uint64_t seed = 0x70;

	card.seed = &seed;
	for (unsigned long i = 0; i < count; i++) {
		uint8_t data[600];
		uint8_t tpdu_rsp[T0_MAX_RESPONSE];
		struct apdu apdu = { .cla = 0x00,
			.ins = (uint8_t)(0x10 + draw(&seed) % 0x40),
			.p1 = (uint8_t)draw(&seed),
			.p2 = (uint8_t)draw(&seed),
			.data = data,
			/* Long ones now and then: most time goes into bytes. */
			.nc = ncs[draw(&seed) % (chance(&seed, 10) ? 7 : 4)],
			.ne = nes[draw(&seed) % (chance(&seed, 10) ? 7 : 4)] };

		for (size_t j = 0; j < apdu.nc; j++)
			data[j] = (uint8_t)draw(&seed);
		size_t len = apdu_build(&apdu, command, sizeof command);
		size_t max = chance(&seed, 10) ? draw(&seed) % 300 : 1100;
		response[max] = 0xA5;
		t0_card_begin(&card, command, len);
		struct t0_apdu_step step =
			t0_apdu_begin(&mapping, T0_MAPPED, command, len, response, max);
		unsigned tpdus = 0;
		while (step.action == T0_APDU_SEND) {
			ALWAYS(++tpdus < 40);
			size_t n = exchange_tpdu(
				&card, step.tpdu, step.len, tpdu_rsp, sizeof tpdu_rsp);
			ALWAYS(n <= step.max_answer);
			step = t0_apdu_answer(&mapping, tpdu_rsp, n);
		}
		check_answer(step, &apdu, len, max);
	}
}
END_TEST

/* A card that sends anything, mostly bytes that mean something: an end, within the buffer. */
START_TEST(hostile_card)
{
	unsigned long count = exchanges(100000) / 2;
	uint64_t seed = 0x71;

	for (unsigned long i = 0; i < count; i++) {
		size_t max = draw(&seed) % 300;
		size_t len = draw(&seed) % 12;
		uint8_t ins = (uint8_t)draw(&seed);
		unsigned steps = 0;

		command[1] = ins;
		command[4] = (uint8_t)(len > 5 ? len - 5 : draw(&seed));
		response[max] = 0xA5;
		struct t0_step step = t0_begin(&t0, command, len, response, max);
		while (step.action == T0_EXCHANGE && step.nulls < 200) {
			const uint8_t likely[] = { ins, (uint8_t)~ins, 0x60, (uint8_t)~ins, 0x90,
				(uint8_t)draw(&seed) };
			uint8_t bytes[300];
			size_t n = chance(&seed, 90) ? 1 + draw(&seed) % step.expect
						     : draw(&seed) % 300;
			for (size_t j = 0; j < n; j++)
				bytes[j] = likely[draw(&seed) % (chance(&seed, 5) ? 6 : 4)];
			ALWAYS(++steps < 2000);
			step = t0_received(&t0, bytes, n);
		}
		ALWAYS(response[max] == 0xA5);
		if (step.action == T0_DONE)
			ALWAYS(step.rsp_len <= max);
	}
}
END_TEST

/* The same for response TPDUs: never more than Ne bytes and SW, and an end. */
START_TEST(hostile_reader)
{
	unsigned long count = exchanges(100000) / 2;
	uint64_t seed = 0x72;

	for (unsigned long i = 0; i < count; i++) {
		size_t max = draw(&seed) % 700;
		struct apdu apdu = { .ins = 0xB0,
			.data = command + 1000,
			.nc = draw(&seed) % 700,
			.ne = draw(&seed) % 700 };
		size_t len = apdu_build(&apdu, command, 900);
		enum t0_mode mode = chance(&seed, 50) ? T0_MAPPED : T0_TRANSPARENT;
		unsigned steps = 0;

		response[max] = 0xA5;
		struct t0_apdu_step step =
			t0_apdu_begin(&mapping, mode, command, len, response, max);
		while (step.action == T0_APDU_SEND) {
			uint8_t bytes[262] = { 0 };
			size_t data = chance(&seed, 50) ? 0 : draw(&seed) % step.max_answer;
			size_t n = chance(&seed, 99) ? data + 2 : draw(&seed) % sizeof bytes;
			n = n > step.max_answer && chance(&seed, 99) ? step.max_answer : n;
			if (n >= 2) {
				static const uint8_t sw1[] = { 0x61, 0x61, 0x61, 0x6C, 0x90, 0x6A };
				bytes[n - 2] = apdu.nc > 255 && chance(&seed, 70)
						       ? 0x90
						       : sw1[draw(&seed) % sizeof sw1];
				bytes[n - 1] = bytes[n - 2] == 0x90 ? 0 : (uint8_t)draw(&seed);
			}
			ALWAYS(++steps < 3000);
			step = t0_apdu_answer(&mapping, bytes, n);
		}
		ALWAYS(response[max] == 0xA5);
		if (step.action != T0_APDU_FAILED && mode == T0_MAPPED)
			ALWAYS(step.rsp_len <= apdu.ne + 2);
	}
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("t0_random");

	tcase_set_timeout(tests, 250);
	tcase_add_test(tests, random_exchanges);
	tcase_add_test(tests, hostile_card);
	tcase_add_test(tests, hostile_reader);
	return run_case("t0_random", tests);
}
