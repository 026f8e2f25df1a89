/* SPDX-License-Identifier: BSD-3-Clause */
/* What the daemon is built on: random ids, waiters for events, the threads, and their timers. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "suite.h"
#include "pcscd/cards/events.h"
#include "pcscd/clients/ids.h"
#include "pcscd/pool.h"
#include "pcscd/clock.h"
#include "pcscd/timers.h"

#define SOON_NS (20 * CLOCK_S) /* for what must come */
#define IDS     5000
#define TIMERS  200
#define TASKS   100
#define FD_KEY  UINT64_C(77)

#define CALM_ROUNDS 20
#define CALM_EVENTS 100 /* more than the pool counts */

/* A count that threads raise and a test waits for. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned value;
	uint64_t order[TIMERS];
} tally = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void note(uint64_t key)
{
	pthread_mutex_lock(&tally.lock);
	tally.order[tally.value++ % TIMERS] = key;
	pthread_cond_broadcast(&tally.changed);
	pthread_mutex_unlock(&tally.lock);
}

static void await_tally(unsigned value)
{
	struct timespec until = clock_timespec(clock_now() + SOON_NS);
	int error = 0;

	pthread_mutex_lock(&tally.lock);
	while (tally.value < value && !error)
		error = pthread_cond_clockwait(
			&tally.changed, &tally.lock, CLOCK_MONOTONIC, &until);
	ck_assert_uint_eq(tally.value, value);
	pthread_mutex_unlock(&tally.lock);
}

static void ready(uint64_t key, uint32_t events)
{
	(void)events;
	if (key == TIMERS_KEY)
		timers_run();
	else
		note(key);
}

static void start(void)
{
	tally.value = 0;
	ck_assert_int_eq(pool_start(ready), 0);
	ck_assert_int_eq(timers_start(), 0);
}

static void stop(void)
{
	ck_assert(pool_stop(clock_now() + SOON_NS));
	timers_stop();
}

/* Each id is found, and no other, however the table grows and shrinks around it. */
START_TEST(test_ids)
{
	static struct ids ids = IDS_INITIALIZER;
	static uint32_t all[IDS];

	ck_assert_uint_eq(ids_find(&ids, 1), 0);
	ids_drop(&ids, 1);
	for (size_t i = 0; i < IDS; i++) {
		all[i] = ids_new(&ids, i + 1);
		ck_assert_uint_ne(all[i], 0);
		ck_assert_uint_le(all[i], 0x7FFFFFFF);
	}
	ck_assert_uint_eq(ids.used, IDS);
	for (size_t i = 0; i < IDS; i += 2)
		ids_drop(&ids, all[i]);
	ids_drop(&ids, all[0]);
	ids_drop(&ids, 0);
	ck_assert_uint_eq(ids.used, IDS / 2);
	for (size_t i = 0; i < IDS; i++)
		ck_assert_uint_eq(ids_find(&ids, all[i]), i % 2 ? i + 1 : 0);
	for (size_t i = 1; i < IDS; i += 2)
		ids_drop(&ids, all[i]);
	ck_assert_uint_eq(ids.used, 0);
	free(ids.entries);
}
END_TEST

struct waiter {
	struct events_waiter events;
	unsigned woken;
};

static void wake(struct events_waiter *waiter)
{
	((struct waiter *)(void *)waiter)->woken++;
}

/* Each event reaches who asked for it, and others only where two names share a bit. */
START_TEST(test_events)
{
	static const char name[] = "Reader 00 00";
	char other[] = "Reader 01 00";
	struct waiter any = { { .kinds = EVENTS_ANY, .wake = wake }, 0 };
	struct waiter readers = { { .kinds = EVENTS_READERS, .wake = wake }, 0 };
	struct waiter settled = { { .kinds = EVENTS_SETTLED, .wake = wake }, 0 };
	struct waiter named = { { .kinds = EVENTS_NAMED, .names = events_name(name), .wake = wake },
		0 };
	unsigned count = events_count();

	while (events_name(other) == events_name(name))
		other[0]++;
	events_register(&any.events);
	events_register(&readers.events);
	events_register(&settled.events);
	events_register(&named.events);
	events_raise(name);
	events_raise(other);
	ck_assert_uint_eq(any.woken, 2);
	ck_assert_uint_eq(named.woken, 1);
	ck_assert_uint_eq(readers.woken + settled.woken, 0);
	events_raise_reader(other);
	events_raise_settled();
	ck_assert_uint_eq(any.woken, 3);
	ck_assert_uint_eq(named.woken, 1);
	ck_assert_uint_eq(readers.woken, 1);
	ck_assert_uint_eq(settled.woken, 1);
	ck_assert_uint_eq(events_count(), count + 3);
	events_unregister(&readers.events);
	events_unregister(&readers.events);
	events_unregister(&any.events);
	events_raise_reader(name);
	ck_assert_uint_eq(any.woken + readers.woken, 4);
	ck_assert_uint_eq(named.woken, 2);
	events_unregister(&named.events);
	events_unregister(&settled.events);
	events_raise_reader(name);
	ck_assert_uint_eq(named.woken, 2);
}
END_TEST

