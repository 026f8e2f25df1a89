/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/firmware/pinpad.h"

#include <stdio.h>
#include <string.h>

#include "vreader/bytes.h"
#include "vreader/cards/card_t1.h"
#include "vreader/firmware/ccid_slot.h"

#define SECOND ((int64_t)1000000000)
#define MS     ((int64_t)1000000)

enum {
	DEFAULT_TIMEOUT_S = 30,
	SW_MISMATCH = 0x6402,
	SW_WRONG_SIZE = 0x6403,
	T1_PROLOGUE_LEN = 2, /* offset of LEN */
	HEADER = 4,
};

static const char keys_known[] = "0123456789ECX";

/* Prompts by message index (CCID 1.1 §6.1.11.1, §6.1.11.2). */
static const char *const prompts[] = { "Enter your PIN", "Enter a new PIN", "Confirm new PIN" };

static void show(struct pinpad *pad, const char *prompt)
{
	snprintf(pad->prompt, sizeof(pad->prompt), "%s", prompt);
	pad->typed[0] = '\0';
}

/* Which of old, new and new again are asked for. */
static bool wants(const struct pinpad_task *task, size_t entry)
{
	static const uint8_t bits[] = { CCID_PIN_CONFIRM_OLD, 0, CCID_PIN_CONFIRM_NEW };

	if (!task->modify)
		return entry == 0;
	return entry == 1 || (entry < PINPAD_ENTRIES && task->bConfirmPIN & bits[entry]);
}

/* The prompt of the n-th entry there is. */
static void show_prompt(struct pinpad *pad)
{
	const struct pinpad_task *task = &pad->task;
	size_t n = 0, messages = task->bNumberMessage;
	char text[PINPAD_LINE_MAX];

	for (size_t i = 0; i < pad->entry; i++)
		n += wants(task, i);
	if (messages == CCID_PIN_MESSAGES_DEFAULT) {
		show(pad, prompts[pad->entry]);
	} else if (n >= messages) {
		show(pad, "");
	} else if (task->indexes[n] < sizeof(prompts) / sizeof(prompts[0])) {
		show(pad, prompts[task->indexes[n]]);
	} else {
		snprintf(text, sizeof(text), "Message %u", task->indexes[n]);
		show(pad, text);
	}
}

/* The entries before the n-th are over; begins the next there is. False: there is none. */
static bool begin_entry(struct pinpad *pad, size_t from, int64_t now)
{
	uint8_t seconds = pad->task.bTimeOut ? pad->task.bTimeOut : DEFAULT_TIMEOUT_S;

	pad->entry = from;
	while (pad->entry < PINPAD_ENTRIES && !wants(&pad->task, pad->entry))
		pad->entry++;
	if (pad->entry == PINPAD_ENTRIES)
		return false;
	pad->pins[pad->entry].count = 0;
	pad->over = false;
	pad->due = now + seconds * SECOND;
	pad->next_key = now + pad->gap;
	show_prompt(pad);
	return true;
}

static void end_with_sw(struct slot *slot, const char *text, uint16_t sw)
{
	uint8_t bytes[2];

	show(&slot->dev->pad, text);
	put_be16(bytes, sw);
	job_ok(slot, CCID_CHAIN_WHOLE, bytes, sizeof(bytes));
}

static void end_with_error(struct slot *slot, const char *text, uint8_t error)
{
	show(&slot->dev->pad, text);
	job_fail(slot, error);
}

/* Both PINs without a block size: the one behind goes in first, so that offsets stay those of the
 * template; at the same place the old comes before the new. */
static bool insert_pins(struct pinpad *pad)
{
	struct pinpad_task *task = &pad->task;
	bool old = wants(task, 0), new_first = task->offset_new >= task->offset_old;

	if (!task->modify)
		return pin_insert(&task->command, task->format, 0, &pad->pins[0]);
	if (new_first && !pin_insert(&task->command, task->format, task->offset_new, &pad->pins[1]))
		return false;
	if (old && !pin_insert(&task->command, task->format, task->offset_old, &pad->pins[0]))
		return false;
	return new_first ||
	       pin_insert(&task->command, task->format, task->offset_new, &pad->pins[1]);
}

