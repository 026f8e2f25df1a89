/* SPDX-License-Identifier: BSD-3-Clause */
/* What the actions of a fault script do to a message. */
#include <string.h>

#include "spec/ccid.h"
#include "vreader/bytes.h"
#include "vreader/firmware/fault_parts.h"

enum {
	FULL_PACKET = 64, /* wMaxPacketSize of a full-speed bulk pipe */
	EXTENSIONS_MAX = 1000,
	COPIES_MAX = 100,
	DELAY_MAX_MS = 600000,
};

static void do_drop(const struct rule *r, struct fault_outcome *out)
{
	(void)r;
	out->drop = true;
}

static void do_delay(const struct rule *r, struct fault_outcome *out)
{
	out->delay_ms = r->args[0];
}

static void do_truncate(const struct rule *r, struct fault_outcome *out)
{
	if (r->args[0] < out->len)
		out->len = r->args[0];
}

/* Two rules that both make the message longer must not do so beyond the room. */
static void do_oversize(const struct rule *r, struct fault_outcome *out)
{
	if (r->args[0] > out->room - out->len)
		return;
	memset(out->msg + out->len, 0xA5, r->args[0]);
	out->len += r->args[0];
}

static void do_repeat(const struct rule *r, struct fault_outcome *out)
{
	out->repeat = r->args[0];
}

static void do_set(const struct rule *r, struct fault_outcome *out)
{
	if (r->args[0] < out->len)
		out->msg[r->args[0]] = (uint8_t)r->args[1];
}

static void do_xor(const struct rule *r, struct fault_outcome *out)
{
	if (r->args[0] < out->len)
		out->msg[r->args[0]] ^= (uint8_t)r->args[1];
}

static void set_field(struct fault_outcome *out, size_t offset, uint32_t value)
{
	if (offset < out->len)
		out->msg[offset] = (uint8_t)value;
}

static void do_type(const struct rule *r, struct fault_outcome *out)
{
	set_field(out, CCID_MSG_bMessageType, r->args[0]);
}

static void do_slot(const struct rule *r, struct fault_outcome *out)
{
	set_field(out, CCID_MSG_bSlot, r->args[0]);
}

static void do_seq(const struct rule *r, struct fault_outcome *out)
{
	if (out->len > CCID_MSG_bSeq)
		set_field(out, CCID_MSG_bSeq, out->msg[CCID_MSG_bSeq] + r->args[0]);
}

static void do_length(const struct rule *r, struct fault_outcome *out)
{
	if (out->len >= CCID_MSG_HEADER_SIZE)
		put_le32(out->msg + CCID_MSG_dwLength, r->args[0]);
}

static void do_replace(const struct rule *r, struct fault_outcome *out)
{
	memcpy(out->msg, r->bytes, r->len);
	out->len = r->len;
}

/* abData alone, with a dwLength that fits. */
static void do_data(const struct rule *r, struct fault_outcome *out)
{
	if (out->len < CCID_MSG_HEADER_SIZE)
		return;
	memcpy(out->msg + CCID_MSG_abData, r->bytes, r->len);
	out->len = CCID_MSG_HEADER_SIZE + r->len;
	put_le32(out->msg + CCID_MSG_dwLength, (uint32_t)r->len);
}

/* A command that failed: no data, bStatus and bError say so. */
static void do_fail(const struct rule *r, struct fault_outcome *out)
{
	if (out->len < CCID_MSG_HEADER_SIZE)
		return;
	out->len = CCID_MSG_HEADER_SIZE;
	put_le32(out->msg + CCID_MSG_dwLength, 0);
	out->msg[CCID_MSG_bStatus] =
		(uint8_t)((out->msg[CCID_MSG_bStatus] & CCID_ICC_MASK) | CCID_COMMAND_FAILED);
	out->msg[CCID_MSG_bError] = (uint8_t)r->args[0];
}

static void do_drop_full(const struct rule *r, struct fault_outcome *out)
{
	(void)r;
	if (out->len % FULL_PACKET == 0)
		out->drop = true;
}

static void do_before(const struct rule *r, struct fault_outcome *out)
{
	memcpy(out->before, r->bytes, r->len);
	out->before_len = r->len;
}

static void do_extend(const struct rule *r, struct fault_outcome *out)
{
	out->extensions = r->args[0];
	out->multiplier = (uint8_t)r->args[1];
}

static void do_split(const struct rule *r, struct fault_outcome *out)
{
	out->split = r->args[0];
}

static void do_nozlp(const struct rule *r, struct fault_outcome *out)
{
	(void)r;
	out->no_zlp = true;
}

static void do_stall(const struct rule *r, struct fault_outcome *out)
{
	(void)r;
	out->stall = true;
}

static void do_stall_out(const struct rule *r, struct fault_outcome *out)
{
	(void)r;
	out->stall_out = true;
}

static void do_disappear(const struct rule *r, struct fault_outcome *out)
{
	(void)r;
	out->disappear = true;
}

static const struct fault_action actions[] = {
	{ "drop", FAULT_NO_ARGUMENTS, 0, do_drop, true },
	{ "drop-full", FAULT_NO_ARGUMENTS, 0, do_drop_full, false },
	{ "fail", FAULT_NUMBER, 255, do_fail, false },
	{ "delay", FAULT_NUMBER, DELAY_MAX_MS, do_delay, true },
	{ "truncate", FAULT_NUMBER, UINT32_MAX, do_truncate, true },
	{ "oversize", FAULT_NUMBER, FAULT_BYTES_MAX, do_oversize, true },
	{ "repeat", FAULT_NUMBER, COPIES_MAX, do_repeat, false },
	{ "set", FAULT_TWO_NUMBERS, UINT32_MAX, do_set, true },
	{ "xor", FAULT_TWO_NUMBERS, UINT32_MAX, do_xor, true },
	{ "type", FAULT_NUMBER, 255, do_type, false },
	{ "slot", FAULT_NUMBER, 255, do_slot, false },
	{ "seq", FAULT_NUMBER, 255, do_seq, false },
	{ "length", FAULT_NUMBER, UINT32_MAX, do_length, false },
	{ "replace", FAULT_HEX, 0, do_replace, true },
	{ "data", FAULT_HEX, 0, do_data, false },
	{ "before", FAULT_HEX, 0, do_before, false },
	{ "extend", FAULT_COUNT_AND_NUMBER, EXTENSIONS_MAX, do_extend, false },
	{ "split", FAULT_NUMBER, UINT32_MAX, do_split, false },
	{ "nozlp", FAULT_NO_ARGUMENTS, 0, do_nozlp, false },
	{ "stall", FAULT_NO_ARGUMENTS, 0, do_stall, true },
	{ "stall-out", FAULT_NO_ARGUMENTS, 0, do_stall_out, false },
	{ "disappear", FAULT_NO_ARGUMENTS, 0, do_disappear, true },
};

const struct fault_action *fault_action_named(const char *name)
{
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (strcmp(actions[i].name, name) == 0)
			return &actions[i];
	return NULL;
}
