/* SPDX-License-Identifier: BSD-3-Clause */
/* The side of the bus: what the host sends is compared, and answered as it was. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spec/ccid.h"
#include "spec/usb.h"
#include "vreader/bytes.h"
#include "vreader/replay/replay_private.h"

/* An answer, with the bSeq that this host's command had. */
static void send_answer(
	struct replay *r, size_t i, uint8_t recorded_seq, uint8_t seq, replay_send *send, void *ctx)
{
	struct script_step *step = replay_step(r, i);
	struct replay_answer answer = { .len = step->entry.len };
	uint8_t *copy = malloc(answer.len ? answer.len : 1);
	size_t next = i + 1;

	if (!copy)
		return;
	if (answer.len)
		memcpy(copy, step->entry.data, answer.len);
	if (step->begins && answer.len > CCID_MSG_bStatus) {
		if (copy[CCID_MSG_bSeq] == recorded_seq)
			copy[CCID_MSG_bSeq] = seq;
		r->last_status[copy[CCID_MSG_bSlot]] = copy[CCID_MSG_bStatus] & CCID_ICC_MASK;
	}
	while (next < r->script->count && replay_step(r, next)->entry.kind != RECORDING_IN)
		next++;
	answer.bytes = copy;
	answer.stall = step->entry.status == RECORDING_STALL;
	answer.vanish = step->entry.status == RECORDING_GONE;
	/* Transfers that go on, and empty packets that have an entry of their own. */
	answer.no_zlp = next < r->script->count && !replay_step(r, next)->begins &&
			replay_step(r, next)->answers_to == step->answers_to;
	if (answer.len || answer.stall || answer.vanish || step->entry.status == RECORDING_OK)
		send(ctx, &answer);
	free(copy);
}

/* A host that is not driven asks when it likes. */
static void answer_status(struct replay *r, const uint8_t *command, replay_send *send, void *ctx)
{
	uint8_t slot = command[CCID_MSG_bSlot];
	uint8_t bytes[CCID_MSG_HEADER_SIZE] = { RDR_to_PC_SlotStatus };
	struct replay_answer answer = { .bytes = bytes, .len = sizeof(bytes) };

	bytes[CCID_MSG_bSlot] = slot;
	bytes[CCID_MSG_bSeq] = command[CCID_MSG_bSeq];
	bytes[CCID_MSG_bStatus] = r->last_status[slot];
	send(ctx, &answer);
}

static bool is_status_request(const struct recording_entry *entry)
{
	return entry->len == CCID_MSG_HEADER_SIZE && entry->data[0] == PC_to_RDR_GetSlotStatus;
}

/* For the same reason. */
static bool may_come_anyhow(const struct replay *r, const struct recording_entry *came)
{
	if (came->len != CCID_MSG_HEADER_SIZE)
		return false;
	if (r->first >= r->script->count && came->data[0] == PC_to_RDR_IccPowerOff)
		return true;
	return is_status_request(came) && (!r->driven || r->first >= r->script->count);
}

/* The step that a command should be. In one that is not driven, questions for the status that this
 * host doesn't ask are passed over. */
static size_t expected_step(struct replay *r, const struct recording_entry *came)
{
	unsigned slot = script_slot(came);
	size_t i = script_next(r->script, SCRIPT_NONE, RECORDING_OUT, slot);

	while (!r->driven && i != SCRIPT_NONE && is_status_request(&replay_step(r, i)->entry) &&
		!is_status_request(came)) {
		for (size_t a = i; a < r->script->count; a++)
			if (a == i || replay_step(r, a)->answers_to == i)
				replay_step(r, a)->done = true;
		i = script_next(r->script, i, RECORDING_OUT, slot);
	}
	return i;
}

/* The bSeq of a recorded command; of one that was cut short, that of the command that came. */
static uint8_t seq_of(const struct recording_entry *recorded, const struct recording_entry *came)
{
	return (recorded->len > CCID_MSG_bSeq ? recorded : came)->data[CCID_MSG_bSeq];
}

static void take_command(
	struct replay *r, const struct recording_entry *came, replay_send *send, void *ctx)
{
	size_t i = expected_step(r, came);
	const struct recording_entry *recorded =
		i == SCRIPT_NONE ? NULL : &replay_step(r, i)->entry;
	char what[64];
	size_t at = 0;

	if (recorded && replay_same(recorded, came, CCID_MSG_bSeq, &at)) {
		replay_take(r, i);
		for (size_t a = i + 1; a < r->script->count; a++) {
			if (replay_step(r, a)->done || replay_step(r, a)->answers_to != i ||
				replay_step(r, a)->entry.kind != RECORDING_IN)
				continue;
			send_answer(
				r, a, seq_of(recorded, came), came->data[CCID_MSG_bSeq], send, ctx);
			replay_take(r, a);
		}
		return;
	}
	if (may_come_anyhow(r, came)) {
		answer_status(r, came->data, send, ctx);
		return;
	}
	snprintf(what, sizeof(what), recorded ? "byte %zu differs" : "nothing more was recorded",
		at);
	replay_differ(r, recorded ? i : r->script->count, what, recorded, came);
}

void replay_bulk_out(
	struct replay *r, const uint8_t *bytes, size_t len, bool last, replay_send *send, void *ctx)
{
	struct recording_entry came = { .kind = RECORDING_OUT };

	pthread_mutex_lock(&r->lock);
	if (len > REPLAY_MESSAGE_MAX - r->message_len)
		len = REPLAY_MESSAGE_MAX - r->message_len;
	if (len)
		memcpy(r->message + r->message_len, bytes, len);
	r->message_len += len;
	came.data = r->message;
	came.len = (uint32_t)r->message_len;
	if (!last && came.len >= CCID_MSG_HEADER_SIZE)
		last = came.len >= CCID_MSG_HEADER_SIZE + get_le32(came.data + CCID_MSG_dwLength);
	/* An empty packet behind a message of whole packets. */
	if (last && came.len > CCID_MSG_bSeq && !r->failed)
		take_command(r, &came, send, ctx);
	if (last)
		r->message_len = 0;
	pthread_mutex_unlock(&r->lock);
}

