/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_PCSCD_HOTPLUG_H
#define CARDWIRE_PCSCD_HOTPLUG_H

/*
 * The USB bus: which readers the kernel has, and when to look again.
 *
 * An event is only a hint: whatever happened, hotplug_list() returns what is there now, and the
 * inventory acts on the difference. Hints come from udev's monitor; where no udev runs (containers,
 * early boot) from the kernel's, from /dev/bus/usb, and from a slow tick; and from the clock jumping
 * as it does when the machine wakes up. Without any USB the list is empty and nothing is logged.
 *
 * One thread (the main loop). hotplug_choose() is pure.
 */

#include <stdbool.h>
#include <stdint.h>

#include "pcscd/readers/bundle.h"
#include "pcscd/readers/names.h"
#include "pcscd/readers/wanted.h"

/* An interface of a USB device as the kernel describes it. Strings but the first may be NULL. */
struct usb_interface {
	const char *place;        /* its name in the kernel, "1-3:1.0" */
	const char *path;         /* of its port, the same after a restart: udev's ID_PATH */
	const char *node;         /* of the device, "/dev/bus/usb/001/004" */
	const char *access;       /* who may open the node, in any form */
	const char *born;         /* tells two devices with the same place and node apart */
	uint16_t vendor;          /* idVendor */
	uint16_t product;         /* idProduct */
	uint8_t interface_class;  /* bInterfaceClass */
	uint8_t interface_number; /* bInterfaceNumber */
	const char *interface;    /* iInterface */
	const char *serial;       /* iSerialNumber */
	const char *manufacturer; /* iManufacturer */
	const char *product_name; /* iProduct */
};

/* Appends the interface to `list` if a bundle drives it and its name is not ignored. */
void hotplug_choose(struct wanted_list *list, const struct bundles *bundles,
	const struct name_rules *rules, const struct usb_interface *interface);

struct hotplug;

/*
 * Starts to listen for hints. poll_ns: look so often whatever the hints say; 0: don't. NULL if
 * memory or descriptors are short (logged).
 */
struct hotplug *hotplug_open(int64_t poll_ns);

/* Stops. NULL is allowed. */
void hotplug_close(struct hotplug *hotplug);

/* A descriptor that is readable when there is a hint. */
int hotplug_fd(const struct hotplug *hotplug);

/* Takes the hints that are there, so that the descriptor isn't readable. True if there were any. */
bool hotplug_take_hints(struct hotplug *hotplug);

/* Appends the readers that are on the bus now. False if the bus could not be read: don't use it. */
bool hotplug_list(struct hotplug *hotplug, struct wanted_list *list, const struct bundles *bundles,
	const struct name_rules *rules);

#endif
