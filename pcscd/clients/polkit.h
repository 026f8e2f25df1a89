/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_PCSCD_POLKIT_H
#define CARDWIRE_PCSCD_POLKIT_H

/*
 * The conversation with polkit over the system bus (org.freedesktop.PolicyKit1.Authority), by a
 * thread that runs from polkit_open() to polkit_close().
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* One question. The strings are copied. */
struct polkit_question {
	uint64_t ticket;
	pid_t pid;
	uid_t uid;
	uint64_t start_time; /* of the process, clock ticks since boot; 0: not known */
	const char *action;
	const char *reader; /* the detail "reader"; NULL: none */
};

enum polkit_answer {
	POLKIT_YES,
	POLKIT_NO,
	POLKIT_ABSENT, /* no bus, no polkit, or no answer in time */
};

/*
 * Called from the thread, once a question; `why` says what happened for POLKIT_ABSENT, and why for
 * POLKIT_NO ("" if polkit gave no reason).
 */
typedef void (*polkit_callback)(void *context, const struct polkit_question *question,
	enum polkit_answer answer, const char *why);

struct polkit;

/* Starts the thread; NULL (errno) if that fails. timeout_s: for one answer. */
struct polkit *polkit_open(polkit_callback callback, void *context, unsigned timeout_s);

/* Asks; any thread, never waits. False if memory is short: there is no callback then. */
bool polkit_ask(struct polkit *polkit, const struct polkit_question *question);

/*
 * Takes the questions with this ticket back: polkit asks nobody for a password any more, and there
 * is no callback, unless it is under way already. Any thread, never waits.
 */
void polkit_cancel(struct polkit *polkit, uint64_t ticket);

/* Ends the thread; questions still open are answered POLKIT_ABSENT before it returns. */
void polkit_close(struct polkit *polkit);

#endif
