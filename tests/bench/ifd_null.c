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
 * Every function may be called by any thread.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <ifdhandler.h>

#define EXPORT    __attribute__((visibility("default")))
#define MAX_LUNS  64
#define NS_PER_MS 1000000L

/* T=1 with a check character, no historical bytes (ISO 7816-3 §8.2). */
static const UCHAR atr[] = { 0x3B, 0x80, 0x01, 0x81 };

struct reader {
	bool used;
	DWORD lun;
	bool empty;
	bool polled;
	bool stop;
	long delay_ms;
};

static struct reader readers[MAX_LUNS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t stopped;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void initialise(void)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&stopped, &attributes);
	pthread_condattr_destroy(&attributes);
}

/* The reader of a Lun, or NULL. The lock is held. */
static struct reader *find(DWORD lun)
{
	for (size_t i = 0; i < MAX_LUNS; i++)
		if (readers[i].used && readers[i].lun == lun)
			return &readers[i];
	return NULL;
}

static struct timespec after_ms(long ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * NS_PER_MS;
	if (t.tv_nsec >= 1000 * NS_PER_MS) {
		t.tv_sec++;
		t.tv_nsec -= 1000 * NS_PER_MS;
	}
	return t;
}

/* Reads the words of a device name into a reader. */
static RESPONSECODE configure(struct reader *reader, const char *name)
{
	if (strstr(name, ":fail"))
		return IFD_COMMUNICATION_ERROR;
	if (strstr(name, ":absent"))
		return IFD_NO_SUCH_DEVICE;
	const char *delay = strstr(name, ":delay=");
	if (delay)
		reader->delay_ms = strtol(delay + strlen(":delay="), NULL, 10);
	reader->empty = strstr(name, ":empty") != NULL;
	reader->polled = strstr(name, ":poll") != NULL;
	return IFD_SUCCESS;
}

EXPORT RESPONSECODE IFDHCreateChannelByName(DWORD Lun, LPSTR DeviceName)
{
	RESPONSECODE rc = IFD_COMMUNICATION_ERROR;

	pthread_once(&once, initialise);
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < MAX_LUNS; i++) {
		if (readers[i].used)
			continue;
		readers[i] = (struct reader){ .lun = Lun };
		rc = configure(&readers[i], DeviceName ? DeviceName : "");
		readers[i].used = rc == IFD_SUCCESS;
		break;
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

EXPORT RESPONSECODE IFDHCreateChannel(DWORD Lun, DWORD Channel)
{
	(void)Channel;
	return IFDHCreateChannelByName(Lun, NULL);
}

EXPORT RESPONSECODE IFDHCloseChannel(DWORD Lun)
{
	pthread_mutex_lock(&lock);
	struct reader *reader = find(Lun);
	if (reader)
		reader->used = false;
	pthread_mutex_unlock(&lock);
	return reader ? IFD_SUCCESS : IFD_COMMUNICATION_ERROR;
}

/* TAG_IFD_POLLING_THREAD_WITH_TIMEOUT: nothing ever changes, so it waits to be stopped. */
static RESPONSECODE wait_change(DWORD lun, int timeout_ms)
{
	struct timespec deadline = after_ms(timeout_ms);
	int rc = 0;

	pthread_mutex_lock(&lock);
	struct reader *reader = find(lun);
	while (reader && !reader->stop && rc == 0) {
		rc = pthread_cond_timedwait(&stopped, &lock, &deadline);
		reader = find(lun);
	}
	if (reader)
		reader->stop = false;
	pthread_mutex_unlock(&lock);
	return IFD_SUCCESS;
}

/* TAG_IFD_STOP_POLLING_THREAD */
static RESPONSECODE stop_waiting(DWORD lun)
{
	pthread_mutex_lock(&lock);
	struct reader *reader = find(lun);
	if (reader)
		reader->stop = true;
	pthread_cond_broadcast(&stopped);
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
	static RESPONSECODE (*const wait_function)(DWORD, int) = wait_change;
	static RESPONSECODE (*const stop_function)(DWORD) = stop_waiting;
	static const UCHAR one = 1, many = MAX_LUNS;

	pthread_mutex_lock(&lock);
	struct reader *reader = find(Lun);
	bool polled = reader && reader->polled;
	pthread_mutex_unlock(&lock);
	switch (Tag) {
	case TAG_IFD_ATR:
		return give(Length, Value, atr, sizeof(atr));
	case TAG_IFD_SIMULTANEOUS_ACCESS:
		return give(Length, Value, &many, 1);
	case TAG_IFD_THREAD_SAFE:
	case TAG_IFD_SLOT_THREAD_SAFE:
	case TAG_IFD_SLOTS_NUMBER:
		return give(Length, Value, &one, 1);
	case TAG_IFD_POLLING_THREAD_WITH_TIMEOUT:
		if (polled)
			return IFD_ERROR_TAG;
		return give(Length, Value, &wait_function, sizeof(wait_function));
	case TAG_IFD_STOP_POLLING_THREAD:
		if (polled)
			return IFD_ERROR_TAG;
		return give(Length, Value, &stop_function, sizeof(stop_function));
	default:
		return IFD_ERROR_TAG;
	}
}

EXPORT RESPONSECODE IFDHSetCapabilities(DWORD Lun, DWORD Tag, DWORD Length, PUCHAR Value)
{
	(void)Lun;
	(void)Tag;
	(void)Length;
	(void)Value;
	return IFD_ERROR_TAG;
}

EXPORT RESPONSECODE IFDHSetProtocolParameters(
	DWORD Lun, DWORD Protocol, UCHAR Flags, UCHAR PTS1, UCHAR PTS2, UCHAR PTS3)
{
	(void)Lun;
	(void)Protocol;
	(void)Flags;
	(void)PTS1;
	(void)PTS2;
	(void)PTS3;
	return IFD_SUCCESS;
}

EXPORT RESPONSECODE IFDHPowerICC(DWORD Lun, DWORD Action, PUCHAR Atr, PDWORD AtrLength)
{
	(void)Lun;
	if (Action == IFD_POWER_DOWN) {
		*AtrLength = 0;
		return IFD_SUCCESS;
	}
	return give(AtrLength, Atr, atr, sizeof(atr));
}

EXPORT RESPONSECODE IFDHTransmitToICC(DWORD Lun, SCARD_IO_HEADER SendPci, PUCHAR TxBuffer,
	DWORD TxLength, PUCHAR RxBuffer, PDWORD RxLength, PSCARD_IO_HEADER RecvPci)
{
	static const UCHAR success[] = { 0x90, 0x00 };

	(void)SendPci;
	(void)TxBuffer;
	(void)TxLength;
	(void)RecvPci;
	pthread_mutex_lock(&lock);
	struct reader *reader = find(Lun);
	long delay_ms = reader ? reader->delay_ms : 0;
	pthread_mutex_unlock(&lock);
	if (!reader)
		return IFD_NO_SUCH_DEVICE;
	if (delay_ms > 0) {
		struct timespec deadline = after_ms(delay_ms);
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL) == EINTR)
			;
	}
	return give(RxLength, RxBuffer, success, sizeof(success));
}

EXPORT RESPONSECODE IFDHICCPresence(DWORD Lun)
{
	pthread_mutex_lock(&lock);
	struct reader *reader = find(Lun);
	bool present = reader && !reader->empty;
	pthread_mutex_unlock(&lock);
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