/* To the card, as the exchange level has it; below APDUs at T=1 with the host's prologue. */
static void send_command(struct slot *slot, int64_t now)
{
	struct pinpad_task *task = &slot->dev->pad.task;
	uint32_t level = slot->dev->features & CCID_FEATURE_LEVEL_MASK;
	bool crc = slot->params[1][CCID_T1_bmTCCKS] & CCID_TCCKS_CRC;
	uint8_t block[3 + PIN_COMMAND_MAX + 2];
	struct ccid_message msg = { .type = slot->job.type, .seq = slot->job.seq };

	show(&slot->dev->pad, "Please wait");
	slot->job.busy = false;
	msg.data = task->command.bytes;
	msg.len = task->command.len;
	if (level == CCID_FEATURE_LEVEL_TPDU && slot->protocol == 1) {
		memcpy(block, task->prologue, 3);
		block[T1_PROLOGUE_LEN] = (uint8_t)task->command.len;
		memcpy(block + 3, task->command.bytes, task->command.len);
		msg.len += 3;
		msg.len += card_t1_edc(crc, block, msg.len, block + msg.len);
		msg.data = block;
	}
	ccid_xfr_block(slot, &msg, now);
}

static void finish(struct slot *slot, int64_t now)
{
	struct pinpad *pad = &slot->dev->pad;
	const struct pin *new = &pad->pins[1], *again = &pad->pins[2];

	if (pad->task.modify && wants(&pad->task, 2) &&
		(new->count != again->count || memcmp(new->digits, again->digits, new->count) != 0))
		end_with_sw(slot, "PINs differ", SW_MISMATCH);
	else if (!insert_pins(pad))
		end_with_error(slot, "", CCID_ERROR_BAD_LENGTH);
	else
		send_command(slot, now);
}

/* What is typed counts as the PIN. False: the work is over. */
static bool accept_entry(struct slot *slot, int64_t now)
{
	struct pinpad *pad = &slot->dev->pad;

	if (pad->pins[pad->entry].count < pad->task.min || pad->over) {
		end_with_sw(slot, "Wrong length", SW_WRONG_SIZE);
		return false;
	}
	if (begin_entry(pad, pad->entry + 1, now))
		return true;
	finish(slot, now);
	return false;
}

static bool type_digit(struct slot *slot, uint8_t digit, int64_t now)
{
	struct pinpad *pad = &slot->dev->pad;
	struct pin *pin = &pad->pins[pad->entry];

	if (pin->count == pad->task.max) {
		pad->over = true;
		return true;
	}
	pin->digits[pin->count++] = digit;
	if (pin->count < sizeof(pad->typed)) {
		pad->typed[pin->count - 1] = '*';
		pad->typed[pin->count] = '\0';
	}
	if (pin->count == pad->task.max && pad->task.validation & CCID_PIN_VALID_MAX_SIZE)
		return accept_entry(slot, now);
	return true;
}

/* False: the work is over. */
static bool take_key(struct slot *slot, char key, int64_t now)
{
	struct pinpad *pad = &slot->dev->pad;

	switch (key) {
	case 'X':
		end_with_error(slot, "Cancelled", CCID_ERROR_PIN_CANCELLED);
		return false;
	case 'C':
		pad->pins[pad->entry].count = 0;
		pad->over = false;
		pad->typed[0] = '\0';
		return true;
	case 'E':
		return !(pad->task.validation & CCID_PIN_VALID_KEY) || accept_entry(slot, now);
	default:
		return type_digit(slot, (uint8_t)(key - '0'), now);
	}
}

static void time_is_up(struct slot *slot, int64_t now);

/* Takes the keys whose time has come, and waits for the next or for the end. */
static void pinpad_step(struct slot *slot, int64_t now)
{
	struct pinpad *pad = &slot->dev->pad;

	if (now >= pad->due) {
		time_is_up(slot, now);
		return;
	}
	while (pad->key_count && now >= pad->next_key) {
		char key = pad->keys[0];

		memmove(pad->keys, pad->keys + 1, --pad->key_count);
		pad->next_key = now + pad->gap;
		if (!take_key(slot, key, now))
			return;
	}
	job_next(slot, pinpad_step,
		pad->key_count && pad->next_key < pad->due ? pad->next_key : pad->due);
}

