/* SPDX-License-Identifier: BSD-3-Clause */
/* The IFD handler's entry points: Luns to slots, one call at a time on each. */
#include <ifdhandler.h>

#include <stdio.h>
#include <string.h>

#include "ifd-ccid/device/capabilities.h"
#include "ifd-ccid/recorder/recorder.h"
#include "ifd-ccid/slot/activate.h"
#include "ifd-ccid/slot/control.h"
#include "ifd-ccid/slot/exchange.h"
#include "iso7816/secret.h"
#include "log.h"
#include "lun.h"
#include "options.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT RESPONSECODE IFDHCreateChannelByName(DWORD Lun, LPSTR DeviceName)
{
	(void)options_get();
	return lun_open(Lun, DeviceName);
}

/* Serial ports by number: /dev/pcsc/N, or the I/O addresses of the first four of a PC. */
EXPORT RESPONSECODE IFDHCreateChannel(DWORD Lun, DWORD Channel)
{
	static const DWORD addresses[] = { 0x0103F8, 0x0102F8, 0x0103E8, 0x0102E8 };
	char name[64];

	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
		if (Channel == addresses[i])
			Channel = i + 1;
	snprintf(name, sizeof(name), "/dev/pcsc/%lu", Channel);
	return IFDHCreateChannelByName(Lun, name);
}

EXPORT RESPONSECODE IFDHCloseChannel(DWORD Lun)
{
	return lun_close(Lun);
}

EXPORT RESPONSECODE IFDHGetCapabilities(DWORD Lun, DWORD Tag, PDWORD Length, PUCHAR Value)
{
	bool turn = capabilities_need_turn(Tag);
	struct slot *slot = turn ? lun_enter(Lun) : lun_hold(Lun);
	RESPONSECODE rv;

	if (!slot)
		return IFD_COMMUNICATION_ERROR;
	rv = capabilities_get(slot, Tag, Length, Value);
	if (turn)
		lun_leave(Lun);
	else
		lun_drop(Lun);
	return rv;
}

EXPORT RESPONSECODE IFDHSetCapabilities(DWORD Lun, DWORD Tag, DWORD Length, PUCHAR Value)
{
	struct slot *slot = lun_hold(Lun);
	RESPONSECODE rv;

	if (!slot)
		return IFD_COMMUNICATION_ERROR;
	rv = capabilities_set(slot, Tag, Length, Value);
	lun_drop(Lun);
	return rv;
}

static RESPONSECODE set_protocol(struct slot *slot, DWORD protocol)
{
	struct recorder *recorder = device_recorder(slot->device);
	RESPONSECODE rv;

	recorder_call(recorder, slot->number, RECORDING_PROTOCOL, protocol, NULL, 0, false);
	rv = activate_set_protocol(slot, protocol == SCARD_PROTOCOL_T1);
	recorder_return(recorder, slot->number, RECORDING_PROTOCOL, (uint64_t)rv, NULL, 0, false);
	return rv;
}

EXPORT RESPONSECODE IFDHSetProtocolParameters(
	DWORD Lun, DWORD Protocol, UCHAR Flags, UCHAR PTS1, UCHAR PTS2, UCHAR PTS3)
{
	struct slot *slot = lun_enter(Lun);
	RESPONSECODE rv = IFD_PROTOCOL_NOT_SUPPORTED;

	(void)Flags;
	(void)PTS1;
	(void)PTS2;
	(void)PTS3;
	if (!slot)
		return IFD_COMMUNICATION_ERROR;
	if (Protocol == SCARD_PROTOCOL_T0 || Protocol == SCARD_PROTOCOL_T1)
		rv = set_protocol(slot, Protocol);
	lun_leave(Lun);
	return rv;
}

EXPORT RESPONSECODE IFDHPowerICC(DWORD Lun, DWORD Action, PUCHAR Atr, PDWORD AtrLength)
{
	struct slot *slot = lun_enter(Lun);
	size_t room = *AtrLength;
	RESPONSECODE rv = IFD_NOT_SUPPORTED;

	*AtrLength = 0;
	if (!slot)
		return IFD_COMMUNICATION_ERROR;
	recorder_call(device_recorder(slot->device), slot->number, RECORDING_POWER, Action, NULL, 0,
		false);
	if (Action == IFD_POWER_DOWN)
		rv = activate_power_down(slot);
	else if (Action == IFD_POWER_UP || Action == IFD_RESET)
		rv = activate_power_up(slot);
	if (slot->has_atr && rv == IFD_SUCCESS) {
		if (room > slot->atr.len)
			room = slot->atr.len;
		memcpy(Atr, slot->atr.raw, room);
		*AtrLength = room;
	}
	recorder_return(device_recorder(slot->device), slot->number, RECORDING_POWER, (uint64_t)rv,
		Atr, *AtrLength, false);
	lun_leave(Lun);
	return rv;
}

