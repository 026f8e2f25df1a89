/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A card whose program is another process that speaks the protocol of vsmartcard's vpcd: vicc,
 * Java card simulators, SIM simulators. Every message is a length of two bytes, big endian, and
 * that many bytes. To the program: a command of one byte (power off, power on, reset, give the
 * ATR), or a C-APDU; from it: the ATR, or an R-APDU, and nothing unasked.
 *
 * This file knows no sockets: bytes go in, and out through the host's functions (vpcd_port.c). One
 * thread. The program is not trusted.
 */
#ifndef CARDWIRE_VREADER_VPCD_H
#define CARDWIRE_VREADER_VPCD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vreader/cards/card.h"

enum {
	VPCD_POWER_OFF = 0,
	VPCD_POWER_ON = 1,
	VPCD_RESET = 2,
	VPCD_ATR = 4,

	VPCD_HEADER = 2,
	VPCD_MESSAGE_MAX = 65535,
};

struct vpcd;

/* What a program needs of the connection around it. */
struct vpcd_host {
	/* Bytes for the program; they are copied. */
	void (*send)(void *ctx, const uint8_t *bytes, size_t len);
	/* The program has given its ATR: takes the card over. False: there is no place for it. */
	bool (*insert)(void *ctx, struct card *card);
	/* The card was taken out; vpcd_receive() is of no use any more. */
	void (*removed)(void *ctx);
	void *ctx;
};

/* A program that has just connected: it is switched on and asked for its ATR. NULL: no memory. */
struct vpcd *vpcd_new(const struct vpcd_host *host);

/* The card must be gone, or never have been inserted. */
void vpcd_free(struct vpcd *vpcd);

/* Bytes from the program. False: it broke the protocol, or is no card; end the connection. */
bool vpcd_receive(struct vpcd *vpcd, const uint8_t *bytes, size_t len);

/* Whether the card is inserted. */
bool vpcd_has_card(const struct vpcd *vpcd);

#endif
