/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/textfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reads up to `size` bytes, however many calls it takes. */
static ssize_t read_all(int fd, char *buffer, size_t size)
{
	size_t got = 0;

	while (got < size) {
		ssize_t n = read(fd, buffer + got, size - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

static int check_file(int fd, size_t *size)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return -1;
	if (!S_ISREG(status.st_mode)) {
		errno = S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
		return -1;
	}
	if (status.st_size > TEXTFILE_MAX) {
		errno = EFBIG;
		return -1;
	}
	*size = (size_t)status.st_size;
	return 0;
}

char *textfile_read(const char *path, size_t *length)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text = NULL;
	ssize_t got = -1;
	size_t size;

	if (fd < 0)
		return NULL;
	if (check_file(fd, &size) == 0)
		text = malloc(size + 1);
	if (text)
		got = read_all(fd, text, size);
	if (got < 0) {
		int error = errno;

		free(text);
		close(fd);
		errno = error;
		return NULL;
	}
	close(fd);
	text[got] = '\0';
	*length = (size_t)got;
	return text;
}

int textfile_each(const char *folder, int (*meant)(const struct dirent *entry),
	void (*each)(void *ctx, const char *folder, const char *name), void *ctx)
{
	struct dirent **entries;
	int count = scandir(folder, &entries, meant, alphasort);

	if (count < 0)
		return -1;
	for (int i = 0; i < count; i++) {
		each(ctx, folder, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return 0;
}
