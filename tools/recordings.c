/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/recordings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "tools/report.h"
#include "wire/status_path.h"

static FILE *complain(const char *path)
{
	fprintf(stderr, "pcscctl: %s: %s%s\n", path, strerror(errno),
		errno == EACCES ? " (recordings are for root)" : "");
	return NULL;
}

FILE *recordings_ask(const char *socket, const char *verb, const char *device)
{
	static const struct timeval forever;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	FILE *answer = NULL;
	int fd;

	if (!wire_recording_path(socket, path, sizeof(path))) {
		errno = ENAMETOOLONG;
		return complain(socket);
	}
	fd = report_connect(path);
	if (fd >= 0 && dprintf(fd, device ? "%s %s\n" : "%s\n", verb, device) > 0) {
		if (strcmp(verb, "live") == 0)
			setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof(forever));
		answer = fdopen(fd, "r");
	}
	if (answer)
		return answer;
	complain(path);
	if (fd >= 0)
		close(fd);
	return NULL;
}

json_object *recordings_find(json_object *readers, const char *name)
{
	size_t count = json_object_array_length(readers);
	json_object *found = NULL;
	size_t parts = 0;

	for (size_t i = 0; i < count; i++) {
		json_object *reader = json_object_array_get_idx(readers, i);

		if (strcmp(report_text(reader, "name"), name) == 0 ||
			strcmp(report_text(reader, "device"), name) == 0)
			return json_object_get(reader);
		if (strstr(report_text(reader, "name"), name)) {
			found = reader;
			parts++;
		}
	}
	if (parts == 1)
		return json_object_get(found);
	fprintf(stderr, "pcscctl: %s: %s of that name\n", name,
		parts ? "more than one reader" : "no reader");
	for (size_t i = 0; parts && i < count; i++) {
		const char *its = report_text(json_object_array_get_idx(readers, i), "name");

		if (strstr(its, name))
			fprintf(stderr, "  %s\n", its);
	}
	return NULL;
}

size_t recordings_read(FILE *answer, recordings_each *each, void *ctx)
{
	uint8_t *data = malloc(RECORDING_DATA_MAX);
	struct recording_entry entry;
	char *line = NULL;
	size_t size = 0;
	size_t count = 0;
	const char *why;

	while (data && getline(&line, &size, answer) > 0) {
		if (recording_parse(line, &entry, data, RECORDING_DATA_MAX, &why) !=
			RECORDING_ENTRY)
			continue;
		count++;
		if (!each(ctx, &entry))
			break;
	}
	free(line);
	free(data);
	return count;
}
