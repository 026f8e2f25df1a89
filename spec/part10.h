/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Layouts of PC/SC part 10, "IFDs with Secure PIN Entry Capabilities", v2.02.09: byte strings,
 * whose numbers are in host order; and the status words that a reader with a PIN pad gives in place
 * of the card. The feature tags and property tags are in <reader.h>.
 */
#ifndef CARDWIRE_SPEC_PART10_H
#define CARDWIRE_SPEC_PART10_H

/* PIN_VERIFY (part 10 §2.5.2). */
enum {
	PART10_VERIFY_bTimeOut = 0,  /* s; 0: the reader's own */
	PART10_VERIFY_bTimeOut2 = 1, /* s, after the first key */
	PART10_VERIFY_bmFormatString = 2,
	PART10_VERIFY_bmPINBlockString = 3,
	PART10_VERIFY_bmPINLengthFormat = 4,
	PART10_VERIFY_wPINMaxExtraDigit = 5, /* most digits in the low byte, fewest in the high */
	PART10_VERIFY_bEntryValidationCondition = 7,
	PART10_VERIFY_bNumberMessage = 8,
	PART10_VERIFY_wLangId = 9,
	PART10_VERIFY_bMsgIndex = 11,
	PART10_VERIFY_bTeoPrologue = 12,
	PART10_VERIFY_ulDataLength = 15,
	PART10_VERIFY_abData = 19,
};

/* PIN_MODIFY (part 10 §2.5.3). */
enum {
	PART10_MODIFY_bTimeOut = 0,
	PART10_MODIFY_bTimeOut2 = 1,
	PART10_MODIFY_bmFormatString = 2,
	PART10_MODIFY_bmPINBlockString = 3,
	PART10_MODIFY_bmPINLengthFormat = 4,
	PART10_MODIFY_bInsertionOffsetOld = 5,
	PART10_MODIFY_bInsertionOffsetNew = 6,
	PART10_MODIFY_wPINMaxExtraDigit = 7,
	PART10_MODIFY_bConfirmPIN = 9,
	PART10_MODIFY_bEntryValidationCondition = 10,
	PART10_MODIFY_bNumberMessage = 11,
	PART10_MODIFY_wLangId = 12,
	PART10_MODIFY_bMsgIndex1 = 14,
	PART10_MODIFY_bMsgIndex2 = 15,
	PART10_MODIFY_bMsgIndex3 = 16,
	PART10_MODIFY_bTeoPrologue = 17,
	PART10_MODIFY_ulDataLength = 20,
	PART10_MODIFY_abData = 24,
};

/* Input and output of EXECUTE_PACE (part 10 amendment 1). */
enum {
	PART10_PACE_bFunction = 0,
	PART10_PACE_wInputLength = 1, /* little endian, as all numbers here */
	PART10_PACE_abInput = 3,
	PART10_PACE_GET_CAPABILITIES = 1, /* bFunction */
	PART10_PACE_ESTABLISH_CHANNEL = 2,
	PART10_PACE_DESTROY_CHANNEL = 3,
	PART10_PACE_dwResult = 0,
	PART10_PACE_wOutputLength = 4,
	PART10_PACE_abOutput = 6,
};

/* dwResult of EXECUTE_PACE, as far as it isn't the card's (part 10 amendment 1). */
#define PART10_PACE_OK      UINT32_C(0)
#define PART10_PACE_ABORT   UINT32_C(0xF0200001)
#define PART10_PACE_TIMEOUT UINT32_C(0xF0200002)

/* SW1 SW2 of the reader itself (part 10 §2.5.2, §2.5.3). */
enum {
	PART10_SW_TIMEOUT = 0x6400,
	PART10_SW_CANCELLED = 0x6401,
	PART10_SW_MISMATCH = 0x6402, /* the two entries of the new PIN differ */
	PART10_SW_LENGTH = 0x6403,   /* too short or too long */
	PART10_SW_BAD_STRUCTURE = 0x6B80,
};

#endif
