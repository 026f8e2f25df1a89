/* SPDX-License-Identifier: BSD-3-Clause */
#include "raw_pn532.h"

#include <string.h>

enum {
	TO_CHIP = 0xD4,
	TO_HOST = 0xD5,
	DIAGNOSE = 0x00,
	RF_CONFIGURATION = 0x32,
	IN_DATA_EXCHANGE = 0x40,
	IN_COMMUNICATE_THRU = 0x42,
	IN_LIST_PASSIVE_TARGET = 0x4A,

	DIAGNOSE_ATTENTION = 0x06, /* is the ISO 14443-4 target still there? */
	RF_FIELD = 0x01,
	TARGET = 1,
	BRTY_106_A = 0x00,
	BRTY_FELICA_212 = 0x01,
	BRTY_106_B = 0x03,
	SAK_PART_4 = 0x20,

	ERROR_MASK = 0x3F,
	ERROR_TIMEOUT = 0x01,
	MORE = 0x40,

	WRAPPER = 5,
	PART = 240, /* data of an InDataExchange to the chip; Lc and the chip allow a little more */
	ANSWER = 300, /* longest answer, with D5, code, status, 90 00 */
	TRAILER = 2,
	MAX_PARTS = 1024, /* of a response, before it is taken for endless */
};

/* Runs a command of the chip; *ANSWER points behind the answer's code, valid as long as BUFFER. */
static enum ccid_result run(struct pn532_carrier *carrier, uint8_t code, const uint8_t *data,
	size_t len, uint8_t buffer[ANSWER], const uint8_t **answer, size_t *answer_len)
{
	uint8_t command[WRAPPER + 2 + 1 + PART] = { 0xFF, 0, 0, 0, (uint8_t)(2 + len), TO_CHIP,
		code };
	enum ccid_result result;
	size_t n = ANSWER;

	if (len > sizeof(command) - WRAPPER - 2)
		return CCID_LIMIT;
	memcpy(command + WRAPPER + 2, data, len);
	result = carrier->send(carrier, command, WRAPPER + 2 + len, buffer, &n);
	explicit_bzero(command, sizeof(command));
	if (result != CCID_OK)
		return result;
	if (n < 2 + TRAILER || n > ANSWER || buffer[0] != TO_HOST || buffer[1] != code + 1 ||
		buffer[n - 2] != 0x90 || buffer[n - 1] != 0x00)
		return CCID_GARBLED;
	*answer = buffer + 2;
	*answer_len = n - 2 - TRAILER;
	return CCID_OK;
}

/* The answer of InListPassiveTarget for type A behind NbTg and Tg. */
static bool take_type_a(const uint8_t *p, size_t len, struct picc *picc)
{
	size_t n;
	size_t at;

	if (len < 4 || p[3] > PICC_MAX_UID || p[3] < 4 || len < 4 + (size_t)p[3])
		return false;
	n = p[3];
	picc->kind = p[2] & SAK_PART_4 ? PICC_A4 : PICC_MEMORY;
	picc->sak = p[2];
	picc->uid_len = n;
	memcpy(picc->uid, p + 4, n);
	p += 4 + n;
	len -= 4 + n;
	if (picc->kind != PICC_A4 || len == 0)
		return true;
	/* ATS: TL counts itself; T0 says which of TA, TB, TC follow (ISO 14443-4 §5.2). */
	if (p[0] > len || p[0] == 0)
		return false;
	if (p[0] == 1)
		return true;
	at = 2U + (p[1] >> 4 & 1) + (p[1] >> 5 & 1) + (p[1] >> 6 & 1);
	if (at > p[0])
		return false;
	picc->historical_len = p[0] - at;
	if (picc->historical_len > PICC_MAX_HISTORICAL)
		picc->historical_len = PICC_MAX_HISTORICAL;
	memcpy(picc->historical, p + at, picc->historical_len);
	return true;
}

static bool take_type_b(const uint8_t *p, size_t len, struct picc *picc)
{
	if (len < PICC_ATQB_SIZE)
		return false;
	picc->kind = PICC_B4;
	memcpy(picc->atqb, p, PICC_ATQB_SIZE);
	memcpy(picc->uid, p + 1, 4);
	picc->uid_len = 4;
	if (len > PICC_ATQB_SIZE + 1 && p[PICC_ATQB_SIZE] > 0)
		picc->mbli = p[PICC_ATQB_SIZE + 1] >> 4;
	return true;
}

static bool take_felica(const uint8_t *p, size_t len, struct picc *picc)
{
	/* POL_RES: its length, 01, IDm, PMm. */
	if (len < 10)
		return false;
	picc->kind = PICC_FELICA;
	memcpy(picc->uid, p + 2, 8);
	picc->uid_len = 8;
	return true;
}

static const struct {
	bool (*take)(const uint8_t *bytes, size_t len, struct picc *picc);
	uint8_t request[8];
	size_t len;
} technologies[] = {
	{ take_type_a, { 1, BRTY_106_A }, 2 },
	/* AFI 00: all applications. */
	{ take_type_b, { 1, BRTY_106_B, 0x00 }, 3 },
	/* Polling: any system code, none asked for. */
	{ take_felica, { 1, BRTY_FELICA_212, 0x00, 0xFF, 0xFF, 0x00, 0x00 }, 7 },
};

static enum ccid_result find(void *owner, struct picc *picc)
{
	uint8_t buffer[ANSWER];
	enum ccid_result result;
	const uint8_t *answer;
	size_t len;

