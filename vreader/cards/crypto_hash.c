/* SPDX-License-Identifier: BSD-3-Clause */
/* Ciphers, hashes, comparison. */
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "vreader/cards/crypto.h"

static const struct {
	size_t key;
	size_t block;
	const EVP_CIPHER *(*evp)(void);
} ciphers[] = {
	[CRYPTO_3DES] = { 24, 8, EVP_des_ede3_ecb },
	[CRYPTO_AES128] = { 16, 16, EVP_aes_128_ecb },
	[CRYPTO_AES192] = { 24, 16, EVP_aes_192_ecb },
	[CRYPTO_AES256] = { 32, 16, EVP_aes_256_ecb },
};

size_t crypto_cipher_key(enum crypto_cipher cipher)
{
	return ciphers[cipher].key;
}

size_t crypto_cipher_block(enum crypto_cipher cipher)
{
	return ciphers[cipher].block;
}

bool crypto_block(enum crypto_cipher cipher, bool encrypt, const uint8_t *key, const uint8_t *in,
	uint8_t *out)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int len = 0;
	bool ok = ctx &&
		  EVP_CipherInit_ex(ctx, ciphers[cipher].evp(), NULL, key, NULL, encrypt) > 0 &&
		  EVP_CIPHER_CTX_set_padding(ctx, 0) > 0 &&
		  EVP_CipherUpdate(ctx, out, &len, in, (int)ciphers[cipher].block) > 0;

	EVP_CIPHER_CTX_free(ctx);
	return ok && (size_t)len == ciphers[cipher].block;
}

bool crypto_sha1(const uint8_t *data, size_t len, uint8_t out[CRYPTO_SHA1])
{
	return EVP_Digest(data, len, out, NULL, EVP_sha1(), NULL) > 0;
}

bool crypto_sha256(const uint8_t *data, size_t len, uint8_t out[CRYPTO_SHA256])
{
	return EVP_Digest(data, len, out, NULL, EVP_sha256(), NULL) > 0;
}

bool crypto_equal(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}
