/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/status_path.h"

#include <stdio.h>
#include <string.h>

bool wire_status_path(const char *socket, char *path, size_t size)
{
	static const char ending[] = ".comm";
	size_t length = strlen(socket);
	int needed;

	if (length >= strlen(ending) && strcmp(socket + length - strlen(ending), ending) == 0)
		length -= strlen(ending);
	needed = snprintf(path, size, "%.*s.status", (int)length, socket);
	return needed > 0 && (size_t)needed < size;
}
