/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PC/SC's pseudo APDUs for readers that do not serve them themselves (PC/SC part 3, supplemental
 * document for contactless ICCs, §3.2.2).
 */
#include <string.h>

#include "iso7816/apdu.h"
#include "raw_private.h"

enum {
	INS_LOAD_KEYS = 0x82,
	INS_GENERAL_AUTHENTICATE = 0x86,
	INS_AUTHENTICATE = 0x88, /* its older form */
	INS_READ_BINARY = 0xB0,
	INS_TRANSPARENT = 0xC2,
	INS_GET_DATA = 0xCA,
	INS_UPDATE_BINARY = 0xD6,

	KEY_A = 0x60,
	KEY_B = 0x61,
	CARD_KEY_VOLATILE_MAX = 0x20, /* P1 of LOAD KEYS: bit 6 asks for non-volatile memory */

	FRAME_READ = 0x30,
	FRAME_WRITE_BLOCK = 0xA0,
	FRAME_WRITE_PAGE = 0xA2,
	BLOCK_SIZE = 16,
	PAGE_SIZE = 4,
	SAK_PAGES = 0x00, /* tags of 4-byte pages */
	UID_IN_FRAME = 4,

	MANAGE_SESSION = 0,
	TRANSPARENT_EXCHANGE = 1,
	SWITCH_PROTOCOL = 2,

	SW_OK = 0x9000,
	SW_FAILED = 0x6300,
	SW_MEMORY_FAILURE = 0x6581,
	SW_WRONG_LENGTH = 0x6700,
	SW_SECURITY_STATUS = 0x6982,
	SW_CONDITIONS = 0x6985,
	SW_KEY_NUMBER = 0x6988,
	SW_KEY_LENGTH = 0x6989,
	SW_WRONG_DATA = 0x6A80,
	SW_NOT_SUPPORTED = 0x6A81,
	SW_NO_SUCH_BLOCK = 0x6A82,
	SW_WRONG_P1P2 = 0x6A86,
	SW_WRONG_LE = 0x6C00,
	SW_INS = 0x6D00,

	MAX_DATA = 254,
	EXCHANGE_ROOM = 3 + 2 + RAW_MAX_FRAME, /* of what an exchange adds to the answer */
};

/* A pseudo APDU under way: what it wants and the answer so far. */
struct order {
	struct raw *raw;
	struct apdu apdu;
	uint8_t data[MAX_DATA];
	size_t len;
	bool *secret;            /* to be set before a key goes to the reader */
	enum ccid_result result; /* when it is not CCID_OK there is no answer */
};

/* Each returns the status word; a failure of the reader or the tag's loss goes to o->result. */
typedef uint16_t order_fn(struct order *o);

/* SW when the tag refuses. */
static uint16_t run_frame(struct order *o, const uint8_t *frame, size_t len, uint8_t *answer,
	size_t *answer_len, uint16_t refused)
{
	struct raw *raw = o->raw;
	enum ccid_result result;

	raw->used = true;
	result = raw->dialect->frame(raw->owner, frame, len, answer, answer_len);
	if (result == CCID_OK)
		return SW_OK;
	result = raw_after_failure(raw, result);
	if (result != CCID_CARD)
		o->result = result;
	return refused;
}

/* P1 0: UID, PUPI or IDm. P1 1: historical bytes of the ATS. */
static uint16_t get_data(struct order *o)
{
	const struct picc *picc = &o->raw->picc;
	const uint8_t *bytes = picc->uid;
	size_t len = picc->uid_len;

	if (o->apdu.p1 > 1 || o->apdu.p2)
		return SW_WRONG_P1P2;
	if (o->apdu.p1 == 1) {
		if (picc->kind != PICC_A4)
			return SW_NOT_SUPPORTED;
		bytes = picc->historical;
		len = picc->historical_len;
	}
	if (o->apdu.ne < len)
		return (uint16_t)(SW_WRONG_LE | len);
	/* What is known of it would be told of a tag that has left, or of another one, too. */
	o->result = raw_presence(o->raw);
	if (o->result != CCID_OK)
		return SW_OK;
	memcpy(o->data, bytes, len);
	o->len = len;
	return SW_OK;
}

