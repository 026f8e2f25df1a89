/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CCID messages on a serial line: SYNC ACK message LRC, both ways. Between frames a reader may send
 * card events (two bytes), a refusal (SYNC NAK LRC), and, while a T=0 command runs, single bytes
 * that ask for time. Some readers repeat each command before they answer; such echoes are told by
 * their message type and dropped, so nobody needs to know which readers do.
 *
 * Or bare: readers behind a device file that moves whole messages, with nothing around them.
 *
 * Pure: bytes in, findings out. No I/O, no clock.
 */
#ifndef CARDWIRE_CCID_SERIAL_FRAME_H
#define CARDWIRE_CCID_SERIAL_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SERIAL_MAX_MESSAGE = 271, /* bytes; serial readers know no longer ones */
	SERIAL_FRAME_EXTRA = 3,   /* SYNC, ACK, LRC */
	SERIAL_MAX_FRAME = SERIAL_MAX_MESSAGE + SERIAL_FRAME_EXTRA,
};

enum serial_found {
	SERIAL_NOTHING, /* go on */
	SERIAL_MESSAGE, /* `message` of the frame, `len` bytes, valid until the next byte */
	SERIAL_REFUSED, /* NAK: the reader has not understood the command */
	SERIAL_TIME,    /* the reader asks for time */
	SERIAL_DAMAGED, /* a frame with a wrong LRC, or longer than any message */
};

/* What has come so far; all zero at the start, but for `bare`. */
struct serial_frame {
	uint8_t bytes[SERIAL_MAX_FRAME];
	size_t len; /* of the frame that is being received */
	bool bare;  /* messages as they are */
};

/* Takes one byte. */
enum serial_found serial_frame_byte(
	struct serial_frame *frame, uint8_t byte, const uint8_t **message, size_t *len);

/* Forgets a frame that has begun, and wipes what the last ones brought. */
void serial_frame_restart(struct serial_frame *frame);

/* Writes the frame of a message of at most SERIAL_MAX_MESSAGE bytes; returns its length. */
size_t serial_frame_put(const struct serial_frame *frame, uint8_t out[SERIAL_MAX_FRAME],
	const uint8_t *message, size_t len);

#endif
