/* SPDX-License-Identifier: BSD-3-Clause */
/* Recordings from anybody: lines of text, capture files. What is read prints to what is read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recording/entry.h"
#include "recording/pcapng.h"

static uint8_t data[2][RECORDING_DATA_MAX];
static char text[3 * RECORDING_DATA_MAX + 512];

static void check(const struct recording_entry *entry)
{
	struct recording_entry again;
	const char *why;

	if (entry->at < 0 || entry->len > RECORDING_DATA_MAX)
		return;
	if (recording_print(entry, text) >= recording_line_max(entry->len))
		abort();
	if (recording_parse(text, &again, data[1], sizeof(data[1]), &why) != RECORDING_ENTRY)
		return;
	if (again.kind != entry->kind || again.len != entry->len)
		abort();
}

static bool each(void *ctx, const struct recording_entry *entry)
{
	(void)ctx;
	check(entry);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char *line = malloc(size + 1);
	struct recording_entry entry;
	const char *why;

	if (!line)
		return 0;
	if (size)
		memcpy(line, bytes, size);
	line[size] = '\0';
	if (recording_parse(line, &entry, data[0], sizeof(data[0]), &why) == RECORDING_ENTRY)
		check(&entry);
	free(line);
	pcapng_read(bytes, size, each, NULL, &why);
	return 0;
}
