/* SPDX-License-Identifier: BSD-3-Clause */
/* RAND_set_rand_method() is the one way to hand libcrypto our numbers, and marked as deprecated. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <openssl/rand.h>
#include <pthread.h>
#include <string.h>

#include "vreader/bytes.h"
#include "vreader/cards/crypto.h"

/* SHA-256 of the seed's hash and a counter, block by block. Keys may be made in a thread. */
static struct {
	pthread_mutex_t lock;
	uint8_t block[CRYPTO_SHA256 + 4];
	uint32_t counter;
} seeded = { .lock = PTHREAD_MUTEX_INITIALIZER };

static int seeded_bytes(unsigned char *out, int len)
{
	uint8_t hash[CRYPTO_SHA256];
	bool ok = true;

	pthread_mutex_lock(&seeded.lock);
	for (size_t left = (size_t)len; ok && left;) {
		size_t n = left < sizeof(hash) ? left : sizeof(hash);

		put_be32(seeded.block + CRYPTO_SHA256, seeded.counter++);
		ok = crypto_sha256(seeded.block, sizeof(seeded.block), hash);
		memcpy(out, hash, n);
		out += n;
		left -= n;
	}
	pthread_mutex_unlock(&seeded.lock);
	return ok;
}

static int seeded_status(void)
{
	return 1;
}

bool crypto_seed(const char *seed)
{
	static const RAND_METHOD method = {
		.bytes = seeded_bytes,
		.pseudorand = seeded_bytes,
		.status = seeded_status,
	};

	return crypto_sha256((const uint8_t *)seed, strlen(seed), seeded.block) &&
	       RAND_set_rand_method(&method) > 0;
}

bool crypto_random(uint8_t *out, size_t len)
{
	return RAND_bytes(out, (int)len) > 0;
}
