/* SPDX-License-Identifier: BSD-3-Clause */
/* The daemon's start and end: options, sockets, pid file, background. */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "pcscd/check.h"
#include "pcscd/clients/recording.h"
#include "pcscd/clients/status.h"
#include "pcscd/clock.h"
#include "pcscd/daemon.h"
#include "pcscd/log.h"
#include "pcscd/options.h"
#include "pcscd/readers/driver.h"
#include "pcscd/rim.h"
#include "wire/status_path.h"

#define DEFAULT_ARRAY 16 /* PCSCLITE_MAX_READERS_CONTEXTS of clients as they are built by default */
#define SOCKETS_MAX   2
#define UNLOAD_NS     (5 * CLOCK_S) /* for the ends of drivers' libraries, after all else has ended */

struct start {
	struct options options;
	struct rim_socket sockets[SOCKETS_MAX];
	size_t socket_count;
	bool inherited; /* the first socket is the service manager's */
	int status_fd;  /* listening; -1: none */
	char status_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int recording_fd; /* listening; -1: none */
	char recording_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int pid_file;
	int parent; /* tells the process that waits for us, -1: nobody waits */
};

/* In colours means for somebody who looks at it, whatever the manager connected. */
static enum log_sink choose_sink(const struct options *options, bool background)
{
	if (background)
		return LOG_SINK_SYSLOG;
	if (!options->colour && log_stdout_is_journal())
		return LOG_SINK_JOURNAL;
	return LOG_SINK_STDOUT;
}

static void start_log(const struct options *options, bool background)
{
	struct log_config config = {
		.sink = choose_sink(options, background),
		.colour = options->colour ? LOG_COLOUR_ON : LOG_COLOUR_AUTO,
		.level = options->log_level,
		.apdu = options->apdu,
	};

	log_open(&config);
}

