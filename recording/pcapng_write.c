/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "recording/pcapng.h"
#include "recording/pcapng_private.h"

#define NS_PER_S INT64_C(1000000000)

enum {
	COMMENT_MAX = 65535, /* bytes */
	MASKS_TEXT = 64,
};

struct pcapng {
	FILE *out;
	uint16_t bus;
	uint8_t address;
	int64_t offset;
	uint64_t id;
	char *options; /* comments that wait for a packet, as option list */
	size_t options_len;
	uint8_t setup[8];
	char *line;
};

static size_t padded(size_t len)
{
	return (len + 3) / 4 * 4;
}

/* Appends a comment of at most COMMENT_MAX bytes to those that wait. */
static bool add_comment(struct pcapng *p, const char *text, size_t len)
{
	uint16_t head[2] = { PCAPNG_OPTION_COMMENT, (uint16_t)len };
	size_t room = sizeof(head) + padded(head[1]);
	char *more = realloc(p->options, p->options_len + room);

	if (!more)
		return false;
	p->options = more;
	memset(more + p->options_len, 0, room);
	memcpy(more + p->options_len, head, sizeof(head));
	memcpy(more + p->options_len + sizeof(head), text, head[1]);
	p->options_len += room;
	return true;
}

/* A block of up to three parts and the comments that wait. */
static bool put_block(struct pcapng *p, uint32_t type, const void *a, size_t a_len, const void *b,
	size_t b_len, const void *c, size_t c_len)
{
	static const uint8_t zeros[4];
	static const uint16_t end[2];
	size_t body = a_len + padded(b_len + c_len);
	size_t options = p->options_len ? p->options_len + sizeof(end) : 0;
	uint32_t total = (uint32_t)(12 + body + options);
	FILE *out = p->out;

	fwrite(&type, sizeof(type), 1, out);
	fwrite(&total, sizeof(total), 1, out);
	fwrite(a, 1, a_len, out);
	if (b_len)
		fwrite(b, 1, b_len, out);
	if (c_len)
		fwrite(c, 1, c_len, out);
	fwrite(zeros, 1, padded(b_len + c_len) - b_len - c_len, out);
	if (options) {
		fwrite(p->options, 1, p->options_len, out);
		fwrite(end, sizeof(end), 1, out);
	}
	fwrite(&total, sizeof(total), 1, out);
	p->options_len = 0;
	return !ferror(out);
}

static bool put_begin(struct pcapng *p)
{
	static const struct {
		uint32_t byte_order;
		uint16_t major, minor;
		int64_t length;
	} section = { PCAPNG_BYTE_ORDER, 1, 0, -1 };
	static const struct {
		uint16_t link, reserved;
		uint32_t snap;
		uint16_t option, option_len;
		uint8_t resolution[4]; /* 10^-9 s */
		uint32_t end;
	} interface = { LINKTYPE_USB_LINUX_MMAPPED, 0, 0, PCAPNG_OPTION_TSRESOL, 1, { 9 }, 0 };

	return put_block(p, PCAPNG_SECTION, &section, sizeof(section), NULL, 0, NULL, 0) &&
	       put_block(p, PCAPNG_INTERFACE, &interface, sizeof(interface), NULL, 0, NULL, 0);
}

struct pcapng *pcapng_new(FILE *out, uint16_t bus, uint8_t address, int64_t offset)
{
	struct pcapng *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->line = malloc(recording_line_max(RECORDING_DATA_MAX));
	p->out = out;
	p->bus = bus;
	p->address = address;
	p->offset = offset;
	if (p->line && put_begin(p))
		return p;
	free(p->line);
	free(p);
	return NULL;
}

static bool put_masks(struct pcapng *p, const struct recording_entry *entry)
{
	char text[MASKS_TEXT] = "masked";
	size_t len = strlen(text);

	for (size_t i = 0; i < RECORDING_MASKS; i++)
		if (entry->masks[i].end > entry->masks[i].start)
			len += (size_t)snprintf(text + len, sizeof(text) - len, " %u-%u",
				entry->masks[i].start, entry->masks[i].end);
	return strlen(text) == strlen("masked") || add_comment(p, text, len);
}