/* Of an APDU that is to be sent; the slot is told. */
static bool is_secret(struct slot *slot, const uint8_t *apdu, size_t len)
{
	slot->secret = secret_exchange(slot->was_secret, apdu, len);
	slot->was_secret = slot->secret;
	return slot->secret;
}

EXPORT RESPONSECODE IFDHTransmitToICC(DWORD Lun, SCARD_IO_HEADER SendPci, PUCHAR TxBuffer,
	DWORD TxLength, PUCHAR RxBuffer, PDWORD RxLength, PSCARD_IO_HEADER RecvPci)
{
	struct slot *slot = lun_enter(Lun);
	size_t length = *RxLength;
	enum ccid_result result;
	bool secret;

	*RxLength = 0;
	if (RecvPci)
		RecvPci->Protocol = SendPci.Protocol;
	if (!slot)
		return IFD_COMMUNICATION_ERROR;
	secret = is_secret(slot, TxBuffer, TxLength);
	recorder_call(device_recorder(slot->device), slot->number, RECORDING_TRANSMIT,
		SendPci.Protocol, TxBuffer, TxLength, secret);
	log_apdu(device_name(slot->device), TxBuffer, TxLength);
	result = exchange_apdu(
		slot, (unsigned)SendPci.Protocol, TxBuffer, TxLength, RxBuffer, &length);
	if (result == CCID_OK) {
		*RxLength = length;
		log_response(device_name(slot->device), RxBuffer, length, secret);
	}
	recorder_return(device_recorder(slot->device), slot->number, RECORDING_TRANSMIT,
		(uint64_t)ifd_code(result), RxBuffer, *RxLength, secret || slot->secret);
	lun_leave(Lun);
	return ifd_code(result);
}

EXPORT RESPONSECODE IFDHControl(DWORD Lun, DWORD dwControlCode, PUCHAR TxBuffer, DWORD TxLength,
	PUCHAR RxBuffer, DWORD RxLength, LPDWORD pdwBytesReturned)
{
	struct slot *slot = lun_enter(Lun);
	size_t length = RxLength;
	size_t start, end;
	RESPONSECODE rv;
	bool secret;

	*pdwBytesReturned = 0;
	if (!slot)
		return IFD_COMMUNICATION_ERROR;
	secret = secret_span(TxBuffer, TxLength, &start, &end);
	recorder_call(device_recorder(slot->device), slot->number, RECORDING_CONTROL_CALL,
		dwControlCode, TxBuffer, TxLength, secret);
	rv = control_do(slot, dwControlCode, TxBuffer, TxLength, RxBuffer, &length);
	if (rv == IFD_SUCCESS)
		*pdwBytesReturned = length;
	recorder_return(device_recorder(slot->device), slot->number, RECORDING_CONTROL_CALL,
		(uint64_t)rv, RxBuffer, *pdwBytesReturned, secret);
	lun_leave(Lun);
	return rv;
}

EXPORT RESPONSECODE IFDHICCPresence(DWORD Lun)
{
	struct slot *slot = lun_enter(Lun);
	enum ccid_result result;
	RESPONSECODE rv;

	if (!slot)
		return IFD_COMMUNICATION_ERROR;
	recorder_call(
		device_recorder(slot->device), slot->number, RECORDING_PRESENCE, 0, NULL, 0, false);
	result = slot_presence(slot);
	if (result == CCID_OK) {
		rv = IFD_ICC_PRESENT;
	} else {
		rv = ifd_code(result);
		if (result == CCID_ABSENT || result == CCID_GONE) {
			slot->has_atr = false;
			slot->protocol = SLOT_NO_PROTOCOL;
		}
	}
	recorder_return(device_recorder(slot->device), slot->number, RECORDING_PRESENCE,
		(uint64_t)rv, NULL, 0, false);
	lun_leave(Lun);
	return rv;
}

EXPORT RESPONSECODE IFDHCardwireRecording(
	LPCSTR DeviceName, uint64_t *Position, int Timeout, char *Text, PDWORD Length)
{
	size_t length = *Length;
	enum recorder_found found;

	if (!DeviceName) {
		recorder_list(Text, &length);
		*Length = length;
		return IFD_SUCCESS;
	}
	*Length = 0;
	if (length < RECORDER_TEXT_MIN)
		return IFD_ERROR_INSUFFICIENT_BUFFER;
	found = recorder_read(DeviceName, Position, Timeout, Text, &length);
	*Length = length;
	if (found == RECORDER_LIVE)
		return IFD_SUCCESS;
	return found == RECORDER_GONE ? IFD_ICC_NOT_PRESENT : IFD_NO_SUCH_DEVICE;
}
