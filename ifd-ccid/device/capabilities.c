/* SPDX-License-Identifier: BSD-3-Clause */
#include "capabilities.h"

#include <string.h>

#include <reader.h>

#include "ifd-ccid/contactless/contactless.h"
#include "ifd-ccid/contactless/contactless_slot.h"
#include "ifd-ccid/lun.h"

enum {
	MAX_VALUE = 128,            /* longest value: a string descriptor as characters */
	CHANNEL_USB = 0x0020,       /* SCARD_ATTR_CHANNEL_ID: USB (PC/SC part 3 §3.1) */
	ICC_INACTIVE_OR_ACTIVE = 2, /* SCARD_ATTR_ICC_PRESENCE: card in the reader */
	SIMULTANEOUS = 255,
	READER_CONTACTLESS =
		8, /* SCARD_ATTR_CHARACTERISTICS, beside swallows, ejects, confiscates */
};

/* The functions a host calls in place of an entry point, by pointer. */
static RESPONSECODE poll_slot(DWORD lun, int timeout_ms)
{
	struct slot *slot = lun_hold(lun);
	enum ccid_result result;

	if (!slot)
		return IFD_NO_SUCH_DEVICE;
	result = device_poll(slot->device, slot->number, timeout_ms);
	lun_drop(lun);
	return result == CCID_GONE ? IFD_NO_SUCH_DEVICE : IFD_SUCCESS;
}

static RESPONSECODE stop_polling(DWORD lun)
{
	struct slot *slot = lun_hold(lun);

	if (!slot)
		return IFD_COMMUNICATION_ERROR;
	device_stop_poll(slot->device, slot->number);
	lun_drop(lun);
	return IFD_SUCCESS;
}

/* Fills VALUE (MAX_VALUE bytes); returns the length. */
typedef size_t getter(struct slot *slot, uint8_t *value);

static size_t put_byte(uint8_t *value, unsigned byte)
{
	value[0] = (uint8_t)byte;
	return 1;
}

static size_t put_u32(uint8_t *value, uint32_t number)
{
	memcpy(value, &number, sizeof(number));
	return sizeof(number);
}

static size_t put_string(struct slot *slot, uint8_t index, uint8_t *value)
{
	if (!device_string(slot->device, index, (char *)value, MAX_VALUE))
		return 0;
	return strlen((char *)value) + 1;
}

static size_t get_atr(struct slot *slot, uint8_t *value)
{
	if (!slot->has_atr)
		return 0;
	memcpy(value, slot->atr.raw, slot->atr.len);
	return slot->atr.len;
}

static size_t get_presence(struct slot *slot, uint8_t *value)
{
	bool present = slot_presence(slot) == CCID_OK;

	return put_byte(value, present ? ICC_INACTIVE_OR_ACTIVE : 0);
}

static size_t get_interface_status(struct slot *slot, uint8_t *value)
{
	return put_byte(value, slot_presence(slot) == CCID_OK);
}

/* Of a slot without a card: nothing. */
static size_t get_icc_type(struct slot *slot, uint8_t *value)
{
	if (!slot->has_atr)
		return put_byte(value, 0);
	return put_byte(
		value, picc_icc_type(contactless_slot_is(slot), slot->atr.raw, slot->atr.len));
}

static size_t get_characteristics(struct slot *slot, uint8_t *value)
{
	return put_u32(value, contactless_slot_is(slot) ? READER_CONTACTLESS : 0);
}

/* What is known without asking the device: the host has its own view of its strings. */
static size_t get_contactless(struct slot *slot, uint8_t *value)
{
	return put_byte(value, slot->contactless);
}

static size_t get_simultaneous(struct slot *slot, uint8_t *value)
{
	(void)slot;
	return put_byte(value, SIMULTANEOUS);
}

/* Locks and the limit of busy slots are kept here, so the host need not serialise anything. */
static size_t get_yes(struct slot *slot, uint8_t *value)
{
	(void)slot;
	return put_byte(value, 1);
}

static size_t get_slots(struct slot *slot, uint8_t *value)
{
	unsigned slots = device_interface(slot->device)->ccid.slots;

	return put_byte(value, slots > UINT8_MAX ? UINT8_MAX : slots);
}

static size_t get_vendor(struct slot *slot, uint8_t *value)
{
	return put_string(slot, device_descriptor(slot->device)->iManufacturer, value);
}

static size_t get_serial(struct slot *slot, uint8_t *value)
{
	return put_string(slot, device_descriptor(slot->device)->iSerialNumber, value);
}

static size_t get_version(struct slot *slot, uint8_t *value)
{
	return put_u32(value, (uint32_t)device_descriptor(slot->device)->bcdDevice << 16);
}

static size_t get_maxinput(struct slot *slot, uint8_t *value)
{
	size_t max = device_interface(slot->device)->ccid.max_message;

	return put_u32(value, (uint32_t)(max - CCID_MSG_HEADER_SIZE));
}

