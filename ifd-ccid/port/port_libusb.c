/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_libusb.h"

#include <errno.h>
#include <fcntl.h>
#include <libusb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "holder.h"
#include "ifd-ccid/log.h"
#include "number.h"
#include "port_shared.h"
#include "spec/usb.h"
#include "usb_transfer.h"

struct usb_port {
	struct port port;
	char name[512];
	libusb_device_handle *handle;
	int fd; /* of a handle made of one, else -1 */
	uint8_t device_descriptor[USB_DEVICE_SIZE];
	uint8_t *configuration;
};

/*
 * One context for all ports, from the first one until the driver is unloaded: making one takes
 * longer than opening a reader. One event thread while there are ports.
 */
static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;
static libusb_context *context;
static unsigned users;
static pthread_t thread;
static atomic_bool stop;

static struct usb_port *of(struct port *port)
{
	return (struct usb_port *)port;
}

static void *events(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop))
		libusb_handle_events_completed(context, NULL);
	return NULL;
}

/* False after one error line. */
static bool shared_get(void)
{
	bool ok = true;

	pthread_mutex_lock(&shared_lock);
	if (users == 0) {
		atomic_store(&stop, false);
		if (!context && libusb_init(&context) != 0)
			context = NULL;
		ok = context && pthread_create(&thread, NULL, events, NULL) == 0;
	}
	if (ok)
		users++;
	else
		log_line(LOG_ERROR, "libusb can't be started");
	pthread_mutex_unlock(&shared_lock);
	return ok;
}

static void shared_put(void)
{
	pthread_mutex_lock(&shared_lock);
	if (--users == 0) {
		atomic_store(&stop, true);
		libusb_interrupt_event_handler(context);
		pthread_join(thread, NULL);
	}
	pthread_mutex_unlock(&shared_lock);
}

__attribute__((destructor)) static void shared_end(void)
{
	if (context && users == 0)
		libusb_exit(context);
}

bool libusb_parse(const char *name, struct libusb_address *address)
{
	const char *at = name;
	unsigned vid;
	unsigned pid;
	unsigned n[3];

	*address = (struct libusb_address){ .bus = -1, .device = -1, .interface = -1 };
	if (!number_skip(&at, LIBUSB_PREFIX) || !number_take(&at, 16, UINT16_MAX, &vid) ||
		!number_skip(&at, "/") || !number_take(&at, 16, UINT16_MAX, &pid))
		return false;
	address->vid = (uint16_t)vid;
	address->pid = (uint16_t)pid;
	if (*at == '\0')
		return true;
	if (number_skip(&at, ":libudev:")) {
		if (!number_take(&at, 10, UINT8_MAX, &n[2]) ||
			!number_skip(&at, ":/dev/bus/usb/") ||
			!number_take(&at, 10, UINT8_MAX, &n[0]) || !number_skip(&at, "/") ||
			!number_take(&at, 10, UINT8_MAX, &n[1]))
			return false;
	} else if (!number_skip(&at, ":libusb-1.0:") || !number_take(&at, 10, UINT8_MAX, &n[0]) ||
		   !number_skip(&at, ":") || !number_take(&at, 10, UINT8_MAX, &n[1]) ||
		   !number_skip(&at, ":") || !number_take(&at, 10, UINT8_MAX, &n[2])) {
		return false;
	}
	address->bus = (int)n[0];
	address->device = (int)n[1];
	address->interface = (int)n[2];
	return *at == '\0';
}

static enum port_status status_of_error(int error)
{
	switch (error) {
	case LIBUSB_SUCCESS:
		return PORT_OK;
	case LIBUSB_ERROR_NO_DEVICE:
	case LIBUSB_ERROR_NOT_FOUND: /* after a reset: the device is to be enumerated anew */
		return PORT_GONE;
	case LIBUSB_ERROR_PIPE:
		return PORT_STALL;
	case LIBUSB_ERROR_TIMEOUT:
		return PORT_TIMEOUT;
	default:
		return PORT_ERROR;
	}
}

static bool usb_submit(struct port *port, struct port_transfer *transfer)
{
	return usb_transfer_submit(of(port)->handle, transfer);
}

static void usb_cancel(struct port *port, struct port_transfer *transfer)
{
	(void)port;
	usb_transfer_cancel(transfer);
}

static void usb_release(struct port *port, struct port_transfer *transfer)
{
	(void)port;
	usb_transfer_release(transfer);
}

