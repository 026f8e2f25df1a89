/* SPDX-License-Identifier: BSD-3-Clause */
/* pcscctl report: all that helps to find a reader's fault, in one archive, without secrets. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "tools/archive.h"
#include "tools/doctor.h"
#include "tools/output.h"
#include "tools/pcscctl.h"
#include "tools/recordings.h"
#include "tools/report.h"
#include "tools/report_device.h"
#include "tools/text.h"

#define FOLDER         "cardwire-report"
#define DRIVERS_FOLDER "/usr/lib/pcsc/drivers"

/* A file of the archive while it is written. */
struct page {
	FILE *text;
	char *bytes;
	size_t length;
};

static bool page_open(struct page *page)
{
	page->bytes = NULL;
	page->text = open_memstream(&page->bytes, &page->length);
	if (!page->text)
		fprintf(stderr, "pcscctl: %s\n", strerror(errno));
	return page->text;
}

/* What is HIDDEN, if it isn't NULL, is masked wherever it stands. */
static void page_close(
	struct page *page, FILE *archive, const char *name, const struct report_hidden *hidden)
{
	fclose(page->text);
	if (hidden)
		report_mask(hidden, page->bytes);
	archive_add(archive, name, page->bytes, page->length);
	free(page->bytes);
}

static void put_first_line(FILE *out, const char *label, const char *path, const char *prefix)
{
	FILE *file = fopen(path, "re");
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, prefix, strlen(prefix)) == 0) {
			fprintf(out, "%s: %s", label, line + strlen(prefix));
			break;
		}
	if (file)
		fclose(file);
}

