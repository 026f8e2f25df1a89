/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes in words: USB and CCID descriptors, ATRs. Whatever the bytes are. Any thread. */
#ifndef CARDWIRE_TOOLS_EXPLAIN_H
#define CARDWIRE_TOOLS_EXPLAIN_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Descriptors one after the other (USB 2.0 §9.6, CCID 1.1 §5.1). */
void explain_descriptors(FILE *out, const uint8_t *bytes, size_t len);

/* An Answer to Reset (ISO 7816-3 §8). */
void explain_atr(FILE *out, const uint8_t *bytes, size_t len);

/* What GET_CLOCK_FREQUENCIES and GET_DATA_RATES answer (CCID 1.1 §5.3.2, §5.3.3). */
void explain_numbers(FILE *out, const char *unit, const uint8_t *bytes, size_t len);

#endif
