/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The PIN pad of a virtual reader: keys, a display, and PC_to_RDR_Secure (CCID 1.1 §6.1.11). Keys
 * are typed ahead by the control socket and taken when an entry asks for them. What the host sends
 * and what the display shows can be read back.
 *
 * Belongs to its reader; no clock and no thread, as ccid_device.h says.
 */
#ifndef CARDWIRE_VREADER_PINPAD_H
#define CARDWIRE_VREADER_PINPAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vreader/firmware/pin_block.h"

enum {
	PINPAD_KEYS_MAX = 512,
	PINPAD_LINE_MAX = 40,
	PINPAD_SECURE_MAX = 512,
	PINPAD_ENTRIES = 3, /* old, new, new again */
};

/* What PC_to_RDR_Secure asks for. */
struct pinpad_task {
	bool modify;
	uint8_t bTimeOut;
	struct pin_format format;
	uint8_t offset_old;
	uint8_t offset_new;
	uint8_t min;
	uint8_t max;
	uint8_t bConfirmPIN;
	uint8_t validation;
	uint8_t bNumberMessage;
	uint8_t indexes[PINPAD_ENTRIES];
	uint8_t prologue[3];
	struct pin_command command;
};

struct pinpad {
	char keys[PINPAD_KEYS_MAX]; /* 0-9, E enter, C clear, X cancel */
	size_t key_count;
	int64_t gap; /* ns between two keys */
	char prompt[PINPAD_LINE_MAX];
	char typed[PINPAD_LINE_MAX];
	uint16_t language; /* wLangId of the last entry */
	uint8_t secure_type;
	uint8_t secure[PINPAD_SECURE_MAX]; /* abData of the last PC_to_RDR_Secure */
	size_t secure_len;
	struct pinpad_task task;
	struct pin pins[PINPAD_ENTRIES];
	size_t entry; /* which of them is being typed */
	bool over;    /* more digits than allowed */
	int64_t due;  /* when the entry's time is up */
	int64_t next_key;
};

struct ccid_device;

/* Types keys ahead, GAP_MS between two. False: not keys, or too many. */
bool pinpad_press(struct ccid_device *dev, const char *keys, uint32_t gap_ms);

/* Forgets the keys typed ahead. */
void pinpad_forget(struct ccid_device *dev);

const struct pinpad *pinpad_of(const struct ccid_device *dev);

#endif
