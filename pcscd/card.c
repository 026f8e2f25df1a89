/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/card.h"

#include <stdlib.h>
#include <string.h>

#include <reader.h>

#include "pcscd/clock.h"
#include "pcscd/log.h"
#include "pcscd/protocol.h"

#define CONTAINER(pointer, type, member)                                                           \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* An answer that was too long for the client's buffer, and the command it belongs to. */
struct card_answer {
	size_t tx_length;
	size_t rx_length;
	uint8_t bytes[]; /* command, answer */
};

static void drop_answer(struct card *card)
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

struct card_holder card_holder(const struct slot *slot, const struct share_handle *handle)
{
	const struct card *card = CONTAINER(handle, const struct card, share);
	struct card_holder holder = {
		.peer = card->peer,
		.mode = card->mode,
		.transaction = slot->share.owner == handle && slot->share.depth > 0,
		.since = card->since,
	};

	if (holder.transaction)
		holder.since = slot->share.locked_since;
	return holder;
}

void card_log_eviction(const struct slot *slot, const struct card_holder *holder)
{
	char text[PEER_TEXT];

	peer_describe(&holder->peer, text);
	log_line(PCSC_LOG_ERROR,
		"%s: transaction of %s ended, card reset: the holder was silent while others wait",
		slot->name, text);
}

static void log_refusal(const struct slot *slot, const struct client *client,
	const struct card_holder *holder, const char *what)
{
	char who[PEER_TEXT], by[PEER_TEXT];
	const char *how = holder->transaction ? "in a transaction" : "connected shared or direct";

	if (!holder->transaction && holder->mode == SCARD_SHARE_EXCLUSIVE)
		how = "connected exclusively";
	peer_describe(&client->peer, who);
	peer_describe(&holder->peer, by);
	log_line(PCSC_LOG_ERROR, "%s: %s refused to %s: held by %s, %s for %ld s", slot->name, what,
		who, by, how, (long)((clock_now() - holder->since) / CLOCK_S));
}

/*
 * Releases the slot's lock and returns rv; a sharing violation is logged with the name of who holds
 * the reader. A handle of the same connection is no news to its client.
 */
static uint32_t release(
	struct slot *slot, const struct client *client, const char *what, uint32_t rv)
{
	const struct share_handle *other =
		slot->share.owner ? slot->share.owner : slot->share.handles;
	struct card_holder holder;
	bool log = rv == SCARD_E_SHARING_VIOLATION && other && other->group != client->id;

	if (log)
		holder = card_holder(slot, other);
	slot_unlock(slot);
	if (log)
		log_refusal(slot, client, &holder, what);
	return rv;
}

/* Fills in a request that is made for the first time, and asks; with the lock held. */
static uint32_t ask(struct client *client, struct slot *slot, struct card *card,
	struct slot_call *call, unsigned needs, int64_t deadline)
{
	if (call->state == SLOT_CALL_IDLE) {
		call->wait.needs = needs;
		call->wait.handle = card ? &card->share : NULL;
		call->wait.group = client->id;
		call->wait.deadline = deadline;
	}
	return slot_ask(slot, call);
}

/* The checks that come before all others: the reader is there, and answers. Lock held. */
static uint32_t check_reader(const struct slot *slot)
{
	if (slot->stopping)
		return SCARD_E_INVALID_VALUE;
	return (slot->state & SCARD_UNKNOWN) ? SCARD_E_READER_UNAVAILABLE : SCARD_S_SUCCESS;
}

/*
 * The turn was granted; before the driver is called. False if the client has hung up: whoever
 * notices that after this point aborts the call (slot_abort_call()).
 */
static bool enter_driver(struct client *client, const struct slot *slot)
{
	atomic_store(&client->calling, slot->id);
	if (atomic_load(&client->gone)) {
		atomic_store(&client->calling, 0);
		return false;
	}
	pool_will_block();
	return true;
}

static void leave_driver(struct client *client, struct slot *slot, struct slot_call *call)
{
	slot_lock(slot);
	slot_give_turn(slot, call);
	slot_unlock(slot);
	atomic_store(&client->calling, 0);
}

/* Asks for the turn, and enters the driver. Other results: the driver must not be called. */
static uint32_t begin_call(struct client *client, struct card *card, struct slot_call *call,
	unsigned needs, const char *what)
{
	struct slot *slot = card->slot;
	uint32_t rv;

	slot_lock(slot);
	rv = call->state == SLOT_CALL_IDLE ? check_reader(slot) : SCARD_S_SUCCESS;
	if (rv == SCARD_S_SUCCESS)
		rv = ask(client, slot, card, call, needs | SHARE_TURN, CLOCK_NEVER);
	if (rv != SCARD_S_SUCCESS)
		return release(slot, client, what, rv);
	rv = check_reader(slot);
	if (rv == SCARD_S_SUCCESS && !enter_driver(client, slot))
		rv = SCARD_E_CANCELLED;
	if (rv != SCARD_S_SUCCESS)
		slot_give_turn(slot, call);
	slot_unlock(slot);
	return rv;
}

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
	unsigned needs = connect_needs(slot, wish);
	uint32_t rv = SCARD_S_SUCCESS;

	if (call->state == SLOT_CALL_IDLE && slot->state & SCARD_UNKNOWN)
		rv = SCARD_E_READER_UNAVAILABLE;
	if (rv == SCARD_S_SUCCESS)
		rv = ask(client, slot, NULL, call, needs, wish->deadline);
	if (rv != SCARD_S_SUCCESS)
		return rv;
	rv = check_connect(slot, wish);
	if (rv != SCARD_S_SUCCESS) {
		slot_give_turn(slot, call);
		return rv;
	}
	needs = connect_needs(slot, wish);
	if (needs & ~call->wait.needs)
		return ask(client, slot, NULL, call, needs, wish->deadline);
	return SCARD_S_SUCCESS;
}

