/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One function for each bulk-OUT message (CCID 1.1 §6.1), and the table that names them.
 */
#include <string.h>

#include "vreader/bytes.h"
#include "vreader/firmware/ccid_slot.h"

/* Parameters that hold before the host sets any (CCID 1.1 §6.1.6: as after reset). */
static const uint8_t params_default[2][CCID_T1_SIZE] = {
	{ CARD_TA1_DEFAULT, CCID_T0_TCCKS_FIXED, 0, 10, 0, 0, 0 },
	{ CARD_TA1_DEFAULT, CCID_T1_TCCKS_FIXED, 0, 0x4D, 0, 32, 0 },
};

static size_t params_size(uint8_t protocol)
{
	return protocol ? CCID_T1_SIZE : CCID_T0_SIZE;
}

static void params_reset(struct slot *slot)
{
	slot->protocol = 0;
	memcpy(slot->params, params_default, sizeof(params_default));
}

void slot_power_down(struct slot *slot)
{
	slot->powered = false;
	slot->clock = CCID_CLOCK_STOPPED_LOW;
	params_reset(slot);
	ccid_level_reset(slot);
	slot->iccd = (struct iccd_state){ 0 };
	if (slot->card)
		card_power_off(slot->card);
}

/* What a reader with "automatic parameter configuration based on ATR data" takes from it. */
static void params_from_atr(struct slot *slot)
{
	const struct card_options *o = card_options(slot->card);
	uint8_t inverse = o->inverse ? CCID_TCCKS_INVERSE : 0;

	slot->protocol = (uint8_t)card_protocol(slot->card);
	slot->params[0][CCID_T0_bGuardTime] = slot->params[1][CCID_T1_bGuardTime] = o->tc1;
	slot->params[0][CCID_T0_bWaitingInteger] = o->wi;
	slot->params[0][CCID_T0_bmTCCKS] = CCID_T0_TCCKS_FIXED | inverse;
	slot->params[1][CCID_T1_bmTCCKS] =
		(uint8_t)(CCID_T1_TCCKS_FIXED | inverse | (o->crc ? CCID_TCCKS_CRC : 0));
	slot->params[1][CCID_T1_bmWaitingIntegers] = (uint8_t)(o->bwi << 4 | o->cwi);
	slot->params[1][CCID_T1_bIFSC] = o->ifsc;
	if (o->specific)
		slot->params[0][0] = slot->params[1][0] = o->ta1;
}

static bool answers_parameters_itself(const struct slot *slot)
{
	return slot->dev->features &
	       (CCID_FEATURE_AUTO_CONF_ATR | CCID_FEATURE_AUTO_PARAM_NEGOTIATION);
}

/* By bPowerSelect. */
static const uint8_t voltage_bit[] = { 0, CCID_VOLTAGE_5V, CCID_VOLTAGE_3V, CCID_VOLTAGE_1V8 };

static bool voltage_acceptable(const struct ccid_device *dev, uint8_t power_select)
{
	if (power_select == CCID_POWER_AUTO)
		return dev->features & (CCID_FEATURE_AUTO_VOLTAGE | CCID_FEATURE_AUTO_ACTIVATION);
	return power_select < sizeof(voltage_bit) &&
	       dev->intf.ccid[CCID_DESC_bVoltageSupport] & voltage_bit[power_select];
}

/* Supplies the card, with the voltage chosen by the host or by the reader itself. False: the card
 * does not wake up at it. */
static bool supply(const struct slot *slot, uint8_t power_select)
{
	uint8_t offered = slot->dev->intf.ccid[CCID_DESC_bVoltageSupport];

	/* A reader that does not say what it has gives what the card wants. */
	if (power_select == CCID_POWER_AUTO)
		return offered == 0 || offered & card_options(slot->card)->classes;
	return card_options(slot->card)->classes & voltage_bit[power_select];
}

static size_t activate(struct slot *slot, const uint8_t **atr)
{
	size_t len;

	slot->dev->stats.power_ons++;
	ccid_level_reset(slot);
	params_reset(slot);
	len = card_power_on(slot->card, atr);
	slot->powered = true;
	slot->clock = CCID_CLOCK_RUNNING;
	if (answers_parameters_itself(slot))
		params_from_atr(slot);
	return len;
}

void slot_auto_activate(struct slot *slot)
{
	const uint8_t *atr;

	if (slot->card && slot->dev->features & CCID_FEATURE_AUTO_ACTIVATION &&
		supply(slot, CCID_POWER_AUTO))
		activate(slot, &atr);
}

/* Whether a slot that this one excludes has its card under power. */
static bool excluded(const struct slot *slot)
{
	const struct ccid_device *dev = slot->dev;

	for (size_t i = 0; dev->intf.exclusive && i < dev->slot_count; i++)
		if (&dev->slots[i] != slot && dev->slots[i].powered)
			return true;
	return false;
}

