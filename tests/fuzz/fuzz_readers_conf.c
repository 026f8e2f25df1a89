/* SPDX-License-Identifier: BSD-3-Clause */
/* reader.conf with any bytes: each reader that comes out of it is whole. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "pcscd/log.h"
#include "pcscd/readers/readers_conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct readers_conf conf = { 0 };

	log_close();
	readers_conf_parse(&conf, (const char *)data, size, "fuzz");
	for (size_t i = 0; i < conf.count; i++) {
		const struct conf_reader *reader = &conf.readers[i];

		if (!reader->name || !*reader->name || !reader->library || !*reader->library ||
			!reader->origin || (reader->device && !*reader->device))
			abort();
	}
	readers_conf_free(&conf);
	return 0;
}
