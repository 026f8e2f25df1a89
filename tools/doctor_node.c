/* SPDX-License-Identifier: BSD-3-Clause */
/* pcscctl doctor: may the daemon open the readers' device nodes? */
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/doctor_process.h"
#include "tools/doctor_usb.h"

#define USER       "pcscd" /* whom an installed daemon runs as */
#define GROUPS_MAX 32

struct user {
	uid_t uid;
	gid_t groups[GROUPS_MAX];
	size_t count;
	char name[32]; /* for people */
};

static void add_group(struct user *user, unsigned long gid)
{
	if (user->count < GROUPS_MAX)
		user->groups[user->count++] = (gid_t)gid;
}

/* The numbers on a line that begins with the word; their count. */
static size_t read_numbers(const char *line, const char *word, unsigned long numbers[GROUPS_MAX])
{
	size_t count = 0;
	char *end;

	if (strncmp(line, word, strlen(word)) != 0)
		return 0;
	line += strlen(word);
	while (count < GROUPS_MAX) {
		numbers[count] = strtoul(line, &end, 10);
		if (end == line)
			break;
		line = end;
		count++;
	}
	return count;
}

/* Of the process, from /proc/PID/status: "Uid:" and "Gid:" real, effective, …; "Groups:" all. */
static bool user_of_process(const struct doctor *doctor, pid_t pid, struct user *user)
{
	char path[PATH_MAX], line[1024];
	FILE *file = fopen(doctor_path(doctor, path, "proc/%ld/status", (long)pid), "re");
	unsigned long ids[GROUPS_MAX];
	bool found = false;

	while (file && fgets(line, sizeof(line), file)) {
		if (read_numbers(line, "Uid:", ids) >= 2) {
			user->uid = (uid_t)ids[1];
			snprintf(user->name, sizeof(user->name), "uid %lu", ids[1]);
			found = true;
		} else if (read_numbers(line, "Gid:", ids) >= 2) {
			add_group(user, ids[1]);
		} else {
			size_t count = read_numbers(line, "Groups:", ids);

			for (size_t i = 0; i < count; i++)
				add_group(user, ids[i]);
		}
	}
	if (file)
		fclose(file);
	return found;
}

static void add_groups_of_user(const struct doctor *doctor, struct user *user)
{
	char path[PATH_MAX];
	FILE *file = fopen(doctor_path(doctor, path, "etc/group"), "re");
	const struct group *group;

	while (file && (group = fgetgrent(file))) {
		for (char *const *member = group->gr_mem; *member; member++) {
			if (strcmp(*member, USER) == 0)
				add_group(user, group->gr_gid);
		}
	}
	if (file)
		fclose(file);
}

static bool user_of_installation(const struct doctor *doctor, struct user *user)
{
	char path[PATH_MAX];
	FILE *file = fopen(doctor_path(doctor, path, "etc/passwd"), "re");
	const struct passwd *entry;
	bool found = false;

	while (file && !found && (entry = fgetpwent(file))) {
		found = strcmp(entry->pw_name, USER) == 0;
		if (found) {
			user->uid = entry->pw_uid;
			add_group(user, entry->pw_gid);
		}
	}
	if (file)
		fclose(file);
	snprintf(user->name, sizeof(user->name), "%s", USER);
	add_groups_of_user(doctor, user);
	return found;
}

static bool find_user(const struct doctor *doctor, struct user *user)
{
	*user = (struct user){ 0 };
	if (doctor->daemon && user_of_process(doctor, doctor->daemon, user))
		return true;
	return user_of_installation(doctor, user);
}

/* May the user read and write it? */
static bool may_open(const struct user *user, const struct stat *node)
{
	if (user->uid == 0)
		return true;
	if (user->uid == node->st_uid)
		return (node->st_mode & 0600) == 0600;
	for (size_t i = 0; i < user->count; i++) {
		if (user->groups[i] == node->st_gid)
			return (node->st_mode & 0060) == 0060;
	}
	return (node->st_mode & 0006) == 0006;
}

static void tell_absent(struct doctor *doctor, const struct doctor_reader *reader)
{
	if (doctor_in_container(doctor) || !doctor_exists(doctor, "dev/bus/usb"))
		doctor_fault(doctor,
			"give the container /dev/bus/usb, or leave the reader to the host's daemon "
			"and mount the folder of its socket",
			"%s: the kernel has the reader, but this container has no device node %s",
			reader->name, reader->node);
	else
		doctor_fault(doctor, "plug it in again; is devtmpfs mounted at /dev?",
			"%s: there is no device node %s", reader->name, reader->node);
}

static void look_at_node(struct doctor *doctor, const struct doctor_reader *reader)
{
	char path[PATH_MAX], remedy[DOCTOR_TEXT];
	struct stat node;
	struct user user;

	if (stat(doctor_path(doctor, path, "%s", reader->node + 1), &node) < 0) {
		tell_absent(doctor, reader);
		return;
	}
	if (!find_user(doctor, &user)) {
		doctor_fault(doctor, "install pcscd again (systemd-sysusers makes the user)",
			"%s: there is no user %s for the daemon to run as", reader->name, USER);
		return;
	}
	if (may_open(&user, &node)) {
		doctor_good(doctor, "%s: the daemon (%s) may open %s", reader->name, user.name,
			reader->node);
		return;
	}
	snprintf(remedy, sizeof(remedy),
		"plug it in again, or: udevadm trigger --action=change /sys/bus/usb/devices/%.*s; "
		"if that does not help, which rule comes after 92-pcscd.rules?",
		(int)strcspn(reader->place, ":"), reader->place);
	doctor_fault(doctor, remedy,
		"%s: the daemon (%s) may not open %s, which belongs to uid %lu, gid %lu, mode %04o",
		reader->name, user.name, reader->node, (unsigned long)node.st_uid,
		(unsigned long)node.st_gid, (unsigned)(node.st_mode & 07777));
}

void doctor_check_node(struct doctor *doctor)
{
	int readers = doctor_each_reader(doctor, look_at_node);

	if (readers < 0)
		doctor_skip(doctor, "there is no USB here (/sys/bus/usb)");
	else if (readers == 0)
		doctor_skip(doctor, "no USB reader is plugged in");
}
