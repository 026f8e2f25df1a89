/* SPDX-License-Identifier: BSD-3-Clause */
#include "activate.h"

#include <string.h>

#include "exchange.h"
#include "ifd-ccid/log.h"
#include "ifd-ccid/options.h"
#include "ifd-ccid/quirk/quirk_apply.h"
#include "iso7816/pps.h"

enum {
	MAX_VOLTAGES = QUIRK_ORDER_MAX,
	VOLTAGES = 3,
	MAX_BWI = 9,    /* ISO 7816-3 §11.4.3 */
	PPS_MS = 10000, /* for the PPS response: a few characters at WT each */
};

RESPONSECODE ifd_code(enum ccid_result result)
{
	static const RESPONSECODE codes[] = {
		[CCID_OK] = IFD_SUCCESS,
		[CCID_REFUSED] = IFD_COMMUNICATION_ERROR,
		[CCID_TIMEOUT] = IFD_RESPONSE_TIMEOUT,
		[CCID_ABORTED] = IFD_COMMUNICATION_ERROR,
		[CCID_GARBLED] = IFD_COMMUNICATION_ERROR,
		[CCID_ABSENT] = IFD_ICC_NOT_PRESENT,
		[CCID_LIMIT] = IFD_COMMUNICATION_ERROR,
		[CCID_OVERRUN] = IFD_ERROR_INSUFFICIENT_BUFFER,
		[CCID_CARD] = IFD_COMMUNICATION_ERROR,
		[CCID_PROTOCOL] = IFD_PROTOCOL_NOT_SUPPORTED,
		[CCID_BUSY] = IFD_RESPONSE_TIMEOUT,
		[CCID_GONE] = IFD_NO_SUCH_DEVICE,
	};

	return codes[result];
}

static const struct ccid_class *class_of(const struct slot *slot)
{
	return &device_interface(slot->device)->ccid;
}

/* Fills SELECT with the bPowerSelect values to try, in order; returns how many. */
static size_t voltages(const struct slot *slot, uint8_t select[MAX_VOLTAGES])
{
	static const struct {
		uint8_t support;
		uint8_t select;
	} order[VOLTAGES] = {
		{ CCID_VOLTAGE_5V, CCID_POWER_5V },
		{ CCID_VOLTAGE_3V, CCID_POWER_3V },
		{ CCID_VOLTAGE_1V8, CCID_POWER_1V8 },
	};
	const struct quirk_order *chosen = &device_quirks(slot->device)->voltages;
	unsigned first = (options_get()->driver & OPTION_VOLTAGE_MASK) >> OPTION_VOLTAGE_SHIFT;
	size_t n = 0;

	/* The words of the property are in the order of bPowerSelect. */
	if (chosen->count > 0) {
		memcpy(select, chosen->words, chosen->count);
		return chosen->count;
	}
	if (first >= VOLTAGES ||
		(class_of(slot)->dwFeatures &
			(CCID_FEATURE_AUTO_ACTIVATION | CCID_FEATURE_AUTO_VOLTAGE))) {
		select[0] = CCID_POWER_AUTO;
		return 1;
	}
	for (size_t i = 0; i < VOLTAGES; i++) {
		size_t at = (first + i) % VOLTAGES;

		if (class_of(slot)->bVoltageSupport & order[at].support)
			select[n++] = order[at].select;
	}
	return n;
}

static void forget_card(struct slot *slot)
{
	slot->has_atr = false;
	slot->protocol = SLOT_NO_PROTOCOL;
	device_set_powered(slot->device, slot->number, false);
}

/* Cards that need more time than their ATR says. */
static void correct_waiting_time(struct slot *slot)
{
	const struct quirk_escapes *cards = &device_quirks(slot->device)->waiting_integers;
	struct atr *atr = &slot->atr;

	for (size_t i = 0; i < cards->count; i++) {
		const struct quirk_escape *card = &cards->list[i];

		if (card->len != atr->len || memcmp(card->bytes, atr->raw, atr->len) != 0 ||
			card->answer_len != 1 || card->answer[0] >> 4 > MAX_BWI)
			continue;
		atr->bwi = card->answer[0] >> 4;
		atr->cwi = card->answer[0] & 0x0F;
	}
}

