/* SPDX-License-Identifier: BSD-3-Clause */
/* pcscctl list: readers, their cards, drivers and devices. */
#include <stdio.h>
#include <stdlib.h>

#include "tools/pcscctl.h"
#include "tools/report.h"

static const char *const keys[] = { "name", "card", "atr", "protocol", "driver", "device",
	"sharing", NULL };

static void print_reader(json_object *reader)
{
	printf("%s\n", report_text(reader, "name"));
	for (const char *const *key = &keys[1]; *key; key++) {
		if (*report_text(reader, *key))
			printf("  %-9s %s\n", *key, report_text(reader, *key));
	}
}

int pcscctl_list(const struct pcscctl *options)
{
	json_object *report = report_fetch(options->socket);
	json_object *readers = json_object_object_get(report, "readers");
	json_object *list;
	size_t count;

	if (!report)
		return EXIT_FAILURE;
	list = json_object_new_array();
	count = json_object_array_length(readers);
	for (size_t i = 0; i < count; i++) {
		json_object *reader = json_object_array_get_idx(readers, i);

		json_object_array_add(list, report_pick(reader, keys));
		if (!options->json)
			print_reader(reader);
	}
	json_object_put(report);
	if (options->json)
		return report_print_json(list);
	json_object_put(list);
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
