/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/cards/pin_oracle.h"

#include <stdlib.h>
#include <string.h>

#include "vreader/bytes.h"

enum {
	INS_VERIFY = 0x20,
	INS_CHANGE = 0x24,
	INS_RESET_COUNTER = 0x2C,
	INS_EXPECT = 0xD0,
	INS_LAST = 0xD2,
	PINS_MAX = 2,
	DATA_MAX = 512,
	HEADER = 4,
	PIN_FIXED = 8, /* bytes of a PIN's description before its digits */
};

enum {
	WRONG_SIZE = SW_COUNTER | 1,
	WRONG_DIGIT = SW_COUNTER | 2,
	WRONG_LENGTH_FIELD = SW_COUNTER | 3,
	WRONG_REST = SW_COUNTER | 4,
	WRONG_HEADER = SW_COUNTER | 5,
};

struct expected_pin {
	size_t at; /* bits */
	size_t width;
	uint8_t base;
	size_t length_at;
	size_t length_bits;
	size_t count;
	uint8_t digits[UINT8_MAX];
};

struct oracle {
	struct card_app app;
	bool expecting;
	uint8_t header[HEADER];
	size_t pin_count;
	struct expected_pin pins[PINS_MAX];
	uint8_t rest[DATA_MAX];
	size_t len;
	uint16_t seen;
	uint32_t hash;
};

static void oracle_reset(struct card_app *app)
{
	struct oracle *o = (struct oracle *)app;

	o->expecting = false;
	o->seen = 0;
}

static bool oracle_takes_data(const struct card_app *app, uint8_t cla, uint8_t ins)
{
	(void)app;
	(void)cla;
	return ins != INS_LAST;
}

static unsigned bits(const uint8_t *data, size_t at, size_t width)
{
	unsigned value = 0;

	for (size_t i = at; i < at + width; i++)
		value = value << 1 | ((unsigned)data[i / 8] >> (7 - i % 8) & 1U);
	return value;
}

/* The next PIN of a description; the number of its bytes, 0 when it is malformed. */
static size_t read_pin(struct expected_pin *pin, const uint8_t *d, size_t len)
{
	if (len < PIN_FIXED || len < PIN_FIXED + (size_t)d[7])
		return 0;
	*pin = (struct expected_pin){ .at = get_be16(d),
		.width = d[2],
		.base = d[3],
		.length_at = get_be16(d + 4),
		.length_bits = d[6],
		.count = d[7] };
	memcpy(pin->digits, d + PIN_FIXED, pin->count);
	return PIN_FIXED + pin->count;
}

/* Everything lies within the data. */
static bool fits(const struct expected_pin *pin, size_t len)
{
	return pin->at + pin->count * pin->width <= 8 * len && pin->width <= 8 &&
	       pin->length_bits <= 16 && pin->length_at + pin->length_bits <= 8 * len;
}

static uint16_t expect(struct oracle *o, const uint8_t *d, size_t len)
{
	size_t at = HEADER + 1, n;

	o->expecting = false;
	if (len == 0)
		return SW_OK;
	if (len < at || d[HEADER] > PINS_MAX)
		return SW_WRONG_DATA;
	memcpy(o->header, d, HEADER);
	o->pin_count = d[HEADER];
	for (size_t i = 0; i < o->pin_count; i++, at += n) {
		n = read_pin(&o->pins[i], d + at, len - at);
		if (n == 0)
			return SW_WRONG_DATA;
	}
	o->len = len - at;
	if (o->len > sizeof(o->rest))
		return SW_WRONG_DATA;
	memcpy(o->rest, d + at, o->len);
	for (size_t i = 0; i < o->pin_count; i++)
		if (!fits(&o->pins[i], o->len))
			return SW_WRONG_DATA;
	o->expecting = true;
	return SW_OK;
}

static uint16_t judge_pin(const struct expected_pin *pin, const uint8_t *data)
{
	for (size_t i = 0; i < pin->count; i++)
		if (bits(data, pin->at + i * pin->width, pin->width) !=
			(unsigned)(pin->base | pin->digits[i]))
			return WRONG_DIGIT;
	if (pin->length_bits && bits(data, pin->length_at, pin->length_bits) != pin->count)
		return WRONG_LENGTH_FIELD;
	return SW_OK;
}

static bool belongs_to_pin(const struct oracle *o, size_t bit)
{
	for (size_t i = 0; i < o->pin_count; i++) {
		const struct expected_pin *p = &o->pins[i];

		if ((bit >= p->at && bit < p->at + p->count * p->width) ||
			(bit >= p->length_at && bit < p->length_at + p->length_bits))
			return true;
	}
	return false;
}

static uint16_t judge(const struct oracle *o, const struct apdu_command *cmd)
{
	const uint8_t header[HEADER] = { cmd->cla, cmd->ins, cmd->p1, cmd->p2 };

	if (!o->expecting)
		return SW_OK;
	if (memcmp(header, o->header, HEADER) != 0)
		return WRONG_HEADER;
	if (cmd->nc != o->len)
		return WRONG_SIZE;
	for (size_t i = 0; i < o->pin_count; i++) {
		uint16_t sw = judge_pin(&o->pins[i], cmd->data);

		if (sw != SW_OK)
			return sw;
	}
	for (size_t bit = 0; bit < 8 * o->len; bit++)
		if (!belongs_to_pin(o, bit) && bits(cmd->data, bit, 1) != bits(o->rest, bit, 1))
			return WRONG_REST;
	return SW_OK;
}

static void remember(struct oracle *o, const struct apdu_command *cmd)
{
	o->seen++;
	o->hash = 0x811C9DC5;
	for (size_t i = 0; i < cmd->nc; i++)
		o->hash = (o->hash ^ cmd->data[i]) * 0x01000193;
}

static void oracle_process(
	struct card_app *app, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct oracle *o = (struct oracle *)app;

	switch (cmd->ins) {
	case INS_EXPECT:
		ans->sw = expect(o, cmd->data, cmd->nc);
		break;
	case INS_VERIFY:
	case INS_CHANGE:
	case INS_RESET_COUNTER:
		remember(o, cmd);
		ans->sw = judge(o, cmd);
		break;
	case INS_LAST:
		put_be16(ans->data, o->seen);
		put_be32(ans->data + 2, o->hash);
		ans->len = 6;
		ans->sw = SW_OK;
		break;
	default:
		ans->sw = SW_INS_NOT_SUPPORTED;
	}
}

static void oracle_free(struct card_app *app)
{
	free(app);
}

static const struct card_app_ops oracle_ops = {
	.name = "pin-oracle",
	.reset = oracle_reset,
	.takes_data = oracle_takes_data,
	.process = oracle_process,
	.free = oracle_free,
};

struct card_app *pin_oracle_new(void)
{
	struct oracle *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->app.ops = &oracle_ops;
	return &o->app;
}
