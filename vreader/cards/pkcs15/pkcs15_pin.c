/* SPDX-License-Identifier: BSD-3-Clause */
/* The two PINs: VERIFY, CHANGE REFERENCE DATA, RESET RETRY COUNTER (ISO 7816-4 §11.5.6 on). */
#include <string.h>

#include "vreader/cards/crypto.h"
#include "vreader/cards/pkcs15/pkcs15_card.h"

enum {
	TRIES = 3,
	REFERENCE_LOCAL = 0x80, /* may be set or not */
};

static const struct pin_kind {
	const char *value; /* names in the state */
	const char *left;
	const char *initial;
} kinds[] = {
	[PKCS15_PIN] = { "pkcs15.pin", "pkcs15.pin.left", "123456" },
	[PKCS15_PUK] = { "pkcs15.puk", "pkcs15.puk.left", "12345678" },
};

static const struct pin_kind *find(uint8_t reference)
{
	reference &= (uint8_t)~REFERENCE_LOCAL;
	return reference == PKCS15_PIN || reference == PKCS15_PUK ? &kinds[reference] : NULL;
}

static bool is_pin(const struct pin_kind *kind)
{
	return kind == &kinds[PKCS15_PIN];
}

static const uint8_t *value_of(const struct pkcs15 *p15, const struct pin_kind *kind, size_t *len)
{
	const uint8_t *value = state_get(p15->state, kind->value, len);

	if (value)
		return value;
	*len = strlen(kind->initial);
	return (const uint8_t *)kind->initial;
}

static uint8_t left_of(const struct pkcs15 *p15, const struct pin_kind *kind)
{
	return state_get_byte(p15->state, kind->left, TRIES);
}

static uint16_t sw_left(uint8_t left)
{
	return left ? (uint16_t)(SW_COUNTER | left) : SW_BLOCKED;
}

/* Compares and counts; the count is kept before the answer leaves. */
static uint16_t try_pin(
	struct pkcs15 *p15, const struct pin_kind *kind, const uint8_t *value, size_t len)
{
	uint8_t left = left_of(p15, kind);
	size_t right_len;
	const uint8_t *right = value_of(p15, kind, &right_len);

	if (left == 0)
		return SW_BLOCKED;
	if (len == right_len && crypto_equal(value, right, len)) {
		state_put_byte(p15->state, kind->left, TRIES);
		return SW_OK;
	}
	state_put_byte(p15->state, kind->left, (uint8_t)(left - 1));
	return sw_left((uint8_t)(left - 1));
}

static bool well_formed(const uint8_t *value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (value[i] < '0' || value[i] > '9')
			return false;
	return len >= PKCS15_PIN_MIN && len <= PKCS15_PIN_MAX;
}

void pkcs15_verify(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct pkcs15 *p15 = (struct pkcs15 *)applet;
	const struct pin_kind *kind = find(cmd->p2);

	if (!kind) {
		ans->sw = SW_NO_SUCH_DATA;
	} else if (cmd->p1 != 0) {
		ans->sw = SW_WRONG_P1P2;
	} else if (cmd->nc == 0) {
		ans->sw = is_pin(kind) && p15->verified ? SW_OK : sw_left(left_of(p15, kind));
	} else {
		ans->sw = try_pin(p15, kind, cmd->data, cmd->nc);
		if (is_pin(kind))
			p15->verified = ans->sw == SW_OK;
	}
}

/* Keeps a new value for target, where the first len bytes of the data are right for guard. */
static void exchange(struct pkcs15 *p15, const struct pin_kind *guard,
	const struct pin_kind *target, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	size_t len;
	uint8_t left;

	value_of(p15, guard, &len);
	left = left_of(p15, guard);
	/* Old and new stand side by side without a mark between: what is too short for the old one
	 * is a wrong old one. */
	if (cmd->nc < len || !well_formed(cmd->data + len, cmd->nc - len)) {
		ans->sw = cmd->nc > len ? SW_WRONG_DATA : SW_WRONG_LENGTH;
		if (left == 0)
			ans->sw = SW_BLOCKED;
		return;
	}
	ans->sw = try_pin(p15, guard, cmd->data, len);
	if (ans->sw != SW_OK)
		return;
	state_put(p15->state, target->value, cmd->data + len, cmd->nc - len);
	state_put_byte(p15->state, target->left, TRIES);
}

void pkcs15_change_reference(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct pkcs15 *p15 = (struct pkcs15 *)applet;
	const struct pin_kind *kind = find(cmd->p2);

	if (!kind) {
		ans->sw = SW_NO_SUCH_DATA;
	} else if (cmd->p1 != 0) {
		ans->sw = SW_WRONG_P1P2;
	} else {
		exchange(p15, kind, kind, cmd, ans);
		if (is_pin(kind))
			p15->verified = ans->sw == SW_OK;
	}
}

void pkcs15_reset_retry(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct pkcs15 *p15 = (struct pkcs15 *)applet;
	const struct pin_kind *kind = find(cmd->p2);

	if (!kind || !is_pin(kind)) {
		ans->sw = SW_NO_SUCH_DATA;
	} else if (cmd->p1 != 0) {
		ans->sw = SW_WRONG_P1P2;
	} else {
		exchange(p15, &kinds[PKCS15_PUK], kind, cmd, ans);
		p15->verified = false;
	}
}
