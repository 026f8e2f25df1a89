/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The decoder of requests, fed a stream as a client sends it: the first byte chooses the dialect, the
 * rest are messages one after the other. What the decoder promises in wire/wire.h is checked, and
 * that the encoder gives back the same bytes.
 */
#undef NDEBUG
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static void check_strings(const struct wire_request *request)
{
	struct wire_ext_entry entry;

	if (request->command == WIRE_CONNECT)
		assert(memchr(request->body.connect.szReader, 0, WIRE_READERNAME));
	if (request->command != WIRE_EXT_WAIT)
		return;
	assert(request->tail_length == request->body.ext_wait.count * sizeof(entry));
	for (uint32_t i = 0; i < request->body.ext_wait.count; i++) {
		wire_ext_entry_at(request, i, &entry);
		assert(memchr(entry.name, 0, sizeof(entry.name)));
	}
}

/* Decodes the request again from what the encoder makes of it. */
static void check_encoding(const struct wire_request *request, int dialect)
{
	uint8_t *out = malloc(WIRE_REQUEST_MAX + request->tail_length);
	size_t length = wire_encode(request->command, dialect, &request->body, out);
	struct wire_request again;
	size_t needed;

	assert(length >= sizeof(struct wire_header) && length <= WIRE_REQUEST_MAX);
	if (request->tail_length > 0)
		memcpy(out + length, request->tail, request->tail_length);
	length += request->tail_length;
	assert(wire_decode(out, length, dialect, &again, &needed) == WIRE_OK);
	assert(needed == length);
	assert(memcmp(&again.body, &request->body, sizeof(again.body)) == 0);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static const int dialects[] = { 3, 4, 5, 6, WIRE_DIALECT_EXT };
	struct wire_request request;
	size_t needed;
	int dialect;

	if (size == 0)
		return 0;
	dialect = dialects[input[0] % (sizeof(dialects) / sizeof(dialects[0]))];
	input++;
	size--;
	for (;;) {
		/* A copy of its own, so that a sanitizer sees every byte too far. */
		uint8_t *bytes = malloc(size ? size : 1);
		enum wire_verdict verdict;

		memcpy(bytes, input, size);
		verdict = wire_decode(bytes, size, dialect, &request, &needed);
		if (verdict == WIRE_MORE)
			assert(needed > size && needed <= WIRE_MESSAGE_MAX);
		if (verdict == WIRE_OK) {
			assert(needed >= sizeof(struct wire_header) && needed <= size);
			check_strings(&request);
			check_encoding(&request, dialect);
		}
		free(bytes);
		if (verdict != WIRE_OK)
			return 0;
		input += needed;
		size -= needed;
	}
}
