/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/replay/replay.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "spec/ccid.h"
#include "spec/usb.h"
#include "vreader/bytes.h"

enum {
	MESSAGE_MAX = RECORDING_DATA_MAX,
	STUCK_S = 150, /* longer than a driver waits for anything that is not answered */
	SHOWN = 48,    /* bytes of a message in a difference */
};

struct replay {
	struct script *script;
	bool driven;
	void (*woken)(void *ctx);
	void *ctx;
	struct profile profile;
	struct replay_endpoint endpoints[REPLAY_ENDPOINTS_MAX];
	size_t endpoint_count;
	const struct recording_entry *device; /* descriptors, of the script */
	const struct recording_entry *configuration;

	pthread_mutex_t lock; /* what follows, and `done` of the steps */
	pthread_cond_t moved;
	size_t first; /* the first step that is not done */
	size_t matched;
	unsigned running; /* calls */
	bool opened;      /* calls begin */
	bool event_out;   /* the host has not yet come back for the next event */
	bool failed;
	char difference[1024];
	uint8_t last_status[256]; /* of each slot: bStatus */
	uint8_t *message;
	size_t message_len;
};

static struct script_step *step_at(const struct replay *r, size_t i)
{
	return &r->script->steps[i];
}

/* Steps that nobody takes. */
static bool passes(const struct replay *r, const struct script_step *step)
{
	switch (step->entry.kind) {
	case RECORDING_CLEAR_HALT:
	case RECORDING_RESET:
	case RECORDING_DROPPED:
	case RECORDING_QUIRK:
		return true;
	case RECORDING_CALL:
	case RECORDING_RETURN:
		return !r->driven;
	case RECORDING_EVENT:
		return step->entry.status != RECORDING_OK;
	default:
		return step->done;
	}
}

/* With the lock held. */
static void advance(struct replay *r)
{
	while (r->first < r->script->count &&
		(step_at(r, r->first)->done || passes(r, step_at(r, r->first))))
		step_at(r, r->first++)->done = true;
	pthread_cond_broadcast(&r->moved);
	r->woken(r->ctx);
}

static void take(struct replay *r, size_t i)
{
	step_at(r, i)->done = true;
	r->matched++;
	advance(r);
}

static void fail(struct replay *r)
{
	r->failed = true;
	pthread_cond_broadcast(&r->moved);
	r->woken(r->ctx);
}

static size_t put_hex(char *text, size_t room, const struct recording_entry *entry)
{
	size_t used = 0;

	text[0] = '\0';
	if (entry->len == 0)
		used = (size_t)snprintf(text, room, " nothing");
	for (size_t i = 0; i < entry->len && i < SHOWN && used + 8 < room; i++)
		used += (size_t)snprintf(text + used, room - used,
			recording_masked(entry, i) ? " **" : " %02X", entry->data[i]);
	if (entry->len > SHOWN)
		used += (size_t)snprintf(text + used, room - used, " …");
	return used;
}

/* "message 12 (out): …: recorded …, came …"; either may be NULL. Numbers count the entries. */
static void differ(struct replay *r, size_t i, const char *what,
	const struct recording_entry *recorded, const struct recording_entry *came)
{
	enum recording_kind kind = came ? came->kind : RECORDING_OUT;
	char one[4 * SHOWN] = " nothing";
	char other[4 * SHOWN] = " nothing";

	if (r->failed)
		return;
	if (recorded)
		put_hex(one, sizeof(one), recorded);
	if (came)
		put_hex(other, sizeof(other), came);
	snprintf(r->difference, sizeof(r->difference), "message %zu (%s): %s: expected%s; came%s",
		i + 1, recording_strkind(recorded ? recorded->kind : kind), what, one, other);
	fail(r);
}

/* True if they are the same but for what is masked, missing, or at `skip`. *at: where not. */
static bool same(const struct recording_entry *recorded, const struct recording_entry *came,
	size_t skip, size_t *at)
{
	size_t len = recorded->len < came->len ? recorded->len : came->len;

	for (*at = 0; *at < len; ++*at)
		if (*at != skip && !recording_masked(recorded, *at) &&
			recorded->data[*at] != came->data[*at])
			return false;
	return recorded->missing ? came->len >= len : recorded->len == came->len;
}

