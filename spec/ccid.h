/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Numbers and layouts of the USB device class for smart card readers: "Specification for Integrated
 * Circuit(s) Cards Interface Devices" (CCID), revision 1.1, and "USB ICCD", revision 1.0.
 *
 * Messages and descriptors are byte strings, little endian; layouts are offsets into them.
 */
#ifndef CARDWIRE_SPEC_CCID_H
#define CARDWIRE_SPEC_CCID_H

/* bInterfaceClass, and bInterfaceProtocol (CCID 1.1 §4.4.1; ICCD 1.0 §4.1). */
enum {
	CCID_INTERFACE_CLASS = 0x0B,
	CCID_INTERFACE_CLASS_VENDOR = 0xFF, /* readers older than the class's number */
	CCID_PROTOCOL_BULK = 0x00,
	CCID_PROTOCOL_ICCD_A = 0x01,
	CCID_PROTOCOL_ICCD_B = 0x02,
};

/* Class descriptor: type, size, and the offset of each field (CCID 1.1 §5.1, table 5.1-1). */
enum {
	CCID_DESC_TYPE = 0x21,
	CCID_DESC_TYPE_VENDOR = 0xFF, /* used by some readers of the vendor class */
	CCID_DESC_bLength = 0,
	CCID_DESC_bDescriptorType = 1,
	CCID_DESC_bcdCCID = 2,
	CCID_DESC_bMaxSlotIndex = 4,
	CCID_DESC_bVoltageSupport = 5,
	CCID_DESC_dwProtocols = 6,
	CCID_DESC_dwDefaultClock = 10, /* kHz */
	CCID_DESC_dwMaximumClock = 14, /* kHz */
	CCID_DESC_bNumClockSupported = 18,
	CCID_DESC_dwDataRate = 19,    /* bit/s */
	CCID_DESC_dwMaxDataRate = 23, /* bit/s */
	CCID_DESC_bNumDataRatesSupported = 27,
	CCID_DESC_dwMaxIFSD = 28,
	CCID_DESC_dwSynchProtocols = 32,
	CCID_DESC_dwMechanical = 36,
	CCID_DESC_dwFeatures = 40,
	CCID_DESC_dwMaxCCIDMessageLength = 44,
	CCID_DESC_bClassGetResponse = 48,
	CCID_DESC_bClassEnvelope = 49,
	CCID_DESC_wLcdLayout = 50, /* lines in the high byte, characters a line in the low */
	CCID_DESC_bPINSupport = 52,
	CCID_DESC_bMaxCCIDBusySlots = 53,
	CCID_DESC_SIZE = 54,
};

/* bVoltageSupport (CCID 1.1 §5.1). */
enum {
	CCID_VOLTAGE_5V = 0x01,
	CCID_VOLTAGE_3V = 0x02,
	CCID_VOLTAGE_1V8 = 0x04,
};

/* dwProtocols (CCID 1.1 §5.1). */
enum {
	CCID_PROTOCOLS_T0 = 0x00000001,
	CCID_PROTOCOLS_T1 = 0x00000002,
};

/* dwMechanical (CCID 1.1 §5.1). */
enum {
	CCID_MECHANICAL_ACCEPT = 0x00000001,
	CCID_MECHANICAL_EJECT = 0x00000002,
	CCID_MECHANICAL_CAPTURE = 0x00000004,
	CCID_MECHANICAL_LOCK = 0x00000008,
};

/* dwFeatures (CCID 1.1 §5.1). */
enum {
	CCID_FEATURE_AUTO_CONF_ATR = 0x00000002,
	CCID_FEATURE_AUTO_ACTIVATION = 0x00000004,
	CCID_FEATURE_AUTO_VOLTAGE = 0x00000008,
	CCID_FEATURE_AUTO_CLOCK = 0x00000010,
	CCID_FEATURE_AUTO_BAUD = 0x00000020,
	CCID_FEATURE_AUTO_PARAM_NEGOTIATION = 0x00000040,
	CCID_FEATURE_AUTO_PPS = 0x00000080,
	CCID_FEATURE_CLOCK_STOP = 0x00000100,
	CCID_FEATURE_NAD = 0x00000200,
	CCID_FEATURE_AUTO_IFSD = 0x00000400,
	CCID_FEATURE_USB_ICC = 0x00000800,
	CCID_FEATURE_LEVEL_CHARACTER = 0x00000000,
	CCID_FEATURE_LEVEL_TPDU = 0x00010000,
	CCID_FEATURE_LEVEL_SHORT_APDU = 0x00020000,
	CCID_FEATURE_LEVEL_EXTENDED_APDU = 0x00040000,
	CCID_FEATURE_LEVEL_MASK = 0x00070000,
	CCID_FEATURE_USB_WAKE_UP = 0x00100000,
};

