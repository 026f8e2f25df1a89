/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may do what: the PIN, the PUK that unblocks it, and the management key (SP 800-73-4 part 2
 * §3.2).
 */
#include <string.h>

#include "vreader/cards/piv/piv_card.h"

enum {
	P1_FORGET = 0xFF, /* VERIFY: back to "not verified" */
	TAG_WITNESS = 0x80,
	TAG_CHALLENGE = 0x81,
	TAG_RESPONSE = 0x82,
};

static const struct secret_kind {
	uint8_t reference;
	const char *value; /* names in the state */
	const char *tries;
	const char *left;
	uint8_t initial[PIV_PIN_LEN];
} kinds[] = {
	{ PIV_REF_PIN, "piv.pin", "piv.pin.tries", "piv.pin.left",
		{ '1', '2', '3', '4', '5', '6', 0xFF, 0xFF } },
	{ PIV_REF_PUK, "piv.puk", "piv.puk.tries", "piv.puk.left",
		{ '1', '2', '3', '4', '5', '6', '7', '8' } },
};

static const uint8_t management_initial[24] = { 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1,
	2, 3, 4, 5, 6, 7, 8 };

/* --- PIN and PUK ------------------------------------------------------------------------------ */

static const struct secret_kind *kind_of(uint8_t reference)
{
	return &kinds[reference == PIV_REF_PIN ? 0 : 1];
}

void piv_secret_get(const struct piv *piv, uint8_t reference, struct piv_secret *secret)
{
	const struct secret_kind *kind = kind_of(reference);
	size_t len = 0;
	const uint8_t *value = state_get(piv->state, kind->value, &len);

	memcpy(secret->value, value && len == PIV_PIN_LEN ? value : kind->initial, PIV_PIN_LEN);
	secret->tries = state_get_byte(piv->state, kind->tries, PIV_TRIES);
	secret->left = state_get_byte(piv->state, kind->left, secret->tries);
}

void piv_secret_reset(struct piv *piv, uint8_t reference, uint8_t tries)
{
	const struct secret_kind *kind = kind_of(reference);

	state_delete(piv->state, kind->value);
	state_put_byte(piv->state, kind->tries, tries);
	state_put_byte(piv->state, kind->left, tries);
}

bool piv_secret_is_default(const struct piv_secret *secret, uint8_t reference)
{
	return memcmp(secret->value, kind_of(reference)->initial, PIV_PIN_LEN) == 0;
}

static uint16_t sw_left(uint8_t left)
{
	return left ? (uint16_t)(SW_COUNTER | left) : SW_BLOCKED;
}

/* Compares and counts. The answer leaves after the count is kept. */
static uint16_t try_secret(struct piv *piv, uint8_t reference, const uint8_t *value)
{
	const struct secret_kind *kind = kind_of(reference);
	struct piv_secret secret;
	uint8_t left;
	bool right;

	piv_secret_get(piv, reference, &secret);
	if (secret.left == 0)
		return SW_BLOCKED;
	right = crypto_equal(secret.value, value, PIV_PIN_LEN);
	left = right ? secret.tries : (uint8_t)(secret.left - 1);
	if (left != secret.left)
		state_put_byte(piv->state, kind->left, left);
	return right ? SW_OK : sw_left(left);
}

static void replace(struct piv *piv, uint8_t reference, const uint8_t *value)
{
	const struct secret_kind *kind = kind_of(reference);

	state_put(piv->state, kind->value, value, PIV_PIN_LEN);
	state_put_byte(piv->state, kind->left, state_get_byte(piv->state, kind->tries, PIV_TRIES));
}

/* Six to eight digits, padded with FF (SP 800-73-4 part 2 §2.4.3). */
static bool pin_well_formed(const uint8_t *value)
{
	size_t n = 0;

	while (n < PIV_PIN_LEN && value[n] >= '0' && value[n] <= '9')
		n++;
	if (n < 6)
		return false;
	while (n < PIV_PIN_LEN && value[n] == 0xFF)
		n++;
	return n == PIV_PIN_LEN;
}

static void set_verified(struct piv *piv, bool verified)
{
	piv->pin_verified = piv->pin_fresh = verified;
}

