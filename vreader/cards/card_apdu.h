/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The part of a card between its protocol and its application: parses C-APDUs, puts chained
 * commands and ENVELOPEs together, keeps answer data that did not fit for GET RESPONSE
 * (ISO 7816-4 §5.3.3, §5.3.4, §11.8.1).
 *
 * Commands are run by an application, or elsewhere: a remote gets each C-APDU as it is, and gives
 * the R-APDU when it likes.
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

struct card_remote;

struct card_remote_ops {
	void (*power_on)(struct card_remote *remote); /* also a reset */
	void (*power_off)(struct card_remote *remote);
	/* Begins a command; card_remote_answer() ends it, or else the next call of these. False: it
	 * cannot be. */
	bool (*exchange)(struct card_remote *remote, const uint8_t *apdu, size_t len);
	void (*free)(struct card_remote *remote);
};

/* Implementations begin with this. */
struct card_remote {
	const struct card_remote_ops *ops;
};

/* How the answer to the command that runs is to be handed out. */
struct apdu_terms {
	enum apdu_transport transport;
	size_t ne;
	bool extended;
	bool one_way; /* the exchange carried data to the card: T=0 cannot carry any back in it */
	bool unasked; /* data go out also when the command wanted none */
};

struct card_apdu {
	struct card_app *app;       /* NULL: a remote runs the commands */
	struct card_remote *remote; /* NULL: an application does */
	struct apdu_terms terms;
	struct card_host host;     /* of the application */
	struct card_response *rsp; /* of the command that is pending */
	void (*wake)(void *ctx);   /* NULL: nobody waits for it */
	void *wake_ctx;
	uint8_t repeat[4];    /* header of the last TPDU */
	bool repeatable;      /* 6Cxx was said to it: with the right Le it gets what is kept */
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

/* Forgets everything held between commands, and resets the application; a remote isn't told. */
void card_apdu_reset(struct card_apdu *a);

/* The card has lost power: what is pending will never be answered. */
void card_apdu_give_up(struct card_apdu *a);

/* Whether INS brings command data, which T=0 cannot see from the header. */
bool card_apdu_takes_data(const struct card_apdu *a, uint8_t cla, uint8_t ins);

/* Whom to tell that the response that was pending is there. */
void card_apdu_wake_by(struct card_apdu *a, void (*wake)(void *ctx), void *ctx);

/* From now on the application may leave commands pending, which end in this loop. */
void card_apdu_work_in(struct card_apdu *a, struct loop *loop);

/* Runs one command; what was pending is given up. A command that is no APDU is answered with 6700. */
void card_apdu_process(struct card_apdu *a, enum apdu_transport transport, const uint8_t *bytes,
	size_t len, struct card_response *rsp);

/* The remote's R-APDU to the command that is pending; what is shorter than SW1 SW2 is no answer. */
void card_apdu_answer(struct card_apdu *a, const uint8_t *rapdu, size_t len);

#endif
