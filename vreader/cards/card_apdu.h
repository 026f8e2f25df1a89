/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The part of a card between its protocol and its application: parses C-APDUs, puts chained
 * commands and ENVELOPEs together, keeps answer data that did not fit for GET RESPONSE
 * (ISO 7816-4 §5.3.3, §5.3.4, §11.8.1).
 */
#ifndef CARDWIRE_VREADER_CARD_APDU_H
#define CARDWIRE_VREADER_CARD_APDU_H

#include "vreader/cards/card_app.h"

enum {
	/* Header, extended Lc, 65535 bytes, extended Le. */
	APDU_COMMAND_MAX = 4 + 3 + 65535 + 2,
	APDU_RESPONSE_MAX = APDU_DATA_MAX + 2,
};

enum apdu_transport {
	APDU_OVER_T0,
	APDU_OVER_T1, /* also right for contactless cards and for readers that hide the protocol */
};

/* A whole R-APDU. */
struct card_response {
	uint8_t data[APDU_RESPONSE_MAX];
	size_t len; /* at least 2 unless mute or pending */
	uint32_t delay_ms;
	bool mute;
	bool pending; /* not there yet, and nobody knows when; the rest is filled in then */
};

struct card_apdu {
	struct card_app *app;
	uint8_t chain[65535]; /* command data so far */
	size_t chain_len;
	uint8_t chain_header[4];
	bool chaining;
	uint8_t envelope[APDU_COMMAND_MAX];
	size_t envelope_len;
	uint8_t kept[APDU_DATA_MAX]; /* answer data for GET RESPONSE */
	size_t kept_at;
	size_t kept_len;
	uint16_t kept_sw;
};

/* Parses a C-APDU of any case, short or extended (ISO 7816-3 §12.1.3). False when no case fits. */
bool apdu_parse(const uint8_t *bytes, size_t len, struct apdu_command *cmd);

/* Forgets everything held between commands, and resets the application. */
void card_apdu_reset(struct card_apdu *a);

/* Runs one command. A command that is no APDU is answered with 6700. */
void card_apdu_process(struct card_apdu *a, enum apdu_transport transport, const uint8_t *bytes,
	size_t len, struct card_response *rsp);

#endif