/* Its name in sysfs, BUS-PORT.PORT…, by the number of its node; only BUS if there is no sysfs. */
static void find_place(struct usb_port *u)
{
	char link[64], target[512];
	const char *name;
	ssize_t len;

	snprintf(link, sizeof(link), "/sys/dev/char/189:%u",
		(u->port.bus - 1U) * 128U + u->port.address - 1U);
	len = readlink(link, target, sizeof(target) - 1);
	target[len > 0 ? len : 0] = '\0';
	name = strrchr(target, '/');
	if (name)
		snprintf(
			u->port.place, sizeof(u->port.place), "%.*s", PORT_PLACE_MAX - 1, name + 1);
	else
		snprintf(u->port.place, sizeof(u->port.place), "%u", u->port.bus);
}

/* The interface's name in sysfs: …:CONFIGURATION.INTERFACE. */
static void sysfs_name(const struct usb_port *u, uint8_t interface, char *out, size_t size)
{
	snprintf(out, size, "%s:%u.%u", u->port.place,
		u->port.configuration[USB_CONFIG_bConfigurationValue], interface);
}

static void node_name(const struct usb_port *u, char *out, size_t size)
{
	snprintf(out, size, "/dev/bus/usb/%03u/%03u", u->port.bus, u->port.address);
}

static void find_holder(const struct usb_port *u, uint8_t interface, char *holder, size_t size)
{
	char name[64];
	char node[64];

	sysfs_name(u, interface, name, sizeof(name));
	node_name(u, node, sizeof(node));
	if (!holder_find("", name, node, holder, size))
		snprintf(holder, size, "a program that we may not see");
}

static void say_busy(const struct usb_port *u, uint8_t interface)
{
	char holder[256];

	find_holder(u, interface, holder, sizeof(holder));
	log_line(LOG_ERROR, "device %s: interface %u is in use by %s%s", u->name, interface, holder,
		u->port.leave_kernel_driver ? "; \"detach-kernel-driver=no\" leaves it there" : "");
}

/* A kernel driver, the one for NFC devices for instance, loses the interface to us. */
static void say_taken(const struct usb_port *u, uint8_t interface)
{
	char holder[256];

	if (libusb_kernel_driver_active(u->handle, interface) != 1)
		return;
	find_holder(u, interface, holder, sizeof(holder));
	log_line(LOG_INFO, "device %s: interface %u is taken from %s, which gets it back", u->name,
		interface, holder);
}

static enum port_status usb_claim(struct port *port, uint8_t interface, uint8_t alternate)
{
	struct usb_port *u = of(port);
	int err;

	(void)libusb_set_auto_detach_kernel_driver(u->handle, !port->leave_kernel_driver);
	if (!port->leave_kernel_driver)
		say_taken(u, interface);
	err = libusb_claim_interface(u->handle, interface);
	if (err == LIBUSB_ERROR_BUSY)
		say_busy(u, interface);
	else if (err)
		log_line(LOG_ERROR, "device %s: can't claim interface %u: %s", u->name, interface,
			libusb_strerror(err));
	if (err)
		return status_of_error(err);
	if (alternate == 0)
		return PORT_OK;
	return status_of_error(libusb_set_interface_alt_setting(u->handle, interface, alternate));
}

/* A kernel driver that was detached comes back. */
static void usb_unclaim(struct port *port, uint8_t interface)
{
	(void)libusb_release_interface(of(port)->handle, interface);
}

static enum port_status usb_clear_halt(struct port *port, uint8_t endpoint)
{
	return status_of_error(libusb_clear_halt(of(port)->handle, endpoint));
}

/* A device whose descriptors have changed since has to be opened anew: PORT_GONE. */
static enum port_status usb_reset(struct port *port)
{
	return status_of_error(libusb_reset_device(of(port)->handle));
}

static void usb_close(struct port *port)
{
	struct usb_port *u = of(port);

	if (u->handle)
		libusb_close(u->handle);
	if (u->fd >= 0)
		close(u->fd);
	free(u->configuration);
	free(u);
	shared_put();
}

static const struct port_ops ops = {
	.close = usb_close,
	.claim = usb_claim,
	.unclaim = usb_unclaim,
	.submit = usb_submit,
	.cancel = usb_cancel,
	.release = usb_release,
	.clear_halt = usb_clear_halt,
	.reset = usb_reset,
};

static const char no_such_device[] = "no such device";
static const char no_permission[] =
	"no permission to open it; is the udev rule for card readers installed?";

static bool matches(libusb_device *device, const struct libusb_address *address)
{
	struct libusb_device_descriptor descriptor;

	if (address->bus >= 0 && (libusb_get_bus_number(device) != address->bus ||
					 libusb_get_device_address(device) != address->device))
		return false;
	return libusb_get_device_descriptor(device, &descriptor) == 0 &&
	       descriptor.idVendor == address->vid && descriptor.idProduct == address->pid;
}

/*
 * Opens a device by its node: where there is no udev libusb's list does not grow. NULL, or what went
 * wrong.
 */
