/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PC_to_RDR_Escape (CCID 1.1 §6.1.8): what the vendor of this reader made of it. A reader with
 * raw-command firmware has its chip behind FF 00 00 00 Lc, others answer what the profile or the
 * control socket taught them.
 */
#include <string.h>

#include "vreader/firmware/ccid_slot.h"

#define MS ((int64_t)1000000)

enum {
	WRAPPER = 5, /* FF 00 00 00 Lc */
};

/* Behind the code of the answer: status "time-out", and the wrapper's status. */
static const uint8_t raw_timeout[] = { 0x01, 0x90, 0x00 };

static void give_raw(struct slot *slot, int64_t now)
{
	(void)now;
	job_ok(slot, 0, slot->escape.answer, slot->escape.answer_len);
}

void ccid_escape_left(struct slot *slot)
{
	struct slot_escape *e = &slot->escape;

	/* Whatever would have come, the chip hears nothing and says so. */
	memcpy(e->answer + 2, raw_timeout, sizeof(raw_timeout));
	e->answer_len = 2 + sizeof(raw_timeout);
	slot->job.due = 0;
}

/* The chip's answer and 90 00, or 63 00 when it has none. */
static void raw_command(struct slot *slot, const struct ccid_message *msg, int64_t now)
{
	struct slot_escape *e = &slot->escape;
	struct tag *tag = slot->card ? card_tag(slot->card) : NULL;
	uint32_t delay_ms;
	size_t n;

	n = pn532_command(
		&slot->chip, tag, msg->data + WRAPPER, msg->len - WRAPPER, e->answer, &delay_ms);
	e->answer[n] = n ? 0x90 : 0x63;
	e->answer[n + 1] = 0x00;
	e->answer_len = n + 2;
	job_start(slot, msg, give_raw, now + delay_ms * MS);
}

static bool is_raw(const struct slot *slot, const struct ccid_message *msg)
{
	static const uint8_t wrapper[] = { 0xFF, 0x00, 0x00, 0x00 };

	return slot->dev->intf.raw && msg->len > WRAPPER &&
	       memcmp(msg->data, wrapper, sizeof(wrapper)) == 0 &&
	       msg->data[sizeof(wrapper)] == msg->len - WRAPPER;
}

bool ccid_teach_escape(struct ccid_device *dev, const uint8_t *command, size_t len,
	const uint8_t *answer, size_t answer_len)
{
	struct taught_escape *t = dev->taught;
	size_t same = 0;

	if (len == 0 || len > sizeof(t->command) || answer_len > sizeof(t->answer))
		return false;
	while (same < dev->taught_count &&
		(t[same].len != len || memcmp(t[same].command, command, len) != 0))
		same++;
	if (same == CCID_TAUGHT_MAX)
		return false;
	/* The last one wins. */
	if (same < dev->taught_count)
		memmove(t + same, t + same + 1, (--dev->taught_count - same) * sizeof(*t));
	t += dev->taught_count++;
	memcpy(t->command, command, len);
	t->len = len;
	memcpy(t->answer, answer, answer_len);
	t->answer_len = answer_len;
	return true;
}

bool ccid_answer_taught(struct slot *slot, const struct ccid_message *msg)
{
	const struct ccid_device *dev = slot->dev;

	for (size_t i = dev->taught_count; i-- > 0;) {
		const struct taught_escape *t = &dev->taught[i];

		if (msg->len >= t->len && memcmp(msg->data, t->command, t->len) == 0) {
			slot_ok(slot, msg, 0, t->answer, t->answer_len);
			return true;
		}
	}
	return false;
}

/* The card's block behind the bytes of the Escape, once there is one. */
static void await_block(struct slot *slot, int64_t now)
{
	const struct profile_interface *intf = &slot->dev->intf;
	struct slot_escape *e = &slot->escape;
	size_t n = intf->block_escape_len;
	struct card_burst burst;

	if (!card_send(slot->card, &burst) || burst.len > sizeof(e->answer) - n) {
		job_fail(slot, CCID_ERROR_ICC_MUTE);
		return;
	}
	memcpy(e->answer, intf->block_escape, n);
	if (burst.len)
		memcpy(e->answer + n, burst.data, burst.len);
	e->answer_len = n + burst.len;
	job_next(slot, burst.len ? give_raw : await_block, now + burst.delay_ms * MS);
}

/* A T=1 block for the card, whatever the level; the answer has the same bytes before its block. */
static void pass_block(struct slot *slot, const struct ccid_message *msg, int64_t now)
{
	struct card_link link = { .fidi = slot->params[1][CCID_T1_bmFindexDindex] };
	size_t n = slot->dev->intf.block_escape_len;

	if (!slot->card || !slot->powered) {
		slot_fail(slot, msg, CCID_ERROR_ICC_MUTE);
		return;
	}
	card_receive(slot->card, link, msg->data + n, msg->len - n);
	job_start(slot, msg, await_block, now);
}

static bool is_block(const struct slot *slot, const struct ccid_message *msg)
{
	const struct profile_interface *intf = &slot->dev->intf;
	size_t n = intf->block_escape_len;

	return n > 0 && msg->len > n && memcmp(msg->data, intf->block_escape, n) == 0;
}

void ccid_escape(struct slot *slot, const struct ccid_message *msg, int64_t now)
{
	if (is_raw(slot, msg))
		raw_command(slot, msg, now);
	else if (is_block(slot, msg))
		pass_block(slot, msg, now);
	else if (!ccid_answer_taught(slot, msg))
		slot_fail(slot, msg, CCID_ERROR_CMD_NOT_SUPPORTED);
}
