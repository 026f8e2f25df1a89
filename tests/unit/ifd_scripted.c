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
 *   others     echoes the command and adds 90 00
 * Attributes: SCRIPTED_CARD, one byte, 0 takes the card out, 1 puts it in, 2 makes it mute (it
 * does not answer to reset any more). SCRIPTED_COUNTS, four
 * uint32_t: commands, resets, power-ups, power-downs since the reader was opened.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <ifdhandler.h>

#include "ifd_scripted.h"

#define EXPORT   __attribute__((visibility("default")))
#define MAX_LUNS 64
#define STUCK_S  20 /* even command 02 ends some day */

struct reader {
	bool used;
	DWORD lun;
	UCHAR slots;
	bool present;
	bool mute;
	bool changed; /* the poll function has something to tell */
	bool aborted;
	uint32_t counts[4];
};

static struct reader readers[MAX_LUNS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static const UCHAR atr[] = { 0x3B, 0x80, 0x80, 0x01, 0x01 }; /* T=0 and T=1 */

static struct reader *find(DWORD lun)
{
	for (size_t i = 0; i < MAX_LUNS; i++) {
		if (readers[i].used && readers[i].lun == lun)
			return &readers[i];
	}
	return NULL;
}

/* Waits until *flag of the reader is set, or the time has passed; clears it. With the lock. */
static bool await(DWORD lun, size_t flag, long ms)
{
	struct timespec until;
	struct reader *reader;
	bool *at;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	while ((reader = find(lun))) {
		at = (bool *)((char *)reader + flag);
		if (*at) {
			*at = false;
			return true;
		}
		if (pthread_cond_clockwait(&moved, &lock, CLOCK_MONOTONIC, &until))
			return false;
	}
	return false;
}

EXPORT RESPONSECODE IFDHCreateChannelByName(DWORD Lun, LPSTR DeviceName)
{
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < MAX_LUNS; i++) {
		if (!readers[i].used) {
			readers[i] = (struct reader){
				.used = true, .lun = Lun, .present = true, .slots = 1
			};
			if (DeviceName && DeviceName[0] > '0' && DeviceName[0] <= '9')
				readers[i].slots = (UCHAR)(DeviceName[0] - '0');
			break;
		}
	}
	pthread_mutex_unlock(&lock);
	return IFD_SUCCESS;
}

EXPORT RESPONSECODE IFDHCreateChannel(DWORD Lun, DWORD Channel)
{
	(void)Channel;
	return IFDHCreateChannelByName(Lun, NULL);
}

EXPORT RESPONSECODE IFDHCloseChannel(DWORD Lun)
{
	struct reader *reader;

	pthread_mutex_lock(&lock);
	reader = find(Lun);
	if (reader)
		reader->used = false;
	pthread_cond_broadcast(&moved);
	pthread_mutex_unlock(&lock);
	return IFD_SUCCESS;
}

static RESPONSECODE poll_card(DWORD lun, int timeout_ms)
{
	pthread_mutex_lock(&lock);
	await(lun, offsetof(struct reader, changed), timeout_ms);
	pthread_mutex_unlock(&lock);
	return IFD_SUCCESS;
}

static RESPONSECODE stop_polling(DWORD lun)
{
	struct reader *reader;

	pthread_mutex_lock(&lock);
	reader = find(lun);
	if (reader)
		reader->changed = true;
	pthread_cond_broadcast(&moved);
	pthread_mutex_unlock(&lock);
	return IFD_SUCCESS;
}

static RESPONSECODE give(PDWORD length, PUCHAR value, const void *data, size_t size)
{
	if (*length < size)
		return IFD_ERROR_INSUFFICIENT_BUFFER;
	memcpy(value, data, size);
	*length = size;
	return IFD_SUCCESS;
}

