/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/readers/hotplug.h"

#include <dirent.h>
#include <errno.h>
#include <libudev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "pcscd/clock.h"
#include "pcscd/log.h"

#define USB_NODES      "/dev/bus/usb"
#define USB_DEVICES    "/sys/bus/usb/devices"
#define CLASS_HUB      0x09 /* bInterfaceClass */
#define UDEV_RUNS      "/run/udev/control"
#define TICK_NS        (5 * CLOCK_S)    /* between looks at the bus where no udev runs */
#define EAGER_NS       (100 * CLOCK_MS) /* between them when a node has just come … */
#define EAGER_LOOKS    10               /* … so often */
#define MONITOR_BUFFER (4 * 1024 * 1024)
#define ACCESS_TEXT    64
#define DRAIN_LIMIT    10000 /* events taken at once; the rest is the next hint */

struct hotplug {
	struct udev *udev;
	struct udev_monitor
		*monitor; /* udev's events, or the kernel's where no udev runs; or NULL */
	bool udev_runs;
	int epoll;
	int nodes;       /* inotify on USB_NODES; -1: udev runs, or there is no USB */
	int tick;        /* timerfd; -1: none */
	int64_t tick_ns; /* its interval */
	unsigned eager;  /* ticks left of EAGER_NS */
	int jump;        /* timerfd that reports a jump of the clock; -1: none */
};

