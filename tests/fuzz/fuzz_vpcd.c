/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hostile card program, and a reader that resets and gives up at any moment: each byte string is
 * a length byte and that many bytes for vpcd_receive(); lengths above 250 are the reader's moves.
 */
#include <stdlib.h>
#include <string.h>

#include "vreader/cards/vpcd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct host {
	struct card *card;
};

static void on_send(void *ctx, const uint8_t *bytes, size_t len)
{
	volatile uint8_t sum = 0;

	(void)ctx;
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + bytes[i]);
}

static bool on_insert(void *ctx, struct card *card)
{
	struct host *host = ctx;

	host->card = card;
	return true;
}

static void on_nothing(void *ctx)
{
	(void)ctx;
}

/* A SELECT over the contacts: T=0's header alone, or a block of T=1; then all that the card says. */
static void use_contacts(struct card *card)
{
	static const uint8_t block[] = { 0, 0, 7, 0, 0xA4, 0, 0, 2, 0x3F, 0, 0x9E };
	const struct card_link link = { .fidi = CARD_TA1_DEFAULT,
		.inverse = card_options(card)->inverse };
	struct card_burst burst;
	unsigned bursts = 0;

	if (card_protocol(card) == 0)
		card_receive(card, link, block + 3, 5);
	else
		card_receive(card, link, block, sizeof(block));
	while (card_send(card, &burst) && bursts < 4)
		bursts++;
}

/* False when the card is gone. */
static bool move(struct host *host, uint8_t which)
{
	static const uint8_t command[] = { 0, 0xCA, 0, 0, 0 };
	const uint8_t *atr;
	const struct card_response *rsp;

	if (!host->card)
		return true;
	switch (which) {
	case 251:
		if (card_power_on(host->card, &atr) == 0)
			abort();
		break;
	case 252:
		card_power_off(host->card);
		break;
	case 254:
		use_contacts(host->card);
		break;
	case 253:
		card_free(host->card);
		host->card = NULL;
		return false;
	default:
		rsp = card_exchange(host->card, command, sizeof(command));
		if (!rsp->pending && !rsp->mute)
			abort();
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct host host = { 0 };
	const struct vpcd_host functions = {
		.send = on_send, .insert = on_insert, .removed = on_nothing, .ctx = &host
	};
	struct vpcd *vpcd = vpcd_new(&functions);
	bool alive = vpcd != NULL;

	while (alive && size) {
		size_t n = data[0];

		data++;
		size--;
		if (n > 250) {
			alive = move(&host, (uint8_t)n);
			continue;
		}
		if (n > size)
			n = size;
		alive = vpcd_receive(vpcd, data, n);
		data += n;
		size -= n;
	}
	card_free(host.card);
	vpcd_free(vpcd);
	return 0;
}