static uint16_t load_keys(struct order *o)
{
	*o->secret = true;
	if (o->apdu.p1 & CARD_KEY_VOLATILE_MAX)
		return SW_NOT_SUPPORTED;
	if (o->apdu.p1)
		return SW_WRONG_P1P2;
	if (o->apdu.p2 >= RAW_KEYS)
		return SW_KEY_NUMBER;
	if (o->apdu.nc != RAW_KEY_SIZE)
		return SW_KEY_LENGTH;
	memcpy(o->raw->keys[o->apdu.p2], o->apdu.data, RAW_KEY_SIZE);
	o->raw->loaded[o->apdu.p2] = true;
	return SW_OK;
}

static uint16_t send_key(struct order *o)
{
	struct raw *raw = o->raw;
	uint8_t frame[2 + RAW_KEY_SIZE + UID_IN_FRAME] = { raw->key_type, (uint8_t)raw->block };
	uint8_t none[RAW_MAX_FRAME];
	size_t none_len = 0;
	uint16_t sw;

	memcpy(frame + 2, raw->keys[raw->key_number], RAW_KEY_SIZE);
	/* The last four of a longer UID take part (NXP AN10927). */
	memcpy(frame + 2 + RAW_KEY_SIZE, raw->picc.uid + raw->picc.uid_len - UID_IN_FRAME,
		UID_IN_FRAME);
	*o->secret = true;
	sw = run_frame(o, frame, sizeof(frame), none, &none_len, SW_FAILED);
	explicit_bzero(frame, sizeof(frame));
	raw->authenticated = sw == SW_OK;
	if (sw != SW_OK)
		raw->block = RAW_NO_BLOCK;
	return sw;
}

static uint16_t authenticate_block(struct order *o, unsigned block, uint8_t type, uint8_t key)
{
	struct raw *raw = o->raw;

	if (raw->picc.sak == SAK_PAGES)
		return SW_NOT_SUPPORTED;
	if (type != KEY_A && type != KEY_B)
		return SW_WRONG_DATA;
	if (block > UINT8_MAX)
		return SW_NO_SUCH_BLOCK;
	if (key >= RAW_KEYS || !raw->loaded[key])
		return SW_KEY_NUMBER;
	raw->block = (int)block;
	raw->key_type = type;
	raw->key_number = key;
	return send_key(o);
}

/* Data: version 01, block in two bytes, key type, key number. */
static uint16_t general_authenticate(struct order *o)
{
	const uint8_t *d = o->apdu.data;

	if (o->apdu.nc != 5)
		return SW_WRONG_LENGTH;
	if (d[0] != 1)
		return SW_WRONG_DATA;
	return authenticate_block(o, (unsigned)(d[1] << 8 | d[2]), d[3], d[4]);
}

static uint16_t authenticate(struct order *o)
{
	if (o->apdu.nc != 2)
		return SW_WRONG_LENGTH;
	return authenticate_block(
		o, (unsigned)(o->apdu.p1 << 8 | o->apdu.p2), o->apdu.data[0], o->apdu.data[1]);
}

/* Before an access: the authentication that a new selection has undone. */
static uint16_t authenticate_again(struct order *o)
{
	if (o->raw->block == RAW_NO_BLOCK || o->raw->authenticated)
		return SW_OK;
	return send_key(o) == SW_OK ? SW_OK : SW_SECURITY_STATUS;
}

static uint16_t read_binary(struct order *o)
{
	uint8_t frame[2] = { FRAME_READ, o->apdu.p2 };
	uint8_t block[RAW_MAX_FRAME];
	size_t len = 0;
	uint16_t sw;

	if (o->apdu.p1)
		return SW_NO_SUCH_BLOCK;
	if (o->apdu.ne == 0)
		return SW_WRONG_LENGTH;
	if (o->apdu.ne > BLOCK_SIZE && o->apdu.ne < 256)
		return SW_WRONG_LE | BLOCK_SIZE;
	sw = authenticate_again(o);
	if (sw == SW_OK)
		sw = run_frame(o, frame, sizeof(frame), block, &len, SW_SECURITY_STATUS);
	if (sw != SW_OK)
		return sw;
	o->len = o->apdu.ne < len ? o->apdu.ne : len;
	memcpy(o->data, block, o->len);
	return SW_OK;
}

