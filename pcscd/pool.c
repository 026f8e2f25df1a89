/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/pool.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>
#if __has_include(<sys/rseq.h>)
#include <sys/rseq.h>
#endif

#include "pcscd/clock.h"
#include "pcscd/log.h"

#define THREADS_KEPT 2                 /* stay for ever */
#define THREADS_MAX  4096              /* more would mean a fault of ours */
#define SURPLUS_MS   500               /* others end after so long without work */
#define STACK_BYTES  ((size_t)1 << 20) /* drivers put whole APDUs on the stack */
#define WAKE_KEY     UINT64_C(0)
#define CALM_EVENTS  64 /* in a row that nobody blocked for: then one waiting thread will do */

struct queue {
	struct pool_task *first;
	struct pool_task **end;
};

struct worker {
	struct queue mine; /* tasks this thread submitted and no other has taken */
	bool blocked;      /* it may be in a driver */
	struct pool_buffers buffers;
};

static struct {
	int epoll;
	int wake; /* eventfd: each write wakes one waiting thread; never read */
	void (*ready)(uint64_t key, uint32_t events);
	atomic_uint waiting; /* threads in epoll_wait() */
	atomic_uint threads;
	atomic_uint blocked;             /* of them, in drivers as far as we know */
	atomic_uint calm;                /* events since a thread last was about to block */
	_Atomic(struct worker *) parked; /* waits outside of epoll; changed under the lock */
	atomic_bool stopping;
	atomic_bool shared_any; /* a hint that shared is not empty */
	pthread_mutex_t lock;   /* the queue, and the leaving of threads */
	pthread_cond_t ended;   /* the last thread has left */
	pthread_cond_t unparked;
	struct queue shared;
} pool = {
	.epoll = -1,
	.wake = -1,
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.ended = PTHREAD_COND_INITIALIZER,
	.unparked = PTHREAD_COND_INITIALIZER,
};

static _Thread_local struct worker *self;

static void queue_init(struct queue *queue)
{
	queue->first = NULL;
	queue->end = &queue->first;
}

static void queue_push(struct queue *queue, struct pool_task *task)
{
	task->next = NULL;
	*queue->end = task;
	queue->end = &task->next;
}

static struct pool_task *queue_pop(struct queue *queue)
{
	struct pool_task *task = queue->first;

	if (!task)
		return NULL;
	queue->first = task->next;
	if (!queue->first)
		queue->end = &queue->first;
	return task;
}

static void wake_one(void)
{
	uint64_t one = 1;

	/* It can't fail: the counter would have to be at its limit, which 64 bits never reach. */
	if (write(pool.wake, &one, sizeof(one)) < 0)
		log_line(PCSC_LOG_CRITICAL, "pool: eventfd: %s", strerror(errno));
}

static struct pool_task *take_shared(void)
{
	struct pool_task *task;

	if (!atomic_load(&pool.shared_any))
		return NULL;
	pthread_mutex_lock(&pool.lock);
	task = queue_pop(&pool.shared);
	atomic_store(&pool.shared_any, pool.shared.first != NULL);
	pthread_mutex_unlock(&pool.lock);
	return task;
}

static struct pool_task *take_task(void)
{
	struct pool_task *task = queue_pop(&self->mine);

	return task ? task : take_shared();
}

/*
 * Will there be a thread in epoll without this one? One that runs will, unless it blocks before, and
 * then it finds another (pool_will_block()). One that is parked has to be called.
 */
static bool is_spare(bool parked)
{
	return atomic_load(&pool.threads) > atomic_load(&pool.blocked) + (parked ? 2U : 1U);
}

/*
 * Keeps this thread out of epoll while another one will do. A client that has its answer may ask
 * again before the thread that answered is back in epoll; a second one there would then be woken
 * for nothing, each time. Returns false if this one is needed.
 */
