/* SPDX-License-Identifier: BSD-3-Clause */
/* What raw.c (finding and losing tags) and raw_pseudo.c (pseudo APDUs) share. */
#ifndef CARDWIRE_CCID_RAW_PRIVATE_H
#define CARDWIRE_CCID_RAW_PRIVATE_H

#include "raw.h"

enum {
	RAW_KEYS = 32, /* key numbers of FF 82 */
	RAW_KEY_SIZE = 6,
	RAW_NO_BLOCK = -1,
};

struct raw {
	const struct raw_dialect *dialect;
	void *owner;
	bool present;
	bool used; /* something was sent to the tag since it was found */
	struct picc picc;

	/* FF 82: kept until the channel is closed. */
	uint8_t keys[RAW_KEYS][RAW_KEY_SIZE];
	bool loaded[RAW_KEYS];

	/* FF 86: done again when the tag had to be selected anew. */
	int block; /* RAW_NO_BLOCK: none */
	uint8_t key_type;
	uint8_t key_number;
	bool authenticated;

	bool transparent; /* between start and end of a transparent session */
};

/*
 * After a failure of the tag: finds the same tag again. CCID_CARD: it is there and selected,
 * CCID_ABSENT: it is not, and the host will be told.
 */
enum ccid_result raw_after_failure(struct raw *raw, enum ccid_result result);

#endif
