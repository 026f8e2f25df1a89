/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/firmware/pn532.h"

#include <string.h>

enum {
	TO_CHIP = 0xD4,
	TO_HOST = 0xD5,

	DIAGNOSE = 0x00,
	GET_FIRMWARE_VERSION = 0x02,
	RF_CONFIGURATION = 0x32,
	IN_DATA_EXCHANGE = 0x40,
	IN_COMMUNICATE_THRU = 0x42,
	IN_DESELECT = 0x44,
	IN_LIST_PASSIVE_TARGET = 0x4A,
	IN_RELEASE = 0x52,
	IN_SELECT = 0x54,

	/* Error codes, table 10. */
	OK = 0x00,
	TIMEOUT = 0x01,
	AUTHENTICATION = 0x14,
	WRONG_CONTEXT = 0x27,

	MORE = 0x40, /* in Tg and in the status: more data follow */

	DIAGNOSE_PRESENCE = 0x06,
	RF_FIELD = 0x01,
	BRTY_106_A = 0x00,
	BRTY_106_B = 0x03,
};

struct order {
	struct pn532 *chip;
	struct tag *tag;
	const uint8_t *data; /* behind the command code */
	size_t len;
	uint8_t *out; /* behind the answer's code */
	uint32_t *delay_ms;
};

/* Returns the length of the data behind the answer's code. */
typedef size_t order_fn(struct order *o);

void pn532_reset(struct pn532 *chip)
{
	chip->listed = false;
	chip->command_len = 0;
	chip->rest_len = 0;
}

static size_t status(struct order *o, uint8_t code)
{
	if (code != OK)
		pn532_reset(o->chip);
	o->out[0] = code;
	return 1;
}

static size_t firmware(struct order *o)
{
	/* IC, version, revision, what it can do: types A and B and ISO 18092. */
	static const uint8_t version[] = { 0x32, 0x01, 0x06, 0x07 };

	memcpy(o->out, version, sizeof(version));
	return sizeof(version);
}

static size_t configure(struct order *o)
{
	if (o->len == 2 && o->data[0] == RF_FIELD && !(o->data[1] & 1)) {
		pn532_reset(o->chip);
		if (o->tag)
			tag_reset(o->tag);
	}
	return 0;
}

static size_t put_type_a(const struct tag_identity *identity, uint8_t *out)
{
	size_t n = 0;

	/* SENS_RES stands here with its high byte first. */
	out[n++] = identity->atqa[1];
	out[n++] = identity->atqa[0];
	out[n++] = identity->sak;
	out[n++] = (uint8_t)identity->uid_len;
	memcpy(out + n, identity->uid, identity->uid_len);
	n += identity->uid_len;
	if (identity->kind != TAG_A)
		return n;
	/* ATS: TL, T0 that announces TA, TB and TC, historical bytes (ISO 14443-4 §5.2). */
	out[n++] = (uint8_t)(5 + identity->historical_len);
	out[n++] = 0x78;
	out[n++] = 0x80;
	out[n++] = 0x70;
	out[n++] = 0x02;
	memcpy(out + n, identity->historical, identity->historical_len);
	return n + identity->historical_len;
}

static size_t list(struct order *o)
{
	uint8_t baud = o->len >= 2 ? o->data[1] : 0xFF;
	bool b = o->tag && tag_identity(o->tag)->kind == TAG_B;
	size_t n = 2;

	pn532_reset(o->chip);
	o->out[0] = 0;
	if (!o->tag || baud != (b ? BRTY_106_B : BRTY_106_A))
		return 1;
	tag_reset(o->tag);
	o->chip->listed = true;
	o->out[0] = 1;
	o->out[1] = 1;
	if (!b)
		return n + put_type_a(tag_identity(o->tag), o->out + n);
	memcpy(o->out + n, tag_identity(o->tag)->atqb, TAG_ATQB_SIZE);
	n += TAG_ATQB_SIZE;
	o->out[n++] = 1;
	o->out[n++] = (uint8_t)(tag_identity(o->tag)->mbli << 4);
	return n;
}

/* Is the target still there? Asked with an empty block of ISO 14443-4. */
static size_t diagnose(struct order *o)
{
	if (o->len != 1 || o->data[0] != DIAGNOSE_PRESENCE)
		return status(o, WRONG_CONTEXT);
	if (!o->chip->listed || !tag_has_apdus(o->tag))
		return status(o, o->chip->listed ? WRONG_CONTEXT : TIMEOUT);
	return status(o, OK);
}

