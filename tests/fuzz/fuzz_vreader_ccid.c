/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hostile CCID host. The first byte chooses profile and card, or tag; then each message is a
 * length byte and that many bytes of a bulk-OUT transfer, whose dwLength is made right when the
 * length byte is even. Time runs as fast as the reader wants.
 *
 * With the first byte's highest bit it is a USB ICC, which takes them as control requests: a byte that
 * chooses the request and the level, one for wLength of what goes in, and the data that goes out.
 */
#include <stdlib.h>
#include <string.h>

#include "spec/usb.h"
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

static struct ccid_device *make_icc(uint8_t choice, struct ccid_device **ctx)
{
	struct card_options o = card_options_default;
	struct profile p;

	profile_builtin("short", &p);
	p.interfaces[0].protocol = choice & 1 ? CCID_PROTOCOL_ICCD_A : CCID_PROTOCOL_ICCD_B;
	p.interfaces[0].endpoints = 0;
	o.protocols = choice & 4 ? CARD_T1 : CARD_T0;
	o.t0_single = choice & 16;
	*ctx = ccid_new(&p.interfaces[0],
		(struct ccid_host){ .bulk_in = on_bulk_in, .notify = on_notify, .ctx = ctx });
	if (!*ctx || !ccid_insert(*ctx, 0, card_new(&o, iso_card_new())))
		abort();
	return *ctx;
}

static void request(struct ccid_device *dev, const uint8_t *bytes, size_t n, int64_t now)
{
	static const struct {
		uint8_t type;
		uint8_t request;
	} known[] = {
		{ 0x21, ICCD_REQ_XFR_BLOCK },
		{ 0xA1, ICCD_REQ_GET_ICC_STATUS_A },
		{ 0xA1, ICCD_REQ_DATA_BLOCK },
		{ 0xA1, ICCD_REQ_ICC_POWER_ON },
		{ 0x21, ICCD_REQ_ICC_POWER_ON },
		{ 0x21, ICCD_REQ_ICC_POWER_OFF },
		{ 0xA1, ICCD_REQ_SLOT_STATUS_B },
	};
	size_t which = (bytes[0] & 0x0F) % (sizeof(known) / sizeof(known[0]));
	uint8_t setup[USB_SETUP_SIZE] = { known[which].type, known[which].request };
	bool in = setup[0] & USB_DIR_IN;
	uint8_t answer[1024];

	setup[USB_SETUP_wValue + 1] = bytes[0] >> 4;
	put_le16(setup + USB_SETUP_wLength, (uint16_t)(in ? 4 * bytes[1] : n - 2));
	if (ccid_control(dev, setup, bytes + 2, in ? 0 : n - 2, answer, sizeof(answer), now) >
		(int)sizeof(answer))
		abort();
}

static struct ccid_device *make(uint8_t choice, struct ccid_device **ctx)
{
	static const char *const profiles[] = { "extended", "short", "tpdu", "character" };
	struct card_options o = card_options_default;
	struct profile p;

	if (choice & 128)
		return make_icc(choice, ctx);
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
	bool icc = size && data[0] & 128;
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
		if (icc) {
			now += 1000000;
			if (n >= 2)
				request(dev, msg, n, now);
			continue;
		}
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
