/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program that knows CT-API only. It reads lines and prints a line for each: "init CTN PN", "data CTN
 * DAD ROOM HEX", "close CTN"; what the function returned, and of data the addresses and the response.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libctapi/ctapi.h"

enum {
	BYTES_MAX = 65535,
};

static size_t unhex(const char *hex, unsigned char *bytes)
{
	size_t n = 0;
	unsigned v;

	for (; n < BYTES_MAX && sscanf(hex, "%2x", &v) == 1; hex += 2)
		bytes[n++] = (unsigned char)v;
	return n;
}

static void data(unsigned short ctn, unsigned char dad, unsigned short room, const char *hex)
{
	static unsigned char command[BYTES_MAX];
	unsigned short len = (unsigned short)unhex(hex, command);
	unsigned char *response = malloc(room ? room : 1u);
	unsigned char sad = CTAPI_HOST;
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

int main(void)
{
	static char line[2 * BYTES_MAX + 64], hex[2 * BYTES_MAX + 1];
	unsigned short ctn, number, room;

	while (fgets(line, sizeof(line), stdin)) {
		hex[0] = '\0';
		if (sscanf(line, "init %hu %hu", &ctn, &number) == 2)
			printf("%d\n", CT_init(ctn, number));
		else if (sscanf(line, "data %hu %hu %hu %131070s", &ctn, &number, &room, hex) >= 3)
			data(ctn, (unsigned char)number, room, hex);
		else if (sscanf(line, "close %hu", &ctn) == 1)
			printf("%d\n", CT_close(ctn));
		else
			printf("not understood\n");
		fflush(stdout);
	}
	return 0;
}
