/* SPDX-License-Identifier: BSD-3-Clause */
/* What a slot does with its card: presence, power, reset, protocol. */
#include "pcscd/cards/slot.h"

#include <string.h>

#include "pcscd/cards/protocol.h"
#include "pcscd/clock.h"
#include "pcscd/log.h"
#include "pcscd/readers/readers.h"

#define STATE_POWERED (SCARD_PRESENT | SCARD_POWERED | SCARD_NEGOTIABLE)
#define STATE_MUTE    (SCARD_PRESENT | SCARD_SWALLOWED)

static void forget_card(struct slot *slot)
{
	memset(slot->atr, 0, sizeof(slot->atr));
	slot->atr_length = 0;
	slot->protocol = 0;
	slot->power = SLOT_UNPOWERED;
}

static void set_state(struct slot *slot, uint32_t state)
{
	if (slot->state == state)
		return;
	slot->state = state;
	slot_card_changed(slot);
}

static void count_card(struct slot *slot)
{
	slot->counter = (slot->counter + 1) & 0xFFFF;
	slot_card_changed(slot);
}

/* No card is there. The slot's first look isn't an event. */
static void set_absent(struct slot *slot)
{
	if (slot->state & SCARD_ABSENT)
		return;
	if (slot->state) {
		log_line(PCSC_LOG_INFO, "%s: card removed", slot->name);
		count_card(slot);
		share_event(&slot->share, SHARE_EVENT_REMOVED, NULL);
	}
	forget_card(slot);
	set_state(slot, SCARD_ABSENT);
}

/* It can't be told whether a card is there. */
static void set_unknown(struct slot *slot, RESPONSECODE rc)
{
	if (slot->state & SCARD_UNKNOWN)
		return;
	if (rc == IFD_NO_SUCH_DEVICE)
		log_line(PCSC_LOG_INFO, "%s: the device is gone", slot->name);
	else
		log_line(PCSC_LOG_ERROR, "%s: the driver cannot tell whether there is a card (%ld)",
			slot->name, rc);
	forget_card(slot);
	set_state(slot, SCARD_UNKNOWN);
}

static void start_grace(struct slot *slot)
{
	slot->power = SLOT_POWERED;
	if (slot->policy.grace < 0)
		return;
	slot->power_off_at = clock_now() + slot->policy.grace;
	timer_set_by(&slot->power_timer, slot->power_off_at);
}

void slot_add_user(struct slot *slot)
{
	slot->users++;
	if (slot->power != SLOT_UNPOWERED)
		slot->power = SLOT_IN_USE;
}

void slot_drop_user(struct slot *slot)
{
	if (--slot->users == 0 && slot->power == SLOT_IN_USE)
		start_grace(slot);
}

static void note_inserted(struct slot *slot)
{
	log_line(PCSC_LOG_INFO, "%s: card inserted", slot->name);
	count_card(slot);
	share_event(&slot->share, SHARE_EVENT_RESET, NULL);
}

/* The driver has answered to IFD_POWER_UP or IFD_RESET. Returns true if the card is powered. */
static bool set_powered(struct slot *slot, RESPONSECODE rc, const uint8_t *atr, size_t length)
{
	bool inserted = !(slot->state & SCARD_PRESENT);
	bool first = slot->state == 0;
	/* Cards may answer a warm reset differently. */
	bool other_atr = length != slot->atr_length || memcmp(atr, slot->atr, length) != 0;

	forget_card(slot);
	if (inserted && !first)
		note_inserted(slot);
	if (rc != IFD_SUCCESS) {
		log_line(PCSC_LOG_ERROR, "%s: the card does not answer to reset (%ld)", slot->name,
			rc);
		set_state(slot, STATE_MUTE);
		return false;
	}
	memcpy(slot->atr, atr, length);
	slot->atr_length = length;
	if (other_atr && slot->state == STATE_POWERED)
		slot_card_changed(slot);
	set_state(slot, STATE_POWERED);
	if (slot->users > 0)
		slot->power = SLOT_IN_USE;
	else
		start_grace(slot);
	return true;
}

