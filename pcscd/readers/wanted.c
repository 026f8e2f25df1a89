/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/readers/wanted.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *wanted_string(struct wanted_list *list, const char *format, ...)
{
	char **grown = reallocarray(list->strings, list->string_count + 1, sizeof(*grown));
	char *text = NULL;
	va_list args;
	int length;

	if (grown)
		list->strings = grown;
	va_start(args, format);
	length = grown ? vasprintf(&text, format, args) : -1;
	va_end(args);
	if (length < 0) {
		list->short_of_memory = true;
		return NULL;
	}
	list->strings[list->string_count++] = text;
	return text;
}

const char *wanted_library(struct wanted_list *list, const char *path)
{
	char *real = realpath(path, NULL);
	const char *library = wanted_string(list, "%s", real ? real : path);

	free(real);
	return library;
}

static bool is_whole(const struct wanted *wanted)
{
	if (!wanted->key || !wanted->identity || wanted->count == 0)
		return false;
	for (size_t i = 0; i < wanted->count; i++)
		if (!wanted->specs[i].base_name || !wanted->specs[i].library ||
			!wanted->specs[i].origin)
			return false;
	return true;
}

bool wanted_add(struct wanted_list *list, const struct wanted *wanted)
{
	struct wanted *grown;

	if (!is_whole(wanted))
		return false;
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->list[i].key, wanted->key) == 0)
			return false;
	grown = reallocarray(list->list, list->count + 1, sizeof(*grown));
	if (!grown) {
		list->short_of_memory = true;
		return false;
	}
	list->list = grown;
	list->list[list->count++] = *wanted;
	return true;
}

void wanted_free(struct wanted_list *list)
{
	for (size_t i = 0; i < list->string_count; i++)
		free(list->strings[i]);
	free(list->strings);
	free(list->list);
	*list = (struct wanted_list){ 0 };
}
