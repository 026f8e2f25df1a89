/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/cards/card_options.h"

#include <stdlib.h>
#include <string.h>

bool card_options_protocol(struct card_options *o, const char *word)
{
	static const struct {
		const char *word;
		unsigned protocols;
	} words[] = { { "t0", CARD_T0 }, { "t1", CARD_T1 }, { "both", CARD_T0 | CARD_T1 } };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(words[i].word, word) == 0) {
			o->protocols = words[i].protocols;
			return true;
		}
	}
	return false;
}

enum kind {
	BYTE,
	FLAG,
	COUNT,
};

static const struct key {
	const char *name;
	enum kind kind;
	size_t offset;
	int base;
	unsigned long min;
	unsigned long max;
} keys[] = {
	{ "ta1", BYTE, offsetof(struct card_options, ta1), 16, 0x01, 0xFF },
	{ "ifsc", BYTE, offsetof(struct card_options, ifsc), 10, 1, 254 },
	{ "wi", BYTE, offsetof(struct card_options, wi), 10, 1, 255 },
	{ "bwi", BYTE, offsetof(struct card_options, bwi), 10, 0, 9 },
	{ "cwi", BYTE, offsetof(struct card_options, cwi), 10, 0, 15 },
	{ "tc1", BYTE, offsetof(struct card_options, tc1), 10, 0, 255 },
	{ "classes", BYTE, offsetof(struct card_options, classes), 10, 1, 7 },
	{ "specific", FLAG, offsetof(struct card_options, specific), 10, 0, 1 },
	{ "inverse", FLAG, offsetof(struct card_options, inverse), 10, 0, 1 },
	{ "crc", FLAG, offsetof(struct card_options, crc), 10, 0, 1 },
	{ "single", FLAG, offsetof(struct card_options, t0_single), 10, 0, 1 },
	{ "wtx", COUNT, offsetof(struct card_options, wtx_every), 10, 0, 1000000 },
};

static const char *set_key(struct card_options *o, const struct key *key, const char *text)
{
	char *end, *field = (char *)o + key->offset;
	unsigned long v = strtoul(text, &end, key->base);

	if (end == text || *end || v < key->min || v > key->max)
		return "the value is out of range";
	if (key->kind == BYTE)
		*(uint8_t *)field = (uint8_t)v;
	else if (key->kind == FLAG)
		*(bool *)field = v != 0;
	else
		*(uint32_t *)(void *)field = (uint32_t)v;
	return NULL;
}

const char *card_options_set(struct card_options *o, const char *assignment)
{
	const char *equals = strchr(assignment, '=');
	size_t len;

	if (!equals)
		return "expected KEY=VALUE";
	len = (size_t)(equals - assignment);
	if (len == strlen("protocol") && strncmp(assignment, "protocol", len) == 0)
		return card_options_protocol(o, equals + 1) ? NULL : "a protocol is t0, t1 or both";
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strlen(keys[i].name) == len && strncmp(keys[i].name, assignment, len) == 0)
			return set_key(o, &keys[i], equals + 1);
	return "no such card option";
}
