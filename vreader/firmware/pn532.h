/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The chip in readers whose firmware passes raw commands only: commands D4 xx and answers D5 xx of
 * the PN532 (NXP UM0701-02 chapter 7), as far as a reader of one passive target needs them.
 *
 * Plain struct of a slot. It has no clock: it says how long the target takes.
 */
#ifndef CARDWIRE_VREADER_PN532_H
#define CARDWIRE_VREADER_PN532_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vreader/cards/tag.h"

enum {
	/* Data of one answer: the chip has room for 262, the reader around it for 255 with the
	 * rest. */
	PN532_DATA_MAX = 252,
	PN532_ANSWER_MAX = PN532_DATA_MAX + 3,
};

struct pn532 {
	bool listed; /* target 1 is selected */
	uint8_t command[APDU_COMMAND_MAX];
	size_t command_len; /* of a command that comes in parts */
	const uint8_t *rest;
	size_t rest_len; /* of an answer that goes in parts */
};

/* The field is off, or the tag has left it: nothing is selected. */
void pn532_reset(struct pn532 *chip);

/*
 * Runs one command on the tag in the field (NULL: none). Returns the length of the answer in OUT; 0:
 * not a command. *DELAY_MS: how long it takes.
 */
size_t pn532_command(struct pn532 *chip, struct tag *tag, const uint8_t *command, size_t len,
	uint8_t out[PN532_ANSWER_MAX], uint32_t *delay_ms);

#endif
