/* SPDX-License-Identifier: BSD-3-Clause */
/* Test vectors of the iso7816 tests as hex text, and their one random generator. */
#ifndef CARDWIRE_TESTS_ISO7816_HEX_H
#define CARDWIRE_TESTS_ISO7816_HEX_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "suite.h"

/* Write the bytes of TEXT ("3B 65 00") to OUT, at most MAX. Returns how many. */
static inline size_t hex(const char *text, uint8_t *out, size_t max)
{
	size_t n = 0;
	char *end;

	for (;;) {
		unsigned long byte = strtoul(text, &end, 16);
		if (end == text)
			break;
		ck_assert_uint_lt(n, max);
		ck_assert_uint_le(byte, 0xFF);
		out[n++] = (uint8_t)byte;
		text = end;
	}
	return n;
}

/* xorshift64*: the same sequence for a seed on every machine. */
static inline uint32_t draw(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (uint32_t)((*state * UINT64_C(2685821657736338717)) >> 32);
}

/* True in PERCENT of 100 cases. */
static inline int chance(uint64_t *state, unsigned percent)
{
	return draw(state) % 100 < percent;
}

/* How many exchanges the random tests make: CARDWIRE_EXCHANGES, or NORMAL. */
static inline unsigned long exchanges(unsigned long normal)
{
	const char *text = getenv("CARDWIRE_EXCHANGES");

	return text ? strtoul(text, NULL, 10) : normal;
}

/* Runs the case as a suite of its own; the exit status for main(). */
static inline int run_case(const char *name, TCase *tests)
{
	Suite *suite = suite_create(name);

	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

#endif
