/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/cards/state.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vreader/cards/crypto.h"

#define HEAD "virtual card state 1\n"
#define TAIL "sha256="

enum {
	TAIL_LEN = sizeof(TAIL) - 1 + (size_t)2 * CRYPTO_SHA256 + 1,
};

struct record {
	char name[STATE_NAME_MAX + 1];
	uint8_t *data; /* never NULL */
	size_t len;
};

struct image {
	char *text;
	size_t len;
};

struct state {
	char *path; /* NULL: in memory only */
	int fd;     /* holds the lock on the file; -1: there is none yet */
	struct record *records;
	size_t count;
	bool changed;
	bool failed;            /* a change did not find memory */
	struct image committed; /* what is in the file */
};

/* --- Strings by name -------------------------------------------------------------------------- */

static struct record *find(const struct state *s, const char *name)
{
	for (size_t i = 0; i < s->count; i++)
		if (strcmp(s->records[i].name, name) == 0)
			return &s->records[i];
	return NULL;
}

static void drop(struct state *s, size_t i)
{
	free(s->records[i].data);
	s->count--;
	memmove(s->records + i, s->records + i + 1, (s->count - i) * sizeof(struct record));
}

static void drop_all(struct state *s)
{
	while (s->count)
		drop(s, s->count - 1);
}

const uint8_t *state_get(const struct state *s, const char *name, size_t *len)
{
	const struct record *r = find(s, name);

	*len = r ? r->len : 0;
	return r ? r->data : NULL;
}

static struct record *add(struct state *s, const char *name)
{
	struct record *grown = realloc(s->records, (s->count + 1) * sizeof(struct record));

	if (!grown)
		return NULL;
	s->records = grown;
	grown[s->count] = (struct record){ 0 };
	snprintf(grown[s->count].name, sizeof(grown[s->count].name), "%s", name);
	return &grown[s->count++];
}

void state_put(struct state *s, const char *name, const void *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct record *r = find(s, name);

	if (copy && !r)
		r = add(s, name);
	if (!copy || !r) {
		free(copy);
		s->failed = true;
		return;
	}
	if (len)
		memcpy(copy, data, len);
	free(r->data);
	r->data = copy;
	r->len = len;
	s->changed = true;
}

void state_delete_all(struct state *s, const char *prefix)
{
	for (size_t i = s->count; i-- > 0;) {
		if (strncmp(s->records[i].name, prefix, strlen(prefix)) != 0)
			continue;
		drop(s, i);
		s->changed = true;
	}
}

void state_delete(struct state *s, const char *name)
{
	const struct record *r = find(s, name);

	if (!r)
		return;
	drop(s, (size_t)(r - s->records));
	s->changed = true;
}

uint8_t state_get_byte(const struct state *s, const char *name, uint8_t absent)
{
	size_t len;
	const uint8_t *data = state_get(s, name, &len);

	return data && len == 1 ? data[0] : absent;
}

void state_put_byte(struct state *s, const char *name, uint8_t value)
{
	state_put(s, name, &value, 1);
}

/* --- Text ------------------------------------------------------------------------------------- */

static void print_hex(FILE *out, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		fprintf(out, "%02x", data[i]);
	fputc('\n', out);
}

/* The caller frees image->text. */
static bool print_image(const struct state *s, struct image *image)
{
	FILE *out = open_memstream(&image->text, &image->len);
	uint8_t sum[CRYPTO_SHA256] = { 0 };
	bool ok;

	if (!out)
		return false;
	fputs(HEAD, out);
	for (size_t i = 0; i < s->count; i++) {
		fprintf(out, "%s=", s->records[i].name);
		print_hex(out, s->records[i].data, s->records[i].len);
	}
	ok = fflush(out) == 0 && crypto_sha256((const uint8_t *)image->text, image->len, sum);
	fputs(TAIL, out);
	print_hex(out, sum, sizeof(sum));
	ok = !ferror(out) && ok;
	return fclose(out) == 0 && ok;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Two digits a byte in text; out may be text itself. */
static bool parse_hex(const char *text, size_t digits, uint8_t *out)
{
	for (size_t i = 0; i + 1 < digits; i += 2) {
		int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i / 2] = (uint8_t)(high << 4 | low);
	}
	return digits % 2 == 0;
}

static bool parse_line(struct state *s, const char *line, size_t len)
{
	static const char name_chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					 "0123456789.-_";
	size_t name_len = strspn(line, name_chars), digits = len - name_len - 1;
	char name[STATE_NAME_MAX + 1];
	uint8_t *data;
	bool ok;

	if (name_len == 0 || name_len > STATE_NAME_MAX || line[name_len] != '=')
		return false;
	memcpy(name, line, name_len);
	name[name_len] = '\0';
	data = malloc(digits / 2 + 1);
	ok = data && !find(s, name) && parse_hex(line + name_len + 1, digits, data);
	if (ok)
		state_put(s, name, data, digits / 2);
	free(data);
	return ok && !s->failed;
}

/* The text up to its checksum; 0: it has none, or a wrong one. */
static size_t checked_len(const struct image *image)
{
	uint8_t told[CRYPTO_SHA256], sum[CRYPTO_SHA256];
	const char *tail;
	size_t len;

	if (!image->text || image->len < sizeof(HEAD) - 1 + TAIL_LEN ||
		memcmp(image->text, HEAD, sizeof(HEAD) - 1) != 0)
		return 0;
	len = image->len - TAIL_LEN;
	tail = image->text + len;
	if (tail[-1] != '\n' || tail[TAIL_LEN - 1] != '\n' ||
		memcmp(tail, TAIL, sizeof(TAIL) - 1) != 0 ||
		!parse_hex(tail + sizeof(TAIL) - 1, (size_t)2 * CRYPTO_SHA256, told) ||
		!crypto_sha256((const uint8_t *)image->text, len, sum))
		return 0;
	return memcmp(told, sum, sizeof(sum)) == 0 ? len : 0;
}