/* bPINSupport (CCID 1.1 §5.1). */
enum {
	CCID_PIN_VERIFY = 0x01,
	CCID_PIN_MODIFY = 0x02,
	CCID_PIN_PACE_CAPABILITIES = 0x10, /* BSI TR-03119 annex D */
	CCID_PIN_PACE_EXECUTE = 0x20,
	CCID_PIN_KNOWN = 0x33,
};

/* bRequest of class requests on the control pipe, to an interface (CCID 1.1 §5.3). */
enum {
	CCID_REQ_ABORT = 0x01,                 /* 21h; wValue: bSlot low byte, bSeq high byte */
	CCID_REQ_GET_CLOCK_FREQUENCIES = 0x02, /* A1h; 4 bytes each, kHz */
	CCID_REQ_GET_DATA_RATES = 0x03,        /* A1h; 4 bytes each, bit/s */
};

/* bRequest of USB ICCs that have no bulk pipes (ICCD 1.0 §6.1 version A, §6.2 version B). */
enum {
	ICCD_REQ_ICC_POWER_ON = 0x62,
	ICCD_REQ_ICC_POWER_OFF = 0x63,
	ICCD_REQ_XFR_BLOCK = 0x65,
	ICCD_REQ_DATA_BLOCK = 0x6F,
	ICCD_REQ_SLOT_STATUS_B = 0x81,
	ICCD_REQ_GET_ICC_STATUS_A = 0xA0,
};

/* Version A, the byte GET_ICC_STATUS answers (ICCD 1.0 §6.1). */
enum {
	ICCD_A_STATUS_READY_FOR_DATA = 0x10,
	ICCD_A_STATUS_SW_READY = 0x20,
	ICCD_A_STATUS_BUSY = 0x40,
	ICCD_A_STATUS_MUTE = 0x80,
};

/* Version B, bResponseType (ICCD 1.0 §6.2). */
enum {
	ICCD_B_RESPONSE_DATA = 0x00,
	ICCD_B_RESPONSE_BEGIN = 0x01,
	ICCD_B_RESPONSE_END = 0x02,
	ICCD_B_RESPONSE_CONTINUE = 0x03,
	ICCD_B_RESPONSE_EMPTY = 0x10,
	ICCD_B_RESPONSE_ERROR = 0x40,   /* next byte: as bmICCStatus; then bError */
	ICCD_B_RESPONSE_POLLING = 0x80, /* next two bytes: wait in units of 10 ms */
};

/* Header that each bulk message begins with (CCID 1.1 §6.1, §6.2). */
enum {
	CCID_MSG_bMessageType = 0,
	CCID_MSG_dwLength = 1, /* bytes of abData, after the header */
	CCID_MSG_bSlot = 5,
	CCID_MSG_bSeq = 6,
	CCID_MSG_abData = 10,
	CCID_MSG_HEADER_SIZE = 10,
};

/* Header bytes 7 to 9, by message; those of bulk-OUT not named here are RFU (CCID 1.1 §6.1). */
enum {
	CCID_MSG_bPowerSelect = 7,     /* IccPowerOn */
	CCID_MSG_bBWI = 7,             /* XfrBlock, Secure */
	CCID_MSG_wLevelParameter = 8,  /* XfrBlock, Secure */
	CCID_MSG_bProtocolNum_OUT = 7, /* SetParameters */
	CCID_MSG_bClockCommand = 7,    /* IccClock */
	CCID_MSG_bmChanges = 7,        /* T0APDU */
	CCID_MSG_bClassGetResponse = 8,
	CCID_MSG_bClassEnvelope = 9,
	CCID_MSG_bFunction = 7, /* Mechanical */
};

/* Header bytes 7 to 9 of bulk-IN (CCID 1.1 §6.2). */
enum {
	CCID_MSG_bStatus = 7,
	CCID_MSG_bError = 8,
	CCID_MSG_bChainParameter = 9, /* DataBlock */
	CCID_MSG_bClockStatus = 9,    /* SlotStatus */
	CCID_MSG_bProtocolNum_IN = 9, /* Parameters */
};

