/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/rim.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "pcscd/clients/access.h"
#include "pcscd/clients/server.h"
#include "pcscd/clock.h"
#include "pcscd/log.h"
#include "pcscd/mailbox.h"
#include "pcscd/readers/bundle.h"
#include "pcscd/readers/driver.h"
#include "pcscd/readers/hotplug.h"
#include "pcscd/readers/inventory.h"
#include "pcscd/readers/names.h"
#include "pcscd/readers/places.h"
#include "pcscd/readers/readers.h"
#include "pcscd/readers/readers_conf.h"
#include "pcscd/readers/wanted.h"

#define STOP_NS      (2 * CLOCK_S) /* the whole stop is bounded by it */
#define FIRST_SCAN   (2 * CLOCK_S) /* how long readers that come up delay "ready" */
#define AUTO_EXIT_NS (60 * CLOCK_S)

struct rim {
	const struct options *options;
	int signals;
	struct mailbox *mailbox;
	struct access *access;
	struct bundles bundles;
	struct name_rules names;
	struct inventory *inventory;
	struct hotplug *hotplug; /* NULL: no readers by USB */
	int64_t exit_at;         /* auto-exit; CLOCK_NEVER while there are clients */
	int64_t watchdog;        /* ns between signs of life, 0: nobody wants any */
	int64_t watchdog_at;
	bool stop;
};

static void taken_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGQUIT);
	sigaddset(set, SIGUSR1);
}

