/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver's options, from the Info.plist of the bundle the library lies in.
 *
 * Read once, by the first caller; read-only afterwards, so any thread may call.
 */
#ifndef CARDWIRE_CCID_OPTIONS_H
#define CARDWIRE_CCID_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

/* Bits of ifdDriverOptions. */
enum {
	OPTION_ESCAPE = 0x01,       /* Escape commands are allowed */
	OPTION_OLD_FIRMWARE = 0x04, /* readers that a quirk file refuses are opened */
	OPTION_VOLTAGE_MASK =
		0x30, /* first voltage: 0 5 V, 1 3 V, 2 1.8 V, 3 the reader's choice */
	OPTION_VOLTAGE_SHIFT = 4,
};

struct options {
	unsigned driver;       /* ifdDriverOptions */
	int64_t ceiling_ms;    /* ifdExchangeSeconds: without progress, for one exchange; 60 s */
	size_t recorder_bytes; /* ifdRecorderKiB; 0: nothing is recorded */
	int64_t total_ms; /* ifdTotalSeconds: for one call, whatever the card asks for; 15 min */
};

const struct options *options_get(void);

/*
 * Finds <key>KEY</key> in TEXT and the <string> behind it, read as a number in C's syntax. Returns
 * FALLBACK when there is none. Pure.
 */
unsigned long options_number(const char *text, const char *key, unsigned long fallback);

#endif
