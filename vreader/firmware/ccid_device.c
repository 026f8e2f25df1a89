/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/firmware/ccid_device.h"

#include <stdlib.h>
#include <string.h>

#include "spec/usb.h"
#include "vreader/bytes.h"
#include "vreader/firmware/ccid_slot.h"
#include "vreader/usb/iccd.h"

enum {
	/* What a reader needs to be one: a header and a small block. */
	MESSAGE_FLOOR = 64,
	/* Readers that say a little less than the 271 bytes of the class have room for them. */
	MESSAGE_SHORT = 256,
	MESSAGE_MIN = 271,
	MESSAGE_CEILING = 1 << 20,
};

static uint32_t clamp_message(uint32_t value)
{
	if (value < MESSAGE_FLOOR)
		return MESSAGE_FLOOR;
	if (value >= MESSAGE_SHORT && value < MESSAGE_MIN)
		return MESSAGE_MIN;
	return value > MESSAGE_CEILING ? MESSAGE_CEILING : value;
}

struct ccid_device *ccid_new(const struct profile_interface *intf, struct ccid_host host)
{
	struct ccid_device *dev = calloc(1, sizeof(*dev));

	if (!dev)
		return NULL;
	dev->intf = *intf;
	dev->host = host;
	dev->features = get_le32(intf->ccid + CCID_DESC_dwFeatures);
	dev->message_max = clamp_message(get_le32(intf->ccid + CCID_DESC_dwMaxCCIDMessageLength));
	dev->slot_count = (size_t)intf->ccid[CCID_DESC_bMaxSlotIndex] + 1;
	if (dev->slot_count > CCID_SLOTS_MAX)
		dev->slot_count = CCID_SLOTS_MAX;
	dev->slots = calloc(dev->slot_count, sizeof(*dev->slots));
	dev->out = malloc(dev->message_max);
	dev->in = malloc(dev->message_max);
	if (!dev->slots || !dev->out || !dev->in) {
		ccid_free(dev);
		return NULL;
	}
	for (size_t i = 0; i < dev->slot_count; i++) {
		dev->slots[i].dev = dev;
		dev->slots[i].index = (uint8_t)i;
		slot_power_down(&dev->slots[i]);
	}
	return dev;
}

void ccid_free(struct ccid_device *dev)
{
	if (!dev)
		return;
	for (size_t i = 0; dev->slots && i < dev->slot_count; i++)
		card_free(dev->slots[i].card);
	free(dev->slots);
	free(dev->out);
	free(dev->in);
	free(dev);
}

uint8_t slot_icc_status(const struct slot *slot)
{
	/* Raw-command firmware looks for tags only when the host has it do so. */
	if (!slot->card || slot->dev->intf.raw)
		return CCID_ICC_ABSENT;
	return slot->powered ? CCID_ICC_ACTIVE : CCID_ICC_INACTIVE;
}

/* The one place that builds bulk-IN messages (CCID 1.1 §6.2). status: bmCommandStatus and
 * bmICCStatus. */
static void answer(struct ccid_device *dev, uint8_t slot_number, uint8_t type, uint8_t seq,
	uint8_t status, uint8_t error, uint8_t specific, const uint8_t *data, size_t len)
{
	const struct ccid_command *cmd = ccid_command_find(type);
	uint8_t *msg = dev->in;

	if (len > dev->message_max - CCID_MSG_HEADER_SIZE)
		len = dev->message_max - CCID_MSG_HEADER_SIZE;
	msg[CCID_MSG_bMessageType] = cmd ? cmd->answer : RDR_to_PC_SlotStatus;
	put_le32(msg + CCID_MSG_dwLength, (uint32_t)len);
	msg[CCID_MSG_bSlot] = slot_number;
	msg[CCID_MSG_bSeq] = seq;
	msg[CCID_MSG_bStatus] = status;
	msg[CCID_MSG_bError] = error;
	msg[CCID_MSG_bChainParameter] = specific;
	if (len)
		memcpy(msg + CCID_MSG_abData, data, len);
	dev->stats.messages_in++;
	dev->host.bulk_in(dev->host.ctx, type, msg, CCID_MSG_HEADER_SIZE + len);
}

