/* SPDX-License-Identifier: BSD-3-Clause */
#include "pinpad_exchange.h"

#include <stdlib.h>
#include <string.h>

#include "ifd-ccid/bytes.h"
#include "ifd-ccid/log.h"
#include "ifd-ccid/slot/activate.h"
#include "ifd-ccid/slot/exchange.h"
#include "iso7816/apdu.h"
#include "iso7816/secret.h"
#include "pinpad.h"
#include "spec/part10.h"

enum {
	READER_ENTRY_S = 90, /* for an entry of the reader's own time-out, which hosts don't know */
	SLACK_MS = 10000,    /* until the reader has told that the time is up */
	HEADER = 4,
	PCB_NOT_I = 0x80, /* clear in the PCB of I-blocks (ISO 7816-3 §11.3.2.2) */
	PACE_S = 120,
	SECURE_MAX = 2 * APDU_SHORT_COMMAND,
	/* In the 21 bytes that readers of one vendor give about their PIN pad. */
	TOLD_SIZE = 21,
	TOLD_VALIDATION = 3,
	TOLD_MIN = 13,
	TOLD_MAX = 14,
};

/* One entry under way. */
struct pinpad_run {
	const struct pinpad_entry *entry;
	uint8_t known; /* conditions the reader says it knows */
	bool sent;     /* the reader has got it, so that the user has had his turn */
	uint16_t sw;   /* the reader's own status words, once it has given some */
};

static bool has(const struct slot *slot, uint8_t operation)
{
	const struct ccid_interface *interface = device_interface(slot->device);
	uint8_t support = interface->ccid.bPINSupport;

	/* At character level nobody but the host knows what an APDU is; ICCDs have no Secure. */
	return interface->bulk_in && interface->ccid.level != LEVEL_CHARACTER &&
	       support & operation;
}

bool pinpad_can_verify(const struct slot *slot)
{
	return has(slot, CCID_PIN_VERIFY);
}

bool pinpad_can_modify(const struct slot *slot)
{
	return has(slot, CCID_PIN_MODIFY);
}

bool pinpad_can_pace(const struct slot *slot)
{
	return has(slot, CCID_PIN_PACE_EXECUTE);
}

struct pinpad_told pinpad_ask(struct slot *slot)
{
	const struct quirk_set *quirks = device_quirks(slot->device);
	struct pinpad_told told = { 0 };
	struct ccid_answer answer;

	if (!quirks->has[QUIRK_PIN_FEATURES_ESCAPE] ||
		ccid_escape(slot, quirks->pin_features_escape.bytes,
			quirks->pin_features_escape.len, &answer) != CCID_OK ||
		answer.len < TOLD_SIZE)
		return told;
	told.validation = answer.data[TOLD_VALIDATION] & CCID_PIN_VALID_MASK;
	told.min = answer.data[TOLD_MIN];
	told.max = answer.data[TOLD_MAX];
	return told;
}

static int64_t entry_ms(const struct pinpad_entry *entry)
{
	unsigned seconds = entry->bTimeOut ? entry->bTimeOut : READER_ENTRY_S;

	return (int64_t)1000 * seconds * pinpad_entries(entry) + SLACK_MS;
}

/* Status words for what the reader's user did, from a failed command. 0: something else. */
static uint16_t users_sw(const struct ccid_answer *answer)
{
	switch (answer->bError) {
	case CCID_ERROR_PIN_CANCELLED:
		return PART10_SW_CANCELLED;
	case CCID_ERROR_PIN_TIMEOUT:
		return PART10_SW_TIMEOUT;
	default:
		return 0;
	}
}

/* PC_to_RDR_Secure with the entry under way. CCID_REFUSED only if it was not the user. */
static enum ccid_result secure(
	struct slot *slot, const uint8_t prologue[3], struct ccid_answer *answer)
{
	const struct quirk_set *quirks = device_quirks(slot->device);
	struct pinpad_run *run = slot->entry;
	uint8_t type = PC_to_RDR_Secure;
	uint8_t data[SECURE_MAX];
	size_t max = device_interface(slot->device)->ccid.max_message - CCID_MSG_HEADER_SIZE;
	enum ccid_result result;
	size_t len;

	len = pinpad_build(run->entry, quirks, run->known, prologue, data,
		max < sizeof(data) ? max : sizeof(data));
	if (len == 0)
		return CCID_LIMIT;
	if (quirks->has[QUIRK_PIN_MESSAGE_TYPE])
		type = (uint8_t)quirks->pin_message_type;
	run->sent = true;
	result = ccid_secure(slot, type, data, len, entry_ms(run->entry), answer);
	/* A reader that keeps no time has been called back by now. */
	if (result == CCID_TIMEOUT)
		run->sw = PART10_SW_TIMEOUT;
	if (result == CCID_REFUSED)
		run->sw = users_sw(answer);
	return result;
}

static enum ccid_result secure_apdu(struct slot *slot, uint8_t *response, size_t *rsp_len)
{
	static const uint8_t none[3];
	struct ccid_answer answer;
	enum ccid_result result = secure(slot, none, &answer);

