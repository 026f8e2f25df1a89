/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/report_device.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "spec/ccid.h"
#include "spec/usb.h"
#include "tools/explain.h"
#include "tools/recordings.h"
#include "tools/report.h"
#include "tools/text.h"

#define NODES "/dev/bus/usb/"

enum {
	HIDE_MIN = 4, /* characters; a shorter serial number might be anything */
	VALUE_MAX = 256,
};

static void keep(struct report_bytes *kept, const struct recording_entry *entry)
{
	uint8_t *bytes = malloc(entry->len ? entry->len : 1);

	if (!bytes)
		return;
	if (entry->len)
		memcpy(bytes, entry->data, entry->len);
	free(kept->bytes);
	*kept = (struct report_bytes){ bytes, entry->len };
}

static bool add_name(struct report_devices *devices, const char *name)
{
	char **more;

	for (size_t i = 0; i < devices->count; i++)
		if (strcmp(devices->names[i], name) == 0)
			return true;
	more = realloc(devices->names, (devices->count + 1) * sizeof(*more));
	if (!more)
		return false;
	devices->names = more;
	more[devices->count] = strdup(name);
	devices->count += more[devices->count] != NULL;
	return true;
}

void report_devices_of(struct report_devices *devices, json_object *readers)
{
	size_t count = json_object_array_length(readers);

	for (size_t i = 0; i < count; i++) {
		const char *name = report_text(json_object_array_get_idx(readers, i), "device");

		if (*name)
			add_name(devices, name);
	}
}

void report_devices_gone(struct report_devices *devices, const char *socket)
{
	FILE *answer = recordings_ask(socket, "list", NULL);
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	while (answer && (len = getline(&line, &size, answer)) > 0) {
		line[len - 1] = '\0';
		if (strncmp(line, "gone ", strlen("gone ")) == 0)
			add_name(devices, line + strlen("gone "));
	}
	free(line);
	if (answer)
		fclose(answer);
}

void report_devices_free(struct report_devices *devices)
{
	for (size_t i = 0; i < devices->count; i++)
		free(devices->names[i]);
	free(devices->names);
}

static uint16_t setup_value(const struct recording_entry *entry)
{
	return (uint16_t)(entry->setup[USB_SETUP_wValue] | entry->setup[USB_SETUP_wValue + 1] << 8);
}

static bool is_request(const struct recording_entry *entry, uint8_t type, uint8_t request)
{
	return entry->kind == RECORDING_CONTROL && entry->status == RECORDING_OK &&
	       entry->setup[USB_SETUP_bmRequestType] == type &&
	       entry->setup[USB_SETUP_bRequest] == request;
}

/* Is it the string descriptor of the serial number? */
static bool is_serial(const struct report_device *device, const struct recording_entry *entry)
{
	uint16_t value = setup_value(entry);

	return is_request(entry, USB_DIR_IN, USB_REQ_GET_DESCRIPTOR) &&
	       value >> 8 == USB_DT_STRING && (value & 0xFF) != 0 &&
	       device->device.len == USB_DEVICE_SIZE &&
	       (value & 0xFF) == device->device.bytes[USB_DEVICE_iSerialNumber];
}

static void keep_serial(struct report_device *device, const struct recording_entry *entry)
{
	char *text = calloc(1, entry->len + 1);
	size_t used = 0;

	for (size_t i = 2; text && i + 1 < entry->len; i += 2)
		text[used++] = entry->data[i] >= ' ' && entry->data[i] < 0x7F && !entry->data[i + 1]
				       ? (char)entry->data[i]
				       : '.';
	free(device->serial);
	device->serial = text;
}

static void free_quirk(struct report_quirk *quirk)
{
	free(quirk->property);
	free(quirk->origin);
}

/* The property's place among those there are, or behind them. */
static size_t find_quirk(const struct report_device *device, const char *property)
{
	size_t name = strcspn(property, " ") + 1;
	size_t i = 0;

	while (i < device->quirk_count && strncmp(device->quirks[i].property, property, name) != 0)
		i++;
	return i;
}

