/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IFD handlers for the tests of the loader, built several times with other defines:
 * SAMPLE_V2 (version 2), SAMPLE_LACKS_TRANSMIT, SAMPLE_UNDERSCORE (names
 * with an underscore before), SAMPLE_THREAD_SAFE (the answer to TAG_IFD_THREAD_SAFE).
 *
 * The library counts calls that run at the same time, and keeps a record of what it was asked.
 */
#ifdef SAMPLE_V2
#define IFDHANDLERv2
#endif

#ifdef SAMPLE_UNDERSCORE
#define IFDHCreateChannelByName   _IFDHCreateChannelByName
#define IFDHCreateChannel         _IFDHCreateChannel
#define IFDHCloseChannel          _IFDHCloseChannel
#define IFDHGetCapabilities       _IFDHGetCapabilities
#define IFDHSetCapabilities       _IFDHSetCapabilities
#define IFDHSetProtocolParameters _IFDHSetProtocolParameters
#define IFDHPowerICC              _IFDHPowerICC
#define IFDHTransmitToICC         _IFDHTransmitToICC
#define IFDHControl               _IFDHControl
#define IFDHICCPresence           _IFDHICCPresence
#endif

#include <ifdhandler.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ifd_sample.h"

#pragma GCC visibility push(default)

#ifndef SAMPLE_THREAD_SAFE
#define SAMPLE_THREAD_SAFE 0
#endif

struct sample_record sample_record;

static void note(const char *text, DWORD lun)
{
	char line[64];

	snprintf(line, sizeof(line), "%s %lx\n", text, lun);
	if (strlen(sample_record.calls) + strlen(line) < sizeof(sample_record.calls))
		strcat(sample_record.calls, line);
}

RESPONSECODE IFDHCreateChannel(DWORD Lun, DWORD Channel)
{
	note("create", Lun);
	sample_record.channel = Channel;
	return Channel == SAMPLE_NO_DEVICE ? IFD_NO_SUCH_DEVICE : IFD_SUCCESS;
}

#ifndef SAMPLE_V2
RESPONSECODE IFDHCreateChannelByName(DWORD Lun, LPSTR DeviceName)
{
	note(DeviceName, Lun);
	return IFD_SUCCESS;
}

RESPONSECODE IFDHControl(DWORD Lun, DWORD dwControlCode, PUCHAR TxBuffer, DWORD TxLength,
	PUCHAR RxBuffer, DWORD RxLength, LPDWORD pdwBytesReturned)
{
	(void)Lun;
	(void)TxBuffer;
	(void)TxLength;
	if (dwControlCode == SAMPLE_LIE) {
		*pdwBytesReturned = RxLength + 1;
		return IFD_SUCCESS;
	}
	RxBuffer[0] = (UCHAR)dwControlCode;
	*pdwBytesReturned = 1;
	return IFD_SUCCESS;
}
#else
RESPONSECODE IFDHControl(
	DWORD Lun, PUCHAR TxBuffer, DWORD TxLength, PUCHAR RxBuffer, PDWORD RxLength)
{
	(void)Lun;
	memcpy(RxBuffer, TxBuffer, TxLength);
	*RxLength = TxLength;
	return IFD_SUCCESS;
}
#endif

RESPONSECODE IFDHCloseChannel(DWORD Lun)
{
	note("close", Lun);
	return IFD_SUCCESS;
}

static RESPONSECODE sample_poll(DWORD Lun, int timeout)
{
	sample_record.polled = (int)Lun + timeout;
	return IFD_SUCCESS;
}

static RESPONSECODE sample_stop(DWORD Lun)
{
	(void)Lun;
	sample_record.stopped++;
	return IFD_SUCCESS;
}

static RESPONSECODE give(PDWORD Length, PUCHAR Value, const void *bytes, size_t size)
{
	if (*Length < size)
		return IFD_ERROR_INSUFFICIENT_BUFFER;
	memcpy(Value, bytes, size);
	*Length = size;
	return IFD_SUCCESS;
}