void piv_verify(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct piv *piv = (struct piv *)applet;
	struct piv_secret secret;

	if (cmd->p2 != PIV_REF_PIN) {
		ans->sw = SW_NO_SUCH_DATA;
	} else if (cmd->p1 == P1_FORGET && cmd->nc == 0) {
		set_verified(piv, false);
		ans->sw = SW_OK;
	} else if (cmd->p1 != 0) {
		ans->sw = SW_WRONG_P1P2;
	} else if (cmd->nc == 0) {
		piv_secret_get(piv, PIV_REF_PIN, &secret);
		ans->sw = piv->pin_verified ? SW_OK : sw_left(secret.left);
	} else if (cmd->nc != PIV_PIN_LEN) {
		ans->sw = SW_WRONG_DATA;
	} else {
		ans->sw = try_secret(piv, PIV_REF_PIN, cmd->data);
		set_verified(piv, ans->sw == SW_OK);
	}
}

void piv_change_reference(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct piv *piv = (struct piv *)applet;
	const uint8_t *fresh = cmd->nc > PIV_PIN_LEN ? cmd->data + PIV_PIN_LEN : NULL;

	if (cmd->p2 != PIV_REF_PIN && cmd->p2 != PIV_REF_PUK) {
		ans->sw = SW_NO_SUCH_DATA;
	} else if (cmd->p1 != 0) {
		ans->sw = SW_WRONG_P1P2;
	} else if (cmd->nc != 2 * (size_t)PIV_PIN_LEN ||
		   (cmd->p2 == PIV_REF_PIN && !pin_well_formed(fresh))) {
		ans->sw = SW_WRONG_DATA;
	} else {
		ans->sw = try_secret(piv, cmd->p2, cmd->data);
		if (ans->sw == SW_OK)
			replace(piv, cmd->p2, fresh);
		if (cmd->p2 == PIV_REF_PIN)
			set_verified(piv, ans->sw == SW_OK);
	}
}

void piv_reset_retry(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct piv *piv = (struct piv *)applet;

	if (cmd->p2 != PIV_REF_PIN) {
		ans->sw = SW_NO_SUCH_DATA;
	} else if (cmd->p1 != 0) {
		ans->sw = SW_WRONG_P1P2;
	} else if (cmd->nc != 2 * (size_t)PIV_PIN_LEN ||
		   !pin_well_formed(cmd->data + PIV_PIN_LEN)) {
		ans->sw = SW_WRONG_DATA;
	} else {
		ans->sw = try_secret(piv, PIV_REF_PUK, cmd->data);
		if (ans->sw == SW_OK)
			replace(piv, PIV_REF_PIN, cmd->data + PIV_PIN_LEN);
		set_verified(piv, false);
	}
}

/* --- Management key --------------------------------------------------------------------------- */

static bool cipher_of(uint8_t algorithm, enum crypto_cipher *cipher)
{
	static const struct {
		uint8_t algorithm;
		enum crypto_cipher cipher;
	} ciphers[] = { { PIV_3DES, CRYPTO_3DES }, { PIV_AES128, CRYPTO_AES128 },
		{ PIV_AES192, CRYPTO_AES192 }, { PIV_AES256, CRYPTO_AES256 } };

	for (size_t i = 0; i < sizeof(ciphers) / sizeof(ciphers[0]); i++) {
		if (ciphers[i].algorithm == algorithm) {
			*cipher = ciphers[i].cipher;
			return true;
		}
	}
	return false;
}

/* In the state: algorithm, touch policy, key. */
static bool management_parse(const uint8_t *bytes, size_t len, struct piv_management *m)
{
	if (!bytes || len < 2 || !cipher_of(bytes[0], &m->cipher) ||
		len != 2 + crypto_cipher_key(m->cipher))
		return false;
	m->algorithm = bytes[0];
	m->touch = bytes[1];
	m->len = len - 2;
	memcpy(m->key, bytes + 2, m->len);
	return true;
}

void piv_management_get(const struct piv *piv, struct piv_management *m)
{
	size_t len = 0;
	const uint8_t *bytes = state_get(piv->state, "piv.management", &len);

	if (management_parse(bytes, len, m))
		return;
	*m = (struct piv_management){ .algorithm = PIV_3DES,
		.cipher = CRYPTO_3DES,
		.touch = PIV_POLICY_NEVER,
		.len = sizeof(management_initial) };
	memcpy(m->key, management_initial, sizeof(management_initial));
}

bool piv_management_put(
	struct piv *piv, uint8_t algorithm, uint8_t touch, const uint8_t *key, size_t len)
{
	uint8_t bytes[2 + PIV_MANAGEMENT_MAX] = { algorithm, touch };
	enum crypto_cipher cipher;