	if (result == CCID_REFUSED && slot->entry->sw == 0)
		return ccid_why_refused(slot, "Secure", &answer);
	return result == CCID_OK ? exchange_copy(slot, &answer, response, rsp_len) : result;
}

/*
 * The carrier of T=1 (see exchange.h): the I-block with the command goes out as PC_to_RDR_Secure,
 * once, since what the card has lost the user would have to enter again; all others as they are.
 */
static enum ccid_result secure_block(struct slot *slot, const uint8_t *block, size_t len,
	unsigned wtx, struct ccid_answer *answer)
{
	struct pinpad_run *run = slot->entry;
	enum ccid_result result;

	if (block[1] & PCB_NOT_I)
		return exchange_carrier_tpdu()->block(slot, block, len, wtx, answer);
	if (run->sent) {
		log_line(LOG_ERROR, "device %s: slot %u: the card has lost the PIN command",
			device_name(slot->device), slot->number);
		return CCID_CARD;
	}
	/* The block has to hold the command whatever the length of the PIN. */
	if (block[2] != run->entry->apdu_len || pinpad_longest(run->entry) > slot->t1.ifsc)
		return CCID_LIMIT;
	result = secure(slot, block, answer);
	if (result == CCID_REFUSED && run->sw)
		return CCID_LIMIT;
	/* Status words without a block around them are the reader's; the card has got nothing. */
	if (result == CCID_OK && answer->len == 2) {
		run->sw = be16(answer->data);
		return CCID_LIMIT;
	}
	return result;
}

static enum ccid_result by_t1(
	struct slot *slot, const struct pinpad_entry *entry, uint8_t *response, size_t *rsp_len)
{
	static const struct exchange_carrier carrier = { .block = secure_block };
	enum ccid_result result;

	result = exchange_by_t1(slot, &carrier, entry->apdu, entry->apdu_len, response, rsp_len);
	if (result == CCID_LIMIT)
		t1_withdraw(&slot->t1);
	return result;
}

/* T=0 has no room for Le behind data (ISO 7816-3 §12.2.4). */
static enum ccid_result by_t0(
	struct slot *slot, struct pinpad_entry *entry, uint8_t *response, size_t *rsp_len)
{
	struct apdu apdu;

	if (apdu_parse(entry->apdu, entry->apdu_len, &apdu) && apdu.kind == APDU_CASE_4S)
		entry->apdu_len--;
	return secure_apdu(slot, response, rsp_len);
}

static enum ccid_result carry(
	struct slot *slot, struct pinpad_entry *entry, uint8_t *response, size_t *rsp_len)
{
	if (device_interface(slot->device)->ccid.level != LEVEL_TPDU)
		return secure_apdu(slot, response, rsp_len);
	switch (slot->protocol) {
	case 0:
		return by_t0(slot, entry, response, rsp_len);
	case 1:
		return by_t1(slot, entry, response, rsp_len);
	default:
		return CCID_PROTOCOL;
	}
}

/* What this reader needs before: an Escape, a key that is still down. */
static enum ccid_result prepare(struct slot *slot, const struct pinpad_entry *entry)
{
	const struct quirk_set *quirks = device_quirks(slot->device);
	struct ccid_answer answer;

	if (quirks->has[QUIRK_PIN_VERIFY_ESCAPE] && !entry->modify && pinpad_grows(entry) &&
		entry->apdu_len == HEADER)
		ccid_escape(slot, quirks->pin_verify_escape.bytes, quirks->pin_verify_escape.len,
			&answer);
	if (!quirks->has[QUIRK_PIN_DELAY])
		return CCID_OK;
	return device_pause(slot->device, slot->number, quirks->pin_delay);
}

static RESPONSECODE answer_sw(uint16_t sw, uint8_t *rx, size_t *rx_len)
{
	if (*rx_len < 2)
		return IFD_ERROR_INSUFFICIENT_BUFFER;
	put_be16(rx, sw);
	*rx_len = 2;
	return IFD_SUCCESS;
}

static RESPONSECODE run_entry(
	struct slot *slot, const struct pinpad_entry *asked, uint8_t *rx, size_t *rx_len)
{
	const struct quirk_set *quirks = device_quirks(slot->device);
	struct pinpad_entry entry = *asked;
	struct pinpad_run run = { .entry = &entry, .known = pinpad_ask(slot).validation };
	uint8_t with_lc[HEADER + 1] = { 0 };
	enum ccid_result result;

	result = prepare(slot, &entry);
	if (quirks->pin_append_lc && entry.apdu_len == HEADER) {
		memcpy(with_lc, entry.apdu, HEADER);
		entry.apdu = with_lc;
		entry.apdu_len = sizeof(with_lc);
	}
	slot->entry = &run;
	if (result == CCID_OK)
		result = carry(slot, &entry, rx, rx_len);
	slot->entry = NULL;
	if (run.sw && result != CCID_OK)
		return answer_sw(run.sw, rx, rx_len);
	if (result == CCID_OVERRUN)
		return IFD_ERROR_INSUFFICIENT_BUFFER;
	return ifd_code(result);
}

