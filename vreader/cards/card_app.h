/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a card can do: the contract between a card's protocol side (card.c) and the programs in
 * cards/. An application sees whole commands and gives whole answers; T=0, T=1, chaining and
 * GET RESPONSE are done before it is asked.
 *
 * An application is owned by the card it was given to. One thread serves all cards.
 */
#ifndef CARDWIRE_VREADER_CARD_APP_H
#define CARDWIRE_VREADER_CARD_APP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	APDU_DATA_MAX = 65536,
};

/* Status words used by more than one card (ISO 7816-4 §5.6). */
enum {
	SW_OK = 0x9000,
	SW_END_OF_FILE = 0x6282,
	SW_COUNTER = 0x63C0,
	SW_MEMORY_FAILURE = 0x6581,
	SW_WRONG_LENGTH = 0x6700,
	SW_LAST_OF_CHAIN_EXPECTED = 0x6883,
	SW_WRONG_FILE_KIND = 0x6981,
	SW_SECURITY_STATUS = 0x6982,
	SW_BLOCKED = 0x6983,
	SW_CONDITIONS = 0x6985,
	SW_NO_CURRENT_EF = 0x6986,
	SW_WRONG_DATA = 0x6A80,
	SW_NOT_SUPPORTED = 0x6A81,
	SW_FILE_NOT_FOUND = 0x6A82,
	SW_RECORD_NOT_FOUND = 0x6A83,
	SW_NO_SPACE = 0x6A84,
	SW_WRONG_P1P2 = 0x6A86,
	SW_NO_SUCH_DATA = 0x6A88,
	SW_WRONG_OFFSET = 0x6B00,
	SW_INS_NOT_SUPPORTED = 0x6D00,
	SW_CLA_NOT_SUPPORTED = 0x6E00,
};

/* A command after parsing (ISO 7816-3 §12.1). */
struct apdu_command {
	uint8_t cla; /* without the chaining bit */
	uint8_t ins;
	uint8_t p1;
	uint8_t p2;
	const uint8_t *data; /* nc bytes, valid during the call */
	size_t nc;           /* 0 to 65535; more cannot be chained together either */
	size_t ne;           /* 0: no answer data wanted; else the most, 1 to 65536 */
	bool extended;
};

/* What the application fills in. Zeroed before the call, data is set. */
struct apdu_answer {
	uint8_t *data; /* room for APDU_DATA_MAX bytes */
	size_t len;
	uint16_t sw;
	uint32_t delay_ms; /* time the card works on it, and asks the reader to wait */
	bool mute;         /* the card says nothing at all */
	bool unasked;      /* the data go out also when the command wanted none */
	bool pending;      /* resume() will be called; the rest is filled in then */
};

struct loop;

/* What an application needs to leave a command pending. */
struct card_host {
	struct loop *loop; /* that its long work ends in */
	/* The pending command can be resumed. */
	void (*ready)(void *ctx);
	void *ctx;
};

struct card_app;

struct card_app_ops {
	const char *name;
	/* Power was applied or RST was pulsed: volatile state is lost. */
	void (*reset)(struct card_app *app);
	/* Whether INS brings command data: T=0 cannot see it from the header (ISO 7816-3 §10.3.2). */
	bool (*takes_data)(const struct card_app *app, uint8_t cla, uint8_t ins);
	void (*process)(
		struct card_app *app, const struct apdu_command *cmd, struct apdu_answer *ans);
	/* After host->ready(): the answer to the command that was left pending. A reset, or
	 * another command, comes instead if that was given up. NULL: none is left so. */
	void (*resume)(struct card_app *app, struct apdu_answer *ans);
	void (*free)(struct card_app *app);
};

/* Applications begin with this. */
struct card_app {
	const struct card_app_ops *ops;
	const struct card_host *host; /* NULL: each command has to be done at once */
};

/* The ISO 7816-4 file card of cards/iso/iso.c. NULL without memory. */
struct card_app *iso_card_new(void);

#endif
