/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file card, shared by its files: iso.c (the card and its commands), iso_files.c (the tree of
 * files and SELECT), iso_data.c (reading and writing them).
 */
#ifndef CARDWIRE_VREADER_CARDS_ISO_CARD_H
#define CARDWIRE_VREADER_CARDS_ISO_CARD_H

#include "vreader/cards/card_app.h"

enum {
	FID_MF = 0x3F00,
	BIG_SIZE = 32768,
	SMALL_SIZE = 256,
	RECORDS = 10,
	RECORD_SIZE = 20,
	RECORDS_SIZE = RECORDS * RECORD_SIZE,
	PROTECTED_SIZE = 64,
	DIR_SIZE = 28,
	ATR_SIZE = 34,
};

enum file_kind {
	FILE_DF,
	FILE_TRANSPARENT,
	FILE_RECORDS,
};

struct file {
	uint16_t fid;
	int parent; /* index; the MF is its own */
	enum file_kind kind;
	uint8_t sfi;
	bool protected;
	size_t size; /* bytes */
	uint8_t record_size;
	const char *name; /* of a DF */
	uint8_t *data;
};

enum {
	F_MF,
	F_DIR,
	F_ATR,
	F_DF,
	F_SMALL,
	F_BIG,
	F_RECORDS,
	F_PROTECTED,
	FILES,
};

struct iso_card {
	struct card_app app;
	struct file files[FILES];
	uint8_t big[BIG_SIZE];
	uint8_t small[SMALL_SIZE + RECORDS_SIZE + PROTECTED_SIZE];
	uint8_t dir[DIR_SIZE];
	uint8_t atr[ATR_SIZE];
	int current_df;
	int current_ef; /* -1: none */
	uint8_t current_record;
	bool verified;
	uint8_t tries;
};

/* iso_files.c: the files as a new card has them; SELECT (ISO 7816-4 §11.2.2). */
void iso_files_make(struct iso_card *card);
void iso_select(struct iso_card *card, const struct apdu_command *cmd, struct apdu_answer *ans);

/* iso_data.c: READ and UPDATE BINARY (§11.3), READ and UPDATE RECORD (§11.4). */
void iso_read_binary(
	struct iso_card *card, const struct apdu_command *cmd, struct apdu_answer *ans);
void iso_update_binary(
	struct iso_card *card, const struct apdu_command *cmd, struct apdu_answer *ans);
void iso_read_record(
	struct iso_card *card, const struct apdu_command *cmd, struct apdu_answer *ans);
void iso_update_record(
	struct iso_card *card, const struct apdu_command *cmd, struct apdu_answer *ans);

#endif