uint32_t card_connect(struct client *client, struct slot *slot, struct slot_call *call,
	const struct card_wish *wish, struct card **card, uint32_t *protocol)
{
	uint32_t rv;

	slot_lock(slot);
	rv = ask_connect(client, slot, call, wish);
	if (rv != SCARD_S_SUCCESS)
		return release(slot, client, "connection", rv);
	if (connect_calls_driver(slot, wish)) {
		slot_unlock(slot);
		rv = enter_driver(client, slot) ? prepare_card(slot, wish) : SCARD_E_CANCELLED;
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
	return release(slot, client, "connection", rv);
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
	return release(slot, client, "reconnection",
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
		rv = begin_call(
			client, card, call, client->no_blocking ? SHARE_TRY : 0, "reconnection");
	if (rv != SCARD_S_SUCCESS)
		return rv;
	drop_answer(card);
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
	leave_driver(client, slot, call);
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
		rv = begin_call(client, card, call, 0, "disconnection with reset");
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
		leave_driver(client, slot, call);
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
	drop_answer(card);
	slot_unref(card->slot);
	free(card);
}

uint32_t card_begin(struct client *client, struct card *card, struct slot_call *call)
{
	struct slot *slot = card->slot;
	uint32_t rv;

	slot_lock(slot);
	rv = call->state == SLOT_CALL_IDLE ? check_reader(slot) : SCARD_S_SUCCESS;
	if (rv == SCARD_S_SUCCESS)
		rv = ask(client, slot, card, call, SHARE_LOCK | SHARE_FRESH, CLOCK_NEVER);
	return release(slot, client, "transaction", rv);
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
		rv = ask(client, slot, card, call, needs, CLOCK_NEVER);
	if (rv == SCARD_S_SUCCESS)
		rv = check_reader(slot);
	return release(slot, client, "status", rv);
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
	return release(slot, client, "end of transaction", rv);
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
	rv = begin_call(client, card, call, SHARE_FRESH | SHARE_TRY, "end of transaction");
	if (rv != SCARD_S_SUCCESS)
		return rv;
	if (disposition == SCARD_EJECT_CARD)
		rv = eject(slot);
	else
		rv = slot_reset(slot, disposition == SCARD_UNPOWER_CARD);
	slot_lock(slot);
	ended = share_end(&slot->share, &card->share, clock_now());
	slot_unlock(slot);
	leave_driver(client, slot, call);
	return rv != SCARD_S_SUCCESS ? rv : ended;
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
	rv = begin_call(client, card, call, SHARE_FRESH | (client->no_blocking ? SHARE_TRY : 0),
		"transmission");
	if (rv != SCARD_S_SUCCESS)
		return rv;
	rv = check_transmit(slot, protocol, &number);
	if (rv == SCARD_S_SUCCESS && !recall_answer(card, exchange)) {
		drop_answer(card);
		rv = exchange_apdu(slot, number, exchange);
	}
	leave_driver(client, slot, call);
	if (rv != SCARD_S_SUCCESS)
		return rv;
	if (exchange->rx_length > exchange->limit) {
		if (!card->kept)
			keep_answer(card, exchange);
		return SCARD_E_INSUFFICIENT_BUFFER;
	}
	drop_answer(card);
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

uint32_t card_control(struct client *client, struct card *card, struct slot_call *call,
	uint32_t code, struct card_exchange *exchange)
{
	struct slot *slot = card->slot;
	RESPONSECODE rc;
	uint32_t rv;

	exchange->rx_length = 0;
	rv = begin_call(client, card, call, SHARE_TRY, "control");
	if (rv != SCARD_S_SUCCESS)
		return rv;
	drop_answer(card);
	if (driver_version(driver_of(slot->channel)) == 2 && exchange->tx_length == 0) {
		rv = SCARD_E_INVALID_PARAMETER;
	} else {
		exchange->rx_length = WIRE_DATA;
		rc = driver_control(slot->channel, code, exchange->tx, exchange->tx_length,
			exchange->rx, &exchange->rx_length);
		if (rc != IFD_SUCCESS) {
			exchange->rx_length = 0;
			rv = control_failed(slot, rc);
		}
	}
	leave_driver(client, slot, call);
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

	rv = begin_call(client, card, call, SHARE_TRY | SHARE_FRESH, "attribute");
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
	leave_driver(client, slot, call);
	return rv;
}

uint32_t card_set_attribute(struct client *client, struct card *card, struct slot_call *call,
	uint32_t id, const uint8_t *value, size_t length)
{
	struct slot *slot = card->slot;
	RESPONSECODE rc;
	uint32_t rv;

	rv = begin_call(client, card, call, SHARE_TRY | SHARE_FRESH, "attribute");
	if (rv != SCARD_S_SUCCESS)
		return rv;
	rc = is_internal(id) ? IFD_ERROR_TAG
			     : driver_set_capability(slot->channel, id, value, length);
	rv = rc == IFD_SUCCESS ? SCARD_S_SUCCESS : attribute_failed(slot, rc);
	leave_driver(client, slot, call);
	return rv;
}
