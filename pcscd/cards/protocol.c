/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/cards/protocol.h"

#include <winscard.h>

#include "iso7816/atr.h"
#include "wire/wire.h"

static uint32_t bit_of(unsigned t)
{
	if (t == 0)
		return SCARD_PROTOCOL_T0;
	return t == 1 ? SCARD_PROTOCOL_T1 : 0;
}

struct protocol_offer protocol_offer(const uint8_t *atr, size_t length)
{
	struct protocol_offer offer = { 0 };
	struct atr parsed;

	if (!atr_usable(atr_parse(atr, length, &parsed)))
		return offer;
	for (unsigned t = 0; t <= 1; t++) {
		if (atr_offers(&parsed, t))
			offer.available |= bit_of(t);
	}
	offer.first = bit_of(parsed.specific ? parsed.specific_protocol : parsed.first_protocol);
	return offer;
}

uint32_t protocol_wanted(uint32_t dwPreferredProtocols)
{
	uint32_t wanted =
		dwPreferredProtocols & (SCARD_PROTOCOL_T0 | SCARD_PROTOCOL_T1 | SCARD_PROTOCOL_RAW);

	if (dwPreferredProtocols & WIRE_PROTOCOL_ANY_OLD)
		wanted |= SCARD_PROTOCOL_T0 | SCARD_PROTOCOL_T1;
	return wanted;
}

uint32_t protocol_best(uint32_t mask)
{
	if (mask & SCARD_PROTOCOL_T1)
		return SCARD_PROTOCOL_T1;
	return mask & SCARD_PROTOCOL_T0;
}
