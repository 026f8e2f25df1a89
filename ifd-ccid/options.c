/* SPDX-License-Identifier: BSD-3-Clause */
#include "options.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundle_file.h"
#include "log.h"

enum {
	DEFAULT_CEILING_S = 60,
	DEFAULT_TOTAL_S = 15 * 60,
	MAX_SECONDS = 24 * 60 * 60,
	DEFAULT_RECORDER_KIB = 256,
	MIN_RECORDER_KIB = 4,
	MAX_RECORDER_KIB = 64 * 1024,
};

static struct options options = {
	.ceiling_ms = DEFAULT_CEILING_S * INT64_C(1000),
	.total_ms = DEFAULT_TOTAL_S * INT64_C(1000),
	.recorder_bytes = (size_t)DEFAULT_RECORDER_KIB * 1024,
};
static pthread_once_t once = PTHREAD_ONCE_INIT;

unsigned long options_number(const char *text, const char *key, unsigned long fallback)
{
	static const char open[] = "<string>";
	char tag[64];
	const char *at;
	const char *next;
	char *end;
	unsigned long value;

	snprintf(tag, sizeof(tag), "<key>%s</key>", key);
	at = strstr(text, tag);
	if (!at)
		return fallback;
	at += strlen(tag);
	next = strstr(at, "<key>");
	at = strstr(at, open);
	if (!at || (next && at > next))
		return fallback;
	at += strlen(open);
	value = strtoul(at, &end, 0);
	return end == at ? fallback : value;
}

static int64_t seconds(const char *text, const char *key, unsigned long fallback)
{
	unsigned long value = options_number(text, key, fallback);

	if (value == 0 || value > MAX_SECONDS) {
		log_line(LOG_ERROR, "Info.plist: %s must be 1 to %d; %lu is used", key, MAX_SECONDS,
			fallback);
		value = fallback;
	}
	return (int64_t)value * 1000;
}

static size_t recorder_bytes(const char *text)
{
	unsigned long kib = options_number(text, "ifdRecorderKiB", DEFAULT_RECORDER_KIB);

	if (kib != 0 && (kib < MIN_RECORDER_KIB || kib > MAX_RECORDER_KIB)) {
		log_line(LOG_ERROR, "Info.plist: ifdRecorderKiB must be 0, or %d to %d; %d is used",
			MIN_RECORDER_KIB, MAX_RECORDER_KIB, DEFAULT_RECORDER_KIB);
		kib = DEFAULT_RECORDER_KIB;
	}
	return (size_t)kib * 1024;
}

static void load(void)
{
	const char *kinds = getenv("LIBCCID_ifdLogLevel");
	char *text = bundle_read("Info.plist");

	if (text) {
		log_set_kinds((unsigned)options_number(text, "ifdLogLevel", LOG_ERROR | LOG_INFO));
		options.driver = (unsigned)options_number(text, "ifdDriverOptions", 0);
		options.ceiling_ms = seconds(text, "ifdExchangeSeconds", DEFAULT_CEILING_S);
		options.recorder_bytes = recorder_bytes(text);
		options.total_ms = seconds(text, "ifdTotalSeconds", DEFAULT_TOTAL_S);
		free(text);
	}
	if (kinds)
		log_set_kinds((unsigned)strtoul(kinds, NULL, 0));
}

const struct options *options_get(void)
{
	pthread_once(&once, load);
	return &options;
}
