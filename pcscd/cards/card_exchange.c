/* SPDX-License-Identifier: BSD-3-Clause */
/* What card handles are for: commands, control codes, attributes. */
#include "pcscd/cards/card.h"

#include <stdlib.h>
#include <string.h>

#include <reader.h>

#include "pcscd/cards/card_call.h"
#include "wire/control.h"

/* An answer that was too long for the client's buffer, and the command it belongs to. */
struct card_answer {
	size_t tx_length;
	size_t rx_length;
	uint8_t bytes[]; /* command, answer */
};

void card_drop_answer(struct card *card)
{
	if (!card->kept)
		return;
	explicit_bzero(card->kept->bytes, card->kept->tx_length + card->kept->rx_length);
	free(card->kept);
	card->kept = NULL;
}

static void keep_answer(struct card *card, const struct card_exchange *exchange)
{
	struct card_answer *kept =
		malloc(sizeof(*kept) + exchange->tx_length + exchange->rx_length);

	if (!kept)
		return;
	kept->tx_length = exchange->tx_length;
	kept->rx_length = exchange->rx_length;
	memcpy(kept->bytes, exchange->tx, exchange->tx_length);
	memcpy(kept->bytes + exchange->tx_length, exchange->rx, exchange->rx_length);
	card->kept = kept;
}

/* If the client repeats the command whose answer was too long, this is the answer. */
static bool recall_answer(struct card *card, struct card_exchange *exchange)
{
	const struct card_answer *kept = card->kept;

	if (!kept || kept->tx_length != exchange->tx_length ||
		memcmp(kept->bytes, exchange->tx, kept->tx_length) != 0)
		return false;
	exchange->rx_length = kept->rx_length;
	memcpy(exchange->rx, kept->bytes + kept->tx_length, kept->rx_length);
	return true;
}

/* The protocol number for the driver's SCARD_IO_HEADER, -1 if it isn't the card's. Lock held. */
static long driver_protocol(const struct slot *slot, uint32_t protocol)
{
	if (protocol == SCARD_PROTOCOL_RAW)
		return SCARD_PROTOCOL_RAW;
	if (protocol == WIRE_PROTOCOL_ANY_OLD)
		protocol = slot->protocol;
	else if (protocol != slot->protocol)
		return -1;
	return protocol == SCARD_PROTOCOL_T1 ? 1 : 0;
}

static uint32_t check_transmit(struct slot *slot, uint32_t protocol, long *number)
{
	uint32_t rv = SCARD_S_SUCCESS;

	slot_lock(slot);
	*number = driver_protocol(slot, protocol);
	if (protocol != SCARD_PROTOCOL_RAW && (slot->state & SCARD_ABSENT))
		rv = SCARD_E_NO_SMARTCARD;
	else if (*number < 0)
		rv = SCARD_E_PROTO_MISMATCH;
	slot_unlock(slot);
	return rv;
}

/* Old drivers have their raw exchange in the control function. */
static uint32_t exchange_apdu(struct slot *slot, long number, struct card_exchange *exchange)
{
	RESPONSECODE rc;

	exchange->rx_length = WIRE_DATA;
	if (number == SCARD_PROTOCOL_RAW && driver_version(driver_of(slot->channel)) == 2)
		rc = driver_control(slot->channel, 0, exchange->tx, exchange->tx_length,
			exchange->rx, &exchange->rx_length);
	else
		rc = driver_transmit(slot->channel, (DWORD)number, exchange->tx,
			exchange->tx_length, exchange->rx, &exchange->rx_length);
	if (rc == IFD_SUCCESS)
		return SCARD_S_SUCCESS;
	exchange->rx_length = 0;
	return slot_driver_failed(slot, rc);
}