static int32_t status_number(enum recording_status status)
{
	static const int numbers[] = {
		[RECORDING_OK] = 0,
		[RECORDING_STALL] = -EPIPE,
		[RECORDING_TIMEOUT] = -ETIMEDOUT,
		[RECORDING_CANCELLED] = -ENOENT,
		[RECORDING_OVERFLOW] = -EOVERFLOW,
		[RECORDING_ERROR] = -EPROTO,
		[RECORDING_GONE] = -ESHUTDOWN,
	};

	return numbers[status];
}

/* One of the two packets of a transfer; with its data, or without. */
static bool put_packet(
	struct pcapng *p, const struct recording_entry *entry, uint8_t type, bool with_data)
{
	int64_t time = entry->at + p->offset;
	uint32_t len = with_data ? entry->len : 0;
	struct usbmon usbmon = {
		.id = p->id,
		.type = type,
		.transfer = USBMON_BULK,
		.endpoint = entry->endpoint,
		.address = p->address,
		.bus = p->bus,
		.flag_setup = '-',
		.flag_data = 0,
		.seconds = time / NS_PER_S,
		.microseconds = (int32_t)(time % NS_PER_S / 1000),
		.status = type == 'S' ? -EINPROGRESS : status_number(entry->status),
		.length = entry->len + (with_data ? entry->missing : 0),
		.captured = len,
	};
	struct pcapng_packet packet = {
		.time_high = (uint32_t)(time >> 32),
		.time_low = (uint32_t)time,
		.captured = (uint32_t)sizeof(usbmon) + len,
		.original = (uint32_t)sizeof(usbmon) + usbmon.length,
	};

	if (entry->kind == RECORDING_EVENT)
		usbmon.transfer = USBMON_INTERRUPT;
	if (entry->kind == RECORDING_CONTROL) {
		usbmon.transfer = USBMON_CONTROL;
		usbmon.endpoint = entry->setup[0] & 0x80;
		if (type == 'S') {
			usbmon.flag_setup = 0;
			memcpy(usbmon.setup, entry->setup, sizeof(usbmon.setup));
			usbmon.length = entry->setup[6] | (uint32_t)entry->setup[7] << 8;
		}
	}
	if (len == 0)
		usbmon.flag_data = usbmon.endpoint & 0x80 ? '<' : '>';
	if (with_data && !put_masks(p, entry))
		return false;
	return put_block(p, PCAPNG_PACKET, &packet, sizeof(packet), &usbmon, sizeof(usbmon),
		entry->data, len);
}

static bool put_transfer(struct pcapng *p, const struct recording_entry *entry)
{
	bool in = (entry->kind == RECORDING_CONTROL ? entry->setup[0] : entry->endpoint) & 0x80;

	p->id++;
	return put_packet(p, entry, 'S', !in) && put_packet(p, entry, 'C', in);
}

/* What doesn't fit into a comment is told as missing. */
static bool put_line(struct pcapng *p, const struct recording_entry *entry)
{
	struct recording_entry shown = *entry;
	size_t most = (COMMENT_MAX - recording_line_max(0)) / 3;

	if (shown.len > most) {
		shown.missing += shown.len - (uint32_t)most;
		shown.len = (uint32_t)most;
	}
	return add_comment(p, p->line, recording_print(&shown, p->line) - 1);
}

bool pcapng_write(struct pcapng *p, const struct recording_entry *entry)
{
	return entry->kind <= RECORDING_CONTROL ? put_transfer(p, entry) : put_line(p, entry);
}

bool pcapng_end(struct pcapng *p)
{
	static const uint32_t statistics[3]; /* of interface 0, at no time */
	bool good = true;

	if (!p)
		return true;
	if (p->options_len)
		good = put_block(
			p, PCAPNG_STATISTICS, statistics, sizeof(statistics), NULL, 0, NULL, 0);
	good = fflush(p->out) == 0 && good;
	free(p->options);
	free(p->line);
	free(p);
	return good;
}