static uint16_t update_binary(struct order *o)
{
	bool pages = o->raw->picc.sak == SAK_PAGES;
	size_t size = pages ? PAGE_SIZE : BLOCK_SIZE;
	uint8_t frame[2 + BLOCK_SIZE] = { pages ? FRAME_WRITE_PAGE : FRAME_WRITE_BLOCK,
		o->apdu.p2 };
	uint8_t none[RAW_MAX_FRAME];
	size_t none_len = 0;
	uint16_t sw;

	if (o->apdu.p1)
		return SW_NO_SUCH_BLOCK;
	if (o->apdu.nc != size)
		return SW_WRONG_LENGTH;
	memcpy(frame + 2, o->apdu.data, size);
	sw = authenticate_again(o);
	if (sw != SW_OK)
		return sw;
	return run_frame(o, frame, 2 + size, none, &none_len,
		o->raw->block == RAW_NO_BLOCK && !pages ? SW_SECURITY_STATUS : SW_MEMORY_FAILURE);
}

/* Transparent session (amendment 1 of the supplement, §3.2.2.2): what its objects hold. */

struct object {
	uint16_t tag;
	const uint8_t *value;
	size_t len;
};

/* Steps over the next BER-TLV object; false: there is none, or it is not whole. */
static bool next_object(const uint8_t **at, const uint8_t *end, struct object *object)
{
	const uint8_t *p = *at;

	if (end - p < 2)
		return false;
	object->tag = *p++;
	if ((object->tag & 0x1F) == 0x1F)
		object->tag = (uint16_t)(object->tag << 8 | *p++);
	if (p == end || *p > 0x7F || *p > end - p - 1)
		return false;
	object->len = *p++;
	object->value = p;
	*at = p + object->len;
	return true;
}

static void put_object(struct order *o, uint8_t tag, const uint8_t *value, size_t len)
{
	o->data[o->len++] = tag;
	o->data[o->len++] = (uint8_t)len;
	memcpy(o->data + o->len, value, len);
	o->len += len;
}

static uint16_t do_session(struct order *o, const struct object *object)
{
	struct raw *raw = o->raw;
	enum ccid_result result;

	switch (object->tag) {
	case 0x81: /* start */
		raw->transparent = true;
		return SW_OK;
	case 0x82: /* end: the tag anew, as the host knows it */
		raw->transparent = false;
		result = raw_after_failure(raw, CCID_CARD);
		if (result != CCID_CARD)
			o->result = result;
		return SW_OK;
	case 0x83: /* field off */
		if (!raw->transparent)
			return SW_CONDITIONS;
		result = raw->dialect->field_off(raw->owner);
		o->result = result;
		return SW_OK;
	case 0x84: /* field on: it comes with the next frame */
		return raw->transparent ? SW_OK : SW_CONDITIONS;
	default:
		return SW_NOT_SUPPORTED;
	}
}

static uint16_t do_exchange(struct order *o, const struct object *object)
{
	static const uint8_t whole_bytes[] = { 0x00 };
	uint8_t answer[RAW_MAX_FRAME];
	size_t len = sizeof(answer);
	struct raw *raw = o->raw;
	enum ccid_result result;

	if (!raw->transparent)
		return SW_CONDITIONS;
	/* Framing other than whole bytes is beyond what chips do with a plain frame. */
	if (object->tag == 0x91 || object->tag == 0x92)
		return object->len == 1 && object->value[0] == 0 ? SW_OK : SW_NOT_SUPPORTED;
	if (object->tag != 0x95 || object->len == 0 || object->len > RAW_MAX_FRAME)
		return SW_NOT_SUPPORTED;
	if (o->len + EXCHANGE_ROOM > MAX_DATA)
		return SW_FAILED;
	raw->used = true;
	raw->authenticated = false;
	result = raw->dialect->transceive(raw->owner, object->value, object->len, answer, &len);
	if (result == CCID_ABSENT || result == CCID_CARD)
		return SW_FAILED;
	o->result = result;
	if (result != CCID_OK)
		return SW_OK;
	put_object(o, 0x92, whole_bytes, sizeof(whole_bytes));
	put_object(o, 0x97, answer, len);
	return SW_OK;
}