/* Of which vendors there are drivers. */
static void put_bundles(FILE *out, const char *root)
{
	struct dirent **entries;
	char path[512];
	int count;

	snprintf(path, sizeof(path), "%s" DRIVERS_FOLDER, root);
	count = scandir(path, &entries, NULL, alphasort);
	fprintf(out, "drivers in " DRIVERS_FOLDER ":");
	for (int i = 0; i < count; i++) {
		text_clean(entries[i]->d_name);
		if (entries[i]->d_name[0] != '.')
			fprintf(out, " %s", entries[i]->d_name);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	fprintf(out, count < 0 ? " none, %s\n" : "\n", strerror(errno));
}

static void put_system(
	FILE *out, const struct pcscctl *options, json_object *document, const char *why)
{
	json_object *daemon = json_object_object_get(document, "daemon");
	time_t now = time(NULL);
	struct utsname names;
	char path[512];

	fprintf(out, "pcscctl: %s\n", CARDWIRE_VERSION);
	if (daemon)
		fprintf(out, "daemon: %s, pid %s\n", report_text(daemon, "version"),
			report_text(daemon, "pid"));
	else
		fprintf(out, "daemon: none, %s\n", why);
	if (uname(&names) == 0)
		fprintf(out, "kernel: %s %s %s %s\n", names.sysname, names.release, names.version,
			names.machine);
	snprintf(path, sizeof(path), "%s/etc/os-release", options->root);
	put_first_line(out, "system", path, "PRETTY_NAME=");
	snprintf(path, sizeof(path), "%s/sys/class/dmi/id/product_name", options->root);
	put_first_line(out, "machine", path, "");
	fprintf(out, "made: %s", ctime(&now));
	fprintf(out, "socket: %s\n", options->socket);
	put_bundles(out, options->root);
}

static void add_system(
	FILE *archive, const struct pcscctl *options, json_object *document, const char *why)
{
	struct page page;

	if (!page_open(&page))
		return;
	put_system(page.text, options, document, why);
	page_close(&page, archive, FOLDER "/system.txt", NULL);
}

static void mask(const void *ctx, char *text)
{
	report_mask(ctx, text);
}

static void add_readers(FILE *archive, json_object *readers, const struct report_hidden *hidden)
{
	struct page page;

	if (!page_open(&page))
		return;
	/* Not in the page: there are escapes in it. */
	report_change_texts(readers, mask, hidden);
	fprintf(page.text, "%s\n",
		json_object_to_json_string_ext(
			readers, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
	page_close(&page, archive, FOLDER "/readers.json", NULL);
}

static void add_doctor(
	FILE *archive, const struct pcscctl *options, const struct report_hidden *hidden)
{
	const struct doctor_place place = { options->socket, options->root };
	json_object *findings = doctor_examine(&place);
	struct page page;

	if (findings && page_open(&page)) {
		doctor_print(findings, page.text);
		page_close(&page, archive, FOLDER "/doctor.txt", hidden);
	}
	json_object_put(findings);
}

/* One device's recording, and what follows from it. */
static void add_device(FILE *archive, const struct pcscctl *options,
	const struct report_device *device, size_t number, const struct report_hidden *hidden)
{
	static const struct {
		const char *name;
		void (*put)(FILE *out, const struct report_device *device, const char *root);
		bool any_text; /* which is searched for what is hidden */
	} pages[] = {
		{ "recording.txt", report_put_recording, false },
		{ "device.bin", report_put_device, false },
		{ "configuration.bin", report_put_configuration, false },
		{ "descriptors.txt", report_put_descriptors, false },
		{ "rates.txt", report_put_rates, false },
		{ "atr.txt", report_put_atr, false },
		{ "quirks.txt", report_put_quirks, true },
		{ "bus.txt", report_put_bus, true },
	};
	char name[100];

	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		struct page page;

		if (!page_open(&page))
			return;
		pages[i].put(page.text, device, options->root);
		snprintf(name, sizeof(name), FOLDER "/device-%zu/%s", number, pages[i].name);
		page_close(&page, archive, name, pages[i].any_text ? hidden : NULL);
	}
}

/* The devices of the readers, and with ALL of those that are gone. */
static void add_devices(FILE *archive, const struct pcscctl *options, json_object *readers,
	bool all, struct report_hidden *hidden)
{
	struct report_devices devices = { 0 };

	report_devices_of(&devices, readers);
	if (all)
		report_devices_gone(&devices, options->socket);
	for (size_t i = 0; i < devices.count; i++) {
		struct report_device device;

		if (!report_device_read(&device, options->socket, devices.names[i], readers))
			continue;
		if (!options->with_serial)
			report_device_hide(&device, hidden, options->root);
		add_device(archive, options, &device, i + 1, hidden);
		report_device_free(&device);
	}
	report_devices_free(&devices);
}

static json_object *chosen_readers(json_object *document, const char *name)
{
	json_object *readers = json_object_object_get(document, "readers");
	json_object *list, *reader;

	if (!name)
		return document ? json_object_get(readers) : json_object_new_array();
	if (!document)
		return NULL;
	reader = recordings_find(readers, name);
	if (!reader)
		return NULL;
	list = json_object_new_array();
	json_object_array_add(list, reader);
	return list;
}

/* False after a complaint. */
static bool write_report(FILE *archive, const struct pcscctl *options)
{
	char why[REPORT_WHY] = "";
	json_object *document = report_ask(options->socket, why);
	json_object *readers = chosen_readers(document, options->arguments[0]);
	struct report_hidden hidden = { 0 };

	if (!document)
		fprintf(stderr, "pcscctl: %s\n", why);
	if (readers) {
		add_system(archive, options, document, why);
		add_devices(archive, options, readers, !options->arguments[0], &hidden);
		add_readers(archive, readers, &hidden);
		add_doctor(archive, options, &hidden);
		archive_end(archive);
	}
	report_hidden_free(&hidden);
	json_object_put(readers);
	json_object_put(document);
	return readers;
}

int pcscctl_report(const struct pcscctl *options)
{
	struct output output;
	char *archive = NULL;
	size_t length = 0;
	FILE *stream;
	bool ok;

	if (!options->output) {
		fprintf(stderr, "pcscctl: report wants --output FILE.tar\n");
		return EXIT_FAILURE;
	}
	/* Nothing is overwritten as long as there is nothing to write. */
	stream = open_memstream(&archive, &length);
	ok = stream && write_report(stream, options);
	if (stream && fclose(stream) != 0)
		ok = false;
	if (ok)
		ok = output_open(&output, options->output);
	if (ok) {
		fwrite(archive, 1, length, output.stream);
		ok = output_close(&output, true);
	}
	free(archive);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
