/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hostile CCID host. The first byte chooses profile and card, or tag; then each message is a
 * length byte and that many bytes of a bulk-OUT transfer, whose dwLength is made right when the
 * length byte is even. Time runs as fast as the reader wants.
 */
#include <stdlib.h>
#include <string.h>

#include "vreader/bytes.h"
#include "vreader/firmware/ccid_device.h"
#include "vreader/firmware/pinpad.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_bulk_in(void *ctx, uint8_t command, const uint8_t *msg, size_t len)
{
	struct ccid_device *const *dev = ctx;

	(void)dev;
	(void)command;
	if (len < CCID_MSG_HEADER_SIZE ||
		get_le32(msg + CCID_MSG_dwLength) != len - CCID_MSG_HEADER_SIZE)
		abort();
}

static void on_notify(void *ctx)
{
	struct ccid_device *const *dev = ctx;
	uint8_t packet[PROFILE_INTERRUPT_PACKET];

	if (*dev)
		ccid_interrupt_in(*dev, packet, sizeof(packet));
}

static struct card *make_tag(unsigned kind)
{
	static const char *const names[] = { "tag-a", "tag-b", "tag-classic", "tag-ultralight" };
	struct tag_options options;

	tag_options_named(&options, names[kind]);
	return card_new_tag(tag_new(&options, kind < 2 ? iso_card_new() : NULL));
}

static struct ccid_device *make_contactless(uint8_t choice, struct ccid_device **ctx)
{
	struct profile p;

	profile_builtin(choice & 1 ? "contactless-raw" : "contactless", &p);
	*ctx = ccid_new(&p.interfaces[0],
		(struct ccid_host){ .bulk_in = on_bulk_in, .notify = on_notify, .ctx = ctx });
	if (!*ctx || !ccid_insert(*ctx, 0, make_tag(choice >> 1 & 3)))
		abort();
	return *ctx;
}

static struct ccid_device *make(uint8_t choice, struct ccid_device **ctx)
{
	static const char *const profiles[] = { "extended", "short", "tpdu", "character" };
	struct card_options o = card_options_default;
	struct profile p;

	if (choice & 64)
		return make_contactless(choice, ctx);
	profile_builtin(profiles[choice & 3], &p);
	p.interfaces[0].ccid[CCID_DESC_bMaxSlotIndex] = 1;
	profile_add_pinpad(&p);
	o.protocols = choice & 4 ? CARD_T0 : CARD_T0 | CARD_T1;
	o.crc = choice & 8;
	o.t0_single = choice & 16;
	if (choice & 32)
		o.protocols = CARD_T1;
	*ctx = ccid_new(&p.interfaces[0],
		(struct ccid_host){ .bulk_in = on_bulk_in, .notify = on_notify, .ctx = ctx });
	if (!*ctx || !ccid_insert(*ctx, 0, card_new(&o, iso_card_new())))
		abort();
	return *ctx;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ccid_device *ctx = NULL, *dev;
	uint8_t msg[256];
	int64_t now = 0;

	if (size == 0)
		return 0;
	dev = make(data[0], &ctx);
	data++;
	size--;
	while (size) {
		size_t n = data[0];

		data++;
		size--;
		if (n > size)
			n = size;
		memcpy(msg, data, n);
		data += n;
		size -= n;
		if (n >= CCID_MSG_HEADER_SIZE && n % 2 == 0)
			put_le32(msg + CCID_MSG_dwLength, (uint32_t)(n - CCID_MSG_HEADER_SIZE));
		/* Both a PIN and a change find their keys. */
		pinpad_forget(dev);
		pinpad_press(dev, "1234E56C567E567E", 0);
		ccid_bulk_out(dev, msg, n, n % 64 != 0, now);
		/* Odd ends leave the command running, for aborts and busy slots. */
		for (int i = 0; n % 3 && i < 200 && ccid_deadline(dev) != CCID_NO_DEADLINE; i++) {
			now = ccid_deadline(dev);
			ccid_run(dev, now);
		}
	}
	ccid_remove(dev, 0);
	ccid_free(dev);
	return 0;
}
