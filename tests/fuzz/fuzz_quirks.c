/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as a quirk file: parsed to sections or told of. What is read can be printed, and is
 * within the bounds of the properties.
 */
#include <stdlib.h>

#include "ifd-ccid/quirk/quirk.h"

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void count(void *owner, const char *line)
{
	require(line[0] != '\0');
	++*(unsigned *)owner;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct quirk_set set;
	static const uint8_t ccid[54] = { 54, 0x21 };
	struct quirk_facts facts = { .vid = 0x0B97,
		.pid = 0x7762,
		.ccid = ccid,
		.manufacturer = "O2Micro",
		.product = "OZ776",
		.firmware = "1" };
	struct quirk_table *table = quirk_table_new();
	FILE *out = fopen("/dev/null", "we");
	unsigned errors = 0;

	if (!table || !out)
		abort();
	require(quirk_table_add(table, "fuzz", (const char *)data, size, count, &errors) ==
		(errors == 0));
	quirk_match(table, &facts, &set, NULL);
	require(!set.has[QUIRK_IFSD] || (set.ifsd >= 1 && set.ifsd <= 254));
	require(!set.has[QUIRK_DESCRIPTOR] || set.descriptor.len == 54);
	require(set.init_escape.count <= QUIRK_ESCAPES_MAX);
	for (int i = 0; i < QUIRK_COUNT; i++)
		if (set.has[i])
			quirk_print_value(out, &set, (enum quirk_id)i);
	fclose(out);
	quirk_table_free(table);
	return 0;
}
