/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_PCSCD_NAMES_H
#define CARDWIRE_PCSCD_NAMES_H

/*
 * Base names of readers, formed as pcsc-lite forms them: users have them in their configuration.
 * The reader table appends " 00 00" (device and slot). Pure; any thread.
 */

#include <stdbool.h>
#include <stddef.h>

#define NAME_BASE_MAX 121 /* bytes of a base name: 128 less " 00 00" and its NUL */

struct name_rules {
	bool no_interface; /* without " [interface]" (-I) */
	bool no_serial;    /* without " (serial)" (-S) */
	const char
		*ignore; /* names with one of these ':'-separated parts are no readers, or NULL */
	const char *extend; /* appended as it is, or NULL */
};

/* Fills in `ignore` and `extend` from PCSCLITE_FILTER_{IGNORE,EXTEND}_READER_NAMES. */
void name_rules_environment(struct name_rules *rules);

/*
 * What a device says of itself, cut to `size` bytes with the NUL: bytes beyond ASCII and control
 * characters become '.'.
 */
void name_ascii(char *out, size_t size, const char *text);

/*
 * "friendly [interface] (serial)", without what is NULL, empty or not wanted; the serial number is
 * left out if the interface's text holds it. Interface and serial number are the device's, as they
 * are; of the friendly name only control characters become '.'. With the extension; cut to
 * NAME_BASE_MAX bytes such that the extension stays whole and no UTF-8 character is cut.
 */
void name_of_device(char name[NAME_BASE_MAX + 1], const struct name_rules *rules,
	const char *friendly, const char *interface, const char *serial);

/* The same for a configured reader: its friendly name and the extension. */
void name_of_configured(
	char name[NAME_BASE_MAX + 1], const struct name_rules *rules, const char *friendly);

/* True if a name tells that the reader is one for contactless cards. */
bool name_says_contactless(const char *name);

/* True if the rules say that a reader of this name is to be ignored. */
bool name_is_ignored(const struct name_rules *rules, const char *name);

#endif