static bool park(void)
{
	bool parked = false;

	if (!is_spare(false))
		return false;
	pthread_mutex_lock(&pool.lock);
	if (!atomic_load(&pool.parked) && !atomic_load(&pool.stopping)) {
		/* A thread that blocks counts itself first and then looks here: one sees the other. */
		atomic_store(&pool.parked, self);
		parked = is_spare(false);
		if (!parked)
			atomic_store(&pool.parked, NULL);
		while (atomic_load(&pool.parked) == self)
			pthread_cond_wait(&pool.unparked, &pool.lock);
	}
	pthread_mutex_unlock(&pool.lock);
	return parked;
}

/* Returns false if no thread is parked. */
static bool unpark(void)
{
	bool parked;

	if (!atomic_load(&pool.parked))
		return false;
	pthread_mutex_lock(&pool.lock);
	parked = atomic_exchange(&pool.parked, NULL) != NULL;
	pthread_cond_broadcast(&pool.unparked);
	pthread_mutex_unlock(&pool.lock);
	return parked;
}

static void count_calm(void)
{
	unsigned calm = atomic_load_explicit(&pool.calm, memory_order_relaxed);

	/* Other threads may count at the same time; it does not matter much. */
	if (calm < CALM_EVENTS)
		atomic_store_explicit(&pool.calm, calm + 1, memory_order_relaxed);
}

/*
 * Waits for one event and handles it. Returns false if this thread is not needed: it has waited
 * in vain, and another waits.
 */
static bool wait_event(void)
{
	bool kept = atomic_load(&pool.threads) <= THREADS_KEPT;
	struct epoll_event event;
	int n;

	if (atomic_load_explicit(&pool.calm, memory_order_relaxed) == CALM_EVENTS && park())
		return true;
	atomic_fetch_add(&pool.waiting, 1);
	n = epoll_wait(pool.epoll, &event, 1, kept ? -1 : SURPLUS_MS);
	if (atomic_fetch_sub(&pool.waiting, 1) > 1 && n == 0)
		return false;
	if (n == 1 && event.data.u64 != WAKE_KEY) {
		count_calm();
		pool.ready(event.data.u64, event.events);
	}
	return true;
}

/* Counts this thread out, unless it is one of those kept, or needed (and may stay). */
static bool leave(bool may_stay)
{
	bool leaves;

	pthread_mutex_lock(&pool.lock);
	leaves = !may_stay || (atomic_load(&pool.threads) > THREADS_KEPT &&
				      is_spare(atomic_load(&pool.parked) != NULL));
	if (leaves && atomic_fetch_sub(&pool.threads, 1) == 1)
		pthread_cond_broadcast(&pool.ended);
	pthread_mutex_unlock(&pool.lock);
	return leaves;
}

/* This thread is back from what it may have blocked in. */
static void note_back(void)
{
	if (self->blocked)
		atomic_fetch_sub(&pool.blocked, 1);
	self->blocked = false;
}

/*
 * The C library has the kernel tell each thread, at every switch to it, which CPU it is on
 * (restartable sequences, <sys/rseq.h>). Nobody here asks, and a short request is little more than
 * two switches: without, it takes 2 % less time. If the kernel refuses, nothing is lost.
 */
static void forget_cpu(void)
{
#if defined(RSEQ_SIG) && __has_builtin(__builtin_thread_pointer)
	char *thread = __builtin_thread_pointer();

	if (__rseq_size > 0)
		syscall(SYS_rseq, thread + __rseq_offset, sizeof(struct rseq), RSEQ_FLAG_UNREGISTER,
			RSEQ_SIG);
#endif
}

static void *worker_main(void *arg)
{
	self = arg;
	forget_cpu();
	for (;;) {
		struct pool_task *task = take_task();

		note_back();
		if (task)
			task->run(task);
		else if (atomic_load(&pool.stopping))
			break;
		else if (!wait_event() && leave(true))
			goto out;
	}
	/* The wake-up that stops the pool is handed on from thread to thread. */
	wake_one();
	leave(false);
out:
	explicit_bzero(&self->buffers, sizeof(self->buffers));
	free(self);
	self = NULL;
	return NULL;
}