static bool watch(struct hotplug *hotplug, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	return fd >= 0 && epoll_ctl(hotplug->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* Watches the folder of nodes and the folders of buses in it, whether new or watched already. */
static void watch_nodes(struct hotplug *hotplug)
{
	static const uint32_t mask = IN_CREATE | IN_DELETE | IN_ATTRIB | IN_ONLYDIR;
	DIR *folder = opendir(USB_NODES);
	const struct dirent *entry;
	char path[sizeof(USB_NODES) + NAME_MAX + 2];

	if (!folder)
		return;
	inotify_add_watch(hotplug->nodes, USB_NODES, mask);
	while ((entry = readdir(folder))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", USB_NODES, entry->d_name);
		inotify_add_watch(hotplug->nodes, path, mask);
	}
	closedir(folder);
}

/* A timerfd on CLOCK_REALTIME far away, which reads ECANCELED when the clock is set or resumed. */
static void arm_jump(struct hotplug *hotplug)
{
	struct itimerspec never = { .it_value.tv_sec = INT64_C(0x7FFFFFFF) };

	timerfd_settime(hotplug->jump, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL);
}

static void arm_tick(struct hotplug *hotplug, int64_t interval)
{
	struct itimerspec every = {
		.it_interval = clock_timespec(interval),
		.it_value = clock_timespec(interval),
	};

	timerfd_settime(hotplug->tick, 0, &every, NULL);
}

static void open_tick(struct hotplug *hotplug, int64_t interval)
{
	hotplug->tick = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (hotplug->tick < 0)
		return;
	hotplug->tick_ns = interval;
	arm_tick(hotplug, interval);
	watch(hotplug, hotplug->tick);
}

/* `source`: "udev", or "kernel", which says nothing to containers. */
static bool open_monitor(struct hotplug *hotplug, const char *source)
{
	struct udev_monitor *monitor = udev_monitor_new_from_netlink(hotplug->udev, source);

	if (!monitor)
		return false;
	udev_monitor_set_receive_buffer_size(monitor, MONITOR_BUFFER);
	/* Devices, too: their nodes' permissions may change. */
	if (udev_monitor_filter_add_match_subsystem_devtype(monitor, "usb", NULL) < 0 ||
		udev_monitor_enable_receiving(monitor) < 0 ||
		!watch(hotplug, udev_monitor_get_fd(monitor))) {
		udev_monitor_unref(monitor);
		return false;
	}
	hotplug->monitor = monitor;
	return true;
}

struct hotplug *hotplug_open(int64_t poll_ns)
{
	struct hotplug *hotplug = calloc(1, sizeof(*hotplug));

	if (!hotplug)
		return NULL;
	hotplug->nodes = hotplug->tick = hotplug->jump = -1;
	hotplug->epoll = epoll_create1(EPOLL_CLOEXEC);
	hotplug->udev = udev_new();
	if (hotplug->epoll < 0 || !hotplug->udev) {
		log_line(PCSC_LOG_ERROR, "USB readers cannot be watched: %s", strerror(errno));
		hotplug_close(hotplug);
		return NULL;
	}
	hotplug->udev_runs = access(UDEV_RUNS, F_OK) == 0 && open_monitor(hotplug, "udev");
	if (!hotplug->udev_runs && access(USB_NODES, F_OK) == 0) {
		log_line(PCSC_LOG_INFO, "no udev: watching %s for readers", USB_NODES);
		open_monitor(hotplug, "kernel");
		hotplug->nodes = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
		if (watch(hotplug, hotplug->nodes))
			watch_nodes(hotplug);
		if (!poll_ns)
			poll_ns = TICK_NS;
	}
	if (hotplug->monitor || hotplug->nodes >= 0) {
		hotplug->jump = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
		if (watch(hotplug, hotplug->jump))
			arm_jump(hotplug);
	}
	if (poll_ns)
		open_tick(hotplug, poll_ns);
	return hotplug;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void hotplug_close(struct hotplug *hotplug)
{
	if (!hotplug)
		return;
	if (hotplug->monitor)
		udev_monitor_unref(hotplug->monitor);
	if (hotplug->udev)
		udev_unref(hotplug->udev);
	close_fd(hotplug->nodes);
	close_fd(hotplug->tick);
	close_fd(hotplug->jump);
	close_fd(hotplug->epoll);
	free(hotplug);
}

int hotplug_fd(const struct hotplug *hotplug)
{
	return hotplug->epoll;
}

/*
 * Interfaces that come, go or change; devices whose nodes get other permissions. Not that a driver
 * is bound: that happens each time we open a reader.
 */
static bool is_hint(struct udev_device *device)
{
	const char *action = udev_device_get_action(device);
	const char *type = udev_device_get_devtype(device);

	if (!action || !type)
		return true;
	if (strcmp(action, "bind") == 0 || strcmp(action, "unbind") == 0)
		return false;
	return strcmp(type, "usb_interface") == 0 || strcmp(action, "change") == 0;
}

static bool take_monitor(struct hotplug *hotplug)
{
	struct udev_device *device;
	bool any = false;

	if (!hotplug->monitor)
		return false;
	errno = 0;
	for (int i = 0; i < DRAIN_LIMIT; i++) {
		device = udev_monitor_receive_device(hotplug->monitor);
		if (!device)
			break;
		any = any || is_hint(device);
		udev_device_unref(device);
	}
	/* ENOBUFS: events were lost. They were hints anyway. */
	return any || errno == ENOBUFS;
}

/*
 * A device's interfaces come some milliseconds after its node, and without the kernel's events nobody
 * tells when: so for a second it is looked at the bus every now and then.
 */
static bool take_nodes(struct hotplug *hotplug)
{
	char events[4096] __attribute__((aligned(8)));
	bool any = false;

	if (hotplug->nodes < 0)
		return false;
	while (read(hotplug->nodes, events, sizeof(events)) > 0)
		any = true;
	if (!any)
		return false;
	watch_nodes(hotplug);
	if (hotplug->tick >= 0 && hotplug->tick_ns > EAGER_NS) {
		hotplug->eager = EAGER_LOOKS;
		arm_tick(hotplug, EAGER_NS);
	}
	return true;
}

static bool take_timer(int fd)
{
	uint64_t times;

	return fd >= 0 && (read(fd, &times, sizeof(times)) > 0 || errno == ECANCELED);
}

static bool take_tick(struct hotplug *hotplug)
{
	if (!take_timer(hotplug->tick))
		return false;
	if (hotplug->eager && --hotplug->eager == 0)
		arm_tick(hotplug, hotplug->tick_ns);
	return true;
}

bool hotplug_take_hints(struct hotplug *hotplug)
{
	bool any = take_monitor(hotplug);

	any = take_nodes(hotplug) || any;
	any = take_tick(hotplug) || any;
	if (take_timer(hotplug->jump)) {
		arm_jump(hotplug);
		any = true;
	}
	return any;
}

static unsigned long hex_attribute(struct udev_device *device, const char *name)
{
	const char *text = udev_device_get_sysattr_value(device, name);

	return text ? strtoul(text, NULL, 16) : 0;
}

/* Who may open the node; "" if it isn't there. */
static void describe_access(const char *node, char text[ACCESS_TEXT])
{
	struct stat about;

	text[0] = '\0';
	if (node && stat(node, &about) == 0)
		snprintf(text, ACCESS_TEXT, "%u %u %o", about.st_uid, about.st_gid, about.st_mode);
}

static void choose(struct wanted_list *list, const struct bundles *bundles,
	const struct name_rules *rules, struct udev_device *device)
{
	struct udev_device *parent =
		udev_device_get_parent_with_subsystem_devtype(device, "usb", "usb_device");
	struct usb_interface interface = { .place = udev_device_get_sysname(device) };
	char access[ACCESS_TEXT];
	const char *ignored;

	if (!parent || !interface.place)
		return;
	ignored = udev_device_get_property_value(parent, "PCSCLITE_IGNORE");
	if (ignored && strcmp(ignored, "1") == 0)
		return;
	interface.path = udev_device_get_property_value(device, "ID_PATH");
	interface.node = udev_device_get_devnode(parent);
	describe_access(interface.node, access);
	interface.access = access;
	interface.born = udev_device_get_property_value(parent, "USEC_INITIALIZED");
	interface.vendor = (uint16_t)hex_attribute(parent, "idVendor");
	interface.product = (uint16_t)hex_attribute(parent, "idProduct");
	interface.interface_class = (uint8_t)hex_attribute(device, "bInterfaceClass");
	interface.interface_number = (uint8_t)hex_attribute(device, "bInterfaceNumber");
	interface.interface = udev_device_get_sysattr_value(device, "interface");
	interface.serial = udev_device_get_sysattr_value(parent, "serial");
	interface.manufacturer = udev_device_get_sysattr_value(parent, "manufacturer");
	interface.product_name = udev_device_get_sysattr_value(parent, "product");
	hotplug_choose(list, bundles, rules, &interface);
}

/* Interfaces are "1-3:1.0". */
static int is_interface(const struct dirent *entry)
{
	return strchr(entry->d_name, ':') != NULL;
}

/* Hubs are many, and need not be looked at any closer. */
static bool is_hub(const char *place)
{
	char path[sizeof(USB_DEVICES) + NAME_MAX + 32];
	char text[8] = "";
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s/bInterfaceClass", USB_DEVICES, place);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(text, sizeof(text), file))
		text[0] = '\0';
	fclose(file);
	return strtoul(text, NULL, 16) == CLASS_HUB;
}

static void look_at(struct hotplug *hotplug, struct wanted_list *list,
	const struct bundles *bundles, const struct name_rules *rules, const char *place)
{
	struct udev_device *device =
		udev_device_new_from_subsystem_sysname(hotplug->udev, "usb", place);

	if (!device)
		return;
	/* Before udev has set its permissions a node could not be opened. */
	if (!hotplug->udev_runs || udev_device_get_is_initialized(device) > 0)
		choose(list, bundles, rules, device);
	udev_device_unref(device);
}

/* udev's own enumeration looks at everything there is, ten times as long. */
bool hotplug_list(struct hotplug *hotplug, struct wanted_list *list, const struct bundles *bundles,
	const struct name_rules *rules)
{
	struct dirent **entries;
	int count = scandir(USB_DEVICES, &entries, is_interface, alphasort);

	if (count < 0)
		return errno == ENOENT;
	for (int i = 0; i < count; i++) {
		if (!is_hub(entries[i]->d_name))
			look_at(hotplug, list, bundles, rules, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return !list->short_of_memory;
}
