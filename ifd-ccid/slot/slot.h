/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One card slot as the host sees it, and the commands of CCID on it.
 *
 * Ownership: ifdh.c makes and frees slots; the device is shared by the slots of one reader.
 * Threads: everything here runs in the slot's turn, one call at a time.
 */
#ifndef CARDWIRE_CCID_SLOT_H
#define CARDWIRE_CCID_SLOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ifd-ccid/contactless/raw.h"
#include "ifd-ccid/device/device.h"
#include "iso7816/atr.h"
#include "iso7816/t1.h"

#define SLOT_NO_PROTOCOL (-1)
#define SLOT_NO_CLIENT   UINT32_MAX /* the host doesn't say */

struct slot {
	struct device *device;
	unsigned number;

	bool has_atr;
	struct atr atr; /* of the powered card; raw bytes valid when has_atr */
	enum atr_result atr_result;
	int protocol;                    /* 0 or 1 once agreed; SLOT_NO_PROTOCOL after a power-on */
	struct atr_rate rate;            /* the card's speed */
	struct t1 t1;                    /* TPDU and character level, and blocks in Escapes */
	bool blocks_begun;               /* blocks in Escapes: since the power-on */
	bool wrapped;                    /* the Escape under way holds one */
	bool blocks;                     /* the APDU under way goes in blocks of T=1 */
	uint8_t block[T1_MAX_BLOCK + 1]; /* character level: a block that comes in parts */

	struct raw *raw;  /* contactless slot of raw-command firmware, else NULL */
	bool contactless; /* known to be a slot for tags */
	uint8_t nad;      /* of T=1 blocks sent */

	_Atomic uint32_t client; /* user ID of whose call is under way, as the host says */

	struct pinpad_run *entry; /* PIN entry under way (pinpad_exchange.c) */

	size_t expect;    /* longest abData of the answers to the APDU under way; 0: not known */
	bool was_secret;  /* the last APDU did: its response may be fetched now */
	bool secret;      /* the APDU under way carries a PIN or a key */
	int64_t call_end; /* deadline of the host's call, whatever the card or reader asks for */
};

/* The host's call begins: sets call_end, lets device_abort() reach it. */
void slot_call_begin(struct slot *slot);
void slot_call_end(struct slot *slot);

/* PC_to_RDR_IccPowerOn (CCID 1.1 §6.1.1); SELECT is CCID_POWER_…. The answer's data is the ATR. */
enum ccid_result ccid_power_on(struct slot *slot, uint8_t select, struct ccid_answer *answer);

/* PC_to_RDR_IccPowerOff (CCID 1.1 §6.1.2). */
enum ccid_result ccid_power_off(struct slot *slot);

/*
 * PC_to_RDR_XfrBlock (CCID 1.1 §6.1.4) with a time for its answer in ms, before the reader asks
 * for more.
 */
enum ccid_result ccid_xfr_block(struct slot *slot, const uint8_t *data, size_t len, unsigned bwi,
	uint16_t level, int64_t timeout_ms, struct ccid_answer *answer);

/* PC_to_RDR_SetParameters (CCID 1.1 §6.1.7) for T=PROTOCOL; LEN is 5 or 7. */
enum ccid_result ccid_set_parameters(struct slot *slot, unsigned protocol, const uint8_t *params,
	size_t len, struct ccid_answer *answer);

/* PC_to_RDR_GetParameters (CCID 1.1 §6.1.5). */
enum ccid_result ccid_get_parameters(struct slot *slot, struct ccid_answer *answer);

/* PC_to_RDR_Escape (CCID 1.1 §6.1.8). */
enum ccid_result ccid_escape(
	struct slot *slot, const uint8_t *data, size_t len, struct ccid_answer *answer);

/*
 * PC_to_RDR_Secure (CCID 1.1 §6.1.11); TYPE is its bMessageType. The user has TIMEOUT_MS, whatever
 * the reader asks for meanwhile, and the card its usual time after it.
 */
enum ccid_result ccid_secure(struct slot *slot, uint8_t type, const uint8_t *data, size_t len,
	int64_t timeout_ms, struct ccid_answer *answer);

/* What a refused command means: CCID_ABSENT, or CCID_REFUSED after one log line. */
enum ccid_result ccid_why_refused(
	struct slot *slot, const char *command, const struct ccid_answer *answer);

/* Presence of a card or tag, as device_presence(). */
enum ccid_result slot_presence(struct slot *slot);

/* Longest time in ms for anything without progress, from the options or the quirk files. */
int64_t slot_ceiling_ms(const struct slot *slot);

#endif
