/* SPDX-License-Identifier: BSD-3-Clause */
#include "give.h"

#include <stdlib.h>
#include <string.h>

static LONG give_allocated(void **pointer, const void *bytes, size_t length)
{
	void *copy;

	if (!pointer)
		return SCARD_E_INVALID_PARAMETER;
	copy = malloc(length ? length : 1);
	*pointer = copy;
	if (!copy)
		return SCARD_E_NO_MEMORY;
	memcpy(copy, bytes, length);
	return SCARD_S_SUCCESS;
}

static LONG give(void *buffer, DWORD *room, const void *bytes, size_t length, size_t partly)
{
	DWORD had = *room;

	*room = (DWORD)length;
	if (had == SCARD_AUTOALLOCATE)
		return give_allocated(buffer, bytes, length);
	if (!buffer)
		return SCARD_S_SUCCESS;
	if (had < length) {
		memcpy(buffer, bytes, partly < had ? partly : had);
		return SCARD_E_INSUFFICIENT_BUFFER;
	}
	memcpy(buffer, bytes, length);
	return SCARD_S_SUCCESS;
}

LONG give_bytes(void *buffer, DWORD *room, const void *bytes, size_t length)
{
	return give(buffer, room, bytes, length, 0);
}

LONG give_what_fits(void *buffer, DWORD *room, const void *bytes, size_t length)
{
	return give(buffer, room, bytes, length, length);
}
