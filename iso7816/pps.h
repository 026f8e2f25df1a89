/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Protocol and parameters selection (ISO 7816-3:2006 clause 9): the request, and the judgement of
 * the card's response. Which protocol and speed to ask for is the caller's choice.
 *
 * Pure functions: any thread may call them.
 */
#ifndef CARDWIRE_ISO7816_PPS_H
#define CARDWIRE_ISO7816_PPS_H

#include <stddef.h>
#include <stdint.h>

#define PPS_MAX_LEN 6 /* PPSS PPS0 PPS1 PPS2 PPS3 PCK */
#define PPS_NO_PPS1 (-1)

enum pps_result {
	PPS_AGREED,        /* protocol and PPS1 (when one was sent) are agreed */
	PPS_DEFAULT_SPEED, /* protocol agreed, PPS1 not echoed: Fd = 372 and Dd = 1 (§9.3) */
	PPS_INCOMPLETE,    /* fewer bytes than PPS0 announces: read on, or give up */
	PPS_REFUSED,       /* anything else: the card must be reset before it is used */
};

/*
 * Write the request for protocol T (0..14) and PPS1 (0..255, coded as TA1, or PPS_NO_PPS1) to OUT.
 * Returns its length, 3 or 4.
 */
size_t pps_request(uint8_t out[PPS_MAX_LEN], unsigned protocol, int pps1);

/* Length of a whole request or response that has this PPS0: 3 to 6. */
size_t pps_len(uint8_t pps0);

/* Judge the response to a request made by pps_request(). Any bytes of any length may come. */
enum pps_result pps_check(
	const uint8_t *request, size_t request_len, const uint8_t *response, size_t response_len);

#endif
