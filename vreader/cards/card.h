/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A virtual smart card as a reader sees it on its contacts: reset gives an ATR, PPS agrees on the
 * protocol and the speed, bytes go in, bytes come out after some time. Written from the card's
 * side of ISO 7816-3.
 *
 * A card owns its application and belongs to one slot. It has no clock: it says how long it
 * takes, and whoever runs the reader waits. One thread serves all cards.
 */
#ifndef CARDWIRE_VREADER_CARD_H
#define CARDWIRE_VREADER_CARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vreader/cards/card_apdu.h"
#include "vreader/cards/tag.h"

enum {
	CARD_T0 = 1 << 0,
	CARD_T1 = 1 << 1,
	CARD_ATR_MAX = 33,
	CARD_TA1_DEFAULT = 0x11, /* Fi = 372, Di = 1 */
};

/* How the card is made. */
struct card_options {
	unsigned protocols; /* CARD_T0, CARD_T1 or both; T=0 is offered first */
	uint8_t ta1;        /* fastest F and D it offers; CARD_TA1_DEFAULT leaves TA1 out */
	bool specific;      /* specific mode: TA2 fixes protocol and speed (ISO 7816-3 §6.3.1) */
	bool inverse;       /* convention of TS (ISO 7816-3 §8.1) */
	uint8_t ifsc;       /* 1 to 254, bytes of INF in a T=1 block it can take */
	bool crc;           /* T=1 redundancy code: CRC, else LRC */
	uint8_t wi;         /* T=0 waiting integer, 10 unless told in TC2 */
	uint8_t bwi;        /* T=1 block waiting integer, 0 to 9 */
	uint8_t cwi;        /* T=1 character waiting integer, 0 to 15 */
	uint8_t tc1;        /* extra guard time; 0 leaves TC1 out */
	uint8_t classes;    /* supply voltages it wakes up at, CCID_VOLTAGE_ bits */
	uint32_t wtx_every; /* T=1: ask for time before every n-th answer; 0: only when needed */
	bool t0_single;     /* T=0: ask for data byte by byte with INS xor FF */
};

/* T=0 and T=1, TA1 95h (125 kbit/s at 4 MHz), IFSC 254, LRC. */
extern const struct card_options card_options_default;

/* How the reader drives the contacts: a card hears nothing when these are not its own. */
struct card_link {
	uint8_t fidi; /* Fi and Di indexes, as in TA1 */
	bool inverse;
};

/* Bytes the card sends together. */
struct card_burst {
	const uint8_t *data; /* valid until the next call on this card */
	size_t len;          /* 0: nothing yet; ask again after the delay, or when woken */
	uint32_t delay_ms;   /* after the last byte received, or the last burst sent */
};

struct card;

/* Takes app over, also when it fails; app may be NULL, then NULL is returned. */
struct card *card_new(const struct card_options *options, struct card_app *app);

/* A tag as a card of a reader that hides the air (tag_front.h): it has an ATR, and takes commands as
 * APDUs or in blocks of T=1. Takes the tag over, also when it fails; tag may be NULL, then NULL is
 * returned. */
struct card *card_new_tag(struct tag *tag);

/* The tag it was made of; NULL: a card with contacts. */
struct tag *card_tag(const struct card *card);

/* A card whose commands are run elsewhere; T=0 and T=1 are spoken here, as the ATR says. The ATR is
 * copied. NULL: no memory, or no ATR; then remote is still the caller's. */
struct card *card_new_remote(struct card_remote *remote, const uint8_t *atr, size_t len);

/* The R-APDU to the command that is pending; what is shorter than SW1 SW2 is no answer. */
void card_remote_answer(struct card *card, const uint8_t *rapdu, size_t len);

/* Whom to tell that the answer is there which was pending: the card's reader. */
void card_wake_by(struct card *card, void (*wake)(void *ctx), void *ctx);

/* From now on the card may work on long commands while the loop goes on. Else, none is pending unless
 * it is a remote's. */
void card_work_in(struct card *card, struct loop *loop);

void card_free(struct card *card);

/* Cold or warm reset. Returns the length of the ATR, which stays valid as long as the card. */
size_t card_power_on(struct card *card, const uint8_t **atr);
void card_power_off(struct card *card);

/* The reader sends bytes. */
void card_receive(struct card *card, struct card_link link, const uint8_t *bytes, size_t len);

/* Takes the next bytes the card sends. False: the card stays silent until it gets more. */
bool card_send(struct card *card, struct card_burst *burst);

/* A whole command at once, for readers that hide the protocol. The answer stays valid until the
 * next call on this card; one that is pending is filled in by then. */
const struct card_response *card_exchange(struct card *card, const uint8_t *apdu, size_t len);

/* Protocol in use: 0 or 1. Before a PPS the one the ATR offers first. */
unsigned card_protocol(const struct card *card);
const struct card_options *card_options(const struct card *card);

#endif
