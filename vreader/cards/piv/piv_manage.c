/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the standard leaves to the maker of the card, with the commands that yubico-piv-tool and
 * OpenSC know: keys from outside, another management key, numbers of tries, what is in a slot, and
 * the way back to an empty card.
 */
#include <string.h>

#include "vreader/cards/piv/piv_card.h"

enum {
	P2_TOUCH = 0xFE,
	P2_NO_TOUCH = 0xFF,

	META_ALGORITHM = 1,
	META_POLICY = 2,
	META_ORIGIN = 3,
	META_PUBLIC = 4,
	META_DEFAULT = 5,
	META_RETRIES = 6,
	META_ALGORITHM_SECRET = 0xFF,
	ORIGIN_GENERATED = 1,
	ORIGIN_IMPORTED = 2,
};

/* 01 and 02 are the primes of an RSA key, whose exponents follow from them since the public one is
 * 65537; 06, 07 and 08 the secret of an EC, Ed25519 or X25519 key. */
static struct crypto_key *import(uint8_t algorithm, const struct apdu_command *cmd)
{
	static const uint8_t e[] = { 1, 0, 1 };
	enum crypto_type type = piv_key_type(algorithm);
	struct ber_item p, q;
	uint32_t tag = 0x06;

	if (crypto_is_rsa(type)) {
		if (!ber_find(cmd->data, cmd->nc, 0x01, &p) ||
			!ber_find(cmd->data, cmd->nc, 0x02, &q))
			return NULL;
		return crypto_import_rsa(type, e, sizeof(e), p.value, p.len, q.value, q.len);
	}
	if (type == CRYPTO_ED25519)
		tag = 0x07;
	else if (type == CRYPTO_X25519)
		tag = 0x08;
	if (!ber_find(cmd->data, cmd->nc, tag, &p))
		return NULL;
	return crypto_import_scalar(type, p.value, p.len);
}

void piv_import(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct piv *piv = (struct piv *)applet;
	struct piv_key key = { .algorithm = cmd->p1, .imported = true };

	if (!piv->managed) {
		ans->sw = SW_SECURITY_STATUS;
		return;
	}
	if (!piv_key_reference(cmd->p2) || piv_key_type(cmd->p1) == CRYPTO_NONE) {
		ans->sw = SW_WRONG_P1P2;
		return;
	}
	ans->sw = SW_WRONG_DATA;
	if (!piv_key_policies(&key, cmd->data, cmd->nc))
		return;
	key.key = import(cmd->p1, cmd);
	if (key.key)
		ans->sw = piv_key_put(piv, cmd->p2, &key) ? SW_OK : SW_MEMORY_FAILURE;
	crypto_free(key.key);
}

/* Data: algorithm, key reference, length, key. */
void piv_set_management(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct piv *piv = (struct piv *)applet;
	uint8_t touch = cmd->p2 == P2_TOUCH ? PIV_POLICY_ONCE : PIV_POLICY_NEVER;

	if (!piv->managed)
		ans->sw = SW_SECURITY_STATUS;
	else if (cmd->p1 != 0xFF || (cmd->p2 != P2_TOUCH && cmd->p2 != P2_NO_TOUCH))
		ans->sw = SW_WRONG_P1P2;
	else if (cmd->nc < 3 || cmd->data[1] != PIV_REF_MANAGEMENT ||
		 cmd->nc != 3 + (size_t)cmd->data[2] ||
		 !piv_management_put(piv, cmd->data[0], touch, cmd->data + 3, cmd->data[2]))
		ans->sw = SW_WRONG_DATA;
	else
		ans->sw = SW_OK;
}

/* P1 tries for the PIN and P2 for the PUK, which both become what they were on the new card. */
void piv_set_retries(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct piv *piv = (struct piv *)applet;

	if (!piv->managed || !piv->pin_verified) {
		ans->sw = SW_SECURITY_STATUS;
	} else if (cmd->p1 < 1 || cmd->p1 > PIV_TRIES_MAX || cmd->p2 < 1 ||
		   cmd->p2 > PIV_TRIES_MAX) {
		ans->sw = SW_WRONG_P1P2;
	} else {
		piv_secret_reset(piv, PIV_REF_PIN, cmd->p1);
		piv_secret_reset(piv, PIV_REF_PUK, cmd->p2);
		piv->pin_verified = piv->pin_fresh = false;
		ans->sw = SW_OK;
	}
}

