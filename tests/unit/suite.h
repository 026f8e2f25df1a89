/* SPDX-License-Identifier: BSD-3-Clause */
/* The end of each test program's main(). */
#ifndef CARDWIRE_TESTS_UNIT_SUITE_H
#define CARDWIRE_TESTS_UNIT_SUITE_H

#include <check.h>
#include <stdlib.h>

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
