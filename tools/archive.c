/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/archive.h"

#include <string.h>
#include <time.h>

enum {
	BLOCK = 512,
};

/* A header block of ustar. */
struct header {
	char name[100];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char checksum[8];
	char type;
	char link[100];
	char magic[8];
	char user[32];
	char group[32];
	char device[16];
	char prefix[155];
	char rest[12];
};

_Static_assert(sizeof(struct header) == BLOCK, "ustar header");

static void set_checksum(struct header *header)
{
	const unsigned char *bytes = (const unsigned char *)header;
	unsigned sum = 0;

	memset(header->checksum, ' ', sizeof(header->checksum));
	for (size_t i = 0; i < sizeof(*header); i++)
		sum += bytes[i];
	snprintf(header->checksum, sizeof(header->checksum), "%06o", sum & 0777777);
}

void archive_add(FILE *out, const char *name, const void *bytes, size_t length)
{
	static const char zeros[BLOCK];
	struct header header = { .type = '0',
		.magic = "ustar\0"
			 "00" };

	snprintf(header.name, sizeof(header.name), "%s", name);
	snprintf(header.mode, sizeof(header.mode), "%07o", 0644);
	snprintf(header.uid, sizeof(header.uid), "%07o", 0);
	snprintf(header.gid, sizeof(header.gid), "%07o", 0);
	snprintf(header.size, sizeof(header.size), "%011lo", (unsigned long)length);
	snprintf(header.mtime, sizeof(header.mtime), "%011lo", (unsigned long)time(NULL));
	set_checksum(&header);
	fwrite(&header, sizeof(header), 1, out);
	if (length)
		fwrite(bytes, 1, length, out);
	fwrite(zeros, 1, (BLOCK - length % BLOCK) % BLOCK, out);
}

void archive_end(FILE *out)
{
	static const char zeros[2 * BLOCK];

	fwrite(zeros, sizeof(zeros), 1, out);
}
