/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "recording/pcapng.h"
#include "recording/pcapng_private.h"

#define NS_PER_S INT64_C(1000000000)

enum {
	LINE_MAX_BYTES = 65536, /* longest comment, with its NUL */
	CONTROLS = 16,          /* control transfers under way at once */
};

/* A control transfer whose completion is awaited. */
struct control {
	bool used;
	uint64_t id;
	struct recording_entry entry;
};

struct reader {
	recording_each *each;
	void *ctx;
	const char *why;
	bool enough;
	char line[LINE_MAX_BYTES];
	uint8_t data[RECORDING_DATA_MAX];
	struct recording_mask masks[RECORDING_MASKS];
	struct control controls[CONTROLS];
	size_t next_control;
};

static bool fault(struct reader *r, const char *why)
{
	if (!r->why)
		r->why = why;
	return false;
}

static void tell(struct reader *r, const struct recording_entry *entry)
{
	if (!r->enough && !r->each(r->ctx, entry))
		r->enough = true;
}

/* "12-20 25-26", behind "masked". */
static void take_masks(struct reader *r, const char *text)
{
	char *end;

	for (size_t i = 0; i < RECORDING_MASKS && *text == ' '; i++) {
		r->masks[i].start = (uint32_t)strtoul(text, &end, 10);
		if (*end != '-')
			return;
		r->masks[i].end = (uint32_t)strtoul(end + 1, &end, 10);
		text = end;
	}
}

static void take_comment(struct reader *r, const uint8_t *text, size_t len)
{
	struct recording_entry entry;
	const char *why;

	if (len >= sizeof(r->line))
		return;
	memcpy(r->line, text, len);
	r->line[len] = '\0';
	if (strncmp(r->line, "masked", strlen("masked")) == 0)
		take_masks(r, r->line + strlen("masked"));
	/* Other comments are people's own. */
	else if (recording_parse(r->line, &entry, r->data, sizeof(r->data), &why) ==
			 RECORDING_ENTRY &&
		 entry.kind > RECORDING_CONTROL)
		tell(r, &entry);
}

static bool take_options(struct reader *r, const uint8_t *at, size_t len)
{
	uint16_t head[2];

	memset(r->masks, 0, sizeof(r->masks));
	while (len >= sizeof(head)) {
		size_t padded;

		memcpy(head, at, sizeof(head));
		if (head[0] == PCAPNG_OPTION_END)
			return true;
		padded = ((size_t)head[1] + 3) / 4 * 4;
		if (padded > len - sizeof(head))
			return fault(r, "an option is longer than its block");
		if (head[0] == PCAPNG_OPTION_COMMENT)
			take_comment(r, at + sizeof(head), head[1]);
		at += sizeof(head) + padded;
		len -= sizeof(head) + padded;
	}
	return true;
}

static enum recording_status status_of(int32_t number)
{
	switch (-(int64_t)number) {
	case 0:
		return RECORDING_OK;
	case EPIPE:
		return RECORDING_STALL;
	case ETIMEDOUT:
		return RECORDING_TIMEOUT;
	case ENOENT:
	case ECONNRESET:
		return RECORDING_CANCELLED;
	case EOVERFLOW:
		return RECORDING_OVERFLOW;
	case ESHUTDOWN:
	case ENODEV:
		return RECORDING_GONE;
	default:
		return RECORDING_ERROR;
	}
}

static struct control *find_control(struct reader *r, uint64_t id)
{
	for (size_t i = 0; i < CONTROLS; i++)
		if (r->controls[i].used && r->controls[i].id == id)
			return &r->controls[i];
	return NULL;
}

static void take_control(
	struct reader *r, const struct usbmon *usbmon, struct recording_entry *entry)
{
	struct control *control = find_control(r, usbmon->id);
	bool in = usbmon->endpoint & 0x80;

	entry->kind = RECORDING_CONTROL;
	if (usbmon->type == 'S') {
		control = &r->controls[r->next_control++ % CONTROLS];
		memcpy(entry->setup, usbmon->setup, sizeof(entry->setup));
		*control = (struct control){ true, usbmon->id, *entry };
		return;
	}
	if (!control)
		return;
	control->used = false;
	/* What went out is in the submission, what came in is here. */
	if (!in)
		*entry = control->entry;
	memcpy(entry->setup, control->entry.setup, sizeof(entry->setup));
	entry->status = status_of(usbmon->status);
	tell(r, entry);
}

