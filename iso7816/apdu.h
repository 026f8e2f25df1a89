/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Command APDUs (ISO 7816-3:2006 §12.1, ISO 7816-4:2013 §5): the seven cases read and written.
 *
 * Pure functions. `struct apdu` points into the caller's bytes and lives no longer than they do.
 */
#ifndef CARDWIRE_ISO7816_APDU_H
#define CARDWIRE_ISO7816_APDU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define APDU_MAX_NC        65535
#define APDU_MAX_NE        65536
#define APDU_MAX_COMMAND   (4 + 3 + APDU_MAX_NC + 2)
#define APDU_MAX_RESPONSE  (APDU_MAX_NE + 2)
#define APDU_SHORT_COMMAND (4 + 1 + 255 + 1)

#define APDU_INS_GET_RESPONSE 0xC0
#define APDU_INS_ENVELOPE     0xC2

/* §12.1.3: 1 nothing, 2 response data, 3 command data, 4 both; S short and E extended lengths. */
enum apdu_case {
	APDU_CASE_1,
	APDU_CASE_2S,
	APDU_CASE_3S,
	APDU_CASE_4S,
	APDU_CASE_2E,
	APDU_CASE_3E,
	APDU_CASE_4E,
};

struct apdu {
	enum apdu_case kind;
	uint8_t cla;
	uint8_t ins;
	uint8_t p1;
	uint8_t p2;
	const uint8_t *data; /* Nc bytes within the caller's command; NULL when Nc is 0 */
	size_t nc;           /* 0..65535 */
	size_t ne;           /* highest number of response data bytes asked for, 0..65536 */
};

/* Read LEN bytes. False when they are none of the seven cases; *APDU is then not usable. */
bool apdu_parse(const uint8_t *bytes, size_t len, struct apdu *apdu);

/* True for the cases with extended lengths. */
bool apdu_is_extended(const struct apdu *apdu);

/*
 * Write a command to OUT, which has room for MAX bytes. `kind` is chosen here: the shortest case
 * that holds nc and ne. Returns the length, or 0 when it does not fit or nc or ne is out of range.
 */
size_t apdu_build(const struct apdu *apdu, uint8_t *out, size_t max);

/*
 * CLA of the GET RESPONSE or ENVELOPE that belongs to a command with this CLA: in the interindustry
 * classes the same logical channel without chaining and secure messaging (ISO 7816-4 §5.4.1), else
 * the same CLA.
 */
uint8_t apdu_companion_cla(uint8_t cla);

/* GET RESPONSE (ISO 7816-4 §7.6.1) for NE data bytes, 1..256. Always 5 bytes. */
void apdu_get_response(uint8_t out[5], uint8_t cla, size_t ne);

/*
 * ENVELOPE (ISO 7816-4 §7.6.2) with LEN bytes of a command, 1..255, as T=0 carries it (no Le).
 * OUT has room for 5 + LEN. Returns 5 + LEN.
 */
size_t apdu_envelope(uint8_t *out, uint8_t cla, const uint8_t *part, size_t len);

/* SW1 and SW2 at the end of a response of LEN bytes as one number; 0 when LEN is below 2. */
uint16_t apdu_sw(const uint8_t *response, size_t len);

#endif
