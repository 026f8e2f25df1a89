/* SPDX-License-Identifier: BSD-3-Clause */
#include "iso7816/edc.h"

size_t edc_size(enum edc kind)
{
	return kind == EDC_CRC ? 2 : 1;
}

uint8_t edc_lrc(const uint8_t *bytes, size_t len)
{
	uint8_t lrc = 0;

	for (size_t i = 0; i < len; i++)
		lrc ^= bytes[i];
	return lrc;
}

uint16_t edc_crc(const uint8_t *bytes, size_t len)
{
	/* 8408 is the polynomial 1021 with its bits in the order they are sent. */
	unsigned crc = 0xFFFF;

	for (size_t i = 0; i < len; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ ((crc & 1) ? 0x8408U : 0);
	}
	return (uint16_t)crc;
}

void edc_append(enum edc kind, uint8_t *block, size_t len)
{
	if (kind == EDC_LRC) {
		block[len] = edc_lrc(block, len);
		return;
	}

	uint16_t crc = edc_crc(block, len);
	block[len] = (uint8_t)(crc >> 8);
	block[len + 1] = (uint8_t)crc;
}

bool edc_ok(enum edc kind, const uint8_t *block, size_t len)
{
	size_t size = edc_size(kind);

	if (len < size)
		return false;
	len -= size;
	if (kind == EDC_LRC)
		return block[len] == edc_lrc(block, len);
	return edc_crc(block, len) == (((unsigned)block[len] << 8) | block[len + 1]);
}