	for (size_t i = 0; i < sizeof(technologies) / sizeof(technologies[0]); i++) {
		memset(picc, 0, sizeof(*picc));
		result = run(owner, IN_LIST_PASSIVE_TARGET, technologies[i].request,
			technologies[i].len, buffer, &answer, &len);
		if (result != CCID_OK)
			return result;
		if (len < 2 || answer[0] == 0)
			continue;
		return technologies[i].take(answer + 2, len - 2, picc) ? CCID_OK : CCID_GARBLED;
	}
	return CCID_ABSENT;
}

/* The status byte that begins an answer. */
static enum ccid_result status_of(const uint8_t *answer, size_t len)
{
	if (len == 0)
		return CCID_GARBLED;
	if ((answer[0] & ERROR_MASK) == 0)
		return CCID_OK;
	return (answer[0] & ERROR_MASK) == ERROR_TIMEOUT ? CCID_ABSENT : CCID_CARD;
}

static enum ccid_result check(void *owner)
{
	static const uint8_t test[] = { DIAGNOSE_ATTENTION };
	uint8_t buffer[ANSWER];
	enum ccid_result result;
	const uint8_t *answer;
	size_t len;

	result = run(owner, DIAGNOSE, test, sizeof(test), buffer, &answer, &len);
	return result == CCID_OK ? status_of(answer, len) : result;
}

static enum ccid_result field_off(void *owner)
{
	static const uint8_t off[] = { RF_FIELD, 0x00 };
	uint8_t buffer[ANSWER];
	const uint8_t *answer;
	size_t len;

	return run(owner, RF_CONFIGURATION, off, sizeof(off), buffer, &answer, &len);
}

/* Sends the command in as many parts as it takes; *ANSWER is the first of the response. */
static enum ccid_result send_parts(struct pn532_carrier *carrier, const uint8_t *command,
	size_t len, uint8_t buffer[ANSWER], const uint8_t **answer, size_t *answer_len)
{
	uint8_t part[1 + PART];
	enum ccid_result result;
	size_t at = 0;
	size_t n;

	do {
		n = len - at < PART ? len - at : PART;
		part[0] = at + n < len ? TARGET | MORE : TARGET;
		memcpy(part + 1, command + at, n);
		at += n;
		result = run(carrier, IN_DATA_EXCHANGE, part, 1 + n, buffer, answer, answer_len);
		if (result == CCID_OK)
			result = status_of(*answer, *answer_len);
	} while (result == CCID_OK && at < len);
	explicit_bzero(part, sizeof(part));
	return result;
}

static enum ccid_result apdu(
	void *owner, const uint8_t *command, size_t len, uint8_t *response, size_t *rsp_len)
{
	static const uint8_t go_on[] = { TARGET };
	uint8_t buffer[ANSWER];
	size_t room = *rsp_len;
	const uint8_t *answer;
	size_t total = 0;
	size_t n;
	enum ccid_result result = send_parts(owner, command, len, buffer, &answer, &n);

	for (unsigned parts = 0; result == CCID_OK; parts++) {
		bool more = answer[0] & MORE;

		if (n - 1 && total < room)
			memcpy(response + total, answer + 1,
				n - 1 < room - total ? n - 1 : room - total);
		total += n - 1;
		if (!more)
			break;
		if (parts == MAX_PARTS)
			return CCID_CARD;
		result = run(owner, IN_DATA_EXCHANGE, go_on, sizeof(go_on), buffer, &answer, &n);
		if (result == CCID_OK)
			result = status_of(answer, n);
	}
	explicit_bzero(buffer, sizeof(buffer));
	if (result != CCID_OK)
		return result;
	if (total < 2)
		return CCID_CARD;
	*rsp_len = total;
	return total <= room ? CCID_OK : CCID_OVERRUN;
}

static enum ccid_result send_frame(struct pn532_carrier *carrier, uint8_t code, const uint8_t *data,
	size_t len, uint8_t out[RAW_MAX_FRAME], size_t *out_len)
{
	uint8_t buffer[ANSWER];
	enum ccid_result result;
	const uint8_t *answer;
	size_t n;

	result = run(carrier, code, data, len, buffer, &answer, &n);
	if (result == CCID_OK)
		result = status_of(answer, n);
	if (result != CCID_OK)
		return result;
	if (n - 1 > RAW_MAX_FRAME)
		return CCID_GARBLED;
	memcpy(out, answer + 1, n - 1);
	*out_len = n - 1;
	return CCID_OK;
}

static enum ccid_result frame(void *owner, const uint8_t *bytes, size_t len,
	uint8_t answer[RAW_MAX_FRAME], size_t *answer_len)
{
	uint8_t data[1 + RAW_MAX_FRAME] = { TARGET };
	enum ccid_result result;

	if (len > RAW_MAX_FRAME)
		return CCID_LIMIT;
	memcpy(data + 1, bytes, len);
	result = send_frame(owner, IN_DATA_EXCHANGE, data, 1 + len, answer, answer_len);
	explicit_bzero(data, sizeof(data));
	return result;
}

static enum ccid_result transceive(void *owner, const uint8_t *bytes, size_t len,
	uint8_t answer[RAW_MAX_FRAME], size_t *answer_len)
{
	return send_frame(owner, IN_COMMUNICATE_THRU, bytes, len, answer, answer_len);
}

const struct raw_dialect raw_pn532 = {
	.find = find,
	.check = check,
	.field_off = field_off,
	.apdu = apdu,
	.frame = frame,
	.transceive = transceive,
};
