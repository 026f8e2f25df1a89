/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/clients/status_report.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pcscd/cards/card.h"
#include "pcscd/cards/slot.h"
#include "pcscd/cards/slots.h"
#include "pcscd/cards/events.h"
#include "pcscd/clients/session.h"
#include "pcscd/clock.h"
#include "pcscd/config.h"

#define CONTAINER(pointer, type, member)                                                           \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define PROGRAM_MAX 4096 /* bytes of a program's path */

/* Lists of a reader. */
enum role {
	HOLDER,  /* has the lock */
	RUNNING, /* a call of it is in the driver */
	HANDLE,
	QUEUED,
};

/* A client and what it has to do with a reader. */
struct party {
	struct party *next;
	struct peer peer;
	enum role role;
	const char *what; /* share mode, reason, or what it waits for */
	int64_t since;    /* ns */
};

/* A copy of what is known of a slot. */
struct reader {
	struct reader *next;
	struct wire_reader_state state;
	char *driver;
	char *device; /* NULL: it has a number only */
	struct party *parties;
};

/* A client that waits for events. */
struct waiter {
	struct waiter *next;
	struct peer peer;
	bool all;
	json_object *names;
};

struct report {
	uid_t viewer;
	bool all;
	int64_t now; /* ns, not before anything in it */
	struct reader *readers;
	struct reader **last_reader;
	struct waiter *waiters;
	bool failed; /* memory is missing */
};

static void *allocate(struct report *report, size_t size)
{
	void *memory = calloc(1, size);

	if (!memory)
		report->failed = true;
	return memory;
}

static char *copy(struct report *report, const char *text)
{
	char *own = text ? strdup(text) : NULL;

	if (text && !own)
		report->failed = true;
	return own;
}

/* Length of the UTF-8 character at `at`, which ends with a NUL at the latest; 0: it is none. */
static size_t character_length(const char *at)
{
	unsigned char first = (unsigned char)*at;
	size_t length = first < 0x80   ? 1
			: first < 0xC2 ? 0
			: first < 0xE0 ? 2
			: first < 0xF0 ? 3
				       : 4;

	if (first > 0xF4)
		return 0;
	for (size_t i = 1; i < length; i++) {
		if (((unsigned char)at[i] & 0xC0) != 0x80)
			return 0;
	}
	return length;
}

/* Names come from anywhere; JSON must be UTF-8. */
static json_object *text_json(const char *text)
{
	char *clean = text ? strdup(text) : NULL;
	json_object *json;

	if (!clean)
		return NULL;
	for (char *at = clean; *at;) {
		size_t length = character_length(at);

		if (length == 0)
			*at = '?';
		at += length ? length : 1;
	}
	json = json_object_new_string(clean);
	free(clean);
	return json;
}

/* Taking copies, with the locks held. */

static struct party *add_party(struct report *report, struct reader *reader, enum role role,
	const struct peer *peer, const char *what, int64_t since)
{
	struct party *party = allocate(report, sizeof(*party));

	if (!party)
		return NULL;
	party->peer = *peer;
	party->role = role;
	party->what = what;
	party->since = since;
	party->next = reader->parties;
	reader->parties = party;
	return party;
}

static const char *mode_name(uint32_t mode)
{
	if (mode == SCARD_SHARE_EXCLUSIVE)
		return "exclusive";
	return mode == SCARD_SHARE_DIRECT ? "direct" : "shared";
}

static const char *wish_name(const struct share_wait *wait)
{
	if (!wait->handle)
		return "connection";
	return (wait->needs & SHARE_LOCK) ? "transaction" : "call";
}

/* The client of a request; NULL: it is the daemon's own. */
static const struct peer *peer_of_wait(const struct share_wait *wait)
{
	const struct slot_call *call = CONTAINER(wait, const struct slot_call, wait);

	if (wait->needs & SHARE_SYSTEM)
		return NULL;
	return &CONTAINER(call, const struct session, call)->client.peer;
}

static void look_at_queue(struct report *report, struct reader *reader, const struct share *share)
{
	const struct peer *peer;

	/* From the last to the first, since parties are put in front. */
	for (const struct share_wait *wait = share->last; wait; wait = wait->prev) {
		peer = peer_of_wait(wait);
		if (peer)
			add_party(report, reader, QUEUED, peer, wish_name(wait), wait->since);
	}
	peer = share->turn ? peer_of_wait(share->turn) : NULL;
	if (peer)
		add_party(report, reader, RUNNING, peer, wish_name(share->turn), 0);
}

