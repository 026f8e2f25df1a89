/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes written as hexadecimal digits. Pure. */
#ifndef CARDWIRE_VREADER_HEX_H
#define CARDWIRE_VREADER_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of an even number of digits into OUT; false when they are not that, or more than MAX. */
static inline bool hex_parse(const char *text, uint8_t *out, size_t max, size_t *len)
{
	size_t digits = strlen(text);

	if (digits % 2 || digits / 2 > max || strspn(text, "0123456789abcdefABCDEF") != digits)
		return false;
	for (size_t i = 0; i < digits / 2; i++) {
		char pair[3] = { text[2 * i], text[2 * i + 1], '\0' };

		out[i] = (uint8_t)strtoul(pair, NULL, 16);
	}
	*len = digits / 2;
	return true;
}

#endif
