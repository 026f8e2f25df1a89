/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hostile reader's bulk answers, at each exchange level: power-on, protocol and parameters, APDUs.
 * This file is the device (device.h) that the driver's levels speak to. Input: level and protocol,
 * room for the response, then an answer a piece: length (two bytes), bStatus, bError, byte 9, data.
 */
#include <stdlib.h>
#include <string.h>

#include "ifd-ccid/deadline.h"
#include "ifd-ccid/options.h"
#include "ifd-ccid/quirk/quirk.h"
#include "ifd-ccid/slot/activate.h"
#include "ifd-ccid/slot/exchange.h"

enum {
	PIECE = 5,
	MAX_ROOM = 66000,
};

struct device {
	const uint8_t *data; /* what is left of the input */
	size_t len;
	struct ccid_interface interface;
	uint8_t *answer; /* data of the last one */
	bool powered;
};

static void require(bool condition)
{
	if (!condition)
		abort();
}

const char *device_name(const struct device *device)
{
	(void)device;
	return "fuzz";
}

const struct ccid_interface *device_interface(const struct device *device)
{
	return &device->interface;
}

/* A device without quirks. */
const struct quirk_set *device_quirks(const struct device *device)
{
	static const struct quirk_facts facts;
	static struct quirk_table *none;
	static struct quirk_set set;

	(void)device;
	if (!none) {
		none = quirk_table_new();
		if (!none)
			abort();
		quirk_match(none, &facts, &set, NULL);
	}
	return &set;
}

const struct device_descriptor *device_descriptor(const struct device *device)
{
	static const struct device_descriptor descriptor;

	(void)device;
	return &descriptor;
}

enum ccid_result device_presence(struct device *device, unsigned slot)
{
	(void)device;
	(void)slot;
	return CCID_OK;
}

void device_power_result(struct device *device, unsigned slot, bool worked)
{
	(void)device;
	(void)slot;
	(void)worked;
}

const uint32_t *device_rates(const struct device *device)
{
	(void)device;
	return NULL;
}

void device_call_begin(struct device *device, unsigned slot)
{
	(void)device;
	(void)slot;
}

void device_call_end(struct device *device, unsigned slot)
{
	(void)device;
	(void)slot;
}

void device_set_powered(struct device *device, unsigned slot, bool powered)
{
	(void)slot;
	device->powered = powered;
}

bool device_powered(struct device *device, unsigned slot)
{
	(void)slot;
	return device->powered;
}

static void check_command(const struct device *device, const struct ccid_command *command)
{
	size_t max = device->interface.ccid.max_message;
	unsigned sum = 0;

	/* Short APDUs are sent to readers that announce less than one too. */
	require(command->len + CCID_MSG_HEADER_SIZE <= (max < 271 ? 271 : max));
	for (size_t i = 0; i < command->len; i++)
		sum += command->data[i];
	require(sum <= 255 * command->len);
}

enum ccid_result device_exchange(struct device *device, unsigned slot,
	const struct ccid_command *command, const struct ccid_patience *patience, bool secret,
	struct ccid_answer *answer)
{
	size_t len;

	(void)slot;
	(void)secret;
	check_command(device, command);
	require(patience->timeout_ms > 0 && patience->timeout_ms <= patience->ceiling_ms);
	memset(answer, 0, sizeof(*answer));
	if (device->len < PIECE)
		return CCID_GONE;
	len = (size_t)(device->data[0] | device->data[1] << 8);
	*answer = (struct ccid_answer){
		.bStatus = device->data[2],
		.bError = device->data[3],
		.specific = device->data[4],
	};
	device->data += PIECE;
	device->len -= PIECE;
	if (len > device->interface.ccid.max_message - CCID_MSG_HEADER_SIZE)
		len = device->interface.ccid.max_message - CCID_MSG_HEADER_SIZE;
	if (len > device->len)
		len = device->len;
	/* A copy of its own size: what reads beyond it is found. */
	free(device->answer);
	device->answer = malloc(len);
	if (len && !device->answer)
		return CCID_GONE;
	if (len)
		memcpy(device->answer, device->data, len);
	answer->data = device->answer;
	answer->len = len;
	device->data += len;
	device->len -= len;
	if (ccid_command_status(answer) != CCID_COMMAND_OK)
		return CCID_REFUSED;
	return CCID_OK;
}

static void exchange(struct slot *slot, unsigned protocol, size_t room, size_t len)
{
	static uint8_t command[300] = { 0, 0xB0, 0, 0, 0, 1, 0x20 };
	uint8_t *response = malloc(room + 1);
	size_t n = room;
	enum ccid_result result;

	if (!response)
		return;
	response[room] = 0xA5;
	command[4] = (uint8_t)(len > 260 ? 0 : len - 5);
	result = exchange_apdu(slot, protocol, command, len, response, &n);
	require(response[room] == 0xA5);
	require(result != CCID_OK || n <= room);
	free(response);
}

static void choose(struct device *device, uint8_t choice)
{
	static const size_t longest[] = { 24, 64, 271, CCID_MAX_MESSAGE };
	struct ccid_class *ccid = &device->interface.ccid;

	device->interface.bulk_in = 0x82;
	device->interface.bulk_out = 1;
	ccid->level = choice & 3;
	ccid->slots = ccid->busy_slots = 1;
	ccid->bVoltageSupport = CCID_VOLTAGE_5V | CCID_VOLTAGE_3V;
	ccid->dwProtocols = CCID_PROTOCOLS_T0 | CCID_PROTOCOLS_T1;
	ccid->dwDefaultClock = 4000;
	ccid->dwMaxDataRate = 344086;
	ccid->ifsd = 254;
	ccid->max_message = longest[choice >> 2 & 3];
	ccid->dwFeatures = choice & 0x10 ? CCID_FEATURE_AUTO_PPS | CCID_FEATURE_AUTO_IFSD : 0;
}

static void speak(struct device *device, uint8_t choice, size_t room)
{
	static const uint8_t t1_atr[] = { 0x3B, 0x80, 0x81, 0x01, 0 };
	static const size_t lengths[] = { 5, 7, 260, 300 };
	struct slot slot = { .device = device, .protocol = SLOT_NO_PROTOCOL };
	unsigned protocol = choice >> 5 & 1;

	slot.call_end = deadline_in_ms(60000);
	if (choice & 0x40) {
		/* A good start, so that APDUs are reached without guessing one. */
		slot.atr_result = atr_parse(t1_atr, sizeof(t1_atr), &slot.atr);
		slot.rate = (struct atr_rate){ ATR_DEFAULT_F, ATR_DEFAULT_D, 4000 };
		slot.has_atr = true;
		t1_init(&slot.t1, &(struct t1_config){ .ifsc = 32 });
	} else if (activate_power_up(&slot) != IFD_SUCCESS ||
		   activate_set_protocol(&slot, protocol) != IFD_SUCCESS) {
		return;
	}
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		exchange(&slot, protocol, room, lengths[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct device device = { 0 };

	if (size < 2)
		return 0;
	choose(&device, data[0]);
	device.data = data + 2;
	device.len = size - 2;
	speak(&device, data[0], data[1] == 0xFF ? MAX_ROOM : data[1] * 2U);
	free(device.answer);
	return 0;
}
