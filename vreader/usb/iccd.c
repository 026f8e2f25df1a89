/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/usb/iccd.h"

#include <string.h>

#include "spec/usb.h"
#include "vreader/bytes.h"

#define MS ((int64_t)1000000)

struct request {
	struct ccid_device *dev;
	struct slot *slot;
	uint16_t value;
	const uint8_t *out;
	size_t out_len;
	uint8_t *in;
	size_t cap;
	int64_t now;
};

typedef int (*iccd_handler)(struct request *r);

bool iccd_is(const struct profile_interface *intf)
{
	return intf->endpoints < 2 &&
	       (intf->protocol == CCID_PROTOCOL_ICCD_A || intf->protocol == CCID_PROTOCOL_ICCD_B);
}

static int put(struct request *r, const uint8_t *data, size_t len)
{
	if (len > r->cap)
		len = r->cap;
	memcpy(r->in, data, len);
	return (int)len;
}

static int power_off(struct request *r)
{
	slot_power_down(r->slot);
	return 0;
}

static size_t power(struct request *r, const uint8_t **atr)
{
	r->slot->iccd = (struct iccd_state){ 0 };
	ccid_level_reset(r->slot);
	r->slot->powered = true;
	r->slot->clock = CCID_CLOCK_RUNNING;
	r->dev->stats.power_ons++;
	return card_power_on(r->slot->card, atr);
}

/* --- Version A: the host works through T=0, one request a step -------------------------------- */

static int a_power_on(struct request *r)
{
	const uint8_t *atr;
	size_t len;

	if (!r->slot->card)
		return -1;
	len = power(r, &atr);
	return put(r, atr, len);
}

/* Takes what the card says; false when it says nothing. */
static bool a_collect(struct request *r)
{
	struct slot *slot = r->slot;
	struct card_burst burst;

	if (!card_send(slot->card, &burst) || burst.len > sizeof(slot->rx) - slot->rx_len)
		return false;
	memcpy(slot->rx + slot->rx_len, burst.data, burst.len);
	slot->rx_len += burst.len;
	slot->iccd.due = r->now + burst.delay_ms * MS;
	return true;
}

static void a_drop(struct slot *slot, size_t n)
{
	slot->rx_len -= n;
	memmove(slot->rx, slot->rx + n, slot->rx_len);
}

static int a_xfr_block(struct request *r)
{
	struct slot *slot = r->slot;
	struct card_link link = { .fidi = CARD_TA1_DEFAULT };

	if (!slot->card || !slot->powered || r->out_len == 0)
		return -1;
	link.inverse = card_options(slot->card)->inverse;
	/* Data answer an acknowledge; everything else begins a command. */
	if (slot->iccd.phase != ICCD_SENDING) {
		slot->rx_len = 0;
		slot->iccd.ins = r->out_len > 1 ? r->out[1] : 0;
		r->dev->stats.xfr_blocks++;
	}
	slot->iccd.phase = ICCD_WORKING;
	card_receive(slot->card, link, r->out, r->out_len);
	slot->iccd.mute = !a_collect(r);
	return 0;
}

/* What stands first is an acknowledge, with nothing or data and SW behind it; and not an SW1 that
 * looks like one, since a host may send any INS. */
static bool a_acknowledged(const struct slot *slot)
{
	return slot->rx_len && slot->rx_len != 2 && slot->rx[0] == slot->iccd.ins;
}

/* Looks at the byte that stands first: NULL, acknowledge or SW1. */
static uint8_t a_next(struct request *r)
{
	struct slot *slot = r->slot;

	if (r->now < slot->iccd.due)
		return ICCD_A_STATUS_BUSY;
	if (slot->rx_len && slot->rx[0] == 0x60) {
		a_drop(slot, 1);
		if (slot->rx_len == 0)
			slot->iccd.mute = !a_collect(r);
		return ICCD_A_STATUS_BUSY;
	}
	if (a_acknowledged(slot)) {
		a_drop(slot, 1);
		slot->iccd.phase = slot->rx_len ? ICCD_RECEIVING : ICCD_SENDING;
		return ICCD_A_STATUS_READY_FOR_DATA;
	}
	slot->iccd.phase = ICCD_SW;
	return ICCD_A_STATUS_SW_READY;
}

