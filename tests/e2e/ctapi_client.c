/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program that knows CT-API only. It reads lines and prints a line for each: "init CTN PN", "data
 * CTN DAD ROOM HEX", "close CTN"; what the function returned, and of data the addresses and the
 * response.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libctapi/ctapi.h"

enum {
	BYTES_MAX = 65535,
};

/* A number in front of the rest of a line. */
static unsigned short number(char **line)
{
	return (unsigned short)strtoul(*line, line, 10);
}

static size_t unhex(const char *hex, unsigned char *bytes)
{
	size_t n = 0;

	while (*hex == ' ')
		hex++;
	for (; n < BYTES_MAX && isxdigit((unsigned char)hex[0]) && isxdigit((unsigned char)hex[1]);
		hex += 2) {
		const char digits[] = { hex[0], hex[1], '\0' };

		bytes[n++] = (unsigned char)strtoul(digits, NULL, 16);
	}
	return n;
}

static void data(char *line)
{
	static unsigned char command[BYTES_MAX];
	unsigned short ctn = number(&line);
	unsigned char dad = (unsigned char)number(&line), sad = CTAPI_HOST;
	unsigned short room = number(&line);
	unsigned short len = (unsigned short)unhex(line, command);
	unsigned char *response = malloc(room ? room : 1u);
	signed char result;

	if (!response)
		abort();
	result = CT_data(ctn, &dad, &sad, len, command, &room, response);
	printf("%d %u %u ", result, dad, sad);
	for (unsigned short i = 0; i < room; i++)
		printf("%02x", response[i]);
	putchar('\n');
	free(response);
}

static void init(char *line)
{
	unsigned short ctn = number(&line);

	printf("%d\n", CT_init(ctn, number(&line)));
}

int main(void)
{
	static char line[2 * BYTES_MAX + 64];

	while (fgets(line, sizeof(line), stdin)) {
		char *words = strchr(line, ' ');

		if (words && strncmp(line, "init ", 5) == 0)
			init(words);
		else if (words && strncmp(line, "data ", 5) == 0)
			data(words);
		else if (words && strncmp(line, "close ", 6) == 0)
			printf("%d\n", CT_close(number(&words)));
		else
			printf("not understood\n");
		fflush(stdout);
	}
	return 0;
}