static void look_at_handles(struct report *report, struct reader *reader, const struct slot *slot)
{
	const struct share *share = &slot->share;

	for (const struct share_handle *at = share->handles; at; at = at->next) {
		const struct card *card = CONTAINER(at, const struct card, share);

		add_party(report, reader, HANDLE, &card->peer, mode_name(card->mode), card->since);
	}
	if (share->owner) {
		struct card_holder holder = card_holder(slot, share->owner);

		add_party(report, reader, HOLDER, &holder.peer,
			holder.transaction ? "transaction" : "exclusive", holder.since);
	}
}

static void look_at_slot(void *ctx, struct slot *slot)
{
	struct report *report = ctx;
	struct reader *reader = allocate(report, sizeof(*reader));

	if (!reader)
		return;
	*report->last_reader = reader;
	report->last_reader = &reader->next;
	slot_lock(slot);
	slot_publish(slot, &reader->state);
	if (slot->channel) {
		reader->driver = copy(report, driver_path(driver_of(slot->channel)));
		reader->device = copy(report, driver_device(slot->channel));
	}
	look_at_queue(report, reader, &slot->share);
	look_at_handles(report, reader, slot);
	slot_unlock(slot);
}

/* A client's wait may name readers (session->watch), or mean all of them. */
static void look_at_waiter(void *ctx, struct events_waiter *at)
{
	struct report *report = ctx;
	const struct session *session = CONTAINER(at, const struct session, waiter);
	struct waiter *waiter;

	if (!(at->kinds & (EVENTS_ANY | EVENTS_NAMED)))
		return;
	waiter = allocate(report, sizeof(*waiter));
	if (!waiter)
		return;
	waiter->peer = session->client.peer;
	waiter->all = at->kinds & EVENTS_ANY;
	waiter->next = report->waiters;
	report->waiters = waiter;
	if (waiter->all || !session->watch)
		return;
	waiter->names = json_object_new_array();
	for (uint32_t i = 0; i < session->watch->count; i++)
		json_object_array_add(waiter->names, text_json(session->watch->entries[i].name));
}

/* Printing, without locks. */

static bool is_visible(const struct report *report, const struct peer *peer)
{
	return report->all || peer->uid == report->viewer;
}

static json_object *client_json(const struct report *report, const struct peer *peer)
{
	json_object *client = json_object_new_object();
	char program[PROGRAM_MAX];
	const char *name = program;

	peer_program(peer->pid, program, sizeof(program));
	if (is_visible(report, peer)) {
		json_object_object_add(client, "pid", json_object_new_int64(peer->pid));
		json_object_object_add(client, "uid", json_object_new_int64(peer->uid));
	} else if (strrchr(program, '/')) {
		/* The path might tell more than the program. */
		name = strrchr(program, '/') + 1;
	}
	json_object_object_add(client, "program", text_json(name));
	return client;
}

static json_object *party_json(const struct report *report, const struct party *party)
{
	static const char *const keys[] = {
		[HOLDER] = "reason",
		[RUNNING] = "wants",
		[HANDLE] = "mode",
		[QUEUED] = "wants",
	};
	json_object *client = client_json(report, &party->peer);

	json_object_object_add(client, keys[party->role], json_object_new_string(party->what));
	if (party->role != RUNNING)
		json_object_object_add(client, "for_ms",
			json_object_new_int64((report->now - party->since) / CLOCK_MS));
	return client;
}

/* Others' requests and waits are theirs; who holds a reader is everybody's business. */
static bool is_shown(const struct report *report, const struct party *party)
{
	return party->role == HANDLE || party->role == HOLDER || is_visible(report, &party->peer);
}

static json_object *list_json(
	const struct report *report, const struct reader *reader, enum role role)
{
	json_object *list = json_object_new_array();

	for (const struct party *party = reader->parties; party; party = party->next) {
		if (party->role == role && is_shown(report, party))
			json_object_array_add(list, party_json(report, party));
	}
	return list;
}

static json_object *one_json(
	const struct report *report, const struct reader *reader, enum role role)
{
	for (const struct party *party = reader->parties; party; party = party->next) {
		if (party->role == role && is_shown(report, party))
			return party_json(report, party);
	}
	return NULL;
}

