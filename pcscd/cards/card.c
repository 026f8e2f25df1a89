/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/cards/card.h"

#include <stdlib.h>

#include "pcscd/cards/card_call.h"
#include "pcscd/cards/protocol.h"
#include "pcscd/clock.h"

static bool is_mode_valid(uint32_t mode)
{
	return mode == SCARD_SHARE_EXCLUSIVE || mode == SCARD_SHARE_SHARED ||
	       mode == SCARD_SHARE_DIRECT;
}

/* Order as in pcsc-lite: protocols before the mode. */
uint32_t card_check_wish(uint32_t mode, uint32_t protocols)
{
	if (mode != SCARD_SHARE_DIRECT && !protocol_wanted(protocols))
		return SCARD_E_PROTO_MISMATCH;
	return is_mode_valid(mode) ? SCARD_S_SUCCESS : SCARD_E_INVALID_VALUE;
}

/* Must the driver be called to connect? Lock held. */
static bool connect_calls_driver(const struct slot *slot, const struct card_wish *wish)
{
	if (wish->mode == SCARD_SHARE_DIRECT || !(slot->state & SCARD_PRESENT))
		return false;
	if (slot->power == SLOT_UNPOWERED)
		return true;
	return !slot->protocol && !(protocol_wanted(wish->protocols) & SCARD_PROTOCOL_RAW);
}

/* What can be said without the driver, once no transaction is in the way. Lock held. */
static uint32_t check_connect(const struct slot *slot, const struct card_wish *wish)
{
	if (slot->stopping)
		return SCARD_E_UNKNOWN_READER;
	if (slot->state & SCARD_UNKNOWN)
		return SCARD_E_READER_UNAVAILABLE;
	if (slot->share.exclusive)
		return SCARD_E_SHARING_VIOLATION;
	if (wish->mode != SCARD_SHARE_DIRECT && (slot->state & SCARD_ABSENT))
		return SCARD_E_NO_SMARTCARD;
	if (wish->mode == SCARD_SHARE_EXCLUSIVE && slot->share.count > 0)
		return SCARD_E_SHARING_VIOLATION;
	if (slot->max_handles && slot->share.count >= slot->max_handles)
		return SCARD_F_INTERNAL_ERROR;
	return SCARD_S_SUCCESS;
}

/* A protocol that was agreed on before must do. Lock held. */
static uint32_t check_protocol(const struct slot *slot, const struct card_wish *wish)
{
	uint32_t wanted = protocol_wanted(wish->protocols);

	if (wish->mode == SCARD_SHARE_DIRECT || (wanted & SCARD_PROTOCOL_RAW))
		return SCARD_S_SUCCESS;
	return (slot->protocol & wanted) ? SCARD_S_SUCCESS : SCARD_E_PROTO_MISMATCH;
}

/* Powers the card up if need be, and agrees on a protocol; with the turn. */
static uint32_t prepare_card(struct slot *slot, const struct card_wish *wish)
{
	uint32_t wanted = protocol_wanted(wish->protocols);
	bool unpowered, powered;

	slot_lock(slot);
	unpowered = slot->power == SLOT_UNPOWERED;
	slot_unlock(slot);
	if (unpowered)
		slot_power_up(slot);
	slot_lock(slot);
	powered = slot->state & SCARD_POWERED;
	slot_unlock(slot);
	if (!powered)
		return SCARD_W_UNPOWERED_CARD;
	if (wanted & SCARD_PROTOCOL_RAW)
		return SCARD_S_SUCCESS;
	return slot_negotiate(slot, wanted);
}

/* Counts the handle as what it is now: a user of the card or not, raw or not. Lock held. */
static void count_handle(struct card *card, uint32_t mode, bool raw)
{
	struct slot *slot = card->slot;

	if (mode != SCARD_SHARE_DIRECT && (!card->mode || card->mode == SCARD_SHARE_DIRECT))
		slot_add_user(slot);
	if (mode == SCARD_SHARE_DIRECT && card->mode && card->mode != SCARD_SHARE_DIRECT)
		slot_drop_user(slot);
	slot->raw_handles += (raw ? 1U : 0U) - (card->raw ? 1U : 0U);
	card->mode = mode;
	card->raw = raw;
	slot_sharing_changed(slot);
}

static uint32_t active_protocol(const struct card *card)
{
	return card->raw ? SCARD_PROTOCOL_RAW : card->slot->protocol;
}

