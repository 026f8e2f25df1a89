/* SPDX-License-Identifier: BSD-3-Clause */
/* The calls of a driver's entry points. What it returns is checked for length here. */
#include <string.h>

#include "iso7816/secret.h"
#include "pcscd/log.h"
#include "pcscd/readers/driver_private.h"

/* A driver that claims more bytes than there was room for has written beyond the buffer. */
static bool fits(const struct channel *channel, const char *what, DWORD length, size_t room)
{
	if (length <= room)
		return true;
	log_line(PCSC_LOG_CRITICAL, "%s: the driver %s returned %lu bytes of %s where %zu fit",
		channel->name, channel->driver->path, length, what, room);
	return false;
}

RESPONSECODE driver_presence(struct channel *channel)
{
	RESPONSECODE result;

	channel_enter(channel);
	result = channel->driver->entry.presence(channel->lun);
	channel_leave(channel);
	return result == IFD_SUCCESS ? IFD_ICC_PRESENT : result;
}

RESPONSECODE driver_power(
	struct channel *channel, DWORD action, uint8_t atr[MAX_ATR_SIZE], size_t *atr_length)
{
	DWORD length = MAX_ATR_SIZE;
	RESPONSECODE result;

	*atr_length = 0;
	memset(atr, 0, MAX_ATR_SIZE);
	channel_enter(channel);
	result = channel->driver->entry.power(channel->lun, action, atr, &length);
	channel_leave(channel);
	if (result != IFD_SUCCESS || action == IFD_POWER_DOWN)
		return result;
	if (!fits(channel, "ATR", length, MAX_ATR_SIZE))
		return IFD_COMMUNICATION_ERROR;
	*atr_length = length;
	return IFD_SUCCESS;
}

RESPONSECODE driver_set_protocol(struct channel *channel, DWORD protocol)
{
	RESPONSECODE result;

	if (!channel->driver->entry.set_protocol)
		return IFD_NOT_SUPPORTED;
	channel_enter(channel);
	result = channel->driver->entry.set_protocol(channel->lun, protocol, 0, 0, 0, 0);
	channel_leave(channel);
	return result;
}

RESPONSECODE driver_transmit(struct channel *channel, DWORD protocol, const uint8_t *tx,
	size_t tx_length, uint8_t *rx, size_t *rx_length)
{
	SCARD_IO_HEADER send = { .Protocol = protocol, .Length = sizeof(send) };
	SCARD_IO_HEADER receive = send;
	DWORD length = *rx_length;
	RESPONSECODE result;

	channel->secret = secret_exchange(channel->secret, tx, tx_length);
	log_apdu(channel->name, tx, tx_length, channel->secret);
	channel_enter(channel);
	/* The interface has no const; drivers don't write to the command. */
	result = channel->driver->entry.transmit(
		channel->lun, send, (PUCHAR)tx, tx_length, rx, &length, &receive);
	channel_leave(channel);
	if (result == IFD_SUCCESS && !fits(channel, "answer", length, *rx_length))
		result = IFD_COMMUNICATION_ERROR;
	*rx_length = result == IFD_SUCCESS ? length : 0;
	if (result == IFD_SUCCESS)
		log_answer(channel->name, rx, length, channel->secret);
	return result;
}

RESPONSECODE driver_control(struct channel *channel, DWORD code, const uint8_t *tx,
	size_t tx_length, uint8_t *rx, size_t *rx_length)
{
	const struct entry_points *entry = &channel->driver->entry;
	PUCHAR command = (PUCHAR)tx;
	DWORD length = 0;
	RESPONSECODE result;

	channel_enter(channel);
	if (entry->control_v3) {
		result = entry->control_v3(
			channel->lun, code, command, tx_length, rx, *rx_length, &length);
	} else {
		length = *rx_length;
		result = entry->control_v2(channel->lun, command, tx_length, rx, &length);
	}
	channel_leave(channel);
	if (result == IFD_SUCCESS && !fits(channel, "answer", length, *rx_length))
		result = IFD_COMMUNICATION_ERROR;
	*rx_length = result == IFD_SUCCESS ? length : 0;
	return result;
}

RESPONSECODE driver_get_capability(struct channel *channel, DWORD tag, void *value, size_t *length)
{
	DWORD size = *length;
	RESPONSECODE result;

	channel_enter(channel);
	result = channel->driver->entry.get_capabilities(channel->lun, tag, &size, value);
	channel_leave(channel);
	if (result == IFD_SUCCESS && !fits(channel, "capability", size, *length))
		result = IFD_COMMUNICATION_ERROR;
	*length = result == IFD_SUCCESS ? size : 0;
	return result;
}

unsigned driver_get_byte(struct channel *channel, DWORD tag, unsigned fallback)
{
	uint8_t value = 0;
	size_t length = sizeof(value);

	if (driver_get_capability(channel, tag, &value, &length) != IFD_SUCCESS || length != 1)
		return fallback;
	return value;
}

RESPONSECODE driver_set_capability(
	struct channel *channel, DWORD tag, const void *value, size_t length)
{
	return channel->driver->entry.set_capabilities(channel->lun, tag, length, (PUCHAR)value);
}

bool driver_can_poll(const struct channel *channel)
{
	return channel->poll != NULL;
}

RESPONSECODE driver_poll(struct channel *channel, int timeout_ms)
{
	return channel->poll ? channel->poll(channel->lun, timeout_ms) : IFD_NOT_SUPPORTED;
}

RESPONSECODE driver_stop_poll(struct channel *channel)
{
	return channel->stop ? channel->stop(channel->lun) : IFD_NOT_SUPPORTED;
}

bool driver_can_abort(const struct channel *channel)
{
	return channel->can_abort;
}

RESPONSECODE driver_abort(struct channel *channel)
{
	uint8_t now = 1;

	if (!channel->can_abort)
		return IFD_NOT_SUPPORTED;
	return driver_set_capability(channel, TAG_IFD_CARDWIRE_ABORT, &now, sizeof(now));
}

void driver_set_client(struct channel *channel, uid_t user)
{
	uint32_t value = user;
	uint8_t bytes[sizeof(value)];

	memcpy(bytes, &value, sizeof(bytes));
	if (channel->wants_client)
		driver_set_capability(channel, TAG_IFD_CARDWIRE_CLIENT, bytes, sizeof(bytes));
}

void driver_device_removed(struct channel *channel)
{
	uint8_t removed = 1;

	if (channel->tell_removed)
		driver_set_capability(channel, TAG_IFD_DEVICE_REMOVED, &removed, sizeof(removed));
}
