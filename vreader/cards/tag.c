/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/cards/tag.h"

#include <stdlib.h>
#include <string.h>

#include "vreader/hex.h"

enum {
	MEMORY_SIZE = 1024,
	CLASSIC_BLOCKS = 64,
	CLASSIC_SECTOR = 4, /* blocks */
	PAGE_SIZE = 4,
	ULTRALIGHT_SIZE = 64,
	FIRST_USER_PAGE = 4, /* before it: UID, locks, and bits that can only be set */
	NO_SECTOR = -1,
	KEY_B_AT = 10, /* in a sector's trailer; access bits stand between the keys */

	FRAME_AUTH_A = 0x60,
	FRAME_AUTH_B = 0x61,
	FRAME_READ = 0x30,
	FRAME_WRITE = 0xA0,
	FRAME_WRITE_PAGE = 0xA2,
};

struct tag {
	struct tag_identity identity;
	uint8_t memory[MEMORY_SIZE];
	int sector; /* authenticated */
	bool has_app;
	struct card_apdu apdu;
	struct card_response response;
};

static const struct {
	const char *name;
	struct tag_options options;
} named[] = {
	{ "tag-a", { .kind = TAG_A,
			   .uid = { 0x04, 0x43, 0x57, 0x01, 0x02, 0x03, 0x80 },
			   .uid_len = 7,
			   .historical = { 'C', 'a', 'r', 'd', 'w', 'i', 'r', 'e' },
			   .historical_len = 8 } },
	{ "tag-b", { .kind = TAG_B, .uid = { 0x43, 0x57, 0x0B, 0x01 }, .uid_len = 4 } },
	{ "tag-classic", { .kind = TAG_CLASSIC, .uid = { 0x43, 0x57, 0x0C, 0x01 }, .uid_len = 4 } },
	{ "tag-ultralight", { .kind = TAG_ULTRALIGHT,
				    .uid = { 0x04, 0x43, 0x57, 0x0D, 0x01, 0x02, 0x80 },
				    .uid_len = 7 } },
};

bool tag_options_named(struct tag_options *options, const char *name)
{
	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
		if (strcmp(named[i].name, name) == 0) {
			*options = named[i].options;
			return true;
		}
	}
	return false;
}

const char *tag_options_set(struct tag_options *options, const char *assignment)
{
	uint8_t bytes[TAG_HISTORICAL_MAX];
	size_t len;

	if (strncmp(assignment, "uid=", 4) == 0) {
		if (!hex_parse(assignment + 4, bytes, TAG_UID_MAX, &len) ||
			(len != 4 && len != 7 && len != 10))
			return "a UID has 4, 7 or 10 bytes in hexadecimal";
		if (options->kind == TAG_B && len != 4)
			return "the PUPI of a type B tag has 4 bytes";
		memcpy(options->uid, bytes, len);
		options->uid_len = len;
		return NULL;
	}
	if (strncmp(assignment, "hist=", 5) == 0) {
		if (!hex_parse(assignment + 5, bytes, sizeof(bytes), &len))
			return "historical bytes are 0 to 15 in hexadecimal";
		memcpy(options->historical, bytes, len);
		options->historical_len = len;
		return NULL;
	}
	return "expected uid=HEX or hist=HEX";
}

/* SENS_RES and SEL_RES by kind (ISO 14443-3 §6.5.2, §6.5.3.4; NXP AN10833). */
static void identify(struct tag_identity *identity, const struct tag_options *options)
{
	static const uint8_t sak[] = { [TAG_A] = 0x20, [TAG_CLASSIC] = 0x08 };
	static const uint8_t atqb[] = { 0x50, 0, 0, 0, 0, 0x11, 0x22, 0x33, 0x44, 0x00, 0x81,
		0x81 };

	identity->kind = options->kind;
	memcpy(identity->uid, options->uid, options->uid_len);
	identity->uid_len = options->uid_len;
	if (options->kind == TAG_B) {
		memcpy(identity->atqb, atqb, sizeof(atqb));
		memcpy(identity->atqb + 1, options->uid, 4);
		return;
	}
	/* Bits 7 and 8 tell the length of the UID; bit 3 is what these kinds have set. */
	identity->atqa[0] = (uint8_t)(0x04 | (options->uid_len - 4) / 3 << 6);
	identity->sak = options->kind == TAG_ULTRALIGHT ? 0 : sak[options->kind];
	memcpy(identity->historical, options->historical, options->historical_len);
	identity->historical_len = options->historical_len;
}

static void format_classic(struct tag *tag)
{
	static const uint8_t trailer[TAG_BLOCK_SIZE] = { 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
		0x07, 0x80, 0x69, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF };

	memcpy(tag->memory, tag->identity.uid, tag->identity.uid_len);
	for (size_t block = CLASSIC_SECTOR - 1; block < CLASSIC_BLOCKS; block += CLASSIC_SECTOR)
		memcpy(tag->memory + block * TAG_BLOCK_SIZE, trailer, sizeof(trailer));
}

bool tag_wants_app(const struct tag_options *options)
{
	return options->kind == TAG_A || options->kind == TAG_B;
}

