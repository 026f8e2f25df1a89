/* SPDX-License-Identifier: BSD-3-Clause */
/* Which rules of a fault script hold for a message. */
#include <string.h>

#include "spec/ccid.h"
#include "spec/usb.h"
#include "vreader/firmware/fault_parts.h"

uint32_t fault_control(const uint8_t setup[8])
{
	bool class = (setup[USB_SETUP_bmRequestType] & USB_TYPE_MASK) == USB_TYPE_CLASS;

	return (class ? FAULT_CONTROL_CLASS : FAULT_CONTROL_STANDARD) | setup[USB_SETUP_bRequest];
}

static bool begins(const struct fault_script *script, const struct beginning *b)
{
	return script->data_len >= b->len && memcmp(script->data, b->bytes, b->len) == 0;
}

void fault_reset(struct fault_script *script)
{
	for (struct rule *r = script->rules; r; r = r->next)
		r->over |= r->until_reset;
}

void fault_heard(struct fault_script *script, const uint8_t *message, size_t len, bool ended)
{
	size_t n = len > CCID_MSG_HEADER_SIZE ? len - CCID_MSG_HEADER_SIZE : 0;

	if (len < CCID_MSG_HEADER_SIZE)
		return;
	script->unended = !ended;
	script->before = script->last;
	script->last = message[CCID_MSG_bMessageType];
	script->data_len = n < sizeof(script->data) ? n : sizeof(script->data);
	memcpy(script->data, message + CCID_MSG_HEADER_SIZE, script->data_len);
	for (struct rule *r = script->rules; r; r = r->next)
		if (script->last == PC_to_RDR_Escape && r->until.len && begins(script, &r->until))
			r->over = true;
}

/* Conditions are about the host's last message, which the one that starts now answers. */
static bool holds(
	const struct fault_script *script, const struct rule *r, const uint8_t *msg, size_t len)
{
	if (r->has_slot && (len <= CCID_MSG_bSlot || msg[CCID_MSG_bSlot] != r->slot))
		return false;
	return !r->over && begins(script, &r->with) && (script->unended || !r->if_unended) &&
	       !(r->unless_after && r->unless_after == script->before);
}

void fault_apply(struct fault_script *script, uint32_t command, uint8_t *msg, size_t len,
	struct fault_outcome *out)
{
	memset(out, 0, sizeof(*out));
	out->msg = msg;
	out->len = len;
	out->room = len + FAULT_BYTES_MAX;
	for (struct rule *r = script->rules; r; r = r->next) {
		/* "any" is the answer to any message of the bulk pipe. */
		bool other =
			command == RDR_to_PC_NotifySlotChange || command >= FAULT_CONTROL_STANDARD;

		if ((r->command != command && (r->command != FAULT_ANY_MESSAGE || other)) ||
			!holds(script, r, msg, len))
			continue;
		if (r->seen < UINT32_MAX)
			r->seen++;
		if (r->seen < r->from || r->seen > r->to)
			continue;
		r->action->apply(r, out);
	}
}
