/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a report says of one device: its recording, and what is in it - descriptors, data rates, the
 * last ATR - and where it is on the bus. One thread.
 */
#ifndef CARDWIRE_TOOLS_REPORT_DEVICE_H
#define CARDWIRE_TOOLS_REPORT_DEVICE_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A copy of bytes; the owner's. */
struct report_bytes {
	uint8_t *bytes;
	size_t len;
};

/* What a quirk file said of the reader, and its driver has applied. */
struct report_quirk {
	char *property; /* "NAME = VALUE" */
	char *origin;   /* "FILE:LINE [SECTION]" */
};

struct report_device {
	char *name;      /* device string */
	char *driver;    /* path of its library; NULL: not known */
	char *recording; /* as text */
	size_t recording_len;
	struct report_bytes device;        /* descriptor */
	struct report_bytes configuration; /* with all that follows it */
	struct report_bytes clocks;
	struct report_bytes rates;
	struct report_bytes atr; /* the last */
	struct report_quirk *quirks;
	size_t quirk_count;
	char *serial;     /* serial number, NULL if it has none or it was not read */
	bool hide_serial; /* it is not to be shown */
};

/* Texts that are not to be shown. */
struct report_hidden {
	char **texts;
	size_t count;
};

struct report_devices {
	char **names; /* device strings, each once */
	size_t count;
};

/* Adds those of the readers; those that the daemon has recordings of and that are gone. */
void report_devices_of(struct report_devices *devices, json_object *readers);
void report_devices_gone(struct report_devices *devices, const char *socket);
void report_devices_free(struct report_devices *devices);

/*
 * Asks the daemon for the recording; READERS say whose driver it is. False, after a complaint: it
 * can't be asked.
 */
bool report_device_read(
	struct report_device *device, const char *socket, const char *name, json_object *readers);
void report_device_free(struct report_device *device);

/*
 * From here on the serial number is not shown in the device's own pages. HIDDEN gets it for all
 * other texts: as the driver has read it, and as the kernel below ROOT has it, whose is in the names
 * of readers.
 */
void report_device_hide(
	struct report_device *device, struct report_hidden *hidden, const char *root);
void report_hidden_free(struct report_hidden *hidden);

/* The pages. ROOT is the folder that has sys; nothing is written where nothing is known. */
void report_put_recording(FILE *out, const struct report_device *device, const char *root);
void report_put_device(FILE *out, const struct report_device *device, const char *root);
void report_put_configuration(FILE *out, const struct report_device *device, const char *root);
void report_put_descriptors(FILE *out, const struct report_device *device, const char *root);
void report_put_rates(FILE *out, const struct report_device *device, const char *root);
void report_put_atr(FILE *out, const struct report_device *device, const char *root);
void report_put_quirks(FILE *out, const struct report_device *device, const char *root);
void report_put_bus(FILE *out, const struct report_device *device, const char *root);

/* Overwrites what is hidden in a text by asterisks; not what is too short to be found for sure. */
void report_mask(const struct report_hidden *hidden, char *text);

#endif
