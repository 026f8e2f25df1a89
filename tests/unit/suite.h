/* SPDX-License-Identifier: BSD-3-Clause */
/* What all test programs share: an assertion for loops, and the end of main(). */
#ifndef CARDWIRE_TESTS_UNIT_SUITE_H
#define CARDWIRE_TESTS_UNIT_SUITE_H

#include <check.h>
#include <stdlib.h>

/* As ck_assert(), but free of cost while it holds: Check notes down each assertion it passes. */
#define ALWAYS(condition) ((condition) ? (void)0 : ck_abort_msg("not true: %s", #condition))

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