struct tag *tag_new(const struct tag_options *options, struct card_app *app)
{
	bool wants_app = tag_wants_app(options);
	struct tag *tag = wants_app == (app != NULL) ? calloc(1, sizeof(*tag)) : NULL;

	if (!tag) {
		if (app)
			app->ops->free(app);
		return NULL;
	}
	identify(&tag->identity, options);
	tag->has_app = wants_app;
	tag->apdu.app = app;
	if (options->kind == TAG_CLASSIC)
		format_classic(tag);
	else if (options->kind == TAG_ULTRALIGHT)
		memcpy(tag->memory, options->uid, options->uid_len);
	tag_reset(tag);
	return tag;
}

void tag_free(struct tag *tag)
{
	if (!tag)
		return;
	if (tag->has_app)
		tag->apdu.app->ops->free(tag->apdu.app);
	free(tag);
}

const struct tag_identity *tag_identity(const struct tag *tag)
{
	return &tag->identity;
}

bool tag_has_apdus(const struct tag *tag)
{
	return tag->has_app;
}

void tag_reset(struct tag *tag)
{
	tag->sector = NO_SECTOR;
	if (tag->has_app)
		card_apdu_reset(&tag->apdu);
}

struct card_apdu *tag_apdu(struct tag *tag)
{
	return &tag->apdu;
}

const struct card_response *tag_exchange(struct tag *tag, const uint8_t *apdu, size_t len)
{
	card_apdu_process(&tag->apdu, APDU_OVER_T1, apdu, len, &tag->response);
	return &tag->response;
}

static bool is_trailer(unsigned block)
{
	return block % CLASSIC_SECTOR == CLASSIC_SECTOR - 1;
}

static int authenticate(struct tag *tag, const uint8_t *frame, size_t len)
{
	unsigned block = frame[1];
	const uint8_t *trailer;
	const uint8_t *key;

	tag->sector = NO_SECTOR;
	if (len != 2 + TAG_KEY_SIZE + 4 || block >= CLASSIC_BLOCKS ||
		memcmp(frame + 2 + TAG_KEY_SIZE, tag->identity.uid + tag->identity.uid_len - 4,
			4) != 0)
		return -1;
	trailer = tag->memory + (size_t)(block | (CLASSIC_SECTOR - 1)) * TAG_BLOCK_SIZE;
	key = frame[0] == FRAME_AUTH_A ? trailer : trailer + KEY_B_AT;
	if (memcmp(frame + 2, key, TAG_KEY_SIZE) != 0)
		return -1;
	tag->sector = (int)(block / CLASSIC_SECTOR);
	return 0;
}

static int classic_access(struct tag *tag, const uint8_t *frame, size_t len, uint8_t *out)
{
	unsigned block = frame[1];
	uint8_t *at;

	if (block >= CLASSIC_BLOCKS || tag->sector != (int)(block / CLASSIC_SECTOR))
		return -1;
	at = tag->memory + (size_t)block * TAG_BLOCK_SIZE;
	if (frame[0] == FRAME_READ && len == 2) {
		memcpy(out, at, TAG_BLOCK_SIZE);
		/* Keys are never read back. */
		if (is_trailer(block))
			memset(out, 0, TAG_KEY_SIZE);
		return TAG_BLOCK_SIZE;
	}
	if (frame[0] != FRAME_WRITE || len != 2 + TAG_BLOCK_SIZE || block == 0)
		return -1;
	memcpy(at, frame + 2, TAG_BLOCK_SIZE);
	return 0;
}

static int ultralight_access(struct tag *tag, const uint8_t *frame, size_t len, uint8_t *out)
{
	unsigned page = frame[1];

	if (page >= ULTRALIGHT_SIZE / PAGE_SIZE)
		return -1;
	if (frame[0] == FRAME_READ && len == 2) {
		/* Four pages; behind the last comes the first. */
		for (size_t i = 0; i < TAG_BLOCK_SIZE; i++)
			out[i] = tag->memory[((size_t)page * PAGE_SIZE + i) % ULTRALIGHT_SIZE];
		return TAG_BLOCK_SIZE;
	}
	if (frame[0] != FRAME_WRITE_PAGE || len != 2 + PAGE_SIZE || page < FIRST_USER_PAGE)
		return -1;
	memcpy(tag->memory + (size_t)page * PAGE_SIZE, frame + 2, PAGE_SIZE);
	return 0;
}

int tag_frame(struct tag *tag, const uint8_t *frame, size_t len, uint8_t out[TAG_FRAME_MAX])
{
	int n = -1;

	if (len >= 2 && tag->identity.kind == TAG_ULTRALIGHT)
		n = ultralight_access(tag, frame, len, out);
	else if (len >= 2 && tag->identity.kind == TAG_CLASSIC)
		n = frame[0] == FRAME_AUTH_A || frame[0] == FRAME_AUTH_B
			    ? authenticate(tag, frame, len)
			    : classic_access(tag, frame, len, out);
	if (n < 0)
		tag->sector = NO_SECTOR;
	return n;
}
