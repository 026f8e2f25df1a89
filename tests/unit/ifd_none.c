/* SPDX-License-Identifier: BSD-3-Clause */
/* A library that is no IFD handler, for the test of the loader. */

__attribute__((visibility("default"))) int answer(void);

int answer(void)
{
	return 42;
}