static int start_worker(void)
{
	struct worker *worker = malloc(sizeof(*worker));
	pthread_attr_t attr;
	pthread_t thread;
	int error;

	if (!worker)
		return ENOMEM;
	queue_init(&worker->mine);
	worker->blocked = false;
	atomic_fetch_add(&pool.threads, 1);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	error = pthread_create(&thread, &attr, worker_main, worker);
	pthread_attr_destroy(&attr);
	if (error) {
		atomic_fetch_sub(&pool.threads, 1);
		free(worker);
	}
	return error;
}

int pool_start(void (*ready)(uint64_t key, uint32_t events))
{
	int error = 0;

	pool.ready = ready;
	queue_init(&pool.shared);
	atomic_store(&pool.stopping, false);
	pool.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (pool.epoll < 0)
		return -1;
	pool.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pool.wake < 0 || pool_watch(pool.wake, WAKE_KEY, EPOLLIN | EPOLLET) < 0)
		return -1;
	for (int i = 0; i < THREADS_KEPT && !error; i++)
		error = start_worker();
	errno = error;
	return error ? -1 : 0;
}

int pool_watch(int fd, uint64_t key, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.u64 = key };

	return epoll_ctl(pool.epoll, EPOLL_CTL_ADD, fd, &event);
}

int pool_rewatch(int fd, uint64_t key, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.u64 = key };

	return epoll_ctl(pool.epoll, EPOLL_CTL_MOD, fd, &event);
}

void pool_submit(struct pool_task *task)
{
	if (self) {
		queue_push(&self->mine, task);
		return;
	}
	pthread_mutex_lock(&pool.lock);
	queue_push(&pool.shared, task);
	atomic_store(&pool.shared_any, true);
	pthread_mutex_unlock(&pool.lock);
	wake_one();
}

/* Lets the others have what this thread has no time for. */
static void share_tasks(void)
{
	struct pool_task *task;

	if (self->mine.first) {
		pthread_mutex_lock(&pool.lock);
		while ((task = queue_pop(&self->mine)))
			queue_push(&pool.shared, task);
		atomic_store(&pool.shared_any, true);
		pthread_mutex_unlock(&pool.lock);
	}
	if (atomic_load(&pool.shared_any))
		wake_one();
}

void pool_will_block(void)
{
	int error;

	if (!self)
		return;
	atomic_store_explicit(&pool.calm, 0, memory_order_relaxed);
	if (!self->blocked)
		atomic_fetch_add(&pool.blocked, 1);
	self->blocked = true;
	if (atomic_load(&pool.waiting) == 0 && !unpark() &&
		atomic_load(&pool.threads) < THREADS_MAX) {
		error = start_worker();
		if (error)
			log_line(
				PCSC_LOG_ERROR, "cannot start another thread: %s", strerror(error));
	}
	share_tasks();
}

struct pool_buffers *pool_buffers(void)
{
	return self ? &self->buffers : NULL;
}

bool pool_stop(int64_t deadline)
{
	struct timespec ts = clock_timespec(deadline);
	bool ended;

	/* Under the lock, so that no thread parks that has not seen it. */
	pthread_mutex_lock(&pool.lock);
	atomic_store(&pool.stopping, true);
	pthread_mutex_unlock(&pool.lock);
	wake_one();
	unpark();
	pthread_mutex_lock(&pool.lock);
	while (atomic_load(&pool.threads) > 0) {
		if (pthread_cond_clockwait(&pool.ended, &pool.lock, CLOCK_MONOTONIC, &ts))
			break;
	}
	ended = atomic_load(&pool.threads) == 0;
	pthread_mutex_unlock(&pool.lock);
	if (ended) {
		close(pool.epoll);
		close(pool.wake);
		pool.epoll = pool.wake = -1;
	}
	return ended;
}