static void take_atr(struct slot *slot, const uint8_t *bytes, size_t len)
{
	if (len > ATR_MAX_LEN)
		len = ATR_MAX_LEN;
	slot->atr_result = atr_parse(bytes, len, &slot->atr);
	correct_waiting_time(slot);
	slot->has_atr = true;
	slot->blocks_begun = false;
	exchange_t1_reset(slot, slot->atr.ifsc, slot->nad);
	slot->rate = (struct atr_rate){
		.f = ATR_DEFAULT_F, .d = ATR_DEFAULT_D, .clock_khz = class_of(slot)->dwDefaultClock
	};
	device_set_powered(slot->device, slot->number, !slot->raw);
	if (slot->atr_result != ATR_OK)
		log_line(LOG_INFO, "device %s: slot %u: ATR: %s", device_name(slot->device),
			slot->number, atr_strerror(slot->atr_result));
}

static enum ccid_result power_on_raw(struct slot *slot)
{
	uint8_t atr[ATR_MAX_LEN];
	size_t len;
	enum ccid_result result = raw_power_on(slot->raw, atr, &len);

	if (result == CCID_OK)
		take_atr(slot, atr, len);
	return result;
}

/* After a refused power-on: an Escape that brings the reader back to sense. True: try again. */
static bool repair(struct slot *slot, uint8_t bError)
{
	const struct quirk_escapes *escapes = &device_quirks(slot->device)->power_on_escape;
	struct ccid_answer answer;

	for (size_t i = 0; i < escapes->count; i++) {
		const struct quirk_escape *escape = &escapes->list[i];

		if (escape->bytes[0] != bError)
			continue;
		log_line(LOG_INFO, "device %s: slot %u: power-on failed with %02X, Escape sent",
			device_name(slot->device), slot->number, bError);
		return ccid_escape(slot, escape->answer, escape->answer_len, &answer) == CCID_OK;
	}
	return false;
}

static enum ccid_result power_on_with(struct slot *slot, uint8_t select, struct ccid_answer *answer)
{
	enum ccid_result result;

	if (device_quirks(slot->device)->power_off_first && ccid_power_off(slot) == CCID_GONE)
		return CCID_GONE;
	result = ccid_power_on(slot, select, answer);
	if (result == CCID_REFUSED && repair(slot, answer->bError))
		result = ccid_power_on(slot, select, answer);
	return result;
}

static enum ccid_result power_on(struct slot *slot)
{
	uint8_t select[MAX_VOLTAGES];
	size_t count = voltages(slot, select);
	enum ccid_result result = CCID_REFUSED;
	struct ccid_answer answer;

	for (size_t i = 0; i < count && result == CCID_REFUSED; i++) {
		result = power_on_with(slot, select[i], &answer);
		if (result == CCID_REFUSED)
			result = ccid_why_refused(slot, "IccPowerOn", &answer);
		if (result == CCID_OK && answer.len == 0) {
			log_line(LOG_ERROR, "device %s: slot %u: no ATR", device_name(slot->device),
				slot->number);
			result = CCID_REFUSED;
		}
	}
	if (result == CCID_OK)
		take_atr(slot, answer.data, answer.len);
	return result;
}

RESPONSECODE activate_power_up(struct slot *slot)
{
	bool warm = device_powered(slot->device, slot->number);
	enum ccid_result result;

	forget_card(slot);
	result = slot->raw ? power_on_raw(slot) : power_on(slot);
	/* After a change of speed some readers can't hear the ATR of a warm reset. */
	if (warm && result != CCID_OK && result != CCID_GONE && result != CCID_ABSENT &&
		result != CCID_ABORTED) {
		log_line(LOG_INFO, "device %s: slot %u: warm reset failed, power cycle",
			device_name(slot->device), slot->number);
		if (ccid_power_off(slot) == CCID_OK)
			result = power_on(slot);
	}
	device_power_result(slot->device, slot->number, result == CCID_OK);
	if (result == CCID_OK)
		return IFD_SUCCESS;
	return result == CCID_GONE ? IFD_NO_SUCH_DEVICE : IFD_ERROR_POWER_ACTION;
}

RESPONSECODE activate_power_down(struct slot *slot)
{
	enum ccid_result result;

	forget_card(slot);
	result = slot->raw ? raw_power_off(slot->raw) : ccid_power_off(slot);
	if (result == CCID_OK || result == CCID_GONE)
		return ifd_code(result);
	return IFD_ERROR_POWER_ACTION;
}

