/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Measures one libpcsclite and the daemon behind it (PCSCLITE_CSOCK_NAME), from outside, through
 * the public interface only, so that any two stacks can be compared:
 *
 *   bench --lib PATH [--reader NAME] [--seconds S] [--pid DAEMON] MEASUREMENT...
 *
 * Each measurement prints one line, "NAME VALUE UNIT"; the exit status is 1 if one failed.
 */
#include <dlfcn.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <winscard.h>

#include "measure.h"

#define MAX_PROCESSES 64

/* The functions of the library under test, under the names of the interface. */
static struct {
	__typeof__(SCardEstablishContext) *establish;
	__typeof__(SCardReleaseContext) *release;
	__typeof__(SCardConnect) *connect;
	__typeof__(SCardDisconnect) *disconnect;
	__typeof__(SCardBeginTransaction) *begin;
	__typeof__(SCardEndTransaction) *end;
	__typeof__(SCardStatus) *status;
	__typeof__(SCardTransmit) *transmit;
} api;

struct bench {
	const char *reader;
	double seconds;
	long pid;
	SCARDCONTEXT context;
	SCARDHANDLE handle;
	DWORD protocol;
	int socket;
};

static const BYTE command[] = { 0x00, 0x84, 0x00, 0x00, 0x08 };

static bool check(const char *what, LONG rv)
{
	if (rv != SCARD_S_SUCCESS)
		fprintf(stderr, "bench: %s: 0x%08lX\n", what, (unsigned long)rv);
	return rv == SCARD_S_SUCCESS;
}

static bool load(const char *path)
{
	static const char *const names[] = { "SCardEstablishContext", "SCardReleaseContext",
		"SCardConnect", "SCardDisconnect", "SCardBeginTransaction", "SCardEndTransaction",
		"SCardStatus", "SCardTransmit" };
	void **functions = (void **)&api;
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	for (size_t i = 0; library && i < sizeof(names) / sizeof(names[0]); i++) {
		functions[i] = dlsym(library, names[i]);
		if (!functions[i])
			library = NULL;
	}
	if (!library)
		fprintf(stderr, "bench: %s\n", dlerror());
	return library != NULL;
}

static bool open_card(struct bench *bench)
{
	return check("SCardEstablishContext",
		       api.establish(SCARD_SCOPE_SYSTEM, NULL, NULL, &bench->context)) &&
	       check("SCardConnect", api.connect(bench->context, bench->reader, SCARD_SHARE_SHARED,
					     SCARD_PROTOCOL_T0 | SCARD_PROTOCOL_T1, &bench->handle,
					     &bench->protocol));
}

static void close_card(struct bench *bench)
{
	api.disconnect(bench->handle, SCARD_LEAVE_CARD);
	api.release(bench->context);
}

static bool run_transmit(void *context)
{
	struct bench *bench = context;
	SCARD_IO_REQUEST pci = { bench->protocol, sizeof(pci) };
	BYTE answer[258];
	DWORD length = sizeof(answer);

	return check("SCardTransmit",
		api.transmit(bench->handle, &pci, command, sizeof(command), NULL, answer, &length));
}

static bool run_connect(void *context)
{
	struct bench *bench = context;
	SCARDHANDLE handle;
	DWORD protocol;

	return check("SCardConnect",
		       api.connect(bench->context, bench->reader, SCARD_SHARE_SHARED,
			       SCARD_PROTOCOL_T0 | SCARD_PROTOCOL_T1, &handle, &protocol)) &&
	       check("SCardDisconnect", api.disconnect(handle, SCARD_LEAVE_CARD));
}

static bool run_transaction(void *context)
{
	struct bench *bench = context;

	return check("SCardBeginTransaction", api.begin(bench->handle)) &&
	       check("SCardEndTransaction", api.end(bench->handle, SCARD_LEAVE_CARD));
}

static bool run_status(void *context)
{
	struct bench *bench = context;
	char name[MAX_READERNAME];
	BYTE atr[MAX_ATR_SIZE];
	DWORD name_length = sizeof(name), atr_length = sizeof(atr), state, protocol;

	return check("SCardStatus",
		api.status(bench->handle, name, &name_length, &state, &protocol, atr, &atr_length));
}

static bool run_establish(void *context)
{
	SCARDCONTEXT fresh;

	(void)context;
	return check("SCardEstablishContext",
		       api.establish(SCARD_SCOPE_SYSTEM, NULL, NULL, &fresh)) &&
	       check("SCardReleaseContext", api.release(fresh));
}

