/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A fault script taken apart, shared by the files that deal with it: fault_script.c (reads it),
 * fault_actions.c (what its actions do to a message), fault.c (which of its rules hold).
 */
#ifndef CARDWIRE_VREADER_FAULT_PARTS_H
#define CARDWIRE_VREADER_FAULT_PARTS_H

#include "vreader/firmware/fault.h"

enum {
	FAULT_ANY_MESSAGE = 0,
	/* Control requests are numbered beyond the bMessageTypes: one of these and bRequest. */
	FAULT_CONTROL_STANDARD = 0x100,
	FAULT_CONTROL_CLASS = 0x200,
	FAULT_CONDITION_MAX = 32, /* bytes that a condition compares */
};

struct rule;

/* What stands behind the name of an action. */
enum fault_arguments {
	FAULT_NO_ARGUMENTS,
	FAULT_NUMBER,
	FAULT_TWO_NUMBERS,
	FAULT_COUNT_AND_NUMBER, /* the count may be "forever" */
	FAULT_HEX,
};

struct fault_action {
	const char *name;
	enum fault_arguments arguments;
	uint32_t max; /* of the first number */
	void (*apply)(const struct rule *rule, struct fault_outcome *out);
	bool control; /* also for answers on the control pipe */
};

/* NULL: there is none of that name. */
const struct fault_action *fault_action_named(const char *name);

/* Bytes that a message of the host begins with, behind its header. */
struct beginning {
	size_t len; /* 0: whatever it begins with */
	uint8_t bytes[FAULT_CONDITION_MAX];
};

struct rule {
	struct rule *next;
	struct beginning with;  /* the host's message must begin so */
	struct beginning until; /* an Escape of the host that begins so ends the rule */
	uint8_t unless_after;   /* bMessageType before the host's message; 0: any */
	bool until_reset;       /* a port reset ends the rule */
	bool if_unended; /* no empty packet behind the host's message, which fills its last */
	bool has_slot;   /* answers of that slot only */
	uint8_t slot;
	bool over;
	uint32_t command; /* as fault_apply() has it, or FAULT_ANY_MESSAGE */
	uint32_t from;    /* counted from 1 */
	uint32_t to;
	uint32_t seen;
	const struct fault_action *action;
	uint32_t args[2];
	uint8_t bytes[FAULT_BYTES_MAX];
	size_t len;
};

struct fault_script {
	struct rule *rules;
	uint8_t before; /* bMessageType of the host's message before the last */
	uint8_t last;
	uint8_t data[FAULT_CONDITION_MAX]; /* of the last */
	size_t data_len;
	bool unended; /* the last */
};

#endif