static uint32_t baud(uint8_t ta1, uint32_t clock_khz)
{
	uint64_t f = atr_fi(ta1);
	uint64_t d = atr_di(ta1);

	return f && d ? (uint32_t)(1000 * (uint64_t)clock_khz * d / f) : 0;
}

static bool can_do(uint32_t rate, uint32_t max_rate, const uint32_t *rates)
{
	/* Reader and host round these numbers each in its own way. */
	if (rate > max_rate + 2)
		return false;
	if (!rates)
		return true;
	for (; *rates; rates++)
		if (rate + 2 >= *rates && rate <= *rates + 2)
			return true;
	return false;
}

uint8_t activate_best_ta1(uint8_t ta1, uint32_t clock_khz, uint32_t max_rate, const uint32_t *rates)
{
	uint32_t best_rate = baud(ATR_DEFAULT_TA1, clock_khz);
	uint8_t best = ATR_DEFAULT_TA1;

	/* The card's own, and powers of two below it: few cards take D of 12 or 20 in their place. */
	for (uint8_t index = 1; index <= 0x0F; index++) {
		uint8_t candidate = (uint8_t)((ta1 & 0xF0) | index);
		uint32_t rate = baud(candidate, clock_khz);

		if (index > 7 && candidate != ta1)
			continue;
		if (atr_di(candidate) <= atr_di(ta1) && rate > best_rate &&
			can_do(rate, max_rate, rates)) {
			best = candidate;
			best_rate = rate;
		}
	}
	return best;
}

/* PPS request and response. */
static enum pps_result negotiate(
	struct slot *slot, unsigned protocol, uint8_t ta1, enum ccid_result *result)
{
	uint8_t request[PPS_MAX_LEN];
	size_t len = pps_request(request, protocol, ta1 == ATR_DEFAULT_TA1 ? PPS_NO_PPS1 : ta1);
	uint16_t expect = class_of(slot)->level == LEVEL_CHARACTER ? (uint16_t)len : 0;
	struct ccid_answer answer;

	*result = ccid_xfr_block(slot, request, len, 0, expect, PPS_MS, &answer);
	if (*result != CCID_OK)
		return PPS_REFUSED;
	return pps_check(request, len, answer.data, answer.len);
}

/* Protocol and speed by PPS where it is our part. *TA1: the speed wanted; then the one agreed. */
static RESPONSECODE do_pps(struct slot *slot, unsigned protocol, uint8_t *ta1)
{
	enum pps_result pps;
	enum ccid_result result;
	bool again = false;

	while (protocol != slot->atr.first_protocol || *ta1 != ATR_DEFAULT_TA1) {
		pps = negotiate(slot, protocol, *ta1, &result);
		if (pps == PPS_AGREED)
			return IFD_SUCCESS;
		if (pps == PPS_DEFAULT_SPEED) {
			*ta1 = ATR_DEFAULT_TA1;
			return IFD_SUCCESS;
		}
		if (result != CCID_OK && result != CCID_REFUSED && result != CCID_TIMEOUT &&
			result != CCID_GARBLED)
			return ifd_code(result);
		if (again || *ta1 == ATR_DEFAULT_TA1)
			return IFD_ERROR_PTS_FAILURE;
		/* A card that has seen a wrong PPS is mute until it is reset (ISO 7816-3 §9.1). */
		log_line(LOG_INFO, "device %s: slot %u: PPS for %02X failed, default speed",
			device_name(slot->device), slot->number, *ta1);
		*ta1 = ATR_DEFAULT_TA1;
		again = true;
		if (activate_power_up(slot) != IFD_SUCCESS)
			return IFD_ERROR_PTS_FAILURE;
	}
	return IFD_SUCCESS;
}

