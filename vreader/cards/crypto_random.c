/* SPDX-License-Identifier: BSD-3-Clause */
/* RAND_set_rand_method() is the one way to hand libcrypto our numbers, and marked as deprecated. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <openssl/rand.h>
#include <pthread.h>
#include <string.h>

#include "vreader/bytes.h"
#include "vreader/cards/crypto.h"

/* SHA-256 of the seed's hash and a counter, block by block. */
struct stream {
	uint8_t block[CRYPTO_SHA256 + 4];
	uint32_t counter;
};

/* The process's, which libcrypto may draw from in any thread, and those of threads that make keys. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct stream common;
static _Thread_local struct stream own;
static _Thread_local bool has_own;

static bool draw(struct stream *s, uint8_t *out, size_t left)
{
	uint8_t hash[CRYPTO_SHA256];

	while (left) {
		size_t n = left < sizeof(hash) ? left : sizeof(hash);

		put_be32(s->block + CRYPTO_SHA256, s->counter++);
		if (!crypto_sha256(s->block, sizeof(s->block), hash))
			return false;
		memcpy(out, hash, n);
		out += n;
		left -= n;
	}
	return true;
}

static int seeded_bytes(unsigned char *out, int len)
{
	bool ok;

	if (has_own)
		return draw(&own, out, (size_t)len);
	pthread_mutex_lock(&lock);
	ok = draw(&common, out, (size_t)len);
	pthread_mutex_unlock(&lock);
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

	common.counter = 0;
	return crypto_sha256((const uint8_t *)seed, strlen(seed), common.block) &&
	       RAND_set_rand_method(&method) > 0;
}

void crypto_seed_thread(const uint8_t seed[CRYPTO_SHA256])
{
	own = (struct stream){ 0 };
	memcpy(own.block, seed, CRYPTO_SHA256);
	has_own = true;
}

bool crypto_random(uint8_t *out, size_t len)
{
	return RAND_bytes(out, (int)len) > 0;
}
