/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool complain(const struct output *output)
{
	fprintf(stderr, "pcscctl: %s: %s\n", output->path, strerror(errno));
	return false;
}

/* A number that sudo(8) has left in the environment; -1: there is none. */
static long number_of_sudo(const char *name)
{
	const char *text = secure_getenv(name);
	char *end;
	long number = text ? strtol(text, &end, 10) : -1;

	return number > 0 && *end == '\0' ? number : -1;
}

/* What cannot be given away stays root's. */
static void give_to_caller(int fd)
{
	long uid = number_of_sudo("SUDO_UID"), gid = number_of_sudo("SUDO_GID");

	if (geteuid() == 0 && uid > 0 && gid > 0 && fchown(fd, (uid_t)uid, (gid_t)gid) < 0)
		return;
}

bool output_open(struct output *output, const char *path)
{
	const int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY;
	int fd;

	*output = (struct output){ .path = path };
	if (strcmp(path, "-") == 0) {
		output->stream = stdout;
		return true;
	}
	fd = open(path, flags | O_EXCL, 0600);
	output->created = fd >= 0;
	if (output->created)
		give_to_caller(fd);
	else if (errno == EEXIST)
		fd = open(path, flags | O_TRUNC, 0600);
	output->stream = fd >= 0 ? fdopen(fd, "w") : NULL;
	return output->stream || complain(output);
}

bool output_close(struct output *output, bool wanted)
{
	bool whole = fflush(output->stream) == 0 && !ferror(output->stream);

	/* Of the standard output main() tells. */
	if (output->stream == stdout)
		return whole;
	if (!whole)
		complain(output);
	if (fclose(output->stream) != 0 && whole)
		whole = complain(output);
	if (output->created && !(whole && wanted))
		unlink(output->path);
	return whole;
}