/* The bytes of a 5-byte SCardTransmit and its answer: header, structure, data (see wire/messages.h):
 * 8 + 32 + 5 there, 32 + 2 back. */
#define PING_BYTES 45
#define PONG_BYTES 34

static bool run_ping(void *context)
{
	struct bench *bench = context;
	char buffer[PING_BYTES] = { 0 };

	return send(bench->socket, buffer, PING_BYTES, 0) == PING_BYTES &&
	       recv(bench->socket, buffer, PONG_BYTES, MSG_WAITALL) == PONG_BYTES;
}

static void answer_pings(int fd)
{
	char buffer[PING_BYTES];

	while (recv(fd, buffer, PING_BYTES, MSG_WAITALL) == PING_BYTES)
		if (send(fd, buffer, PONG_BYTES, 0) != PONG_BYTES)
			break;
}

static double measure_ping(struct bench *bench, measure_operation operation, int64_t duration_ns)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
		return -1;
	pid_t child = fork();
	if (child == 0) {
		close(pair[0]);
		answer_pings(pair[1]);
		_exit(0);
	}
	close(pair[1]);
	bench->socket = pair[0];
	double median_us = measure_median_us(operation, bench, duration_ns);
	close(pair[0]);
	waitpid(child, NULL, 0);
	return median_us;
}

static double measure_card(struct bench *bench, measure_operation operation, int64_t duration_ns)
{
	if (!open_card(bench))
		return -1;
	double median_us = measure_median_us(operation, bench, duration_ns);
	close_card(bench);
	return median_us;
}

static const struct measurement {
	const char *name;
	measure_operation operation;
	double (*measure)(struct bench *, measure_operation, int64_t duration_ns);
} measurements[] = {
	{ "transmit", run_transmit, measure_card },
	{ "connect+disconnect", run_connect, measure_card },
	{ "begin+end", run_transaction, measure_card },
	{ "status", run_status, measure_card },
	{ "establish+release", run_establish, measure_card },
	{ "ping-pong", run_ping, measure_ping },
};

/* What one process of the contention does, in memory that all share. */
struct share {
	uint64_t turns; /* that were over before the deadline */
	int64_t longest_wait_ns;
	int64_t deadline; /* set by the parent before the start */
	bool failed;
};

/* Takes turns from the moment that start_fd ends until the deadline. */
static void contend(struct bench *bench, struct share *share, int ready_fd, int start_fd)
{
	char byte = 0;

	share->failed = !open_card(bench) || write(ready_fd, &byte, 1) != 1 ||
			read(start_fd, &byte, 1) != 0;
	while (!share->failed) {
		int64_t before = measure_now_ns();
		if (before >= share->deadline)
			break;
		share->failed = !check("SCardBeginTransaction", api.begin(bench->handle));
		int64_t wait_ns = measure_now_ns() - before;
		if (wait_ns > share->longest_wait_ns)
			share->longest_wait_ns = wait_ns;
		share->failed =
			share->failed || !run_transmit(bench) ||
			!check("SCardEndTransaction", api.end(bench->handle, SCARD_LEAVE_CARD));
		if (measure_now_ns() < share->deadline)
			share->turns++;
	}
	close_card(bench);
}

/* Adds up what the processes did, and prints it. */
static bool report_contention(const struct bench *bench, const struct share *shares, int processes)
{
	struct share all = { 0 };

	for (int i = 0; i < processes; i++) {
		all.turns += shares[i].turns;
		all.failed = all.failed || shares[i].failed;
		if (shares[i].longest_wait_ns > all.longest_wait_ns)
			all.longest_wait_ns = shares[i].longest_wait_ns;
	}
	printf("turns-%d %.1f /s\n", processes, (double)all.turns / bench->seconds);
	printf("longest-wait-%d %.2f ms\n", processes, (double)all.longest_wait_ns / 1e6);
	return !all.failed;
}

