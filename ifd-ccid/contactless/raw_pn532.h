/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The dialect of readers that pass commands to a PN532 (NXP UM0701-02): FF 00 00 00 Lc, then D4 and
 * the command, in a PC_to_RDR_Escape.
 *
 * Pure but for what PN532_SEND does.
 */
#ifndef CARDWIRE_CCID_RAW_PN532_H
#define CARDWIRE_CCID_RAW_PN532_H

#include "raw.h"

/*
 * Sends an Escape; ANSWER has room for *ANSWER_LEN bytes, *ANSWER_LEN becomes its length. It is the
 * first member of what the dialect's OWNER points to.
 */
struct pn532_carrier {
	enum ccid_result (*send)(struct pn532_carrier *carrier, const uint8_t *command, size_t len,
		uint8_t *answer, size_t *answer_len);
};

extern const struct raw_dialect raw_pn532;

#endif