static void icc_power_on(struct slot *slot, const struct ccid_message *msg, int64_t now)
{
	const uint8_t *atr;
	size_t len;

	(void)now;
	if (excluded(slot)) {
		slot_fail(slot, msg, CCID_ERROR_CMD_SLOT_BUSY);
		return;
	}
	if (!voltage_acceptable(slot->dev, msg->specific[0])) {
		slot_fail(slot, msg, CCID_MSG_bPowerSelect);
		return;
	}
	if (!slot->card || slot->dev->intf.raw || !supply(slot, msg->specific[0])) {
		slot_power_down(slot);
		slot_fail(slot, msg, CCID_ERROR_ICC_MUTE);
		return;
	}
	len = activate(slot, &atr);
	slot_ok(slot, msg, CCID_CHAIN_WHOLE, atr, len);
}

static void icc_power_off(struct slot *slot, const struct ccid_message *msg, int64_t now)
{
	(void)now;
	slot_power_down(slot);
	slot_ok(slot, msg, slot->clock, NULL, 0);
}

static void get_slot_status(struct slot *slot, const struct ccid_message *msg, int64_t now)
{
	(void)now;
	slot_ok(slot, msg, slot->clock, NULL, 0);
}

static void answer_parameters(struct slot *slot, const struct ccid_message *msg)
{
	slot_ok(slot, msg, slot->protocol, slot->params[slot->protocol],
		params_size(slot->protocol));
}

/* Everything below works on a card that has power. */
static bool card_is_active(struct slot *slot, const struct ccid_message *msg)
{
	if (slot->card && slot->powered)
		return true;
	slot_fail(slot, msg, CCID_ERROR_ICC_MUTE);
	return false;
}

static void get_parameters(struct slot *slot, const struct ccid_message *msg, int64_t now)
{
	(void)now;
	if (card_is_active(slot, msg))
		answer_parameters(slot, msg);
}

static void reset_parameters(struct slot *slot, const struct ccid_message *msg, int64_t now)
{
	(void)now;
	if (!card_is_active(slot, msg))
		return;
	params_reset(slot);
	if (answers_parameters_itself(slot))
		params_from_atr(slot);
	answer_parameters(slot, msg);
}

/* PPS by the reader: a reset makes the card listen for one, then the request (CCID 1.1 §5.1,
 * dwFeatures 80h). False when the card did not agree. */
static bool negotiate(struct slot *slot, uint8_t protocol, uint8_t fidi)
{
	const struct card_options *o = card_options(slot->card);
	struct card_link link = { .fidi = CARD_TA1_DEFAULT, .inverse = o->inverse };
	uint8_t pps[4] = { 0xFF, (uint8_t)(0x10 | protocol), fidi, 0 };
	struct card_burst burst;
	const uint8_t *atr;

	if (card_tag(slot->card))
		return true;
	pps[3] = pps[0] ^ pps[1] ^ pps[2];
	card_power_on(slot->card, &atr);
	if (o->specific)
		return o->ta1 == fidi && card_protocol(slot->card) == protocol;
	card_receive(slot->card, link, pps, sizeof(pps));
	return card_send(slot->card, &burst) && burst.len == sizeof(pps) &&
	       memcmp(burst.data, pps, sizeof(pps)) == 0;
}

/* Di by the low nibble of TA1 (ISO 7816-3 §8.3, table 8); 0: RFU. */
static unsigned di(uint8_t ta1)
{
	static const uint8_t table[16] = { 0, 1, 2, 4, 8, 16, 32, 64, 12, 20 };

	return table[ta1 & 0x0F];
}

/* The default speed always works, others up to dwMaxDataRate; 2 bit/s are what readers round off. */
static bool speed_possible(const struct slot *slot, uint8_t fidi)
{
	const uint8_t *d = slot->dev->intf.ccid;
	uint64_t rate = 1000ULL * get_le32(d + CCID_DESC_dwDefaultClock) * di(fidi) / ccid_fi(fidi);

	return fidi == CARD_TA1_DEFAULT ||
	       (rate && rate <= get_le32(d + CCID_DESC_dwMaxDataRate) + 2ULL);
}

/* What the host may set; 0, or the bError that refuses it. */
static int check_parameters(const struct slot *slot, const struct ccid_message *msg)
{
	uint8_t protocol = msg->specific[0];
	uint32_t known = get_le32(slot->dev->intf.ccid + CCID_DESC_dwProtocols);

	if (protocol > 1 || !(known & 1u << protocol))
		return CCID_MSG_bProtocolNum_OUT;
	if (msg->len != params_size(protocol))
		return CCID_ERROR_BAD_LENGTH;
	if (!slot->card || !slot->powered)
		return CCID_ERROR_ICC_MUTE;
	if (!speed_possible(slot, msg->data[0]))
		return CCID_MSG_abData;
	return 0;
}

