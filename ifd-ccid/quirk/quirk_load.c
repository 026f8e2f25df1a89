/* SPDX-License-Identifier: BSD-3-Clause */
/* Quirk files and folders of them. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "quirk_private.h"

#define SUFFIX ".quirks"

static bool refuse(const char *path, const char *why, quirk_say *say, void *owner)
{
	char line[512];

	snprintf(line, sizeof(line), "%s: %s", path, why);
	if (say)
		say(owner, line);
	return false;
}

bool quirk_table_read(struct quirk_table *table, const char *path, quirk_say *say, void *owner)
{
	char *text = malloc(QUIRK_FILE_MAX + 1);
	FILE *file = fopen(path, "re");
	const char *why = NULL;
	size_t len = 0;
	bool ok;

	if (!file || !text) {
		why = strerror(errno);
	} else {
		len = fread(text, 1, QUIRK_FILE_MAX + 1, file);
		if (ferror(file))
			why = strerror(errno);
	}
	if (why)
		ok = refuse(path, why, say, owner);
	else
		ok = quirk_table_add(table, path, text, len, say, owner);
	if (file)
		fclose(file);
	free(text);
	return ok;
}

static int is_quirk_file(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);
	size_t suffix = strlen(SUFFIX);

	return entry->d_name[0] != '.' && len > suffix &&
	       strcmp(entry->d_name + len - suffix, SUFFIX) == 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

bool quirk_table_load(struct quirk_table *table, const char *folder, quirk_say *say, void *owner)
{
	struct dirent **entries = NULL;
	int count = scandir(folder, &entries, is_quirk_file, by_bytes);
	bool ok = true;

	if (count < 0)
		return errno == ENOENT || refuse(folder, strerror(errno), say, owner);
	for (int i = 0; i < count; i++) {
		char path[4096];

		if (snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name) >=
			(int)sizeof(path))
			ok = refuse(folder, "the path is too long", say, owner);
		else if (!quirk_table_read(table, path, say, owner))
			ok = false;
		free(entries[i]);
	}
	free(entries);
	return ok;
}

bool quirk_table_load_all(
	struct quirk_table *table, const char *installed, quirk_say *say, void *owner)
{
	const char *listed = secure_getenv("CARDWIRE_QUIRKS");
	char *folders = listed ? strdup(listed) : NULL;
	char *save = NULL;
	bool ok = true;

	if (!listed) {
		if (installed)
			ok = quirk_table_load(table, installed, say, owner);
		return quirk_table_load(table, QUIRK_LOCAL_FOLDER, say, owner) && ok;
	}
	for (char *folder = folders ? strtok_r(folders, ":", &save) : NULL; folder;
		folder = strtok_r(NULL, ":", &save))
		ok = quirk_table_load(table, folder, say, owner) && ok;
	free(folders);
	return ok;
}
