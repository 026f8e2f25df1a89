/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which bytes of a message of CCID are secret, when the command APDU it serves is
 * (iso7816/secret.h). What is left to see: headers of messages and blocks, the header of the
 * APDU, SW1 SW2. Escape and Secure commands are looked through for commands.
 *
 * Pure functions; any thread.
 */
#ifndef CARDWIRE_CCID_RECORDER_MASK_H
#define CARDWIRE_CCID_RECORDER_MASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recording/entry.h"

/* How an APDU is carried, if it is secret. */
enum mask_shape {
	MASK_NOTHING,
	MASK_APDU, /* APDUs, or parts of one */
	MASK_T0,   /* TPDUs of T=0 */
	MASK_T0_CHARACTERS,
	MASK_T1,            /* blocks */
	MASK_T1_CHARACTERS, /* answers come in parts */
};

/* Of one slot: what is under way. */
struct mask_secrecy {
	enum mask_shape shape;
	bool begun;  /* the call's first message has shown its header */
	bool escape; /* the Escape or Secure command under way was masked */
};

struct mask_result {
	struct recording_mask masks[RECORDING_MASKS];
	uint8_t stand_in[2]; /* for the last bytes: an error detection code over zeros */
	size_t stand_in_len;
};

/* A command, whole. LEN bytes from the CCID header on. */
void mask_command(struct mask_secrecy *secrecy, const uint8_t *message, size_t len,
	struct mask_result *result);

/* An answer of which LEN bytes, from the CCID header on, have come so far. */
void mask_answer(const struct mask_secrecy *secrecy, const uint8_t *message, size_t len,
	struct mask_result *result);

/* The data stage of a control transfer that carries a part of an APDU or TPDU (ICCD 1.0 §6). */
void mask_control(struct mask_secrecy *secrecy, bool in, const uint8_t *data, size_t len,
	struct mask_result *result);

/* Of a command APDU or Escape, of a response to one: as a whole. */
void mask_call(bool response, const uint8_t *data, size_t len, struct mask_result *result);

#endif
