/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/report.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "tools/text.h"
#include "wire/messages.h"
#include "wire/status_path.h"

#define TIMEOUT_S  10
#define CHUNK      65536
#define REPORT_MAX ((size_t)256 << 20) /* bytes; nobody has so many clients */

int report_connect(const char *path)
{
	const struct timeval limit = { .tv_sec = TIMEOUT_S };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, error;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

bool report_knock(const char *path)
{
	const struct {
		struct wire_header header;
		struct wire_version version;
	} request = {
		.header = { .size = sizeof(struct wire_version), .command = WIRE_VERSION },
		.version = { .major = WIRE_VERSION_MAJOR, .minor = WIRE_VERSION_MINOR },
	};
	char answer[sizeof(struct wire_version)];
	int fd = report_connect(path);
	bool answered;

	if (fd < 0)
		return false;
	/* A client that is refused is answered, too: by the end of the connection. */
	answered = send(fd, &request, sizeof(request), MSG_NOSIGNAL) > 0 &&
		   (recv(fd, answer, sizeof(answer), 0) >= 0 || errno == ECONNRESET);
	close(fd);
	return answered;
}

bool report_serves(const char *socket)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int fd = wire_status_path(socket, path, sizeof(path)) ? report_connect(path) : -1;
	char byte;
	bool serves;

	if (fd < 0)
		return false;
	serves = recv(fd, &byte, 1, 0) > 0;
	close(fd);
	return serves;
}

/* All that comes until the end, terminated; NULL with errno. */
static char *read_all(int fd)
{
	size_t length = 0, size = 0;
	char *text = NULL, *more;
	ssize_t got = 1;

	while (got > 0) {
		if (length + CHUNK >= size) {
			size = length + 2 * (size_t)CHUNK + length / 2;
			more = length < REPORT_MAX ? realloc(text, size) : NULL;
			if (!more) {
				errno = ENOMEM;
				got = -1;
				break;
			}
			text = more;
		}
		got = recv(fd, text + length, CHUNK, 0);
		if (got > 0)
			length += (size_t)got;
	}
	if (got < 0) {
		free(text);
		return NULL;
	}
	text[length] = '\0';
	return text;
}

static void change_text(json_object *json, report_change *change, const void *ctx)
{
	char *text = strdup(json_object_get_string(json));

	if (!text)
		return;
	change(ctx, text);
	json_object_set_string(json, text);
	free(text);
}

void report_change_texts(json_object *json, report_change *change, const void *ctx)
{
	size_t count;

	switch (json_object_get_type(json)) {
	case json_type_string:
		change_text(json, change, ctx);
		break;
	case json_type_array:
		count = json_object_array_length(json);
		for (size_t i = 0; i < count; i++)
			report_change_texts(json_object_array_get_idx(json, i), change, ctx);
		break;
	case json_type_object: {
		json_object_object_foreach(json, key, member)
		{
			(void)key;
			report_change_texts(member, change, ctx);
		}
		break;
	}
	default:
		break;
	}
}

static void clean(const void *ctx, char *text)
{
	(void)ctx;
	text_clean(text);
}

static json_object *parse(const char *text)
{
	json_object *json = json_tokener_parse(text);
	json_object *readers, *waiters;

	report_change_texts(json, clean, NULL);

	if (json_object_object_get_ex(json, "readers", &readers) &&
		json_object_object_get_ex(json, "waiters", &waiters) &&
		json_object_is_type(readers, json_type_array) &&
		json_object_is_type(waiters, json_type_array))
		return json;
	json_object_put(json);
	return NULL;
}

/* *SERVED: a daemon answers its clients, whatever is at the status socket. */
static int connect_status(const char *socket, const char *path, bool *served)
{
	int fd = report_connect(path);

	*served = false;
	if (fd >= 0 || (errno != ENOENT && errno != ECONNREFUSED))
		return fd;
	*served = report_knock(socket);
	return *served ? report_connect(path) : -1;
}

bool report_owner(const char *socket, struct ucred *owner)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	socklen_t length = sizeof(*owner);
	int fd = wire_status_path(socket, path, sizeof(path)) ? report_connect(path) : -1;
	bool known = fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, owner, &length) == 0;

	if (fd >= 0)
		close(fd);
	return known;
}

json_object *report_ask(const char *socket, char why[REPORT_WHY])
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	json_object *json = NULL;
	char *text = NULL;
	bool served;
	int fd;

	if (!wire_status_path(socket, path, sizeof(path))) {
		snprintf(why, REPORT_WHY, "%s: too long a path for a socket", socket);
		return NULL;
	}
	fd = connect_status(socket, path, &served);
	if (fd >= 0)
		text = read_all(fd);
	if (fd < 0 && served) {
		snprintf(why, REPORT_WHY,
			"%s: another PC/SC daemon than this package's serves it, which tells "
			"nothing",
			socket);
	} else if (!text) {
		snprintf(why, REPORT_WHY, "%s: %s%s", path, strerror(errno),
			fd < 0 ? " (is pcscd running?)" : "");
	} else {
		json = parse(text);
		if (!json)
			snprintf(why, REPORT_WHY, "%s: the answer makes no sense", path);
	}
	free(text);
	if (fd >= 0)
		close(fd);
	return json;
}

json_object *report_fetch(const char *socket)
{
	char why[REPORT_WHY];
	json_object *json = report_ask(socket, why);

	if (!json)
		fprintf(stderr, "pcscctl: %s\n", why);
	return json;
}

json_object *report_pick(json_object *from, const char *const keys[])
{
	json_object *picked = json_object_new_object();

	for (; *keys; keys++)
		json_object_object_add(
			picked, *keys, json_object_get(json_object_object_get(from, *keys)));
	return picked;
}

const char *report_text(json_object *from, const char *key)
{
	json_object *member = json_object_object_get(from, key);

	return member ? json_object_get_string(member) : "";
}

int report_print_json(json_object *readers)
{
	json_object *json = json_object_new_object();
	bool good;

	json_object_object_add(json, "readers", readers);
	good = puts(json_object_to_json_string_ext(
		       json, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE)) >= 0;
	json_object_put(json);
	return good && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
