/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The contactless half of a reader's firmware, for readers that hide the air from the host: the ATR
 * it makes up for a tag, and the commands that it carries out itself (PC/SC part 3, supplemental
 * document for contactless ICCs, §3.1.3.2.3 and §3.2.2).
 *
 * Plain struct of the reader; one thread serves all.
 */
#ifndef CARDWIRE_VREADER_TAG_FRONT_H
#define CARDWIRE_VREADER_TAG_FRONT_H

#include "vreader/cards/card_apdu.h"
#include "vreader/cards/tag.h"

enum {
	TAG_FRONT_KEYS = 8,
	TAG_FRONT_ATR_MAX = 33,
};

struct tag_front {
	uint8_t keys[TAG_FRONT_KEYS][TAG_KEY_SIZE]; /* loaded by FF 82 */
	bool loaded[TAG_FRONT_KEYS];
	struct card_response response;
};

/* Returns the length of the ATR in OUT. */
size_t tag_front_atr(const struct tag_identity *identity, uint8_t out[TAG_FRONT_ATR_MAX]);

/*
 * Whatever comes for the tag: commands of class FF are done here, others go to the tag as they are
 * (to a memory tag, that makes no sense: 6A 81). The answer stays valid until the next call.
 */
const struct card_response *tag_front_exchange(
	struct tag_front *front, struct tag *tag, const uint8_t *apdu, size_t len);

#endif