RESPONSECODE IFDHGetCapabilities(DWORD Lun, DWORD Tag, PDWORD Length, PUCHAR Value)
{
	static const UCHAR safe = SAMPLE_THREAD_SAFE;
	static const UCHAR yes = 1;
	RESPONSECODE (*poll)(DWORD, int) = sample_poll;
	RESPONSECODE (*stop)(DWORD) = sample_stop;

	switch (Tag) {
	case TAG_IFD_THREAD_SAFE:
		note("thread-safe", Lun);
		return give(Length, Value, &safe, 1);
	case TAG_IFD_SLOT_THREAD_SAFE:
		note("slot-thread-safe", Lun);
		return give(Length, Value, &safe, 1);
	case TAG_IFD_POLLING_THREAD_WITH_TIMEOUT:
		note("poll", Lun);
		return give(Length, Value, &poll, sizeof(poll));
	case TAG_IFD_STOP_POLLING_THREAD:
		return give(Length, Value, &stop, sizeof(stop));
	case TAG_IFD_CARDWIRE_ABORT:
	case TAG_IFD_DEVICE_REMOVED:
		return give(Length, Value, &yes, SAMPLE_THREAD_SAFE);
	default:
		return IFD_ERROR_TAG;
	}
}

RESPONSECODE IFDHSetCapabilities(DWORD Lun, DWORD Tag, DWORD Length, PUCHAR Value)
{
	(void)Lun;
	(void)Value;
	sample_record.set_tag = Tag;
	sample_record.set_length = Length;
	return IFD_SUCCESS;
}

#ifndef SAMPLE_V2
RESPONSECODE IFDHSetProtocolParameters(
	DWORD Lun, DWORD Protocol, UCHAR Flags, UCHAR PTS1, UCHAR PTS2, UCHAR PTS3)
{
	(void)Lun;
	return Protocol == SCARD_PROTOCOL_T1 && !Flags && !PTS1 && !PTS2 && !PTS3
		       ? IFD_SUCCESS
		       : IFD_PROTOCOL_NOT_SUPPORTED;
}
#endif

RESPONSECODE IFDHPowerICC(DWORD Lun, DWORD Action, PUCHAR Atr, PDWORD AtrLength)
{
	(void)Lun;
	sample_record.power_room = *AtrLength;
	if (Action == IFD_RESET) {
		*AtrLength = MAX_ATR_SIZE + 1;
		return IFD_SUCCESS;
	}
	Atr[0] = 0x3B;
	Atr[1] = 0x00;
	*AtrLength = 2;
	return IFD_SUCCESS;
}

#ifndef SAMPLE_LACKS_TRANSMIT
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of what is inside */
static pthread_cond_t came = PTHREAD_COND_INITIALIZER;

/* Lets calls overlap that may. */
static void wait_for_others(void)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += sample_record.patience_ms / 1000;
	until.tv_nsec += sample_record.patience_ms % 1000 * 1000000L;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&lock);
	if (++sample_record.inside > sample_record.most_inside)
		sample_record.most_inside = sample_record.inside;
	pthread_cond_broadcast(&came);
	while (sample_record.most_inside < sample_record.together &&
		pthread_cond_clockwait(&came, &lock, CLOCK_MONOTONIC, &until) == 0)
		;
	sample_record.inside--;
	pthread_mutex_unlock(&lock);
}

RESPONSECODE IFDHTransmitToICC(DWORD Lun, SCARD_IO_HEADER SendPci, PUCHAR TxBuffer, DWORD TxLength,
	PUCHAR RxBuffer, PDWORD RxLength, PSCARD_IO_HEADER RecvPci)
{
	(void)Lun;
	(void)RecvPci;
	wait_for_others();
	if (SendPci.Length != sizeof(SendPci) || *RxLength < TxLength)
		return IFD_COMMUNICATION_ERROR;
	memcpy(RxBuffer, TxBuffer, TxLength);
	RxBuffer[0] = (UCHAR)SendPci.Protocol;
	*RxLength = TxLength;
	return IFD_SUCCESS;
}
#endif

RESPONSECODE IFDHICCPresence(DWORD Lun)
{
	return Lun & 1 ? IFD_ICC_NOT_PRESENT : IFD_SUCCESS;
}
