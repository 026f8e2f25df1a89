/* SPDX-License-Identifier: BSD-3-Clause */
/* The private key: named by MANAGE SECURITY ENVIRONMENT (ISO 7816-4 §11.5.11), used by COMPUTE
 * DIGITAL SIGNATURE (ISO 7816-8 §11.7). */
#include "vreader/cards/pkcs15/pkcs15_card.h"

enum {
	SET_FOR_COMPUTATION = 0x41,
	TEMPLATE_SIGNATURE = 0xB6,
	TAG_ALGORITHM = 0x80,
	ECDSA_WITH_SHA1 = 0x21, /* without: ECDSA over a hash of the host's */
	TAG_KEY = 0x84,
	SIGNATURE = 0x9E,
	FROM_DATA = 0x9A,
	DIGEST_MAX = 64,
};

void pkcs15_manage_security(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct pkcs15 *p15 = (struct pkcs15 *)applet;
	struct ber_item key, algorithm;

	p15->key_chosen = false;
	p15->hashes = ber_find(cmd->data, cmd->nc, TAG_ALGORITHM, &algorithm);
	if (cmd->p1 != SET_FOR_COMPUTATION || cmd->p2 != TEMPLATE_SIGNATURE) {
		ans->sw = SW_WRONG_P1P2;
	} else if (!ber_find(cmd->data, cmd->nc, TAG_KEY, &key) || key.len != 1 ||
		   key.value[0] != PKCS15_KEY) {
		ans->sw = SW_NO_SUCH_DATA;
	} else if (p15->hashes && (algorithm.len != 1 || algorithm.value[0] != ECDSA_WITH_SHA1)) {
		ans->sw = SW_WRONG_DATA;
	} else {
		p15->key_chosen = true;
		ans->sw = SW_OK;
	}
}

static void sign(struct pkcs15 *p15, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	size_t len = 0;
	const uint8_t *kept = state_get(p15->state, "pkcs15.key", &len);
	struct crypto_key *key = kept ? crypto_load(kept, len) : NULL;
	uint8_t hash[CRYPTO_SHA1];

	ans->sw = SW_MEMORY_FAILURE;
	if (key && !p15->hashes)
		ans->len = crypto_ecdsa_der(key, cmd->data, cmd->nc, ans->data);
	else if (key && crypto_sha1(cmd->data, cmd->nc, hash))
		ans->len = crypto_ecdsa_der(key, hash, sizeof(hash), ans->data);
	if (ans->len)
		ans->sw = SW_OK;
	crypto_free(key);
}

void pkcs15_perform_security(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct pkcs15 *p15 = (struct pkcs15 *)applet;

	if (cmd->p1 != SIGNATURE || cmd->p2 != FROM_DATA)
		ans->sw = SW_WRONG_P1P2;
	else if (!p15->key_chosen)
		ans->sw = SW_CONDITIONS;
	else if (!p15->verified)
		ans->sw = SW_SECURITY_STATUS;
	else if (cmd->nc == 0 || (!p15->hashes && cmd->nc > DIGEST_MAX))
		ans->sw = SW_WRONG_DATA;
	else
		sign(p15, cmd, ans);
}