static int a_status(struct request *r)
{
	struct slot *slot = r->slot;
	uint8_t status = 0;

	if (!slot->card || slot->iccd.mute)
		status = ICCD_A_STATUS_MUTE;
	else if (slot->iccd.phase == ICCD_WORKING)
		status = a_next(r);
	else if (slot->iccd.phase == ICCD_SENDING || slot->iccd.phase == ICCD_RECEIVING)
		status = ICCD_A_STATUS_READY_FOR_DATA;
	else if (slot->iccd.phase == ICCD_SW)
		status = ICCD_A_STATUS_SW_READY;
	return put(r, &status, 1);
}

static int a_data_block(struct request *r)
{
	struct slot *slot = r->slot;
	size_t n = slot->rx_len;

	if (slot->iccd.phase != ICCD_RECEIVING && slot->iccd.phase != ICCD_SW)
		return -1;
	if (slot->iccd.phase == ICCD_RECEIVING)
		n -= 2;
	if (n > r->cap)
		n = r->cap;
	memcpy(r->in, slot->rx, n);
	a_drop(slot, n);
	slot->iccd.phase = slot->rx_len == 2 ? ICCD_SW
			   : slot->rx_len    ? slot->iccd.phase
					     : ICCD_IDLE;
	return (int)n;
}

/* --- Version B: APDUs, whole or in parts ------------------------------------------------------ */

static int b_power_on(struct request *r)
{
	struct slot *slot = r->slot;
	const uint8_t *atr;

	slot->iccd.error = slot->card ? 0 : CCID_ERROR_ICC_MUTE;
	if (!slot->card)
		return 0;
	slot->command_len = power(r, &atr);
	memcpy(slot->command, atr, slot->command_len);
	slot->iccd.phase = ICCD_ATR;
	return 0;
}

static void b_run(struct request *r)
{
	struct slot *slot = r->slot;

	r->dev->stats.apdus++;
	slot->response = card_exchange(slot->card, slot->command, slot->command_len);
	slot->response_at = 0;
	slot->command_len = 0;
	slot->iccd.phase = ICCD_RECEIVING;
	slot->iccd.due = r->now + slot->response->delay_ms * MS;
	slot->iccd.error = slot->response->mute ? CCID_ERROR_ICC_MUTE : 0;
}

static int b_xfr_block(struct request *r)
{
	struct slot *slot = r->slot;
	uint8_t level = (uint8_t)(r->value >> 8);
	bool begins = level == CCID_CHAIN_WHOLE || level == CCID_CHAIN_BEGIN;

	r->dev->stats.xfr_blocks++;
	slot->iccd.error = !slot->card || !slot->powered ? CCID_ERROR_ICC_MUTE : 0;
	if (slot->iccd.error)
		return 0;
	if (level == CCID_CHAIN_EMPTY)
		return 0;
	if (begins)
		slot->command_len = 0;
	if (level > CCID_CHAIN_CONTINUE || (!begins && slot->iccd.phase != ICCD_SENDING) ||
		r->out_len > sizeof(slot->command) - slot->command_len) {
		slot->iccd.error = CCID_ERROR_BAD_LENGTH;
		return 0;
	}
	memcpy(slot->command + slot->command_len, r->out, r->out_len);
	slot->command_len += r->out_len;
	slot->response = NULL;
	slot->iccd.phase = ICCD_SENDING;
	if (level == CCID_CHAIN_WHOLE || level == CCID_CHAIN_END)
		b_run(r);
	return 0;
}

static int b_response_part(struct request *r)
{
	struct slot *slot = r->slot;
	size_t room = r->dev->message_max - CCID_MSG_HEADER_SIZE;
	size_t rest = slot->response->len - slot->response_at;
	bool first = slot->response_at == 0;
	size_t n = rest;

	if (room > r->cap - 1)
		room = r->cap - 1;
	if (n > room)
		n = room;
	if (n == rest)
		r->in[0] = first ? ICCD_B_RESPONSE_DATA : ICCD_B_RESPONSE_END;
	else
		r->in[0] = first ? ICCD_B_RESPONSE_BEGIN : ICCD_B_RESPONSE_CONTINUE;
	memcpy(r->in + 1, slot->response->data + slot->response_at, n);
	slot->response_at += n;
	if (n == rest) {
		slot->response = NULL;
		slot->iccd.phase = ICCD_IDLE;
	}
	return (int)(1 + n);
}