static void put_byte(struct ber_out *out, uint32_t tag, uint8_t value)
{
	ber_put(out, tag, &value, 1);
}

static void secret_metadata(const struct piv *piv, uint8_t reference, struct ber_out *out)
{
	struct piv_secret secret;
	uint8_t tries[2];

	piv_secret_get(piv, reference, &secret);
	tries[0] = secret.tries;
	tries[1] = secret.left;
	put_byte(out, META_ALGORITHM, META_ALGORITHM_SECRET);
	put_byte(out, META_DEFAULT, piv_secret_is_default(&secret, reference));
	ber_put(out, META_RETRIES, tries, sizeof(tries));
}

static void management_metadata(const struct piv *piv, struct ber_out *out)
{
	uint8_t policy[2] = { PIV_POLICY_DEFAULT };
	struct piv_management m;

	piv_management_get(piv, &m);
	policy[1] = m.touch;
	put_byte(out, META_ALGORITHM, m.algorithm);
	ber_put(out, META_POLICY, policy, sizeof(policy));
	put_byte(out, META_DEFAULT, piv_management_is_default(&m));
}

static bool key_metadata(const struct piv_key *key, struct ber_out *out)
{
	const uint8_t policy[2] = { key->pin_policy, key->touch_policy };
	size_t at;
	bool good;

	put_byte(out, META_ALGORITHM, key->algorithm);
	ber_put(out, META_POLICY, policy, sizeof(policy));
	put_byte(out, META_ORIGIN, key->imported ? ORIGIN_IMPORTED : ORIGIN_GENERATED);
	at = out->len;
	good = piv_key_public(key, out);
	ber_wrap(out, at, META_PUBLIC);
	return good;
}

static bool is_secret(uint8_t reference)
{
	return reference == PIV_REF_PIN || reference == PIV_REF_PUK;
}

static bool has_metadata(uint8_t reference)
{
	return is_secret(reference) || reference == PIV_REF_MANAGEMENT ||
	       piv_key_reference(reference);
}

void piv_get_metadata(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct piv *piv = (struct piv *)applet;
	struct ber_out out = { .data = ans->data, .cap = APDU_DATA_MAX };
	struct piv_key key;

	ans->sw = SW_OK;
	if (cmd->p1 != 0 || !has_metadata(cmd->p2)) {
		ans->sw = SW_WRONG_P1P2;
	} else if (is_secret(cmd->p2)) {
		secret_metadata(piv, cmd->p2, &out);
	} else if (cmd->p2 == PIV_REF_MANAGEMENT) {
		management_metadata(piv, &out);
	} else if (!piv_key_get(piv, cmd->p2, &key)) {
		ans->sw = SW_NO_SUCH_DATA;
	} else {
		ans->sw = key_metadata(&key, &out) ? SW_OK : SW_MEMORY_FAILURE;
		crypto_free(key.key);
	}
	ans->len = ans->sw == SW_OK ? out.len : 0;
}

/* The version whose commands these are. */
void piv_get_version(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	static const uint8_t version[] = { 5, 4, 2 };

	(void)applet;
	(void)cmd;
	memcpy(ans->data, version, sizeof(version));
	ans->len = sizeof(version);
	ans->sw = SW_OK;
}

/* Reads "VIRT": nobody shall take it for a real one's. */
void piv_get_serial(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	(void)applet;
	(void)cmd;
	memcpy(ans->data, "VIRT", 4);
	ans->len = 4;
	ans->sw = SW_OK;
}

/* Only for who has lost both PIN and PUK. */
void piv_factory_reset(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct piv *piv = (struct piv *)applet;
	struct piv_secret pin, puk;

	piv_secret_get(piv, PIV_REF_PIN, &pin);
	piv_secret_get(piv, PIV_REF_PUK, &puk);
	if (cmd->p1 != 0 || cmd->p2 != 0)
		ans->sw = SW_WRONG_P1P2;
	else if (pin.left || puk.left)
		ans->sw = SW_CONDITIONS;
	else
		ans->sw = piv_start_afresh(piv) ? SW_OK : SW_MEMORY_FAILURE;
}
