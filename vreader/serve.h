/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `vreader serve`: readers on sockets until a signal or `vreader ctl quit`.
 */
#ifndef CARDWIRE_VREADER_SERVE_H
#define CARDWIRE_VREADER_SERVE_H

#include "vreader/service.h"

/* ready_fd gets a newline when clients can come, then is closed; -1: none. Returns the exit status of
 * the program; says on stderr what went wrong. */
int serve(const struct service_options *options, int ready_fd);

#endif
