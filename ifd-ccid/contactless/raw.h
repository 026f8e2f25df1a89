/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Contactless slots of readers whose firmware passes raw commands only: looking for tags, selecting
 * them, the ATR and PC/SC's pseudo APDUs (FF CA, FF 82, FF 86, FF 88, FF B0, FF D6, FF C2) are the
 * driver's work. Commands go through a dialect (raw_pn532.c), so that another chip is another file.
 *
 * Ownership: a slot has one struct raw, made by raw_new() and freed with the slot.
 * Threads: everything here runs in the slot's turn, one call at a time.
 */
#ifndef CARDWIRE_CCID_RAW_H
#define CARDWIRE_CCID_RAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "contactless.h"
#include "ifd-ccid/device/device.h"

enum {
	RAW_MAX_FRAME = 64, /* bytes of a frame to or from a memory tag */
};

struct raw;

/*
 * What a chip is asked to do. All return CCID_OK; CCID_ABSENT: the tag does not answer (any more);
 * CCID_CARD: it refuses; others as of device_exchange(). OWNER is what raw_new() was given.
 */
struct raw_dialect {
	/* Looks for a tag once and selects it. The one there was is no longer selected. */
	enum ccid_result (*find)(void *owner, struct picc *picc);
	/* Whether the selected ISO 14443-4 tag is still there, without harm to what it does. */
	enum ccid_result (*check)(void *owner);
	/* The field off: the tag loses its state. find() turns it on again. */
	enum ccid_result (*field_off)(void *owner);
	/* An APDU to an ISO 14443-4 tag; *RSP_LEN as of exchange_apdu(). */
	enum ccid_result (*apdu)(void *owner, const uint8_t *command, size_t len, uint8_t *response,
		size_t *rsp_len);
	/* A frame to a memory tag (authentication in clear: 60 or 61, block, key, UID). */
	enum ccid_result (*frame)(void *owner, const uint8_t *frame, size_t len,
		uint8_t answer[RAW_MAX_FRAME], size_t *answer_len);
	/* The same without any help of the chip: what a transparent session sends. */
	enum ccid_result (*transceive)(void *owner, const uint8_t *frame, size_t len,
		uint8_t answer[RAW_MAX_FRAME], size_t *answer_len);
};

/* NULL: out of memory. */
struct raw *raw_new(const struct raw_dialect *dialect, void *owner);
void raw_free(struct raw *raw);

/* What raw_new() was given. */
void *raw_owner(const struct raw *raw);

/*
 * Whether a tag is there: CCID_OK or CCID_ABSENT. A tag that came in place of another, or came back,
 * is told as absent once before.
 */
enum ccid_result raw_presence(struct raw *raw);

/* Cold or warm reset: the tag anew in the field. CCID_OK with its ATR. */
enum ccid_result raw_power_on(struct raw *raw, uint8_t atr[ATR_MAX_LEN], size_t *len);

/* The field off, if there is a tag in it. */
enum ccid_result raw_power_off(struct raw *raw);

/*
 * A command APDU: pseudo APDUs are served here, others go to ISO 14443-4 tags and are refused with
 * 6A 81 by memory tags. *RSP_LEN: room, then length. *SECRET becomes true before a key goes to the
 * reader.
 */
enum ccid_result raw_transmit(struct raw *raw, const uint8_t *command, size_t len,
	uint8_t *response, size_t *rsp_len, bool *secret);

/* The tag that is there; NULL: none. */
const struct picc *raw_picc(const struct raw *raw);

/* raw_pseudo.c: a pseudo APDU (class FF). */
enum ccid_result raw_pseudo(struct raw *raw, const uint8_t *command, size_t len, uint8_t *response,
	size_t *rsp_len, bool *secret);

#endif
