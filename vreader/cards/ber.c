/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/cards/ber.h"

#include <string.h>

enum {
	HEADER_MAX = 3 + 3,
};

static bool take(struct ber *in, uint8_t *byte)
{
	if (in->left == 0)
		return false;
	*byte = *in->at++;
	in->left--;
	return true;
}

static bool take_tag(struct ber *in, uint32_t *tag)
{
	uint8_t byte;

	if (!take(in, &byte))
		return false;
	*tag = byte;
	if ((byte & 0x1F) != 0x1F)
		return true;
	for (int i = 0; i < 2; i++) {
		if (!take(in, &byte))
			return false;
		*tag = *tag << 8 | byte;
		if (!(byte & 0x80))
			return true;
	}
	return false;
}

static bool take_length(struct ber *in, size_t *len)
{
	uint8_t byte, count;

	if (!take(in, &byte))
		return false;
	*len = byte;
	if (byte < 0x80)
		return true;
	count = byte & 0x7F;
	if (count < 1 || count > 2)
		return false;
	*len = 0;
	while (count--) {
		if (!take(in, &byte))
			return false;
		*len = *len << 8 | byte;
	}
	return true;
}

bool ber_next(struct ber *in, struct ber_item *item)
{
	struct ber r = *in;
	struct ber_item found;

	if (!take_tag(&r, &found.tag) || !take_length(&r, &found.len) || found.len > r.left)
		return false;
	found.value = r.at;
	in->at = r.at + found.len;
	in->left = r.left - found.len;
	*item = found;
	return true;
}

bool ber_next_header(struct ber *in, struct ber_item *item)
{
	struct ber r = *in;

	*item = (struct ber_item){ 0 };
	if (!take_tag(&r, &item->tag) || !take_length(&r, &item->len))
		return false;
	*in = r;
	return true;
}

bool ber_find(const uint8_t *bytes, size_t len, uint32_t tag, struct ber_item *item)
{
	struct ber in = { bytes, len };

	while (ber_next(&in, item))
		if (item->tag == tag)
			return true;
	*item = (struct ber_item){ 0 };
	return false;
}

static size_t put_header(uint8_t header[HEADER_MAX], uint32_t tag, size_t len)
{
	size_t n = 0;

	if (tag > 0xFFFF)
		header[n++] = (uint8_t)(tag >> 16);
	if (tag > 0xFF)
		header[n++] = (uint8_t)(tag >> 8);
	header[n++] = (uint8_t)tag;
	if (len > 0xFF)
		header[n++] = 0x82;
	else if (len > 0x7F)
		header[n++] = 0x81;
	if (len > 0xFF)
		header[n++] = (uint8_t)(len >> 8);
	header[n++] = (uint8_t)len;
	return n;
}

void ber_put_raw(struct ber_out *out, const void *bytes, size_t len)
{
	if (len > out->cap - out->len) {
		out->overflow = true;
		return;
	}
	if (len)
		memcpy(out->data + out->len, bytes, len);
	out->len += len;
}

void ber_put(struct ber_out *out, uint32_t tag, const void *value, size_t len)
{
	uint8_t header[HEADER_MAX];
	size_t n = put_header(header, tag, len);

	if (len > 0xFFFF || n + len > out->cap - out->len) {
		out->overflow = true;
		return;
	}
	ber_put_raw(out, header, n);
	ber_put_raw(out, value, len);
}

void ber_wrap(struct ber_out *out, size_t start, uint32_t tag)
{
	uint8_t header[HEADER_MAX];
	size_t len = out->len - start;
	size_t n = put_header(header, tag, len);

	if (len > 0xFFFF || n > out->cap - out->len) {
		out->overflow = true;
		return;
	}
	memmove(out->data + start + n, out->data + start, len);
	memcpy(out->data + start, header, n);
	out->len += n;
}