static size_t parameters(const struct slot *slot, unsigned protocol, uint8_t ta1, uint8_t *out)
{
	const struct atr *atr = &slot->atr;
	uint8_t inverse = atr->inverse ? CCID_TCCKS_INVERSE : 0;

	if (protocol == 0) {
		out[CCID_T0_bmFindexDindex] = ta1;
		out[CCID_T0_bmTCCKS] = CCID_T0_TCCKS_FIXED | inverse;
		out[CCID_T0_bGuardTime] = atr->tc1;
		out[CCID_T0_bWaitingInteger] = atr->wi;
		out[CCID_T0_bClockStop] = 0;
		return CCID_T0_SIZE;
	}
	out[CCID_T1_bmFindexDindex] = ta1;
	out[CCID_T1_bmTCCKS] = (uint8_t)(CCID_T1_TCCKS_FIXED | inverse |
					 (atr->edc == EDC_CRC ? CCID_TCCKS_CRC : 0));
	out[CCID_T1_bGuardTime] = atr->tc1;
	out[CCID_T1_bmWaitingIntegers] = (uint8_t)(atr->bwi << 4 | atr->cwi);
	out[CCID_T1_bClockStop] = 0;
	out[CCID_T1_bIFSC] = atr->ifsc;
	out[CCID_T1_bNadValue] = class_of(slot)->dwFeatures & CCID_FEATURE_NAD ? slot->nad : 0;
	return CCID_T1_SIZE;
}

/* A reader that refuses what it has already set, or that does as it likes. */
static RESPONSECODE parameters_refused(struct slot *slot)
{
	bool reset = device_quirks(slot->device)->parameters_refused == QUIRK_PARAMETERS_RESET;

	log_line(LOG_INFO, "device %s: slot %u: SetParameters refused, going on%s",
		device_name(slot->device), slot->number, reset ? " after a power cycle" : "");
	if (!reset)
		return IFD_SUCCESS;
	if (ccid_power_off(slot) == CCID_GONE)
		return IFD_NO_SUCH_DEVICE;
	return power_on(slot) == CCID_OK ? IFD_SUCCESS : IFD_ERROR_POWER_ACTION;
}

/* What blocks of T=1 are made by: as the card and the client have it, or less where the reader
 * says. */
struct block_terms {
	uint8_t ifsc;
	uint8_t nad;
};

/* RDR_to_PC_Parameters (CCID 1.1 §6.2.3): what the reader has made of the parameters. */
static void read_back(
	const struct slot *slot, const struct ccid_answer *answer, struct block_terms *terms)
{
	uint8_t ifsc, nad;

	if (answer->specific != 1 || answer->len < CCID_T1_SIZE)
		return;
	ifsc = answer->data[CCID_T1_bIFSC];
	nad = answer->data[CCID_T1_bNadValue];
	if (ifsc > 0 && ifsc < terms->ifsc)
		terms->ifsc = ifsc;
	if (class_of(slot)->dwFeatures & CCID_FEATURE_NAD && t1_nad_valid(nad))
		terms->nad = nad;
}

static RESPONSECODE set_parameters(
	struct slot *slot, unsigned protocol, uint8_t ta1, struct block_terms *terms)
{
	uint8_t params[CCID_T1_SIZE];
	size_t len = parameters(slot, protocol, ta1, params);
	struct ccid_answer answer;
	enum ccid_result result = ccid_set_parameters(slot, protocol, params, len, &answer);

	if (result == CCID_OK) {
		read_back(slot, &answer, terms);
		return IFD_SUCCESS;
	}
	if (result != CCID_REFUSED)
		return ifd_code(result);
	if (device_quirks(slot->device)->parameters_refused != QUIRK_PARAMETERS_FAIL)
		return parameters_refused(slot);
	/* 01 to 7F name a value that can't be changed: the reader has its own, which is right. */
	if (answer.bError != CCID_ERROR_CMD_NOT_SUPPORTED && answer.bError < 0x80)
		return IFD_SUCCESS;
	if (answer.bError == CCID_ERROR_CMD_NOT_SUPPORTED)
		return protocol == slot->atr.first_protocol ? IFD_SUCCESS : IFD_NOT_SUPPORTED;
	return ifd_code(ccid_why_refused(slot, "SetParameters", &answer));
}

static RESPONSECODE may_speak(const struct slot *slot, unsigned protocol)
{
	uint32_t bit = protocol == 0 ? CCID_PROTOCOLS_T0 : CCID_PROTOCOLS_T1;

	if (protocol > 1)
		return IFD_PROTOCOL_NOT_SUPPORTED;
	if (!(class_of(slot)->dwProtocols & bit))
		return IFD_ERROR_NOT_SUPPORTED;
	if (!slot->has_atr || !atr_usable(slot->atr_result) || !atr_offers(&slot->atr, protocol))
		return IFD_PROTOCOL_NOT_SUPPORTED;
	return IFD_SUCCESS;
}

