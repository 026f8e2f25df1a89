/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * BER-TLV data objects (ISO 7816-4 §5.2.2): tags of up to three bytes, definite lengths of up to
 * 65535 bytes. Pure; the reader points into the caller's bytes, the writer into its buffer.
 */
#ifndef CARDWIRE_VREADER_CARDS_BER_H
#define CARDWIRE_VREADER_CARDS_BER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ber {
	const uint8_t *at;
	size_t left;
};

struct ber_item {
	uint32_t tag; /* its bytes as a number: 7F49 is 0x7F49 */
	const uint8_t *value;
	size_t len;
};

struct ber_out {
	uint8_t *data;
	size_t cap;
	size_t len;
	bool overflow; /* something did not fit, and is left out */
};

/* Takes the next object. False: the end, or no object; then left tells them apart. */
bool ber_next(struct ber *in, struct ber_item *item);

/* The same for a header list: tag and length, and no value (ISO 7816-4 §8.5.1). */
bool ber_next_header(struct ber *in, struct ber_item *item);

/* The first object of that tag at the top level. False: there is none, or a broken one before it;
 * then item is all zero. */
bool ber_find(const uint8_t *bytes, size_t len, uint32_t tag, struct ber_item *item);

/* Appends an object. */
void ber_put(struct ber_out *out, uint32_t tag, const void *value, size_t len);

/* Appends bytes as they are. */
void ber_put_raw(struct ber_out *out, const void *bytes, size_t len);

/* Makes the last bytes, from index start on, the value of an object of that tag. */
void ber_wrap(struct ber_out *out, size_t start, uint32_t tag);

#endif