static void set_parameters(struct slot *slot, const struct ccid_message *msg, int64_t now)
{
	uint32_t features = slot->dev->features;
	uint8_t protocol = msg->specific[0];
	int error = check_parameters(slot, msg);
	bool changes;

	(void)now;
	if (error) {
		slot_fail(slot, msg, (uint8_t)error);
		return;
	}
	changes = protocol != slot->protocol || msg->data[0] != slot->params[protocol][0];
	if (changes && features & CCID_FEATURE_AUTO_PARAM_NEGOTIATION) {
		slot_fail(slot, msg, CCID_MSG_bProtocolNum_OUT);
		return;
	}
	if (changes && features & CCID_FEATURE_AUTO_PPS &&
		!negotiate(slot, protocol, msg->data[0])) {
		slot_fail(slot, msg, CCID_ERROR_ICC_PROTOCOL_NOT_SUPPORTED);
		return;
	}
	slot->protocol = protocol;
	memcpy(slot->params[protocol], msg->data, msg->len);
	ccid_exchange_ifsd(slot);
	answer_parameters(slot, msg);
}

static void icc_clock(struct slot *slot, const struct ccid_message *msg, int64_t now)
{
	(void)now;
	if (!(slot->dev->features & CCID_FEATURE_CLOCK_STOP)) {
		slot_fail(slot, msg, CCID_ERROR_CMD_NOT_SUPPORTED);
		return;
	}
	if (!card_is_active(slot, msg))
		return;
	if (msg->specific[0] > CCID_CLOCK_STOP) {
		slot_fail(slot, msg, CCID_MSG_bClockCommand);
		return;
	}
	slot->clock =
		msg->specific[0] == CCID_CLOCK_STOP ? CCID_CLOCK_STOPPED_LOW : CCID_CLOCK_RUNNING;
	slot_ok(slot, msg, slot->clock, NULL, 0);
}

/* A reader that picks clock and rate by itself has nothing to set (CCID 1.1 §6.1.14). */
static void set_data_rate(struct slot *slot, const struct ccid_message *msg, int64_t now)
{
	const uint32_t automatic = CCID_FEATURE_AUTO_CLOCK | CCID_FEATURE_AUTO_BAUD;

	(void)now;
	if ((slot->dev->features & automatic) == automatic)
		slot_fail(slot, msg, CCID_ERROR_CMD_NOT_SUPPORTED);
	else if (msg->len != CCID_RATE_SIZE)
		slot_fail(slot, msg, CCID_ERROR_BAD_LENGTH);
	else if (card_is_active(slot, msg))
		slot_ok(slot, msg, 0, msg->data, msg->len);
}

static void xfr_block(struct slot *slot, const struct ccid_message *msg, int64_t now)
{
	slot->dev->stats.xfr_blocks++;
	if (card_is_active(slot, msg))
		ccid_xfr_block(slot, msg, now);
}

/* Messages without a function are answered "command not supported"; Abort has its own way, since
 * it comes while the slot is busy. */
static const struct ccid_command commands[] = {
	{ PC_to_RDR_SetParameters, RDR_to_PC_Parameters, set_parameters },
	{ PC_to_RDR_IccPowerOn, RDR_to_PC_DataBlock, icc_power_on },
	{ PC_to_RDR_IccPowerOff, RDR_to_PC_SlotStatus, icc_power_off },
	{ PC_to_RDR_GetSlotStatus, RDR_to_PC_SlotStatus, get_slot_status },
	{ PC_to_RDR_Secure, RDR_to_PC_DataBlock, ccid_secure },
	{ PC_to_RDR_Secure_KEYBOARD, RDR_to_PC_DataBlock, ccid_secure },
	{ PC_to_RDR_T0APDU, RDR_to_PC_SlotStatus, NULL },
	{ PC_to_RDR_Escape, RDR_to_PC_Escape, ccid_escape },
	{ PC_to_RDR_GetParameters, RDR_to_PC_Parameters, get_parameters },
	{ PC_to_RDR_ResetParameters, RDR_to_PC_Parameters, reset_parameters },
	{ PC_to_RDR_IccClock, RDR_to_PC_SlotStatus, icc_clock },
	{ PC_to_RDR_XfrBlock, RDR_to_PC_DataBlock, xfr_block },
	{ PC_to_RDR_Mechanical, RDR_to_PC_SlotStatus, NULL },
	{ PC_to_RDR_Abort, RDR_to_PC_SlotStatus, NULL },
	{ PC_to_RDR_SetDataRateAndClockFrequency, RDR_to_PC_DataRateAndClockFrequency,
		set_data_rate },
};

const struct ccid_command *ccid_command_find(uint8_t type)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (commands[i].type == type)
			return &commands[i];
	return NULL;
}
