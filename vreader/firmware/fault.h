/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fault scripts: text files that make a virtual reader misbehave in ways the specification does
 * not allow, one message at a time. The grammar is in vreader(1). A script counts the messages it
 * has seen; it belongs to one device.
 */
#ifndef CARDWIRE_VREADER_FAULT_H
#define CARDWIRE_VREADER_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	FAULT_BYTES_MAX = 512,
};

#define FAULT_FOREVER UINT32_MAX

struct fault_script;

/* What is to be sent in place of one message. */
struct fault_outcome {
	uint8_t *msg; /* changed in place */
	size_t len;
	size_t room; /* bytes that msg has room for */
	bool drop;
	bool stall;
	bool stall_out;
	bool disappear;
	bool no_zlp;
	uint32_t delay_ms;
	uint32_t repeat;     /* copies behind the first */
	size_t split;        /* bytes in the first of two transfers; 0: one transfer */
	uint32_t extensions; /* time extensions before it; FAULT_FOREVER: instead */
	uint8_t multiplier;  /* bError of these */
	uint8_t before[FAULT_BYTES_MAX];
	size_t before_len; /* a message of its own before it; 0: none */
};

/* Reads a script. NULL with "FILE:LINE: what" in why. */
struct fault_script *fault_load(const char *path, char *why, size_t why_size);
void fault_free(struct fault_script *script);

/* What the answer to a control request is called in fault_apply(). */
uint32_t fault_control(const uint8_t setup[8]);

/* A message of the host came, whose first LEN bytes these are: conditions look at the last one. ENDED:
 * its last packet was not full, or an empty one came behind it. */
void fault_heard(struct fault_script *script, const uint8_t *message, size_t len, bool ended);

/* The port was reset. */
void fault_reset(struct fault_script *script);

/* Starts a message that answers command (bMessageType of the host's message, that of the
 * notification, or fault_control()), and applies all rules that mean it. msg holds len bytes and
 * has room for FAULT_BYTES_MAX more. */
void fault_apply(struct fault_script *script, uint32_t command, uint8_t *msg, size_t len,
	struct fault_outcome *out);

#endif
