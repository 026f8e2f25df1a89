/* SPDX-License-Identifier: BSD-3-Clause */
/* pcscctl doctor: the way from a USB reader to the daemon. */
#include "tools/doctor_usb.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/doctor_process.h"
#include "tools/report.h"

#define DEVICES   "sys/bus/usb/devices"
#define RULES     "udev/rules.d/92-pcscd.rules"
#define UDEV_RUNS "run/udev/control"
#define TEXT      128

/* An attribute of an entry of DEVICES, without its newline; "" if there is none. */
static void attribute(
	const struct doctor *doctor, const char *entry, const char *name, char text[TEXT])
{
	char path[PATH_MAX];
	FILE *file = fopen(doctor_path(doctor, path, DEVICES "/%s/%s", entry, name), "re");

	if (!file || !fgets(text, TEXT, file))
		text[0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (file)
		fclose(file);
}

static void name_device(const struct doctor *doctor, const char *device, char name[TEXT])
{
	char vendor[TEXT], product[TEXT];

	attribute(doctor, device, "product", name);
	if (*name)
		return;
	attribute(doctor, device, "idVendor", vendor);
	attribute(doctor, device, "idProduct", product);
	snprintf(name, TEXT, "%.4s:%.4s", vendor, product);
}

/* Has the interface a device of the kernel's NFC subsystem? */
static bool has_nfc(const struct doctor *doctor, const char *place)
{
	char path[PATH_MAX];

	return access(doctor_path(doctor, path, DEVICES "/%s/nfc", place), F_OK) == 0;
}

/* Has udev's rule marked the device as a reader? */
static bool is_marked(const struct doctor *doctor, const char *device)
{
	static const char mark[] = "E:ID_SMARTCARD_READER=1\n";
	char path[PATH_MAX], number[TEXT], line[256];
	bool marked = false;
	FILE *file;

	attribute(doctor, device, "dev", number);
	file = fopen(doctor_path(doctor, path, "run/udev/data/c%s", number), "re");
	while (file && !marked && fgets(line, sizeof(line), file))
		marked = strcmp(line, mark) == 0;
	if (file)
		fclose(file);
	return marked;
}

static bool read_reader(
	const struct doctor *doctor, const char *place, struct doctor_reader *reader)
{
	char path[PATH_MAX], device[64], text[TEXT], target[PATH_MAX];
	ssize_t length;
	long bus;

	snprintf(device, sizeof(device), "%.*s", (int)strcspn(place, ":"), place);
	attribute(doctor, place, "bInterfaceClass", text);
	if (strcmp(text, "0b") != 0 && (strcmp(text, "ff") != 0 || !is_marked(doctor, device)))
		return false;
	snprintf(reader->place, sizeof(reader->place), "%.63s", place);
	name_device(doctor, device, reader->name);
	attribute(doctor, device, "busnum", text);
	bus = strtol(text, NULL, 10);
	attribute(doctor, device, "devnum", text);
	snprintf(reader->node, sizeof(reader->node), "/dev/bus/usb/%03ld/%03ld", bus,
		strtol(text, NULL, 10));
	length = readlink(
		doctor_path(doctor, path, DEVICES "/%s/driver", place), target, sizeof(target) - 1);
	target[length > 0 ? length : 0] = '\0';
	snprintf(reader->driver, sizeof(reader->driver), "%.63s",
		strrchr(target, '/') ? strrchr(target, '/') + 1 : target);
	reader->nfc = has_nfc(doctor, place);
	return true;
}

int doctor_each_reader(struct doctor *doctor,
	void (*each)(struct doctor *doctor, const struct doctor_reader *reader))
{
	char path[PATH_MAX];
	struct doctor_reader reader;
	struct dirent **entries;
	int count = scandir(doctor_path(doctor, path, DEVICES), &entries, NULL, alphasort);
	int readers = 0;

	if (count < 0)
		return -1;
	for (int i = 0; i < count; i++) {
		if (strchr(entries[i]->d_name, ':') &&
			read_reader(doctor, entries[i]->d_name, &reader)) {
			each(doctor, &reader);
			readers++;
		}
		free(entries[i]);
	}
	free(entries);
	return readers;
}

void doctor_check_udev(struct doctor *doctor)
{
	if (!doctor_exists(doctor, UDEV_RUNS))
		doctor_skip(doctor, "udev does not run here");
	else if (!doctor_exists_in_lib(doctor, RULES))
		doctor_fault(doctor, "install libccid again, then plug the reader in again",
			"the udev rule that gives readers to the daemon is missing: " RULES
			" is in none of udev's folders");
	else
		doctor_good(doctor, "the udev rule is installed");
}

/* Which process, besides the daemon, has the reader's node open? */
struct holder {
	const struct doctor *doctor;
	const char *node;
	pid_t pid;    /* 0: none was found */
	bool hidden;  /* there are processes whose files this user may not see */
	bool daemons; /* the daemon has it */
};

static bool look_for_holder(void *context, pid_t pid)
{
	struct holder *holder = context;

	if (!doctor_has_open(holder->doctor, pid, holder->node, &holder->hidden))
		return true;
	if (pid == holder->doctor->daemon)
		holder->daemons = true;
	else
		holder->pid = pid;
	return !holder->pid;
}

/* Whoever has the interface has it by usbfs: a process. */
static void tell_holder(struct doctor *doctor, const struct doctor_reader *reader)
{
	struct holder holder = { .doctor = doctor, .node = reader->node };
	char who[DOCTOR_PROCESS];

	doctor_each_process(doctor, look_for_holder, &holder);
	if (holder.daemons) {
		doctor_good(doctor, "%s (%s): the daemon has it", reader->name, reader->place);
	} else if (holder.pid) {
		doctor_describe(doctor, holder.pid, who);
		doctor_fault(doctor,
			"end it, or make it use PC/SC (scdaemon: disable-ccid in scdaemon.conf)",
			"%s (%s): another process has the interface: %s", reader->name,
			reader->place, who);
	} else if (holder.hidden) {
		doctor_skip(doctor,
			"%s (%s): a process has the interface; only root can see whether it is the "
			"daemon",
			reader->name, reader->place);
	} else {
		doctor_fault(doctor, "see what uses the device outside of this container",
			"%s (%s): a process that can't be seen from here has the interface",
			reader->name, reader->place);
	}
}

static void look_at_interface(struct doctor *doctor, const struct doctor_reader *reader)
{
	char remedy[DOCTOR_TEXT];

	snprintf(remedy, sizeof(remedy),
		"modprobe -r %s; for good: echo \"blacklist %s\" > "
		"/etc/modprobe.d/pcscd-%s.conf",
		reader->driver, reader->driver, reader->driver);
	if (!*reader->driver)
		doctor_good(doctor, "%s (%s): nobody else has it", reader->name, reader->place);
	else if (strcmp(reader->driver, "usbfs") == 0)
		tell_holder(doctor, reader);
	else if (reader->nfc)
		doctor_fault(doctor, remedy, "%s (%s): the kernel's NFC driver %s has claimed it",
			reader->name, reader->place, reader->driver);
	else
		doctor_fault(doctor, remedy, "%s (%s): the kernel's driver %s has claimed it",
			reader->name, reader->place, reader->driver);
}

void doctor_check_interface(struct doctor *doctor)
{
	if (doctor_each_reader(doctor, look_at_interface) <= 0)
		doctor_skip(doctor, "no USB reader is plugged in");
}

/* Is there a reader in the daemon's list whose device is that node? */
static bool is_listed(json_object *readers, const char *node)
{
	size_t count = readers ? json_object_array_length(readers) : 0;

	for (size_t i = 0; i < count; i++) {
		json_object *reader = json_object_array_get_idx(readers, i);

		if (strstr(report_text(reader, "device"), node))
			return true;
	}
	return false;
}

static void look_at_list(struct doctor *doctor, const struct doctor_reader *reader)
{
	json_object *readers = json_object_object_get(doctor->status, "readers");

	if (is_listed(readers, reader->node))
		doctor_good(doctor, "%s (%s): listed", reader->name, reader->place);
	else
		doctor_fault(doctor,
			"if nothing above explains it: pcscd --hotplug, and \"journalctl -u "
			"pcscd\" "
			"says why",
			"%s (%s): plugged in, but the daemon does not list it", reader->name,
			reader->place);
}

void doctor_check_listed(struct doctor *doctor)
{
	if (!doctor->status)
		doctor_skip(doctor, "no daemon of this package answers");
	else if (doctor_each_reader(doctor, look_at_list) <= 0)
		doctor_skip(doctor, "no USB reader is plugged in");
}