static bool is_class_request(const uint8_t setup[8])
{
	return (setup[USB_SETUP_bmRequestType] & USB_TYPE_MASK) == USB_TYPE_CLASS &&
	       (setup[USB_SETUP_bmRequestType] & USB_RECIP_MASK) == USB_RECIP_INTERFACE;
}

/* Standard requests are answered whenever they come. */
static void find_descriptors(struct replay *r)
{
	for (size_t i = 0; i < r->script->count; i++) {
		struct script_step *step = step_at(r, i);
		uint8_t type = step->entry.setup[USB_SETUP_wValue + 1];

		if (step->entry.kind != RECORDING_CONTROL || is_class_request(step->entry.setup))
			continue;
		step->done = true;
		if (step->entry.setup[USB_SETUP_bRequest] != USB_REQ_GET_DESCRIPTOR ||
			step->entry.status != RECORDING_OK)
			continue;
		if (type == USB_DT_DEVICE && step->entry.len >= USB_DEVICE_SIZE)
			r->device = &step->entry;
		if (type == USB_DT_CONFIGURATION && step->entry.len >= USB_CONFIG_SIZE)
			r->configuration = &step->entry;
	}
}

/* An endpoint or control request that the recording is about; 0: none, any interface will do. */
static uint8_t endpoint_in_use(const struct replay *r)
{
	for (size_t i = 0; i < r->script->count; i++)
		if (step_at(r, i)->entry.kind == RECORDING_OUT)
			return step_at(r, i)->entry.endpoint;
	return 0;
}

static void take_interface(struct replay *r, const uint8_t *bytes)
{
	struct profile_interface *intf = &r->profile.interfaces[0];

	r->profile.interface_count = 1;
	r->endpoint_count = 0;
	intf->number = bytes[USB_INTERFACE_bInterfaceNumber];
	intf->cls = bytes[USB_INTERFACE_bInterfaceClass];
	intf->subclass = bytes[USB_INTERFACE_bInterfaceSubClass];
	intf->protocol = bytes[USB_INTERFACE_bInterfaceProtocol];
}

static void take_endpoint(struct replay *r, const uint8_t *bytes)
{
	struct replay_endpoint *ep = &r->endpoints[r->endpoint_count];

	if (r->endpoint_count == REPLAY_ENDPOINTS_MAX)
		return;
	ep->address = bytes[USB_ENDPOINT_bEndpointAddress];
	ep->type = bytes[USB_ENDPOINT_bmAttributes] & USB_ENDPOINT_XFER_MASK;
	ep->packet = get_le16(bytes + USB_ENDPOINT_wMaxPacketSize) & 0x7FF;
	if (ep->packet > 0 &&
		(ep->type == USB_ENDPOINT_XFER_BULK || ep->type == USB_ENDPOINT_XFER_INTERRUPT))
		r->endpoint_count++;
}

static bool has_endpoint(const struct replay *r, uint8_t address)
{
	for (size_t i = 0; i < r->endpoint_count; i++)
		if (r->endpoints[i].address == address)
			return true;
	return address == 0;
}

/* The interface that was used, by walking through the configuration. */
static bool find_interface(struct replay *r)
{
	uint8_t wanted = endpoint_in_use(r);
	const struct recording_entry *c = r->configuration;

	for (size_t at = 0; at + 2 <= c->len && c->data[at] >= 2 && at + c->data[at] <= c->len;
		at += c->data[at]) {
		uint8_t type = c->data[at + USB_DESC_bDescriptorType];

		if (type == USB_DT_INTERFACE && c->data[at] >= USB_INTERFACE_SIZE) {
			if (r->profile.interface_count && has_endpoint(r, wanted) &&
				(wanted || r->endpoint_count))
				return true;
			take_interface(r, c->data + at);
		} else if (type == USB_DT_ENDPOINT && c->data[at] >= USB_ENDPOINT_SIZE) {
			take_endpoint(r, c->data + at);
		}
	}
	return r->profile.interface_count && has_endpoint(r, wanted);
}