/* bMessageType of bulk-OUT (CCID 1.1 §6.1, table 6.1-1). */
enum {
	PC_to_RDR_SetParameters = 0x61,
	PC_to_RDR_IccPowerOn = 0x62,
	PC_to_RDR_IccPowerOff = 0x63,
	PC_to_RDR_GetSlotStatus = 0x65,
	PC_to_RDR_Secure = 0x69,
	PC_to_RDR_T0APDU = 0x6A,
	PC_to_RDR_Escape = 0x6B,
	PC_to_RDR_GetParameters = 0x6C,
	PC_to_RDR_ResetParameters = 0x6D,
	PC_to_RDR_IccClock = 0x6E,
	PC_to_RDR_XfrBlock = 0x6F,
	PC_to_RDR_Mechanical = 0x71,
	PC_to_RDR_Abort = 0x72,
	PC_to_RDR_SetDataRateAndClockFrequency = 0x73,
	PC_to_RDR_Secure_KEYBOARD = 0x89, /* not of the class: Secure for some keyboards */
};

/* bMessageType of bulk-IN (CCID 1.1 §6.2, table 6.2-1). */
enum {
	RDR_to_PC_DataBlock = 0x80,
	RDR_to_PC_SlotStatus = 0x81,
	RDR_to_PC_Parameters = 0x82,
	RDR_to_PC_Escape = 0x83,
	RDR_to_PC_DataRateAndClockFrequency = 0x84,
};

/* bMessageType of interrupt-IN (CCID 1.1 §6.3). */
enum {
	RDR_to_PC_NotifySlotChange = 0x50,
	RDR_to_PC_HardwareError = 0x51,
};

/* RDR_to_PC_NotifySlotChange: 2 bits a slot from byte 1, slot 0 lowest (CCID 1.1 §6.3.1). */
enum {
	CCID_NOTIFY_bmSlotICCState = 1,
	CCID_NOTIFY_SLOTS_PER_BYTE = 4,
	CCID_NOTIFY_PRESENT = 0x01,
	CCID_NOTIFY_CHANGED = 0x02,
};

/* RDR_to_PC_HardwareError (CCID 1.1 §6.3.2). */
enum {
	CCID_HWERROR_bSlot = 1,
	CCID_HWERROR_bSeq = 2,
	CCID_HWERROR_bHardwareErrorCode = 3,
	CCID_HWERROR_SIZE = 4,
	CCID_HWERROR_OVERCURRENT = 0x01,
};

/* bPowerSelect of PC_to_RDR_IccPowerOn (CCID 1.1 §6.1.1). */
enum {
	CCID_POWER_AUTO = 0,
	CCID_POWER_5V = 1,
	CCID_POWER_3V = 2,
	CCID_POWER_1V8 = 3,
};

/* wLevelParameter of XfrBlock at extended APDU level, bChainParameter of DataBlock (CCID 1.1
 * §6.1.4, §6.2.1). */
enum {
	CCID_CHAIN_WHOLE = 0x00,
	CCID_CHAIN_BEGIN = 0x01,
	CCID_CHAIN_END = 0x02,
	CCID_CHAIN_CONTINUE = 0x03,
	CCID_CHAIN_EMPTY = 0x10, /* no data: the other side shall send its next part */
};

/* bStatus (CCID 1.1 §6.2.6, table 6.2-3). */
enum {
	CCID_ICC_ACTIVE = 0x00,
	CCID_ICC_INACTIVE = 0x01,
	CCID_ICC_ABSENT = 0x02,
	CCID_ICC_MASK = 0x03,
	CCID_COMMAND_OK = 0x00,
	CCID_COMMAND_FAILED = 0x40,
	CCID_COMMAND_TIME_EXTENSION = 0x80, /* bError: multiplier of BWT or WWT */
	CCID_COMMAND_MASK = 0xC0,
};

/* bError of a failed command (CCID 1.1 §6.2.6, table 6.2-2). 01h to 7Fh, not named here: the offset
 * of the header or data byte that is wrong. */
