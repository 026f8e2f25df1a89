/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Error detection code of T=1 blocks: LRC or CRC (ISO 7816-3 §11.3.4).
 *
 * Pure functions over the caller's bytes: any thread may call them.
 */
#ifndef CARDWIRE_ISO7816_EDC_H
#define CARDWIRE_ISO7816_EDC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum edc {
	EDC_LRC, /* one byte: exclusive-or of all bytes before it */
	EDC_CRC, /* two bytes: the 16-bit CRC of ISO 13239, high byte first */
};

/* Size of the code in bytes: 1 for LRC, 2 for CRC. */
size_t edc_size(enum edc kind);

/* Exclusive-or of LEN bytes; 0 when LEN is 0. Also the rule of TCK (§8.2.5) and PCK (§9.2). */
uint8_t edc_lrc(const uint8_t *bytes, size_t len);

/* CRC of LEN bytes: x^16 + x^12 + x^5 + 1, low bit first, start FFFF, result not complemented. */
uint16_t edc_crc(const uint8_t *bytes, size_t len);

/* Write the code of the first LEN bytes of BLOCK behind them; there is room for edc_size() more. */
void edc_append(enum edc kind, uint8_t *block, size_t len);

/* True when the last edc_size() of LEN bytes are the code of the bytes before them. */
bool edc_ok(enum edc kind, const uint8_t *block, size_t len);

#endif
