/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of the cards' cryptography share: crypto_key.c (kinds of keys, making and keeping
 * them), crypto_import.c (keys from their numbers), crypto_use.c (what a private key does). Ciphers and
 * hashes (crypto_hash.c) and random numbers (crypto_random.c) know nothing of keys.
 */
#ifndef CARDWIRE_VREADER_CARDS_CRYPTO_PARTS_H
#define CARDWIRE_VREADER_CARDS_CRYPTO_PARTS_H

#include <openssl/evp.h>

#include "vreader/cards/crypto.h"

struct crypto_key {
	enum crypto_type type;
	EVP_PKEY *pkey;
};

enum crypto_family {
	CRYPTO_FAMILY_NONE,
	CRYPTO_FAMILY_RSA,
	CRYPTO_FAMILY_EC,
	CRYPTO_FAMILY_RAW, /* Ed25519, X25519 */
};

/* By libcrypto's names. */
struct crypto_kind {
	enum crypto_family family;
	size_t size; /* bytes, as of crypto_size() */
	const char *algorithm;
	const char *curve;
	int nid; /* of the curve, or of the raw key's type */
};

extern const struct crypto_kind crypto_kinds[CRYPTO_TYPES];

/* Takes pkey over; NULL gives NULL. */
struct crypto_key *crypto_wrap(enum crypto_type type, EVP_PKEY *pkey);

#endif
