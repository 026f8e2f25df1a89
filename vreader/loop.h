/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One thread's event loop: file descriptors through epoll, and one deadline. Sources are embedded
 * in what they belong to; the loop owns neither them nor their descriptors.
 */
#ifndef CARDWIRE_VREADER_LOOP_H
#define CARDWIRE_VREADER_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;

struct loop_source {
	int fd;
	/* events: EPOLLIN and so on. The source may be removed, and freed, inside. */
	void (*ready)(struct loop_source *source, uint32_t events);
};

/* NULL with errno set. */
struct loop *loop_new(void);
void loop_free(struct loop *loop);

/* False with errno set. */
bool loop_add(struct loop *loop, struct loop_source *source, uint32_t events);
bool loop_change(struct loop *loop, struct loop_source *source, uint32_t events);
void loop_remove(struct loop *loop, struct loop_source *source);

/* CLOCK_MONOTONIC, ns. */
int64_t loop_now(void);

/* Waits for one event or for the deadline (CLOCK_MONOTONIC ns; INT64_MAX: for ever) and handles it.
 * False on an error of the system, with errno set. */
bool loop_once(struct loop *loop, int64_t deadline);

#endif
