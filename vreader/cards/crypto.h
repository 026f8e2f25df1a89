/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The cryptography of virtual cards, by libcrypto. These cards are for tests: keys lie in memory
 * and in the state file in the clear.
 */
#ifndef CARDWIRE_VREADER_CARDS_CRYPTO_H
#define CARDWIRE_VREADER_CARDS_CRYPTO_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum crypto_type {
	CRYPTO_NONE,
	CRYPTO_RSA1024,
	CRYPTO_RSA2048,
	CRYPTO_RSA3072,
	CRYPTO_RSA4096,
	CRYPTO_P256,
	CRYPTO_P384,
	CRYPTO_P521,
	CRYPTO_ED25519,
	CRYPTO_X25519,
	CRYPTO_TYPES,
};

enum {
	CRYPTO_RSA_MAX = 512,          /* bytes of a modulus */
	CRYPTO_EXPONENT_MAX = 8,       /* bytes of a public exponent */
	CRYPTO_POINT_MAX = 1 + 2 * 66, /* 04 X Y of P-521 */
	CRYPTO_SIGNATURE_MAX = CRYPTO_RSA_MAX,
	CRYPTO_PRIVATE_MAX = 4096, /* bytes of a private key in DER */
	CRYPTO_SHA1 = 20,
	CRYPTO_SHA256 = 32,
};

struct crypto_key;

/* Bytes of a modulus, a coordinate or a raw key; 0: no such type. */
size_t crypto_size(enum crypto_type type);
bool crypto_is_rsa(enum crypto_type type);
/* On a curve of NIST. */
bool crypto_is_ec(enum crypto_type type);

/* An RSA key has the public exponent 65537; making one ends soon after stop, which may be NULL, has
 * become true. NULL: libcrypto cannot, or it was stopped. */
struct crypto_key *crypto_generate(enum crypto_type type, atomic_bool *stop);
/* An RSA key from its primes and public exponent, big endian. NULL: they make no such key. */
struct crypto_key *crypto_import_rsa(enum crypto_type type, const uint8_t *e, size_t e_len,
	const uint8_t *p, size_t p_len, const uint8_t *q, size_t q_len);
/* A key on a curve from its private scalar: big endian on curves of NIST, else the string of RFC
 * 8032 or RFC 7748. NULL: it is no such key. */
struct crypto_key *crypto_import_scalar(enum crypto_type type, const uint8_t *d, size_t len);
void crypto_free(struct crypto_key *key);

enum crypto_type crypto_key_type(const struct crypto_key *key);

/* The private key for the state, PKCS #8 in DER. Returns its length; 0: it failed. */
size_t crypto_save(const struct crypto_key *key, uint8_t out[CRYPTO_PRIVATE_MAX]);
/* NULL: no such key. */
struct crypto_key *crypto_load(const uint8_t *der, size_t len);

/* Modulus (crypto_size() bytes) and exponent of an RSA key. Returns the exponent's length; 0: it
 * failed. */
size_t crypto_public_rsa(const struct crypto_key *key, uint8_t modulus[CRYPTO_RSA_MAX],
	uint8_t exponent[CRYPTO_EXPONENT_MAX]);
/* 04 X Y on curves of NIST, else the raw key. Returns its length; 0: it failed. */
size_t crypto_public_point(const struct crypto_key *key, uint8_t out[CRYPTO_POINT_MAX]);

/* The private operation of RSA on as many bytes as the modulus has. False: too large a number. */
bool crypto_rsa_private(const struct crypto_key *key, const uint8_t *in, size_t len, uint8_t *out);
/* EMSA-PKCS1-v1_5 around a DigestInfo, signed (RFC 8017 §9.2). Returns the length; 0: it does not
 * fit. */
size_t crypto_rsa_sign(const struct crypto_key *key, const uint8_t *digest_info, size_t len,
	uint8_t out[CRYPTO_SIGNATURE_MAX]);
/* RSAES-PKCS1-v1_5 taken off (RFC 8017 §7.2.2), at most the size of the modulus. False: it was
 * not there. */
bool crypto_rsa_decrypt(
	const struct crypto_key *key, const uint8_t *in, size_t len, uint8_t *out, size_t *out_len);
/* ECDSA over a digest. Returns the length; 0: it failed. */
size_t crypto_ecdsa_der(const struct crypto_key *key, const uint8_t *digest, size_t len,
	uint8_t out[CRYPTO_SIGNATURE_MAX]);
/* The same as r and s, each as long as a coordinate. */
size_t crypto_ecdsa_raw(const struct crypto_key *key, const uint8_t *digest, size_t len,
	uint8_t out[CRYPTO_SIGNATURE_MAX]);
/* Ed25519 over a message: 64 bytes. Returns the length; 0: it failed. */
size_t crypto_eddsa(const struct crypto_key *key, const uint8_t *message, size_t len,
	uint8_t out[CRYPTO_SIGNATURE_MAX]);
/* X coordinate, or X25519's result, shared with the peer's public point, as crypto_public_point()
 * gives it. Returns the length; 0: no such point. */
size_t crypto_ecdh(const struct crypto_key *key, const uint8_t *point, size_t len,
	uint8_t out[CRYPTO_POINT_MAX]);

enum crypto_cipher {
	CRYPTO_3DES,
	CRYPTO_AES128,
	CRYPTO_AES192,
	CRYPTO_AES256,
};

size_t crypto_cipher_key(enum crypto_cipher cipher);   /* bytes of its key: 24, 16, 24, 32 */
size_t crypto_cipher_block(enum crypto_cipher cipher); /* bytes of a block: 8, 16 */
/* One block. False: libcrypto cannot. */
bool crypto_block(enum crypto_cipher cipher, bool encrypt, const uint8_t *key, const uint8_t *in,
	uint8_t *out);

bool crypto_sha1(const uint8_t *data, size_t len, uint8_t out[CRYPTO_SHA1]);
bool crypto_sha256(const uint8_t *data, size_t len, uint8_t out[CRYPTO_SHA256]);
bool crypto_random(uint8_t *out, size_t len);
/* Whether they are equal, in a time that tells nothing. */
bool crypto_equal(const void *a, const void *b, size_t len);

/* From now on everything random in this process follows from the seed: cards can be had again. */
bool crypto_seed(const char *seed);

/* Where crypto_seed() has been used: what is random in this thread follows from these bytes, from now
 * on, and nothing of it is taken from other threads. */
void crypto_seed_thread(const uint8_t seed[CRYPTO_SHA256]);

#endif
