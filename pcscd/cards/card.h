/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Card handles: what a client does with a card through SCardConnect and what follows it.
 *
 * A `struct card` belongs to one connection and is used by the one thread that runs this
 * connection at a time. Each function here carries out one request. It returns an SCARD_ code, or
 * SLOT_PARKED when the request has to wait: it is then made again, with the same arguments, after
 * call->granted() was called. Calls into the driver happen inside; no lock is held then.
 */
#ifndef CARDWIRE_PCSCD_CARD_H
#define CARDWIRE_PCSCD_CARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pcscd/cards/share.h"
#include "pcscd/cards/slot.h"
#include "pcscd/peer.h"

/* The connection, as far as cards need to know it. */
struct client {
	uint64_t id; /* never reused; the group of its handles */
	struct peer peer;
	bool no_blocking;             /* wants SCARD_E_SHARING_VIOLATION rather than to wait */
	atomic_uint_fast64_t calling; /* id of the slot whose driver runs a call for it, or 0 */
	atomic_bool gone;             /* it has hung up */
	atomic_bool cancellable;      /* that call is one that SCardCancel ends */
	atomic_uint cancels;          /* SCardCancels that have come, */
	atomic_uint cancels_seen;     /* and those that ended something, or found nothing to end */
};

static inline bool card_client_cancelled(const struct client *client)
{
	return atomic_load(&client->cancels) != atomic_load(&client->cancels_seen);
}

struct card {
	struct share_handle share;
	struct card *next; /* of the same connection */
	uint32_t handle;   /* hCard */
	struct slot *slot;
	struct peer peer;
	uint32_t mode; /* SCARD_SHARE_… */
	bool raw;      /* connected with SCARD_PROTOCOL_RAW */
	int64_t since; /* ns */
	struct card_answer *kept;
};

/* An SCardConnect or SCardReconnect. */
struct card_wish {
	uint32_t mode;      /* SCARD_SHARE_… */
	uint32_t protocols; /* dwPreferredProtocols */
	uint32_t action;    /* dwInitialization, for SCardReconnect */
	bool no_wait;       /* SCardConnect is refused rather than to wait for a transaction */
	int64_t deadline;   /* ns: how long SCardConnect may wait for others */
};

/* Can this be wished at all? SCARD_E_PROTO_MISMATCH or, checked after it, SCARD_E_INVALID_VALUE. */
uint32_t card_check_wish(uint32_t mode, uint32_t protocols);

/*
 * Argument checks, codes and their order are those of pcsc-lite; comments in card.c say where ours
 * differ. card_connect() sets *card and *protocol on success only.
 */
uint32_t card_connect(struct client *client, struct slot *slot, struct slot_call *call,
	const struct card_wish *wish, struct card **card, uint32_t *protocol);
uint32_t card_reconnect(struct client *client, struct card *card, struct slot_call *call,
	const struct card_wish *wish, uint32_t *protocol);
/* SCARD_S_SUCCESS: the handle has left the slot; card_free() it. */
uint32_t card_disconnect(
	struct client *client, struct card *card, struct slot_call *call, uint32_t disposition);
uint32_t card_begin(struct client *client, struct card *card, struct slot_call *call);
uint32_t card_end(
	struct client *client, struct card *card, struct slot_call *call, uint32_t disposition);
uint32_t card_status(struct client *client, struct card *card, struct slot_call *call);

/* Bytes of a request and room for the answer. */
struct card_exchange {
	const uint8_t *tx;
	size_t tx_length;
	uint8_t *rx;      /* room for WIRE_DATA bytes */
	size_t rx_length; /* of the answer; the length needed at SCARD_E_INSUFFICIENT_BUFFER */
	size_t limit;     /* what the client has room for */
};

/* protocol: that of the client's pioSendPci. */
uint32_t card_transmit(struct client *client, struct card *card, struct slot_call *call,
	uint32_t protocol, struct card_exchange *exchange);
uint32_t card_control(struct client *client, struct card *card, struct slot_call *call,
	uint32_t code, struct card_exchange *exchange);

/* value: WIRE_ATTR bytes; *length: room in, length out. */
uint32_t card_get_attribute(struct client *client, struct card *card, struct slot_call *call,
	uint32_t id, uint8_t *value, size_t *length);
uint32_t card_set_attribute(struct client *client, struct card *card, struct slot_call *call,
	uint32_t id, const uint8_t *value, size_t length);

/*
 * The client is gone, or has released its context: the handle leaves the slot. If it held the lock
 * the card is reset.
 */
void card_abandon(struct card *card);

/* Frees a handle that has left its slot. */
void card_free(struct card *card);

/* Who stands in the way, for log lines; a copy, made with the slot's lock held. */
struct card_holder {
	struct peer peer;
	uint32_t mode;
	bool transaction;
	int64_t since; /* ns: of the transaction, otherwise of the connection */
};

struct card_holder card_holder(const struct slot *slot, const struct share_handle *handle);
void card_log_eviction(const struct slot *slot, const struct card_holder *holder);

#endif
