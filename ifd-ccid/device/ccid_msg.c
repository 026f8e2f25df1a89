/* SPDX-License-Identifier: BSD-3-Clause */
#include "ccid_msg.h"

#include <string.h>

#include "ifd-ccid/bytes.h"

void ccid_put_header(uint8_t out[CCID_MSG_HEADER_SIZE], const struct ccid_command *command,
	uint8_t slot, uint8_t seq)
{
	out[CCID_MSG_bMessageType] = command->type;
	put_le32(out + CCID_MSG_dwLength, (uint32_t)command->len);
	out[CCID_MSG_bSlot] = slot;
	out[CCID_MSG_bSeq] = seq;
	memcpy(out + CCID_MSG_bSeq + 1, command->specific, sizeof(command->specific));
}

enum ccid_decoded ccid_get_answer(
	const uint8_t *bytes, size_t len, size_t max, struct ccid_answer *answer)
{
	uint32_t length;

	memset(answer, 0, sizeof(*answer));
	if (len < CCID_MSG_HEADER_SIZE)
		return CCID_TOO_SHORT;
	answer->type = bytes[CCID_MSG_bMessageType];
	answer->slot = bytes[CCID_MSG_bSlot];
	answer->seq = bytes[CCID_MSG_bSeq];
	answer->bStatus = bytes[CCID_MSG_bStatus];
	answer->bError = bytes[CCID_MSG_bError];
	answer->specific = bytes[CCID_MSG_bChainParameter];
	length = le32(bytes + CCID_MSG_dwLength);
	if (length > max - CCID_MSG_HEADER_SIZE)
		return CCID_TOO_LONG;
	if (length > len - CCID_MSG_HEADER_SIZE)
		return CCID_INCOMPLETE;
	if (length < len - CCID_MSG_HEADER_SIZE)
		return CCID_TRAILING;
	answer->data = bytes + CCID_MSG_abData;
	answer->len = length;
	return CCID_COMPLETE;
}

bool ccid_answers(uint8_t command_type, const struct ccid_answer *answer)
{
	static const struct {
		uint8_t command;
		uint8_t answer;
	} pairs[] = {
		{ PC_to_RDR_SetParameters, RDR_to_PC_Parameters },
		{ PC_to_RDR_IccPowerOn, RDR_to_PC_DataBlock },
		{ PC_to_RDR_IccPowerOff, RDR_to_PC_SlotStatus },
		{ PC_to_RDR_GetSlotStatus, RDR_to_PC_SlotStatus },
		{ PC_to_RDR_Secure, RDR_to_PC_DataBlock },
		{ PC_to_RDR_Secure_KEYBOARD, RDR_to_PC_DataBlock },
		{ PC_to_RDR_T0APDU, RDR_to_PC_SlotStatus },
		{ PC_to_RDR_Escape, RDR_to_PC_Escape },
		{ PC_to_RDR_GetParameters, RDR_to_PC_Parameters },
		{ PC_to_RDR_ResetParameters, RDR_to_PC_Parameters },
		{ PC_to_RDR_IccClock, RDR_to_PC_SlotStatus },
		{ PC_to_RDR_XfrBlock, RDR_to_PC_DataBlock },
		{ PC_to_RDR_Mechanical, RDR_to_PC_SlotStatus },
		{ PC_to_RDR_Abort, RDR_to_PC_SlotStatus },
		{ PC_to_RDR_SetDataRateAndClockFrequency, RDR_to_PC_DataRateAndClockFrequency },
	};

	if (answer->type < RDR_to_PC_DataBlock ||
		answer->type > RDR_to_PC_DataRateAndClockFrequency)
		return false;
	if (ccid_command_status(answer) == CCID_COMMAND_FAILED)
		return true;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (pairs[i].command == command_type)
			return pairs[i].answer == answer->type;
	return false;
}

bool ccid_next_notice(
	const uint8_t *bytes, size_t len, unsigned slots, size_t *at, struct ccid_notice *notice)
{
	size_t states = (slots + CCID_NOTIFY_SLOTS_PER_BYTE - 1) / CCID_NOTIFY_SLOTS_PER_BYTE;
	size_t left = len - *at;

	memset(notice, 0, sizeof(*notice));
	if (left < 2)
		return false;
	notice->type = bytes[*at];
	if (notice->type == RDR_to_PC_NotifySlotChange) {
		notice->states = bytes + *at + CCID_NOTIFY_bmSlotICCState;
		notice->states_len = left - 1 < states ? left - 1 : states;
		*at += 1 + notice->states_len;
		return true;
	}
	if (notice->type == RDR_to_PC_HardwareError && left >= CCID_HWERROR_SIZE) {
		notice->slot = bytes[*at + CCID_HWERROR_bSlot];
		notice->code = bytes[*at + CCID_HWERROR_bHardwareErrorCode];
		*at += CCID_HWERROR_SIZE;
		return true;
	}
	return false;
}

uint8_t ccid_notice_state(const struct ccid_notice *notice, unsigned slot)
{
	unsigned shift = slot % CCID_NOTIFY_SLOTS_PER_BYTE * 2;
	size_t at = slot / CCID_NOTIFY_SLOTS_PER_BYTE;

	if (at >= notice->states_len)
		return 0;
	return (uint8_t)(notice->states[at] >> shift & (CCID_NOTIFY_PRESENT | CCID_NOTIFY_CHANGED));
}

const char *ccid_strerror(uint8_t bError)
{
	static const struct {
		uint8_t code;
		const char *text;
	} errors[] = {
		{ CCID_ERROR_CMD_NOT_SUPPORTED, "command not supported" },
		{ CCID_ERROR_BAD_LENGTH, "wrong length" },
		{ CCID_ERROR_BAD_SLOT, "no such slot" },
		{ CCID_ERROR_CMD_SLOT_BUSY, "slot busy" },
		{ CCID_ERROR_PIN_CANCELLED, "PIN entry cancelled" },
		{ CCID_ERROR_PIN_TIMEOUT, "PIN entry timed out" },
		{ CCID_ERROR_BUSY_WITH_AUTO_SEQUENCE, "busy with an automatic sequence" },
		{ CCID_ERROR_DEACTIVATED_PROTOCOL, "protocol deactivated" },
		{ CCID_ERROR_PROCEDURE_BYTE_CONFLICT, "procedure byte conflict" },
		{ CCID_ERROR_ICC_CLASS_NOT_SUPPORTED, "card class not supported" },
		{ CCID_ERROR_ICC_PROTOCOL_NOT_SUPPORTED, "protocol not supported" },
		{ CCID_ERROR_BAD_ATR_TCK, "wrong TCK in the ATR" },
		{ CCID_ERROR_BAD_ATR_TS, "wrong TS in the ATR" },
		{ CCID_ERROR_HW_ERROR, "hardware error" },
		{ CCID_ERROR_XFR_OVERRUN, "overrun" },
		{ CCID_ERROR_XFR_PARITY_ERROR, "parity error" },
		{ CCID_ERROR_ICC_MUTE, "the card doesn't answer" },
		{ CCID_ERROR_CMD_ABORTED, "aborted" },
	};

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (errors[i].code == bError)
			return errors[i].text;
	return bError < 0x80 ? "a parameter is wrong" : "unknown error";
}
