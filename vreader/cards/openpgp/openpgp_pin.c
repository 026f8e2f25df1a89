/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "vreader/cards/openpgp/openpgp_parts.h"

enum pin {
	PW1,
	PW3,
	CODE, /* the resetting code */
	PINS,
};

static const struct {
	const char *value;
	const char *tries;
	const char *factory; /* NULL: there is none */
	size_t min;
} pins[PINS] = {
	[PW1] = { "openpgp.pw1", "openpgp.pw1.tries", "123456", 6 },
	[PW3] = { "openpgp.pw3", "openpgp.pw3.tries", "12345678", 8 },
	[CODE] = { "openpgp.code", "openpgp.code.tries", NULL, 8 },
};

struct bytes {
	const uint8_t *data;
	size_t len;
};

static struct bytes value_of(const struct openpgp *o, enum pin pin)
{
	struct bytes b;

	b.data = state_get(o->state, pins[pin].value, &b.len);
	if (!b.data && pins[pin].factory) {
		b.data = (const uint8_t *)pins[pin].factory;
		b.len = strlen(pins[pin].factory);
	}
	return b;
}

static uint8_t tries_of(const struct openpgp *o, enum pin pin)
{
	if (!value_of(o, pin).len)
		return 0;
	return state_get_byte(o->state, pins[pin].tries, PGP_TRIES);
}

static void set_pin(struct openpgp *o, enum pin pin, const uint8_t *data, size_t len)
{
	state_put(o->state, pins[pin].value, data, len);
	state_put_byte(o->state, pins[pin].tries, PGP_TRIES);
}

static bool good_length(enum pin pin, size_t len)
{
	return len >= pins[pin].min && len <= PGP_PIN_MAX;
}

/* Compares with the password, and counts. */
static uint16_t try_pin(struct openpgp *o, enum pin pin, const uint8_t *data, size_t len)
{
	struct bytes right = value_of(o, pin);
	uint8_t tries = tries_of(o, pin);

	if (tries == 0)
		return SW_BLOCKED;
	if (len == right.len && crypto_equal(data, right.data, len)) {
		if (tries != PGP_TRIES)
			state_put_byte(o->state, pins[pin].tries, PGP_TRIES);
		return SW_OK;
	}
	state_put_byte(o->state, pins[pin].tries, (uint8_t)(tries - 1));
	return SW_SECURITY_STATUS;
}

/* P2 of VERIFY: the password, and what it shows. False: there is no such one. */
static bool reference(uint8_t p2, enum pin *pin, unsigned *access)
{
	static const unsigned by_p2[] = { PGP_PW1_SIGN, PGP_PW1_OTHER, PGP_PW3 };

	if (p2 < 0x81 || p2 > 0x83)
		return false;
	*pin = p2 == 0x83 ? PW3 : PW1;
	*access = by_p2[p2 - 0x81];
	return true;
}

void pgp_verify(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct openpgp *o = (struct openpgp *)applet;
	unsigned access;
	enum pin pin;

	if (!reference(cmd->p2, &pin, &access) || (cmd->p1 != 0x00 && cmd->p1 != 0xFF)) {
		ans->sw = SW_WRONG_P1P2;
	} else if (cmd->p1 == 0xFF) {
		ans->sw = cmd->nc ? SW_WRONG_LENGTH : SW_OK;
		if (cmd->nc == 0)
			o->verified &= ~access;
	} else if (cmd->nc == 0) {
		ans->sw = o->verified & access ? SW_OK : (uint16_t)(SW_COUNTER | tries_of(o, pin));
	} else {
		o->verified &= ~access;
		ans->sw = try_pin(o, pin, cmd->data, cmd->nc);
		if (ans->sw == SW_OK)
			o->verified |= access;
	}
}