void slot_answer(struct slot *slot, uint8_t type, uint8_t seq, uint8_t status, uint8_t error,
	uint8_t specific, const uint8_t *data, size_t len)
{
	answer(slot->dev, slot->index, type, seq, (uint8_t)(status | slot_icc_status(slot)), error,
		specific, data, len);
}

void slot_ok(struct slot *slot, const struct ccid_message *msg, uint8_t specific,
	const uint8_t *data, size_t len)
{
	slot_answer(slot, msg->type, msg->seq, CCID_COMMAND_OK, 0, specific, data, len);
}

void slot_fail(struct slot *slot, const struct ccid_message *msg, uint8_t error)
{
	slot_answer(slot, msg->type, msg->seq, CCID_COMMAND_FAILED, error, 0, NULL, 0);
}

void job_start(struct slot *slot, const struct ccid_message *msg, slot_step step, int64_t due)
{
	slot->job = (struct job){
		.busy = true, .type = msg->type, .seq = msg->seq, .step = step, .due = due, .bwi = 1
	};
}

void job_next(struct slot *slot, slot_step step, int64_t due)
{
	slot->job.step = step;
	slot->job.due = due;
}

void job_ok(struct slot *slot, uint8_t specific, const uint8_t *data, size_t len)
{
	slot->job.busy = false;
	slot_answer(slot, slot->job.type, slot->job.seq, CCID_COMMAND_OK, 0, specific, data, len);
}

void job_fail(struct slot *slot, uint8_t error)
{
	slot->job.busy = false;
	ccid_level_reset(slot);
	slot_answer(slot, slot->job.type, slot->job.seq, CCID_COMMAND_FAILED, error, 0, NULL, 0);
}

void job_time_extension(struct slot *slot)
{
	slot_answer(
		slot, slot->job.type, slot->job.seq, CCID_COMMAND_TIME_EXTENSION, 1, 0, NULL, 0);
}

static size_t busy_slots(const struct ccid_device *dev)
{
	size_t n = 0;

	for (size_t i = 0; i < dev->slot_count; i++)
		n += dev->slots[i].job.busy;
	return n;
}

static bool may_start(const struct ccid_device *dev, const struct slot *slot)
{
	size_t limit = dev->intf.ccid[CCID_DESC_bMaxCCIDBusySlots];

	return !slot->job.busy && busy_slots(dev) < (limit ? limit : 1);
}

/* Both halves have come. */
static void abort_done(struct slot *slot)
{
	slot->aborting = slot->abort_heard = false;
	slot_answer(
		slot, PC_to_RDR_Abort, slot->abort_seq, CCID_COMMAND_OK, 0, slot->clock, NULL, 0);
}

/* The message half of an abort (CCID 1.1 §6.1.13). */
static void abort_message(struct slot *slot, const struct ccid_message *msg)
{
	if (slot->aborting && slot->abort_seq == msg->seq) {
		abort_done(slot);
	} else if (slot->aborting) {
		slot_fail(slot, msg, CCID_ERROR_CMD_ABORTED);
	} else {
		slot->abort_heard = true;
		slot->abort_seq = msg->seq;
	}
}

static void fail_nowhere(
	struct ccid_device *dev, uint8_t slot_number, const struct ccid_message *msg, uint8_t error)
{
	answer(dev, slot_number, msg->type, msg->seq, CCID_COMMAND_FAILED | CCID_ICC_ABSENT, error,
		0, NULL, 0);
}

static void dispatch(
	struct ccid_device *dev, const struct ccid_message *msg, uint8_t slot_number, int64_t now)
{
	const struct ccid_command *cmd = ccid_command_find(msg->type);
	struct slot *slot;

	dev->stats.messages_out++;
	if (slot_number >= dev->slot_count) {
		fail_nowhere(dev, slot_number, msg, CCID_ERROR_BAD_SLOT);
		return;
	}
	slot = &dev->slots[slot_number];
	slot->abort_heard = false;
	if (msg->type == PC_to_RDR_Abort)
		abort_message(slot, msg);
	else if (slot->aborting)
		slot_fail(slot, msg, CCID_ERROR_CMD_ABORTED);
	else if (!cmd || !cmd->run)
		slot_fail(slot, msg, CCID_ERROR_CMD_NOT_SUPPORTED);
	else if (!may_start(dev, slot))
		slot_fail(slot, msg, CCID_ERROR_CMD_SLOT_BUSY);
	else
		cmd->run(slot, msg, now);
}

