/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which transmission protocol a connection gets: what the ATR offers against what is wanted. Pure.
 */
#ifndef CARDWIRE_PCSCD_PROTOCOL_H
#define CARDWIRE_PCSCD_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>

/* SCARD_PROTOCOL_T0 and _T1 bits; both 0 if the ATR can't be used. */
struct protocol_offer {
	uint32_t available;
	uint32_t first; /* what the card speaks without negotiation (ISO 7816-3 §6.3.1) */
};

struct protocol_offer protocol_offer(const uint8_t *atr, size_t length);

/*
 * What a client wants as SCARD_PROTOCOL_ bits: the value of old clients for "any" is translated,
 * unknown bits are dropped.
 */
uint32_t protocol_wanted(uint32_t dwPreferredProtocols);

/* The one of `mask` to ask the driver for first: T=1 before T=0; 0 if there is none. */
uint32_t protocol_best(uint32_t mask);

#endif