static void time_is_up(struct slot *slot, int64_t now)
{
	struct pinpad *pad = &slot->dev->pad;

	if (!(pad->task.validation & CCID_PIN_VALID_TIMEOUT))
		end_with_error(slot, "Time is up", CCID_ERROR_PIN_TIMEOUT);
	else if (accept_entry(slot, now))
		pinpad_step(slot, now);
}

void pinpad_given_up(struct slot *slot)
{
	if (slot->job.busy && slot->job.step == pinpad_step)
		show(&slot->dev->pad, "Given up");
}

bool pinpad_press(struct ccid_device *dev, const char *keys, uint32_t gap_ms)
{
	struct pinpad *pad = &dev->pad;
	size_t n = strlen(keys);

	if (strspn(keys, keys_known) != n || n > sizeof(pad->keys) - pad->key_count)
		return false;
	memcpy(pad->keys + pad->key_count, keys, n);
	pad->key_count += n;
	pad->gap = gap_ms * MS;
	for (size_t i = 0; i < dev->slot_count; i++)
		if (dev->slots[i].job.busy && dev->slots[i].job.step == pinpad_step)
			dev->slots[i].job.due = 0;
	return true;
}

void pinpad_forget(struct ccid_device *dev)
{
	dev->pad.key_count = 0;
}

const struct pinpad *pinpad_of(const struct ccid_device *dev)
{
	return &dev->pad;
}

/* The fields that both structures have, at places of their own; 0, or the offset of a wrong one. */
static size_t read_verify(struct pinpad_task *task, const uint8_t *d, size_t len)
{
	if (len < CCID_PIN_VERIFY_abPINApdu + HEADER)
		return CCID_ERROR_BAD_LENGTH;
	task->max = d[CCID_PIN_VERIFY_wPINMaxExtraDigit];
	task->min = d[CCID_PIN_VERIFY_wPINMaxExtraDigit + 1];
	task->validation = d[CCID_PIN_VERIFY_bEntryValidationCondition];
	task->bNumberMessage = d[CCID_PIN_VERIFY_bNumberMessage];
	task->indexes[0] = d[CCID_PIN_VERIFY_bMsgIndex];
	memcpy(task->prologue, d + CCID_PIN_VERIFY_bTeoPrologue, 3);
	task->command.len = len - CCID_PIN_VERIFY_abPINApdu;
	if (task->command.len > PINPAD_SECURE_MAX)
		return CCID_ERROR_BAD_LENGTH;
	memcpy(task->command.bytes, d + CCID_PIN_VERIFY_abPINApdu, task->command.len);
	return 0;
}

/* Message indexes beyond the first are there as bNumberMessage says. */
static size_t read_modify(struct pinpad_task *task, const uint8_t *d, size_t len)
{
	size_t at = CCID_PIN_MODIFY_bMsgIndex1;

	if (len < CCID_PIN_MODIFY_bMsgIndex1 + 1)
		return CCID_ERROR_BAD_LENGTH;
	task->max = d[CCID_PIN_MODIFY_wPINMaxExtraDigit];
	task->min = d[CCID_PIN_MODIFY_wPINMaxExtraDigit + 1];
	task->offset_old = d[CCID_PIN_MODIFY_bInsertionOffsetOld];
	task->offset_new = d[CCID_PIN_MODIFY_bInsertionOffsetNew];
	task->bConfirmPIN = d[CCID_PIN_MODIFY_bConfirmPIN];
	task->validation = d[CCID_PIN_MODIFY_bEntryValidationCondition];
	task->bNumberMessage = d[CCID_PIN_MODIFY_bNumberMessage];
	if (task->bNumberMessage > 3 && task->bNumberMessage != CCID_PIN_MESSAGES_DEFAULT)
		return CCID_MSG_abData + CCID_PIN_MODIFY_bNumberMessage;
	task->indexes[0] = d[at++];
	if (task->bNumberMessage >= 1 && at < len)
		task->indexes[1] = d[at++];
	if (task->bNumberMessage >= 3 && at < len)
		task->indexes[2] = d[at++];
	if (len < at + 3 + HEADER || len - at - 3 > PINPAD_SECURE_MAX)
		return CCID_ERROR_BAD_LENGTH;
	memcpy(task->prologue, d + at, 3);
	task->command.len = len - at - 3;
	memcpy(task->command.bytes, d + at + 3, task->command.len);
	return 0;
}

