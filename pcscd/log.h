/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_PCSCD_LOG_H
#define CARDWIRE_PCSCD_LOG_H

/*
 * The daemon's log: one line at a time, to standard output (foreground), to syslog, or to the
 * journal with fields (READER, CLIENT_PID) for what a line is about.
 *
 * Any thread may call every function here. Levels are those of <debuglog.h>: PCSC_LOG_DEBUG (0),
 * PCSC_LOG_INFO, PCSC_LOG_ERROR, PCSC_LOG_CRITICAL. A line is shown if its level is at least the
 * threshold. Drivers reach the same log through the exported log_msg(), log_xxd(), log_msg_rv()
 * and DebugLogSetLevel(), declared in <debuglog.h>.
 *
 * Secrets: hexadecimal dumps, log_xxd() of drivers included, are masked by secret_span()
 * (iso7816/secret.h): the data of commands that carry PINs or keys is written as "**". Of APDUs more
 * is known: what secret_command() means is masked, secure messaging too, and its response. There is
 * no option to turn that off.
 *
 * Flood control: a line (INFO or above) that repeats literally more than LOG_BURST times within
 * LOG_WINDOW_S seconds is held back; when the window has passed the number held back is logged.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <debuglog.h>

#define LOG_BURST    5 /* equal lines within a window that are written */
#define LOG_WINDOW_S 5 /* seconds */

enum log_sink {
	LOG_SINK_STDOUT, /* microseconds since the previous line, then the text; flushed per line */
	LOG_SINK_PLAIN,  /* standard output, the text alone */
	LOG_SINK_SYSLOG, /* severity follows the level */
	LOG_SINK_JOURNAL,
};

enum log_colour {
	LOG_COLOUR_AUTO, /* if standard output is a terminal that is known to show colours */
	LOG_COLOUR_ON,
};

struct log_config {
	enum log_sink sink;
	enum log_colour colour; /* LOG_SINK_STDOUT only */
	int level;              /* threshold, PCSC_LOG_… */
	bool apdu;              /* the APDU category is written (masked), whatever the threshold */
};

/* Chooses sink and threshold. Before it is called: standard output, errors only. */
void log_open(const struct log_config *config);

/* Writes what flood control still holds back and closes the sink; lines after it are dropped. */
void log_close(void);

/* Writes one line; no newline at the end of `format`. A line is cut at 2048 bytes. */
void log_line(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * What the lines of the calling thread are about from now on, for the journal: the reader's name
 * and the client's process. `reader` must stay valid until it is replaced; NULL and 0 are nobody.
 * log_about_reader() returns what was said before, to be said again.
 */
const char *log_about_reader(const char *reader);
void log_about_client(pid_t pid);

/* True if standard output is a stream to the journal, as the service manager sets it up. */
bool log_stdout_is_journal(void);

/* True if a line of `level` would be written; for callers that would format at some cost. */
bool log_wants(int level);

/* True if the APDU category is on. */
bool log_wants_apdu(void);

/*
 * The APDU category: the command as sent to `reader`, and the answer to it. SECRET, as of
 * secret_exchange(): the data of both is masked. Nothing is done when the category is off.
 */
void log_apdu(const char *reader, const uint8_t *command, size_t length, bool secret);
void log_answer(const char *reader, const uint8_t *answer, size_t length, bool secret);

/*
 * Formats `bytes` as "AA BB **" into `text` (`size` bytes, always terminated), secrets masked,
 * cut with "…" if it doesn't fit. Returns the length of the text. Pure.
 */
size_t log_hex(char *text, size_t size, const uint8_t *bytes, size_t length);

#endif