static void take_transfer(
	struct reader *r, const struct usbmon *usbmon, struct recording_entry *entry)
{
	bool in = usbmon->endpoint & 0x80;

	entry->endpoint = usbmon->endpoint;
	/* Of a transfer out, what matters is said when it begins; of one in, when it ends. */
	if (in != (usbmon->type == 'C'))
		return;
	if (in)
		entry->status = status_of(usbmon->status);
	entry->kind = in ? RECORDING_IN : RECORDING_OUT;
	if (usbmon->transfer == USBMON_INTERRUPT)
		entry->kind = RECORDING_EVENT;
	/* Transfers that were given up say nothing. */
	if (entry->status == RECORDING_CANCELLED && entry->len == 0)
		return;
	tell(r, entry);
}

static bool take_packet(struct reader *r, const uint8_t *at, size_t len)
{
	struct pcapng_packet packet;
	struct usbmon usbmon;
	struct recording_entry entry = { 0 };
	size_t padded;
	uint64_t time;

	if (len < sizeof(packet))
		return fault(r, "a packet block is too short");
	memcpy(&packet, at, sizeof(packet));
	at += sizeof(packet);
	len -= sizeof(packet);
	padded = ((size_t)packet.captured + 3) / 4 * 4;
	if (packet.captured < sizeof(usbmon) || padded > len)
		return fault(r, "a packet is too short, or longer than its block");
	if (packet.captured - sizeof(usbmon) > RECORDING_DATA_MAX)
		return fault(r, "a packet is too long");
	if (!take_options(r, at + padded, len - padded))
		return false;
	memcpy(&usbmon, at, sizeof(usbmon));
	time = (uint64_t)packet.time_high << 32 | packet.time_low;
	entry.at = (int64_t)(time & INT64_MAX);
	entry.len = packet.captured - (uint32_t)sizeof(usbmon);
	entry.data = entry.len ? at + sizeof(usbmon) : NULL;
	if (packet.original > packet.captured)
		entry.missing = packet.original - packet.captured;
	memcpy(entry.masks, r->masks, sizeof(entry.masks));
	if (usbmon.transfer == USBMON_CONTROL)
		take_control(r, &usbmon, &entry);
	else if (usbmon.transfer == USBMON_BULK || usbmon.transfer == USBMON_INTERRUPT)
		take_transfer(r, &usbmon, &entry);
	return true;
}

static bool take_block(struct reader *r, uint32_t type, const uint8_t *body, size_t len)
{
	uint32_t order;
	uint16_t link;

	switch (type) {
	case PCAPNG_SECTION:
		if (len < 16)
			return fault(r, "the section header is too short");
		memcpy(&order, body, sizeof(order));
		return order == PCAPNG_BYTE_ORDER ||
		       fault(r, "made on a machine of another byte order");
	case PCAPNG_INTERFACE:
		if (len < 8)
			return fault(r, "an interface description is too short");
		memcpy(&link, body, sizeof(link));
		return link == LINKTYPE_USB_LINUX_MMAPPED ||
		       fault(r, "a link type other than USB with usbmon's long header");
	case PCAPNG_PACKET:
		return take_packet(r, body, len);
	case PCAPNG_STATISTICS:
		return len < 12 || take_options(r, body + 12, len - 12);
	default:
		return true;
	}
}

static bool read_blocks(struct reader *r, const uint8_t *bytes, size_t len)
{
	size_t at = 0;

	if (len == 0)
		return fault(r, "not a pcapng file");
	while (at < len && !r->enough) {
		uint32_t head[2];

		if (len - at < 12)
			return fault(r, "the last block is cut");
		memcpy(head, bytes + at, sizeof(head));
		if (at == 0 && head[0] != PCAPNG_SECTION)
			return fault(r, "not a pcapng file");
		if (head[1] < 12 || head[1] % 4 || head[1] > len - at)
			return fault(r, "a block's length is wrong");
		if (!take_block(r, head[0], bytes + at + sizeof(head), head[1] - 12))
			return false;
		at += head[1];
	}
	return true;
}

bool pcapng_read(
	const uint8_t *bytes, size_t len, recording_each *each, void *ctx, const char **why)
{
	struct reader *r = calloc(1, sizeof(*r));
	bool good;

	if (!r) {
		*why = "out of memory";
		return false;
	}
	r->each = each;
	r->ctx = ctx;
	good = read_blocks(r, bytes, len);
	*why = r->why;
	free(r);
	return good;
}
