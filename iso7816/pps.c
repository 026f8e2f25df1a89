/* SPDX-License-Identifier: BSD-3-Clause */
#include "iso7816/pps.h"

#include "iso7816/edc.h"

#define PPSS      0xFF
#define PPS0_PPS1 0x10
#define PPS0_PPS2 0x20
#define PPS0_PPS3 0x40
#define PPS0_RFU  0x80
#define PPS0_T    0x0F

size_t pps_request(uint8_t out[PPS_MAX_LEN], unsigned protocol, int pps1)
{
	size_t n = 2;

	out[0] = PPSS;
	out[1] = (uint8_t)(protocol & PPS0_T);
	if (pps1 != PPS_NO_PPS1) {
		out[1] |= PPS0_PPS1;
		out[n++] = (uint8_t)pps1;
	}
	out[n] = edc_lrc(out, n);
	return n + 1;
}

size_t pps_len(uint8_t pps0)
{
	size_t n = 3;

	n += (pps0 & PPS0_PPS1) != 0;
	n += (pps0 & PPS0_PPS2) != 0;
	n += (pps0 & PPS0_PPS3) != 0;
	return n;
}

enum pps_result pps_check(
	const uint8_t *request, size_t request_len, const uint8_t *response, size_t response_len)
{
	if (response_len < 2)
		return response_len == 0 || response[0] == PPSS ? PPS_INCOMPLETE : PPS_REFUSED;

	uint8_t pps0 = response[1];
	/* Nothing but the protocol asked for, and no parameter that was not asked for (§9.3). */
	if (response[0] != PPSS || request_len < 3 || (pps0 & PPS0_T) != (request[1] & PPS0_T) ||
		(pps0 & ~request[1] & (PPS0_PPS1 | PPS0_PPS2 | PPS0_PPS3 | PPS0_RFU)) != 0)
		return PPS_REFUSED;
	if (response_len < pps_len(pps0))
		return PPS_INCOMPLETE;
	if (response_len > pps_len(pps0) || edc_lrc(response, response_len) != 0)
		return PPS_REFUSED;
	if (pps0 & PPS0_PPS1)
		return response[2] == request[2] ? PPS_AGREED : PPS_REFUSED;
	return request[1] & PPS0_PPS1 ? PPS_DEFAULT_SPEED : PPS_AGREED;
}