/* Makes the handle; lock held. */
static uint32_t add_card(struct client *client, struct slot *slot, const struct card_wish *wish,
	struct card **out, uint32_t *protocol)
{
	struct card *card = calloc(1, sizeof(*card));
	uint32_t rv;

	if (!card)
		return SCARD_E_NO_MEMORY;
	card->share.group = client->id;
	card->peer = client->peer;
	card->since = clock_now();
	rv = share_add(
		&slot->share, &card->share, wish->mode == SCARD_SHARE_EXCLUSIVE, card->since);
	if (rv != SCARD_S_SUCCESS) {
		free(card);
		return rv;
	}
	card->slot = slot_ref(slot);
	count_handle(card, wish->mode, protocol_wanted(wish->protocols) & SCARD_PROTOCOL_RAW);
	*protocol = active_protocol(card);
	*out = card;
	return SCARD_S_SUCCESS;
}

/* Exclusive access needs the turn, too: no call of another client may be under way. */
static unsigned connect_needs(const struct slot *slot, const struct card_wish *wish)
{
	if (wish->mode == SCARD_SHARE_EXCLUSIVE || connect_calls_driver(slot, wish))
		return SHARE_TURN;
	return 0;
}

/*
 * Waits until no transaction is in the way and, if the driver must be called, for the turn. What
 * must be called may change while it waits. Lock held.
 */
static uint32_t ask_connect(struct client *client, struct slot *slot, struct slot_call *call,
	const struct card_wish *wish)
{
	unsigned needs = connect_needs(slot, wish) | (wish->no_wait ? SHARE_TRY : 0);
	uint32_t rv = SCARD_S_SUCCESS;

	if (call->state == SLOT_CALL_IDLE && slot->state & SCARD_UNKNOWN)
		rv = SCARD_E_READER_UNAVAILABLE;
	if (rv == SCARD_S_SUCCESS)
		rv = card_ask(client, slot, NULL, call, needs, wish->deadline);
	if (rv != SCARD_S_SUCCESS)
		return rv;
	rv = check_connect(slot, wish);
	if (rv != SCARD_S_SUCCESS) {
		slot_give_turn(slot, call);
		return rv;
	}
	needs = connect_needs(slot, wish) | (wish->no_wait ? SHARE_TRY : 0);
	if (needs & ~call->wait.needs)
		return card_ask(client, slot, NULL, call, needs, wish->deadline);
	return SCARD_S_SUCCESS;
}

uint32_t card_connect(struct client *client, struct slot *slot, struct slot_call *call,
	const struct card_wish *wish, struct card **card, uint32_t *protocol)
{
	uint32_t rv;

	slot_lock(slot);
	rv = ask_connect(client, slot, call, wish);
	if (rv != SCARD_S_SUCCESS)
		return card_release(slot, client, "connection", rv);
	if (connect_calls_driver(slot, wish)) {
		slot_unlock(slot);
		rv = card_enter_driver(client, slot) ? prepare_card(slot, wish) : SCARD_E_CANCELLED;
		slot_lock(slot);
		atomic_store(&client->calling, 0);
	}
	if (rv == SCARD_S_SUCCESS)
		rv = check_connect(slot, wish);
	if (rv == SCARD_S_SUCCESS)
		rv = check_protocol(slot, wish);
	if (rv == SCARD_S_SUCCESS)
		rv = add_card(client, slot, wish, card, protocol);
	slot_give_turn(slot, call);
	return card_release(slot, client, "connection", rv);
}

/* SCARD_LEAVE_CARD: nothing is done to the card, but that it must be there and powered. */
static uint32_t leave_card(struct slot *slot, const struct card_wish *wish)
{
	uint32_t state;
	bool unpowered;

	slot_lock(slot);
	state = slot->state;
	unpowered = slot->power == SLOT_UNPOWERED;
	slot_unlock(slot);
	if (state & SCARD_ABSENT)
		return SCARD_E_NO_SMARTCARD;
	if (state & SCARD_SWALLOWED)
		return SCARD_W_UNRESPONSIVE_CARD;
	if (unpowered && wish->mode != SCARD_SHARE_DIRECT && !slot_power_up(slot))
		return SCARD_W_UNRESPONSIVE_CARD;
	return SCARD_S_SUCCESS;
}

