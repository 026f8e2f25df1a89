/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/cards/tag_front.h"

#include <string.h>

enum {
	CLA_READER = 0xFF,
	INS_LOAD_KEY = 0x82,
	INS_AUTHENTICATE_OLD = 0x88, /* of part 3 before revision 2: no data object */
	INS_AUTHENTICATE = 0x86,
	INS_READ = 0xB0,
	INS_GET_DATA = 0xCA,
	INS_UPDATE = 0xD6,

	SW_NO_INFORMATION = 0x6300, /* also: authentication or the operation failed */
	SW_KEY_NUMBER = 0x6988,
	SW_WRONG_LE = 0x6C00,

	PAGE_SIZE = 4,
};

/* Historical bytes of a tag without any of its own: a status indicator, the AID of the PC/SC
 * workgroup, the standard it follows and its name there. */
static size_t put_memory_historical(const struct tag_identity *identity, uint8_t *out)
{
	static const uint8_t begin[] = { 0x80, 0x4F, 0x0C, 0xA0, 0x00, 0x00, 0x03, 0x06, 0x03 };
	size_t n = sizeof(begin);

	memcpy(out, begin, n);
	out[n++] = 0x00;
	out[n++] = identity->kind == TAG_CLASSIC ? 0x01 : 0x03;
	memset(out + n, 0, 4);
	return n + 4;
}

static size_t put_historical(const struct tag_identity *identity, uint8_t *out)
{
	if (identity->kind == TAG_B) {
		/* Application data, protocol info, and MBLI in the high nibble. */
		memcpy(out, identity->atqb + 5, 7);
		out[7] = (uint8_t)(identity->mbli << 4);
		return 8;
	}
	if (identity->kind != TAG_A)
		return put_memory_historical(identity, out);
	memcpy(out, identity->historical, identity->historical_len);
	return identity->historical_len;
}

size_t tag_front_atr(const struct tag_identity *identity, uint8_t out[TAG_FRONT_ATR_MAX])
{
	size_t k = put_historical(identity, out + 4);
	size_t n = 4 + k;

	out[0] = 0x3B;
	out[1] = (uint8_t)(0x80 | k);
	out[2] = 0x80;
	out[3] = 0x01;
	out[n] = 0;
	for (size_t i = 1; i < n; i++)
		out[n] ^= out[i];
	return n + 1;
}

/* A command for the reader itself, and the answer it makes. */
struct order {
	struct tag_front *front;
	struct tag *tag;
	const struct apdu_command *cmd;
	uint8_t *out; /* answer data, TAG_FRAME_MAX bytes */
	size_t len;
};

/* P1 = 0: UID or PUPI, P1 = 1: historical bytes of the ATS. */
static uint16_t get_data(struct order *o)
{
	const struct tag_identity *identity = tag_identity(o->tag);
	size_t len = identity->uid_len;

	if (o->cmd->p1 > 1 || o->cmd->p2)
		return SW_WRONG_P1P2;
	if (o->cmd->p1 == 1) {
		if (identity->kind != TAG_A)
			return SW_NOT_SUPPORTED;
		len = identity->historical_len;
	}
	if (o->cmd->ne < len)
		return (uint16_t)(SW_WRONG_LE | len);
	memcpy(o->out, o->cmd->p1 ? identity->historical : identity->uid, len);
	o->len = len;
	return SW_OK;
}

/* A card key in clear into the reader's memory that forgets. */
static uint16_t load_key(struct order *o)
{
	if (o->cmd->p1)
		return SW_WRONG_P1P2;
	if (o->cmd->p2 >= TAG_FRONT_KEYS)
		return SW_KEY_NUMBER;
	if (o->cmd->nc != TAG_KEY_SIZE)
		return SW_WRONG_LENGTH;
	memcpy(o->front->keys[o->cmd->p2], o->cmd->data, TAG_KEY_SIZE);
	o->front->loaded[o->cmd->p2] = true;
	return SW_OK;
}

