/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver's log: lines handed to the host's log_msg(), if the host exports it; otherwise they
 * are dropped, never written to standard error.
 *
 * Any thread may call every function here.
 *
 * Which kinds of lines are made at all is chosen by ifdLogLevel in Info.plist or by the environment
 * variable LIBCCID_ifdLogLevel, which wins: a sum of LOG_ERROR … LOG_PERIODIC, 3 by default.
 */
#ifndef CARDWIRE_CCID_LOG_H
#define CARDWIRE_CCID_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_kind {
	LOG_ERROR = 1,
	LOG_INFO = 2,
	LOG_COMM = 4,     /* APDUs and the messages of the reader */
	LOG_PERIODIC = 8, /* what happens again and again while nothing happens */
};

/* Chooses the kinds of lines that are made: a sum of enum log_kind. */
void log_set_kinds(unsigned kinds);

/* True if lines of this kind are made; for callers that would format at some cost. */
bool log_wants(enum log_kind kind);

/* Writes one line; no newline at the end of FORMAT. Cut at 1024 bytes. */
void log_line(enum log_kind kind, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Writes a command APDU (kind LOG_COMM) as hexadecimal digits after the words NAME and "->"; its
 * data field is replaced by "**" when secret_command() (iso7816/secret.h).
 */
void log_apdu(const char *name, const uint8_t *apdu, size_t len);

/* Writes a response APDU likewise, after "<-". SECRET: only its last two bytes are shown. */
void log_response(const char *name, const uint8_t *response, size_t len, bool secret);

#endif