/* The old password ends where its length says. */
void pgp_change_pin(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct openpgp *o = (struct openpgp *)applet;
	struct bytes old;
	unsigned access;
	enum pin pin;

	if (!reference(cmd->p2, &pin, &access) || cmd->p2 == 0x82 || cmd->p1) {
		ans->sw = SW_WRONG_P1P2;
		return;
	}
	old = value_of(o, pin);
	ans->sw = try_pin(o, pin, cmd->data, cmd->nc < old.len ? cmd->nc : old.len);
	if (ans->sw != SW_OK)
		return;
	if (good_length(pin, cmd->nc - old.len))
		set_pin(o, pin, cmd->data + old.len, cmd->nc - old.len);
	else
		ans->sw = SW_WRONG_DATA;
}

/* P1 02: PW3 has been verified; 00: the resetting code comes before the new PW1. */
void pgp_reset_pin(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct openpgp *o = (struct openpgp *)applet;
	size_t code_len = cmd->p1 == 0x00 ? value_of(o, CODE).len : 0;

	if (cmd->p2 != 0x81 || (cmd->p1 != 0x00 && cmd->p1 != 0x02)) {
		ans->sw = SW_WRONG_P1P2;
		return;
	}
	if (cmd->p1 == 0x02)
		ans->sw = pgp_allowed(o, PGP_PW3) ? SW_OK : SW_SECURITY_STATUS;
	else
		ans->sw = try_pin(o, CODE, cmd->data, cmd->nc < code_len ? cmd->nc : code_len);
	if (ans->sw != SW_OK)
		return;
	if (good_length(PW1, cmd->nc - code_len))
		set_pin(o, PW1, cmd->data + code_len, cmd->nc - code_len);
	else
		ans->sw = SW_WRONG_DATA;
}

void pgp_pin_status(const struct openpgp *o, struct ber_out *out)
{
	const uint8_t status[] = { state_get_byte(o->state, "openpgp.several", 0), PGP_PIN_MAX,
		PGP_PIN_MAX, PGP_PIN_MAX, tries_of(o, PW1), tries_of(o, CODE), tries_of(o, PW3) };

	ber_put_raw(out, status, sizeof(status));
}

uint16_t pgp_pin_put_status(struct openpgp *o, const uint8_t *data, size_t len)
{
	if (len < 1 || data[0] > 1)
		return SW_WRONG_DATA;
	state_put_byte(o->state, "openpgp.several", data[0]);
	return SW_OK;
}

uint16_t pgp_pin_put_code(struct openpgp *o, const uint8_t *data, size_t len)
{
	if (len && !good_length(CODE, len))
		return SW_WRONG_DATA;
	set_pin(o, CODE, data, len);
	return SW_OK;
}

/* 81: algorithm, 00 none, 03 iterated and salted; 87, 88: what the first PW1 and PW3 become. */
uint16_t pgp_pin_put_kdf(struct openpgp *o, const uint8_t *data, size_t len)
{
	struct ber_item algorithm, pw1, pw3;

	if (!ber_find(data, len, 0x81, &algorithm) || algorithm.len != 1)
		return SW_WRONG_DATA;
	if (algorithm.value[0] == 0x00) {
		for (int pin = PW1; pin <= PW3; pin++)
			set_pin(o, (enum pin)pin, (const uint8_t *)pins[pin].factory,
				strlen(pins[pin].factory));
	} else if (algorithm.value[0] == 0x03) {
		if (ber_find(data, len, 0x87, &pw1) && good_length(PW1, pw1.len))
			set_pin(o, PW1, pw1.value, pw1.len);
		if (ber_find(data, len, 0x88, &pw3) && good_length(PW3, pw3.len))
			set_pin(o, PW3, pw3.value, pw3.len);
	} else {
		return SW_WRONG_DATA;
	}
	state_put(o->state, "openpgp.00F9", data, len);
	return SW_OK;
}

bool pgp_pin_blocked(const struct openpgp *o)
{
	return tries_of(o, PW3) == 0;
}
