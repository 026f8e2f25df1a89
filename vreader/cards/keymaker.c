/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/cards/keymaker.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct keymaker {
	struct loop_source made; /* an eventfd */
	struct loop *loop;
	void (*done)(void *ctx);
	void *ctx;
	enum crypto_type type;
	uint8_t seed[CRYPTO_SHA256];
	pthread_t thread;
	bool running;
	atomic_bool stop;
	struct crypto_key *key; /* the thread's, until it is joined */
};

static void *work(void *arg)
{
	static const uint64_t one = 1;
	struct keymaker *maker = arg;

	crypto_seed_thread(maker->seed);
	maker->key = crypto_generate(maker->type, &maker->stop);
	/* An eventfd takes the first number at once. */
	if (write(maker->made.fd, &one, sizeof(one)) != sizeof(one))
		abort();
	return NULL;
}

static void join(struct keymaker *maker)
{
	if (!maker->running)
		return;
	pthread_join(maker->thread, NULL);
	maker->running = false;
	loop_remove(maker->loop, &maker->made);
}

static void made_ready(struct loop_source *source, uint32_t events)
{
	struct keymaker *maker = (struct keymaker *)source;

	(void)events;
	join(maker);
	maker->done(maker->ctx);
}

static bool start(struct keymaker *maker)
{
	if (maker->made.fd < 0 || !crypto_random(maker->seed, sizeof(maker->seed)) ||
		!loop_add(maker->loop, &maker->made, EPOLLIN))
		return false;
	maker->running = pthread_create(&maker->thread, NULL, work, maker) == 0;
	if (!maker->running)
		loop_remove(maker->loop, &maker->made);
	return maker->running;
}

struct keymaker *keymaker_new(
	struct loop *loop, enum crypto_type type, void (*done)(void *ctx), void *ctx)
{
	struct keymaker *maker = calloc(1, sizeof(*maker));

	if (!maker)
		return NULL;
	*maker = (struct keymaker){ .loop = loop, .done = done, .ctx = ctx, .type = type };
	maker->made = (struct loop_source){ eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), made_ready };
	if (start(maker))
		return maker;
	keymaker_free(maker);
	return NULL;
}

struct crypto_key *keymaker_take(struct keymaker *maker)
{
	struct crypto_key *key = maker->running ? NULL : maker->key;

	if (key)
		maker->key = NULL;
	return key;
}

void keymaker_free(struct keymaker *maker)
{
	if (!maker)
		return;
	atomic_store(&maker->stop, true);
	join(maker);
	if (maker->made.fd >= 0)
		close(maker->made.fd);
	crypto_free(maker->key);
	explicit_bzero(maker->seed, sizeof(maker->seed));
	free(maker);
}