static RESPONSECODE enter_pin(struct slot *slot, bool modify, const uint8_t *tx, size_t tx_len,
	uint8_t *rx, size_t *rx_len)
{
	bool extended = device_interface(slot->device)->ccid.level == LEVEL_EXTENDED_APDU;
	struct pinpad_entry entry;
	const char *wrong = pinpad_parse(modify, tx, tx_len, extended, &entry);

	if (wrong) {
		log_line(LOG_ERROR, "device %s: PIN_%s refused: %s", device_name(slot->device),
			modify ? "MODIFY" : "VERIFY", wrong);
		return answer_sw(PART10_SW_BAD_STRUCTURE, rx, rx_len);
	}
	log_line(LOG_INFO, "device %s: slot %u: PIN entry at the reader begins",
		device_name(slot->device), slot->number);
	return run_entry(slot, &entry, rx, rx_len);
}

RESPONSECODE pinpad_verify(
	struct slot *slot, const uint8_t *tx, size_t tx_len, uint8_t *rx, size_t *rx_len)
{
	return enter_pin(slot, false, tx, tx_len, rx, rx_len);
}

RESPONSECODE pinpad_modify(
	struct slot *slot, const uint8_t *tx, size_t tx_len, uint8_t *rx, size_t *rx_len)
{
	return enter_pin(slot, true, tx, tx_len, rx, rx_len);
}

static RESPONSECODE answer_pace(
	uint32_t result, const uint8_t *output, size_t len, uint8_t *rx, size_t *rx_len)
{
	if (len > UINT16_MAX || PART10_PACE_abOutput + len > *rx_len)
		return IFD_ERROR_INSUFFICIENT_BUFFER;
	put_le32(rx + PART10_PACE_dwResult, result);
	put_le16(rx + PART10_PACE_wOutputLength, (uint16_t)len);
	if (len)
		memcpy(rx + PART10_PACE_abOutput, output, len);
	*rx_len = PART10_PACE_abOutput + len;
	return IFD_SUCCESS;
}

/* What became of PC_to_RDR_Secure: the reader's output, or how the user ended it. */
static RESPONSECODE end_pace(struct slot *slot, enum ccid_result result,
	const struct ccid_answer *answer, uint8_t *rx, size_t *rx_len)
{
	if (result == CCID_OK)
		return answer_pace(PART10_PACE_OK, answer->data, answer->len, rx, rx_len);
	if (result != CCID_REFUSED)
		return ifd_code(result);
	switch (users_sw(answer)) {
	case PART10_SW_CANCELLED:
		return answer_pace(PART10_PACE_ABORT, NULL, 0, rx, rx_len);
	case PART10_SW_TIMEOUT:
		return answer_pace(PART10_PACE_TIMEOUT, NULL, 0, rx, rx_len);
	default:
		return ifd_code(ccid_why_refused(slot, "Secure", answer));
	}
}

/* bPINOperation of a bFunction; -1: CCID has none for it. */
static int pace_operation(uint8_t bFunction)
{
	switch (bFunction) {
	case PART10_PACE_GET_CAPABILITIES:
		return CCID_PIN_OPERATION_PACE_CAPABILITIES;
	case PART10_PACE_ESTABLISH_CHANNEL:
		return CCID_PIN_OPERATION_PACE_EXECUTE;
	default:
		return -1;
	}
}

/* The input of PACE may hold a certificate's description, which takes some KiB. */
static RESPONSECODE run_pace(struct slot *slot, uint8_t operation, const uint8_t *input, size_t len,
	uint8_t *rx, size_t *rx_len)
{
	size_t max = device_interface(slot->device)->ccid.max_message - CCID_MSG_HEADER_SIZE;
	struct ccid_answer answer;
	enum ccid_result result;
	uint8_t *data;

	if (1 + len > max)
		return ifd_code(CCID_LIMIT);
	data = malloc(1 + len);
	if (!data)
		return IFD_COMMUNICATION_ERROR;
	data[0] = operation;
	memcpy(data + 1, input, len);
	result =
		ccid_secure(slot, PC_to_RDR_Secure, data, 1 + len, (int64_t)1000 * PACE_S, &answer);
	explicit_bzero(data, 1 + len);
	free(data);
	return end_pace(slot, result, &answer, rx, rx_len);
}

RESPONSECODE pinpad_pace(
	struct slot *slot, const uint8_t *tx, size_t tx_len, uint8_t *rx, size_t *rx_len)
{
	size_t start, end;
	int operation;

	if (tx_len < PART10_PACE_abInput ||
		le16(tx + PART10_PACE_wInputLength) != tx_len - PART10_PACE_abInput)
		return answer_sw(PART10_SW_BAD_STRUCTURE, rx, rx_len);
	slot->secret = secret_span(tx, tx_len, &start, &end);
	operation = pace_operation(tx[PART10_PACE_bFunction]);
	if (operation < 0)
		return IFD_NOT_SUPPORTED;
	return run_pace(slot, (uint8_t)operation, tx + PART10_PACE_abInput,
		tx_len - PART10_PACE_abInput, rx, rx_len);
}
