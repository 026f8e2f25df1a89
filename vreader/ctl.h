/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control socket of a running server: one line of words comes in, "ok" or "error TEXT" goes
 * out, then any lines of answer, then the connection ends.
 */
#ifndef CARDWIRE_VREADER_CTL_H
#define CARDWIRE_VREADER_CTL_H

#include <stdbool.h>

#include "vreader/loop.h"
#include "vreader/rack.h"

enum {
	CTL_LINE_MAX = 1024, /* bytes of a line, its end included */
};

struct ctl;

/* Takes over the listening socket. *quit becomes true when a client asks for the end. */
struct ctl *ctl_new(struct loop *loop, struct rack *rack, int fd, bool *quit);
void ctl_free(struct ctl *ctl);

/* The other end: sends the words up to a NULL, prints the answer. Returns the exit status of the
 * program. */
int ctl_client(const char *path, char *const words[]);

#endif
