/* SPDX-License-Identifier: BSD-3-Clause */
#include "exchange.h"

#include <stdio.h>
#include <string.h>

#include "ifd-ccid/log.h"
#include "iso7816/apdu.h"
#include "iso7816/t0_apdu.h"

enum {
	READER_MS = 2000, /* what reader and bus add to the card's own times */
	MIN_T0_MS = 3000,
};

static exchange_fn *const levels[] = {
	[LEVEL_CHARACTER] = exchange_character,
	[LEVEL_TPDU] = exchange_tpdu,
	[LEVEL_SHORT_APDU] = exchange_short_apdu,
	[LEVEL_EXTENDED_APDU] = exchange_extended_apdu,
};

/* Commands that quirk files have an answer to; "bcdDevice" in it is written as it is spoken. */
static bool fixed_answer(
	struct slot *slot, const uint8_t *command, size_t len, uint8_t *response, size_t *rsp_len)
{
	const struct quirk_escapes *fixed = &device_quirks(slot->device)->fixed_answer;
	uint16_t bcd = device_descriptor(slot->device)->bcdDevice;

	for (size_t i = 0; i < fixed->count; i++) {
		const struct quirk_escape *one = &fixed->list[i];
		size_t head = one->bcd_at < one->answer_len ? one->bcd_at : one->answer_len;
		char version[8] = "";
		size_t n;

		if (one->len != len || memcmp(one->bytes, command, len) != 0)
			continue;
		if (one->bcd_at != UINT8_MAX)
			snprintf(version, sizeof(version), "%X.%02X", bcd >> 8, bcd & 0xFF);
		n = strlen(version);
		if (one->answer_len + n > *rsp_len)
			return false;
		memcpy(response, one->answer, head);
		memcpy(response + head, version, n);
		memcpy(response + head + n, one->answer + head, one->answer_len - head);
		*rsp_len = one->answer_len + n;
		return true;
	}
	return false;
}

/* What the answers to a command bring at most, if its Le tells; 0: it does not. */
static size_t expected(const struct slot *slot, enum ccid_level level, unsigned protocol,
	const uint8_t *command, size_t len)
{
	const struct ccid_class *ccid = &device_interface(slot->device)->ccid;
	struct apdu apdu;
	size_t inf;
	size_t n;

	if (level == LEVEL_CHARACTER || !apdu_parse(command, len, &apdu) || apdu.ne == 256 ||
		apdu.ne == APDU_MAX_NE)
		return 0;
	n = apdu.ne + 2;
	if (level != LEVEL_TPDU || protocol != 1)
		return n;
	/* A reader that tells the card its IFSD by itself has told dwMaxIFSD. */
	inf = ccid->dwFeatures & CCID_FEATURE_AUTO_IFSD ? ccid->ifsd : slot->t1.ifsd;
	return (n < inf ? n : inf) + T1_PROLOGUE + edc_size(slot->atr.edc);
}

enum ccid_result exchange_apdu(struct slot *slot, unsigned protocol, const uint8_t *command,
	size_t len, uint8_t *response, size_t *rsp_len)
{
	const struct ccid_interface *interface = device_interface(slot->device);
	enum ccid_level level = interface->ccid.level;
	enum ccid_result result;

	if (fixed_answer(slot, command, len, response, rsp_len))
		return CCID_OK;
	if (slot->raw)
		return raw_transmit(slot->raw, command, len, response, rsp_len, &slot->secret);
	/* Version A moves TPDUs whatever its level; version B chains (ICCD 1.0 §6.1, §6.2). */
	if (!interface->bulk_in && interface->bInterfaceProtocol == CCID_PROTOCOL_ICCD_A)
		level = LEVEL_TPDU;
	else if (!interface->bulk_in)
		level = LEVEL_EXTENDED_APDU;
	slot->expect = expected(slot, level, protocol, command, len);
	result = levels[level](slot, protocol, command, len, response, rsp_len);
	slot->expect = 0;
	return result;
}

static int64_t bounded(const struct slot *slot, uint64_t us)
{
	int64_t ceiling = slot_ceiling_ms(slot);

	us += (uint64_t)device_quirks(slot->device)->extra_waiting_time * 1000000;
	if (us / 1000 + READER_MS >= (uint64_t)ceiling)
		return ceiling;
	return (int64_t)(us / 1000) + READER_MS;
}

int64_t exchange_t0_ms(const struct slot *slot, size_t nc, size_t ne)
{
	int64_t ms = bounded(slot, atr_t0_us(&slot->atr, &slot->rate, nc, ne));

	return ms < MIN_T0_MS ? MIN_T0_MS : ms;
}

int64_t exchange_t1_ms(const struct slot *slot, unsigned wtx, size_t len)
{
	return bounded(slot, atr_t1_us(&slot->atr, &slot->rate, wtx, len, T1_MAX_BLOCK));
}

/*
 * No TPDU holds a case 4 command. Who sends one wants its data, so it is fetched; whoever sends case
 * 3 gets to see 61xx, as hosts have always shown it to applications.
 */
static enum t0_mode t0_mode(
	const struct exchange_carrier *carrier, const uint8_t *command, size_t len)
{
	struct apdu apdu;

	if (carrier->mapped_t0 || (apdu_parse(command, len, &apdu) && apdu.kind == APDU_CASE_4S))
		return T0_MAPPED;
	return T0_TRANSPARENT;
}

