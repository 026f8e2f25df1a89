/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/readers/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHOLE_NAME 1024 /* room for a name before it is cut */

void name_rules_environment(struct name_rules *rules)
{
	rules->ignore = secure_getenv("PCSCLITE_FILTER_IGNORE_READER_NAMES");
	rules->extend = secure_getenv("PCSCLITE_FILTER_EXTEND_READER_NAMES");
}

/* `text` cut to at most `max` bytes, not within a UTF-8 character. */
static size_t cut(const char *text, size_t max)
{
	size_t length = strlen(text);

	if (length <= max)
		return length;
	while (max > 0 && ((unsigned char)text[max] & 0xC0) == 0x80)
		max--;
	return max;
}

/*
 * `base` and the extension, which stays whole unless it is too long by itself. Programs print names
 * on terminals: control characters become '.'.
 */
static void finish(char name[NAME_BASE_MAX + 1], const struct name_rules *rules, const char *base)
{
	const char *extend = rules->extend ? rules->extend : "";
	size_t tail = cut(extend, NAME_BASE_MAX);
	size_t head = cut(base, NAME_BASE_MAX - tail);

	memcpy(name, base, head);
	memcpy(name + head, extend, tail);
	name[head + tail] = '\0';
	for (char *c = name; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7F)
			*c = '.';
}

void name_ascii(char *out, size_t size, const char *text)
{
	size_t i;

	for (i = 0; text[i] && i + 1 < size; i++) {
		unsigned char c = (unsigned char)text[i];

		out[i] = c < ' ' || c > '~' ? '.' : text[i];
	}
	out[i] = '\0';
}

void name_of_device(char name[NAME_BASE_MAX + 1], const struct name_rules *rules,
	const char *friendly, const char *interface, const char *serial)
{
	char whole[WHOLE_NAME];
	char shown[NAME_BASE_MAX + 1] = "";
	char number[NAME_BASE_MAX + 1] = "";

	if (interface && !rules->no_interface)
		name_ascii(shown, sizeof(shown), interface);
	if (serial && !rules->no_serial)
		name_ascii(number, sizeof(number), serial);
	if (interface && serial && strstr(interface, serial))
		number[0] = '\0';
	snprintf(whole, sizeof(whole), "%.700s%s%s%s%s%s%s", friendly, shown[0] ? " [" : "", shown,
		shown[0] ? "]" : "", number[0] ? " (" : "", number, number[0] ? ")" : "");
	finish(name, rules, whole);
}

void name_of_configured(
	char name[NAME_BASE_MAX + 1], const struct name_rules *rules, const char *friendly)
{
	finish(name, rules, friendly);
}

bool name_says_contactless(const char *name)
{
	static const char *const words[] = { "contactless", "PICC", "NFC", "RFID" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasestr(name, words[i]))
			return true;
	return false;
}

bool name_is_ignored(const struct name_rules *rules, const char *name)
{
	const char *part = rules->ignore;

	while (part && *part) {
		size_t length = strcspn(part, ":");

		if (length && memmem(name, strlen(name), part, length))
			return true;
		part += length;
		if (*part)
			part++;
	}
	return false;
}