/* The message in dev->out has ended: with all of it there, or with the wrong length. */
static void message_end(struct ccid_device *dev, bool whole, int64_t now)
{
	const uint8_t *b = dev->out;
	struct ccid_message msg = { .type = b[CCID_MSG_bMessageType],
		.seq = b[CCID_MSG_bSeq],
		.specific = { b[7], b[8], b[9] },
		.data = b + CCID_MSG_abData };
	uint8_t slot = b[CCID_MSG_bSlot];

	msg.len = dev->out_len - CCID_MSG_HEADER_SIZE;
	dev->out_len = 0;
	dev->out_overflow = false;
	if (whole)
		dispatch(dev, &msg, slot, now);
	else if (slot < dev->slot_count)
		slot_fail(&dev->slots[slot], &msg, CCID_ERROR_BAD_LENGTH);
	else
		fail_nowhere(dev, slot, &msg, CCID_ERROR_BAD_LENGTH);
	ccid_run(dev, now);
}

static bool message_complete(const struct ccid_device *dev)
{
	return dev->out_len >= CCID_MSG_HEADER_SIZE && !dev->out_overflow &&
	       dev->out_len - CCID_MSG_HEADER_SIZE == get_le32(dev->out + CCID_MSG_dwLength);
}

void ccid_bulk_out(
	struct ccid_device *dev, const uint8_t *bytes, size_t len, bool last, int64_t now)
{
	size_t room = dev->message_max - dev->out_len;

	if (len > room) {
		dev->out_overflow = true;
		len = room;
	}
	if (len)
		memcpy(dev->out + dev->out_len, bytes, len);
	dev->out_len += len;
	if (message_complete(dev)) {
		message_end(dev, true, now);
		return;
	}
	if (!last)
		return;
	/* Less than a header cannot be answered; a stray empty packet is nothing. */
	if (dev->out_len < CCID_MSG_HEADER_SIZE)
		dev->out_len = 0;
	else
		message_end(dev, false, now);
}

static int put_list(uint8_t *data, size_t cap, const uint32_t *list, size_t count)
{
	size_t n = 0;

	for (size_t i = 0; i < count && n + 4 <= cap; i++, n += 4)
		put_le32(data + n, list[i]);
	return (int)n;
}

static int control_abort(struct ccid_device *dev, uint16_t value)
{
	uint8_t number = (uint8_t)value, seq = (uint8_t)(value >> 8);
	struct slot *slot;

	if (number >= dev->slot_count)
		return -1;
	slot = &dev->slots[number];
	pinpad_given_up(slot);
	slot->job.busy = false;
	ccid_level_reset(slot);
	if (slot->abort_heard && slot->abort_seq == seq) {
		abort_done(slot);
		return 0;
	}
	slot->abort_heard = false;
	slot->aborting = true;
	slot->abort_seq = seq;
	return 0;
}

int ccid_control(struct ccid_device *dev, const uint8_t setup[8], const uint8_t *out,
	size_t out_len, uint8_t *in, size_t cap, int64_t now)
{
	uint8_t type = setup[USB_SETUP_bmRequestType];
	uint16_t value = get_le16(setup + USB_SETUP_wValue);

	if (iccd_is(&dev->intf))
		return iccd_control(dev, setup, out, out_len, in, cap, now);
	if (!(type & USB_DIR_IN))
		return setup[USB_SETUP_bRequest] == CCID_REQ_ABORT ? control_abort(dev, value) : -1;
	if (setup[USB_SETUP_bRequest] == CCID_REQ_GET_CLOCK_FREQUENCIES && dev->intf.clock_count)
		return put_list(in, cap, dev->intf.clocks, dev->intf.clock_count);
	if (setup[USB_SETUP_bRequest] == CCID_REQ_GET_DATA_RATES && dev->intf.rate_count)
		return put_list(in, cap, dev->intf.rates, dev->intf.rate_count);
	return -1;
}