EXPORT RESPONSECODE IFDHGetCapabilities(DWORD Lun, DWORD Tag, PDWORD Length, PUCHAR Value)
{
	static RESPONSECODE (*const poll_function)(DWORD, int) = poll_card;
	static RESPONSECODE (*const stop_function)(DWORD) = stop_polling;
	static const UCHAR one = 1, many = MAX_LUNS;
	uint32_t counts[4] = { 0 };
	struct reader *reader;
	UCHAR slots = 1;

	pthread_mutex_lock(&lock);
	reader = find(Lun);
	if (reader) {
		memcpy(counts, reader->counts, sizeof(counts));
		slots = reader->slots;
	}
	pthread_mutex_unlock(&lock);
	switch (Tag) {
	case TAG_IFD_SIMULTANEOUS_ACCESS:
		return give(Length, Value, &many, 1);
	case TAG_IFD_THREAD_SAFE:
	case TAG_IFD_SLOT_THREAD_SAFE:
	case TAG_IFD_CARDWIRE_ABORT:
		return give(Length, Value, &one, 1);
	case TAG_IFD_POLLING_THREAD_WITH_TIMEOUT:
		return give(Length, Value, &poll_function, sizeof(poll_function));
	case TAG_IFD_STOP_POLLING_THREAD:
		return give(Length, Value, &stop_function, sizeof(stop_function));
	case TAG_IFD_SLOTS_NUMBER:
		return give(Length, Value, &slots, 1);
	case SCRIPTED_COUNTS:
		return give(Length, Value, counts, sizeof(counts));
	default:
		return IFD_ERROR_TAG;
	}
}

EXPORT RESPONSECODE IFDHSetCapabilities(DWORD Lun, DWORD Tag, DWORD Length, PUCHAR Value)
{
	struct reader *reader;
	RESPONSECODE rc = IFD_SUCCESS;

	pthread_mutex_lock(&lock);
	reader = find(Lun);
	if (reader && Tag == TAG_IFD_CARDWIRE_ABORT) {
		reader->aborted = true;
	} else if (reader && Tag == SCRIPTED_CARD && Length == 1) {
		reader->changed = reader->present != (Value[0] != 0);
		reader->present = Value[0] != 0;
		reader->mute = Value[0] == 2;
	} else {
		rc = IFD_ERROR_TAG;
	}
	pthread_cond_broadcast(&moved);
	pthread_mutex_unlock(&lock);
	return rc;
}

EXPORT RESPONSECODE IFDHSetProtocolParameters(
	DWORD Lun, DWORD Protocol, UCHAR Flags, UCHAR PTS1, UCHAR PTS2, UCHAR PTS3)
{
	(void)Lun, (void)Protocol, (void)Flags, (void)PTS1, (void)PTS2, (void)PTS3;
	return IFD_SUCCESS;
}

EXPORT RESPONSECODE IFDHPowerICC(DWORD Lun, DWORD Action, PUCHAR Atr, PDWORD AtrLength)
{
	struct reader *reader;
	bool answers;

	pthread_mutex_lock(&lock);
	reader = find(Lun);
	answers = reader && reader->present && !reader->mute;
	if (reader)
		reader->counts[Action == IFD_RESET ? 1 : Action == IFD_POWER_UP ? 2 : 3]++;
	pthread_mutex_unlock(&lock);
	*AtrLength = 0;
	if (Action == IFD_POWER_DOWN)
		return IFD_SUCCESS;
	if (!answers)
		return IFD_ERROR_POWER_ACTION;
	memcpy(Atr, atr, sizeof(atr));
	*AtrLength = sizeof(atr);
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
	pthread_mutex_lock(&lock);
	reader = find(Lun);
	if (reader) {
		reader->counts[0]++;
		reader->aborted = false;
	}
	if (!reader || (TxLength > 0 && TxBuffer[0] == 3)) {
		rc = IFD_NO_SUCH_DEVICE;
	} else if (!reader->present) {
		rc = IFD_ICC_NOT_PRESENT;
	} else if (TxLength > 0 && TxBuffer[0] == 2) {
		await(Lun, offsetof(struct reader, aborted), STUCK_S * 1000);
		rc = IFD_COMMUNICATION_ERROR;
	}
	pthread_mutex_unlock(&lock);
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

	pthread_mutex_lock(&lock);
	reader = find(Lun);
	present = reader && reader->present;
	pthread_mutex_unlock(&lock);
	return present ? IFD_ICC_PRESENT : IFD_ICC_NOT_PRESENT;
}
