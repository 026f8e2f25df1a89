/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PIN entry at the reader: the structures of PC/SC part 10 (§2.5.2 PIN_VERIFY, §2.5.3 PIN_MODIFY)
 * checked completely and turned into the data of PC_to_RDR_Secure (CCID 1.1 §6.1.11). The PIN
 * itself is never here: the reader puts it into the command.
 *
 * Pure functions; `struct pinpad_entry` points into the caller's bytes and lives no longer than
 * they do.
 */
#ifndef CARDWIRE_CCID_PINPAD_H
#define CARDWIRE_CCID_PINPAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ifd-ccid/quirk/quirk.h"

/* The fields keep the names and the coding of the specifications. */
struct pinpad_entry {
	bool modify;
	uint8_t bTimeOut; /* s; 0: the reader's own */
	uint8_t bmFormatString;
	uint8_t bmPINBlockString;
	uint8_t bmPINLengthFormat;
	uint8_t bInsertionOffsetOld; /* modify: bytes of the command's data before the PIN block */
	uint8_t bInsertionOffsetNew;
	uint8_t min; /* digits */
	uint8_t max;
	uint8_t bConfirmPIN;               /* modify */
	uint8_t bEntryValidationCondition; /* 1 to 7 */
	uint8_t bNumberMessage;
	uint16_t wLangId;
	uint8_t bMsgIndex[3];
	const uint8_t *apdu; /* with the filler where the reader puts the PIN */
	size_t apdu_len;     /* bytes, at least 4 */
};

/*
 * Reads LEN bytes of PIN_VERIFY or PIN_MODIFY, in either byte order. EXTENDED: the reader can carry
 * an extended APDU. Returns NULL, or a few static words naming the field that is wrong.
 */
const char *pinpad_parse(
	bool modify, const uint8_t *bytes, size_t len, bool extended, struct pinpad_entry *entry);

/*
 * The conditions of ENTRY that end it on a reader with these quirks. KNOWN: the conditions the
 * reader itself says it knows (CCID_PIN_VALID_…), 0 if it says nothing.
 */
uint8_t pinpad_validation(
	const struct pinpad_entry *entry, const struct quirk_set *quirks, uint8_t known);

/*
 * Writes bPINOperation and what follows to OUT, at most MAX bytes (CCID 1.1 §6.1.11.1, .2), as a
 * reader with these quirks needs it. PROLOGUE is bTeoPrologue, KNOWN as above. Returns the length;
 * 0: it doesn't fit.
 */
size_t pinpad_build(const struct pinpad_entry *entry, const struct quirk_set *quirks, uint8_t known,
	const uint8_t prologue[3], uint8_t *out, size_t max);

/* How many times the user enters a PIN. */
unsigned pinpad_entries(const struct pinpad_entry *entry);

/* True when the reader makes the command longer: the PIN block has no size of its own. */
bool pinpad_grows(const struct pinpad_entry *entry);

/* Longest command that the reader makes of it, bytes. */
size_t pinpad_longest(const struct pinpad_entry *entry);

#endif
