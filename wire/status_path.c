/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/status_path.h"

#include <stdio.h>
#include <string.h>

static bool path_beside(const char *socket, const char *name, char *path, size_t size)
{
	static const char ending[] = ".comm";
	size_t length = strlen(socket);
	int needed;

	if (length >= strlen(ending) && strcmp(socket + length - strlen(ending), ending) == 0)
		length -= strlen(ending);
	needed = snprintf(path, size, "%.*s.%s", (int)length, socket, name);
	return needed > 0 && (size_t)needed < size;
}

bool wire_status_path(const char *socket, char *path, size_t size)
{
	return path_beside(socket, "status", path, size);
}

bool wire_recording_path(const char *socket, char *path, size_t size)
{
	return path_beside(socket, "record", path, size);
}
