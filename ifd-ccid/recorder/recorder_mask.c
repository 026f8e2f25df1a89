/* SPDX-License-Identifier: BSD-3-Clause */
#include "recorder_mask.h"

#include <string.h>

#include "ifd-ccid/bytes.h"
#include "iso7816/edc.h"
#include "iso7816/secret.h"
#include "iso7816/t1.h"
#include "spec/ccid.h"

enum {
	T0_HEADER = 5,
	SW = 2,
	PCB_NOT_I = 0x80,
	PCB_MORE = 0x20,
};

/* Bytes of a command APDU that may be seen. */
static size_t header_length(const uint8_t *apdu, size_t len)
{
	size_t start, end;

	secret_command_span(apdu, len, &start, &end);
	return start;
}

static void set_mask(struct mask_result *result, size_t i, size_t start, size_t end)
{
	if (start < end)
		result->masks[i] = (struct recording_mask){ (uint32_t)start, (uint32_t)end };
}

static enum edc edc_of(const uint8_t *block, size_t len)
{
	return !edc_ok(EDC_LRC, block, len) && len > T1_PROLOGUE + 2 && edc_ok(EDC_CRC, block, len)
		       ? EDC_CRC
		       : EDC_LRC;
}

/*
 * The code tells the sum of what is masked, so it is masked too; and replaced, so that the block is
 * still one. Bytes [start, end) of the block are masked.
 */
static void replace_edc(struct mask_result *result, size_t at, const uint8_t *block, size_t len,
	size_t start, size_t end)
{
	uint8_t copy[T1_MAX_BLOCK];
	size_t n = edc_size(edc_of(block, len));

	if (len > sizeof(copy) || len < T1_PROLOGUE + n)
		return;
	memcpy(copy, block, len - n);
	memset(copy + start, 0, (end < len - n ? end : len - n) - start);
	edc_append(edc_of(block, len), copy, len - n);
	memcpy(result->stand_in, copy + len - n, n);
	result->stand_in_len = n;
	explicit_bzero(copy, sizeof(copy));
	set_mask(result, 1, at + len - n, at + len);
}

static void command_block(struct mask_secrecy *secrecy, size_t at, const uint8_t *block, size_t len,
	struct mask_result *result)
{
	size_t start = T1_PROLOGUE;

	if (len <= T1_PROLOGUE + 1 || block[1] & PCB_NOT_I)
		return;
	if (!secrecy->begun)
		start += header_length(block + T1_PROLOGUE, len - T1_PROLOGUE - 1);
	secrecy->begun = true;
	if (start + 1 >= len)
		return;
	replace_edc(result, at, block, len, start, len);
	set_mask(result, 0, at + start, at + len - result->stand_in_len);
}

/* What the card is sent: LEN bytes at AT of the message. */
static void command_payload(struct mask_secrecy *secrecy, size_t at, const uint8_t *data,
	size_t len, struct mask_result *result)
{
	size_t start = 0;

	switch (secrecy->shape) {
	case MASK_NOTHING:
		return;
	case MASK_T1:
	case MASK_T1_CHARACTERS:
		command_block(secrecy, at, data, len, result);
		return;
	case MASK_T0:
		start = T0_HEADER < len ? T0_HEADER : len;
		break;
	case MASK_T0_CHARACTERS:
	case MASK_APDU:
		if (!secrecy->begun)
			start = header_length(data, len);
		break;
	}
	secrecy->begun = true;
	set_mask(result, 0, at + start, at + len);
}

/* What a reader is told may hold a command for the card, somewhere. */
static void look_through(struct mask_secrecy *secrecy, const uint8_t *message, size_t len,
	struct mask_result *result)
{
	size_t start, end;

	secrecy->escape =
		secret_span(message + CCID_MSG_abData, len - CCID_MSG_abData, &start, &end);
	if (secrecy->escape)
		set_mask(result, 0, CCID_MSG_abData + start, len);
	else if (secrecy->shape != MASK_NOTHING)
		set_mask(result, 0, CCID_MSG_abData, len);
}

