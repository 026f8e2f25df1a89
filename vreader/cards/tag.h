/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A virtual contactless tag as a reader meets it in its field: what it says of itself when it is
 * selected (ISO/IEC 14443-3), and the frames it takes then. ISO 14443-4 tags hold an application of
 * card_app.h; memory tags have blocks, and one kind of them wants a key for each sector first.
 *
 * A tag owns its application. It has no clock. One thread serves all tags.
 */
#ifndef CARDWIRE_VREADER_TAG_H
#define CARDWIRE_VREADER_TAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vreader/cards/card_apdu.h"

enum {
	TAG_UID_MAX = 10,
	TAG_HISTORICAL_MAX = 15,
	TAG_ATQB_SIZE = 12,
	TAG_BLOCK_SIZE = 16, /* what a memory tag gives at a READ */
	TAG_KEY_SIZE = 6,
	TAG_FRAME_MAX = 64, /* longest frame of a memory tag, either way */
};

enum tag_kind {
	TAG_A,          /* ISO 14443-4, type A */
	TAG_B,          /* ISO 14443-4, type B */
	TAG_CLASSIC,    /* 64 blocks of 16 bytes, 4 to a sector, the last with the sector's keys */
	TAG_ULTRALIGHT, /* 16 pages of 4 bytes, no keys */
};

/* How a tag is made. */
struct tag_options {
	enum tag_kind kind;
	uint8_t uid[TAG_UID_MAX]; /* of type B: PUPI, the first 4 */
	size_t uid_len;
	uint8_t historical[TAG_HISTORICAL_MAX]; /* of the ATS, type A */
	size_t historical_len;
};

/* What a reader learns by selecting the tag. */
struct tag_identity {
	enum tag_kind kind;
	uint8_t atqa[2]; /* type A: SENS_RES as sent, low byte first */
	uint8_t sak;     /* type A: SEL_RES */
	uint8_t uid[TAG_UID_MAX];
	size_t uid_len;
	uint8_t historical[TAG_HISTORICAL_MAX];
	size_t historical_len;
	uint8_t atqb[TAG_ATQB_SIZE]; /* type B: 50, PUPI, application data, protocol info */
	uint8_t mbli;                /* type B: of the answer to ATTRIB */
};

/* Default options for "tag-a", "tag-b", "tag-classic", "tag-ultralight"; false: no tag's name. */
bool tag_options_named(struct tag_options *options, const char *name);

/* "uid=HEX" (4, 7 or 10 bytes) or "hist=HEX" (0 to 15). NULL when done, else what is wrong. */
const char *tag_options_set(struct tag_options *options, const char *assignment);

/* Whether such a tag holds an application: an ISO 14443-4 one. */
bool tag_wants_app(const struct tag_options *options);

struct tag;

/* Takes APP over, also when it fails. ISO 14443-4 tags need one, memory tags none. NULL: no memory,
 * or the wrong number of applications. */
struct tag *tag_new(const struct tag_options *options, struct card_app *app);
void tag_free(struct tag *tag);

const struct tag_identity *tag_identity(const struct tag *tag);
bool tag_has_apdus(const struct tag *tag);

/* Where an ISO 14443-4 tag's commands are run. */
struct card_apdu *tag_apdu(struct tag *tag);

/* The field goes off, or the tag is selected anew: volatile state is lost. */
void tag_reset(struct tag *tag);

/* ISO 14443-4: a whole command. The answer stays valid until the next call on this tag. */
const struct card_response *tag_exchange(struct tag *tag, const uint8_t *apdu, size_t len);

/*
 * Memory tags: one frame without its CRC, and the answer into OUT. A key comes in clear, as
 * readers' chips take it: 60 (key A) or 61 (key B), block, key, last 4 bytes of the UID; then 30
 * block (read), A0 block and 16 bytes, A2 page and 4 bytes (write). Returns the length of the
 * answer; 0: acknowledged; -1: refused or not understood, and the tag has to be selected again.
 */
int tag_frame(struct tag *tag, const uint8_t *frame, size_t len, uint8_t out[TAG_FRAME_MAX]);

#endif
