/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is known about the card in one slot, from interrupt messages and from the status in each
 * answer, so that the reader is asked only when it isn't known.
 *
 * Pure state machine: no I/O, no clock. The owner (struct device) guards it with its lock.
 */
#ifndef CARDWIRE_CCID_PRESENCE_H
#define CARDWIRE_CCID_PRESENCE_H

#include <stdbool.h>
#include <stdint.h>

enum presence_state {
	PRESENCE_UNKNOWN,
	PRESENCE_ABSENT,
	PRESENCE_PRESENT,
};

struct presence {
	enum presence_state state;
	bool powered;    /* we activated this card, and nothing has told otherwise */
	bool doubtful;   /* contradicting news: the reader must be asked */
	bool told;       /* the host was last told that a card is present */
	bool owed;       /* that card has left since, and the host has not been told */
	uint32_t events; /* changes so far */
	uint32_t seen;   /* of these, those the host has been told of */
};

/* A NotifySlotChange with these bits (CCID_NOTIFY_…) for the slot. True: something changed. */
bool presence_notice(struct presence *presence, uint8_t bits);

/*
 * Any answer of the reader with this bmICCStatus (CCID_ICC_…). EVENTS_WORK: interrupt messages come,
 * and win over an answer that was under way when they came. True: something changed.
 */
bool presence_answer(struct presence *presence, uint8_t icc, bool events_work);

/*
 * The answer to GetSlotStatus, asked for the sake of presence; EVENTS is what presence->events was
 * when it was asked.
 */
void presence_status(struct presence *presence, uint8_t icc, uint32_t events);

/* The card has lost its power by what we did: the host is told as if it had been replaced. */
void presence_power_lost(struct presence *presence);

/* True when the reader must be asked before presence_tell(). */
bool presence_must_ask(const struct presence *presence, bool events_work);

/* What the host is told. A card that was replaced between two looks is told as absent once. */
bool presence_tell(struct presence *presence);

#endif
