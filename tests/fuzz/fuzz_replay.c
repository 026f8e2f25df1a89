/* SPDX-License-Identifier: BSD-3-Clause */
/* A recording from anybody as a reader, whose host says what is in it, and then something else: at an odd
 * size of the file in transfers to the USB device that it describes. */
#include <stdlib.h>
#include <string.h>

#include "vreader/replay/replay.h"
#include "vreader/usb/usb_device.h"

static void woken(void *ctx)
{
	(void)ctx;
}

static void sent(void *ctx, const struct replay_answer *answer)
{
	size_t *sum = ctx;

	for (size_t i = 0; i < answer->len; i++)
		*sum += answer->bytes[i];
}

static void play(struct replay *replay, const struct script *script)
{
	uint8_t answer[512];
	size_t sum = 0;

	for (size_t i = 0; i < script->count; i++) {
		const struct recording_entry *entry = &script->steps[i].entry;

		if (entry->kind == RECORDING_OUT)
			replay_bulk_out(replay, entry->data, entry->len, true, sent, &sum);
		else if (entry->kind == RECORDING_CONTROL)
			replay_control(replay, entry->setup, entry->data, entry->len, answer,
				sizeof(answer));
		else if (entry->kind == RECORDING_EVENT && replay_event_due(replay))
			replay_event(replay, answer, sizeof(answer));
	}
	memset(answer, 0x65, sizeof(answer));
	replay_bulk_out(replay, answer, sizeof(answer), false, sent, &sum);
	replay_bulk_out(replay, answer, 3, true, sent, &sum);
	replay_finish(replay);
}

static void ended(void *ctx, struct usb_urb *urb)
{
	(void)ctx;
	if (urb->actual > urb->length)
		abort();
	free(urb);
}

static void submit(
	struct usb_device *device, uint8_t ep, const struct recording_entry *entry, size_t length)
{
	struct usb_urb *urb = calloc(1, sizeof(*urb) + length);

	if (!urb)
		abort();
	urb->ep = ep;
	urb->length = length;
	memcpy(urb->setup, entry->setup, sizeof(urb->setup));
	if (!(ep & 0x80) && length)
		memcpy(urb->data, entry->data, length);
	usb_device_submit(device, urb, 0);
}

static void use(struct replay *replay, const struct script *script)
{
	struct usb_device *device = usb_device_new_replay(replay);
	const struct replay_endpoint *eps;
	size_t count;

	if (!device)
		abort();
	usb_device_attach(device, ended, NULL);
	eps = replay_endpoints(replay, &count);
	for (size_t i = 0; i < script->count; i++) {
		const struct recording_entry *entry = &script->steps[i].entry;

		for (size_t e = 0; e < count && i < 8; e++)
			submit(device, eps[e].address | 0x80, entry, i % 2 ? 64 : 300);
		if (entry->kind == RECORDING_OUT)
			submit(device, entry->endpoint & 0x0F, entry, entry->len);
		else if (entry->kind == RECORDING_CONTROL && entry->setup[0] & 0x80)
			submit(device, 0x80, entry, 512);
		else if (entry->kind == RECORDING_CONTROL)
			submit(device, 0, entry, entry->len);
		usb_device_run(device, 0);
	}
	usb_device_free(device);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct script script;
	char why[512];

	if (script_read(&script, bytes, size, why, sizeof(why))) {
		struct replay *replay = replay_new(&script, false, woken, NULL, why, sizeof(why));

		if (replay && size % 2)
			use(replay, &script);
		else if (replay)
			play(replay, &script);
		replay_free(replay);
	}
	script_free(&script);
	return 0;
}
