/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/firmware/pin_block.h"

#include <string.h>

#include "spec/ccid.h"

enum {
	HEADER = 4,
	LC_SHORT = 1,
	LC_EXTENDED = 3,
	FILLER = 0xFF, /* of the odd half byte of a BCD PIN without a block */
	BLOCK_FILLER = 0x00,
};

/* Where the command's data begin, and how many bytes they are. */
static size_t data_start(const struct pin_command *c)
{
	if (c->len > HEADER + LC_EXTENDED && c->bytes[HEADER] == 0)
		return HEADER + LC_EXTENDED;
	return HEADER + LC_SHORT;
}

static size_t data_len(const struct pin_command *c)
{
	if (c->len <= HEADER + LC_SHORT)
		return 0;
	if (data_start(c) == HEADER + LC_EXTENDED)
		return (size_t)c->bytes[HEADER + 1] << 8 | c->bytes[HEADER + 2];
	return c->bytes[HEADER];
}

static bool set_data_len(struct pin_command *c, size_t start, size_t nc)
{
	if (start == HEADER + LC_EXTENDED) {
		c->bytes[HEADER + 1] = (uint8_t)(nc >> 8);
		c->bytes[HEADER + 2] = (uint8_t)nc;
		return nc <= 0xFFFF;
	}
	c->bytes[HEADER] = (uint8_t)nc;
	return nc <= 0xFF;
}

/* Bit 0 is the highest of the first byte. */
static void set_bits(uint8_t *data, size_t at, size_t width, unsigned value)
{
	for (size_t i = 0; i < width; i++, at++) {
		uint8_t mask = (uint8_t)(0x80 >> at % 8);

		if (value >> (width - 1 - i) & 1)
			data[at / 8] |= mask;
		else
			data[at / 8] &= (uint8_t)~mask;
	}
}

struct places {
	size_t digits; /* bits from the start of the data */
	size_t block;  /* bits; 0: as needed */
	size_t length;
	size_t length_bits;
	size_t width;  /* of a digit */
	unsigned base; /* what a digit's code begins with */
};

static struct places places_of(struct pin_format f, size_t offset)
{
	size_t at = f.bmFormatString >> 3 & 0x0F;
	size_t length = f.bmPINLengthFormat & 0x0F;
	uint8_t type = f.bmFormatString & CCID_PIN_FORMAT_TYPE_MASK;

	if (f.bmFormatString & CCID_PIN_FORMAT_BYTES)
		at *= 8;
	if (f.bmPINLengthFormat & CCID_PIN_LENGTH_BYTES)
		length *= 8;
	return (struct places){ .digits = 8 * offset + at,
		.block = 8 * (size_t)(f.bmPINBlockString & 0x0F),
		.length = 8 * offset + length,
		.length_bits = f.bmPINBlockString >> 4,
		.width = type == CCID_PIN_FORMAT_BCD ? 4 : 8,
		.base = type == CCID_PIN_FORMAT_ASCII ? '0' : 0 };
}

/* Makes room for bytes that the template does not have. */
static bool make_room(struct pin_command *c, size_t at, size_t bytes, uint8_t filler)
{
	size_t nc = data_len(c);
	size_t start;

	if (c->len == HEADER)
		c->bytes[c->len++] = 0;
	start = data_start(c);
	/* Lc may count more than there is. */
	if (at > nc || start + at > c->len || c->len + bytes > sizeof(c->bytes))
		return false;
	memmove(c->bytes + start + at + bytes, c->bytes + start + at, c->len - start - at);
	memset(c->bytes + start + at, filler, bytes);
	c->len += bytes;
	return set_data_len(c, start, nc + bytes);
}

/* Where the first digit goes. False: there is no room. */
static bool find_place(struct pin_command *c, struct pin_format f, struct places *p, size_t count)
{
	size_t bits = count * p->width;

	if (p->block == 0)
		return p->digits % 8 == 0 && make_room(c, p->digits / 8, (bits + 7) / 8, FILLER);
	if (bits > p->block)
		return false;
	if (f.bmFormatString & CCID_PIN_FORMAT_RIGHT)
		p->digits += p->block - bits;
	return p->digits + bits <= 8 * data_len(c);
}

bool pin_insert(
	struct pin_command *command, struct pin_format format, size_t offset, const struct pin *pin)
{
	struct places p = places_of(format, 0);
	uint8_t *data;

	if (command->bare && p.block) {
		if (offset > data_len(command))
			offset = data_len(command);
		if (!make_room(command, offset, (p.digits + p.block + 7) / 8, BLOCK_FILLER))
			return false;
	}
	p = places_of(format, offset);
	if (!find_place(command, format, &p, pin->count))
		return false;
	data = command->bytes + data_start(command);
	for (size_t i = 0; i < pin->count; i++)
		set_bits(data, p.digits + i * p.width, p.width, p.base | pin->digits[i]);
	if (p.length_bits == 0)
		return true;
	if (p.length + p.length_bits > 8 * data_len(command) ||
		(p.length_bits < 8 && pin->count >> p.length_bits))
		return false;
	set_bits(data, p.length, p.length_bits, (unsigned)pin->count);
	return true;
}