enum ccid_result exchange_by_t0(struct slot *slot, const struct exchange_carrier *carrier,
	const uint8_t *command, size_t len, uint8_t *response, size_t *rsp_len)
{
	uint8_t answer[APDU_SHORT_COMMAND];
	enum ccid_result result = CCID_OK;
	struct t0_apdu_step step;
	struct t0_apdu mapper;
	size_t n;

	step = t0_apdu_begin(
		&mapper, t0_mode(carrier, command, len), command, len, response, *rsp_len);
	while (step.action == T0_APDU_SEND) {
		n = sizeof(answer);
		result = carrier->tpdu(slot, step.tpdu, step.len, step.max_answer, answer, &n);
		if (result == CCID_OVERRUN)
			result = CCID_CARD;
		if (result != CCID_OK)
			break;
		step = t0_apdu_answer(&mapper, answer, n);
	}
	if (slot->secret)
		explicit_bzero(answer, sizeof(answer));
	t0_apdu_wipe(&mapper);
	if (result != CCID_OK)
		return result;
	*rsp_len = step.rsp_len;
	if (step.action == T0_APDU_DONE)
		return CCID_OK;
	if (step.action == T0_APDU_TOO_LONG)
		return CCID_OVERRUN;
	log_line(LOG_ERROR, "device %s: slot %u: T=0: %s", device_name(slot->device), slot->number,
		t0_apdu_strerror(step.error));
	return step.error == T0_APDU_MALFORMED ? CCID_LIMIT : CCID_CARD;
}

/* Tells the machine what came of its block. False: *RESULT ends the exchange. */
static bool t1_next(struct slot *slot, struct t1_step *step, enum ccid_result *result,
	const struct ccid_answer *answer)
{
	if (*result == CCID_OK) {
		*step = t1_block_received(&slot->t1, answer->data, answer->len);
		return true;
	}
	if (*result != CCID_REFUSED)
		return false;
	if (ccid_icc(answer) != CCID_ICC_ACTIVE) {
		*result = ccid_why_refused(slot, "XfrBlock", answer);
		return false;
	}
	switch (answer->bError) {
	case CCID_ERROR_XFR_PARITY_ERROR:
	case CCID_ERROR_XFR_OVERRUN:
		*step = t1_parity_error(&slot->t1);
		return true;
	case CCID_ERROR_ICC_MUTE:
		*step = t1_no_answer(&slot->t1);
		return true;
	default:
		*result = ccid_why_refused(slot, "XfrBlock", answer);
		return false;
	}
}

static enum ccid_result run_t1(struct slot *slot, const struct exchange_carrier *carrier,
	struct t1_step step, size_t *rsp_len)
{
	enum ccid_result result = CCID_OK;
	struct ccid_answer answer;

	while (step.action == T1_SEND) {
		if (step.reason == T1_WHY_REPEAT || step.reason == T1_WHY_RESYNCH)
			log_line(LOG_INFO, "device %s: slot %u: T=1: %s", device_name(slot->device),
				slot->number,
				step.reason == T1_WHY_REPEAT ? "block repeated" : "RESYNCH");
		result = carrier->block(slot, step.block, step.len, step.wtx, &answer);
		if (!t1_next(slot, &step, &result, &answer))
			break;
		result = CCID_OK;
	}
	if (slot->secret) {
		t1_wipe(&slot->t1);
		explicit_bzero(slot->block, sizeof(slot->block));
	}
	if (result != CCID_OK)
		return result;
	*rsp_len = step.rsp_len;
	if (step.action == T1_DONE)
		return CCID_OK;
	if (step.action == T1_TOO_LONG)
		return CCID_OVERRUN;
	log_line(LOG_ERROR, "device %s: slot %u: T=1: %s", device_name(slot->device), slot->number,
		t1_strerror(step.error));
	return CCID_CARD;
}

enum ccid_result exchange_by_t1(struct slot *slot, const struct exchange_carrier *carrier,
	const uint8_t *command, size_t len, uint8_t *response, size_t *rsp_len)
{
	struct t1_step step;
	enum ccid_result result;

	if (len == 0)
		return CCID_LIMIT;
	step = t1_begin(&slot->t1, command, len, response, *rsp_len);
	slot->blocks = true;
	result = run_t1(slot, carrier, step, rsp_len);
	slot->blocks = false;
	return result;
}

void exchange_t1_reset(struct slot *slot, uint8_t ifsc, uint8_t nad)
{
	const struct ccid_class *ccid = &device_interface(slot->device)->ccid;
	struct t1_config config = { .ifsc = ifsc,
		.edc = slot->atr.edc,
		.nad = nad,
		.max_block = ccid->max_message - CCID_MSG_HEADER_SIZE };

	t1_init(&slot->t1, &config);
}

enum ccid_result exchange_t1_start(struct slot *slot, uint8_t ifsc, uint8_t nad)
{
	const struct ccid_class *ccid = &device_interface(slot->device)->ccid;
	size_t overhead = CCID_MSG_HEADER_SIZE + T1_PROLOGUE + edc_size(slot->atr.edc);
	size_t ifsd = ccid->ifsd;
	enum ccid_result result;
	size_t none = 0;

	exchange_t1_reset(slot, ifsc, nad);
	if (ccid->dwFeatures & CCID_FEATURE_AUTO_IFSD)
		return CCID_OK;
	if (ifsd > ccid->max_message - overhead)
		ifsd = ccid->max_message - overhead;
	if (ifsd == ATR_DEFAULT_IFSC)
		return CCID_OK;
	result = run_t1(slot,
		ccid->level == LEVEL_CHARACTER ? exchange_carrier_character()
					       : exchange_carrier_tpdu(),
		t1_ifsd_request(&slot->t1, (uint8_t)ifsd), &none);
	/* A card that refuses still works with blocks of the default size. */
	if (result == CCID_CARD)
		return CCID_OK;
	return result;
}