static int b_poll(struct request *r)
{
	int64_t units = (r->slot->iccd.due - r->now) / (10 * MS) + 1;
	uint8_t answer[3] = { ICCD_B_RESPONSE_POLLING };

	put_le16(answer + 1, (uint16_t)(units > 0xFFFF ? 0xFFFF : units));
	return put(r, answer, sizeof(answer));
}

static int b_data_block(struct request *r)
{
	struct slot *slot = r->slot;

	if (r->cap < 4)
		return -1;
	if (slot->iccd.error) {
		const uint8_t answer[3] = { ICCD_B_RESPONSE_ERROR, slot_icc_status(slot),
			slot->iccd.error };

		slot->iccd = (struct iccd_state){ 0 };
		return put(r, answer, sizeof(answer));
	}
	switch (slot->iccd.phase) {
	case ICCD_ATR:
		r->in[0] = ICCD_B_RESPONSE_DATA;
		slot->iccd.phase = ICCD_IDLE;
		r->in++;
		r->cap--;
		return 1 + put(r, slot->command, slot->command_len);
	case ICCD_SENDING:
		r->in[0] = ICCD_B_RESPONSE_EMPTY;
		return 1;
	case ICCD_RECEIVING:
		return r->now < slot->iccd.due ? b_poll(r) : b_response_part(r);
	default:
		return -1;
	}
}

static int b_slot_status(struct request *r)
{
	const uint8_t status[3] = { slot_icc_status(r->slot), 0, r->slot->clock };

	return put(r, status, sizeof(status));
}

/* --- Dispatch --------------------------------------------------------------------------------- */

static const struct {
	uint8_t protocol;
	uint8_t direction;
	uint8_t request;
	iccd_handler run;
} requests[] = {
	{ CCID_PROTOCOL_ICCD_A, USB_DIR_IN, ICCD_REQ_ICC_POWER_ON, a_power_on },
	{ CCID_PROTOCOL_ICCD_A, USB_DIR_OUT, ICCD_REQ_ICC_POWER_OFF, power_off },
	{ CCID_PROTOCOL_ICCD_A, USB_DIR_OUT, ICCD_REQ_XFR_BLOCK, a_xfr_block },
	{ CCID_PROTOCOL_ICCD_A, USB_DIR_IN, ICCD_REQ_DATA_BLOCK, a_data_block },
	{ CCID_PROTOCOL_ICCD_A, USB_DIR_IN, ICCD_REQ_GET_ICC_STATUS_A, a_status },
	{ CCID_PROTOCOL_ICCD_B, USB_DIR_OUT, ICCD_REQ_ICC_POWER_ON, b_power_on },
	{ CCID_PROTOCOL_ICCD_B, USB_DIR_OUT, ICCD_REQ_ICC_POWER_OFF, power_off },
	{ CCID_PROTOCOL_ICCD_B, USB_DIR_OUT, ICCD_REQ_XFR_BLOCK, b_xfr_block },
	{ CCID_PROTOCOL_ICCD_B, USB_DIR_IN, ICCD_REQ_DATA_BLOCK, b_data_block },
	{ CCID_PROTOCOL_ICCD_B, USB_DIR_IN, ICCD_REQ_SLOT_STATUS_B, b_slot_status },
};

int iccd_control(struct ccid_device *dev, const uint8_t setup[8], const uint8_t *out,
	size_t out_len, uint8_t *in, size_t cap, int64_t now)
{
	struct request r = { .dev = dev,
		.slot = &dev->slots[0],
		.out = out,
		.out_len = out_len,
		.in = in,
		.now = now };
	uint8_t direction = setup[USB_SETUP_bmRequestType] & USB_DIR_MASK;
	size_t want = get_le16(setup + USB_SETUP_wLength);

	r.value = get_le16(setup + USB_SETUP_wValue);
	r.cap = want < cap ? want : cap;
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		if (requests[i].protocol == dev->intf.protocol &&
			requests[i].direction == direction &&
			requests[i].request == setup[USB_SETUP_bRequest])
			return requests[i].run(&r);
	return -1;
}