/* 8F 02: technology 00 (ISO 14443 A) or 01 (B), then the layer. The tag is where it has been. */
static uint16_t do_switch(struct order *o, const struct object *object)
{
	const struct picc *picc = &o->raw->picc;
	bool b = picc->kind == PICC_B4;
	bool part4 = b || picc->kind == PICC_A4;

	if (object->tag != 0x8F || object->len != 2)
		return SW_NOT_SUPPORTED;
	if (object->value[0] != (b ? 1 : 0) || object->value[1] != (part4 ? 4 : 3))
		return SW_NOT_SUPPORTED;
	return SW_OK;
}

/*
 * Objects one by one; the first that fails ends it. C0 says which and why; the status word of the
 * pseudo APDU itself is 90 00 all the same.
 */
static uint16_t transparent(struct order *o)
{
	static uint16_t (*const functions[])(struct order *, const struct object *) = {
		[MANAGE_SESSION] = do_session,
		[TRANSPARENT_EXCHANGE] = do_exchange,
		[SWITCH_PROTOCOL] = do_switch,
	};
	const uint8_t *at = o->apdu.data;
	const uint8_t *end;
	uint8_t status[3] = { 0 };
	struct object object;
	uint16_t sw = SW_OK;

	if (o->apdu.p1 || o->apdu.p2 > SWITCH_PROTOCOL || o->apdu.nc == 0)
		return SW_WRONG_P1P2;
	end = at + o->apdu.nc;
	put_object(o, 0xC0, status, sizeof(status));
	while (sw == SW_OK && o->result == CCID_OK && at < end) {
		status[0]++;
		sw = next_object(&at, end, &object) ? functions[o->apdu.p2](o, &object)
						    : SW_WRONG_DATA;
	}
	o->data[2] = sw == SW_OK ? 0 : status[0];
	o->data[3] = (uint8_t)(sw >> 8);
	o->data[4] = (uint8_t)sw;
	return SW_OK;
}

static const struct {
	uint8_t ins;
	bool memory; /* for tags with blocks only */
	order_fn *run;
} orders[] = {
	{ INS_GET_DATA, false, get_data },
	{ INS_LOAD_KEYS, false, load_keys },
	{ INS_GENERAL_AUTHENTICATE, true, general_authenticate },
	{ INS_AUTHENTICATE, true, authenticate },
	{ INS_READ_BINARY, true, read_binary },
	{ INS_UPDATE_BINARY, true, update_binary },
	{ INS_TRANSPARENT, false, transparent },
};

static uint16_t run_order(struct order *o)
{
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		if (orders[i].ins != o->apdu.ins)
			continue;
		if (orders[i].memory && o->raw->picc.kind != PICC_MEMORY)
			return SW_NOT_SUPPORTED;
		return orders[i].run(o);
	}
	return SW_INS;
}

enum ccid_result raw_pseudo(struct raw *raw, const uint8_t *command, size_t len, uint8_t *response,
	size_t *rsp_len, bool *secret)
{
	struct order o = { .raw = raw, .result = CCID_OK, .secret = secret };
	uint16_t sw = SW_WRONG_LENGTH;

	if (apdu_parse(command, len, &o.apdu))
		sw = run_order(&o);
	if (o.result != CCID_OK)
		return o.result;
	/* Data belong to 90 00 only. */
	if (sw != SW_OK)
		o.len = 0;
	if (*rsp_len < o.len + 2)
		return CCID_OVERRUN;
	memcpy(response, o.data, o.len);
	response[o.len] = (uint8_t)(sw >> 8);
	response[o.len + 1] = (uint8_t)sw;
	*rsp_len = o.len + 2;
	return CCID_OK;
}
