/* SPDX-License-Identifier: BSD-3-Clause */
#include "iso7816/apdu.h"

#include <string.h>

/* Body of a short APDU whose first byte B1 is at bytes[4]; LEN > 5 and B1 is not 0. */
static bool parse_short(const uint8_t *bytes, size_t len, struct apdu *apdu)
{
	apdu->nc = bytes[4];
	apdu->data = bytes + 5;
	if (len == 5 + apdu->nc) {
		apdu->kind = APDU_CASE_3S;
		return true;
	}
	if (len == 6 + apdu->nc) {
		apdu->kind = APDU_CASE_4S;
		apdu->ne = bytes[len - 1] ? bytes[len - 1] : 256;
		return true;
	}
	return false;
}

static size_t be16(const uint8_t *p)
{
	return ((size_t)p[0] << 8) | p[1];
}

/* Body of an extended APDU: B1 = 00 at bytes[4], LEN > 6. */
static bool parse_extended(const uint8_t *bytes, size_t len, struct apdu *apdu)
{
	size_t value = be16(bytes + 5);

	if (len == 7) {
		apdu->kind = APDU_CASE_2E;
		apdu->ne = value ? value : APDU_MAX_NE;
		return true;
	}
	if (value == 0)
		return false;
	apdu->nc = value;
	apdu->data = bytes + 7;
	if (len == 7 + value) {
		apdu->kind = APDU_CASE_3E;
		return true;
	}
	if (len == 9 + value) {
		apdu->kind = APDU_CASE_4E;
		apdu->ne = be16(bytes + len - 2);
		if (apdu->ne == 0)
			apdu->ne = APDU_MAX_NE;
		return true;
	}
	return false;
}

bool apdu_parse(const uint8_t *bytes, size_t len, struct apdu *apdu)
{
	memset(apdu, 0, sizeof *apdu);
	if (len < 4)
		return false;
	apdu->cla = bytes[0];
	apdu->ins = bytes[1];
	apdu->p1 = bytes[2];
	apdu->p2 = bytes[3];
	if (len == 4) {
		apdu->kind = APDU_CASE_1;
		return true;
	}
	if (len == 5) {
		apdu->kind = APDU_CASE_2S;
		apdu->ne = bytes[4] ? bytes[4] : 256;
		return true;
	}
	if (bytes[4] != 0)
		return parse_short(bytes, len, apdu);
	return len > 6 && parse_extended(bytes, len, apdu);
}

bool apdu_is_extended(const struct apdu *apdu)
{
	return apdu->kind >= APDU_CASE_2E;
}

size_t apdu_build(const struct apdu *apdu, uint8_t *out, size_t max)
{
	size_t nc = apdu->nc;
	size_t ne = apdu->ne;
	bool extended = nc > 255 || ne > 256;

	if (nc > APDU_MAX_NC || ne > APDU_MAX_NE)
		return 0;

	/* Lc takes 1 byte or 3; Le 1, or 2 behind an extended Lc, or 3 alone. */
	size_t lc_size = nc == 0 ? 0 : extended ? 3 : 1;
	size_t le_size = ne == 0 ? 0 : !extended ? 1 : nc == 0 ? 3 : 2;
	if (4 + lc_size + nc + le_size > max)
		return 0;

	uint8_t *p = out;
	*p++ = apdu->cla;
	*p++ = apdu->ins;
	*p++ = apdu->p1;
	*p++ = apdu->p2;
	if (extended)
		*p++ = 0;
	if (nc != 0) {
		if (extended)
			*p++ = (uint8_t)(nc >> 8);
		*p++ = (uint8_t)nc;
		memcpy(p, apdu->data, nc);
		p += nc;
	}
	if (ne != 0) {
		if (extended)
			*p++ = (uint8_t)(ne >> 8);
		*p++ = (uint8_t)ne;
	}
	return (size_t)(p - out);
}

uint8_t apdu_companion_cla(uint8_t cla)
{
	if ((cla & 0xE0) == 0x00)
		return cla & 0x03; /* first interindustry values: channel in bits 2 and 1 */
	if ((cla & 0xC0) == 0x40)
		return cla & 0x4F; /* further interindustry values: channel in bits 4 to 1 */
	return cla;
}

void apdu_get_response(uint8_t out[5], uint8_t cla, size_t ne)
{
	out[0] = apdu_companion_cla(cla);
	out[1] = APDU_INS_GET_RESPONSE;
	out[2] = 0;
	out[3] = 0;
	out[4] = (uint8_t)ne;
}

size_t apdu_envelope(uint8_t *out, uint8_t cla, const uint8_t *part, size_t len)
{
	out[0] = apdu_companion_cla(cla);
	out[1] = APDU_INS_ENVELOPE;
	out[2] = 0;
	out[3] = 0;
	out[4] = (uint8_t)len;
	memcpy(out + 5, part, len);
	return 5 + len;
}

uint16_t apdu_sw(const uint8_t *response, size_t len)
{
	if (len < 2)
		return 0;
	return (uint16_t)be16(response + len - 2);
}
