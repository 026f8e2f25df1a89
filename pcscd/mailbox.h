/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_PCSCD_MAILBOX_H
#define CARDWIRE_PCSCD_MAILBOX_H

/*
 * What other threads tell the main loop: devices that came up or went, the last client that left.
 * Any thread posts; the main loop takes. Messages keep their order.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pcscd/readers/readers.h"

enum mail_kind {
	MAIL_UP,   /* the device `id` is up */
	MAIL_GONE, /* the device `id` is gone: `why`, `was_up` */
	MAIL_IDLE, /* the last client left */
	MAIL_BUSY, /* the first client came */
};

struct mail {
	enum mail_kind kind;
	uint64_t id;
	enum readers_end why;
	bool was_up;
};

struct mailbox;

/* NULL with errno if memory or descriptors are short. */
struct mailbox *mailbox_new(void);

/* Frees it; nobody may post any more. NULL is allowed. */
void mailbox_free(struct mailbox *mailbox);

/* A descriptor that is readable while there is mail. */
int mailbox_fd(const struct mailbox *mailbox);

/* Leaves a message. If memory is short it is dropped, with an error line. */
void mailbox_post(struct mailbox *mailbox, struct mail mail);

/* Takes all messages; the caller frees the array. Returns their number, with *mail NULL if 0. */
size_t mailbox_take(struct mailbox *mailbox, struct mail **mail);

#endif
