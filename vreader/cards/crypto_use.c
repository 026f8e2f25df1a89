/* SPDX-License-Identifier: BSD-3-Clause */
/* What private keys do: RSA, ECDSA, EdDSA, ECDH. */
#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <string.h>

#include "vreader/cards/crypto_parts.h"

bool crypto_rsa_private(const struct crypto_key *key, const uint8_t *in, size_t len, uint8_t *out)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key->pkey, NULL);
	size_t size = crypto_size(key->type), out_len = size;
	bool ok = ctx && crypto_is_rsa(key->type) && len == size &&
		  EVP_PKEY_decrypt_init(ctx) > 0 &&
		  EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) > 0 &&
		  EVP_PKEY_decrypt(ctx, out, &out_len, in, len) > 0 && out_len == size;

	EVP_PKEY_CTX_free(ctx);
	return ok;
}

size_t crypto_rsa_sign(const struct crypto_key *key, const uint8_t *digest_info, size_t len,
	uint8_t out[CRYPTO_SIGNATURE_MAX])
{
	uint8_t block[CRYPTO_RSA_MAX];
	size_t size = crypto_size(key->type);

	if (!crypto_is_rsa(key->type) || len > size - 11)
		return 0;
	memset(block, 0xFF, size);
	block[0] = 0x00;
	block[1] = 0x01;
	block[size - len - 1] = 0x00;
	if (len)
		memcpy(block + size - len, digest_info, len);
	return crypto_rsa_private(key, block, size, out) ? size : 0;
}

bool crypto_rsa_decrypt(
	const struct crypto_key *key, const uint8_t *in, size_t len, uint8_t *out, size_t *out_len)
{
	uint8_t block[CRYPTO_RSA_MAX];
	size_t size = crypto_size(key->type), at = 2;

	if (!crypto_rsa_private(key, in, len, block) || block[0] != 0x00 || block[1] != 0x02)
		return false;
	while (at < size && block[at])
		at++;
	if (at < 2 + 8 || at == size)
		return false;
	*out_len = size - at - 1;
	memcpy(out, block + at + 1, *out_len);
	return true;
}

size_t crypto_ecdsa_der(const struct crypto_key *key, const uint8_t *digest, size_t len,
	uint8_t out[CRYPTO_SIGNATURE_MAX])
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key->pkey, NULL);
	size_t out_len = CRYPTO_SIGNATURE_MAX;

	if (!ctx || !crypto_is_ec(key->type) || EVP_PKEY_sign_init(ctx) <= 0 ||
		EVP_PKEY_sign(ctx, out, &out_len, digest, len) <= 0)
		out_len = 0;
	EVP_PKEY_CTX_free(ctx);
	return out_len;
}

size_t crypto_ecdsa_raw(const struct crypto_key *key, const uint8_t *digest, size_t len,
	uint8_t out[CRYPTO_SIGNATURE_MAX])
{
	uint8_t der[CRYPTO_SIGNATURE_MAX];
	const uint8_t *p = der;
	size_t der_len = crypto_ecdsa_der(key, digest, len, der);
	ECDSA_SIG *sig = der_len ? d2i_ECDSA_SIG(NULL, &p, (long)der_len) : NULL;
	int size = (int)crypto_size(key->type);
	bool ok = sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, size) == size &&
		  BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + size, size) == size;

	ECDSA_SIG_free(sig);
	return ok ? 2 * (size_t)size : 0;
}

size_t crypto_eddsa(const struct crypto_key *key, const uint8_t *message, size_t len,
	uint8_t out[CRYPTO_SIGNATURE_MAX])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t out_len = CRYPTO_SIGNATURE_MAX;

	if (!ctx || key->type != CRYPTO_ED25519 ||
		EVP_DigestSignInit(ctx, NULL, NULL, NULL, key->pkey) <= 0 ||
		EVP_DigestSign(ctx, out, &out_len, message, len) <= 0)
		out_len = 0;
	EVP_MD_CTX_free(ctx);
	return out_len;
}

/* The caller frees it. */
static EVP_PKEY *peer_of(const struct crypto_key *key, const uint8_t *point, size_t len)
{
	EVP_PKEY *peer;

	if (crypto_kinds[key->type].family == CRYPTO_FAMILY_RAW)
		return EVP_PKEY_new_raw_public_key(crypto_kinds[key->type].nid, NULL, point, len);
	peer = EVP_PKEY_new();
	if (peer && EVP_PKEY_copy_parameters(peer, key->pkey) > 0 &&
		EVP_PKEY_set1_encoded_public_key(peer, point, len) > 0)
		return peer;
	EVP_PKEY_free(peer);
	return NULL;
}

size_t crypto_ecdh(const struct crypto_key *key, const uint8_t *point, size_t len,
	uint8_t out[CRYPTO_POINT_MAX])
{
	EVP_PKEY *peer = peer_of(key, point, len);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key->pkey, NULL);
	size_t out_len = CRYPTO_POINT_MAX;

	if (!peer || !ctx || EVP_PKEY_derive_init(ctx) <= 0 ||
		EVP_PKEY_derive_set_peer(ctx, peer) <= 0 ||
		EVP_PKEY_derive(ctx, out, &out_len) <= 0)
		out_len = 0;
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(peer);
	return out_len;
}
