/* SPDX-License-Identifier: BSD-3-Clause */
#include "bundle_file.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	MAX_TEXT = 1 << 20,
};

/* An object of ours, so that the dynamic linker can tell which file we are in. */
static const char self_mark;

bool bundle_path(const char *name, char *path, size_t size)
{
	Dl_info self;
	const char *slash;
	size_t len;
	int n;

	if (dladdr(&self_mark, &self) == 0 || !self.dli_fname)
		return false;
	slash = strrchr(self.dli_fname, '/');
	len = slash ? (size_t)(slash - self.dli_fname) + 1 : 0;
	n = snprintf(path, size, "%.*s../%s", (int)len, self.dli_fname, name);
	return n >= 0 && (size_t)n < size;
}

char *bundle_read(const char *name)
{
	char path[4096];
	char *text;
	FILE *file;
	size_t len;

	if (!bundle_path(name, path, sizeof(path)))
		return NULL;
	file = fopen(path, "re");
	if (!file)
		return NULL;
	text = malloc(MAX_TEXT + 1);
	if (text) {
		len = fread(text, 1, MAX_TEXT, file);
		text[len] = '\0';
	}
	fclose(file);
	return text;
}