static size_t give_part(struct order *o)
{
	struct pn532 *chip = o->chip;
	size_t n = chip->rest_len < PN532_DATA_MAX ? chip->rest_len : PN532_DATA_MAX;

	o->out[0] = n < chip->rest_len ? MORE : OK;
	memcpy(o->out + 1, chip->rest, n);
	chip->rest += n;
	chip->rest_len -= n;
	return 1 + n;
}

static size_t exchange_apdu(struct order *o, bool more)
{
	struct pn532 *chip = o->chip;
	const struct card_response *rsp;
	size_t n = o->len - 1;

	if (n == 0 && chip->rest_len)
		return give_part(o);
	if (n > sizeof(chip->command) - chip->command_len)
		return status(o, WRONG_CONTEXT);
	memcpy(chip->command + chip->command_len, o->data + 1, n);
	chip->command_len += n;
	if (more)
		return status(o, OK);
	rsp = tag_exchange(o->tag, chip->command, chip->command_len);
	chip->command_len = 0;
	*o->delay_ms = rsp->delay_ms;
	if (rsp->mute)
		return status(o, TIMEOUT);
	chip->rest = rsp->data;
	chip->rest_len = rsp->len;
	return give_part(o);
}

static size_t exchange_frame(struct order *o)
{
	uint8_t frame[TAG_FRAME_MAX];
	int n = tag_frame(o->tag, o->data + 1, o->len - 1, frame);

	if (n < 0)
		return status(o, o->len > 1 && o->data[1] >> 4 == 6 ? AUTHENTICATION : TIMEOUT);
	memcpy(o->out + 1, frame, (size_t)n);
	o->out[0] = OK;
	return 1 + (size_t)n;
}

static size_t data_exchange(struct order *o)
{
	if (o->len < 1 || (o->data[0] & ~MORE) != 1 || !o->chip->listed)
		return status(o, o->tag && !o->chip->listed ? WRONG_CONTEXT : TIMEOUT);
	if (tag_has_apdus(o->tag))
		return exchange_apdu(o, o->data[0] & MORE);
	return exchange_frame(o);
}

/* Frames as they are. Of the tags here, memory tags take those that need no key. */
static size_t communicate(struct order *o)
{
	uint8_t frame[TAG_FRAME_MAX];
	int n = -1;

	if (o->chip->listed && !tag_has_apdus(o->tag))
		n = tag_frame(o->tag, o->data, o->len, frame);
	if (n < 0)
		return status(o, TIMEOUT);
	memcpy(o->out + 1, frame, (size_t)n);
	o->out[0] = OK;
	return 1 + (size_t)n;
}

static size_t release(struct order *o)
{
	pn532_reset(o->chip);
	return status(o, OK);
}

static size_t select_target(struct order *o)
{
	return status(o, o->chip->listed ? OK : WRONG_CONTEXT);
}

static const struct {
	uint8_t code;
	order_fn *run;
} orders[] = {
	{ DIAGNOSE, diagnose },
	{ GET_FIRMWARE_VERSION, firmware },
	{ RF_CONFIGURATION, configure },
	{ IN_DATA_EXCHANGE, data_exchange },
	{ IN_COMMUNICATE_THRU, communicate },
	{ IN_DESELECT, release },
	{ IN_LIST_PASSIVE_TARGET, list },
	{ IN_RELEASE, release },
	{ IN_SELECT, select_target },
};

size_t pn532_command(struct pn532 *chip, struct tag *tag, const uint8_t *command, size_t len,
	uint8_t out[PN532_ANSWER_MAX], uint32_t *delay_ms)
{
	struct order o = { .chip = chip, .tag = tag, .out = out + 2, .delay_ms = delay_ms };

	*delay_ms = 0;
	if (len < 2 || command[0] != TO_CHIP)
		return 0;
	o.data = command + 2;
	o.len = len - 2;
	if (!tag)
		pn532_reset(chip);
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		if (orders[i].code == command[1]) {
			out[0] = TO_HOST;
			out[1] = (uint8_t)(command[1] + 1);
			return 2 + orders[i].run(&o);
		}
	}
	return 0;
}