static const char *card_name(uint32_t state)
{
	if (state & SCARD_UNKNOWN)
		return "unknown";
	if (!(state & SCARD_PRESENT))
		return "absent";
	if (state & SCARD_SWALLOWED)
		return "mute";
	return (state & SCARD_POWERED) ? "present" : "unpowered";
}

static json_object *atr_json(const struct wire_reader_state *state)
{
	char text[2 * MAX_ATR_SIZE + 1] = "";

	if (state->cardAtrLength == 0 || state->cardAtrLength > MAX_ATR_SIZE)
		return NULL;
	for (uint32_t i = 0; i < state->cardAtrLength; i++)
		snprintf(text + 2 * (size_t)i, 3, "%02X", state->cardAtr[i]);
	return json_object_new_string(text);
}

static json_object *protocol_json(uint32_t protocol)
{
	switch (protocol) {
	case SCARD_PROTOCOL_T0:
		return json_object_new_string("T=0");
	case SCARD_PROTOCOL_T1:
		return json_object_new_string("T=1");
	case SCARD_PROTOCOL_RAW:
		return json_object_new_string("raw");
	default:
		return NULL;
	}
}

static const char *sharing_name(int32_t sharing)
{
	if (sharing < 0)
		return "exclusive";
	return sharing > 0 ? "shared" : "unused";
}

static json_object *reader_json(const struct report *report, const struct reader *reader)
{
	const struct wire_reader_state *state = &reader->state;
	json_object *json = json_object_new_object();

	json_object_object_add(json, "name", text_json(state->readerName));
	json_object_object_add(json, "card", json_object_new_string(card_name(state->readerState)));
	json_object_object_add(json, "atr", atr_json(state));
	json_object_object_add(json, "protocol", protocol_json(state->cardProtocol));
	json_object_object_add(json, "driver", text_json(reader->driver));
	json_object_object_add(json, "device", text_json(reader->device));
	json_object_object_add(
		json, "sharing", json_object_new_string(sharing_name(state->readerSharing)));
	json_object_object_add(json, "holder", one_json(report, reader, HOLDER));
	json_object_object_add(json, "running", one_json(report, reader, RUNNING));
	json_object_object_add(json, "handles", list_json(report, reader, HANDLE));
	json_object_object_add(json, "queue", list_json(report, reader, QUEUED));
	return json;
}

static json_object *waiter_json(const struct report *report, const struct waiter *waiter)
{
	json_object *json = client_json(report, &waiter->peer);

	json_object_object_add(json, "readers",
		waiter->all ? NULL
			    : (waiter->names ? json_object_get(waiter->names)
					     : json_object_new_array()));
	return json;
}

static json_object *daemon_json(void)
{
	json_object *json = json_object_new_object();

	json_object_object_add(json, "version", json_object_new_string(CARDWIRE_VERSION));
	json_object_object_add(json, "pid", json_object_new_int(getpid()));
	return json;
}

static json_object *report_json(const struct report *report)
{
	json_object *json = json_object_new_object();
	json_object *readers = json_object_new_array();
	json_object *waiters = json_object_new_array();

	for (const struct reader *reader = report->readers; reader; reader = reader->next)
		json_object_array_add(readers, reader_json(report, reader));
	for (const struct waiter *waiter = report->waiters; waiter; waiter = waiter->next) {
		if (is_visible(report, &waiter->peer))
			json_object_array_add(waiters, waiter_json(report, waiter));
	}
	json_object_object_add(json, "daemon", daemon_json());
	json_object_object_add(json, "readers", readers);
	json_object_object_add(json, "waiters", waiters);
	return json;
}

static void free_report(struct report *report)
{
	struct reader *reader;
	struct waiter *waiter;
	struct party *party;

	while ((reader = report->readers)) {
		report->readers = reader->next;
		while ((party = reader->parties)) {
			reader->parties = party->next;
			free(party);
		}
		free(reader->driver);
		free(reader->device);
		free(reader);
	}
	while ((waiter = report->waiters)) {
		report->waiters = waiter->next;
		json_object_put(waiter->names);
		free(waiter);
	}
}

char *status_report(uid_t viewer, bool all)
{
	struct report report = { .viewer = viewer, .all = all };
	char *text = NULL;
	json_object *json;

	report.last_reader = &report.readers;
	slots_each(look_at_slot, &report);
	events_each(look_at_waiter, &report);
	report.now = clock_now();
	if (!report.failed) {
		json = report_json(&report);
		text = copy(&report, json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN));
		json_object_put(json);
	}
	free_report(&report);
	return text;
}