/* -H: the running daemon looks again. */
static int request_hotplug(const struct options *options)
{
	pid_t pid = pid_file_holder(options->pid_file);

	if (pid <= 0) {
		fprintf(stderr, "pcscd: no daemon is running (%s)\n", options->pid_file);
		return EXIT_FAILURE;
	}
	if (kill(pid, SIGUSR1) < 0) {
		fprintf(stderr, "pcscd: the daemon (pid %ld) cannot be told: %s\n", (long)pid,
			strerror(errno));
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}

/* --check: status 1 if anything is wrong. */
static int check(const struct options *options)
{
	const struct log_config config = { .sink = LOG_SINK_PLAIN, .level = PCSC_LOG_ERROR };

	log_open(&config);
	return check_configuration(options) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* A number that nobody has opened would be given to the first file of ours. */
static bool check_ready_fd(int fd)
{
	if (fd < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)
		return true;
	fprintf(stderr, "pcscd: --ready-fd %d: %s\n", fd, strerror(errno));
	return false;
}

static bool add_socket(struct start *start, int fd, unsigned array_length)
{
	if (fd < 0)
		return false;
	start->sockets[start->socket_count++] =
		(struct rim_socket){ .fd = fd, .array_length = array_length };
	return true;
}

/* Clients are served without it, too. */
static void open_status(struct start *start)
{
	if (wire_status_path(start->options.socket, start->status_path, sizeof(start->status_path)))
		start->status_fd = listen_at(start->status_path);
	else
		log_line(PCSC_LOG_ERROR, "%s: too long a path to have a status socket beside it",
			start->options.socket);
}

/* As above; for root and the daemon's own user. */
static void open_recording(struct start *start)
{
	char *path = start->recording_path;

	if (wire_recording_path(start->options.socket, path, sizeof(start->recording_path)))
		start->recording_fd = listen_at(path);
	if (start->recording_fd >= 0 && chmod(path, 0600) < 0)
		log_line(PCSC_LOG_ERROR, "%s: %s", path, strerror(errno));
}

static bool open_sockets(struct start *start)
{
	const struct options *options = &start->options;
	int fd = listen_inherited();
	pid_t holder;

	if (fd < -1)
		return false;
	start->inherited = fd >= 0;
	start->pid_file = pid_file_lock(options->pid_file, &holder);
	if (start->pid_file < 0)
		return false;
	if (!add_socket(start, start->inherited ? fd : listen_at(options->socket), DEFAULT_ARRAY))
		return false;
	open_status(start);
	open_recording(start);
	return !options->array_socket ||
	       add_socket(start, listen_at(options->array_socket), options->array_length);
}

static void remove_files(struct start *start)
{
	if (start->socket_count > 0 && !start->inherited)
		unlink(start->options.socket);
	if (start->socket_count > 1)
		unlink(start->options.array_socket);
	if (start->status_fd >= 0)
		unlink(start->status_path);
	if (start->recording_fd >= 0)
		unlink(start->recording_path);
	pid_file_unlock(start->pid_file, start->options.pid_file);
}

static void ready(void *context)
{
	struct start *start = context;
	int fd = start->options.ready_fd;

	status_start(start->status_fd);
	recording_start(start->recording_fd);
	sd_notify(0, "READY=1");
	daemon_tell_parent(start->parent, EXIT_SUCCESS);
	start->parent = -1;
	if (fd >= 0) {
		if (write(fd, "\n", 1) != 1)
			log_line(PCSC_LOG_ERROR, "--ready-fd %d: %s", fd, strerror(errno));
		close(fd);
	}
}

static int run(struct start *start)
{
	int code;

	if (!open_sockets(start)) {
		remove_files(start);
		return EXIT_FAILURE;
	}
	if (!start->options.foreground) {
		start->parent = daemon_fork();
		if (start->parent < 0) {
			remove_files(start);
			return EXIT_FAILURE;
		}
		start_log(&start->options, true);
	}
	/* A folder that stays busy could not be unmounted. */
	if (chdir("/") < 0)
		log_line(PCSC_LOG_ERROR, "/: %s", strerror(errno));
	code = pid_file_write(start->pid_file)
		       ? rim_run(&start->options, start->sockets, start->socket_count, ready, start)
		       : EXIT_FAILURE;
	status_stop();
	recording_stop();
	remove_files(start);
	daemon_tell_parent(start->parent, EXIT_FAILURE);
	return code;
}

static atomic_bool unloaded;

static void *end_anyway(void *nothing)
{
	struct timespec until = clock_timespec(clock_now() + UNLOAD_NS);

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
	if (atomic_load(&unloaded))
		return nothing;
	log_line(PCSC_LOG_ERROR, "the library of a driver did not end within %d s",
		(int)(UNLOAD_NS / CLOCK_S));
	_exit(EXIT_FAILURE);
}

/* What a library does when it is unloaded is its own code: it may hang. */
static void unload_drivers(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, end_anyway, NULL) == 0)
		pthread_detach(thread);
	driver_unload_idle();
	atomic_store(&unloaded, true);
}

int main(int argc, char *argv[])
{
	struct start start = { .status_fd = -1, .recording_fd = -1, .pid_file = -1, .parent = -1 };
	int code = EXIT_FAILURE;

	daemon_open_streams();
	switch (options_parse(&start.options, argc, argv)) {
	case OPTIONS_DONE:
		code = EXIT_SUCCESS;
		break;
	case OPTIONS_ERROR:
		break;
	case OPTIONS_RUN:
		if (start.options.hotplug_request) {
			code = request_hotplug(&start.options);
			break;
		}
		if (start.options.check) {
			code = check(&start.options);
			break;
		}
		if (!check_ready_fd(start.options.ready_fd))
			break;
		start_log(&start.options, false);
		rim_block_signals();
		code = run(&start);
		/* Threads that hang in a driver still use what would be freed. */
		if (code < 0) {
			log_close();
			_exit(EXIT_FAILURE);
		}
		unload_drivers();
		break;
	}
	log_close();
	options_free(&start.options);
	return code;
}
