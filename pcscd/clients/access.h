/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_PCSCD_ACCESS_H
#define CARDWIRE_PCSCD_ACCESS_H

/*
 * Who may use readers.
 *
 * In this order: root and the daemon's own user may; whoever an --allow rule names may; everybody
 * else may if polkit says so (actions org.debian.pcsc-lite.access_pcsc, and .access_card with the
 * reader's name as detail "reader"). Where polkit is switched off (--disable-polkit) everybody
 * may, unless there are --allow rules. Where there is no D-Bus or no polkit nobody else may, and
 * one line says so.
 *
 * polkit is asked asynchronously by a thread of this module, which exists from the first question
 * on. A process is named to polkit by pid, uid and start time, so that one that takes over the pid
 * of a client is not taken for it.
 *
 * A denial is one log line with the action, the client and the remedy; the same program and user
 * are named once in ACCESS_QUIET_S seconds.
 */

#include <stdint.h>

#include "pcscd/clients/server.h"
#include "pcscd/options.h"

#define ACCESS_QUIET_S  60  /* between lines about the same program, user and action */
#define ACCESS_ANSWER_S 120 /* for polkit's answer, a password that is typed in included */

struct access;

/*
 * The rules of `options`, which must outlive it. `verdict` is called from the module's thread for
 * each question that was answered ACCESS_PENDING. NULL if memory is short.
 */
struct access *access_open(
	const struct options *options, void (*verdict)(uint64_t ticket, bool allowed));

/*
 * May the peer of the connected socket `peer_fd` do that? `reader` is NULL for ACCESS_PCSC. Any
 * thread; never waits.
 */
enum access_verdict access_check(struct access *access, const struct peer *peer, int peer_fd,
	enum access_action action, const char *reader, uint64_t ticket);

/*
 * Nobody waits for the verdict on the ticket any more: the user isn't asked for a password for it.
 * The verdict may come all the same. Any thread; never waits.
 */
void access_cancel(struct access *access, uint64_t ticket);

/* Ends the thread; what is still pending gets no verdict any more. NULL is allowed. */
void access_close(struct access *access);

#endif