/* A driver that learns of the firmware later tells all of them again, and the last one holds. */
static void keep_quirk(struct report_device *device, const struct recording_entry *entry)
{
	static const char between[] = "  # ";
	char *text = strndup((const char *)entry->data, entry->len);
	char *end = NULL;
	struct report_quirk *more;
	struct report_quirk quirk;
	size_t at;

	for (char *found = text; found && (found = strstr(found, between)); found++)
		end = found;
	if (!end) {
		free(text);
		return;
	}
	*end = '\0';
	quirk = (struct report_quirk){ strdup(text), strdup(end + strlen(between)) };
	free(text);
	if (!quirk.property || !quirk.origin) {
		free_quirk(&quirk);
		return;
	}
	at = find_quirk(device, quirk.property);
	if (at < device->quirk_count) {
		free_quirk(&device->quirks[at]);
		device->quirks[at] = quirk;
		return;
	}
	more = realloc(device->quirks, (device->quirk_count + 1) * sizeof(*more));
	if (!more) {
		free_quirk(&quirk);
		return;
	}
	device->quirks = more;
	more[device->quirk_count++] = quirk;
}

static void look_at(struct report_device *device, const struct recording_entry *entry)
{
	const uint8_t class_in = USB_DIR_IN | USB_TYPE_CLASS | USB_RECIP_INTERFACE;

	if (is_serial(device, entry))
		keep_serial(device, entry);
	else if (is_request(entry, USB_DIR_IN, USB_REQ_GET_DESCRIPTOR) &&
		 setup_value(entry) == USB_DT_DEVICE << 8)
		keep(&device->device, entry);
	else if (is_request(entry, USB_DIR_IN, USB_REQ_GET_DESCRIPTOR) &&
		 setup_value(entry) == USB_DT_CONFIGURATION << 8)
		keep(&device->configuration, entry);
	else if (is_request(entry, class_in, CCID_REQ_GET_DATA_RATES))
		keep(&device->rates, entry);
	else if (is_request(entry, class_in, CCID_REQ_GET_CLOCK_FREQUENCIES))
		keep(&device->clocks, entry);
	else if (entry->kind == RECORDING_QUIRK)
		keep_quirk(device, entry);
	else if (entry->kind == RECORDING_RETURN && entry->call == RECORDING_POWER && entry->len)
		keep(&device->atr, entry);
}

/* An entry, as a line of the recording's text. */
struct scan {
	struct report_device *device;
	FILE *text;
	char *line;
};

static bool take(void *ctx, const struct recording_entry *entry)
{
	struct scan *scan = ctx;

	look_at(scan->device, entry);
	recording_print(entry, scan->line);
	fputs(scan->line, scan->text);
	return true;
}

static char *driver_of(json_object *readers, const char *device)
{
	size_t count = json_object_array_length(readers);

	for (size_t i = 0; i < count; i++) {
		json_object *reader = json_object_array_get_idx(readers, i);

		if (strcmp(report_text(reader, "device"), device) == 0)
			return strdup(report_text(reader, "driver"));
	}
	return NULL;
}

bool report_device_read(
	struct report_device *device, const char *socket, const char *name, json_object *readers)
{
	struct scan scan = { .device = device };
	FILE *answer = recordings_ask(socket, "all", name);

	memset(device, 0, sizeof(*device));
	if (!answer)
		return false;
	device->name = strdup(name);
	device->driver = driver_of(readers, name);
	scan.line = malloc(recording_line_max(RECORDING_DATA_MAX));
	scan.text = open_memstream(&device->recording, &device->recording_len);
	if (device->name && scan.line && scan.text) {
		fprintf(scan.text, RECORDING_MAGIC "\n# %s\n", name);
		recordings_read(answer, take, &scan);
	}
	if (scan.text)
		fclose(scan.text);
	free(scan.line);
	fclose(answer);
	return device->name && device->recording;
}