/* All that are set fire once, the earlier ones first; those which were cancelled never. */
START_TEST(test_timers)
{
	static struct timer timers[TIMERS];
	int64_t base = clock_now() + 2 * CLOCK_S; /* late enough to set them all before */
	unsigned set = 0;

	memset(timers, 0, sizeof(timers));
	for (unsigned i = 0; i < TIMERS; i++) {
		timers[i].fire = note;
		timers[i].key = (i * 37) % TIMERS;
		timer_set(&timers[i], base + (int64_t)timers[i].key * 1000);
	}
	/* Set again, to the same; an earlier time counts, a later one does not. */
	for (unsigned i = 0; i < TIMERS; i += 2) {
		timer_set(&timers[i], base + CLOCK_S);
		timer_set_by(&timers[i], base + (int64_t)timers[i].key * 1000);
		timer_set_by(&timers[i], base + 2 * CLOCK_S);
	}
	for (unsigned i = 0; i < TIMERS; i++) {
		if (timers[i].key % 3 == 0) {
			timer_cancel(&timers[i]);
			timer_cancel(&timers[i]);
		} else {
			set++;
		}
	}
	await_tally(set);
	ck_assert_int_ge(clock_now(), base);
	for (unsigned i = 0, key = 0; i < set; i++, key++) {
		key += key % 3 == 0;
		ck_assert_uint_eq(tally.order[i], key);
	}
	for (unsigned i = 0; i < TIMERS; i++)
		ck_assert_int_eq(timers[i].due, 0);
}
END_TEST

/* A timer in the past fires at once; one that is set while others fire is not lost. */
static struct timer again;

static void fire_again(uint64_t key)
{
	note(key);
	if (key < 10) {
		again.key = key + 1;
		timer_set(&again, 1);
	}
}

START_TEST(test_timer_sets_itself)
{
	again = (struct timer){ .fire = fire_again };
	timer_set(&again, 0);
	await_tally(11);
	ck_assert_uint_eq(tally.order[10], 10);
}
END_TEST

struct task {
	struct pool_task pool;
	struct task *next;
	pthread_mutex_t *gate; /* it blocks here */
};

static void run(struct pool_task *pool)
{
	struct task *task = (struct task *)(void *)pool;

	ck_assert_ptr_nonnull(pool_buffers());
	if (task->next)
		pool_submit(&task->next->pool);
	if (task->gate) {
		pool_will_block();
		pthread_mutex_lock(task->gate);
		pthread_mutex_unlock(task->gate);
	}
	note(1);
}

START_TEST(test_tasks)
{
	static struct task tasks[TASKS];

	ck_assert_ptr_null(pool_buffers());
	for (size_t i = 0; i < TASKS; i++) {
		tasks[i].pool.run = run;
		tasks[i].next = NULL;
		pool_submit(&tasks[i].pool);
	}
	await_tally(TASKS);
}
END_TEST

/* However many threads block, what they have submitted is done by others. */
START_TEST(test_blocked)
{
	static struct task blocked[20], follow[20];
	pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&gate);
	for (size_t i = 0; i < 20; i++) {
		follow[i].pool.run = blocked[i].pool.run = run;
		blocked[i].next = &follow[i];
		blocked[i].gate = &gate;
		pool_submit(&blocked[i].pool);
	}
	await_tally(20);
	pthread_mutex_unlock(&gate);
	await_tally(40);
}
END_TEST

/* A descriptor is told of once for each change, with its key. */
START_TEST(test_descriptor)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	uint64_t one = 1;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, &one, sizeof(one)), sizeof(one));
	ck_assert_int_eq(pool_watch(fd, FD_KEY, EPOLLIN | EPOLLONESHOT), 0);
	await_tally(1);
	ck_assert_uint_eq(tally.order[0], FD_KEY);
	ck_assert_int_eq(pool_rewatch(fd, FD_KEY + 1, EPOLLIN | EPOLLONESHOT), 0);
	await_tally(2);
	ck_assert_uint_eq(tally.order[1], FD_KEY + 1);
	ck_assert_int_eq(pool_watch(fd, FD_KEY, EPOLLIN), -1);
	ck_assert_int_eq(errno, EEXIST);
	close(fd);
}
END_TEST

/* After many events that nobody blocked for fewer threads wait; one that blocks calls them back. */
START_TEST(test_calm)
{
	pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
	static struct task blocked[CALM_ROUNDS];
	int fd = eventfd(1, EFD_CLOEXEC);
	unsigned count = 0;

	ck_assert_int_eq(pool_watch(fd, FD_KEY, EPOLLIN | EPOLLONESHOT), 0);
	for (unsigned round = 0; round < CALM_ROUNDS; round++) {
		for (unsigned i = 0; i < CALM_EVENTS; i++) {
			await_tally(++count);
			ck_assert_int_eq(pool_rewatch(fd, FD_KEY, EPOLLIN | EPOLLONESHOT), 0);
		}
		await_tally(++count);
		pthread_mutex_lock(&gate);
		blocked[round].pool.run = run;
		blocked[round].gate = &gate;
		pool_submit(&blocked[round].pool);
		ck_assert_int_eq(pool_rewatch(fd, FD_KEY, EPOLLIN | EPOLLONESHOT), 0);
		await_tally(++count);
		pthread_mutex_unlock(&gate);
		await_tally(++count);
		ck_assert_int_eq(pool_rewatch(fd, FD_KEY, EPOLLIN | EPOLLONESHOT), 0);
	}
	await_tally(++count);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pool");
	TCase *tests = tcase_create("tables");

	tcase_add_test(tests, test_ids);
	tcase_add_test(tests, test_events);
	suite_add_tcase(suite, tests);
	tests = tcase_create("threads");
	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, start, stop);
	tcase_add_test(tests, test_timers);
	tcase_add_test(tests, test_timer_sets_itself);
	tcase_add_test(tests, test_tasks);
	tcase_add_test(tests, test_blocked);
	tcase_add_test(tests, test_descriptor);
	tcase_add_test(tests, test_calm);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
