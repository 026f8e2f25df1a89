/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/log.h"

#define SD_JOURNAL_SUPPRESS_LOCATION

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <time.h>
#include <unistd.h>

#include "iso7816/secret.h"

#define LINE_MAX_BYTES   2048 /* below PIPE_BUF: a line is written whole or not at all */
#define FLOOD_ENTRIES    16   /* different lines watched for repetition at a time */
#define FLOOD_TEXT       160  /* bytes kept of a line that is held back */
#define STDOUT_WAIT_MS   100  /* how long a full pipe may delay a line before it is dropped */
#define FIELD_BYTES      256  /* of a journal field; longer ones are cut */
#define HEX_LINE_BYTES   600  /* bytes shown of a dump */
#define NS_PER_US        1000
#define NS_PER_S         INT64_C(1000000000)
#define MICROSECONDS_CAP 99999999

/* A line seen lately. */
struct flood {
	uint64_t hash;
	int64_t since; /* ns, when the window began */
	unsigned count;
	int level;
	char text[FLOOD_TEXT];
};

static struct {
	pthread_mutex_t lock;
	atomic_int level;
	atomic_bool apdu;
	enum log_sink sink;
	bool closed;
	bool colour;
	bool stuck; /* standard output takes nothing: don't wait for it again */
	int64_t previous;
	struct flood floods[FLOOD_ENTRIES];
} state = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.level = PCSC_LOG_ERROR,
	.sink = LOG_SINK_STDOUT,
};

static _Thread_local const char *about_reader;
static _Thread_local pid_t about_client;

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static bool terminal_shows_colours(void)
{
	static const char *const terminals[] = { "linux", "xterm", "xterm-color", "xterm-256color",
		"Eterm", "rxvt", "rxvt-unicode" };
	const char *term = secure_getenv("TERM");

	if (!term || !isatty(STDOUT_FILENO))
		return false;
	for (size_t i = 0; i < sizeof(terminals) / sizeof(terminals[0]); i++)
		if (strcmp(term, terminals[i]) == 0)
			return true;
	return false;
}

/* Writes to standard output, dropping the line if nobody has read for STDOUT_WAIT_MS. */
static void write_stdout(const char *text, size_t length)
{
	struct pollfd out = { .fd = STDOUT_FILENO, .events = POLLOUT };

	if (poll(&out, 1, state.stuck ? 0 : STDOUT_WAIT_MS) != 1) {
		state.stuck = true;
		return;
	}
	state.stuck = false;
	while (length) {
		ssize_t n = write(STDOUT_FILENO, text, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		text += n;
		length -= (size_t)n;
	}
}

static void emit_stdout(int level, const char *text, int64_t now)
{
	static const char *const colours[] = {
		[PCSC_LOG_DEBUG] = "\033[35m",
		[PCSC_LOG_INFO] = "\033[34m",
		[PCSC_LOG_ERROR] = "\033[31m",
		[PCSC_LOG_CRITICAL] = "\033[01;31m",
	};
	char line[LINE_MAX_BYTES + 64];
	int64_t delta = state.previous ? (now - state.previous) / NS_PER_US : 0;
	int length;

	state.previous = now;
	if (delta > MICROSECONDS_CAP)
		delta = MICROSECONDS_CAP;
	if (state.colour)
		length = snprintf(line, sizeof(line), "\033[32m%.8lld \033[34m[%ld] %s%s\033[0m\n",
			(long long)delta, (long)syscall(SYS_gettid), colours[level], text);
	else
		length = snprintf(line, sizeof(line), "%.8lld %s\n", (long long)delta, text);
	write_stdout(line, (size_t)length);
}

static const int severities[] = {
	[PCSC_LOG_DEBUG] = LOG_DEBUG,
	[PCSC_LOG_INFO] = LOG_INFO,
	[PCSC_LOG_ERROR] = LOG_ERR,
	[PCSC_LOG_CRITICAL] = LOG_CRIT,
};

static void emit_journal(int level, const char *text)
{
	char fields[3][FIELD_BYTES];
	char message[LINE_MAX_BYTES + sizeof("MESSAGE=")];
	struct iovec entry[4];
	int count = 1;

	snprintf(fields[0], sizeof(fields[0]), "PRIORITY=%d", severities[level]);
	if (about_reader)
		snprintf(fields[count++], sizeof(fields[0]), "READER=%s", about_reader);
	if (about_client)
		snprintf(fields[count++], sizeof(fields[0]), "CLIENT_PID=%ld", (long)about_client);
	for (int i = 0; i < count; i++)
		entry[i] = (struct iovec){ fields[i], strlen(fields[i]) };
	snprintf(message, sizeof(message), "MESSAGE=%s", text);
	entry[count] = (struct iovec){ message, strlen(message) };
	sd_journal_sendv(entry, count + 1);
}

static void emit_plain(const char *text)
{
	char line[LINE_MAX_BYTES + 2];

	write_stdout(line, (size_t)snprintf(line, sizeof(line), "%s\n", text));
}

static void emit(int level, const char *text, int64_t now)
{
	if (state.closed)
		return;
	switch (state.sink) {
	case LOG_SINK_STDOUT:
		emit_stdout(level, text, now);
		break;
	case LOG_SINK_PLAIN:
		emit_plain(text);
		break;
	case LOG_SINK_SYSLOG:
		syslog(severities[level], "%s", text);
		break;
	case LOG_SINK_JOURNAL:
		emit_journal(level, text);
		break;
	}
}

/* Ends a window: says how many lines it held back. */
static void flood_end(struct flood *flood, int64_t now)
{
	if (flood->count > LOG_BURST) {
		char text[FLOOD_TEXT + 64];

		snprintf(text, sizeof(text), "%u more of: %s", flood->count - LOG_BURST,
			flood->text);
		emit(flood->level, text, now);
	}
	*flood = (struct flood){ 0 };
}

static uint64_t hash_text(const char *text)
{
	uint64_t hash = UINT64_C(0xCBF29CE484222325);

	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001B3);
	return hash;
}

