/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the key pairs lie, and what they are. */
#include <stdio.h>
#include <string.h>

#include "vreader/cards/piv/piv_card.h"

enum {
	TAG_PIN_POLICY = 0xAA,
	TAG_TOUCH_POLICY = 0xAB,
	RECORD_HEADER = 4, /* algorithm, PIN and touch policy, origin; then PKCS #8 */
	NAME_SIZE = 16,
};

enum crypto_type piv_key_type(uint8_t algorithm)
{
	static const struct {
		uint8_t algorithm;
		enum crypto_type type;
	} types[] = {
		{ PIV_RSA1024, CRYPTO_RSA1024 },
		{ PIV_RSA2048, CRYPTO_RSA2048 },
		{ PIV_RSA3072, CRYPTO_RSA3072 },
		{ PIV_RSA4096, CRYPTO_RSA4096 },
		{ PIV_P256, CRYPTO_P256 },
		{ PIV_P384, CRYPTO_P384 },
		{ PIV_ED25519, CRYPTO_ED25519 },
		{ PIV_X25519, CRYPTO_X25519 },
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (types[i].algorithm == algorithm)
			return types[i].type;
	return CRYPTO_NONE;
}

bool piv_key_reference(uint8_t reference)
{
	return (reference >= PIV_REF_RETIRED_FIRST && reference <= PIV_REF_RETIRED_LAST) ||
	       reference == PIV_REF_AUTHENTICATION ||
	       (reference >= PIV_REF_SIGNATURE && reference <= PIV_REF_CARD_AUTHENTICATION);
}

static void key_name(char name[NAME_SIZE], uint8_t reference)
{
	snprintf(name, NAME_SIZE, "piv.key.%02X", reference);
}

bool piv_key_get(const struct piv *piv, uint8_t reference, struct piv_key *key)
{
	char name[NAME_SIZE];
	const uint8_t *record;
	size_t len;

	key_name(name, reference);
	record = state_get(piv->state, name, &len);
	if (!record || len <= RECORD_HEADER)
		return false;
	*key = (struct piv_key){ .algorithm = record[0],
		.pin_policy = record[1],
		.touch_policy = record[2],
		.imported = record[3] };
	key->key = crypto_load(record + RECORD_HEADER, len - RECORD_HEADER);
	return key->key;
}

bool piv_key_put(struct piv *piv, uint8_t reference, const struct piv_key *key)
{
	uint8_t record[RECORD_HEADER + CRYPTO_PRIVATE_MAX] = { key->algorithm, key->pin_policy,
		key->touch_policy, key->imported };
	size_t len = crypto_save(key->key, record + RECORD_HEADER);
	char name[NAME_SIZE];

	key_name(name, reference);
	if (len)
		state_put(piv->state, name, record, RECORD_HEADER + len);
	explicit_bzero(record, sizeof(record));
	return len;
}

static bool policy(const uint8_t *objects, size_t len, uint32_t tag, uint8_t *value)
{
	struct ber_item item;

	*value = PIV_POLICY_DEFAULT;
	if (!ber_find(objects, len, tag, &item))
		return true;
	if (item.len != 1 || item.value[0] > PIV_POLICY_ALWAYS)
		return false;
	*value = item.value[0];
	return true;
}

bool piv_key_policies(struct piv_key *key, const uint8_t *objects, size_t len)
{
	return policy(objects, len, TAG_PIN_POLICY, &key->pin_policy) &&
	       policy(objects, len, TAG_TOUCH_POLICY, &key->touch_policy);
}

bool piv_key_public(const struct piv_key *key, struct ber_out *out)
{
	enum crypto_type type = crypto_key_type(key->key);
	uint8_t number[CRYPTO_RSA_MAX], exponent[CRYPTO_EXPONENT_MAX];
	size_t len;

	if (crypto_is_rsa(type)) {
		len = crypto_public_rsa(key->key, number, exponent);
		ber_put(out, 0x81, number, crypto_size(type));
		ber_put(out, 0x82, exponent, len);
	} else {
		len = crypto_public_point(key->key, number);
		ber_put(out, 0x86, number, len);
	}
	return len;
}
