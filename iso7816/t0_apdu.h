/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * APDUs over T=0 (ISO 7816-3:2006 §12.2): which command TPDUs carry one command APDU, and what
 * their responses add up to. A TPDU is exchanged by the reader (TPDU level) or by t0.h.
 *
 *	step = t0_apdu_begin(&m, mode, apdu, len, response, max);
 *	while (step.action == T0_APDU_SEND)
 *		exchange step.tpdu; step = t0_apdu_answer(&m, bytes, n);
 *
 * Two modes:
 *
 *   T0_TRANSPARENT, what users of pcsc-lite are used to and what compatibility wants: a short APDU
 *     is one TPDU, its bytes unchanged (4 bytes for case 1; the Le of case 4S stays), and its
 *     response goes up unchanged. 61xx and 6Cxx are the application's business: applications
 *     written for pcsc-lite send GET RESPONSE themselves and expect to see them. An extended APDU,
 *     which no TPDU can hold, is mapped.
 *
 *   T0_MAPPED: the standard's mapping for all. Case 1: P3 = 0. Case 4S: Le dropped, 61xx fetched by
 *     GET RESPONSE. 6Cxx: the command again with that Le. 2E, 3E, 4E: short TPDU where it can,
 *     ENVELOPE for commands above 255 data bytes, GET RESPONSE until Ne or the end.
 *     One deviation: 9000 to a case 4 command is final, not followed by GET RESPONSE, because cards
 *     that have data say 61xx, and those that have none would turn success into an error.
 *
 * Where T=0 is done by t0.h, even a transparent APDU has to be a TPDU: a case 4S cannot be sent, so
 * character level readers use T0_MAPPED.
 *
 * The caller owns the struct; members are private. One thread at a time. APDU and response belong
 * to the caller, stay until the end and do not overlap, nor do answers and RESPONSE.
 *
 * Bounds: an APDU of n bytes takes at most n / 255 + 1 ENVELOPEs; 6Cxx is followed once a TPDU;
 * each GET RESPONSE must bring at least one byte.
 */
#ifndef CARDWIRE_ISO7816_T0_APDU_H
#define CARDWIRE_ISO7816_T0_APDU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iso7816/apdu.h"

enum t0_mode {
	T0_TRANSPARENT,
	T0_MAPPED
};

enum t0_apdu_action {
	T0_APDU_SEND,
	T0_APDU_DONE,     /* response data and SW complete, rsp_len bytes */
	T0_APDU_TOO_LONG, /* complete, rsp_len exceeds the buffer, which holds its first bytes */
	T0_APDU_FAILED,
};

enum t0_apdu_error {
	T0_APDU_NO_ERROR,
	T0_APDU_MALFORMED,  /* not an APDU; nothing was sent */
	T0_APDU_BAD_ANSWER, /* a response TPDU without SW, or with more data than asked for */
};

struct t0_apdu_step {
	enum t0_apdu_action action;
	const uint8_t *tpdu; /* within the struct or the caller's APDU; valid until the next call */
	size_t len;          /* 4..261 */
	size_t max_answer;   /* longest correct response TPDU: data and SW, 2..258 */
	size_t rsp_len;      /* T0_APDU_DONE, T0_APDU_TOO_LONG */
	enum t0_apdu_error error;
};

enum t0_apdu_state {
	T0_APDU_IDLE,
	T0_APDU_AS_IS,
	T0_APDU_COMMAND,
	T0_APDU_ENVELOPE,
	T0_APDU_FETCH
};

struct t0_apdu {
	enum t0_apdu_state state;
	struct apdu apdu;
	const uint8_t *bytes; /* the APDU, for ENVELOPE */
	size_t len;
	size_t at; /* bytes of it already carried */
	uint8_t tpdu[APDU_SHORT_COMMAND];
	size_t tpdu_len;
	size_t asked;   /* data bytes the current TPDU allows in its response */
	bool corrected; /* 6Cxx already followed for the current TPDU */
	uint8_t *rsp;
	size_t rsp_max;
	size_t rsp_len; /* data bytes so far, may exceed rsp_max */
};

/* Begin: LEN bytes of APDU, RESPONSE with room for MAX bytes. */
struct t0_apdu_step t0_apdu_begin(struct t0_apdu *m, enum t0_mode mode, const uint8_t *apdu,
	size_t len, uint8_t *response, size_t max);

/* The response TPDU to the TPDU sent last: any N bytes. */
struct t0_apdu_step t0_apdu_answer(struct t0_apdu *m, const uint8_t *bytes, size_t n);

/* Forget the command and the pointers to the caller's memory. */
void t0_apdu_wipe(struct t0_apdu *m);

/* One short English phrase; static. */
const char *t0_apdu_strerror(enum t0_apdu_error error);

#endif
