/* SPDX-License-Identifier: BSD-3-Clause */
/* What keys are used for: signatures, decryption, authentication (§7.2.10 to §7.2.13). */
#include "vreader/cards/openpgp/openpgp_parts.h"

/* RSA takes a DigestInfo of at most 40 % of the modulus, ECDSA a digest, EdDSA what is to be
 * signed. */
static size_t sign(const struct crypto_key *key, const struct apdu_command *cmd, uint8_t *out)
{
	enum crypto_type type = crypto_key_type(key);

	if (crypto_is_rsa(type))
		return cmd->nc <= crypto_size(type) * 2 / 5
			       ? crypto_rsa_sign(key, cmd->data, cmd->nc, out)
			       : 0;
	if (crypto_is_ec(type))
		return crypto_ecdsa_raw(key, cmd->data, cmd->nc, out);
	return crypto_eddsa(key, cmd->data, cmd->nc, out);
}

static void sign_with(struct openpgp *o, enum pgp_key which, const struct apdu_command *cmd,
	struct apdu_answer *ans)
{
	struct crypto_key *key = pgp_key_load(o, which);

	if (!key) {
		ans->sw = SW_NO_SUCH_DATA;
		return;
	}
	ans->len = cmd->nc ? sign(key, cmd, ans->data) : 0;
	ans->sw = ans->len ? SW_OK : SW_WRONG_DATA;
	crypto_free(key);
}

static void compute_signature(
	struct openpgp *o, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	if (!pgp_allowed(o, PGP_PW1_SIGN)) {
		ans->sw = SW_SECURITY_STATUS;
		return;
	}
	sign_with(o, PGP_SIGN, cmd, ans);
	if (ans->sw != SW_OK)
		return;
	pgp_count_signature(o);
	if (!state_get_byte(o->state, "openpgp.several", 0))
		o->verified &= ~(unsigned)PGP_PW1_SIGN;
}

/* A6 { 7F49 { 86 point } } (§7.2.11). */
static size_t agree(const struct crypto_key *key, const struct apdu_command *cmd, uint8_t *out)
{
	struct ber_item cipher, public_key, point;

	if (!ber_find(cmd->data, cmd->nc, 0xA6, &cipher) ||
		!ber_find(cipher.value, cipher.len, 0x7F49, &public_key) ||
		!ber_find(public_key.value, public_key.len, 0x86, &point))
		return 0;
	return crypto_ecdh(key, point.value, point.len, out);
}

static size_t decrypt(const struct crypto_key *key, const struct apdu_command *cmd, uint8_t *out)
{
	size_t len;

	if (!crypto_is_rsa(crypto_key_type(key)))
		return agree(key, cmd, out);
	/* The padding indicator byte comes first. */
	if (cmd->nc < 1 || cmd->data[0] != 0x00)
		return 0;
	return crypto_rsa_decrypt(key, cmd->data + 1, cmd->nc - 1, out, &len) ? len : 0;
}

static void decipher(struct openpgp *o, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct crypto_key *key;

	if (!pgp_allowed(o, PGP_PW1_OTHER)) {
		ans->sw = SW_SECURITY_STATUS;
		return;
	}
	key = pgp_key_load(o, o->decrypt_key);
	if (!key) {
		ans->sw = SW_NO_SUCH_DATA;
		return;
	}
	ans->len = decrypt(key, cmd, ans->data);
	ans->sw = ans->len ? SW_OK : SW_WRONG_DATA;
	crypto_free(key);
}

void pgp_security_operation(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct openpgp *o = (struct openpgp *)applet;

	switch (cmd->p1 << 8 | cmd->p2) {
	case 0x9E9A:
		compute_signature(o, cmd, ans);
		break;
	case 0x8086:
		decipher(o, cmd, ans);
		break;
	default:
		ans->sw = SW_WRONG_P1P2;
	}
}

void pgp_authenticate(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct openpgp *o = (struct openpgp *)applet;

	if (cmd->p1 || cmd->p2)
		ans->sw = SW_WRONG_P1P2;
	else if (!pgp_allowed(o, PGP_PW1_OTHER))
		ans->sw = SW_SECURITY_STATUS;
	else
		sign_with(o, o->authenticate_key, cmd, ans);
}

/* MSE SET: 83 01 02 or 83 01 03 for decryption (B8) or authentication (A4). */
void pgp_manage_keys(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct openpgp *o = (struct openpgp *)applet;
	enum pgp_key which;

	if (cmd->p1 != 0x41 || (cmd->p2 != 0xA4 && cmd->p2 != 0xB8)) {
		ans->sw = SW_WRONG_P1P2;
		return;
	}
	if (cmd->nc != 3 || cmd->data[0] != 0x83 || cmd->data[1] != 1 || cmd->data[2] < 2 ||
		cmd->data[2] > 3) {
		ans->sw = SW_WRONG_DATA;
		return;
	}
	which = (enum pgp_key)(cmd->data[2] - 1);
	if (cmd->p2 == 0xB8)
		o->decrypt_key = which;
	else
		o->authenticate_key = which;
	ans->sw = SW_OK;
}