static uint32_t reconnect_card(struct slot *slot, const struct card_wish *wish)
{
	uint32_t wanted = protocol_wanted(wish->protocols);
	uint32_t rv;

	if (wish->action == SCARD_LEAVE_CARD)
		rv = leave_card(slot, wish);
	else
		rv = slot_reset(slot, wish->action == SCARD_UNPOWER_CARD);
	if (rv != SCARD_S_SUCCESS || wish->mode == SCARD_SHARE_DIRECT ||
		(wanted & SCARD_PROTOCOL_RAW))
		return rv;
	return slot_negotiate(slot, wanted);
}

static uint32_t may_set_mode(struct client *client, struct card *card, const struct card_wish *wish)
{
	struct slot *slot = card->slot;

	slot_lock(slot);
	return card_release(slot, client, "reconnection",
		share_may_set_mode(
			&slot->share, &card->share, wish->mode == SCARD_SHARE_EXCLUSIVE));
}

uint32_t card_reconnect(struct client *client, struct card *card, struct slot_call *call,
	const struct card_wish *wish, uint32_t *protocol)
{
	struct slot *slot = card->slot;
	uint32_t rv;

	if (wish->action > SCARD_UNPOWER_CARD || !is_mode_valid(wish->mode))
		return SCARD_E_INVALID_VALUE;
	rv = card_check_wish(wish->mode, wish->protocols);
	if (rv == SCARD_S_SUCCESS)
		rv = card_begin_call(
			client, card, call, client->no_blocking ? SHARE_TRY : 0, "reconnection");
	if (rv != SCARD_S_SUCCESS)
		return rv;
	card_drop_answer(card);
	/* Asked before the card is touched: a refusal must not reset it. */
	rv = may_set_mode(client, card, wish);
	if (rv == SCARD_S_SUCCESS)
		rv = reconnect_card(slot, wish);
	slot_lock(slot);
	if (rv == SCARD_S_SUCCESS)
		rv = share_may_set_mode(
			&slot->share, &card->share, wish->mode == SCARD_SHARE_EXCLUSIVE);
	if (rv == SCARD_S_SUCCESS) {
		share_set_mode(&slot->share, &card->share, wish->mode == SCARD_SHARE_EXCLUSIVE,
			clock_now());
		count_handle(
			card, wish->mode, protocol_wanted(wish->protocols) & SCARD_PROTOCOL_RAW);
		card->share.event = SHARE_EVENT_NONE;
		*protocol = active_protocol(card);
	}
	slot_unlock(slot);
	card_leave_driver(client, slot, call);
	return rv;
}

/* SCARD_EJECT_CARD: a command to readers of the CT-BCS kind, which only old drivers understand. */
static uint32_t eject(struct slot *slot)
{
	uint8_t command[] = { 0x20, 0x15, (uint8_t)((driver_lun(slot->channel) & 0xFF) + 1), 0, 0 };
	uint8_t answer[MAX_BUFFER_SIZE];
	size_t length = sizeof(answer);

	if (driver_version(driver_of(slot->channel)) != 2)
		return SCARD_E_UNSUPPORTED_FEATURE;
	if (driver_control(slot->channel, 0, command, sizeof(command), answer, &length) !=
		IFD_SUCCESS)
		return SCARD_E_NOT_TRANSACTED;
	return SCARD_S_SUCCESS;
}

/* Takes the handle out of its slot. Lock held. Returns true if it held the lock. */
static bool remove_card(struct card *card)
{
	struct slot *slot = card->slot;
	bool owned = share_remove(&slot->share, &card->share);

	if (card->mode != SCARD_SHARE_DIRECT)
		slot_drop_user(slot);
	if (card->raw)
		slot->raw_handles--;
	slot_sharing_changed(slot);
	return owned;
}

uint32_t card_disconnect(
	struct client *client, struct card *card, struct slot_call *call, uint32_t disposition)
{
	struct slot *slot = card->slot;
	uint32_t rv = SCARD_S_SUCCESS;

