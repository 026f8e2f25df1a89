/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the requests on card handles have in common: asking for the slot, entering and leaving its
 * driver, and saying who is in the way. For card.c and card_exchange.c alone; on the thread that
 * runs the connection.
 */
#ifndef CARDWIRE_PCSCD_CARD_CALL_H
#define CARDWIRE_PCSCD_CARD_CALL_H

#include "pcscd/cards/card.h"

/*
 * Releases the slot's lock and returns rv; a sharing violation is logged with the name of who holds
 * the reader, and what was refused. A handle of the same connection is no news to its client.
 */
uint32_t card_release(
	struct slot *slot, const struct client *client, const char *what, uint32_t rv);

/*
 * Asks for `needs` (share.h) unless the request has waited already; with the slot's lock held.
 * card is NULL for SCardConnect. Results are those of slot_ask().
 */
uint32_t card_ask(struct client *client, struct slot *slot, struct card *card,
	struct slot_call *call, unsigned needs, int64_t deadline);

/*
 * The checks that come before all others: SCARD_E_INVALID_VALUE if the reader is gone,
 * SCARD_E_READER_UNAVAILABLE if it doesn't answer. Slot's lock held.
 */
uint32_t card_check_reader(const struct slot *slot);

/*
 * The turn was granted; before the driver is called. False if the client has hung up: whoever
 * notices that after this point aborts the call (slot_abort_call()).
 */
bool card_enter_driver(struct client *client, const struct slot *slot);

/* After the driver was called: gives the turn back. Takes the slot's lock. */
void card_leave_driver(struct client *client, struct slot *slot, struct slot_call *call);

/*
 * Asks for the turn, and enters the driver; card_leave_driver() must follow. With other results
 * than SCARD_S_SUCCESS the driver must not be called. Takes the slot's lock.
 */
uint32_t card_begin_call(struct client *client, struct card *card, struct slot_call *call,
	unsigned needs, const char *what);

/* Forgets an answer that was kept because it was too long; wipes it. */
void card_drop_answer(struct card *card);

#endif
