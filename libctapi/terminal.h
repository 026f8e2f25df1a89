/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One card terminal of CT-API: a reader of the PC/SC daemon, and the connection to the card in it, if
 * there is one. ctapi.c owns the terminals; one thread at a time uses each.
 */
#ifndef CARDWIRE_CTAPI_TERMINAL_H
#define CARDWIRE_CTAPI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <winscard.h>

struct terminal {
	struct terminal *next;
	unsigned short ctn;
	char *reader;
	SCARDCONTEXT context;
	SCARDHANDLE card;
	bool connected;
	DWORD protocol;
	uint8_t atr[MAX_ATR_SIZE];
	DWORD atr_len;
};

/* The n-th reader, from 0. Returns what CT_init() does. */
signed char terminal_open(struct terminal *t, unsigned n);
void terminal_close(struct terminal *t);

/* Activates the card, or resets it if it is active; waits up to wait_ms for one to be there. False:
 * there is none, or it does not answer. */
bool terminal_activate(struct terminal *t, DWORD wait_ms);

/* Deactivates the card and waits up to wait_ms until it is gone. False: it is still there. */
bool terminal_eject(struct terminal *t, DWORD wait_ms);
/* Deactivates the card. */
void terminal_deactivate(struct terminal *t);

/* Whether there is a card. */
bool terminal_present(struct terminal *t);

/* An APDU; *len is the room in response, then the length. Returns what CT_data() does. */
signed char terminal_transmit(struct terminal *t, const uint8_t *apdu, size_t apdu_len,
	uint8_t *response, unsigned short *len);

/*
 * A command of CT-BCS (ctbcs.c): the terminal's response, of up to CTBCS_RESPONSE_MAX bytes. Returns
 * its length.
 */
enum {
	CTBCS_RESPONSE_MAX = MAX_ATR_SIZE + 2,
};
size_t ctbcs_run(struct terminal *t, const uint8_t *command, size_t len,
	uint8_t response[CTBCS_RESPONSE_MAX]);

#endif
