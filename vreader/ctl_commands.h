/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The commands of the control socket (ctl.h): a line of words in, the text of the answer out. One
 * thread.
 */
#ifndef CARDWIRE_VREADER_CTL_COMMANDS_H
#define CARDWIRE_VREADER_CTL_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>

#include "vreader/rack.h"

/* Does what the line says, which is changed by it; *quit becomes true if that is the end. Returns the
 * answer, *len bytes, which the caller frees; NULL without memory. */
char *ctl_run_line(struct rack *rack, bool *quit, char *line, size_t *len);

#endif
