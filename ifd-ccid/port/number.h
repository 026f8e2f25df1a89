/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers and fixed words in device strings, each checked and stepped over. Pure. */
#ifndef CARDWIRE_CCID_NUMBER_H
#define CARDWIRE_CCID_NUMBER_H

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Moves *AT behind WORD; false: something else is there. */
static inline bool number_skip(const char **at, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(*at, word, len) != 0)
		return false;
	*at += len;
	return true;
}

/* Moves *AT behind a number without sign, at most MAX; false: there is none. */
static inline bool number_take(const char **at, int base, unsigned max, unsigned *out)
{
	unsigned long value;
	char *end;

	if (!isxdigit((unsigned char)**at))
		return false;
	value = strtoul(*at, &end, base);
	if (end == *at || value > max)
		return false;
	*at = end;
	*out = (unsigned)value;
	return true;
}

#endif