/* Makes the strings those of the image. */
static bool parse_image(struct state *s, const struct image *image)
{
	size_t end = checked_len(image);
	bool ok = end > 0;

	drop_all(s);
	for (size_t at = sizeof(HEAD) - 1; ok && at < end;) {
		const char *line = image->text + at;
		size_t len = (size_t)((const char *)memchr(line, '\n', image->len - at) - line);

		ok = parse_line(s, line, len);
		at += len + 1;
	}
	s->changed = s->failed = false;
	return ok;
}

/* --- The file --------------------------------------------------------------------------------- */

static bool write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
	return true;
}

/* So that the rename outlasts a power failure, where the folder can be synced; the file is what it is
 * in either case. */
static void sync_folder(const char *path)
{
	char copy[PATH_MAX];
	int fd;

	snprintf(copy, sizeof(copy), "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)fsync(fd);
	close(fd);
}

/* Whether the path still names the file that was opened: another process may have renamed one to it
 * before it let go of the lock. */
static bool still_there(int fd, const char *path)
{
	struct stat opened, named;

	return fstat(fd, &opened) == 0 && stat(path, &named) == 0 &&
	       opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

/* What a killed process has left, which has no lock any more. */
static void remove_leftover(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && still_there(fd, path))
		unlink(path);
	close(fd);
}

/* A new file that only its owner can read, locked; -1: it cannot be. */
static int create_locked(const char *path)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
	int fd = open(path, flags, 0600);

	if (fd < 0 && errno == EEXIST) {
		remove_leftover(path);
		fd = open(path, flags, 0600);
	}
	/* Another process may have taken it for left over. */
	if (fd >= 0 && (flock(fd, LOCK_EX | LOCK_NB) < 0 || !still_there(fd, path))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* The new file is locked before it has the name: there is no moment without a lock. */
static bool write_file(struct state *s, const struct image *image)
{
	char temporary[PATH_MAX];
	int fd;

	if (snprintf(temporary, sizeof(temporary), "%s.new", s->path) >= (int)sizeof(temporary))
		return false;
	fd = create_locked(temporary);
	if (fd < 0)
		return false;
	if (!write_all(fd, image->text, image->len) || fsync(fd) < 0 ||
		rename(temporary, s->path) < 0) {
		unlink(temporary);
		close(fd);
		return false;
	}
	if (s->fd >= 0)
		close(s->fd);
	s->fd = fd;
	sync_folder(s->path);
	return true;
}

bool state_commit(struct state *s)
{
	struct image image = { 0 };

	if (!s->changed && !s->failed)
		return true;
	if (s->failed || !print_image(s, &image) || image.len > STATE_FILE_MAX ||
		(s->path && !write_file(s, &image))) {
		free(image.text);
		parse_image(s, &s->committed);
		return false;
	}
	free(s->committed.text);
	s->committed = image;
	s->changed = false;
	return true;
}

static bool read_file(int fd, struct image *image)
{
	struct stat st;
	ssize_t n = -1;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > STATE_FILE_MAX)
		return false;
	image->text = malloc((size_t)st.st_size + 1);
	if (image->text)
		n = pread(fd, image->text, (size_t)st.st_size, 0);
	if (n != st.st_size)
		return false;
	image->len = (size_t)n;
	image->text[n] = '\0';
	return true;
}

static const char *load(struct state *s)
{
	s->fd = open(s->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (s->fd < 0)
		return errno == ENOENT ? NULL : strerror(errno);
	if (flock(s->fd, LOCK_EX | LOCK_NB) < 0 || !still_there(s->fd, s->path))
		return "in use by another card";
	if (!read_file(s->fd, &s->committed))
		return "cannot be read";
	return parse_image(s, &s->committed) ? NULL : "not the state of a card, or damaged";
}

/* An empty state has an image too, to go back to; a file gets it at once, so that a folder that
 * cannot be written is found out before anything depends on it. */
static const char *begin(struct state *s)
{
	s->changed = true;
	if (!print_image(s, &s->committed))
		return "out of memory";
	return state_commit(s) ? NULL : "cannot be written";
}

/* A link stays one: it is the file that is replaced. The caller frees it; NULL without memory. */
static char *real_path(const char *path)
{
	char *real = realpath(path, NULL);

	return real ? real : strdup(path);
}

struct state *state_open(const char *path, char *why, size_t why_size)
{
	struct state *s = calloc(1, sizeof(*s));
	const char *wrong = NULL;

	if (s) {
		s->fd = -1;
		s->path = path ? real_path(path) : NULL;
	}
	if (!s || (path && !s->path))
		wrong = "out of memory";
	else if (path)
		wrong = load(s);
	if (!wrong && !s->committed.text)
		wrong = begin(s);
	if (!wrong)
		return s;
	snprintf(why, why_size, "%s: %s", path ? path : "state", wrong);
	state_close(s);
	return NULL;
}

void state_close(struct state *s)
{
	if (!s)
		return;
	drop_all(s);
	free(s->records);
	free(s->committed.text);
	if (s->fd >= 0)
		close(s->fd);
	free(s->path);
	free(s);
}