static size_t get_channel(struct slot *slot, uint8_t *value)
{
	uint8_t bus;
	uint8_t address;

	device_location(slot->device, &bus, &address);
	return put_u32(value, (uint32_t)CHANNEL_USB << 16 | (uint32_t)bus << 8 | address);
}

static size_t get_poll(struct slot *slot, uint8_t *value)
{
	RESPONSECODE (*function)(DWORD, int) = poll_slot;

	if (slot->raw || !device_has_events(slot->device))
		return 0;
	memcpy(value, &function, sizeof(function));
	return sizeof(function);
}

static size_t get_stop(struct slot *slot, uint8_t *value)
{
	RESPONSECODE (*function)(DWORD) = stop_polling;

	if (slot->raw || !device_has_events(slot->device))
		return 0;
	memcpy(value, &function, sizeof(function));
	return sizeof(function);
}

static size_t get_name(struct slot *slot, uint8_t *value)
{
	const char *name = device_quirks(slot->device)->name.text;
	size_t len = strnlen(name, MAX_VALUE);

	/* Without its end: the length tells. */
	for (size_t i = 0; i < len; i++)
		value[i] = (uint8_t)name[i];
	return len;
}

static const struct {
	DWORD tag;
	getter *get;
	bool turn; /* touches the card's state or the device */
} tags[] = {
	{ TAG_IFD_ATR, get_atr, true },
	{ SCARD_ATTR_ATR_STRING, get_atr, true },
	{ SCARD_ATTR_ICC_INTERFACE_STATUS, get_interface_status, true },
	{ SCARD_ATTR_ICC_PRESENCE, get_presence, true },
	{ SCARD_ATTR_VENDOR_NAME, get_vendor, true },
	{ SCARD_ATTR_VENDOR_IFD_SERIAL_NO, get_serial, true },
	{ SCARD_ATTR_VENDOR_IFD_VERSION, get_version, false },
	{ SCARD_ATTR_MAXINPUT, get_maxinput, false },
	{ SCARD_ATTR_CHANNEL_ID, get_channel, false },
	{ TAG_IFD_SIMULTANEOUS_ACCESS, get_simultaneous, false },
	{ TAG_IFD_THREAD_SAFE, get_yes, false },
	{ TAG_IFD_SLOT_THREAD_SAFE, get_yes, false },
	{ TAG_IFD_SLOTS_NUMBER, get_slots, false },
	{ TAG_IFD_POLLING_THREAD_WITH_TIMEOUT, get_poll, false },
	{ TAG_IFD_STOP_POLLING_THREAD, get_stop, false },
	{ TAG_IFD_DEVICE_REMOVED, get_yes, false },
	{ SCARD_ATTR_ICC_TYPE_PER_ATR, get_icc_type, true },
	{ SCARD_ATTR_CHARACTERISTICS, get_characteristics, true },
	{ TAG_IFD_CARDWIRE_ABORT, get_yes, false },
	{ TAG_IFD_CARDWIRE_NAME, get_name, false },
	{ TAG_IFD_CARDWIRE_CLIENT, get_yes, false },
	{ TAG_IFD_CARDWIRE_CONTACTLESS, get_contactless, false },
};

enum {
	TAGS = sizeof(tags) / sizeof(tags[0])
};

static size_t find(DWORD tag)
{
	size_t i = 0;

	while (i < TAGS && tags[i].tag != tag)
		i++;
	return i;
}

bool capabilities_need_turn(DWORD tag)
{
	size_t i = find(tag);

	return i < TAGS && tags[i].turn;
}

RESPONSECODE capabilities_get(struct slot *slot, DWORD tag, PDWORD length, PUCHAR value)
{
	uint8_t bytes[MAX_VALUE];
	size_t i = find(tag);
	DWORD room = *length;

	if (i == TAGS)
		return IFD_ERROR_TAG;
	*length = tags[i].get(slot, bytes);
	if (!value)
		return IFD_SUCCESS;
	if (*length > room)
		return IFD_ERROR_INSUFFICIENT_BUFFER;
	memcpy(value, bytes, *length);
	return IFD_SUCCESS;
}

RESPONSECODE capabilities_set(struct slot *slot, DWORD tag, DWORD length, const UCHAR *value)
{
	if (tag == TAG_IFD_CARDWIRE_ABORT) {
		device_abort(slot->device, slot->number);
		return IFD_SUCCESS;
	}
	if (tag == TAG_IFD_CARDWIRE_CLIENT) {
		uint32_t client = SLOT_NO_CLIENT;

		if (length == sizeof(client) && value)
			memcpy(&client, value, sizeof(client));
		atomic_store(&slot->client, client);
		return IFD_SUCCESS;
	}
	if (tag == TAG_IFD_DEVICE_REMOVED) {
		if (length >= 1 && value && value[0])
			device_removed(slot->device);
		return IFD_SUCCESS;
	}
	return find(tag) < TAGS ? IFD_ERROR_VALUE_READ_ONLY : IFD_ERROR_TAG;
}