void mask_command(struct mask_secrecy *secrecy, const uint8_t *message, size_t len,
	struct mask_result *result)
{
	memset(result, 0, sizeof(*result));
	secrecy->escape = false;
	if (len <= CCID_MSG_HEADER_SIZE)
		return;
	if (message[0] == PC_to_RDR_Escape || message[0] == PC_to_RDR_Secure ||
		message[0] == PC_to_RDR_Secure_KEYBOARD)
		look_through(secrecy, message, len, result);
	else if (message[0] == PC_to_RDR_XfrBlock)
		command_payload(secrecy, CCID_MSG_abData, message + CCID_MSG_abData,
			len - CCID_MSG_HEADER_SIZE, result);
}

static void answer_block(
	size_t at, const uint8_t *block, size_t len, bool whole, struct mask_result *result)
{
	size_t n, end;

	if (len <= T1_PROLOGUE || block[1] & PCB_NOT_I)
		return;
	n = whole ? edc_size(edc_of(block, len)) : 0;
	end = len > T1_PROLOGUE + n ? len - n : T1_PROLOGUE;
	if (whole && !(block[1] & PCB_MORE))
		end = end > T1_PROLOGUE + SW ? end - SW : T1_PROLOGUE;
	set_mask(result, 0, at + T1_PROLOGUE, at + end);
	if (end > T1_PROLOGUE && whole)
		replace_edc(result, at, block, len, T1_PROLOGUE, end);
}

/* LEN bytes of TOTAL have come. LAST: SW1 SW2 are the last of them. */
static void answer_payload(enum mask_shape shape, size_t at, const uint8_t *data, size_t len,
	size_t total, bool last, struct mask_result *result)
{
	size_t end = total;

	if (shape == MASK_NOTHING)
		return;
	if (shape == MASK_T1) {
		answer_block(at, data, len, len == total, result);
		return;
	}
	if (shape == MASK_T1_CHARACTERS) {
		/* A prologue; SW1 SW2 and the code; a code. */
		if (total > SW + 2)
			set_mask(result, 0, at, at + len);
		return;
	}
	if (last)
		end = total >= SW ? total - SW : 0;
	if (total == 1 && shape != MASK_APDU) /* a procedure byte */
		end = 0;
	set_mask(result, 0, at, at + (end < len ? end : len));
}

static bool ends_response(uint8_t chain)
{
	return chain != CCID_CHAIN_BEGIN && chain != CCID_CHAIN_CONTINUE;
}

void mask_answer(const struct mask_secrecy *secrecy, const uint8_t *message, size_t len,
	struct mask_result *result)
{
	enum mask_shape shape = secrecy->escape ? MASK_APDU : secrecy->shape;
	size_t total;

	memset(result, 0, sizeof(*result));
	if (len <= CCID_MSG_HEADER_SIZE)
		return;
	/* Lengths that are wrong mask more, not less. */
	total = le32(message + CCID_MSG_dwLength);
	if (total < len - CCID_MSG_HEADER_SIZE)
		total = len - CCID_MSG_HEADER_SIZE;
	if (message[0] == RDR_to_PC_DataBlock || message[0] == RDR_to_PC_Escape)
		answer_payload(shape, CCID_MSG_abData, message + CCID_MSG_abData,
			len - CCID_MSG_HEADER_SIZE, total,
			shape != MASK_APDU || ends_response(message[9]), result);
	else if (message[0] != RDR_to_PC_Parameters && message[0] != RDR_to_PC_SlotStatus &&
		 shape != MASK_NOTHING)
		set_mask(result, 0, CCID_MSG_abData, len);
}

void mask_control(struct mask_secrecy *secrecy, bool in, const uint8_t *data, size_t len,
	struct mask_result *result)
{
	/* At the APDU level a byte before the data says what it is (ICCD 1.0 §6.2). */
	size_t first = in && secrecy->shape == MASK_APDU && len > 0;

	memset(result, 0, sizeof(*result));
	if (len == 0)
		return;
	if (in && secrecy->shape == MASK_T0_CHARACTERS && len > SW)
		set_mask(result, 0, 0, len); /* SW1 SW2 come apart */
	else if (in)
		answer_payload(secrecy->shape, first, data + first, len - first, len - first,
			!first || ends_response(data[0]), result);
	else
		command_payload(secrecy, 0, data, len, result);
}

void mask_call(bool response, const uint8_t *data, size_t len, struct mask_result *result)
{
	size_t start, end;

	memset(result, 0, sizeof(*result));
	if (response)
		secret_response_span(len, &start, &end);
	else
		secret_command_span(data, len, &start, &end);
	set_mask(result, 0, start, end);
}
