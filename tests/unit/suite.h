/* SPDX-License-Identifier: BSD-3-Clause */
/* What all test programs share: an assertion for loops, bounds on times, the end of main(). */
#ifndef CARDWIRE_TESTS_UNIT_SUITE_H
#define CARDWIRE_TESTS_UNIT_SUITE_H

#include <check.h>
#include <stdint.h>
#include <stdlib.h>

/* As ck_assert(), but free of cost while it holds: Check notes down each assertion it passes. */
#define ALWAYS(condition) ((condition) ? (void)0 : ck_abort_msg("not true: %s", #condition))

/*
 * The bound, in ms, on a time that is measured: to the letter where the machine does nothing else
 * (CARDWIRE_PRECISE is set), many times as much where other tests run beside this one.
 */
static inline int64_t suite_bound_ms(int64_t ms)
{
	return getenv("CARDWIRE_PRECISE") ? ms : 5 * ms + 5000;
}

/* Runs the suite, which is freed, and prints what failed. Returns the program's exit status. */
static inline int suite_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