static const char *open_node(struct usb_port *u, const struct libusb_address *address)
{
	char path[64];

	u->port.bus = (uint8_t)address->bus;
	u->port.address = (uint8_t)address->device;
	node_name(u, path, sizeof(path));
	u->fd = open(path, O_RDWR | O_CLOEXEC);
	if (u->fd < 0)
		return errno == EACCES ? no_permission : strerror(errno);
	if (libusb_wrap_sys_device(context, (intptr_t)u->fd, &u->handle) != 0)
		u->handle = NULL;
	if (!u->handle || !matches(libusb_get_device(u->handle), address))
		return no_such_device;
	return NULL;
}

/* Opens the first device that matches and lets itself be opened. NULL, or what went wrong. */
static const char *open_device(struct usb_port *u, const struct libusb_address *address)
{
	const char *why = no_such_device;
	libusb_device **list;
	ssize_t count = libusb_get_device_list(context, &list);
	int err;

	for (ssize_t i = 0; i < count && !u->handle; i++) {
		if (!matches(list[i], address))
			continue;
		err = libusb_open(list[i], &u->handle);
		if (err == LIBUSB_ERROR_ACCESS)
			why = no_permission;
		else if (err)
			why = libusb_strerror(err);
	}
	if (count >= 0)
		libusb_free_device_list(list, 1);
	if (!u->handle && why == no_such_device && address->bus >= 0)
		return open_node(u, address);
	return u->handle ? NULL : why;
}

/* All descriptors as the kernel keeps them, without asking the device. */
static size_t read_node(const struct usb_port *u, uint8_t *out, size_t size)
{
	char path[64];
	size_t len;
	FILE *file;

	node_name(u, path, sizeof(path));
	file = fopen(path, "re");
	if (!file)
		return 0;
	len = fread(out, 1, size, file);
	fclose(file);
	return len;
}

/* NULL, or what went wrong. */
static const char *read_descriptors(struct usb_port *u)
{
	enum {
		ROOM = 65536
	};
	uint8_t *all = malloc(ROOM);
	size_t len = all ? read_node(u, all, ROOM) : 0;
	size_t at = USB_DEVICE_SIZE;
	int active = 0;

	if (len < USB_DEVICE_SIZE || libusb_get_configuration(u->handle, &active) != 0 || !active) {
		free(all);
		return "the device is not configured";
	}
	memcpy(u->device_descriptor, all, USB_DEVICE_SIZE);
	u->configuration = all;
	while (at + USB_CONFIG_SIZE <= len) {
		size_t total = (size_t)(all[at + USB_CONFIG_wTotalLength] |
					all[at + USB_CONFIG_wTotalLength + 1] << 8);

		if (total < USB_CONFIG_SIZE || total > len - at)
			break;
		if (all[at + USB_CONFIG_bConfigurationValue] == active) {
			u->port.device = u->device_descriptor;
			u->port.configuration = all + at;
			u->port.configuration_len = total;
			return NULL;
		}
		at += total;
	}
	return "malformed configuration descriptor";
}

static struct port *open_port(const char *name, void (*gone)(void *owner), void *owner)
{
	struct libusb_address address;
	struct usb_port *u;
	const char *why;

	if (!libusb_parse(name, &address))
		return NULL;
	u = calloc(1, sizeof(*u));
	if (!u)
		return NULL;
	if (!shared_get()) {
		free(u);
		return NULL;
	}
	u->port.ops = &ops;
	u->port.gone = gone;
	u->port.owner = owner;
	u->port.interface = -1;
	u->port.keeps_partial = true;
	u->fd = -1;
	strncpy(u->name, name, sizeof(u->name) - 1);
	why = open_device(u, &address);
	if (!why) {
		u->port.bus = libusb_get_bus_number(libusb_get_device(u->handle));
		u->port.address = libusb_get_device_address(libusb_get_device(u->handle));
		find_place(u);
		why = read_descriptors(u);
	}
	if (!why)
		return &u->port;
	log_line(LOG_ERROR, "device %s: %s", name, why);
	usb_close(&u->port);
	return NULL;
}

struct port *port_libusb_open(const char *name, void (*gone)(void *owner), void *owner)
{
	struct libusb_address address;
	char key[64];

	if (!libusb_parse(name, &address)) {
		log_line(LOG_ERROR,
			"device %s: expected usb:VVVV/PPPP[:libudev:I:/dev/bus/usb/B/D]", name);
		return NULL;
	}
	snprintf(key, sizeof(key), LIBUSB_PREFIX "%04X/%04X:%d:%d", address.vid, address.pid,
		address.bus, address.device);
	return port_shared_open(key, address.interface, name, open_port, gone, owner);
}