void report_device_free(struct report_device *device)
{
	free(device->name);
	free(device->driver);
	free(device->recording);
	free(device->device.bytes);
	free(device->configuration.bytes);
	free(device->clocks.bytes);
	free(device->rates.bytes);
	free(device->atr.bytes);
	for (size_t i = 0; i < device->quirk_count; i++)
		free_quirk(&device->quirks[i]);
	free(device->quirks);
	free(device->serial);
}

void report_hidden_free(struct report_hidden *hidden)
{
	for (size_t i = 0; i < hidden->count; i++)
		free(hidden->texts[i]);
	free(hidden->texts);
}

void report_mask(const struct report_hidden *hidden, char *text)
{
	for (size_t i = 0; i < hidden->count; i++) {
		size_t len = strlen(hidden->texts[i]);
		char *at = text;

		while (len >= HIDE_MIN && (at = strstr(at, hidden->texts[i]))) {
			memset(at, '*', len);
			at += len;
		}
	}
}

/* The line of the serial number's descriptor is masked, and no other: hexadecimal digits may look
 * like anything. */
void report_put_recording(FILE *out, const struct report_device *device, const char *root)
{
	uint8_t *data = malloc(RECORDING_DATA_MAX);
	char *line = malloc(recording_line_max(RECORDING_DATA_MAX));
	const char *at = device->recording;
	struct recording_entry entry;
	const char *why;

	(void)root;
	while (data && line && *at) {
		size_t len = strcspn(at, "\n") + 1;

		if (device->hide_serial &&
			recording_parse(at, &entry, data, RECORDING_DATA_MAX, &why) ==
				RECORDING_ENTRY &&
			is_serial(device, &entry) && entry.len > 2) {
			memset(data + 2, 0, entry.len - 2);
			entry.masks[0] = (struct recording_mask){ 2, entry.len };
			recording_print(&entry, line);
			fputs(line, out);
		} else {
			fwrite(at, 1, len, out);
		}
		at += len;
	}
	free(line);
	free(data);
}

static void put_bytes(FILE *out, const struct report_bytes *bytes)
{
	if (bytes->len)
		fwrite(bytes->bytes, 1, bytes->len, out);
}

void report_put_device(FILE *out, const struct report_device *device, const char *root)
{
	(void)root;
	put_bytes(out, &device->device);
}

void report_put_configuration(FILE *out, const struct report_device *device, const char *root)
{
	(void)root;
	put_bytes(out, &device->configuration);
}

void report_put_descriptors(FILE *out, const struct report_device *device, const char *root)
{
	(void)root;
	explain_descriptors(out, device->device.bytes, device->device.len);
	explain_descriptors(out, device->configuration.bytes, device->configuration.len);
}

void report_put_rates(FILE *out, const struct report_device *device, const char *root)
{
	(void)root;
	if (device->clocks.len == 0 && device->rates.len == 0)
		fprintf(out, "the reader was asked for no list of clocks and data rates\n");
	explain_numbers(out, "kHz", device->clocks.bytes, device->clocks.len);
	explain_numbers(out, "bit/s", device->rates.bytes, device->rates.len);
}

void report_put_atr(FILE *out, const struct report_device *device, const char *root)
{
	(void)root;
	if (device->atr.len)
		explain_atr(out, device->atr.bytes, device->atr.len);
	else
		fprintf(out, "no card has been powered\n");
}

void report_put_quirks(FILE *out, const struct report_device *device, const char *root)
{
	(void)root;
	fprintf(out, "# as the driver has applied them when it opened the reader\n");
	for (size_t i = 0; i < device->quirk_count; i++)
		fprintf(out, "%s  # %s\n", device->quirks[i].property, device->quirks[i].origin);
}

/* A file of a device in sysfs, without its newline; "" if it isn't there. */
static void read_value(
	const char *root, const char *device, const char *name, char value[VALUE_MAX])
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/sys/bus/usb/devices/%s/%s", root, device, name);
	file = fopen(path, "re");
	if (!file || !fgets(value, VALUE_MAX, file))
		value[0] = '\0';
	value[strcspn(value, "\n")] = '\0';
	if (file)
		fclose(file);
}

