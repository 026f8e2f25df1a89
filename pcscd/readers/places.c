/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/readers/places.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pcscd/log.h"
#include "pcscd/textfile.h"

#define NUMBERS 256 /* a device number is written with two hexadecimal digits */

struct place {
	int number;
	char *base_name;
	char *place;
};

static struct {
	pthread_mutex_t lock;
	char *file; /* NULL: nothing is written */
	bool changed;
	bool failed; /* a line said that it can't be written */
	size_t count;
	struct place list[PLACES_MAX]; /* the one seen longest ago first */
} memory = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void forget(size_t i)
{
	free(memory.list[i].base_name);
	free(memory.list[i].place);
	memory.count--;
	memmove(&memory.list[i], &memory.list[i + 1], (memory.count - i) * sizeof(memory.list[0]));
}

/* The index of a reader, `count` if it is not remembered. */
static size_t find(const char *base_name, const char *place)
{
	size_t i;

	for (i = 0; i < memory.count; i++)
		if (strcmp(memory.list[i].base_name, base_name) == 0 &&
			strcmp(memory.list[i].place, place) == 0)
			break;
	return i;
}

/* How much of a place says who is there; 0 if nothing does. */
static size_t who(const char *place)
{
	const char *at = NULL;

	for (const char *next = place; (next = strstr(next, PLACE_AT)); next++)
		at = next;
	return at ? (size_t)(at - place) : 0;
}

/*
 * The index of a reader that was at another port, and has a number that is not used; `count` if
 * there is none. The one seen last.
 */
static size_t find_elsewhere(const char *base_name, const char *place, const bool *used)
{
	size_t length = who(place);

	if (length == 0)
		return memory.count;
	for (size_t i = memory.count; i > 0; i--) {
		const struct place *entry = &memory.list[i - 1];

		if (strcmp(entry->base_name, base_name) == 0 && who(entry->place) == length &&
			strncmp(entry->place, place, length) == 0 && !used[entry->number])
			return i - 1;
	}
	return memory.count;
}

/* What would not come back from a line of the file is not remembered. */
static bool is_storable(const char *text)
{
	return strpbrk(text, "\t\r\n") == NULL;
}

static void keep(const char *base_name, const char *place, int number)
{
	struct place entry = { .number = number };
	bool others[NUMBERS];
	size_t i = find(base_name, place);

	if (i == memory.count) { /* moved, with its number */
		memset(others, true, sizeof(others));
		others[number] = false;
		i = find_elsewhere(base_name, place, others);
	}

	/* Seen last already: the usual case of a reader that comes back. */
	if (i + 1 == memory.count && memory.list[i].number == number &&
		strcmp(memory.list[i].place, place) == 0)
		return;
	entry.base_name = strdup(base_name);
	entry.place = strdup(place);
	if (!entry.base_name || !entry.place) {
		free(entry.base_name);
		free(entry.place);
		return;
	}
	if (i < memory.count)
		forget(i);
	else if (memory.count == PLACES_MAX)
		forget(0);
	memory.list[memory.count++] = entry;
	memory.changed = memory.changed || place[0] != PLACE_TRANSIENT;
}

/* "NUMBER<tab>PLACE<tab>BASE NAME"; a line that isn't like that is passed over. */
static void read_line(char *line)
{
	char *place;
	char *base_name;
	char *end;
	long number = strtol(line, &end, 10);

	if (end == line || *end != '\t' || number < 0 || number >= NUMBERS)
		return;
	place = end + 1;
	base_name = strchr(place, '\t');
	if (!base_name)
		return;
	*base_name++ = '\0';
	if (*base_name && is_storable(base_name))
		keep(base_name, place, (int)number);
}

static void read_file(void)
{
	size_t length;
	char *text = textfile_read(memory.file, &length);
	char *rest = text;
	char *line;

	if (!text) {
		if (errno != ENOENT)
			log_line(PCSC_LOG_ERROR, "%s: %s: readers may get other numbers",
				memory.file, strerror(errno));
		return;
	}
	while ((line = strsep(&rest, "\n")))
		read_line(line);
	free(text);
}