void rim_block_signals(void)
{
	sigset_t set;

	taken_signals(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
}

static void on_up(void *context, uint64_t id)
{
	struct rim *rim = context;

	mailbox_post(rim->mailbox, (struct mail){ .kind = MAIL_UP, .id = id });
}

static void on_gone(void *context, uint64_t id, enum readers_end why, bool was_up)
{
	struct rim *rim = context;

	mailbox_post(rim->mailbox,
		(struct mail){ .kind = MAIL_GONE, .id = id, .why = why, .was_up = was_up });
}

static void on_idle(void *context, bool idle)
{
	struct rim *rim = context;

	mailbox_post(rim->mailbox, (struct mail){ .kind = idle ? MAIL_IDLE : MAIL_BUSY });
}

static enum access_verdict on_access(void *context, const struct peer *peer, int peer_fd,
	enum access_action action, const char *reader, uint64_t ticket)
{
	struct rim *rim = context;

	return access_check(rim->access, peer, peer_fd, action, reader, ticket);
}

static void on_access_cancel(void *context, uint64_t ticket)
{
	struct rim *rim = context;

	access_cancel(rim->access, ticket);
}

/* A configured reader is known by what it is, not by its line: lines move when a file is edited. */
static void want_configured(struct rim *rim, struct wanted_list *list, struct conf_reader *reader)
{
	char name[NAME_BASE_MAX + 1];
	struct wanted wanted = { .identity = "", .count = 1 };

	name_of_configured(name, &rim->names, reader->name);
	if (name_is_ignored(&rim->names, name))
		return;
	if (!reader->has_grace)
		reader->power.grace = rim->options->power_grace_ns;
	wanted.key = wanted_string(list, "%s\n%s\n%s\n%lu", name, reader->library,
		reader->device ? reader->device : "", reader->channel);
	wanted.specs[0] = (struct reader_spec){
		.base_name = wanted_string(list, "%s", name),
		.library = wanted_library(list, reader->library),
		.device = reader->device ? wanted_string(list, "%s", reader->device) : NULL,
		.channel = reader->channel,
		.origin = wanted_string(list, "%s", reader->origin),
		.place = wanted_string(list, "%c%s %lu", PLACE_TRANSIENT,
			reader->device ? reader->device : "", reader->channel),
		.power = reader->has_grace || reader->has_power_on ? &reader->power : NULL,
	};
	if (!wanted_add(list, &wanted))
		log_line(PCSC_LOG_ERROR, "%s: this reader is configured twice", reader->origin);
}

static void scan_conf(struct rim *rim, bool again)
{
	const struct options *options = rim->options;
	struct readers_conf conf = { 0 };
	struct wanted_list list = { 0 };

	/* The default folder need not be there; one that was asked for must. */
	if (readers_conf_load(&conf, options->config) < 0 &&
		(options->config_chosen || errno != ENOENT)) {
		log_line(PCSC_LOG_ERROR, "%s: %s%s", options->config, strerror(errno),
			again ? ": the configured readers stay as they are" : "");
		readers_conf_free(&conf);
		return;
	}
	for (size_t i = 0; i < conf.count; i++)
		want_configured(rim, &list, &conf.readers[i]);
	inventory_sync(rim->inventory, INVENTORY_CONF, list.list, list.count, again, clock_now());
	wanted_free(&list);
	readers_conf_free(&conf);
}

static void scan_bus(struct rim *rim, bool again)
{
	struct wanted_list list = { 0 };

	if (!rim->hotplug)
		return;
	if (hotplug_list(rim->hotplug, &list, &rim->bundles, &rim->names))
		inventory_sync(
			rim->inventory, INVENTORY_BUS, list.list, list.count, again, clock_now());
	wanted_free(&list);
}

static void load_bundles(struct rim *rim)
{
	bundles_free(&rim->bundles);
	if (bundles_load(&rim->bundles, rim->options->drivers) < 0)
		log_line(PCSC_LOG_ERROR, "driver folder %s: %s: no readers by USB",
			rim->options->drivers, strerror(errno));
	else if (rim->bundles.count == 0)
		log_line(PCSC_LOG_INFO, "driver folder %s: no bundles: no readers by USB",
			rim->options->drivers);
}

static void take_signals(struct rim *rim)
{
	struct signalfd_siginfo info;

	while (read(rim->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGUSR1) {
			log_line(PCSC_LOG_INFO, "looking for readers again, as asked by pid %u",
				info.ssi_pid);
			driver_unload_idle();
			load_bundles(rim);
			scan_conf(rim, true);
			scan_bus(rim, true);
		} else {
			log_line(PCSC_LOG_INFO, "stopping on signal %u of pid %u", info.ssi_signo,
				info.ssi_pid);
			rim->stop = true;
		}
	}
}

static void take_mail(struct rim *rim)
{
	struct mail *mail;
	size_t count = mailbox_take(rim->mailbox, &mail);
	int64_t now = clock_now();
	bool gone = false;

	for (size_t i = 0; i < count; i++) {
		switch (mail[i].kind) {
		case MAIL_UP:
			inventory_up(rim->inventory, mail[i].id, now);
			break;
		case MAIL_GONE:
			inventory_gone(
				rim->inventory, mail[i].id, mail[i].why, mail[i].was_up, now);
			gone = gone || (mail[i].was_up && mail[i].why == READERS_END_NO_DEVICE);
			break;
		case MAIL_IDLE:
			rim->exit_at = now + AUTO_EXIT_NS;
			break;
		case MAIL_BUSY:
			rim->exit_at = CLOCK_NEVER;
			break;
		}
	}
	free(mail);
	places_save();
	/* A failing device is often the first sign of an unplugged one. */
	if (gone)
		scan_bus(rim, false);
}

static void take_hints(struct rim *rim)
{
	if (rim->hotplug && hotplug_take_hints(rim->hotplug))
		scan_bus(rim, false);
}

/* What is due now. */
static void take_time(struct rim *rim)
{
	int64_t now = clock_now();

	inventory_tick(rim->inventory, now);
	if (rim->watchdog && now >= rim->watchdog_at) {
		sd_notify(0, "WATCHDOG=1");
		rim->watchdog_at = now + rim->watchdog;
	}
	if (rim->options->auto_exit && now >= rim->exit_at && server_retire()) {
		log_line(PCSC_LOG_INFO, "stopping: no client for %d s",
			(int)(AUTO_EXIT_NS / CLOCK_S));
		rim->stop = true;
	}
}

/* Milliseconds until something is due, rounded up; -1: nothing is. */
static int time_left(const struct rim *rim)
{
	int64_t due = inventory_deadline(rim->inventory);
	int64_t left;

	if (rim->options->auto_exit && rim->exit_at < due)
		due = rim->exit_at;
	if (rim->watchdog && rim->watchdog_at < due)
		due = rim->watchdog_at;
	if (due == CLOCK_NEVER)
		return -1;
	left = due - clock_now();
	if (left <= 0)
		return 0;
	left = (left + CLOCK_MS - 1) / CLOCK_MS;
	return left > INT_MAX ? INT_MAX : (int)left;
}

static void loop(struct rim *rim)
{
	struct pollfd fds[] = {
		{ .fd = rim->signals, .events = POLLIN },
		{ .fd = mailbox_fd(rim->mailbox), .events = POLLIN },
		{ .fd = rim->hotplug ? hotplug_fd(rim->hotplug) : -1, .events = POLLIN },
	};

	while (!rim->stop) {
		if (poll(fds, sizeof(fds) / sizeof(fds[0]), time_left(rim)) < 0 && errno != EINTR) {
			log_line(PCSC_LOG_CRITICAL, "poll: %s", strerror(errno));
			return;
		}
		take_mail(rim);
		take_hints(rim);
		take_signals(rim);
		take_time(rim);
	}
}

static void open_watchdog(struct rim *rim)
{
	uint64_t microseconds = 0;

	if (sd_watchdog_enabled(0, &microseconds) <= 0)
		return;
	rim->watchdog = (int64_t)microseconds * 1000 / 2;
	rim->watchdog_at = clock_now();
}

/* What the loop needs before the server starts. */
static bool open_rim(struct rim *rim)
{
	static const struct inventory_table table = { readers_add, readers_remove };
	sigset_t set;

	taken_signals(&set);
	rim->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	rim->mailbox = mailbox_new();
	rim->inventory = inventory_new(&table);
	rim->access = access_open(rim->options, server_access_verdict);
	if (rim->signals >= 0 && rim->mailbox && rim->inventory && rim->access)
		return true;
	log_line(PCSC_LOG_CRITICAL, "cannot start: %s", strerror(errno));
	return false;
}

static bool start_server(struct rim *rim)
{
	const struct options *options = rim->options;
	struct server_config config;

	server_defaults(&config);
	if (options->max_contexts)
		config.max_contexts = options->max_contexts;
	if (options->max_handles_per_context)
		config.max_handles_per_context = options->max_handles_per_context;
	if (options->max_handles_per_reader)
		config.max_handles_per_reader = options->max_handles_per_reader;
	if (options->max_connections_per_user != UINT_MAX)
		config.max_connections_per_user = options->max_connections_per_user;
	if (options->lease_ns >= 0)
		config.lease_ns = options->lease_ns;
	config.on_idle = on_idle;
	config.access = on_access;
	config.access_cancel = on_access_cancel;
	config.ctx = rim;
	return server_start(&config) == 0;
}

static bool listen_all(const struct rim_socket *sockets, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (server_listen(sockets[i].fd, sockets[i].array_length) < 0)
			return false;
	return true;
}

/* True if everything came down in time. Otherwise threads still run: exit without unwinding. */
static bool stop_all(void)
{
	int64_t deadline = clock_now() + STOP_NS;
	bool clean;

	sd_notify(0, "STOPPING=1");
	clean = server_stop(deadline);
	clean = readers_stop(deadline) && clean;
	clean = server_end(deadline) && clean;
	if (!clean)
		log_line(PCSC_LOG_ERROR, "a driver did not come back within %d s",
			(int)(STOP_NS / CLOCK_S));
	return clean;
}

static void close_rim(struct rim *rim)
{
	places_save();
	places_close();
	access_close(rim->access);
	hotplug_close(rim->hotplug);
	inventory_free(rim->inventory);
	mailbox_free(rim->mailbox);
	bundles_free(&rim->bundles);
	if (rim->signals >= 0)
		close(rim->signals);
}

int rim_run(const struct options *options, const struct rim_socket *sockets, size_t count,
	rim_ready ready, void *context)
{
	struct rim rim = {
		.options = options,
		.signals = -1,
		.names = { .no_interface = options->no_interface_in_name,
			.no_serial = options->no_serial_in_name },
		.exit_at = clock_now() + AUTO_EXIT_NS,
	};
	const struct readers_callbacks callbacks = { on_up, on_gone, &rim };
	bool ok;

	name_rules_environment(&rim.names);
	if (!open_rim(&rim) || !start_server(&rim)) {
		close_rim(&rim);
		return EXIT_FAILURE;
	}
	places_open(options->state);
	readers_init(&callbacks, options->power_grace_ns);
	load_bundles(&rim);
	rim.hotplug = hotplug_open(options->poll_bus_ns);
	scan_conf(&rim, false);
	scan_bus(&rim, false);
	readers_settle(clock_now() + FIRST_SCAN);
	ok = listen_all(sockets, count);
	if (ok) {
		open_watchdog(&rim);
		ready(context);
		loop(&rim);
	}
	if (!stop_all())
		return -1;
	close_rim(&rim);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