/* 0, or the bError that refuses it. */
static size_t read_task(struct slot *slot, const struct ccid_message *msg)
{
	struct pinpad_task *task = &slot->dev->pad.task;
	uint8_t support = slot->dev->intf.ccid[CCID_DESC_bPINSupport];
	const uint8_t *d = msg->data;
	size_t wrong;

	if (get_le16(msg->specific + 1))
		return CCID_MSG_wLevelParameter;
	if (msg->len < CCID_PIN_VERIFY_abPINApdu)
		return CCID_ERROR_BAD_LENGTH;
	/* bPINSupport has a bit for each. */
	if (d[0] > CCID_PIN_OPERATION_MODIFY || !(support >> d[0] & 1))
		return CCID_MSG_abData;
	memset(task, 0, sizeof(*task));
	task->modify = d[0] == CCID_PIN_OPERATION_MODIFY;
	task->bTimeOut = d[CCID_PIN_VERIFY_bTimeOut];
	task->format = (struct pin_format){ d[CCID_PIN_VERIFY_bmFormatString],
		d[CCID_PIN_VERIFY_bmPINBlockString], d[CCID_PIN_VERIFY_bmPINLengthFormat] };
	if ((task->format.bmFormatString & CCID_PIN_FORMAT_TYPE_MASK) > CCID_PIN_FORMAT_ASCII)
		return CCID_MSG_abData + CCID_PIN_VERIFY_bmFormatString;
	wrong = task->modify ? read_modify(task, d, msg->len) : read_verify(task, d, msg->len);
	slot->dev->pad.language =
		get_le16(d + (task->modify ? CCID_PIN_MODIFY_wLangId : CCID_PIN_VERIFY_wLangId));
	task->command.bare = task->command.len <= HEADER + 1;
	if (!wrong && (task->min > task->max || !task->validation))
		wrong = CCID_MSG_abData + CCID_PIN_VERIFY_wPINMaxExtraDigit;
	return wrong;
}

static bool pad_in_use(const struct ccid_device *dev)
{
	for (size_t i = 0; i < dev->slot_count; i++)
		if (dev->slots[i].job.busy && dev->slots[i].job.step == pinpad_step)
			return true;
	return false;
}

/* PACE has no meaning here: it is answered as the reader has been taught. */
static bool is_pace(uint8_t support, const struct ccid_message *msg)
{
	return msg->len && support & msg->data[0] &&
	       (msg->data[0] == CCID_PIN_OPERATION_PACE_CAPABILITIES ||
		       msg->data[0] == CCID_PIN_OPERATION_PACE_EXECUTE);
}

void ccid_secure(struct slot *slot, const struct ccid_message *msg, int64_t now)
{
	uint8_t support = slot->dev->intf.ccid[CCID_DESC_bPINSupport];
	struct pinpad *pad = &slot->dev->pad;
	size_t wrong;

	if (!support) {
		slot_fail(slot, msg, CCID_ERROR_CMD_NOT_SUPPORTED);
		return;
	}
	if (is_pace(support, msg) && ccid_answer_taught(slot, msg))
		return;
	if (!slot->card || !slot->powered) {
		slot_fail(slot, msg, CCID_ERROR_ICC_MUTE);
		return;
	}
	if (pad_in_use(slot->dev)) {
		slot_fail(slot, msg, CCID_ERROR_CMD_SLOT_BUSY);
		return;
	}
	pad->secure_type = msg->type;
	pad->secure_len = msg->len < sizeof(pad->secure) ? msg->len : sizeof(pad->secure);
	if (pad->secure_len)
		memcpy(pad->secure, msg->data, pad->secure_len);
	wrong = read_task(slot, msg);
	if (wrong) {
		slot_fail(slot, msg, (uint8_t)wrong);
		return;
	}
	begin_entry(pad, 0, now);
	job_start(slot, msg, pinpad_step, now);
}
