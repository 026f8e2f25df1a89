/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/cards/card_call.h"

#include "pcscd/clock.h"
#include "pcscd/log.h"

#define CONTAINER(pointer, type, member)                                                           \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

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

uint32_t card_release(struct slot *slot, const struct client *client, const char *what, uint32_t rv)
{
	const struct share_handle *other = slot->share.owner;
	struct card_holder holder;
	bool log;

	if (!other) {
		other = slot->share.handles;
		while (other && other->group == client->id)
			other = other->next;
	}
	log = rv == SCARD_E_SHARING_VIOLATION && other && other->group != client->id;
	if (log)
		holder = card_holder(slot, other);
	slot_unlock(slot);
	if (log)
		log_refusal(slot, client, &holder, what);
	return rv;
}

uint32_t card_ask(struct client *client, struct slot *slot, struct card *card,
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

uint32_t card_check_reader(const struct slot *slot)
{
	if (slot->stopping)
		return SCARD_E_INVALID_VALUE;
	return (slot->state & SCARD_UNKNOWN) ? SCARD_E_READER_UNAVAILABLE : SCARD_S_SUCCESS;
}

bool card_enter_driver(struct client *client, const struct slot *slot)
{
	atomic_store(&client->calling, slot->id);
	if (atomic_load(&client->gone)) {
		atomic_store(&client->calling, 0);
		return false;
	}
	pool_will_block();
	return true;
}

void card_leave_driver(struct client *client, struct slot *slot, struct slot_call *call)
{
	slot_lock(slot);
	slot_give_turn(slot, call);
	slot_unlock(slot);
	atomic_store(&client->calling, 0);
}

uint32_t card_begin_call(struct client *client, struct card *card, struct slot_call *call,
	unsigned needs, const char *what)
{
	struct slot *slot = card->slot;
	uint32_t rv;

	slot_lock(slot);
	rv = call->state == SLOT_CALL_IDLE ? card_check_reader(slot) : SCARD_S_SUCCESS;
	if (rv == SCARD_S_SUCCESS)
		rv = card_ask(client, slot, card, call, needs | SHARE_TURN, CLOCK_NEVER);
	if (rv != SCARD_S_SUCCESS)
		return card_release(slot, client, what, rv);
	rv = card_check_reader(slot);
	if (rv == SCARD_S_SUCCESS && !card_enter_driver(client, slot))
		rv = SCARD_E_CANCELLED;
	if (rv != SCARD_S_SUCCESS)
		slot_give_turn(slot, call);
	slot_unlock(slot);
	return rv;
}
