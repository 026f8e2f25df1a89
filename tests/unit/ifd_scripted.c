/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An IFD handler for tests of the daemon, told what to do by what is sent to it. Any number of
 * readers; each has a card at first. A device string that begins with a digit says how many slots
 * there are.
 *
 * Commands (IFDHTransmitToICC), by their first byte:
 *   01 HH LL   answers with HHLL bytes A5 and 90 00
 *   02         does not answer until it is aborted
 *   03         says that the device is gone
 *   20         does not answer until the card is moved, whether it is aborted or not
 *   others     echoes the command and adds 90 00
 * Attributes: SCRIPTED_CARD, one byte, 0 takes the card out, 1 puts it in, 2 makes it mute (it
 * does not answer to reset any more), 3 makes it answer to reset with another ATR. SCRIPTED_COUNTS,
 * five uint32_t: commands, resets, power-ups, power-downs, aborts since the reader was opened.
 */
#include <stdbool.h>
#include <stdint.h>

#include "ifd_scripted.h"

#define STUCK_S 20 /* even command 02 ends some day */

struct own {
	unsigned char slots;
	bool present;
	bool mute;
	bool other; /* the ATR */
	bool aborted;
	bool moved;
	uint32_t counts[5];
};

#include "tests/ifd_frame.h"

/* T=0 and T=1, without and with a historical byte. */
static const UCHAR atr[] = { 0x3B, 0x80, 0x80, 0x01, 0x01 };
static const UCHAR other_atr[] = { 0x3B, 0x81, 0x80, 0x01, 0x55, 0x55 };

static RESPONSECODE own_open(struct own *own, const char *name)
{
	own->present = true;
	own->slots = name[0] > '0' && name[0] <= '9' ? (UCHAR)(name[0] - '0') : 1;
	return IFD_SUCCESS;
}

EXPORT RESPONSECODE IFDHGetCapabilities(DWORD Lun, DWORD Tag, PDWORD Length, PUCHAR Value)
{
	static const UCHAR one = 1;
	struct own own = { .slots = 1 };
	struct reader *reader;

	pthread_mutex_lock(&frame_lock);
	reader = frame_find(Lun);
	if (reader)
		own = reader->own;
	pthread_mutex_unlock(&frame_lock);
	switch (Tag) {
	case TAG_IFD_CARDWIRE_ABORT:
		return frame_give(Length, Value, &one, 1);
	case TAG_IFD_CARDWIRE_NAME:
		return frame_give(Length, Value, SCRIPTED_NAME, strlen(SCRIPTED_NAME));
	case TAG_IFD_SLOTS_NUMBER:
		return frame_give(Length, Value, &own.slots, 1);
	case SCRIPTED_COUNTS:
		return frame_give(Length, Value, own.counts, sizeof(own.counts));
	default:
		return frame_attribute(Tag, Length, Value);
	}
}

EXPORT RESPONSECODE IFDHSetCapabilities(DWORD Lun, DWORD Tag, DWORD Length, PUCHAR Value)
{
	struct reader *reader;
	RESPONSECODE rc = IFD_SUCCESS;

	pthread_mutex_lock(&frame_lock);
	reader = frame_find(Lun);
	if (reader && Tag == TAG_IFD_CARDWIRE_ABORT) {
		reader->own.aborted = true;
		reader->own.counts[4]++;
	} else if (reader && Tag == SCRIPTED_CARD && Length == 1) {
		reader->changed = reader->own.present != (Value[0] != 0);
		reader->own.present = Value[0] != 0;
		reader->own.mute = Value[0] == 2;
		reader->own.other = Value[0] == 3;
		reader->own.moved = true;
	} else {
		rc = IFD_ERROR_TAG;
	}
	pthread_cond_broadcast(&frame_moved);
	pthread_mutex_unlock(&frame_lock);
	return rc;
}