uint32_t card_transmit(struct client *client, struct card *card, struct slot_call *call,
	uint32_t protocol, struct card_exchange *exchange)
{
	struct slot *slot = card->slot;
	long number;
	uint32_t rv;

	exchange->rx_length = 0;
	rv = card_begin_call(client, card, call,
		SHARE_FRESH | (client->no_blocking ? SHARE_TRY : 0), "transmission");
	if (rv != SCARD_S_SUCCESS)
		return rv;
	rv = check_transmit(slot, protocol, &number);
	if (rv == SCARD_S_SUCCESS && !recall_answer(card, exchange)) {
		card_drop_answer(card);
		rv = exchange_apdu(slot, number, exchange);
	}
	card_leave_driver(client, slot, call);
	if (rv != SCARD_S_SUCCESS)
		return rv;
	if (exchange->rx_length > exchange->limit) {
		if (!card->kept)
			keep_answer(card, exchange);
		return SCARD_E_INSUFFICIENT_BUFFER;
	}
	card_drop_answer(card);
	return SCARD_S_SUCCESS;
}

static uint32_t control_failed(struct slot *slot, RESPONSECODE rc)
{
	switch (rc) {
	case IFD_NO_SUCH_DEVICE:
		return slot_driver_failed(slot, rc);
	case IFD_ERROR_NOT_SUPPORTED:
	case IFD_NOT_SUPPORTED:
		return SCARD_E_UNSUPPORTED_FEATURE;
	case IFD_ERROR_INSUFFICIENT_BUFFER:
		return SCARD_E_INSUFFICIENT_BUFFER;
	default:
		return SCARD_E_NOT_TRANSACTED;
	}
}

/* Has SCardCancel come for the call? It is used up by that. */
static bool take_cancel(struct client *client)
{
	unsigned cancels = atomic_load(&client->cancels);

	return atomic_exchange(&client->cancels_seen, cancels) != cancels;
}

/* A code for which the user is waited for: until SCardCancel comes, or has come before. */
static uint32_t control_cancellably(
	struct client *client, struct slot *slot, uint32_t code, struct card_exchange *exchange)
{
	RESPONSECODE rc = IFD_RESPONSE_TIMEOUT;

	/* Who cancels counts first and then looks here: one sees the other. */
	atomic_store(&client->cancellable, true);
	if (!card_client_cancelled(client))
		rc = driver_control(slot->channel, code, exchange->tx, exchange->tx_length,
			exchange->rx, &exchange->rx_length);
	atomic_store(&client->cancellable, false);
	if (take_cancel(client) && rc != IFD_SUCCESS)
		return SCARD_E_CANCELLED;
	return rc == IFD_SUCCESS ? SCARD_S_SUCCESS : control_failed(slot, rc);
}

static uint32_t control(
	struct client *client, struct slot *slot, uint32_t code, struct card_exchange *exchange)
{
	RESPONSECODE rc;

	if (wire_control_waits(code))
		return control_cancellably(client, slot, code, exchange);
	rc = driver_control(slot->channel, code, exchange->tx, exchange->tx_length, exchange->rx,
		&exchange->rx_length);
	return rc == IFD_SUCCESS ? SCARD_S_SUCCESS : control_failed(slot, rc);
}

uint32_t card_control(struct client *client, struct card *card, struct slot_call *call,
	uint32_t code, struct card_exchange *exchange)
{
	struct slot *slot = card->slot;
	uint32_t rv;

	exchange->rx_length = 0;
	if (wire_control_waits(code) && card_client_cancelled(client)) {
		/* Perhaps while it stood in the queue. */
		slot_cancel_call(slot, call);
		take_cancel(client);
		return SCARD_E_CANCELLED;
	}
	rv = card_begin_call(client, card, call, SHARE_TRY, "control");
	if (rv != SCARD_S_SUCCESS)
		return rv;
	card_drop_answer(card);
	if (driver_version(driver_of(slot->channel)) == 2 && exchange->tx_length == 0) {
		rv = SCARD_E_INVALID_PARAMETER;
	} else {
		exchange->rx_length = WIRE_DATA;
		driver_set_client(slot->channel, client->peer.uid);
		rv = control(client, slot, code, exchange);
		if (rv != SCARD_S_SUCCESS)
			exchange->rx_length = 0;
	}
	card_leave_driver(client, slot, call);
	if (rv == SCARD_S_SUCCESS && exchange->rx_length > exchange->limit)
		return SCARD_E_INSUFFICIENT_BUFFER;
	return rv;
}