void places_open(const char *folder)
{
	places_close();
	pthread_mutex_lock(&memory.lock);
	if (folder && asprintf(&memory.file, "%s/places", folder) < 0)
		memory.file = NULL;
	if (memory.file)
		read_file();
	memory.changed = false;
	pthread_mutex_unlock(&memory.lock);
}

void places_close(void)
{
	pthread_mutex_lock(&memory.lock);
	while (memory.count)
		forget(memory.count - 1);
	free(memory.file);
	memory.file = NULL;
	memory.changed = false;
	memory.failed = false;
	pthread_mutex_unlock(&memory.lock);
}

/* The whole memory as text; NULL if memory is short. */
static char *compose(size_t *length)
{
	char *text = NULL;
	FILE *stream = open_memstream(&text, length);

	if (!stream)
		return NULL;
	for (size_t i = 0; i < memory.count; i++) {
		const struct place *entry = &memory.list[i];

		if (entry->place[0] != PLACE_TRANSIENT)
			fprintf(stream, "%d\t%s\t%s\n", entry->number, entry->place,
				entry->base_name);
	}
	if (fclose(stream) == 0)
		return text;
	free(text);
	return NULL;
}

/*
 * A new file takes the old one's place as a whole, so that a crash leaves one or the other.
 * Returns 0 or an errno.
 */
static int replace_file(const char *file, const char *text, size_t length)
{
	char *fresh = NULL;
	int error = 0;
	int fd;

	if (asprintf(&fresh, "%s.new", file) < 0)
		return ENOMEM;
	errno = EIO;
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || write(fd, text, length) != (ssize_t)length || fsync(fd) < 0)
		error = errno;
	if (fd >= 0)
		close(fd);
	if (error == 0 && rename(fresh, file) < 0)
		error = errno;
	free(fresh);
	return error;
}

void places_save(void)
{
	char *text = NULL;
	size_t length = 0;
	int error;

	pthread_mutex_lock(&memory.lock);
	if (memory.file && memory.changed)
		text = compose(&length);
	if (text)
		memory.changed = false;
	pthread_mutex_unlock(&memory.lock);
	if (!text)
		return;
	/* `file` and `failed` are the main thread's, which is here. */
	error = replace_file(memory.file, text, length);
	free(text);
	if (error && !memory.failed)
		log_line(PCSC_LOG_ERROR, "%s: %s: after a restart readers may get other numbers",
			memory.file, strerror(error));
	memory.failed = memory.failed || error;
}

static void mark_others(const char *base_name, const char *place, bool *avoided, int count)
{
	for (size_t i = 0; i < memory.count; i++) {
		const struct place *entry = &memory.list[i];

		if (entry->number < count && strcmp(entry->base_name, base_name) == 0 &&
			strcmp(entry->place, place) != 0)
			avoided[entry->number] = true;
	}
}

static int lowest_free(const bool *used, const bool *avoided, int count)
{
	for (int i = 0; i < count; i++)
		if (!used[i] && !avoided[i])
			return i;
	return -1;
}

int places_pick(const char *base_name, const char *place, const bool *used, int count)
{
	static const bool nothing[NUMBERS];
	bool avoided[NUMBERS] = { false };
	bool taken[NUMBERS];
	int number = -1;
	size_t i;

	if (count > NUMBERS)
		count = NUMBERS;
	memset(taken, true, sizeof(taken));
	memcpy(taken, used, (size_t)count * sizeof(*used));
	pthread_mutex_lock(&memory.lock);
	i = find(base_name, place);
	if (i == memory.count)
		i = find_elsewhere(base_name, place, taken);
	if (i < memory.count)
		number = memory.list[i].number;
	mark_others(base_name, place, avoided, count);
	pthread_mutex_unlock(&memory.lock);
	if (number >= 0 && !taken[number])
		return number;
	number = lowest_free(used, avoided, count);
	return number >= 0 ? number : lowest_free(used, nothing, count);
}

void places_keep(const char *base_name, const char *place, int number)
{
	if (!is_storable(base_name) || !is_storable(place) || number < 0 || number >= NUMBERS)
		return;
	pthread_mutex_lock(&memory.lock);
	keep(base_name, place, number);
	pthread_mutex_unlock(&memory.lock);
}