/* True if the line repeats too fast to be written. */
static bool flood_holds(int level, const char *text, int64_t now)
{
	uint64_t hash = hash_text(text);
	struct flood *oldest = &state.floods[0];

	for (size_t i = 0; i < FLOOD_ENTRIES; i++) {
		struct flood *flood = &state.floods[i];

		if (flood->count && now - flood->since > LOG_WINDOW_S * NS_PER_S)
			flood_end(flood, now);
	}
	for (size_t i = 0; i < FLOOD_ENTRIES; i++) {
		struct flood *flood = &state.floods[i];

		if (flood->count && flood->hash == hash && flood->level == level)
			return ++flood->count > LOG_BURST;
		if (flood->since < oldest->since)
			oldest = flood;
	}
	flood_end(oldest, now);
	*oldest = (struct flood){ .hash = hash, .since = now, .count = 1, .level = level };
	snprintf(oldest->text, sizeof(oldest->text), "%s", text);
	return false;
}

/* Bytes that would break a line apart; names of readers and clients may hold any. */
static void clean(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7F)
			*text = '?';
}

static int sane_level(int level)
{
	if (level < PCSC_LOG_DEBUG)
		return PCSC_LOG_DEBUG;
	return level > PCSC_LOG_CRITICAL ? PCSC_LOG_CRITICAL : level;
}

static void put(int level, bool repeats, char *text)
{
	int64_t now = now_ns();

	clean(text);
	pthread_mutex_lock(&state.lock);
	if (repeats || !flood_holds(level, text, now))
		emit(level, text, now);
	pthread_mutex_unlock(&state.lock);
}

static void vline(int level, const char *format, va_list args)
{
	char text[LINE_MAX_BYTES];

	level = sane_level(level);
	if (!log_wants(level))
		return;
	vsnprintf(text, sizeof(text), format, args);
	put(level, level == PCSC_LOG_DEBUG, text);
}

void log_open(const struct log_config *config)
{
	pthread_mutex_lock(&state.lock);
	atomic_store(&state.level, config->level);
	atomic_store(&state.apdu, config->apdu);
	state.sink = config->sink;
	state.colour = config->colour == LOG_COLOUR_ON || terminal_shows_colours();
	state.closed = false;
	if (state.sink == LOG_SINK_SYSLOG)
		openlog("pcscd", LOG_PID, LOG_DAEMON);
	pthread_mutex_unlock(&state.lock);
}

void log_close(void)
{
	int64_t now = now_ns();

	pthread_mutex_lock(&state.lock);
	for (size_t i = 0; i < FLOOD_ENTRIES; i++)
		if (state.floods[i].count)
			flood_end(&state.floods[i], now);
	state.closed = true;
	pthread_mutex_unlock(&state.lock);
}

const char *log_about_reader(const char *reader)
{
	const char *before = about_reader;

	about_reader = reader;
	return before;
}

