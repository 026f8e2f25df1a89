/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The key pairs at work: GENERATE ASYMMETRIC KEY PAIR (SP 800-73-4 part 2 §3.3.1) and GENERAL
 * AUTHENTICATE (§3.2.4, appendix A).
 */
#include <string.h>

#include "vreader/cards/piv/piv_card.h"

enum {
	TAG_CHALLENGE = 0x81,
	TAG_RESPONSE = 0x82,
	TAG_EXPONENTIATION = 0x85,
};

/* --- Generation ------------------------------------------------------------------------------- */

static uint16_t generate(
	struct piv *piv, uint8_t reference, const struct ber_item *control, struct apdu_answer *ans)
{
	struct ber_out out = { .data = ans->data, .cap = APDU_DATA_MAX };
	struct piv_key key = { 0 };
	struct ber_item algorithm;
	bool made;

	if (!ber_find(control->value, control->len, 0x80, &algorithm) || algorithm.len != 1 ||
		piv_key_type(algorithm.value[0]) == CRYPTO_NONE ||
		!piv_key_policies(&key, control->value, control->len))
		return SW_WRONG_DATA;
	key.algorithm = algorithm.value[0];
	key.key = applet_generate(&piv->applet, piv_key_type(key.algorithm), ans);
	made = key.key && piv_key_public(&key, &out) && piv_key_put(piv, reference, &key);
	crypto_free(key.key);
	ber_wrap(&out, 0, 0x7F49);
	ans->len = out.len;
	return made ? SW_OK : SW_MEMORY_FAILURE;
}

void piv_generate(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct piv *piv = (struct piv *)applet;
	struct ber_item control;

	if (!piv->managed)
		ans->sw = SW_SECURITY_STATUS;
	else if (cmd->p1 != 0 || !piv_key_reference(cmd->p2))
		ans->sw = SW_WRONG_P1P2;
	else if (!ber_find(cmd->data, cmd->nc, 0xAC, &control))
		ans->sw = SW_WRONG_DATA;
	else
		ans->sw = generate(piv, cmd->p2, &control, ans);
}

/* --- Use -------------------------------------------------------------------------------------- */

/* What PIN a key wants: its policy, or else that of the slot (SP 800-73-4 part 1 table 3). */
static uint8_t pin_rule(const struct piv_key *key, uint8_t reference)
{
	if (key->pin_policy != PIV_POLICY_DEFAULT)
		return key->pin_policy;
	if (reference == PIV_REF_CARD_AUTHENTICATION)
		return PIV_POLICY_NEVER;
	return reference == PIV_REF_SIGNATURE ? PIV_POLICY_ALWAYS : PIV_POLICY_ONCE;
}

/* RSA as it is, without padding; ECDSA over a hash of the field's length at most. Returns the length
 * of the result; 0: the challenge does not fit. */
static size_t sign(const struct crypto_key *key, const struct ber_item *in, uint8_t *out)
{
	enum crypto_type type = crypto_key_type(key);
	size_t size = crypto_size(type);

	if (crypto_is_rsa(type))
		return in->len == size && crypto_rsa_private(key, in->value, in->len, out) ? size
											   : 0;
	if (crypto_is_ec(type))
		return in->len && in->len <= size ? crypto_ecdsa_der(key, in->value, in->len, out)
						  : 0;
	return type == CRYPTO_ED25519 ? crypto_eddsa(key, in->value, in->len, out) : 0;
}

static uint16_t respond(
	const struct piv_key *key, const struct ber_item *objects, struct apdu_answer *ans)
{
	struct ber_out out = { .data = ans->data, .cap = APDU_DATA_MAX };
	uint8_t result[CRYPTO_SIGNATURE_MAX];
	struct ber_item in;
	size_t len = 0;

	if (ber_find(objects->value, objects->len, TAG_EXPONENTIATION, &in)) {
		enum crypto_type type = crypto_key_type(key->key);

		if (crypto_is_ec(type) || type == CRYPTO_X25519)
			len = crypto_ecdh(key->key, in.value, in.len, result);
	} else if (ber_find(objects->value, objects->len, TAG_CHALLENGE, &in)) {
		len = sign(key->key, &in, result);
	}
	if (len == 0)
		return SW_WRONG_DATA;
	ber_put(&out, TAG_RESPONSE, result, len);
	ber_wrap(&out, 0, 0x7C);
	explicit_bzero(result, sizeof(result));
	ans->len = out.len;
	return SW_OK;
}

static uint16_t use(struct piv *piv, const struct piv_key *key, const struct apdu_command *cmd,
	const struct ber_item *objects, struct apdu_answer *ans)
{
	uint8_t rule = pin_rule(key, cmd->p2);

	if (key->algorithm != cmd->p1)
		return SW_WRONG_P1P2;
	if (rule != PIV_POLICY_NEVER && !piv->pin_verified)
		return SW_SECURITY_STATUS;
	if (rule == PIV_POLICY_ALWAYS) {
		if (!piv->pin_fresh)
			return SW_SECURITY_STATUS;
		piv->pin_fresh = false;
	}
	return respond(key, objects, ans);
}

void piv_general_authenticate(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct piv *piv = (struct piv *)applet;
	struct ber_item objects;
	struct piv_key key;

	if (!ber_find(cmd->data, cmd->nc, 0x7C, &objects)) {
		ans->sw = SW_WRONG_DATA;
	} else if (cmd->p2 == PIV_REF_MANAGEMENT) {
		piv_management_authenticate(piv, cmd, &objects, ans);
	} else if (!piv_key_reference(cmd->p2)) {
		ans->sw = SW_WRONG_P1P2;
	} else if (!piv_key_get(piv, cmd->p2, &key)) {
		ans->sw = SW_NO_SUCH_DATA;
	} else {
		ans->sw = use(piv, &key, cmd, &objects, ans);
		crypto_free(key.key);
	}
}