enum {
	CCID_ERROR_CMD_NOT_SUPPORTED = 0x00,
	CCID_ERROR_BAD_LENGTH = 0x01,
	CCID_ERROR_BAD_SLOT = 0x05,
	CCID_ERROR_CMD_SLOT_BUSY = 0xE0,
	CCID_ERROR_PIN_CANCELLED = 0xEF,
	CCID_ERROR_PIN_TIMEOUT = 0xF0,
	CCID_ERROR_BUSY_WITH_AUTO_SEQUENCE = 0xF2,
	CCID_ERROR_DEACTIVATED_PROTOCOL = 0xF3,
	CCID_ERROR_PROCEDURE_BYTE_CONFLICT = 0xF4,
	CCID_ERROR_ICC_CLASS_NOT_SUPPORTED = 0xF5,
	CCID_ERROR_ICC_PROTOCOL_NOT_SUPPORTED = 0xF6,
	CCID_ERROR_BAD_ATR_TCK = 0xF7,
	CCID_ERROR_BAD_ATR_TS = 0xF8,
	CCID_ERROR_HW_ERROR = 0xFB,
	CCID_ERROR_XFR_OVERRUN = 0xFC,
	CCID_ERROR_XFR_PARITY_ERROR = 0xFD,
	CCID_ERROR_ICC_MUTE = 0xFE,
	CCID_ERROR_CMD_ABORTED = 0xFF,
};

/* bClockCommand of IccClock, bClockStatus of SlotStatus (CCID 1.1 §6.1.9, §6.2.2). */
enum {
	CCID_CLOCK_RESTART = 0x00,
	CCID_CLOCK_STOP = 0x01,
	CCID_CLOCK_RUNNING = 0x00,
	CCID_CLOCK_STOPPED_LOW = 0x01,
	CCID_CLOCK_STOPPED_HIGH = 0x02,
	CCID_CLOCK_STOPPED = 0x03,
};

/* bFunction of Mechanical (CCID 1.1 §6.1.12). */
enum {
	CCID_FUNCTION_ACCEPT = 0x01,
	CCID_FUNCTION_EJECT = 0x02,
	CCID_FUNCTION_CAPTURE = 0x03,
	CCID_FUNCTION_LOCK = 0x04,
	CCID_FUNCTION_UNLOCK = 0x05,
};

/* abProtocolDataStructure for T=0, in abData (CCID 1.1 §6.1.7, §6.2.3). */
enum {
	CCID_T0_bmFindexDindex = 0, /* as TA1 */
	CCID_T0_bmTCCKS = 1,
	CCID_T0_bGuardTime = 2,
	CCID_T0_bWaitingInteger = 3,
	CCID_T0_bClockStop = 4,
	CCID_T0_SIZE = 5,
	CCID_T0_TCCKS_FIXED = 0x00,
};

/* abProtocolDataStructure for T=1, in abData (CCID 1.1 §6.1.7, §6.2.3). */
enum {
	CCID_T1_bmFindexDindex = 0, /* as TA1 */
	CCID_T1_bmTCCKS = 1,
	CCID_T1_bGuardTime = 2,
	CCID_T1_bmWaitingIntegers = 3, /* BWI in the high nibble, CWI in the low */
	CCID_T1_bClockStop = 4,
	CCID_T1_bIFSC = 5,
	CCID_T1_bNadValue = 6,
	CCID_T1_SIZE = 7,
	CCID_T1_TCCKS_FIXED = 0x10,
};

/* bmTCCKS, both protocols (CCID 1.1 §6.1.7). */
enum {
	CCID_TCCKS_CRC = 0x01,     /* T=1 only; else LRC */
	CCID_TCCKS_INVERSE = 0x02, /* else direct convention */
};

/* Data of SetDataRateAndClockFrequency and its answer (CCID 1.1 §6.1.14, §6.2.5). */
enum {
	CCID_RATE_dwClockFrequency = 0, /* kHz */
	CCID_RATE_dwDataRate = 4,       /* bit/s */
	CCID_RATE_SIZE = 8,
};

/* bPINOperation, the first data byte of Secure (CCID 1.1 §6.1.11). */
enum {
	CCID_PIN_OPERATION_VERIFY = 0x00,
	CCID_PIN_OPERATION_MODIFY = 0x01,
	CCID_PIN_OPERATION_TRANSFER = 0x02,
	CCID_PIN_OPERATION_WAIT_ICC = 0x03,
	CCID_PIN_OPERATION_CANCEL = 0x04,
	CCID_PIN_OPERATION_PACE_CAPABILITIES = 0x10, /* BSI TR-03119 annex D */
	CCID_PIN_OPERATION_PACE_EXECUTE = 0x20,
};

