/* SPDX-License-Identifier: BSD-3-Clause */
/* pcscctl trace: what passes between the driver and a reader, live, for Wireshark or as text. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "recording/pcapng.h"
#include "tools/output.h"
#include "tools/pcscctl.h"
#include "tools/recordings.h"
#include "tools/report.h"

#define NS_PER_S INT64_C(1000000000)

struct trace {
	struct output output;  /* of the capture */
	struct pcapng *pcapng; /* NULL: none is written */
	bool apdu;
	bool begun;
	bool gap; /* between the opening and now */
	bool failed;
	uint64_t dropped;
};

static volatile sig_atomic_t stop;
static volatile sig_atomic_t answer_fd;

/* Whatever is awaited from the daemon, its end comes. */
static void on_signal(int number)
{
	(void)number;
	stop = 1;
	shutdown(answer_fd, SHUT_RDWR);
}

static void catch_signals(int fd)
{
	struct sigaction action = { .sa_handler = on_signal };

	answer_fd = fd;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int64_t now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

/* Bus and address from ".../BBB/DDD" or "…:B:D:I"; others get 1 and 1. */
static void find_place(const char *device, unsigned *bus, unsigned *address)
{
	static const char *const before[] = { "/dev/bus/usb/", ":libusb-1.0:" };
	const char *at = NULL;
	char *end;

	*bus = *address = 1;
	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]) && !at; i++) {
		at = strstr(device, before[i]);
		at = at ? at + strlen(before[i]) : NULL;
	}
	if (!at)
		return;
	*bus = (unsigned)strtoul(at, &end, 10);
	if (*end)
		*address = (unsigned)strtoul(end + 1, NULL, 10);
}

static void print_apdu(const struct recording_entry *entry)
{
	bool out = entry->kind == RECORDING_CALL;

	if (entry->kind != RECORDING_CALL && entry->kind != RECORDING_RETURN)
		return;
	if (entry->call != RECORDING_TRANSMIT && entry->call != RECORDING_POWER &&
		entry->call != RECORDING_CONTROL_CALL)
		return;
	printf("%6lld.%06lld slot %u %s %s", (long long)(entry->at / NS_PER_S),
		(long long)(entry->at % NS_PER_S / 1000), (unsigned)entry->slot,
		recording_strcall(entry->call), out ? "->" : "<-");
	if (!out && entry->value)
		printf(" failed (%llu)", (unsigned long long)entry->value);
	for (size_t i = 0; i < entry->len; i++) {
		if (recording_masked(entry, i))
			printf(" **");
		else
			printf(" %02X", entry->data[i]);
	}
	printf("\n");
}

static bool take(void *ctx, const struct recording_entry *entry)
{
	struct trace *trace = ctx;

	if (!trace->begun)
		fprintf(stderr, "pcscctl: tracing\n");
	trace->begun = true;
	/* The first gap is all that was before. */
	if (entry->kind == RECORDING_DROPPED && trace->gap)
		trace->dropped += entry->value;
	trace->gap = trace->gap || entry->kind == RECORDING_DROPPED;
	if (trace->apdu) {
		print_apdu(entry);
		/* Told by main(). */
		trace->failed = fflush(stdout) != 0;
	}
	/* Whoever reads the file meanwhile gets whole packets. A fault is told when it is closed. */
	if (trace->pcapng &&
		(!pcapng_write(trace->pcapng, entry) || fflush(trace->output.stream) != 0))
		trace->failed = true;
	return !trace->failed && !stop;
}

static bool begin_capture(struct trace *trace, const char *path, const char *device)
{
	unsigned bus, address;

	if (!path)
		return true;
	if (!output_open(&trace->output, path))
		return false;
	find_place(device, &bus, &address);
	trace->pcapng = pcapng_new(trace->output.stream, (uint16_t)bus, (uint8_t)address,
		now(CLOCK_REALTIME) - now(CLOCK_MONOTONIC));
	if (!trace->pcapng)
		fprintf(stderr, "pcscctl: %s: %s\n", path, strerror(errno));
	return trace->pcapng;
}

static void end_capture(struct trace *trace)
{
	if (!pcapng_end(trace->pcapng))
		trace->failed = true;
	if (trace->output.stream && !output_close(&trace->output, trace->begun))
		trace->failed = true;
}

static int run(struct trace *trace, const struct pcscctl *options, const char *device)
{
	FILE *answer = recordings_ask(options->socket, "live", device);

	if (!answer)
		return EXIT_FAILURE;
	catch_signals(fileno(answer));
	if (!begin_capture(trace, options->output, device))
		trace->failed = true;
	else if (recordings_read(answer, take, trace) == 0 && !stop)
		fprintf(stderr, "pcscctl: the driver of this reader records nothing\n");
	end_capture(trace);
	answer_fd = -1;
	fclose(answer);
	if (trace->dropped)
		fprintf(stderr, "pcscctl: %llu entries were missed\n",
			(unsigned long long)trace->dropped);
	return trace->failed || !trace->begun ? EXIT_FAILURE : EXIT_SUCCESS;
}

int pcscctl_trace(const struct pcscctl *options)
{
	struct trace trace = { .apdu = options->apdu };
	json_object *report, *reader;
	int status = EXIT_FAILURE;

	if (!options->arguments[0] || (!options->output && !options->apdu)) {
		fprintf(stderr, "pcscctl: trace wants a reader, and --output FILE or --apdu\n");
		return EXIT_FAILURE;
	}
	if (options->apdu && options->output && strcmp(options->output, "-") == 0) {
		fprintf(stderr,
			"pcscctl: the standard output is for --output or --apdu, not both\n");
		return EXIT_FAILURE;
	}
	report = report_fetch(options->socket);
	if (!report)
		return EXIT_FAILURE;
	reader = recordings_find(json_object_object_get(report, "readers"), options->arguments[0]);
	if (reader)
		status = run(&trace, options, report_text(reader, "device"));
	json_object_put(reader);
	json_object_put(report);
	return status;
}
