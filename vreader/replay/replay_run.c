/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/replay/replay_run.h"

#include <errno.h>
#include <getopt.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vreader/loop.h"
#include "vreader/options.h"
#include "vreader/replay/replay.h"
#include "vreader/replay/replay_host.h"
#include "vreader/usb/address.h"
#include "vreader/usb/usbip_server.h"

static const char usage_text[] =
	"usage: vreader replay FILE --driver LIBRARY\n"
	"       vreader replay FILE --listen ADDRESS [--ready-fd N]\n"
	"\n"
	"FILE is a report or a trace of pcscctl. With --driver its calls are made again, of that\n"
	"driver; with --listen the reader waits at unix:PATH or tcp:HOST:PORT, as bus id 1-1.\n"
	"Exit status 0: all went as recorded; 1: not, and the first difference is shown.\n";

struct running {
	const struct replay_options *options;
	struct script script;
	struct loop *loop;
	struct loop_source wake;
	struct replay *replay;
	struct usb_device *device;
	struct usbip_server *server;
	struct replay_host *host;
	char folder[64]; /* "": none was made */
	char address[128];
	bool listening;
	atomic_bool over; /* the host has ended */
};

static int complain(const char *what)
{
	fprintf(stderr, "vreader: replay: %s\n", what);
	return REPLAY_NOT_RUN;
}

static void woken(void *ctx)
{
	struct running *run = ctx;

	eventfd_write(run->wake.fd, 1);
}

static void host_done(void *ctx)
{
	struct running *run = ctx;

	run->over = true;
	woken(run);
}

static void wake_ready(struct loop_source *source, uint32_t events)
{
	eventfd_t value;

	(void)events;
	eventfd_read(source->fd, &value);
}

static bool listen_somewhere(struct running *run, char *why, size_t why_size)
{
	int fd;

	if (run->options->listen) {
		snprintf(run->address, sizeof(run->address), "%s", run->options->listen);
	} else {
		strcpy(run->folder, "/tmp/vreader-replay-XXXXXX");
		if (!mkdtemp(run->folder)) {
			run->folder[0] = '\0';
			snprintf(why, why_size, "%s", strerror(errno));
			return false;
		}
		snprintf(run->address, sizeof(run->address), "unix:%s/usbip", run->folder);
	}
	fd = address_listen(run->address, why, why_size);
	run->listening = fd >= 0 && usbip_server_listen(run->server, fd);
	return run->listening;
}

static bool prepare(struct running *run, char *why, size_t why_size)
{
	if (!script_load(&run->script, run->options->file, why, why_size))
		return false;
	run->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	run->wake.ready = wake_ready;
	run->replay =
		replay_new(&run->script, run->options->driver != NULL, woken, run, why, why_size);
	if (!run->replay)
		return false;
	snprintf(why, why_size, "out of memory");
	run->loop = loop_new();
	run->device = usb_device_new_replay(run->replay);
	if (!run->loop || !run->device || !loop_add(run->loop, &run->wake, EPOLLIN))
		return false;
	run->server = usbip_server_new(run->loop, &run->device, 1);
	return run->server && listen_somewhere(run, why, why_size);
}

static bool start_host(struct running *run, char *why, size_t why_size)
{
	char device[160];

	if (!run->options->driver)
		return true;
	snprintf(device, sizeof(device), "usbip:%s/1-1", run->address);
	run->host = replay_host_start(
		run->replay, run->options->driver, device, host_done, run, why, why_size);
	return run->host != NULL;
}

static void say_ready(int fd)
{
	if (fd < 0)
		return;
	if (write(fd, "\n", 1) != 1)
		complain(strerror(errno));
	close(fd);
}

/* Over when the host is, or else when the script is. */
static bool goes_on(struct running *run)
{
	return run->host ? !run->over : replay_state(run->replay) == REPLAY_GOING_ON;
}

static void serve_all(struct running *run)
{
	bool plugged = true;

	while (goes_on(run)) {
		if (!loop_once(run->loop, usbip_server_deadline(run->server))) {
			replay_fail(run->replay, strerror(errno));
			return;
		}
		usbip_server_run(run->server, loop_now());
		/* The driver shall not wait for answers that nobody knows. */
		if (plugged && replay_state(run->replay) == REPLAY_FAILED) {
			usbip_server_unplug(run->server, 0);
			plugged = false;
		}
	}
}

static int tell(struct running *run)
{
	if (replay_state(run->replay) == REPLAY_FAILED) {
		fprintf(stderr, "vreader: replay: %s: %s\n", run->options->file,
			replay_difference(run->replay));
		return REPLAY_DIFFERS;
	}
	if (replay_matched(run->replay) == 0)
		return complain("there is nothing in it that could be replayed");
	printf("%s: %zu steps as recorded\n", run->options->file, replay_matched(run->replay));
	return REPLAY_SAME;
}

static void clean_up(struct running *run)
{
	usbip_server_free(run->server);
	usb_device_free(run->device);
	if (run->listening)
		address_forget(run->address);
	if (run->folder[0])
		rmdir(run->folder);
	if (run->wake.fd >= 0)
		close(run->wake.fd);
	loop_free(run->loop);
	replay_free(run->replay);
	script_free(&run->script);
}

int replay_run(const struct replay_options *options)
{
	struct running run = { .options = options, .wake.fd = -1 };
	int status = REPLAY_NOT_RUN;
	char why[768] = "";

	if (prepare(&run, why, sizeof(why)) && start_host(&run, why, sizeof(why))) {
		say_ready(options->ready_fd);
		serve_all(&run);
		replay_host_join(run.host);
		status = tell(&run);
	} else {
		complain(why);
	}
	clean_up(&run);
	return status;
}

static int usage(void)
{
	fputs(usage_text, stderr);
	return REPLAY_NOT_RUN;
}

int replay_main(int argc, char **argv)
{
	static const struct option longs[] = { { "driver", required_argument, NULL, 'd' },
		{ "listen", required_argument, NULL, 'l' },
		{ "ready-fd", required_argument, NULL, 'r' }, { "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 } };
	struct replay_options options = { .ready_fd = -1 };
	int opt;

	argv[0] = (char *)"vreader";
	while ((opt = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		switch (opt) {
		case 'd':
			options.driver = optarg;
			break;
		case 'l':
			options.listen = optarg;
			break;
		case 'r':
			if (options_descriptor(optarg, &options.ready_fd) != OPTIONS_OK)
				return REPLAY_NOT_RUN;
			break;
		case 'h':
			fputs(usage_text, stdout);
			return 0;
		default:
			return usage();
		}
	}
	if (optind + 1 != argc || (!options.driver && !options.listen))
		return usage();
	options.file = argv[optind];
	return replay_run(&options);
}