size_t ccid_interrupt_in(struct ccid_device *dev, uint8_t *data, size_t cap)
{
	size_t len =
		1 + (dev->slot_count + CCID_NOTIFY_SLOTS_PER_BYTE - 1) / CCID_NOTIFY_SLOTS_PER_BYTE;
	bool any = false;

	if (len > cap)
		return 0;
	memset(data, 0, len);
	data[0] = RDR_to_PC_NotifySlotChange;
	for (size_t i = 0; i < dev->slot_count; i++) {
		struct slot *slot = &dev->slots[i];
		unsigned bits = (slot->card ? CCID_NOTIFY_PRESENT : 0u) |
				(slot->changed ? CCID_NOTIFY_CHANGED : 0u);

		any |= slot->changed;
		slot->changed = false;
		data[1 + i / CCID_NOTIFY_SLOTS_PER_BYTE] |=
			(uint8_t)(bits << 2 * (i % CCID_NOTIFY_SLOTS_PER_BYTE));
	}
	return any ? len : 0;
}

void ccid_run(struct ccid_device *dev, int64_t now)
{
	for (size_t i = 0; i < dev->slot_count; i++) {
		struct slot *slot = &dev->slots[i];

		while (slot->job.busy && slot->job.due <= now)
			slot->job.step(slot, now);
	}
}

int64_t ccid_deadline(const struct ccid_device *dev)
{
	int64_t due = CCID_NO_DEADLINE;

	for (size_t i = 0; i < dev->slot_count; i++)
		if (dev->slots[i].job.busy && dev->slots[i].job.due < due)
			due = dev->slots[i].job.due;
	return due;
}

void ccid_reset(struct ccid_device *dev)
{
	dev->out_len = 0;
	dev->out_overflow = false;
	for (size_t i = 0; i < dev->slot_count; i++) {
		struct slot *slot = &dev->slots[i];

		slot->job.busy = false;
		slot->aborting = slot->abort_heard = false;
		slot_power_down(slot);
		pn532_reset(&slot->chip);
		slot_auto_activate(slot);
		slot->changed = slot->card != NULL && !dev->intf.raw;
	}
}

size_t ccid_slots(const struct ccid_device *dev)
{
	return dev->slot_count;
}

static void card_changed(struct slot *slot)
{
	slot_power_down(slot);
	pn532_reset(&slot->chip);
	if (slot->dev->intf.raw)
		return;
	slot_auto_activate(slot);
	slot->changed = true;
	slot->dev->host.notify(slot->dev->host.ctx);
}

/* The answer of the slot's card that was pending is there. */
static void answer_there(void *ctx)
{
	struct slot *slot = ctx;

	if (slot->job.busy && (slot->response || slot->job.then))
		slot->job.due = 0;
}

bool ccid_insert(struct ccid_device *dev, size_t number, struct card *card)
{
	struct slot *slot;

	if (number >= dev->slot_count || dev->slots[number].card)
		return false;
	slot = &dev->slots[number];
	slot->card = card;
	card_wake_by(card, answer_there, slot);
	card_changed(slot);
	return true;
}

bool ccid_remove(struct ccid_device *dev, size_t number)
{
	struct slot *slot;
	struct card *card;

	if (number >= dev->slot_count || !dev->slots[number].card)
		return false;
	slot = &dev->slots[number];
	card = slot->card;
	slot->card = NULL;
	slot->powered = false;
	if (slot->job.busy && dev->intf.raw)
		ccid_escape_left(slot);
	else if (slot->job.busy)
		job_fail(slot, CCID_ERROR_ICC_MUTE);
	card_changed(slot);
	card_free(card);
	return true;
}

bool ccid_waits_for_cards(const struct ccid_device *dev)
{
	return !iccd_is(&dev->intf) && !dev->intf.raw;
}

bool ccid_present(const struct ccid_device *dev, size_t number)
{
	return number < dev->slot_count && dev->slots[number].card;
}

bool ccid_contactless(const struct ccid_device *dev, size_t number)
{
	return number < dev->slot_count && dev->intf.contactless >> number & 1;
}

const struct ccid_stats *ccid_stats(const struct ccid_device *dev)
{
	return &dev->stats;
}
