/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An IFD handler (version 3) without a reader: a card that is always present and answers every
 * command with 9000. What is measured with it is the daemon and the library alone.
 *
 * DEVICENAME says how it behaves, in words separated by ':' after "null":
 *   delay=N    each exchange takes N ms
 *   fail       the channel cannot be opened (IFD_COMMUNICATION_ERROR)
 *   absent     there is no such device (IFD_NO_SUCH_DEVICE)
 *   empty      there is no card
 *   poll       there is no poll function: the daemon has to poll
 *
 * Built with NULL_STUCK it does not end when it is unloaded.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

struct own {
	bool empty;
	bool polled;
	long delay_ms;
};

#include "tests/ifd_frame.h"

/* T=1 with a check character, no historical bytes (ISO 7816-3 §8.2). */
static const UCHAR atr[] = { 0x3B, 0x80, 0x01, 0x81 };

static RESPONSECODE own_open(struct own *own, const char *name)
{
	const char *delay = strstr(name, ":delay=");

	if (strstr(name, ":fail"))
		return IFD_COMMUNICATION_ERROR;
	if (strstr(name, ":absent"))
		return IFD_NO_SUCH_DEVICE;
	if (delay)
		own->delay_ms = strtol(delay + strlen(":delay="), NULL, 10);
	own->empty = strstr(name, ":empty") != NULL;
	own->polled = strstr(name, ":poll") != NULL;
	return IFD_SUCCESS;
}

EXPORT RESPONSECODE IFDHGetCapabilities(DWORD Lun, DWORD Tag, PDWORD Length, PUCHAR Value)
{
	static const UCHAR one = 1;
	struct reader *reader;
	bool polled;

	pthread_mutex_lock(&frame_lock);
	reader = frame_find(Lun);
	polled = reader && reader->own.polled;
	pthread_mutex_unlock(&frame_lock);
	switch (Tag) {
	case TAG_IFD_ATR:
		return frame_give(Length, Value, atr, sizeof(atr));
	case TAG_IFD_SLOTS_NUMBER:
		return frame_give(Length, Value, &one, 1);
	case TAG_IFD_POLLING_THREAD_WITH_TIMEOUT:
	case TAG_IFD_STOP_POLLING_THREAD:
		if (polled)
			return IFD_ERROR_TAG;
		break;
	default:
		break;
	}
	return frame_attribute(Tag, Length, Value);
}

EXPORT RESPONSECODE IFDHSetCapabilities(DWORD Lun, DWORD Tag, DWORD Length, PUCHAR Value)
{
	(void)Lun;
	(void)Tag;
	(void)Length;
	(void)Value;
	return IFD_ERROR_TAG;
}

EXPORT RESPONSECODE IFDHPowerICC(DWORD Lun, DWORD Action, PUCHAR Atr, PDWORD AtrLength)
{
	(void)Lun;
	if (Action == IFD_POWER_DOWN) {
		*AtrLength = 0;
		return IFD_SUCCESS;
	}
	return frame_give(AtrLength, Atr, atr, sizeof(atr));
}

EXPORT RESPONSECODE IFDHTransmitToICC(DWORD Lun, SCARD_IO_HEADER SendPci, PUCHAR TxBuffer,
	DWORD TxLength, PUCHAR RxBuffer, PDWORD RxLength, PSCARD_IO_HEADER RecvPci)
{
	static const UCHAR success[] = { 0x90, 0x00 };

	(void)SendPci;
	(void)TxBuffer;
	(void)TxLength;
	(void)RecvPci;
	pthread_mutex_lock(&frame_lock);
	struct reader *reader = frame_find(Lun);
	long delay_ms = reader ? reader->own.delay_ms : 0;
	pthread_mutex_unlock(&frame_lock);
	if (!reader)
		return IFD_NO_SUCH_DEVICE;
	if (delay_ms > 0) {
		struct timespec deadline = frame_after_ms(delay_ms);
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL) == EINTR)
			;
	}
	return frame_give(RxLength, RxBuffer, success, sizeof(success));
}

EXPORT RESPONSECODE IFDHICCPresence(DWORD Lun)
{
	pthread_mutex_lock(&frame_lock);
	struct reader *reader = frame_find(Lun);
	bool present = reader && !reader->own.empty;
	pthread_mutex_unlock(&frame_lock);
	return present ? IFD_ICC_PRESENT : IFD_ICC_NOT_PRESENT;
}

EXPORT RESPONSECODE IFDHControl(DWORD Lun, DWORD dwControlCode, PUCHAR TxBuffer, DWORD TxLength,
	PUCHAR RxBuffer, DWORD RxLength, LPDWORD pdwBytesReturned)
{
	(void)Lun;
	(void)dwControlCode;
	(void)TxBuffer;
	(void)TxLength;
	(void)RxBuffer;
	(void)RxLength;
	*pdwBytesReturned = 0;
	return IFD_ERROR_NOT_SUPPORTED;
}

#ifdef NULL_STUCK
__attribute__((destructor)) static void stay(void)
{
	for (;;)
		pause();
}
#endif
