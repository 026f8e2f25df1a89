/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_WIRE_CONTROL_H
#define CARDWIRE_WIRE_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include <reader.h>

/*
 * Whether an SCardControl waits for the user, so that SCardCancel ends it: a PIN is to be typed in at
 * the reader (PC/SC part 10). CCID drivers number its features so; others stay as they are.
 */
static inline bool wire_control_waits(uint32_t code)
{
	const uint32_t features = 0x42330000;

	return code == features + FEATURE_VERIFY_PIN_DIRECT ||
	       code == features + FEATURE_MODIFY_PIN_DIRECT ||
	       code == features + FEATURE_EXECUTE_PACE;
}

#endif
