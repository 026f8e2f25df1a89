/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_PCSCD_BUNDLE_H
#define CARDWIRE_PCSCD_BUNDLE_H

/*
 * Driver bundles: folders NAME.bundle with Contents/Info.plist, which lists the USB devices that
 * the library in Contents/Linux drives.
 *
 * Info.plist is a property list; of it are read: CFBundleExecutable (the library), CFBundleName,
 * and ifdVendorID, ifdProductID, ifdFriendlyName, three arrays of equal length. A bundle named
 * CCIDCLASSDRIVER drives every interface of the CCID class (0Bh), and of the devices that it lists
 * those of class FFh, too; it gives way to a bundle that lists the device by number. Other bundles
 * drive every interface of the devices that they list.
 *
 * What is wrong in a bundle is logged as an error with file and line and costs that bundle only
 * (a device with a wrong number: that device only).
 *
 * Threads: no shared state; a `struct bundles` belongs to its caller.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Values of bInterfaceClass. */
#define BUNDLE_CLASS_CCID   0x0B /* CCID 1.1 §4.3.1 */
#define BUNDLE_CLASS_VENDOR 0xFF /* readers from before CCID had its class are of this one */

struct bundle_device {
	uint16_t vendor;
	uint16_t product;
	char *name; /* ifdFriendlyName */
};

struct bundle {
	char *library; /* path of the library */
	bool class_driver;
	struct bundle_device *devices;
	size_t count;
};

struct bundles {
	struct bundle *list;
	size_t count;
	unsigned errors; /* error lines written */
};

/* A library that may drive a device. The strings belong to the bundle. */
struct bundle_match {
	const char *library;
	const char *name; /* the friendly name; NULL if the device is matched by its class only */
};

/*
 * Reads all bundles of `folder` in the order of their names; `bundles` starts as zeros. 0, or -1
 * with errno if the folder cannot be read; nothing is logged then.
 */
int bundles_load(struct bundles *bundles, const char *folder);

/*
 * Reads one Info.plist of `length` bytes, called `file` in messages, of the bundle whose libraries
 * are in `libraries`. True if the bundle was added.
 */
bool bundles_parse(struct bundles *bundles, const char *text, size_t length, const char *file,
	const char *libraries);

/* Frees what `bundles` holds and makes it zeros. */
void bundles_free(struct bundles *bundles);

/*
 * The libraries to try for an interface of a device, best first: the last bundle that lists
 * vendor:product by number, then (for interface class 0Bh or FFh) a class driver that lists it, else
 * (for 0Bh) a class driver that doesn't. Writes at most BUNDLE_MATCHES; returns the number written.
 */
#define BUNDLE_MATCHES 2
size_t bundles_match(const struct bundles *bundles, uint16_t vendor, uint16_t product,
	uint8_t interface_class, struct bundle_match matches[BUNDLE_MATCHES]);

#endif
