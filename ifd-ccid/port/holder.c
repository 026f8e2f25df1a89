/* SPDX-License-Identifier: BSD-3-Clause */
#include "holder.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The kernel's own go-between for programs: then one of those is the holder. */
#define PROGRAMS_DRIVER "usbfs"

/* The target of a symbolic link; empty if there is none. */
static void follow(const char *path, char target[PATH_MAX])
{
	ssize_t len = readlink(path, target, PATH_MAX - 1);

	target[len > 0 ? len : 0] = '\0';
}

static bool find_driver(const char *root, const char *interface, char *out, size_t size)
{
	char path[PATH_MAX];
	char target[PATH_MAX];
	const char *name;

	snprintf(path, sizeof(path), "%s/sys/bus/usb/devices/%s/driver", root, interface);
	follow(path, target);
	name = strrchr(target, '/');
	name = name ? name + 1 : target;
	if (*name == '\0' || strcmp(name, PROGRAMS_DRIVER) == 0)
		return false;
	snprintf(out, size, "kernel driver %s", name);
	return true;
}

static bool has_open(const char *root, const char *pid, const char *node)
{
	char path[PATH_MAX];
	char target[PATH_MAX];
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/proc/%s/fd", root, pid);
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir)) != NULL) {
		int n = snprintf(path, sizeof(path), "%s/proc/%s/fd/%s", root, pid, entry->d_name);

		if (n < 0 || (size_t)n >= sizeof(path))
			continue;
		follow(path, target);
		found = strcmp(target, node) == 0;
	}
	closedir(dir);
	return found;
}

/* Its name as the kernel has it, without the end of the line. */
static void program_of(const char *root, const char *pid, char name[32])
{
	char path[PATH_MAX];
	FILE *file;

	memcpy(name, "?", sizeof("?"));
	snprintf(path, sizeof(path), "%s/proc/%s/comm", root, pid);
	file = fopen(path, "re");
	if (!file)
		return;
	if (fgets(name, 32, file))
		name[strcspn(name, "\n")] = '\0';
	fclose(file);
}

static bool is_other_process(const char *name)
{
	char *end;
	long pid = strtol(name, &end, 10);

	return end != name && *end == '\0' && pid != getpid();
}

bool holder_find(const char *root, const char *interface, const char *node, char *out, size_t size)
{
	char path[PATH_MAX];
	struct dirent *entry;
	size_t used = 0;
	char name[32];
	DIR *proc;

	if (find_driver(root, interface, out, size))
		return true;
	snprintf(path, sizeof(path), "%s/proc", root);
	proc = opendir(path);
	while (proc && (entry = readdir(proc)) != NULL) {
		int n;

		if (!is_other_process(entry->d_name) || !has_open(root, entry->d_name, node))
			continue;
		program_of(root, entry->d_name, name);
		n = snprintf(out + used, size - used, "%s%s (process %s)", used ? ", " : "", name,
			entry->d_name);
		used += n > 0 ? (size_t)n : 0;
		if (used >= size)
			break;
	}
	if (proc)
		closedir(proc);
	return used > 0;
}