/* bSeq is in the high byte of ABORT's wValue (CCID 1.1 §5.3.1). */
static bool same_setup(const uint8_t *recorded, const uint8_t *came)
{
	uint8_t copy[8];

	memcpy(copy, came, sizeof(copy));
	if (copy[USB_SETUP_bRequest] == CCID_REQ_ABORT)
		copy[USB_SETUP_wValue + 1] = recorded[USB_SETUP_wValue + 1];
	return memcmp(copy, recorded, sizeof(copy)) == 0;
}

/*
 * At the end the host may still say good-bye, and ask whether it was heard (ICCD 1.0 §6.2): the
 * length of what it gets then, or -1.
 */
static int good_bye(const struct replay *r, const uint8_t setup[8], uint8_t *in, size_t cap)
{
	static const uint8_t status[] = { CCID_ICC_INACTIVE, 0, 0 };
	size_t n = cap < sizeof(status) ? cap : sizeof(status);

	if (r->first < r->script->count)
		return -1;
	if (setup[USB_SETUP_bRequest] == ICCD_REQ_ICC_POWER_OFF)
		return 0;
	if (setup[USB_SETUP_bRequest] != ICCD_REQ_SLOT_STATUS_B)
		return -1;
	memcpy(in, status, n);
	return (int)n;
}

static int take_request(struct replay *r, const uint8_t setup[8], const uint8_t *out,
	size_t out_len, uint8_t *in, size_t cap)
{
	size_t i = script_next(r->script, SCRIPT_NONE, RECORDING_CONTROL, 0);
	const struct recording_entry *recorded =
		i == SCRIPT_NONE ? NULL : &replay_step(r, i)->entry;
	struct recording_entry came = { .kind = RECORDING_CONTROL };
	bool inward = setup[USB_SETUP_bmRequestType] & USB_DIR_IN;
	size_t at = 0;

	if (!recorded && good_bye(r, setup, in, cap) >= 0)
		return good_bye(r, setup, in, cap);
	came.data = out;
	came.len = (uint32_t)out_len;
	memcpy(came.setup, setup, sizeof(came.setup));
	if (!recorded || !same_setup(recorded->setup, setup) ||
		(!inward && !replay_same(recorded, &came, SIZE_MAX, &at))) {
		struct recording_entry asked = {
			.kind = RECORDING_CONTROL, .len = 8, .data = setup
		};
		struct recording_entry wanted = asked;

		wanted.data = recorded ? recorded->setup : NULL;
		replay_differ(r, recorded ? i : r->script->count, "another request",
			recorded ? &wanted : NULL, &asked);
		return -1;
	}
	replay_take(r, i);
	if (recorded->status != RECORDING_OK)
		return -1;
	if (!inward)
		return 0;
	if (recorded->len < cap)
		cap = recorded->len;
	if (cap)
		memcpy(in, recorded->data, cap);
	return (int)cap;
}

int replay_control(struct replay *r, const uint8_t setup[8], const uint8_t *out, size_t out_len,
	uint8_t *in, size_t cap)
{
	int result = -1;

	if (!replay_is_class_request(setup))
		return replay_standard_answer(r, setup, in, cap);
	pthread_mutex_lock(&r->lock);
	if (!r->failed)
		result = take_request(r, setup, out, out_len, in, cap);
	pthread_mutex_unlock(&r->lock);
	return result;
}

static bool event_is_next(const struct replay *r)
{
	/*
	 * Before, a driver has no use for it; in a call it would sometimes hear of it in time not
	 * to ask what it asked then, and sometimes not.
	 */
	bool in_time = !r->driven || (r->opened && r->running == 0);

	return !r->failed && in_time && r->first < r->script->count &&
	       replay_step(r, r->first)->entry.kind == RECORDING_EVENT;
}

bool replay_event_due(struct replay *r)
{
	bool due;

	pthread_mutex_lock(&r->lock);
	due = event_is_next(r) || r->event_out;
	pthread_mutex_unlock(&r->lock);
	return due;
}

/* What a host that is not driven gets to hear now when it asks for the slots' status. */
static void learn_presence(struct replay *r, const struct recording_entry *event)
{
	size_t slots = event->len > 0 ? (event->len - 1) * 4 : 0;

	if (slots == 0 || event->data[0] != RDR_to_PC_NotifySlotChange)
		return;
	for (size_t i = 0; i < slots && i < sizeof(r->last_status); i++) {
		bool present = event->data[1 + i / 4] >> i % 4 * 2 & 1;

		if (!present)
			r->last_status[i] = CCID_ICC_ABSENT;
		else if (r->last_status[i] == CCID_ICC_ABSENT)
			r->last_status[i] = CCID_ICC_INACTIVE;
	}
}

size_t replay_event(struct replay *r, uint8_t *data, size_t cap)
{
	size_t len = 0;

	pthread_mutex_lock(&r->lock);
	if (r->event_out) {
		r->event_out = false;
		replay_advance(r);
	}
	if (event_is_next(r)) {
		const struct recording_entry *entry = &replay_step(r, r->first)->entry;

		len = entry->len < cap ? entry->len : cap;
		if (len)
			memcpy(data, entry->data, len);
		r->event_out = len > 0;
		learn_presence(r, entry);
		replay_take(r, r->first);
	}
	pthread_mutex_unlock(&r->lock);
	return len;
}