static uint16_t authenticate_block(struct order *o, uint8_t block, uint8_t type, uint8_t key)
{
	uint8_t frame[2 + TAG_KEY_SIZE + 4] = { type, block };
	const struct tag_identity *identity = tag_identity(o->tag);
	uint8_t none[TAG_FRAME_MAX];

	if (type != 0x60 && type != 0x61)
		return SW_WRONG_DATA;
	if (key >= TAG_FRONT_KEYS || !o->front->loaded[key])
		return SW_KEY_NUMBER;
	memcpy(frame + 2, o->front->keys[key], TAG_KEY_SIZE);
	memcpy(frame + 2 + TAG_KEY_SIZE, identity->uid + identity->uid_len - 4, 4);
	return tag_frame(o->tag, frame, sizeof(frame), none) < 0 ? SW_NO_INFORMATION : SW_OK;
}

/* 01, block number in two bytes, key type, key number. */
static uint16_t authenticate(struct order *o)
{
	const uint8_t *d = o->cmd->data;

	if (o->cmd->nc != 5)
		return SW_WRONG_LENGTH;
	if (d[0] != 1 || d[1] != 0)
		return SW_WRONG_DATA;
	return authenticate_block(o, d[2], d[3], d[4]);
}

/* P1 P2 block, data: key type and number. */
static uint16_t authenticate_old(struct order *o)
{
	if (o->cmd->nc != 2)
		return SW_WRONG_LENGTH;
	return authenticate_block(o, o->cmd->p2, o->cmd->data[0], o->cmd->data[1]);
}

static uint16_t read_block(struct order *o)
{
	uint8_t frame[2] = { 0x30, o->cmd->p2 };
	int n = o->cmd->p1 ? -1 : tag_frame(o->tag, frame, sizeof(frame), o->out);

	if (n < 0)
		return o->cmd->p1 ? SW_FILE_NOT_FOUND : SW_SECURITY_STATUS;
	if (o->cmd->ne == 0)
		return SW_WRONG_LENGTH;
	if (o->cmd->ne < 256 && o->cmd->ne > (size_t)n)
		return (uint16_t)(SW_WRONG_LE | n);
	o->len = o->cmd->ne < (size_t)n ? o->cmd->ne : (size_t)n;
	return SW_OK;
}

static uint16_t update_block(struct order *o)
{
	uint8_t frame[2 + TAG_BLOCK_SIZE] = { 0xA0, o->cmd->p2 };
	size_t size = TAG_BLOCK_SIZE;

	if (tag_identity(o->tag)->kind == TAG_ULTRALIGHT) {
		frame[0] = 0xA2;
		size = PAGE_SIZE;
	}
	if (o->cmd->nc != size)
		return SW_WRONG_LENGTH;
	memcpy(frame + 2, o->cmd->data, size);
	if (o->cmd->p1)
		return SW_FILE_NOT_FOUND;
	return tag_frame(o->tag, frame, 2 + size, o->out) < 0 ? SW_SECURITY_STATUS : SW_OK;
}

static const struct {
	uint8_t ins;
	bool memory; /* for tags with blocks only */
	uint16_t (*run)(struct order *o);
} orders[] = {
	{ INS_GET_DATA, false, get_data },
	{ INS_LOAD_KEY, false, load_key },
	{ INS_AUTHENTICATE, true, authenticate },
	{ INS_AUTHENTICATE_OLD, true, authenticate_old },
	{ INS_READ, true, read_block },
	{ INS_UPDATE, true, update_block },
};

static uint16_t run_order(struct order *o)
{
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		if (orders[i].ins != o->cmd->ins)
			continue;
		if (orders[i].memory && tag_has_apdus(o->tag))
			return SW_NOT_SUPPORTED;
		return orders[i].run(o);
	}
	return SW_INS_NOT_SUPPORTED;
}

const struct card_response *tag_front_exchange(
	struct tag_front *front, struct tag *tag, const uint8_t *apdu, size_t len)
{
	struct card_response *rsp = &front->response;
	struct apdu_command cmd;
	struct order o = { .front = front, .tag = tag, .cmd = &cmd, .out = rsp->data };
	uint16_t sw = SW_NOT_SUPPORTED;

	if (len && apdu[0] != CLA_READER && tag_has_apdus(tag))
		return tag_exchange(tag, apdu, len);
	rsp->delay_ms = 0;
	rsp->mute = false;
	if (!apdu_parse(apdu, len, &cmd))
		sw = SW_WRONG_LENGTH;
	else if (apdu[0] == CLA_READER)
		sw = run_order(&o);
	rsp->data[o.len] = (uint8_t)(sw >> 8);
	rsp->data[o.len + 1] = (uint8_t)sw;
	rsp->len = o.len + 2;
	return rsp;
}