/* Processes that take turns on one reader: turns per second of all, and the longest wait of one. */
static bool contention(struct bench *bench, int processes)
{
	size_t size = sizeof(struct share) * MAX_PROCESSES;
	struct share *shares =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int ready[2], start[2];
	char byte;

	if (shares == MAP_FAILED || processes > MAX_PROCESSES || pipe(ready) || pipe(start))
		return false;
	for (int i = 0; i < processes; i++) {
		if (fork() == 0) {
			close(ready[0]);
			close(start[1]);
			contend(bench, &shares[i], ready[1], start[0]);
			_exit(0);
		}
	}
	close(ready[1]);
	close(start[0]);
	/* They start together, once each has its card. */
	for (int i = 0; i < processes; i++)
		if (read(ready[0], &byte, 1) != 1)
			break;
	for (int i = 0; i < processes; i++)
		shares[i].deadline = measure_now_ns() + (int64_t)(bench->seconds * 1e9);
	close(start[1]);
	while (wait(NULL) > 0)
		;
	close(ready[0]);
	bool good = report_contention(bench, shares, processes);
	munmap(shares, size);
	return good;
}

/* A number from a line of /proc/PID/status, e.g. "VmRSS:" in KiB; -1 if there is none. */
static long process_status(long pid, const char *key)
{
	char path[64], line[256];
	long value = -1;

	snprintf(path, sizeof(path), "/proc/%ld/status", pid);
	FILE *file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, key, strlen(key)) == 0)
			value = strtol(line + strlen(key), NULL, 10);
	if (file)
		fclose(file);
	return value;
}

/* Idle contexts: what each costs the daemon in memory and threads. */
static bool idle_contexts(struct bench *bench, int wanted)
{
	struct rlimit limit;
	int made = 0;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return false;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	SCARDCONTEXT *contexts = calloc((size_t)wanted, sizeof(*contexts));
	if (!contexts)
		return false;
	run_establish(NULL);
	long kib = process_status(bench->pid, "VmRSS:");
	long threads = process_status(bench->pid, "Threads:");
	while (made < wanted &&
		api.establish(SCARD_SCOPE_SYSTEM, NULL, NULL, &contexts[made]) == SCARD_S_SUCCESS)
		made++;
	kib = process_status(bench->pid, "VmRSS:") - kib;
	threads = process_status(bench->pid, "Threads:") - threads;
	printf("contexts %d of %d\n", made, wanted);
	if (made > 0) {
		printf("memory-each %.2f KiB\n", (double)kib / made);
		printf("threads-each %.3f\n", (double)threads / made);
	}
	while (made-- > 0)
		api.release(contexts[made]);
	free(contexts);
	return true;
}

/* The number of "KEY=NUMBER", or -1 if the name is another. */
static int number_of(const char *name, const char *key)
{
	size_t length = strlen(key);

	return strncmp(name, key, length) == 0 ? (int)strtol(name + length, NULL, 10) : -1;
}

static bool measure(struct bench *bench, const char *name)
{
	int processes = number_of(name, "contention="), contexts = number_of(name, "contexts=");

	if (processes > 0)
		return contention(bench, processes);
	if (contexts > 0)
		return idle_contexts(bench, contexts);
	for (size_t i = 0; i < sizeof(measurements) / sizeof(measurements[0]); i++) {
		const struct measurement *m = &measurements[i];
		if (strcmp(m->name, name) != 0)
			continue;
		double us = m->measure(bench, m->operation, (int64_t)(bench->seconds * 1e9));
		if (us >= 0)
			printf("%s %.3f us\n", name, us);
		return us >= 0;
	}
	fprintf(stderr, "bench: no measurement is called '%s'\n", name);
	return false;
}

static int usage(void)
{
	fprintf(stderr, "usage: bench --lib PATH [--reader NAME] [--seconds S] [--pid DAEMON] "
			"MEASUREMENT...\nmeasurements: contention=PROCESSES contexts=N");
	for (size_t i = 0; i < sizeof(measurements) / sizeof(measurements[0]); i++)
		fprintf(stderr, " %s", measurements[i].name);
	fprintf(stderr, "\n");
	return 1;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "lib", required_argument, NULL, 'l' },
		{ "reader", required_argument, NULL, 'r' },
		{ "seconds", required_argument, NULL, 's' },
		{ "pid", required_argument, NULL, 'p' }, { NULL, 0, NULL, 0 } };
	struct bench bench = { .reader = "Null 00 00", .seconds = 1 };
	const char *library = NULL;
	bool good = true;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'l':
			library = optarg;
			break;
		case 'r':
			bench.reader = optarg;
			break;
		case 's':
			bench.seconds = strtod(optarg, NULL);
			break;
		case 'p':
			bench.pid = strtol(optarg, NULL, 10);
			break;
		default:
			return usage();
		}
	}
	if (!library || optind == argc)
		return usage();
	if (!load(library))
		return 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = optind; i < argc; i++)
		good = measure(&bench, argv[i]) && good;
	return good ? 0 : 1;
}
