/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `vreader run`: a command with readers, cards and a private PC/SC daemon in a temporary folder, as
 * an ordinary user.
 *
 * This process serves the readers and watches two children: the daemon, in a session of its own,
 * and the command, in ours, so that a terminal's signals reach it as if it ran alone. The folder
 * holds all sockets, is closed to others, and goes with the command.
 */
#ifndef CARDWIRE_VREADER_RUN_H
#define CARDWIRE_VREADER_RUN_H

#include "vreader/options.h"

/* Exit status when it isn't the command's own, as env(1) has it. */
enum {
	RUN_FAILED = 125,
	RUN_NOT_EXECUTABLE = 126,
	RUN_NOT_FOUND = 127,
};

/* Returns the command's exit status, or ends by the signal that ended the command. */
int run(const struct options *options);

#endif