/* Tags between daemon and driver, function pointers among them: never for clients. */
static bool is_internal(uint32_t id)
{
	return id == TAG_IFD_SLOTNUM || (id >= 0x0F00 && id <= 0x0FFF);
}

/* Attributes that the daemon knows if the driver doesn't. */
static uint32_t own_attribute(struct slot *slot, uint32_t id, uint8_t *value, size_t *length)
{
	size_t room = *length;
	uint32_t rv = SCARD_S_SUCCESS;

	slot_lock(slot);
	if (id == SCARD_ATTR_DEVICE_FRIENDLY_NAME_A || id == SCARD_ATTR_DEVICE_SYSTEM_NAME_A) {
		*length = strlen(slot->name) + 1;
		if (*length <= room)
			memcpy(value, slot->name, *length);
	} else if (id == SCARD_ATTR_ATR_STRING && slot->atr_length > 0) {
		*length = slot->atr_length;
		if (*length <= room)
			memcpy(value, slot->atr, *length);
	} else {
		*length = 0;
		rv = SCARD_E_UNSUPPORTED_FEATURE;
	}
	slot_unlock(slot);
	return *length > room ? SCARD_E_INSUFFICIENT_BUFFER : rv;
}

static uint32_t attribute_failed(struct slot *slot, RESPONSECODE rc)
{
	switch (rc) {
	case IFD_NO_SUCH_DEVICE:
		return slot_driver_failed(slot, rc);
	case IFD_ERROR_TAG:
		return SCARD_E_UNSUPPORTED_FEATURE;
	case IFD_ERROR_INSUFFICIENT_BUFFER:
		return SCARD_E_INSUFFICIENT_BUFFER;
	default:
		return SCARD_E_NOT_TRANSACTED;
	}
}

uint32_t card_get_attribute(struct client *client, struct card *card, struct slot_call *call,
	uint32_t id, uint8_t *value, size_t *length)
{
	struct slot *slot = card->slot;
	size_t room = *length;
	RESPONSECODE rc;
	uint32_t rv;

	rv = card_begin_call(client, card, call, SHARE_TRY | SHARE_FRESH, "attribute");
	if (rv != SCARD_S_SUCCESS)
		return rv;
	rc = is_internal(id) ? IFD_ERROR_TAG
			     : driver_get_capability(slot->channel, id, value, length);
	if (rc == IFD_SUCCESS) {
		rv = SCARD_S_SUCCESS;
	} else if (rc == IFD_ERROR_TAG) {
		*length = room;
		rv = own_attribute(slot, id, value, length);
	} else {
		*length = 0;
		rv = attribute_failed(slot, rc);
	}
	card_leave_driver(client, slot, call);
	return rv;
}

uint32_t card_set_attribute(struct client *client, struct card *card, struct slot_call *call,
	uint32_t id, const uint8_t *value, size_t length)
{
	struct slot *slot = card->slot;
	RESPONSECODE rc;
	uint32_t rv;

	rv = card_begin_call(client, card, call, SHARE_TRY | SHARE_FRESH, "attribute");
	if (rv != SCARD_S_SUCCESS)
		return rv;
	rc = is_internal(id) ? IFD_ERROR_TAG
			     : driver_set_capability(slot->channel, id, value, length);
	rv = rc == IFD_SUCCESS ? SCARD_S_SUCCESS : attribute_failed(slot, rc);
	card_leave_driver(client, slot, call);
	return rv;
}