	if (!cipher_of(algorithm, &cipher) || len != crypto_cipher_key(cipher))
		return false;
	memcpy(bytes + 2, key, len);
	state_put(piv->state, "piv.management", bytes, 2 + len);
	explicit_bzero(bytes, sizeof(bytes));
	return true;
}

bool piv_management_is_default(const struct piv_management *m)
{
	return m->algorithm == PIV_3DES &&
	       memcmp(m->key, management_initial, sizeof(management_initial)) == 0;
}

static void answer_object(struct apdu_answer *ans, uint32_t tag, const uint8_t *value, size_t len)
{
	struct ber_out out = { .data = ans->data, .cap = APDU_DATA_MAX };

	ber_put(&out, tag, value, len);
	ber_wrap(&out, 0, 0x7C);
	ans->len = out.len;
	ans->sw = SW_OK;
}

static void ask(struct piv *piv, enum piv_step step, const struct piv_management *m,
	struct apdu_answer *ans)
{
	size_t block = crypto_cipher_block(m->cipher);
	uint8_t witness[PIV_BLOCK_MAX];

	ans->sw = SW_MEMORY_FAILURE;
	if (!crypto_random(piv->challenge, block) ||
		!crypto_block(m->cipher, true, m->key, piv->challenge, witness))
		return;
	if (step == PIV_STEP_CHALLENGE)
		answer_object(ans, TAG_CHALLENGE, piv->challenge, block);
	else
		answer_object(ans, TAG_WITNESS, witness, block);
	piv->step = step;
}

/* External authenticate: the host has enciphered our challenge. */
static void check_response(struct piv *piv, const struct piv_management *m,
	const struct ber_item *response, struct apdu_answer *ans)
{
	size_t block = crypto_cipher_block(m->cipher);
	uint8_t expected[PIV_BLOCK_MAX];

	piv->managed = response->len == block &&
		       crypto_block(m->cipher, true, m->key, piv->challenge, expected) &&
		       crypto_equal(expected, response->value, block);
	ans->sw = piv->managed ? SW_OK : SW_SECURITY_STATUS;
}

/* Mutual authenticate: the host has deciphered our witness, and wants its challenge enciphered. */
static void check_witness(struct piv *piv, const struct piv_management *m,
	const struct ber_item *witness, const struct ber_item *challenge, struct apdu_answer *ans)
{
	size_t block = crypto_cipher_block(m->cipher);
	uint8_t response[PIV_BLOCK_MAX];

	piv->managed = witness->len == block && challenge->len == block &&
		       crypto_equal(piv->challenge, witness->value, block) &&
		       crypto_block(m->cipher, true, m->key, challenge->value, response);
	ans->sw = SW_SECURITY_STATUS;
	if (piv->managed)
		answer_object(ans, TAG_RESPONSE, response, block);
}

void piv_management_authenticate(struct piv *piv, const struct apdu_command *cmd,
	const struct ber_item *objects, struct apdu_answer *ans)
{
	struct ber_item witness, challenge, response;
	enum piv_step step = piv->step;
	struct piv_management m;

	piv_management_get(piv, &m);
	ber_find(objects->value, objects->len, TAG_WITNESS, &witness);
	ber_find(objects->value, objects->len, TAG_CHALLENGE, &challenge);
	ber_find(objects->value, objects->len, TAG_RESPONSE, &response);
	piv->step = PIV_STEP_NONE;
	piv->managed = false;
	ans->sw = SW_WRONG_DATA;
	/* 00 stands for 3DES (SP 800-78-4 table 6-2). */
	if ((cmd->p1 ? cmd->p1 : PIV_3DES) != m.algorithm)
		ans->sw = SW_WRONG_P1P2;
	else if (witness.tag == TAG_WITNESS && witness.len == 0)
		ask(piv, PIV_STEP_WITNESS, &m, ans);
	else if (witness.tag == TAG_WITNESS && step == PIV_STEP_WITNESS)
		check_witness(piv, &m, &witness, &challenge, ans);
	else if (challenge.tag == TAG_CHALLENGE && challenge.len == 0)
		ask(piv, PIV_STEP_CHALLENGE, &m, ans);
	else if (response.tag == TAG_RESPONSE && step == PIV_STEP_CHALLENGE)
		check_response(piv, &m, &response, ans);
	explicit_bzero(&m, sizeof(m));
}
