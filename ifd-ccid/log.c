/* SPDX-License-Identifier: BSD-3-Clause */
#include "log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "iso7816/secret.h"

/* The host's log, as <debuglog.h> declares it; weak, since not every host exports it. */
extern void log_msg(const int priority, const char *fmt, ...)
	__attribute__((weak, visibility("default"), format(printf, 2, 3)));

enum {
	HOST_DEBUG = 0, /* PCSC_LOG_DEBUG … of <debuglog.h> */
	HOST_INFO = 1,
	HOST_ERROR = 2,
};

enum {
	LINE_SIZE = 1024,
	APDU_HEADER = 4,
};

static atomic_uint kinds_wanted = LOG_ERROR | LOG_INFO;

void log_set_kinds(unsigned kinds)
{
	atomic_store_explicit(&kinds_wanted, kinds, memory_order_relaxed);
}

bool log_wants(enum log_kind kind)
{
	return log_msg && (atomic_load_explicit(&kinds_wanted, memory_order_relaxed) & kind);
}

static int host_level(enum log_kind kind)
{
	switch (kind) {
	case LOG_ERROR:
		return HOST_ERROR;
	case LOG_INFO:
		return HOST_INFO;
	default:
		return HOST_DEBUG;
	}
}

void log_line(enum log_kind kind, const char *format, ...)
{
	char line[LINE_SIZE];
	va_list ap;

	if (!log_wants(kind))
		return;
	va_start(ap, format);
	vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	log_msg(host_level(kind), "ccid: %s", line);
}

/* Appends LEN bytes as " 0A FF" at *AT of a line; what does not fit is shown as "...". */
static void append_hex(char line[LINE_SIZE], size_t *at, const uint8_t *bytes, size_t len)
{
	enum {
		TAIL = 8 /* room for " ..." or " **" and the end */
	};
	size_t i;

	for (i = 0; i < len && *at + 3 + TAIL < LINE_SIZE; i++)
		*at += (size_t)snprintf(line + *at, LINE_SIZE - *at, " %02X", bytes[i]);
	if (i < len && *at + TAIL < LINE_SIZE)
		*at += (size_t)snprintf(line + *at, LINE_SIZE - *at, " ...");
}

void log_apdu(const char *name, const uint8_t *apdu, size_t len)
{
	char line[LINE_SIZE];
	size_t at;

	if (!log_wants(LOG_COMM))
		return;
	at = (size_t)snprintf(line, sizeof(line), "%.200s ->", name);
	if (secret_command(apdu, len)) {
		append_hex(line, &at, apdu, APDU_HEADER);
		snprintf(line + at, sizeof(line) - at, " ** (%zu bytes)", len - APDU_HEADER);
	} else {
		append_hex(line, &at, apdu, len);
	}
	log_line(LOG_COMM, "%s", line);
}

void log_response(const char *name, const uint8_t *response, size_t len, bool secret)
{
	char line[LINE_SIZE];
	size_t at;

	if (!log_wants(LOG_COMM))
		return;
	at = (size_t)snprintf(line, sizeof(line), "%.200s <-", name);
	if (secret && len > 2) {
		at += (size_t)snprintf(line + at, sizeof(line) - at, " **");
		append_hex(line, &at, response + len - 2, 2);
	} else {
		append_hex(line, &at, response, len);
	}
	log_line(LOG_COMM, "%s", line);
}
