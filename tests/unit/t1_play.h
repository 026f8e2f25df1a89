/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * T=1 exchanges written down as the blocks that go both ways. Header only, since Check's macros name
 * the test; one exchange at a time, with its state in `t1` and its response in `response`.
 */
#ifndef CARDWIRE_TESTS_UNIT_T1_PLAY_H
#define CARDWIRE_TESTS_UNIT_T1_PLAY_H

#include <string.h>

#include "iso7816/t1.h"
#include "iso7816_hex.h"

static struct t1 t1;
static uint8_t response[1024];

static inline void init(uint8_t ifsc)
{
	struct t1_config config = { .ifsc = ifsc, .edc = EDC_LRC };

	t1_init(&t1, &config);
	memset(response, 0xEE, sizeof response);
}

static inline struct t1_step begin(const char *command, size_t max)
{
	static uint8_t bytes[256];

	return t1_begin(&t1, bytes, hex(command, bytes, sizeof bytes), response, max);
}

/*
 * LINES: the block that must be sent, and what comes back, in turn, both without EDC. Instead of a
 * block "mute", "parity", or "=" before bytes that are given as they are. Returns the step after.
 */
static inline struct t1_step play(struct t1_step step, const char *const *lines)
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

static inline void check_done(struct t1_step step, const char *text)
{
	uint8_t expected[512];
	size_t n = hex(text, expected, sizeof expected);

	ck_assert_int_eq(step.action, T1_DONE);
	ck_assert_uint_eq(step.rsp_len, n);
	ck_assert_mem_eq(response, expected, n);
}

static inline void check_failed(struct t1_step step, enum t1_error error)
{
	ck_assert_int_eq(step.action, T1_FAILED);
	ck_assert_int_eq(step.error, error);
}

#endif