static bool find_device(struct replay *r, char *why, size_t why_size)
{
	find_descriptors(r);
	if (!r->device || !r->configuration) {
		snprintf(why, why_size, "the descriptors of the device are not in it");
		return false;
	}
	r->profile.vid = get_le16(r->device->data + USB_DEVICE_idVendor);
	r->profile.pid = get_le16(r->device->data + USB_DEVICE_idProduct);
	r->profile.bcd = get_le16(r->device->data + USB_DEVICE_bcdDevice);
	if (find_interface(r))
		return true;
	snprintf(why, why_size, "the endpoints that were used are not in its descriptors");
	return false;
}

struct replay *replay_new(struct script *script, bool driven, void (*woken)(void *ctx), void *ctx,
	char *why, size_t why_size)
{
	struct replay *r = calloc(1, sizeof(*r));

	snprintf(why, why_size, "out of memory");
	if (!r)
		return NULL;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->moved, NULL);
	r->script = script;
	r->driven = driven;
	r->woken = woken;
	r->ctx = ctx;
	r->message = malloc(MESSAGE_MAX);
	memset(r->last_status, CCID_ICC_ABSENT, sizeof(r->last_status));
	if (!r->message || !find_device(r, why, why_size)) {
		replay_free(r);
		return NULL;
	}
	advance(r);
	return r;
}

void replay_free(struct replay *r)
{
	if (!r)
		return;
	pthread_mutex_destroy(&r->lock);
	pthread_cond_destroy(&r->moved);
	free(r->message);
	free(r);
}

const struct profile *replay_profile(const struct replay *r)
{
	return &r->profile;
}

const struct replay_endpoint *replay_endpoints(const struct replay *r, size_t *count)
{
	*count = r->endpoint_count;
	return r->endpoints;
}

const struct script *replay_script(const struct replay *r)
{
	return r->script;
}

