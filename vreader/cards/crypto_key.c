/* SPDX-License-Identifier: BSD-3-Clause */
/* The kinds of keys there are; made by libcrypto, kept, and told what is public of them. */
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>

#include "vreader/cards/crypto_parts.h"

const struct crypto_kind crypto_kinds[CRYPTO_TYPES] = {
	[CRYPTO_RSA1024] = { CRYPTO_FAMILY_RSA, 128, "RSA", NULL, 0 },
	[CRYPTO_RSA2048] = { CRYPTO_FAMILY_RSA, 256, "RSA", NULL, 0 },
	[CRYPTO_RSA3072] = { CRYPTO_FAMILY_RSA, 384, "RSA", NULL, 0 },
	[CRYPTO_RSA4096] = { CRYPTO_FAMILY_RSA, 512, "RSA", NULL, 0 },
	[CRYPTO_P256] = { CRYPTO_FAMILY_EC, 32, "EC", "P-256", NID_X9_62_prime256v1 },
	[CRYPTO_P384] = { CRYPTO_FAMILY_EC, 48, "EC", "P-384", NID_secp384r1 },
	[CRYPTO_P521] = { CRYPTO_FAMILY_EC, 66, "EC", "P-521", NID_secp521r1 },
	[CRYPTO_ED25519] = { CRYPTO_FAMILY_RAW, 32, "ED25519", NULL, EVP_PKEY_ED25519 },
	[CRYPTO_X25519] = { CRYPTO_FAMILY_RAW, 32, "X25519", NULL, EVP_PKEY_X25519 },
};

size_t crypto_size(enum crypto_type type)
{
	return crypto_kinds[type].size;
}

bool crypto_is_rsa(enum crypto_type type)
{
	return crypto_kinds[type].family == CRYPTO_FAMILY_RSA;
}

bool crypto_is_ec(enum crypto_type type)
{
	return crypto_kinds[type].family == CRYPTO_FAMILY_EC;
}

struct crypto_key *crypto_wrap(enum crypto_type type, EVP_PKEY *pkey)
{
	struct crypto_key *key = pkey ? malloc(sizeof(*key)) : NULL;

	if (!key) {
		EVP_PKEY_free(pkey);
		return NULL;
	}
	*key = (struct crypto_key){ type, pkey };
	return key;
}

/* Called by libcrypto for each prime it tries; 0 ends it. */
static int go_on(EVP_PKEY_CTX *ctx)
{
	const atomic_bool *stop = EVP_PKEY_CTX_get_app_data(ctx);

	return !stop || !atomic_load(stop);
}

static EVP_PKEY *generate_rsa(size_t size, atomic_bool *stop)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	EVP_PKEY *pkey = NULL;

	if (ctx && EVP_PKEY_keygen_init(ctx) > 0 &&
		EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, (int)(8 * size)) > 0) {
		EVP_PKEY_CTX_set_app_data(ctx, stop);
		EVP_PKEY_CTX_set_cb(ctx, go_on);
		/* What it leaves in pkey when it fails is not defined. */
		if (EVP_PKEY_generate(ctx, &pkey) <= 0)
			pkey = NULL;
	}
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

struct crypto_key *crypto_generate(enum crypto_type type, atomic_bool *stop)
{
	const char *algorithm = crypto_kinds[type].algorithm;

	switch (crypto_kinds[type].family) {
	case CRYPTO_FAMILY_RSA:
		return crypto_wrap(type, generate_rsa(crypto_kinds[type].size, stop));
	case CRYPTO_FAMILY_EC:
		return crypto_wrap(
			type, EVP_PKEY_Q_keygen(NULL, NULL, algorithm, crypto_kinds[type].curve));
	case CRYPTO_FAMILY_RAW:
		return crypto_wrap(type, EVP_PKEY_Q_keygen(NULL, NULL, algorithm));
	default:
		return NULL;
	}
}

void crypto_free(struct crypto_key *key)
{
	if (!key)
		return;
	EVP_PKEY_free(key->pkey);
	free(key);
}

enum crypto_type crypto_key_type(const struct crypto_key *key)
{
	return key->type;
}

size_t crypto_save(const struct crypto_key *key, uint8_t out[CRYPTO_PRIVATE_MAX])
{
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key->pkey);
	int len = info ? i2d_PKCS8_PRIV_KEY_INFO(info, NULL) : -1;
	uint8_t *p = out;

	if (len < 0 || len > CRYPTO_PRIVATE_MAX || i2d_PKCS8_PRIV_KEY_INFO(info, &p) < 0)
		len = 0;
	PKCS8_PRIV_KEY_INFO_free(info);
	return (size_t)len;
}

static enum crypto_type type_of(const EVP_PKEY *pkey)
{
	char curve[32] = "";

	EVP_PKEY_get_group_name(pkey, curve, sizeof(curve), NULL);
	for (int type = CRYPTO_NONE + 1; type < CRYPTO_TYPES; type++) {
		if (!EVP_PKEY_is_a(pkey, crypto_kinds[type].algorithm))
			continue;
		if (crypto_kinds[type].family == CRYPTO_FAMILY_RSA
				? (size_t)EVP_PKEY_get_size(pkey) == crypto_kinds[type].size
				: crypto_kinds[type].family == CRYPTO_FAMILY_RAW ||
					  OBJ_sn2nid(curve) == crypto_kinds[type].nid)
			return (enum crypto_type)type;
	}
	return CRYPTO_NONE;
}

struct crypto_key *crypto_load(const uint8_t *der, size_t len)
{
	const uint8_t *p = der;
	PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)len);
	EVP_PKEY *pkey = info ? EVP_PKCS82PKEY(info) : NULL;
	enum crypto_type type = pkey ? type_of(pkey) : CRYPTO_NONE;

	PKCS8_PRIV_KEY_INFO_free(info);
	if (type != CRYPTO_NONE)
		return crypto_wrap(type, pkey);
	EVP_PKEY_free(pkey);
	return NULL;
}

size_t crypto_public_rsa(const struct crypto_key *key, uint8_t modulus[CRYPTO_RSA_MAX],
	uint8_t exponent[CRYPTO_EXPONENT_MAX])
{
	BIGNUM *n = NULL, *e = NULL;
	size_t len = 0;

	if (EVP_PKEY_get_bn_param(key->pkey, OSSL_PKEY_PARAM_RSA_N, &n) &&
		EVP_PKEY_get_bn_param(key->pkey, OSSL_PKEY_PARAM_RSA_E, &e) &&
		BN_num_bytes(e) <= CRYPTO_EXPONENT_MAX &&
		BN_bn2binpad(n, modulus, (int)crypto_size(key->type)) > 0)
		len = (size_t)BN_bn2bin(e, exponent);
	BN_free(n);
	BN_free(e);
	return len;
}

size_t crypto_public_point(const struct crypto_key *key, uint8_t out[CRYPTO_POINT_MAX])
{
	size_t len = CRYPTO_POINT_MAX;

	if (crypto_kinds[key->type].family == CRYPTO_FAMILY_RAW)
		return EVP_PKEY_get_raw_public_key(key->pkey, out, &len) > 0 ? len : 0;
	return EVP_PKEY_get_octet_string_param(
		       key->pkey, OSSL_PKEY_PARAM_PUB_KEY, out, CRYPTO_POINT_MAX, &len) > 0
		       ? len
		       : 0;
}