void log_about_client(pid_t pid)
{
	about_client = pid;
}

/* The manager says which device and inode the stream has (systemd.exec(5), JOURNAL_STREAM). */
bool log_stdout_is_journal(void)
{
	const char *stream = secure_getenv("JOURNAL_STREAM");
	char own[64];
	struct stat status;

	if (!stream || fstat(STDOUT_FILENO, &status) < 0)
		return false;
	snprintf(own, sizeof(own), "%llu:%llu", (unsigned long long)status.st_dev,
		(unsigned long long)status.st_ino);
	return strcmp(stream, own) == 0;
}

bool log_wants(int level)
{
	return level >= atomic_load_explicit(&state.level, memory_order_relaxed);
}

bool log_wants_apdu(void)
{
	return atomic_load_explicit(&state.apdu, memory_order_relaxed);
}

void log_line(int level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vline(level, format, args);
	va_end(args);
}

/* Bytes [start, end) are masked. */
struct span {
	size_t start;
	size_t end;
};

static size_t put_hex(
	char *text, size_t size, const uint8_t *bytes, size_t length, struct span secret)
{
	static const char digits[] = "0123456789ABCDEF";
	static const char more[] = "…";
	size_t used = 0;

	if (size == 0)
		return 0;
	for (size_t i = 0; i < length; i++) {
		bool masked = i >= secret.start && i < secret.end;

		if (i == HEX_LINE_BYTES || size - used < 3 + sizeof(more)) {
			if (size - used >= sizeof(more)) {
				memcpy(text + used, more, sizeof(more) - 1);
				used += sizeof(more) - 1;
			}
			break;
		}
		if (i)
			text[used++] = ' ';
		text[used++] = masked ? '*' : digits[bytes[i] >> 4];
		text[used++] = masked ? '*' : digits[bytes[i] & 15];
	}
	text[used] = '\0';
	return used;
}

/* Whatever the bytes are: a command may be in them. */
static struct span find_secret(const uint8_t *bytes, size_t length)
{
	struct span span = { 0, 0 };

	if (!secret_span(bytes, length, &span.start, &span.end))
		span = (struct span){ 0, 0 };
	return span;
}

size_t log_hex(char *text, size_t size, const uint8_t *bytes, size_t length)
{
	return put_hex(text, size, bytes, length, find_secret(bytes, length));
}

static void log_bytes(int level, const char *who, const char *what, const uint8_t *bytes,
	size_t length, struct span secret)
{
	char text[LINE_MAX_BYTES];
	int used = snprintf(text, sizeof(text), "%s%s", who, what);

	if (used < 0 || (size_t)used >= sizeof(text))
		return;
	put_hex(text + used, sizeof(text) - (size_t)used, bytes, length, secret);
	put(level, true, text);
}

void log_apdu(const char *reader, const uint8_t *command, size_t length, bool secret)
{
	struct span span;

	if (!log_wants_apdu())
		return;
	span = find_secret(command, length);
	if (secret)
		secret_command_span(command, length, &span.start, &span.end);
	log_bytes(PCSC_LOG_INFO, reader, ": APDU: ", command, length, span);
}

void log_answer(const char *reader, const uint8_t *answer, size_t length, bool secret)
{
	struct span span;

	if (!log_wants_apdu())
		return;
	span = find_secret(answer, length);
	if (secret)
		secret_response_span(length, &span.start, &span.end);
	log_bytes(PCSC_LOG_INFO, reader, ": SW: ", answer, length, span);
}

/* What drivers call; declared in <debuglog.h>. The executable exports these four. */

__attribute__((visibility("default"))) void log_msg(const int priority, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vline(priority, fmt, args);
	va_end(args);
}

__attribute__((visibility("default"))) void log_msg_rv(
	const int priority, unsigned int rv, const char *fmt, ...)
{
	char text[LINE_MAX_BYTES];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	log_line(priority, "%s, rv=0x%08X", text, rv);
}

__attribute__((visibility("default"))) void log_xxd(
	const int priority, const char *msg, const unsigned char *buffer, const int size)
{
	if (size >= 0 && log_wants(sane_level(priority)))
		log_bytes(sane_level(priority), msg, "", buffer, (size_t)size,
			find_secret(buffer, (size_t)size));
}

__attribute__((visibility("default"))) void DebugLogSetLevel(const int level)
{
	atomic_store(&state.level, sane_level(level));
}
