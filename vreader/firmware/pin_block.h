/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a reader puts a PIN into a command: digits, justification, length field, and an Lc that
 * counts them (CCID 1.1 §6.1.11.1 to §6.1.11.7). Written from the reader's side. Pure; no
 * allocation.
 */
#ifndef CARDWIRE_VREADER_PIN_BLOCK_H
#define CARDWIRE_VREADER_PIN_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PIN_DIGITS_MAX = 255,
	PIN_COMMAND_MAX = 1024, /* a template and what two PINs without a block size add to it */
};

/* The three bytes that say it all. */
struct pin_format {
	uint8_t bmFormatString;
	uint8_t bmPINBlockString;
	uint8_t bmPINLengthFormat;
};

struct pin {
	uint8_t digits[PIN_DIGITS_MAX]; /* 0 to 9 */
	size_t count;
};

/* A command being made; starts as the host's template. */
struct pin_command {
	uint8_t bytes[PIN_COMMAND_MAX];
	size_t len;
	bool bare; /* the template has no data: each PIN block comes with its own */
};

/*
 * Puts a PIN into the data of a command, OFFSET bytes behind the data's start. False: it isn't
 * there, or has no room for a length of that many digits; the command is then of no use.
 */
bool pin_insert(struct pin_command *command, struct pin_format format, size_t offset,
	const struct pin *pin);

#endif
