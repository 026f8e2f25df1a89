/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_LIBPCSCLITE_SPY_TRACE_H
#define CARDWIRE_LIBPCSCLITE_SPY_TRACE_H

/*
 * The trace that the spy writes for pcsc-spy: lines of "THREAD@TEXT" into the FIFO $HOME/pcsc-spy
 * (/tmp/pcsc-spy without a home), in pcsc-lite's format, so that either side may be pcsc-lite's.
 *
 *   >|sec|usec|Function           a call begins; lines with its inputs follow
 *   <|sec|usec|Function|0x%08lX   it has returned; lines with its outputs stand before
 *
 * A number is "0x%08lX", a buffer its length and then its bytes ("%02X " each, "** " where they may
 * be a PIN or key), a multi-string its length and then each string, a NULL pointer "NULL".
 *
 * A program must not suffer from being watched: without a FIFO, a reader at its other end, or a
 * reader that keeps up (within TRACE_PATIENCE_MS), there is no trace, and a line on standard error
 * says so once.
 *
 * Any thread may call these functions. Lines of one call are gathered in a struct trace of the caller
 * and written in two pieces: the inputs, and the outputs.
 */

#include <stddef.h>

#include <winscard.h>

#define TRACE_PATIENCE_MS 1000

struct trace {
	const char *function;
	char *text; /* what isn't written yet; NULL if there is no memory for it */
	size_t length;
	size_t size;
};

/* Opens the FIFO. Called once. */
void trace_open(void);

/* A call of `function` begins. */
void trace_enter(struct trace *trace, const char *function);

/* The call's inputs are complete: writes them. */
void trace_call(struct trace *trace);

/* The call's outputs are complete, and it returns `rv`: writes them. Returns `rv`. */
LONG trace_leave(struct trace *trace, LONG rv);

/* One value each. `bytes`, strings and `number` may be NULL. */
void trace_long(struct trace *trace, unsigned long value);
void trace_number(struct trace *trace, const DWORD *number);
void trace_pointer(struct trace *trace, const void *pointer);
void trace_string(struct trace *trace, const char *string);
void trace_bytes(struct trace *trace, const void *bytes, size_t length);
/* `strings` has `length` bytes, and ends before that if it is well formed. */
void trace_strings(struct trace *trace, const char *strings, size_t length);

#endif
