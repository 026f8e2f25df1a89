/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_LIBPCSCLITE_GIVE_H
#define CARDWIRE_LIBPCSCLITE_GIVE_H

/* Handing results to an application's buffer. Any thread. */

#include <stddef.h>

#include <winscard.h>

/*
 * Gives `length` bytes to the caller of the API. `buffer` and *room are what it passed: a buffer of
 * that size, NULL (it wants the length only), or SCARD_AUTOALLOCATE and the address of a
 * pointer. *room becomes `length`. SCARD_E_INSUFFICIENT_BUFFER: nothing was written;
 * SCARD_E_INVALID_PARAMETER: SCARD_AUTOALLOCATE without an address; SCARD_E_NO_MEMORY.
 */
LONG give_bytes(void *buffer, DWORD *room, const void *bytes, size_t length);

/* The same, but fills a buffer that is too small as far as it goes. */
LONG give_what_fits(void *buffer, DWORD *room, const void *bytes, size_t length);

#endif
