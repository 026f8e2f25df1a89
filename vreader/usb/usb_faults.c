/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/usb/usb_parts.h"

#include <string.h>

#include "vreader/bytes.h"

#define MS ((int64_t)1000000)

size_t usb_faulty_notification(struct usb_device *dev, uint8_t *packet, size_t len)
{
	struct fault_outcome out;

	fault_apply(dev->faults, RDR_to_PC_NotifySlotChange, packet, len, &out);
	dev->gone |= out.disappear;
	return out.drop || out.disappear ? 0 : out.len;
}

static void queue_extensions(struct endpoint *ep, const struct fault_outcome *out, int64_t due)
{
	uint8_t header[CCID_MSG_HEADER_SIZE];
	struct message *m;

	memcpy(header, out->msg, sizeof(header));
	put_le32(header + CCID_MSG_dwLength, 0);
	header[CCID_MSG_bStatus] =
		(uint8_t)(CCID_COMMAND_TIME_EXTENSION | (header[CCID_MSG_bStatus] & CCID_ICC_MASK));
	header[CCID_MSG_bError] = out->multiplier;
	header[CCID_MSG_bChainParameter] = 0;
	m = endpoint_queue(ep, header, sizeof(header), due);
	if (m)
		m->again = out->extensions == FAULT_FOREVER ? FAULT_FOREVER : out->extensions - 1;
}

/* The message itself, as often and in as many transfers as the script wants. */
static void queue_outcome(struct endpoint *ep, const struct fault_outcome *out, int64_t due)
{
	size_t first = out->split && out->split < out->len ? out->split : out->len;

	for (uint32_t i = 0; i <= out->repeat; i++) {
		struct message *m = endpoint_queue(ep, out->msg, first, due);

		if (m)
			m->no_zlp = out->no_zlp;
		if (first < out->len)
			endpoint_queue(ep, out->msg + first, out->len - first, due);
	}
}

void usb_faulty_bulk_in(struct function *f, uint8_t command, uint8_t *msg, size_t len)
{
	struct usb_device *dev = f->dev;
	struct fault_outcome out;
	struct message *m;
	int64_t due;

	fault_apply(dev->faults, command, msg, len, &out);
	due = dev->now + out.delay_ms * MS;
	dev->gone |= out.disappear;
	if (out.stall_out)
		endpoint_stall(dev, endpoint_find(dev, f->bulk_out));
	if (out.before_len)
		endpoint_queue(f->bulk_in, out.before, out.before_len, due);
	if (out.extensions && len >= CCID_MSG_HEADER_SIZE)
		queue_extensions(f->bulk_in, &out, due);
	if (out.stall) {
		m = endpoint_queue(f->bulk_in, NULL, 0, due);
		if (m)
			m->stall = true;
	} else if (!out.drop && !out.disappear && out.extensions != FAULT_FOREVER) {
		queue_outcome(f->bulk_in, &out, due);
	}
}

int usb_faulty_control(
	struct usb_device *dev, const uint8_t *setup, uint8_t *answer, size_t len, size_t want)
{
	struct fault_outcome out;

	fault_apply(dev->faults, fault_control(setup), answer, len, &out);
	dev->gone |= out.disappear;
	dev->control_due =
		out.drop || out.disappear ? CCID_NO_DEADLINE : dev->now + out.delay_ms * MS;
	if (out.stall)
		return USBIP_STATUS_EPIPE;
	return out.len > want ? USBIP_STATUS_EOVERFLOW : (int)out.len;
}
