/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The firmware of a virtual reader: one CCID interface with its slots, written from the CCID
 * specification, revision 1.1. Bulk-OUT packets and class requests go in; bulk-IN messages and
 * notifications come out through the host's functions. How a command is carried to the card
 * depends on the exchange level in the class descriptor (ccid_level.h).
 *
 * It has no clock and no thread: the caller passes the time (CLOCK_MONOTONIC, ns) and calls
 * ccid_run() when ccid_deadline() has come. Cards in the slots belong to it.
 */
#ifndef CARDWIRE_VREADER_CCID_DEVICE_H
#define CARDWIRE_VREADER_CCID_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vreader/cards/card.h"
#include "vreader/firmware/profile.h"

enum {
	CCID_SLOTS_MAX = 32,
	CCID_TAUGHT_MAX = 8,
};

#define CCID_NO_DEADLINE INT64_MAX

struct ccid_device;

/* What the reader needs of the USB device around it. */
struct ccid_host {
	/* A whole message for the bulk-IN pipe, the answer to one of type command; the bytes are
	 * copied. */
	void (*bulk_in)(void *ctx, uint8_t command, const uint8_t *msg, size_t len);
	/* ccid_interrupt_in() has something to say. */
	void (*notify)(void *ctx);
	void *ctx;
};

/* Counted since the start, for `vreader ctl stats`. */
struct ccid_stats {
	uint64_t messages_out;
	uint64_t messages_in;
	uint64_t xfr_blocks;
	uint64_t apdus; /* at the APDU levels */
	uint64_t power_ons;
};

/* The interface description is copied. NULL without memory. */
struct ccid_device *ccid_new(const struct profile_interface *intf, struct ccid_host host);
void ccid_free(struct ccid_device *dev);

/* Bus reset or a new configuration: as after plugging in. */
void ccid_reset(struct ccid_device *dev);

/* Packets from the bulk-OUT pipe; last: the packet was shorter than the endpoint's size. */
void ccid_bulk_out(
	struct ccid_device *dev, const uint8_t *bytes, size_t len, bool last, int64_t now);

/* Class request with out_len bytes from the host, or an answer of up to cap bytes in in. Returns the
 * length of the answer; -1: the pipe stalls (CCID 1.1 §5.3, ICCD 1.0 §6). */
int ccid_control(struct ccid_device *dev, const uint8_t setup[8], const uint8_t *out,
	size_t out_len, uint8_t *in, size_t cap, int64_t now);

/* What the interrupt-IN pipe has to say now; 0: nothing (CCID 1.1 §6.3). */
size_t ccid_interrupt_in(struct ccid_device *dev, uint8_t *data, size_t cap);

void ccid_run(struct ccid_device *dev, int64_t now);
int64_t ccid_deadline(const struct ccid_device *dev);

size_t ccid_slots(const struct ccid_device *dev);
/* False when the slot is taken or not there: card stays the caller's. */
bool ccid_insert(struct ccid_device *dev, size_t slot, struct card *card);
/* False when there was none. */
bool ccid_remove(struct ccid_device *dev, size_t slot);
/* Whether it asks its host for time while a card's answer is pending: not without bulk pipes. */
bool ccid_waits_for_cards(const struct ccid_device *dev);
bool ccid_present(const struct ccid_device *dev, size_t slot);
/* A slot for tags, not for cards with contacts. */
bool ccid_contactless(const struct ccid_device *dev, size_t slot);
/* From now on Escapes that begin with the command (1 to 32 bytes) are answered so (0 to 64 bytes);
 * what was taught last wins. False: too long, or too many that differ. */
bool ccid_teach_escape(struct ccid_device *dev, const uint8_t *command, size_t len,
	const uint8_t *answer, size_t answer_len);
const struct ccid_stats *ccid_stats(const struct ccid_device *dev);

#endif