bool slot_power_up(struct slot *slot)
{
	uint8_t atr[MAX_ATR_SIZE];
	size_t length = 0;
	RESPONSECODE rc = driver_power(slot->channel, IFD_POWER_UP, atr, &length);
	bool powered;

	if (rc == IFD_NO_SUCH_DEVICE || rc == IFD_ICC_NOT_PRESENT) {
		slot_driver_failed(slot, rc);
		return false;
	}
	slot_lock(slot);
	powered = set_powered(slot, rc, atr, length);
	slot_unlock(slot);
	return powered;
}

/* A card is there. Returns true if it is new and must be powered up. Lock held. */
static bool note_present(struct slot *slot)
{
	bool first = slot->state == 0;

	if (slot->state & SCARD_PRESENT)
		return false;
	if (!slot->policy.on_demand)
		return true;
	forget_card(slot);
	if (!first)
		note_inserted(slot);
	set_state(slot, SCARD_PRESENT);
	return false;
}

bool slot_check_presence(struct slot *slot)
{
	RESPONSECODE rc = driver_presence(slot->channel);
	bool inserted = false;

	slot_lock(slot);
	if (rc == IFD_ICC_PRESENT)
		inserted = note_present(slot);
	else if (rc == IFD_ICC_NOT_PRESENT)
		set_absent(slot);
	else
		set_unknown(slot, rc);
	slot_unlock(slot);
	if (inserted)
		slot_power_up(slot);
	return rc != IFD_NO_SUCH_DEVICE;
}

uint32_t slot_reset(struct slot *slot, bool cold)
{
	uint8_t atr[MAX_ATR_SIZE];
	size_t length = 0;
	DWORD action = IFD_RESET;
	RESPONSECODE rc;
	bool powered;

	rc = driver_presence(slot->channel);
	if (rc != IFD_ICC_PRESENT)
		return slot_driver_failed(slot, rc) == SCARD_E_NO_SMARTCARD
			       ? SCARD_E_NO_SMARTCARD
			       : SCARD_W_UNRESPONSIVE_CARD;
	slot_lock(slot);
	if (cold || slot->power == SLOT_UNPOWERED)
		action = IFD_POWER_UP;
	share_event(&slot->share, SHARE_EVENT_RESET, NULL);
	slot->protocol = 0;
	slot_unlock(slot);
	if (cold)
		driver_power(slot->channel, IFD_POWER_DOWN, atr, &length);
	rc = driver_power(slot->channel, action, atr, &length);
	if (rc == IFD_NO_SUCH_DEVICE || rc == IFD_ICC_NOT_PRESENT)
		return slot_driver_failed(slot, rc);
	slot_lock(slot);
	powered = set_powered(slot, rc, atr, length);
	slot_unlock(slot);
	return powered ? SCARD_S_SUCCESS : SCARD_W_UNRESPONSIVE_CARD;
}

void slot_unpower(struct slot *slot)
{
	uint8_t atr[MAX_ATR_SIZE];
	size_t length = 0;
	RESPONSECODE rc;

	slot_lock(slot);
	share_event(&slot->share, SHARE_EVENT_RESET, NULL);
	slot->protocol = 0;
	slot_unlock(slot);
	rc = driver_power(slot->channel, IFD_POWER_DOWN, atr, &length);
	if (rc != IFD_SUCCESS) {
		log_line(PCSC_LOG_ERROR, "%s: cannot power the card off (%ld)", slot->name, rc);
		return;
	}
	slot_lock(slot);
	if (slot->state & SCARD_PRESENT) {
		slot->power = SLOT_UNPOWERED;
		set_state(slot, SCARD_PRESENT);
	}
	slot_unlock(slot);
}

void slot_do_reset(struct slot *slot)
{
	slot_reset(slot, false);
}

