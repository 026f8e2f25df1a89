/* SPDX-License-Identifier: BSD-3-Clause */
/* The other end of the control socket: `vreader ctl`. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vreader/ctl.h"
#include "vreader/usb/address.h"

/* Reads all the server says, at most a minute long. NULL: it did not answer. */
static char *read_answer(int fd)
{
	struct timeval minute = { .tv_sec = 60 };
	size_t size = 0;
	char *text = NULL;
	FILE *out = open_memstream(&text, &size);
	char chunk[4096];
	ssize_t n;

	if (!out)
		return NULL;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &minute, sizeof(minute));
	while ((n = recv(fd, chunk, sizeof(chunk), 0)) > 0)
		fwrite(chunk, 1, (size_t)n, out);
	fclose(out);
	return text;
}

static int print_answer(const char *text)
{
	static const char error[] = "error ";

	if (text && strncmp(text, "ok\n", 3) == 0) {
		fputs(text + 3, stdout);
		return 0;
	}
	if (text && strncmp(text, error, strlen(error)) == 0)
		fprintf(stderr, "vreader: %s", text + strlen(error));
	else
		fprintf(stderr, "vreader: the server gave no answer\n");
	return 1;
}

int ctl_client(const char *path, char *const words[])
{
	char line[CTL_LINE_MAX], why[256];
	size_t len = 0;
	char *text;
	int fd, status;

	for (size_t i = 0; words[i]; i++) {
		len += (size_t)snprintf(line + len, sizeof(line) - len, "%s%s", words[i],
			words[i + 1] ? " " : "\n");
		if (len >= sizeof(line)) {
			fprintf(stderr, "vreader: the command is too long\n");
			return 1;
		}
	}
	fd = address_connect_unix(path, why, sizeof(why));
	if (fd < 0) {
		fprintf(stderr, "vreader: cannot reach the server at %s\n", why);
		return 1;
	}
	if (send(fd, line, len, MSG_NOSIGNAL) != (ssize_t)len) {
		fprintf(stderr, "vreader: %s: %s\n", path, strerror(errno));
		close(fd);
		return 1;
	}
	text = read_answer(fd);
	close(fd);
	status = print_answer(text);
	free(text);
	return status;
}
