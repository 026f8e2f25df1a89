/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The chip and the tags behind a reader of raw commands, all hostile, and an application that sends
 * whatever it likes. Input: calls (presence, reset, power off, APDU), each followed by what it needs;
 * the chip's answers are taken from the same bytes, length first.
 */
#include <stdlib.h>
#include <string.h>

#include "ifd-ccid/contactless/raw_pn532.h"
#include "iso7816/atr.h"

enum {
	PRESENCE,
	POWER_ON,
	POWER_OFF,
	TRANSMIT, /* and above: the room for the response */
	MAX_CALLS = 200,
};

struct input {
	struct pn532_carrier carrier; /* first */
	const uint8_t *data;
	size_t len;
};

static void require(bool condition)
{
	if (!condition)
		abort();
}

/* Up to MAX of the bytes that are left. */
static size_t take(struct input *input, uint8_t *out, size_t max)
{
	size_t n;

	if (input->len == 0)
		return 0;
	n = *input->data++;
	input->len--;
	if (n > input->len)
		n = input->len;
	if (n > max)
		n = max;
	memcpy(out, input->data, n);
	input->data += n;
	input->len -= n;
	return n;
}

/* Well-formed around what the input says, so that the fuzzer gets behind the first check. */
static enum ccid_result answer(struct pn532_carrier *carrier, const uint8_t *command, size_t len,
	uint8_t *out, size_t *out_len)
{
	struct input *input = (struct input *)carrier;
	size_t n;

	require(len >= 7 && len <= 5 + 255 && command[4] == len - 5);
	if (input->len == 0)
		return CCID_TIMEOUT;
	out[0] = 0xD5;
	out[1] = (uint8_t)(command[6] + 1);
	n = 2 + take(input, out + 2, *out_len - 4);
	out[n++] = 0x90;
	out[n++] = 0x00;
	*out_len = n;
	return CCID_OK;
}

static void transmit(struct raw *raw, struct input *input, size_t room)
{
	uint8_t command[255];
	size_t len = take(input, command, sizeof(command));
	size_t rsp_len = room;
	uint8_t *response = malloc(room);
	bool secret = false;
	enum ccid_result result;

	require(response != NULL);
	result = raw_transmit(raw, command, len, response, &rsp_len, &secret);
	if (result == CCID_OK)
		require(rsp_len >= 2 && rsp_len <= room);
	free(response);
}

static void power_on(struct raw *raw)
{
	uint8_t bytes[ATR_MAX_LEN];
	struct atr atr;
	size_t len = 0;

	if (raw_power_on(raw, bytes, &len) == CCID_OK) {
		require(raw_picc(raw) != NULL && len <= ATR_MAX_LEN);
		/* Whatever the tag says, its ATR is one. */
		require(atr_parse(bytes, len, &atr) == ATR_OK);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { { answer }, data, size };
	struct raw *raw = raw_new(&raw_pn532, &input);
	uint8_t call;

	require(raw != NULL);
	for (unsigned i = 0; input.len && i < MAX_CALLS; i++) {
		call = *input.data++;
		input.len--;
		if (call == PRESENCE)
			(void)raw_presence(raw);
		else if (call == POWER_ON)
			power_on(raw);
		else if (call == POWER_OFF)
			(void)raw_power_off(raw);
		else
			transmit(raw, &input, call);
	}
	raw_free(raw);
	return 0;
}