/* The speed to ask for, or in specific mode the speed there is (ISO 7816-3 §6.3.1). */
static uint8_t wanted_ta1(const struct slot *slot)
{
	const struct quirk_set *quirks = device_quirks(slot->device);
	uint32_t rates[QUIRK_NUMBERS_MAX + 1];
	bool own_rates = quirk_data_rates(quirks, slot->number, rates);

	if (!slot->atr.has_ta1)
		return ATR_DEFAULT_TA1;
	if (slot->atr.specific)
		return slot->atr.ta1;
	if (!quirks->pps)
		return ATR_DEFAULT_TA1;
	return activate_best_ta1(slot->atr.ta1, class_of(slot)->dwDefaultClock,
		quirk_max_data_rate(quirks, device_interface(slot->device), slot->number),
		own_rates ? rates : device_rates(slot->device));
}

static RESPONSECODE tune(struct slot *slot, unsigned protocol, struct block_terms *terms)
{
	uint32_t features = class_of(slot)->dwFeatures;
	uint8_t ta1 = wanted_ta1(slot);
	RESPONSECODE rv;

	if (slot->atr.specific && slot->atr.specific_implicit) {
		log_line(LOG_ERROR, "device %s: slot %u: the card's speed is known to itself alone",
			device_name(slot->device), slot->number);
		return IFD_COMMUNICATION_ERROR;
	}
	if (!(features & CCID_FEATURE_AUTO_PPS) && !slot->atr.specific &&
		!device_quirks(slot->device)->pps && protocol != slot->atr.first_protocol)
		return IFD_PROTOCOL_NOT_SUPPORTED;
	if (!(features & CCID_FEATURE_AUTO_PPS) && !slot->atr.specific &&
		device_quirks(slot->device)->pps) {
		rv = do_pps(slot, protocol, &ta1);
		if (rv != IFD_SUCCESS)
			return rv;
	}
	rv = set_parameters(slot, protocol, ta1, terms);
	if (rv == IFD_COMMUNICATION_ERROR && features & CCID_FEATURE_AUTO_PPS &&
		!slot->atr.specific && ta1 != ATR_DEFAULT_TA1) {
		ta1 = ATR_DEFAULT_TA1;
		rv = set_parameters(slot, protocol, ta1, terms);
	}
	if (rv == IFD_SUCCESS) {
		slot->rate.f = atr_fi(ta1);
		slot->rate.d = atr_di(ta1);
	}
	return rv;
}

/*
 * Of a reader that has negotiated by itself. One that does not tell, whatever the way, is taken to do
 * what the card's ATR says.
 */
static RESPONSECODE ask_terms(struct slot *slot, struct block_terms *terms)
{
	struct ccid_answer answer;
	enum ccid_result result = ccid_get_parameters(slot, &answer);

	if (result == CCID_OK)
		read_back(slot, &answer, terms);
	if (result == CCID_GONE || result == CCID_ABORTED || result == CCID_ABSENT)
		return ifd_code(result);
	return IFD_SUCCESS;
}

RESPONSECODE activate_set_protocol(struct slot *slot, unsigned protocol)
{
	enum ccid_level level = class_of(slot)->level;
	bool blocks = protocol == 1 && (level == LEVEL_TPDU || level == LEVEL_CHARACTER);
	struct block_terms terms = { .ifsc = slot->atr.ifsc, .nad = slot->nad };
	RESPONSECODE rv = may_speak(slot, protocol);

	if (rv != IFD_SUCCESS)
		return rv;
	if (slot->protocol == (int)protocol)
		return IFD_SUCCESS;
	/* The protocol of the air has nothing to agree on here. */
	if (slot->raw) {
		slot->protocol = (int)protocol;
		return IFD_SUCCESS;
	}
	if (!(class_of(slot)->dwFeatures & CCID_FEATURE_AUTO_PARAM_NEGOTIATION))
		rv = tune(slot, protocol, &terms);
	else if (blocks)
		rv = ask_terms(slot, &terms);
	if (rv == IFD_SUCCESS && blocks)
		rv = ifd_code(exchange_t1_start(slot, terms.ifsc, terms.nad));
	if (rv == IFD_SUCCESS)
		slot->protocol = (int)protocol;
	return rv;
}
