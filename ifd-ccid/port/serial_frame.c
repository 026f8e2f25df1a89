/* SPDX-License-Identifier: BSD-3-Clause */
#include "serial_frame.h"

#include <string.h>

#include "ifd-ccid/bytes.h"
#include "spec/ccid.h"

enum {
	SYNC = 0x03,
	ACK = 0x06,
	NAK = 0x15,
	CARD_EVENT = 0x50, /* as RDR_to_PC_NotifySlotChange, one byte of states behind it */
	FIRST_TIME = 0x80, /* and all above: a request for time */
	MESSAGE_AT = 2,
};

static uint8_t lrc(const uint8_t *bytes, size_t len)
{
	uint8_t sum = 0;

	while (len-- > 0)
		sum ^= *bytes++;
	return sum;
}

void serial_frame_restart(struct serial_frame *frame)
{
	explicit_bzero(frame->bytes, sizeof(frame->bytes));
	frame->len = 0;
}

/* The first byte of something. */
static enum serial_found first(struct serial_frame *frame, uint8_t byte)
{
	/* Anything else between two frames is noise. */
	if (byte == SYNC || byte == CARD_EVENT)
		frame->bytes[frame->len++] = byte;
	return byte >= FIRST_TIME ? SERIAL_TIME : SERIAL_NOTHING;
}

/* SYNC and one byte more. */
static enum serial_found second(struct serial_frame *frame, uint8_t byte)
{
	frame->bytes[frame->len++] = byte;
	if (byte == ACK || byte == NAK)
		return SERIAL_NOTHING;
	/* The SYNC was noise; this may be a better one. */
	frame->len = 0;
	return byte == SYNC ? first(frame, byte) : SERIAL_NOTHING;
}

/* A byte of a message without anything around it. */
static enum serial_found bare(
	struct serial_frame *frame, uint8_t byte, const uint8_t **message, size_t *len)
{
	uint32_t length;

	frame->bytes[frame->len++] = byte;
	if (frame->len < CCID_MSG_HEADER_SIZE)
		return SERIAL_NOTHING;
	length = le32(frame->bytes + CCID_MSG_dwLength);
	if (length <= SERIAL_MAX_MESSAGE - CCID_MSG_HEADER_SIZE &&
		frame->len < CCID_MSG_HEADER_SIZE + length)
		return SERIAL_NOTHING;
	*len = frame->len;
	frame->len = 0;
	if (length > SERIAL_MAX_MESSAGE - CCID_MSG_HEADER_SIZE)
		return SERIAL_DAMAGED;
	*message = frame->bytes;
	return SERIAL_MESSAGE;
}

/* A byte of a message, or the LRC behind it. */
static enum serial_found further(
	struct serial_frame *frame, uint8_t byte, const uint8_t **message, size_t *len)
{
	const uint8_t *bytes = frame->bytes + MESSAGE_AT;
	size_t have;
	uint32_t length;

	frame->bytes[frame->len++] = byte;
	have = frame->len - MESSAGE_AT;
	if (have < CCID_MSG_HEADER_SIZE)
		return SERIAL_NOTHING;
	length = le32(bytes + CCID_MSG_dwLength);
	if (length > SERIAL_MAX_MESSAGE - CCID_MSG_HEADER_SIZE) {
		frame->len = 0;
		return SERIAL_DAMAGED;
	}
	if (have <= CCID_MSG_HEADER_SIZE + length)
		return SERIAL_NOTHING;
	frame->len = 0;
	if (lrc(frame->bytes, MESSAGE_AT + have) != 0)
		return SERIAL_DAMAGED;
	if (bytes[CCID_MSG_bMessageType] < RDR_to_PC_DataBlock)
		return SERIAL_NOTHING;
	*message = bytes;
	*len = have - 1;
	return SERIAL_MESSAGE;
}

enum serial_found serial_frame_byte(
	struct serial_frame *frame, uint8_t byte, const uint8_t **message, size_t *len)
{
	if (frame->bare)
		return bare(frame, byte, message, len);
	if (frame->len == 0)
		return first(frame, byte);
	if (frame->bytes[0] == CARD_EVENT) {
		/* Each answer tells about the card, so the news are no news. */
		frame->len = 0;
		return SERIAL_NOTHING;
	}
	if (frame->len == 1)
		return second(frame, byte);
	if (frame->bytes[1] == NAK) {
		frame->len = 0;
		return byte == (SYNC ^ NAK) ? SERIAL_REFUSED : SERIAL_DAMAGED;
	}
	return further(frame, byte, message, len);
}

size_t serial_frame_put(const struct serial_frame *frame, uint8_t out[SERIAL_MAX_FRAME],
	const uint8_t *message, size_t len)
{
	if (frame->bare) {
		memcpy(out, message, len);
		return len;
	}
	out[0] = SYNC;
	out[1] = ACK;
	memcpy(out + MESSAGE_AT, message, len);
	out[MESSAGE_AT + len] = lrc(out, MESSAGE_AT + len);
	return len + SERIAL_FRAME_EXTRA;
}
