/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/doctor_process.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The content of a file in the process's folder, terminated; its length, 0 if it can't be read. */
static size_t read_proc(
	const struct doctor *doctor, pid_t pid, const char *name, char *text, size_t size)
{
	char path[PATH_MAX];
	FILE *file = fopen(doctor_path(doctor, path, "proc/%ld/%s", (long)pid, name), "re");
	size_t length = file ? fread(text, 1, size - 1, file) : 0;

	if (file)
		fclose(file);
	text[length] = '\0';
	return length;
}

static void read_name(const struct doctor *doctor, pid_t pid, char name[64])
{
	read_proc(doctor, pid, "comm", name, 64);
	name[strcspn(name, "\n")] = '\0';
}

void doctor_describe(const struct doctor *doctor, pid_t pid, char text[DOCTOR_PROCESS])
{
	char path[PATH_MAX], program[256], name[64];
	ssize_t length = readlink(
		doctor_path(doctor, path, "proc/%ld/exe", (long)pid), program, sizeof(program) - 1);

	if (length > 0) {
		program[length] = '\0';
		snprintf(text, DOCTOR_PROCESS, "pid %ld (%s)", (long)pid, program);
		return;
	}
	read_name(doctor, pid, name);
	snprintf(text, DOCTOR_PROCESS, *name ? "pid %ld (%s)" : "pid %ld", (long)pid, name);
}

void doctor_each_process(
	const struct doctor *doctor, bool (*each)(void *context, pid_t pid), void *context)
{
	char path[PATH_MAX];
	DIR *folder = opendir(doctor_path(doctor, path, "proc"));
	const struct dirent *entry;
	bool more = true;
	char *end;

	while (folder && more && (entry = readdir(folder))) {
		long pid = strtol(entry->d_name, &end, 10);

		if (pid > 0 && *end == '\0')
			more = each(context, (pid_t)pid);
	}
	if (folder)
		closedir(folder);
}

bool doctor_is_called(const struct doctor *doctor, pid_t pid, const char *name)
{
	char its[64];

	read_name(doctor, pid, its);
	return strcmp(its, name) == 0;
}

bool doctor_has_open(const struct doctor *doctor, pid_t pid, const char *file, bool *hidden)
{
	char path[PATH_MAX], target[PATH_MAX];
	DIR *folder = opendir(doctor_path(doctor, path, "proc/%ld/fd", (long)pid));
	const struct dirent *entry;
	bool found = false;

	if (!folder) {
		*hidden = *hidden || errno == EACCES;
		return false;
	}
	while (!found && (entry = readdir(folder))) {
		ssize_t length =
			readlinkat(dirfd(folder), entry->d_name, target, sizeof(target) - 1);

		if (length <= 0)
			continue;
		target[length] = '\0';
		found = strcmp(target, file) == 0;
	}
	closedir(folder);
	return found;
}

size_t doctor_arguments(const struct doctor *doctor, pid_t pid, char *text, size_t size)
{
	size_t length = read_proc(doctor, pid, "cmdline", text, size - 1);

	text[length + 1] = '\0';
	return length;
}