EXPORT RESPONSECODE IFDHPowerICC(DWORD Lun, DWORD Action, PUCHAR Atr, PDWORD AtrLength)
{
	struct reader *reader;
	bool answers, other;

	pthread_mutex_lock(&frame_lock);
	reader = frame_find(Lun);
	answers = reader && reader->own.present && !reader->own.mute;
	other = reader && reader->own.other;
	if (reader)
		reader->own.counts[Action == IFD_RESET ? 1 : Action == IFD_POWER_UP ? 2 : 3]++;
	pthread_mutex_unlock(&frame_lock);
	*AtrLength = 0;
	if (Action == IFD_POWER_DOWN)
		return IFD_SUCCESS;
	if (!answers)
		return IFD_ERROR_POWER_ACTION;
	*AtrLength = other ? sizeof(other_atr) : sizeof(atr);
	memcpy(Atr, other ? other_atr : atr, *AtrLength);
	return IFD_SUCCESS;
}

static size_t answer(const UCHAR *command, DWORD length, UCHAR *rx)
{
	size_t size = length;

	if (length >= 3 && command[0] == 1) {
		size = (size_t)command[1] << 8 | command[2];
		memset(rx, 0xA5, size);
	} else {
		memcpy(rx, command, size);
	}
	rx[size] = 0x90;
	rx[size + 1] = 0;
	return size + 2;
}

EXPORT RESPONSECODE IFDHTransmitToICC(DWORD Lun, SCARD_IO_HEADER SendPci, PUCHAR TxBuffer,
	DWORD TxLength, PUCHAR RxBuffer, PDWORD RxLength, PSCARD_IO_HEADER RecvPci)
{
	RESPONSECODE rc = IFD_SUCCESS;
	struct reader *reader;

	(void)SendPci, (void)RecvPci;
	pthread_mutex_lock(&frame_lock);
	reader = frame_find(Lun);
	if (reader) {
		reader->own.counts[0]++;
		reader->own.aborted = reader->own.moved = false;
	}
	if (!reader || (TxLength > 0 && TxBuffer[0] == 3)) {
		rc = IFD_NO_SUCH_DEVICE;
	} else if (!reader->own.present) {
		rc = IFD_ICC_NOT_PRESENT;
	} else if (TxLength > 0 && TxBuffer[0] == 2) {
		frame_await(Lun, offsetof(struct reader, own.aborted), STUCK_S * 1000);
		rc = IFD_COMMUNICATION_ERROR;
	} else if (TxLength > 0 && TxBuffer[0] == 0x20) {
		frame_await(Lun, offsetof(struct reader, own.moved), STUCK_S * 1000);
		rc = IFD_COMMUNICATION_ERROR;
	}
	pthread_mutex_unlock(&frame_lock);
	if (rc != IFD_SUCCESS || TxLength + 2 > *RxLength) {
		*RxLength = 0;
		return rc != IFD_SUCCESS ? rc : IFD_COMMUNICATION_ERROR;
	}
	*RxLength = answer(TxBuffer, TxLength, RxBuffer);
	return IFD_SUCCESS;
}

EXPORT RESPONSECODE IFDHControl(DWORD Lun, DWORD dwControlCode, PUCHAR TxBuffer, DWORD TxLength,
	PUCHAR RxBuffer, DWORD RxLength, LPDWORD pdwBytesReturned)
{
	(void)Lun;
	*pdwBytesReturned = 0;
	if (dwControlCode != SCRIPTED_ECHO || TxLength > RxLength)
		return IFD_ERROR_NOT_SUPPORTED;
	memcpy(RxBuffer, TxBuffer, TxLength);
	*pdwBytesReturned = TxLength;
	return IFD_SUCCESS;
}

EXPORT RESPONSECODE IFDHICCPresence(DWORD Lun)
{
	struct reader *reader;
	bool present;

	pthread_mutex_lock(&frame_lock);
	reader = frame_find(Lun);
	present = reader && reader->own.present;
	pthread_mutex_unlock(&frame_lock);
	return present ? IFD_ICC_PRESENT : IFD_ICC_NOT_PRESENT;
}
