/* SPDX-License-Identifier: BSD-3-Clause */
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "iso7816/secret.h"

#define FIFO_NAME "pcsc-spy"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int fifo = -1;

static void give_up(const char *path, const char *why)
{
	fprintf(stderr, "pcsc-spy: %s: %s; no trace is written\n", path, why);
	if (fifo >= 0)
		close(fifo);
	fifo = -1;
}

void trace_open(void)
{
	const char *home = secure_getenv("HOME");
	char path[4096];
	struct stat info;

	if (snprintf(path, sizeof(path), "%s/%s", home ? home : "/tmp", FIFO_NAME) >=
		(int)sizeof(path))
		return;
	pthread_mutex_lock(&lock);
	fifo = open(path, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (fifo < 0)
		give_up(path, errno == ENXIO ? "pcsc-spy doesn't run" : strerror(errno));
	/* What is written here isn't for somebody else who put a file in our way. */
	else if (fstat(fifo, &info) != 0 || !S_ISFIFO(info.st_mode) || info.st_uid != geteuid())
		give_up(path, "not a FIFO of this user");
	pthread_mutex_unlock(&lock);
}

/* The lock is held. False if the other end has gone or doesn't read. */
static int write_all(const char *text, size_t length)
{
	while (length > 0) {
		struct pollfd polled = { .fd = fifo, .events = POLLOUT };
		ssize_t n = write(fifo, text, length);

		if (n >= 0) {
			text += n;
			length -= (size_t)n;
		} else if (errno == EAGAIN) {
			if (poll(&polled, 1, TRACE_PATIENCE_MS) == 0)
				return ETIMEDOUT;
		} else if (errno != EINTR) {
			return errno;
		}
	}
	return 0;
}

/* Writing to a FIFO without a reader raises SIGPIPE, which isn't the program's business. */
static int write_quietly(const char *text, size_t length)
{
	static const struct timespec at_once = { 0 };
	sigset_t pipe_signal, before, pending;
	int error;

	sigemptyset(&pipe_signal);
	sigaddset(&pipe_signal, SIGPIPE);
	sigpending(&pending);
	pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
	error = write_all(text, length);
	if (error == EPIPE && !sigismember(&pending, SIGPIPE))
		sigtimedwait(&pipe_signal, NULL, &at_once);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

static void flush(struct trace *trace)
{
	pthread_mutex_lock(&lock);
	if (fifo >= 0 && trace->text) {
		int error = write_quietly(trace->text, trace->length);

		if (error)
			give_up(FIFO_NAME, strerror(error));
	}
	pthread_mutex_unlock(&lock);
	free(trace->text);
	trace->text = NULL;
	trace->length = 0;
	trace->size = 0;
}

static void append(struct trace *trace, const char *text, size_t length)
{
	if (trace->length + length > trace->size) {
		size_t size = (trace->length + length) * 2;
		char *longer = realloc(trace->text, size);

		if (!longer)
			return;
		trace->text = longer;
		trace->size = size;
	}
	memcpy(trace->text + trace->length, text, length);
	trace->length += length;
}

static void begin_line(struct trace *trace)
{
	char thread[32];
	int length = snprintf(thread, sizeof(thread), "%lX@", (unsigned long)pthread_self());

	append(trace, thread, (size_t)length);
}

static void end_line(struct trace *trace)
{
	append(trace, "\n", 1);
}

__attribute__((format(printf, 2, 3))) static void line(struct trace *trace, const char *format, ...)
{
	char text[256];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (length >= (int)sizeof(text))
		length = sizeof(text) - 1;
	begin_line(trace);
	append(trace, text, (size_t)length);
	end_line(trace);
}

void trace_enter(struct trace *trace, const char *function)
{
	struct timeval now;

	*trace = (struct trace){ .function = function };
	gettimeofday(&now, NULL);
	line(trace, ">|%ld|%ld|%s", (long)now.tv_sec, (long)now.tv_usec, function);
}

void trace_call(struct trace *trace)
{
	flush(trace);
}

LONG trace_leave(struct trace *trace, LONG rv)
{
	struct timeval now;

	gettimeofday(&now, NULL);
	line(trace, "<|%ld|%ld|%s|0x%08lX", (long)now.tv_sec, (long)now.tv_usec, trace->function,
		(unsigned long)rv);
	flush(trace);
	return rv;
}

void trace_long(struct trace *trace, unsigned long value)
{
	line(trace, "0x%08lX", value);
}

void trace_number(struct trace *trace, const DWORD *number)
{
	if (number)
		trace_long(trace, *number);
	else
		line(trace, "NULL");
}

void trace_pointer(struct trace *trace, const void *pointer)
{
	line(trace, "%p", pointer);
}

/* Control characters would break the format, or the terminal that shows it. */
static void append_text(struct trace *trace, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		char c = text[i];

		if ((unsigned char)c < ' ' || c == 0x7F)
			c = '?';
		append(trace, &c, 1);
	}
}

void trace_string(struct trace *trace, const char *string)
{
	begin_line(trace);
	if (string)
		append_text(trace, string, strlen(string));
	else
		append(trace, "NULL", 4);
	end_line(trace);
}

void trace_bytes(struct trace *trace, const void *bytes, size_t length)
{
	const uint8_t *byte = bytes;
	size_t start = 0;
	size_t end = 0;
	bool secret = bytes && secret_span(byte, length, &start, &end);

	trace_long(trace, length);
	begin_line(trace);
	if (!bytes)
		append(trace, "NULL", 4);
	for (size_t i = 0; bytes && i < length; i++) {
		char text[4] = "** ";

		if (!secret || i < start || i >= end)
			snprintf(text, sizeof(text), "%02X ", byte[i]);
		append(trace, text, 3);
	}
	end_line(trace);
}

void trace_strings(struct trace *trace, const char *strings, size_t length)
{
	trace_long(trace, length);
	if (!strings || length == 0)
		line(trace, "NULL");
	while (strings && length > 0 && strings[0]) {
		size_t size = strnlen(strings, length);

		begin_line(trace);
		append_text(trace, strings, size);
		end_line(trace);
		length -= size < length ? size + 1 : length;
		strings += size + 1;
	}
}
