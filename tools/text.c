/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/text.h"

#include <stddef.h>
#include <stdint.h>

/* Ranges of UTF-8 by the first byte (Unicode, table 3-7): how many bytes, and the second one's. */
static const struct {
	uint8_t first, last;
	uint8_t length;
	uint8_t second_low, second_high;
} ranges[] = {
	{ 0x20, 0x7E, 1, 0, 0 },
	{ 0xC2, 0xC2, 2, 0xA0, 0xBF }, /* below A0 are control characters */
	{ 0xC3, 0xDF, 2, 0x80, 0xBF },
	{ 0xE0, 0xE0, 3, 0xA0, 0xBF },
	{ 0xE1, 0xEC, 3, 0x80, 0xBF },
	{ 0xED, 0xED, 3, 0x80, 0x9F },
	{ 0xEE, 0xEF, 3, 0x80, 0xBF },
	{ 0xF0, 0xF0, 4, 0x90, 0xBF },
	{ 0xF1, 0xF3, 4, 0x80, 0xBF },
	{ 0xF4, 0xF4, 4, 0x80, 0x8F },
};

/* Bytes of the character at AT, which ends with a NUL at the latest; 0: it is none. */
static size_t character_length(const uint8_t *at)
{
	size_t i = 0;

	while (i < sizeof(ranges) / sizeof(ranges[0]) && *at > ranges[i].last)
		i++;
	if (i == sizeof(ranges) / sizeof(ranges[0]) || *at < ranges[i].first)
		return 0;
	if (ranges[i].length > 1 && (at[1] < ranges[i].second_low || at[1] > ranges[i].second_high))
		return 0;
	for (size_t more = 2; more < ranges[i].length; more++)
		if ((at[more] & 0xC0) != 0x80)
			return 0;
	return ranges[i].length;
}

void text_clean(char *text)
{
	while (*text) {
		size_t length = character_length((const uint8_t *)text);

		if (length == 0)
			*text = '?';
		text += length ? length : 1;
	}
}
