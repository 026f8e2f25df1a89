/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hostile client of a card with applets. The first byte says which applets; then each command is a
 * length byte and that many bytes. 0 is a reset; a length above 240 puts a command of the alphabet of
 * real ones, which fuzzers are slow to find: authentication with the first management key, the first
 * PINs.
 */
#include <stdlib.h>
#include <string.h>

#include "vreader/cards/app.h"
#include "vreader/cards/card.h"
#include "vreader/cards/crypto.h"
#include "vreader/cards/openpgp/openpgp.h"
#include "vreader/cards/piv/piv.h"
#include "vreader/cards/pkcs15/pkcs15.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct applet *(*maker)(struct state *state);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	/* The same input does the same. */
	return crypto_seed("fuzz") ? 0 : 1;
}

static struct card *make(uint8_t choice)
{
	static const maker makers[4][APPLETS_MAX] = { { piv_new },
		{ pkcs15_new, pkcs15_isoapplet_new }, { openpgp_new }, { piv_new, openpgp_new } };
	struct applet *applets[APPLETS_MAX];
	char why[128];
	struct state *state = state_open(NULL, why, sizeof(why));
	size_t count = 0;

	for (; count < APPLETS_MAX && makers[choice & 3][count]; count++)
		applets[count] = makers[choice & 3][count](state);
	return card_new(&card_options_default, applet_card_new(state, applets, count));
}

static const struct card_response *send(struct card *card, const uint8_t *apdu, size_t len)
{
	const struct card_response *rsp = card_exchange(card, apdu, len);

	if (rsp->mute || rsp->pending || rsp->len < 2 || rsp->len > APDU_RESPONSE_MAX)
		abort();
	return rsp;
}

static void manage(struct card *card)
{
	static const uint8_t key[24] = { 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4,
		5, 6, 7, 8 };
	uint8_t cmd[17] = { 0, 0x87, 3, 0x9B, 4, 0x7C, 2, 0x81, 0 };
	const struct card_response *rsp = send(card, cmd, 9);

	if (rsp->len != 14 || !crypto_block(CRYPTO_3DES, true, key, rsp->data + 4, cmd + 9))
		return;
	memcpy(cmd + 4, "\x0C\x7C\x0A\x82\x08", 5);
	send(card, cmd, sizeof(cmd));
}

static void known(struct card *card, uint8_t which)
{
	static const struct {
		uint8_t bytes[16];
		size_t len;
	} commands[] = {
		{ { 0x00, 0x20, 0x00, 0x80, 8, '1', '2', '3', '4', '5', '6', 0xFF, 0xFF }, 13 },
		{ { 0x00, 0x20, 0x00, 0x01, 6, '1', '2', '3', '4', '5', '6' }, 11 },
		{ { 0x00, 0x20, 0x00, 0x81, 6, '1', '2', '3', '4', '5', '6' }, 11 },
		{ { 0x00, 0x20, 0x00, 0x82, 6, '1', '2', '3', '4', '5', '6' }, 11 },
		{ { 0x00, 0x20, 0x00, 0x83, 8, '1', '2', '3', '4', '5', '6', '7', '8' }, 13 },
		{ { 0x00, 0xA4, 0x04, 0x00, 5, 0xA0, 0x00, 0x00, 0x03, 0x08 }, 10 },
		{ { 0x00, 0xA4, 0x04, 0x00, 6, 0xD2, 0x76, 0x00, 0x01, 0x24, 0x01 }, 11 },
		{ { 0x00, 0x47, 0x00, 0x9A, 5, 0xAC, 3, 0x80, 1, 0x11 }, 10 },
	};

	if (which < sizeof(commands) / sizeof(commands[0]))
		send(card, commands[which].bytes, commands[which].len);
	else
		manage(card);
}

/* RSA keys are made slowly; that path is not what is looked for here. */
static bool slow(const uint8_t *cmd, size_t len)
{
	return len > 1 && cmd[1] == 0x47;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct card *card;
	const uint8_t *atr;

	if (size == 0)
		return 0;
	card = make(data[0]);
	if (!card)
		abort();
	card_power_on(card, &atr);
	for (data++, size--; size;) {
		size_t n = data[0];

		data++;
		size--;
		if (n > 240) {
			known(card, (uint8_t)(n - 241));
			continue;
		}
		if (n > size)
			n = size;
		if (n == 0)
			card_power_on(card, &atr);
		else if (!slow(data, n))
			send(card, data, n);
		data += n;
		size -= n;
	}
	card_free(card);
	return 0;
}