/* An answer, with the bSeq that this host's command had. */
static void send_answer(
	struct replay *r, size_t i, uint8_t recorded_seq, uint8_t seq, replay_send *send, void *ctx)
{
	struct script_step *step = step_at(r, i);
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
	while (next < r->script->count && step_at(r, next)->entry.kind != RECORDING_IN)
		next++;
	answer.bytes = copy;
	answer.stall = step->entry.status == RECORDING_STALL;
	answer.vanish = step->entry.status == RECORDING_GONE;
	/* Transfers that go on, and empty packets that have an entry of their own. */
	answer.no_zlp = next < r->script->count && !step_at(r, next)->begins &&
			step_at(r, next)->answers_to == step->answers_to;
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

/*
 * At the end the host may still say good-bye, and ask whether it was heard (ICCD 1.0 §6.2): the length
 * of what it gets then, or -1.
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

	while (!r->driven && i != SCRIPT_NONE && is_status_request(&step_at(r, i)->entry) &&
		!is_status_request(came)) {
		for (size_t a = i; a < r->script->count; a++)
			if (a == i || step_at(r, a)->answers_to == i)
				step_at(r, a)->done = true;
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
	const struct recording_entry *recorded = i == SCRIPT_NONE ? NULL : &step_at(r, i)->entry;
	char what[64];
	size_t at = 0;

	if (recorded && same(recorded, came, CCID_MSG_bSeq, &at)) {
		take(r, i);
		for (size_t a = i + 1; a < r->script->count; a++) {
			if (step_at(r, a)->done || step_at(r, a)->answers_to != i ||
				step_at(r, a)->entry.kind != RECORDING_IN)
				continue;
			send_answer(
				r, a, seq_of(recorded, came), came->data[CCID_MSG_bSeq], send, ctx);
			take(r, a);
		}
		return;
	}
	if (may_come_anyhow(r, came)) {
		answer_status(r, came->data, send, ctx);
		return;
	}
	snprintf(what, sizeof(what), recorded ? "byte %zu differs" : "nothing more was recorded",
		at);
	differ(r, recorded ? i : r->script->count, what, recorded, came);
}

void replay_bulk_out(
	struct replay *r, const uint8_t *bytes, size_t len, bool last, replay_send *send, void *ctx)
{
	struct recording_entry came = { .kind = RECORDING_OUT };

	pthread_mutex_lock(&r->lock);
	if (len > MESSAGE_MAX - r->message_len)
		len = MESSAGE_MAX - r->message_len;
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

/* Strings and descriptors, whenever they are asked for. */
static int standard_answer(const struct replay *r, const uint8_t setup[8], uint8_t *in, size_t cap)
{
	const struct recording_entry *found = NULL;

	if (setup[USB_SETUP_bmRequestType] != USB_DIR_IN ||
		setup[USB_SETUP_bRequest] != USB_REQ_GET_DESCRIPTOR)
		return REPLAY_NOT_MINE;
	for (size_t i = 0; i < r->script->count; i++) {
		const struct recording_entry *entry = &step_at(r, i)->entry;

		if (entry->kind == RECORDING_CONTROL && entry->status == RECORDING_OK &&
			memcmp(entry->setup, setup, 4) == 0 && (!found || entry->len > found->len))
			found = entry;
	}
	if (!found)
		return -1;
	if (found->len < cap)
		cap = found->len;
	if (cap)
		memcpy(in, found->data, cap);
	return (int)cap;
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

static int take_request(struct replay *r, const uint8_t setup[8], const uint8_t *out,
	size_t out_len, uint8_t *in, size_t cap)
{
	size_t i = script_next(r->script, SCRIPT_NONE, RECORDING_CONTROL, 0);
	const struct recording_entry *recorded = i == SCRIPT_NONE ? NULL : &step_at(r, i)->entry;
	struct recording_entry came = { .kind = RECORDING_CONTROL };
	bool inward = setup[USB_SETUP_bmRequestType] & USB_DIR_IN;
	size_t at = 0;

	if (!recorded && good_bye(r, setup, in, cap) >= 0)
		return good_bye(r, setup, in, cap);
	came.data = out;
	came.len = (uint32_t)out_len;
	memcpy(came.setup, setup, sizeof(came.setup));
	if (!recorded || !same_setup(recorded->setup, setup) ||
		(!inward && !same(recorded, &came, SIZE_MAX, &at))) {
		struct recording_entry asked = {
			.kind = RECORDING_CONTROL, .len = 8, .data = setup
		};
		struct recording_entry wanted = asked;

		wanted.data = recorded ? recorded->setup : NULL;
		differ(r, recorded ? i : r->script->count, "another request",
			recorded ? &wanted : NULL, &asked);
		return -1;
	}
	take(r, i);
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

	if (!is_class_request(setup))
		return standard_answer(r, setup, in, cap);
	pthread_mutex_lock(&r->lock);
	if (!r->failed)
		result = take_request(r, setup, out, out_len, in, cap);
	pthread_mutex_unlock(&r->lock);
	return result;
}

static bool event_is_next(const struct replay *r)
{
	/* Before, a driver has no use for it. */
	return !r->failed && (r->opened || !r->driven) && r->first < r->script->count &&
	       step_at(r, r->first)->entry.kind == RECORDING_EVENT;
}

bool replay_event_due(struct replay *r)
{
	bool due;

	pthread_mutex_lock(&r->lock);
	due = event_is_next(r) || r->event_out;
	pthread_mutex_unlock(&r->lock);
	return due;
}

size_t replay_event(struct replay *r, uint8_t *data, size_t cap)
{
	size_t len = 0;

	pthread_mutex_lock(&r->lock);
	if (r->event_out) {
		r->event_out = false;
		advance(r);
	}
	if (event_is_next(r)) {
		const struct recording_entry *entry = &step_at(r, r->first)->entry;

		len = entry->len < cap ? entry->len : cap;
		if (len)
			memcpy(data, entry->data, len);
		r->event_out = len > 0;
		take(r, r->first);
	}
	pthread_mutex_unlock(&r->lock);
	return len;
}

/* Nobody will take the next step: it is the driver's, and the driver has nothing to do. */
static bool is_left_out(const struct replay *r)
{
	const struct script_step *step;

	if (!r->opened || r->running > 0 || r->first >= r->script->count)
		return false;
	step = step_at(r, r->first);
	return step->entry.kind == RECORDING_OUT || step->entry.kind == RECORDING_CONTROL ||
	       step->entry.kind == RECORDING_IN;
}

static void check_stuck(struct replay *r, bool late)
{
	if (is_left_out(r))
		differ(r, r->first, "the driver leaves it out", &step_at(r, r->first)->entry, NULL);
	else if (late && r->first < r->script->count)
		differ(r, r->first, "this is waited for in vain", &step_at(r, r->first)->entry,
			NULL);
}

void replay_opened(struct replay *r)
{
	pthread_mutex_lock(&r->lock);
	r->opened = true;
	advance(r);
	pthread_mutex_unlock(&r->lock);
}

bool replay_next_call(struct replay *r, unsigned slot, size_t *call)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += STUCK_S;
	pthread_mutex_lock(&r->lock);
	*call = script_next(r->script, SCRIPT_NONE, RECORDING_CALL, slot);
	while (*call != SCRIPT_NONE && !r->failed && (r->first != *call || r->event_out)) {
		bool late;

		check_stuck(r, false);
		if (r->failed)
			break;
		late = pthread_cond_timedwait(&r->moved, &r->lock, &until) == ETIMEDOUT;
		check_stuck(r, late);
	}
	if (*call != SCRIPT_NONE && !r->failed) {
		r->running++;
		take(r, *call);
	}
	pthread_mutex_unlock(&r->lock);
	return !r->failed;
}

bool replay_returned(struct replay *r, size_t call, const struct recording_entry *got)
{
	const struct recording_entry *made = &step_at(r, call)->entry;
	const struct recording_entry *recorded = NULL;
	size_t at = 0;
	size_t i;

	pthread_mutex_lock(&r->lock);
	r->running--;
	i = script_next(r->script, call, RECORDING_RETURN, made->slot);
	if (i != SCRIPT_NONE)
		recorded = &step_at(r, i)->entry;
	for (size_t o = call; o < i && o < r->script->count && !r->failed; o++)
		if (!step_at(r, o)->done && step_at(r, o)->entry.kind == RECORDING_OUT &&
			script_slot(&step_at(r, o)->entry) == made->slot)
			differ(r, o, "the driver leaves it out", &step_at(r, o)->entry, NULL);
	if (recorded && !r->failed && recorded->value != got->value) {
		snprintf(r->difference, sizeof(r->difference),
			"message %zu (return of %s): expected result %llX; came %llX", i + 1,
			recording_strcall(made->call), (unsigned long long)recorded->value,
			(unsigned long long)got->value);
		fail(r);
	}
	if (recorded && !r->failed && !same(recorded, got, SIZE_MAX, &at))
		differ(r, i, recording_strcall(made->call), recorded, got);
	if (recorded && !r->failed)
		take(r, i);
	pthread_mutex_unlock(&r->lock);
	return !r->failed;
}

bool replay_finish(struct replay *r)
{
	pthread_mutex_lock(&r->lock);
	advance(r);
	if (r->first < r->script->count && !r->failed &&
		step_at(r, r->first)->entry.kind != RECORDING_EVENT)
		differ(r, r->first, "the driver leaves it out", &step_at(r, r->first)->entry, NULL);
	pthread_mutex_unlock(&r->lock);
	return !r->failed;
}

void replay_fail(struct replay *r, const char *why)
{
	pthread_mutex_lock(&r->lock);
	if (!r->failed)
		snprintf(r->difference, sizeof(r->difference), "%s", why);
	fail(r);
	pthread_mutex_unlock(&r->lock);
}

enum replay_state replay_state(struct replay *r)
{
	enum replay_state state = REPLAY_GOING_ON;

	pthread_mutex_lock(&r->lock);
	if (r->failed)
		state = REPLAY_FAILED;
	else if (r->first >= r->script->count)
		state = REPLAY_AT_END;
	pthread_mutex_unlock(&r->lock);
	return state;
}

const char *replay_difference(const struct replay *r)
{
	return r->difference;
}

size_t replay_matched(struct replay *r)
{
	size_t matched;

	pthread_mutex_lock(&r->lock);
	matched = r->matched;
	pthread_mutex_unlock(&r->lock);
	return matched;
}