static bool is_at(const char *root, const char *device, unsigned long bus, unsigned long address)
{
	char value[VALUE_MAX];

	read_value(root, device, "busnum", value);
	if (strtoul(value, NULL, 10) != bus)
		return false;
	read_value(root, device, "devnum", value);
	return strtoul(value, NULL, 10) == address;
}

/* Of a reader or a hub. */
static void put_values(FILE *out, const char *root, const char *device, bool hide_serial)
{
	static const char *const names[] = { "manufacturer", "product", "idVendor", "idProduct",
		"bcdDevice", "version", "speed", "bMaxPower", "bConfigurationValue",
		"power/control", "power/runtime_status", "power/autosuspend_delay_ms", "removable",
		"authorized", "serial" };
	char value[VALUE_MAX];
	size_t count = sizeof(names) / sizeof(names[0]) - hide_serial;

	fprintf(out, "%s\n", device);
	for (size_t i = 0; i < count; i++) {
		read_value(root, device, names[i], value);
		text_clean(value);
		if (*value)
			fprintf(out, "  %s: %s\n", names[i], value);
	}
}

/* "1-3.2" hangs on "1-3", that on "usb1". False: it is a root hub. */
static bool parent_of(char device[VALUE_MAX])
{
	char *end = strrchr(device, '.');
	unsigned long bus = strtoul(device, NULL, 10);

	if (end)
		*end = '\0';
	else if (bus)
		snprintf(device, VALUE_MAX, "usb%lu", bus);
	return end || bus;
}

/* The device's name in sysfs; false: it is not on the bus (any more). */
static bool find_on_bus(const struct report_device *device, const char *root, char at[VALUE_MAX])
{
	const char *node = strstr(device->name, NODES);
	unsigned long bus, address;
	struct dirent *entry;
	char path[512];
	DIR *folder;
	char *end;

	*at = '\0';
	if (!node)
		return false;
	bus = strtoul(node + strlen(NODES), &end, 10);
	address = *end ? strtoul(end + 1, NULL, 10) : 0;
	snprintf(path, sizeof(path), "%s/sys/bus/usb/devices", root);
	folder = opendir(path);
	while (folder && (entry = readdir(folder)))
		if (strlen(entry->d_name) < 64 && !strchr(entry->d_name, ':') &&
			is_at(root, entry->d_name, bus, address))
			snprintf(at, VALUE_MAX, "%s", entry->d_name);
	if (folder)
		closedir(folder);
	return *at;
}

void report_put_bus(FILE *out, const struct report_device *device, const char *root)
{
	char at[VALUE_MAX];

	fprintf(out, "device: %s\n", device->name);
	if (!strstr(device->name, NODES))
		return;
	if (!find_on_bus(device, root, at)) {
		fprintf(out, "it is not on the bus any more\n");
		return;
	}
	do
		put_values(out, root, at, device->hide_serial);
	while (parent_of(at));
}

static void hide(struct report_hidden *hidden, const char *text)
{
	char **more = realloc(hidden->texts, (hidden->count + 1) * sizeof(*more));

	if (!more)
		return;
	hidden->texts = more;
	more[hidden->count] = strdup(text);
	hidden->count += more[hidden->count] != NULL;
}

void report_device_hide(
	struct report_device *device, struct report_hidden *hidden, const char *root)
{
	char at[VALUE_MAX], serial[VALUE_MAX];

	device->hide_serial = true;
	if (device->serial)
		hide(hidden, device->serial);
	if (!find_on_bus(device, root, at))
		return;
	read_value(root, at, "serial", serial);
	hide(hidden, serial);
	/* In names of readers the daemon has ASCII only. */
	for (char *c = serial; *c; c++)
		if ((unsigned char)*c < ' ' || (unsigned char)*c > '~')
			*c = '.';
	hide(hidden, serial);
}
