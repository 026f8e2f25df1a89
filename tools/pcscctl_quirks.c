/* SPDX-License-Identifier: BSD-3-Clause */
/* pcscctl quirks: which properties of quirk files hold for a reader, and whether files are right. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ifd-ccid/device/descriptor.h"
#include "ifd-ccid/quirk/quirk.h"
#include "spec/usb.h"
#include "tools/pcscctl.h"
#include "tools/recordings.h"
#include "tools/report.h"
#include "tools/report_device.h"

/* What is said of a device of which no section says anything. */
#define NOTHING "  nothing\n"

enum {
	DUMP_MAX = 65536, /* bytes of descriptors */
	CLASS_UNKNOWN = -1,
};

static void say(void *owner, const char *line)
{
	(void)owner;
	fprintf(stderr, "%s\n", line);
}

/* The tables of the files that a driver would read; the caller frees it. */
static struct quirk_table *load(void)
{
	struct quirk_table *table = quirk_table_new();

	if (table && quirk_table_load_all(table, PCSCCTL_QUIRKS, say, NULL) &&
		quirk_table_count(table) == 0)
		fprintf(stderr,
			"pcscctl: there are no quirk files, not even in " PCSCCTL_QUIRKS "\n");
	return table;
}

/* One line a property: its value, and the line that says so. */
static bool print_set(const struct quirk_facts *facts)
{
	struct quirk_table *table = load();
	struct quirk_set *set = calloc(1, sizeof(*set));
	struct quirk_origin *origins = calloc(QUIRK_COUNT, sizeof(*origins));
	bool ok = table && set && origins;
	bool any = false;

	if (ok)
		quirk_match(table, facts, set, origins);
	for (int i = 0; ok && i < QUIRK_COUNT; i++) {
		if (!origins[i].file)
			continue;
		any = true;
		printf("  %s = ", quirk_properties[i].name);
		quirk_print_value(stdout, set, (enum quirk_id)i);
		printf("\n    %s:%u [%s]\n", origins[i].file, origins[i].line, origins[i].section);
	}
	if (ok && !any)
		printf(NOTHING);
	free(origins);
	free(set);
	quirk_table_free(table);
	return ok;
}

/* "VVVV:PPPP, version X.XX", without an end of the line. False: the bytes are something else. */
static bool print_identity(const uint8_t *bytes, size_t len, struct device_descriptor *device)
{
	if (!descriptor_device(bytes, len, device))
		return false;
	printf("%04X:%04X, version %x.%02x", device->vid, device->pid, device->bcdDevice >> 8,
		device->bcdDevice & 0xFF);
	return true;
}

/* What holds for one interface of a device, or for the device when it has no reader. */
static bool print_interface(
	const uint8_t *device_bytes, const uint8_t *config, size_t len, int number)
{
	struct device_descriptor device;
	struct ccid_interface interface;
	struct quirk_facts facts = { .interface = -1, .interface_class = CLASS_UNKNOWN };
	const char *why = "";
	bool found = descriptor_find(config, len, number, NULL, &interface, &why);

	if (!print_identity(device_bytes, USB_DEVICE_SIZE, &device))
		return false;
	facts.vid = device.vid;
	facts.pid = device.pid;
	facts.bcdDevice = device.bcdDevice;
	if (found) {
		facts.interface = interface.bInterfaceNumber;
		facts.interface_class = interface.bInterfaceClass;
		facts.ccid = interface.raw;
		printf(", interface %u\n", interface.bInterfaceNumber);
	} else {
		printf(": %s\n", why);
	}
	return print_set(&facts);
}

/* All readers in a device's descriptors: each bInterfaceNumber once. False: they are something else. */
static bool print_device(const uint8_t *bytes, size_t len)
{
	const uint8_t *config = bytes + USB_DEVICE_SIZE;
	size_t left = len > USB_DEVICE_SIZE ? len - USB_DEVICE_SIZE : 0;
	struct ccid_interface interface;
	const char *why;
	bool any = false;
	bool ok = true;

	if (len < USB_DEVICE_SIZE)
		return false;
	for (int number = 0; number <= UINT8_MAX; number++) {
		if (!descriptor_find(config, left, number, NULL, &interface, &why))
			continue;
		ok = print_interface(bytes, config, left, number) && ok;
		any = true;
	}
	return any ? ok : print_interface(bytes, config, left, -1);
}

