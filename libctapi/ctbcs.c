/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CT-BCS (MKT 1.0, part 4): the basic commands of a card terminal, done by way of PC/SC. The terminal
 * has one card slot, and neither display nor key pad of its own.
 */
#include <string.h>

#include "iso7816/atr.h"
#include "libctapi/terminal.h"

#define MS_PER_S ((DWORD)1000)

enum {
	CLA_CTBCS = 0x20,
	INS_RESET = 0x11,
	INS_REQUEST = 0x12,
	INS_STATUS = 0x13,
	INS_EJECT = 0x15,

	UNIT_CT = 0x00,
	UNIT_ICC1 = 0x01,

	GIVE_NOTHING = 0x00,
	GIVE_ATR = 0x01,
	GIVE_HISTORICAL = 0x02,
	GIVE_MASK = 0x0F,

	TAG_MANUFACTURER = 0x46,
	TAG_ICC_STATUS = 0x80,
	TAG_UNITS = 0x81,
	TAG_WAIT = 0x80, /* seconds, one byte */

	ICC_NONE = 0x00,
	ICC_PRESENT = 0x03,
	ICC_ACTIVE = 0x05,

	SW_DONE = 0x9000,
	SW_ASYNCHRONOUS = 0x9001,
	SW_REMOVED = 0x9001,
	SW_NO_CARD = 0x6200,
	SW_NOT_RESET = 0x6400,
	SW_BAD_LENGTH = 0x6700,
	SW_BAD_PARAMETERS = 0x6A00,
	SW_BAD_INS = 0x6D00,
	SW_BAD_CLA = 0x6E00,
};

/* What it is asked, and what it says: data in out, SW returned. */
struct order {
	struct terminal *t;
	uint8_t p1;
	uint8_t p2;
	const uint8_t *data;
	size_t nc;
	uint8_t *out;
	size_t len;
};

static void put(struct order *o, const uint8_t *bytes, size_t len)
{
	if (len)
		memcpy(o->out + o->len, bytes, len);
	o->len += len;
}

static void put_text(struct order *o, uint8_t tag, const char *text)
{
	const uint8_t head[] = { tag, (uint8_t)strlen(text) };

	put(o, head, sizeof(head));
	put(o, (const uint8_t *)text, head[1]);
}

/* The time to wait for the card, ms; a byte of seconds, alone or as a data object. */
static DWORD wait_ms(const struct order *o)
{
	if (o->nc == 1)
		return o->data[0] * MS_PER_S;
	for (size_t i = 0; i + 2 < o->nc; i += 2 + (size_t)o->data[i + 1])
		if (o->data[i] == TAG_WAIT && o->data[i + 1] == 1)
			return o->data[i + 2] * MS_PER_S;
	return 0;
}

static uint16_t give_atr(struct order *o)
{
	struct atr atr;

	switch (o->p2 & GIVE_MASK) {
	case GIVE_NOTHING:
		break;
	case GIVE_ATR:
		put(o, o->t->atr, o->t->atr_len);
		break;
	case GIVE_HISTORICAL:
		if (atr_usable(atr_parse(o->t->atr, o->t->atr_len, &atr)))
			put(o, atr.raw + atr.historical_at, atr.historical_len);
		break;
	default:
		return SW_BAD_PARAMETERS;
	}
	return SW_ASYNCHRONOUS;
}

static uint16_t reset(struct order *o)
{
	if (o->p1 == UNIT_CT) {
		terminal_deactivate(o->t);
		return SW_DONE;
	}
	return terminal_activate(o->t, 0) ? give_atr(o) : SW_NOT_RESET;
}

static uint16_t request(struct order *o)
{
	if (o->p1 != UNIT_ICC1)
		return SW_BAD_PARAMETERS;
	if (terminal_activate(o->t, wait_ms(o)))
		return give_atr(o);
	return terminal_present(o->t) ? SW_NOT_RESET : SW_NO_CARD;
}

static uint16_t status(struct order *o)
{
	uint8_t icc[] = { TAG_ICC_STATUS, 1, ICC_NONE };
	const uint8_t units[] = { TAG_UNITS, 1, UNIT_ICC1 };

	switch (o->p2) {
	case TAG_MANUFACTURER:
		/* Country and maker, type of terminal, version: five letters each. */
		put_text(o, TAG_MANUFACTURER, "XXCWRPC/SC00100");
		return SW_DONE;
	case TAG_ICC_STATUS:
		if (terminal_present(o->t))
			icc[2] = o->t->connected ? ICC_ACTIVE : ICC_PRESENT;
		put(o, icc, sizeof(icc));
		return SW_DONE;
	case TAG_UNITS:
		put(o, units, sizeof(units));
		return SW_DONE;
	default:
		return SW_BAD_PARAMETERS;
	}
}

static uint16_t eject(struct order *o)
{
	DWORD wait = wait_ms(o);

	if (o->p1 != UNIT_ICC1)
		return SW_BAD_PARAMETERS;
	if (terminal_eject(o->t, wait))
		return SW_REMOVED;
	return wait ? SW_NO_CARD : SW_DONE;
}

static const struct {
	uint8_t ins;
	uint16_t (*run)(struct order *o);
} orders[] = {
	{ INS_RESET, reset },
	{ INS_REQUEST, request },
	{ INS_STATUS, status },
	{ INS_EJECT, eject },
};

/* Lc and Le, each of one byte, may be there or not. */
static uint16_t run(struct order *o, const uint8_t *command, size_t len)
{
	if (len < 4)
		return SW_BAD_LENGTH;
	if (len > 5) {
		o->nc = command[4];
		o->data = command + 5;
		if (len != 5 + o->nc && len != 6 + o->nc)
			return SW_BAD_LENGTH;
	}
	if (command[0] != CLA_CTBCS)
		return SW_BAD_CLA;
	o->p1 = command[2];
	o->p2 = command[3];
	if (o->p1 != UNIT_CT && o->p1 != UNIT_ICC1)
		return SW_BAD_PARAMETERS;
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
		if (orders[i].ins == command[1])
			return orders[i].run(o);
	return SW_BAD_INS;
}

size_t ctbcs_run(struct terminal *t, const uint8_t *command, size_t len,
	uint8_t response[CTBCS_RESPONSE_MAX])
{
	struct order o = { .t = t, .out = response };
	uint16_t sw = run(&o, command, len);

	response[o.len] = (uint8_t)(sw >> 8);
	response[o.len + 1] = (uint8_t)sw;
	return o.len + 2;
}
