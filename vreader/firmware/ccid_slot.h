/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One slot of the virtual reader, shared by the files that make up its firmware: ccid_device.c
 * (framing, dispatch, notifications), ccid_commands.c (one function a command) and ccid_level.c
 * (the exchange levels).
 */
#ifndef CARDWIRE_VREADER_CCID_SLOT_H
#define CARDWIRE_VREADER_CCID_SLOT_H

#include "vreader/firmware/ccid_device.h"
#include "vreader/firmware/pinpad.h"
#include "vreader/firmware/pn532.h"

enum {
	SLOT_TPDU_MAX =
		512, /* bytes between card and reader in one exchange below the APDU level */
};

struct slot;
typedef void (*slot_step)(struct slot *slot, int64_t now);

/* The command a slot works on. */
struct job {
	bool busy;
	uint8_t type; /* bMessageType */
	uint8_t seq;
	int64_t due; /* when step is called, ns */
	slot_step step;
	slot_step then;   /* below the APDU levels: what comes when the card has said something */
	uint32_t left_ms; /* APDU levels: what the card still needs */
	uint32_t pending_ms; /* how long its answer has been pending */
	uint32_t bwi;        /* multiplier of the block waiting time for this command */
	size_t expected;     /* character level: bytes to collect */
};

/* The reader's side of T=0 at TPDU level. */
struct reader_t0 {
	uint8_t tpdu[5 + 255];
	size_t tpdu_len;
	size_t sent;   /* of tpdu */
	size_t expect; /* data bytes still to come from the card */
	size_t burst;  /* of these, what the last procedure byte announced */
	bool sw1_seen;
	uint8_t answer[256 + 2];
	size_t answer_len;
};

/* Where a USB ICC on the control pipe stands (iccd.c). */
enum iccd_phase {
	ICCD_IDLE,
	ICCD_ATR,       /* version B: the ATR waits in command */
	ICCD_SENDING,   /* the host's data are awaited */
	ICCD_WORKING,   /* version A: nobody has looked at the card's answer yet */
	ICCD_RECEIVING, /* data for the host are there */
	ICCD_SW,        /* version A: SW1 SW2 are there */
};

struct iccd_state {
	enum iccd_phase phase;
	uint8_t ins;   /* of the command, version A */
	uint8_t error; /* bError for the next answer, version B */
	bool mute;
	int64_t due; /* when the card's answer is there, ns */
};

/* The answer to an Escape, while the reader takes its time. */
struct slot_escape {
	uint8_t answer[PN532_ANSWER_MAX + 2];
	size_t answer_len;
};

/* An Escape that the reader has been taught: commands that begin so get this answer. */
struct taught_escape {
	uint8_t command[32];
	size_t len;
	uint8_t answer[64];
	size_t answer_len;
};

struct slot {
	struct ccid_device *dev;
	uint8_t index;
	struct card *card;
	bool powered;
	bool changed;     /* a notification is owed */
	uint8_t clock;    /* bClockStatus */
	uint8_t protocol; /* bProtocolNum of the parameters */
	uint8_t params[2][CCID_T1_SIZE];
	/* An abort has two halves that come by different pipes (CCID 1.1 §5.3.1). */
	bool aborting;    /* ABORT came on the control pipe and waits for the message */
	bool abort_heard; /* the message was the last, and waits for ABORT */
	uint8_t abort_seq;
	struct job job;
	/* APDU levels. */
	bool command_chain;
	uint8_t command[APDU_COMMAND_MAX];
	size_t command_len;
	const struct card_response *response;
	size_t response_at; /* sent so far; response chain is open while it is short of the end */
	/* TPDU and character levels. */
	struct reader_t0 t0;
	uint8_t rx[SLOT_TPDU_MAX]; /* from the card, not yet used */
	size_t rx_len;
	struct iccd_state iccd;
	struct slot_escape escape;
	struct pn532 chip; /* raw-command firmware */
};

struct ccid_device {
	struct profile_interface intf;
	struct ccid_host host;
	uint32_t features;
	uint32_t message_max;
	size_t slot_count;
	struct slot *slots;
	uint8_t *out; /* bulk-OUT message so far */
	size_t out_len;
	bool out_overflow;
	uint8_t *in; /* bulk-IN message under construction */
	struct taught_escape taught[CCID_TAUGHT_MAX];
	size_t taught_count;
	struct pinpad pad;
	struct ccid_stats stats;
};

/* A parsed bulk-OUT message. */
struct ccid_message {
	uint8_t type;
	uint8_t seq;
	uint8_t specific[3]; /* header bytes 7 to 9 */
	const uint8_t *data;
	size_t len;
};

/* bmICCStatus now. */
uint8_t slot_icc_status(const struct slot *slot);

/* Answers the message of this type and sequence number. */
void slot_answer(struct slot *slot, uint8_t type, uint8_t seq, uint8_t status, uint8_t error,
	uint8_t specific, const uint8_t *data, size_t len);
void slot_ok(struct slot *slot, const struct ccid_message *msg, uint8_t specific,
	const uint8_t *data, size_t len);
void slot_fail(struct slot *slot, const struct ccid_message *msg, uint8_t error);

/* Starts work that ends later with job_ok() or job_fail(). */
void job_start(struct slot *slot, const struct ccid_message *msg, slot_step step, int64_t due);
void job_next(struct slot *slot, slot_step step, int64_t due);
void job_ok(struct slot *slot, uint8_t specific, const uint8_t *data, size_t len);
void job_fail(struct slot *slot, uint8_t error);
void job_time_extension(struct slot *slot);

/* Power and parameters of the slot as before the first IccPowerOn. */
void slot_power_down(struct slot *slot);

/* What a reader that activates cards on insertion does then. */
void slot_auto_activate(struct slot *slot);

/* The command handlers; msg is valid during the call. */
typedef void (*ccid_handler)(struct slot *slot, const struct ccid_message *msg, int64_t now);

/* Entry for a bMessageType; NULL: no such message. */
struct ccid_command {
	uint8_t type;
	uint8_t answer;
	ccid_handler run;
};
const struct ccid_command *ccid_command_find(uint8_t type);

/* PC_to_RDR_XfrBlock (CCID 1.1 §6.1.4), by exchange level. */
void ccid_xfr_block(struct slot *slot, const struct ccid_message *msg, int64_t now);
/* Tells a T=1 card the reader's IFSD, where that is the reader's task (dwFeatures 0400h). */
void ccid_exchange_ifsd(struct slot *slot);
/* Fi by the high nibble of TA1. */
unsigned ccid_fi(uint8_t ta1);
/* PC_to_RDR_Secure (CCID 1.1 §6.1.11). */
void ccid_secure(struct slot *slot, const struct ccid_message *msg, int64_t now);
/* The host gives up what the slot works on: the display says so if that is an entry. */
void pinpad_given_up(struct slot *slot);
/* PC_to_RDR_Escape. */
void ccid_escape(struct slot *slot, const struct ccid_message *msg, int64_t now);
/* Answers what the reader has been taught. False: it hasn't. */
bool ccid_answer_taught(struct slot *slot, const struct ccid_message *msg);
/* Raw-command firmware: the tag has left the field while its answer was awaited. */
void ccid_escape_left(struct slot *slot);
/* Forgets open chains and bytes of an exchange that was given up. */
void ccid_level_reset(struct slot *slot);

#endif