/* bmFormatString: how the digits stand in the PIN block, and where that is in the command's data
 * (CCID 1.1 §6.1.11.4). */
enum {
	CCID_PIN_FORMAT_BYTES = 0x80, /* the position counts bytes, else bits */
	CCID_PIN_FORMAT_POSITION_SHIFT = 3,
	CCID_PIN_FORMAT_POSITION_MASK = 0x78,
	CCID_PIN_FORMAT_RIGHT = 0x04, /* justified right, else left */
	CCID_PIN_FORMAT_TYPE_MASK = 0x03,
	CCID_PIN_FORMAT_BINARY = 0x00, /* a byte a digit, 00h to 09h */
	CCID_PIN_FORMAT_BCD = 0x01,
	CCID_PIN_FORMAT_ASCII = 0x02,
};

/* bmPINBlockString: bits of the PIN length field in the high nibble (0: none), bytes of the PIN
 * block in the low one (0: as many as the entry needs) (CCID 1.1 §6.1.11.5). */
enum {
	CCID_PIN_BLOCK_LENGTH_SHIFT = 4,
	CCID_PIN_BLOCK_SIZE_MASK = 0x0F,
};

/* bmPINLengthFormat: where the PIN length field is in the command's data (CCID 1.1 §6.1.11.6). */
enum {
	CCID_PIN_LENGTH_BYTES = 0x10, /* the position counts bytes, else bits */
	CCID_PIN_LENGTH_POSITION_MASK = 0x0F,
	CCID_PIN_LENGTH_RFU_MASK = 0xE0,
};

/* bEntryValidationCondition: what ends an entry (CCID 1.1 §6.1.11.1). */
enum {
	CCID_PIN_VALID_MAX_SIZE = 0x01,
	CCID_PIN_VALID_KEY = 0x02,
	CCID_PIN_VALID_TIMEOUT = 0x04,
	CCID_PIN_VALID_MASK = 0x07,
};

/* bNumberMessage besides a number (CCID 1.1 §6.1.11.1), and bConfirmPIN (§6.1.11.2). */
enum {
	CCID_PIN_MESSAGES_DEFAULT = 0xFF,
	CCID_PIN_CONFIRM_NEW = 0x01,
	CCID_PIN_CONFIRM_OLD = 0x02, /* the current PIN is asked for */
	CCID_PIN_CONFIRM_MASK = 0x03,
};

/* PIN verification data structure, offsets from bPINOperation (CCID 1.1 §6.1.11.1). */
enum {
	CCID_PIN_VERIFY_bTimeOut = 1, /* seconds, 0: the reader's own */
	CCID_PIN_VERIFY_bmFormatString = 2,
	CCID_PIN_VERIFY_bmPINBlockString = 3,
	CCID_PIN_VERIFY_bmPINLengthFormat = 4,
	CCID_PIN_VERIFY_wPINMaxExtraDigit = 5,
	CCID_PIN_VERIFY_bEntryValidationCondition = 7,
	CCID_PIN_VERIFY_bNumberMessage = 8,
	CCID_PIN_VERIFY_wLangId = 9,
	CCID_PIN_VERIFY_bMsgIndex = 11,
	CCID_PIN_VERIFY_bTeoPrologue = 12, /* 3 bytes */
	CCID_PIN_VERIFY_abPINApdu = 15,
};

/* PIN modification data structure, offsets from bPINOperation (CCID 1.1 §6.1.11.2). bMsgIndex2 is
 * there unless bNumberMessage is 0, bMsgIndex3 when it is 3 or FFh; the rest moves up without. */
enum {
	CCID_PIN_MODIFY_bTimeOut = 1,
	CCID_PIN_MODIFY_bmFormatString = 2,
	CCID_PIN_MODIFY_bmPINBlockString = 3,
	CCID_PIN_MODIFY_bmPINLengthFormat = 4,
	CCID_PIN_MODIFY_bInsertionOffsetOld = 5,
	CCID_PIN_MODIFY_bInsertionOffsetNew = 6,
	CCID_PIN_MODIFY_wPINMaxExtraDigit = 7,
	CCID_PIN_MODIFY_bConfirmPIN = 9,
	CCID_PIN_MODIFY_bEntryValidationCondition = 10,
	CCID_PIN_MODIFY_bNumberMessage = 11,
	CCID_PIN_MODIFY_wLangId = 12,
	CCID_PIN_MODIFY_bMsgIndex1 = 14,
};

#endif