	if (disposition > SCARD_EJECT_CARD)
		return SCARD_E_INVALID_VALUE;
	if (disposition != SCARD_LEAVE_CARD)
		rv = card_begin_call(client, card, call, 0, "disconnection with reset");
	/* Whatever else is wrong with the reader or the card, the handle can be given up. */
	if (rv == SLOT_PARKED || rv == SCARD_E_SHARING_VIOLATION)
		return rv;
	if (disposition != SCARD_LEAVE_CARD && rv == SCARD_S_SUCCESS) {
		if (disposition == SCARD_RESET_CARD)
			slot_reset(slot, false);
		else if (disposition == SCARD_UNPOWER_CARD)
			slot_unpower(slot);
		else
			eject(slot);
		card_leave_driver(client, slot, call);
	}
	slot_lock(slot);
	remove_card(card);
	slot_unlock(slot);
	return SCARD_S_SUCCESS;
}

void card_abandon(struct card *card)
{
	struct slot *slot = card->slot;
	bool fresh;

	slot_lock(slot);
	fresh = card->share.event == SHARE_EVENT_NONE;
	if (remove_card(card) && fresh && !slot->stopping) {
		share_event(&slot->share, SHARE_EVENT_RESET, NULL);
		slot_recover(slot);
	}
	slot_unlock(slot);
}

void card_free(struct card *card)
{
	card_drop_answer(card);
	slot_unref(card->slot);
	free(card);
}

uint32_t card_begin(struct client *client, struct card *card, struct slot_call *call)
{
	struct slot *slot = card->slot;
	uint32_t rv;

	slot_lock(slot);
	rv = call->state == SLOT_CALL_IDLE ? card_check_reader(slot) : SCARD_S_SUCCESS;
	if (rv == SCARD_S_SUCCESS)
		rv = card_ask(client, slot, card, call, SHARE_LOCK | SHARE_FRESH, CLOCK_NEVER);
	return card_release(slot, client, "transaction", rv);
}

uint32_t card_status(struct client *client, struct card *card, struct slot_call *call)
{
	struct slot *slot = card->slot;
	unsigned needs = SHARE_FRESH | (client->no_blocking ? SHARE_TRY : 0);
	uint32_t rv = SCARD_S_SUCCESS;

	slot_lock(slot);
	if (call->state == SLOT_CALL_IDLE && slot->stopping)
		rv = SCARD_E_INVALID_VALUE;
	if (rv == SCARD_S_SUCCESS)
		rv = card_ask(client, slot, card, call, needs, CLOCK_NEVER);
	if (rv == SCARD_S_SUCCESS)
		rv = card_check_reader(slot);
	return card_release(slot, client, "status", rv);
}

static uint32_t event_code(const struct card *card)
{
	switch (card->share.event) {
	case SHARE_EVENT_RESET:
		return SCARD_W_RESET_CARD;
	case SHARE_EVENT_REMOVED:
		return SCARD_W_REMOVED_CARD;
	default:
		return SCARD_S_SUCCESS;
	}
}

/* Ends the transaction as far as it can be said without the card. */
static uint32_t end_now(struct client *client, struct card *card, bool just_ask)
{
	struct slot *slot = card->slot;
	uint32_t rv;

	slot_lock(slot);
	rv = slot->stopping ? SCARD_E_INVALID_VALUE : event_code(card);
	if (rv == SCARD_S_SUCCESS)
		rv = just_ask ? share_may_end(&slot->share, &card->share)
			      : share_end(&slot->share, &card->share, clock_now());
	return card_release(slot, client, "end of transaction", rv);
}

uint32_t card_end(
	struct client *client, struct card *card, struct slot_call *call, uint32_t disposition)
{
	struct slot *slot = card->slot;
	uint32_t rv, ended;

	if (disposition > SCARD_EJECT_CARD)
		return SCARD_E_INVALID_VALUE;
	if (disposition == SCARD_LEAVE_CARD)
		return end_now(client, card, false);
	if (call->state == SLOT_CALL_IDLE) {
		rv = end_now(client, card, true);
		if (rv != SCARD_S_SUCCESS)
			return rv;
	}
	rv = card_begin_call(client, card, call, SHARE_FRESH | SHARE_TRY, "end of transaction");
	if (rv != SCARD_S_SUCCESS)
		return rv;
	if (disposition == SCARD_EJECT_CARD)
		rv = eject(slot);
	else
		rv = slot_reset(slot, disposition == SCARD_UNPOWER_CARD);
	slot_lock(slot);
	ended = share_end(&slot->share, &card->share, clock_now());
	slot_unlock(slot);
	card_leave_driver(client, slot, call);
	return rv != SCARD_S_SUCCESS ? rv : ended;
}
