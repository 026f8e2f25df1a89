/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/process.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-login.h>
#include <unistd.h>

#include "tools/text.h"

#define INFO_MAX 4096 /* bytes; the group we want comes first */

static void copy_text(char to[PROCESS_TEXT], const char *from, size_t length)
{
	if (length >= PROCESS_TEXT)
		length = PROCESS_TEXT - 1;
	memcpy(to, from, length);
	to[length] = '\0';
	text_clean(to);
}

void process_snap_of_unit(const char *unit, char snap[PROCESS_TEXT])
{
	static const char start[] = "snap.";

	snap[0] = '\0';
	if (strncmp(unit, start, strlen(start)) != 0)
		return;
	unit += strlen(start);
	if (strchr(unit, '.'))
		copy_text(snap, unit, strcspn(unit, "."));
}

void process_flatpak_of_info(const char *info, char flatpak[PROCESS_TEXT])
{
	static const char group[] = "[Application]", key[] = "name=";
	bool inside = false;

	flatpak[0] = '\0';
	while (*info) {
		size_t length = strcspn(info, "\n");

		if (*info == '[')
			inside = length == strlen(group) && strncmp(info, group, length) == 0;
		else if (inside && strncmp(info, key, strlen(key)) == 0) {
			copy_text(flatpak, info + strlen(key), length - strlen(key));
			return;
		}
		info += length + (info[length] == '\n');
	}
}

/* The file is the client's: it may be anything. */
static void read_flatpak_info(pid_t pid, char flatpak[PROCESS_TEXT])
{
	char path[64], info[INFO_MAX + 1];
	struct stat about;
	ssize_t length = 0;
	int fd;

	flatpak[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%ld/root/.flatpak-info", (long)pid);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (fstat(fd, &about) == 0 && S_ISREG(about.st_mode))
		length = read(fd, info, INFO_MAX);
	close(fd);
	if (length <= 0)
		return;
	info[length] = '\0';
	process_flatpak_of_info(info, flatpak);
}

void process_look_up(pid_t pid, struct process *process)
{
	char *unit = NULL;

	memset(process, 0, sizeof(*process));
	if (pid <= 0)
		return;
	if (sd_pid_get_user_unit(pid, &unit) >= 0 || sd_pid_get_unit(pid, &unit) >= 0)
		copy_text(process->unit, unit, strlen(unit));
	free(unit);
	process_snap_of_unit(process->unit, process->snap);
	read_flatpak_info(pid, process->flatpak);
}