/* Text of hexadecimal digits becomes bytes in place; anything else stays. */
static size_t from_hex(uint8_t *bytes, size_t len)
{
	size_t digits = 0;

	for (size_t i = 0; i < len; i++)
		if (!isxdigit(bytes[i]) && !isspace(bytes[i]))
			return len;
	for (size_t i = 0; i < len; i++)
		if (isxdigit(bytes[i]))
			bytes[digits++] = bytes[i];
	for (size_t i = 0; i + 1 < digits; i += 2) {
		char pair[3] = { (char)bytes[i], (char)bytes[i + 1], '\0' };

		bytes[i / 2] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return digits / 2;
}

/* Descriptors as sysfs has them (…/descriptors, /dev/bus/usb/…), or as hexadecimal digits. */
static int test_dump(const char *path)
{
	uint8_t *bytes = malloc(DUMP_MAX);
	FILE *file = fopen(path, "re");
	size_t len = 0;
	bool ok = false;

	if (file && bytes)
		len = fread(bytes, 1, DUMP_MAX, file);
	if (!file || !bytes || ferror(file))
		fprintf(stderr, "pcscctl: %s: %s\n", path, strerror(errno));
	else if (!print_device(bytes, from_hex(bytes, len)))
		fprintf(stderr, "pcscctl: %s: no descriptors of a device\n", path);
	else
		ok = true;
	if (file)
		fclose(file);
	free(bytes);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Four hexadecimal digits at *AT, which moves behind them and behind the colon after them. */
static bool take_hex4(const char **at, uint16_t *number)
{
	char digits[5] = "";

	if (strspn(*at, "0123456789abcdefABCDEF") != 4)
		return false;
	memcpy(digits, *at, 4);
	*number = (uint16_t)strtoul(digits, NULL, 16);
	*at += 4;
	if (**at == ':' && (*at)[1] != '\0')
		++*at;
	return true;
}

/* VVVV:PPPP or VVVV:PPPP:BBBB */
static bool parse_numbers(const char *text, struct quirk_facts *facts)
{
	*facts = (struct quirk_facts){ .interface = -1, .interface_class = CLASS_UNKNOWN };
	return strchr(text, ':') == text + 4 && take_hex4(&text, &facts->vid) &&
	       take_hex4(&text, &facts->pid) &&
	       (*text == '\0' || (take_hex4(&text, &facts->bcdDevice) && *text == '\0'));
}

/* One reader that a daemon has: its driver has recorded what it has applied. */
static bool list_reader(const struct pcscctl *options, json_object *readers, json_object *reader)
{
	const char *name = report_text(reader, "device");
	struct report_device device = { 0 };
	struct device_descriptor descriptor;
	bool ok;

	printf("%s\n", report_text(reader, "name"));
	ok = report_device_read(&device, options->socket, name, readers) && device.device.len > 0 &&
	     print_identity(device.device.bytes, device.device.len, &descriptor);
	if (!ok)
		fprintf(stderr, "pcscctl: %s: its driver has recorded nothing\n", name);
	else
		printf("\n");
	if (ok && device.quirk_count == 0)
		printf(NOTHING);
	for (size_t i = 0; ok && i < device.quirk_count; i++)
		printf("  %s\n    %s\n", device.quirks[i].property, device.quirks[i].origin);
	report_device_free(&device);
	return ok;
}

static int list_readers(const struct pcscctl *options, const char *wanted)
{
	json_object *report = report_fetch(options->socket);
	json_object *readers = json_object_object_get(report, "readers");
	json_object *one = NULL;
	bool ok = report != NULL;

	if (ok && wanted) {
		one = recordings_find(readers, wanted);
		ok = one && list_reader(options, readers, one);
		json_object_put(one);
	} else if (ok) {
		for (size_t i = 0; i < json_object_array_length(readers); i++)
			ok = list_reader(options, readers, json_object_array_get_idx(readers, i)) &&
			     ok;
	}
	json_object_put(report);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int list(const struct pcscctl *options, char **arguments)
{
	struct quirk_facts facts;

	if (arguments[0] && parse_numbers(arguments[0], &facts)) {
		printf("%s\n", arguments[0]);
		return print_set(&facts) ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	return list_readers(options, arguments[0]);
}

static int test(const struct pcscctl *options, char **arguments)
{
	(void)options;
	if (!arguments[0] || arguments[1]) {
		fprintf(stderr, "pcscctl: quirks test needs a file of descriptors\n");
		return EXIT_FAILURE;
	}
	return test_dump(arguments[0]);
}

static bool is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int validate(const struct pcscctl *options, char **arguments)
{
	struct quirk_table *table = quirk_table_new();
	bool ok = table != NULL;

	(void)options;
	if (ok && !arguments[0])
		ok = quirk_table_load_all(table, PCSCCTL_QUIRKS, say, NULL);
	for (; table && *arguments; arguments++)
		ok = (is_folder(*arguments) ? quirk_table_load(table, *arguments, say, NULL)
					    : quirk_table_read(table, *arguments, say, NULL)) &&
		     ok;
	if (ok)
		printf("%zu sections\n", quirk_table_count(table));
	quirk_table_free(table);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

static const struct {
	const char *name;
	int (*run)(const struct pcscctl *options, char **arguments);
} actions[] = {
	{ "list", list },
	{ "test", test },
	{ "validate", validate },
};

int pcscctl_quirks(const struct pcscctl *options)
{
	char **arguments = options->arguments;

	for (size_t i = 0; arguments[0] && i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (strcmp(arguments[0], actions[i].name) != 0)
			continue;
		if (actions[i].run(options, arguments + 1) == EXIT_SUCCESS && fflush(stdout) == 0)
			return EXIT_SUCCESS;
		return EXIT_FAILURE;
	}
	fprintf(stderr, "pcscctl: quirks list [READER|VID:PID[:BCD]], test DUMP or validate "
			"[FILE...]\n");
	return EXIT_FAILURE;
}
