/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_PCSCD_WANTED_H
#define CARDWIRE_PCSCD_WANTED_H

/*
 * A list of devices for inventory_sync(), which owns the strings in it. Not locked; belongs to
 * whoever builds it.
 */

#include <stdbool.h>
#include <stddef.h>

#include "pcscd/readers/inventory.h"

struct wanted_list {
	struct wanted *list;
	size_t count;
	char **strings; /* owned, what the list points to */
	size_t string_count;
	bool short_of_memory; /* something had to be left out */
};

/* A string that lives as long as the list; NULL (and short_of_memory) if memory is short. */
const char *wanted_string(struct wanted_list *list, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * The library at `path` as a string of the list, with links resolved: the paths of one driver that
 * a bundle and reader.conf name are the same then. A path that leads nowhere stays as it is.
 */
const char *wanted_library(struct wanted_list *list, const char *path);

/*
 * Appends a device; left out if one of its strings is NULL where none may be (see
 * wanted_string()) or a device with its key is there already: then false.
 */
bool wanted_add(struct wanted_list *list, const struct wanted *wanted);

/* Frees everything and makes the list zeros. */
void wanted_free(struct wanted_list *list);

#endif
