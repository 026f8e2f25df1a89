/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The threads that do the daemon's work, and the one epoll instance they wait in.
 *
 * Leader and follower: the thread that is told that a descriptor is ready handles it itself, calls
 * into drivers included; another one takes its place in epoll. Before a call that may block
 * (pool_will_block()) the pool makes sure that such another one waits, and starts it if need be;
 * while nobody blocks, one thread does it all.
 * So the number of threads is that of the calls inside drivers, and a few; those that are
 * not needed end after a while. Idle connections need none.
 *
 * Tasks are work that a thread has for later or for another: pool_submit(). A task that a pool
 * thread submits runs on that very thread when it has finished what it is doing, unless it blocks
 * before; then another thread takes it.
 */
#ifndef CARDWIRE_PCSCD_POOL_H
#define CARDWIRE_PCSCD_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Embedded in what it works on. It is in at most one queue: not submitted again before it runs. */
struct pool_task {
	struct pool_task *next;
	void (*run)(struct pool_task *task);
};

/* Room for one request of any size, and for one answer of a driver (MAX_BUFFER_SIZE_EXTENDED). */
#define POOL_BUFFER_IN  ((size_t)66 * 1024)
#define POOL_BUFFER_OUT ((size_t)66 * 1024)

/* Each pool thread has one pair; what is in it does not outlive the handling of one event. They are
 * aligned for any structure. */
struct pool_buffers {
	_Alignas(max_align_t) uint8_t in[POOL_BUFFER_IN];
	_Alignas(max_align_t) uint8_t out[POOL_BUFFER_OUT];
};

/*
 * Creates the epoll instance and the first threads. ready() is called on a pool thread for each
 * descriptor that has events (EPOLL… bits). Returns 0, or -1 with errno.
 */
int pool_start(void (*ready)(uint64_t key, uint32_t events));

/*
 * Watches a descriptor, with the given EPOLL… events; key (not 0) is handed to ready(). Returns 0
 * or -1 with errno. A descriptor is forgotten when it is closed; an event of it that
 * another thread has already fetched may still be told, so keys must not be reused.
 */
int pool_watch(int fd, uint64_t key, uint32_t events);
/* Changes the events of a watched descriptor; those which hold already are told again. */
int pool_rewatch(int fd, uint64_t key, uint32_t events);

/* Runs the task soon on a pool thread. From any thread; never blocks. */
void pool_submit(struct pool_task *task);

/* A pool thread is about to block in a driver; harmless on another thread. */
void pool_will_block(void);

/* This pool thread's buffers; NULL on another thread. */
struct pool_buffers *pool_buffers(void);

/*
 * Ends the threads; tasks that are queued run before. Returns false if some are still in drivers
 * at the deadline (absolute ns); they end when they come back.
 */
bool pool_stop(int64_t deadline);

#endif