void slot_do_power_off(struct slot *slot)
{
	uint8_t atr[MAX_ATR_SIZE];
	size_t length = 0;
	bool wanted;

	slot_lock(slot);
	wanted = slot->power == SLOT_POWERED && clock_now() >= slot->power_off_at;
	if (wanted) {
		slot->power = SLOT_UNPOWERED;
		slot->protocol = 0;
	}
	slot_unlock(slot);
	if (wanted)
		driver_power(slot->channel, IFD_POWER_DOWN, atr, &length);
}

/*
 * What follows if the driver refused a protocol: `fallback` is set to the one to try next. The
 * rules are pcsc-lite's: IFD_NOT_SUPPORTED means that the driver leaves it all to the card.
 */
static uint32_t negotiation_failed(
	RESPONSECODE rc, uint32_t chosen, const struct protocol_offer *offer, uint32_t *fallback)
{
	*fallback = 0;
	if (rc != IFD_PROTOCOL_NOT_SUPPORTED && rc != IFD_ERROR_NOT_SUPPORTED)
		return SCARD_W_UNRESPONSIVE_CARD;
	if (!(offer->first & offer->available))
		return SCARD_E_PROTO_MISMATCH;
	if (offer->first == chosen)
		return SCARD_W_UNRESPONSIVE_CARD;
	*fallback = offer->first;
	return SCARD_S_SUCCESS;
}

/* Asks the driver for the best of offer->available. *chosen: what was agreed on. */
static uint32_t ask_driver(struct slot *slot, const struct protocol_offer *offer, uint32_t *chosen)
{
	uint32_t rv, fallback;
	RESPONSECODE rc;

	*chosen = protocol_best(offer->available);
	rc = driver_set_protocol(slot->channel, *chosen);
	if (rc == IFD_SUCCESS)
		return SCARD_S_SUCCESS;
	if (rc == IFD_NO_SUCH_DEVICE)
		return slot_driver_failed(slot, rc);
	if (rc == IFD_NOT_SUPPORTED) {
		*chosen = offer->first;
		return SCARD_S_SUCCESS;
	}
	rv = negotiation_failed(rc, *chosen, offer, &fallback);
	if (rv != SCARD_S_SUCCESS)
		return rv;
	*chosen = fallback;
	rc = driver_set_protocol(slot->channel, fallback);
	return rc == IFD_SUCCESS ? SCARD_S_SUCCESS : SCARD_W_UNRESPONSIVE_CARD;
}

uint32_t slot_negotiate(struct slot *slot, uint32_t wanted)
{
	struct protocol_offer offer;
	uint32_t current, chosen, rv;

	slot_lock(slot);
	current = slot->protocol;
	offer = protocol_offer(slot->atr, slot->atr_length);
	slot_unlock(slot);
	if (current)
		return (current & wanted) ? SCARD_S_SUCCESS : SCARD_E_PROTO_MISMATCH;
	offer.available &= wanted;
	if (!offer.available)
		return SCARD_E_PROTO_MISMATCH;
	rv = ask_driver(slot, &offer, &chosen);
	if (rv != SCARD_S_SUCCESS)
		return rv;
	slot_lock(slot);
	slot->protocol = chosen;
	slot_unlock(slot);
	return SCARD_S_SUCCESS;
}

uint32_t slot_driver_failed(struct slot *slot, RESPONSECODE rc)
{
	switch (rc) {
	case IFD_NO_SUCH_DEVICE:
		slot_lock(slot);
		set_unknown(slot, rc);
		slot_unlock(slot);
		readers_no_device(slot->device);
		return SCARD_E_READER_UNAVAILABLE;
	case IFD_ICC_NOT_PRESENT:
		slot_lock(slot);
		set_absent(slot);
		slot_unlock(slot);
		return SCARD_E_NO_SMARTCARD;
	default:
		return SCARD_E_NOT_TRANSACTED;
	}
}
