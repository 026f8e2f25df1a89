/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the tests' IFD handlers (version 3) have in common: a table of readers, opened and closed by
 * the daemon, a poll function that waits for a reader to change, and the entry points that do
 * nothing. A handler defines struct own, what it keeps of a reader, and own_open(), then includes
 * this, once, and writes the other entry points.
 *
 * All is guarded by frame_lock; entry points may be called by any thread.
 */
#ifndef CARDWIRE_TESTS_IFD_FRAME_H
#define CARDWIRE_TESTS_IFD_FRAME_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <ifdhandler.h>

#define EXPORT __attribute__((visibility("default")))

enum {
	FRAME_LUNS = 64,
};

struct reader {
	bool used;
	DWORD lun;
	bool changed; /* the poll function has something to tell */
	struct own own;
};

static struct reader frame_readers[FRAME_LUNS];
static pthread_mutex_t frame_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t frame_moved = PTHREAD_COND_INITIALIZER;

/* Fills in a reader that is zero; name: the device string, perhaps empty. With the lock. */
static RESPONSECODE own_open(struct own *own, const char *name);

/* The reader of a Lun, or NULL. With the lock. */
static struct reader *frame_find(DWORD lun)
{
	for (size_t i = 0; i < FRAME_LUNS; i++)
		if (frame_readers[i].used && frame_readers[i].lun == lun)
			return &frame_readers[i];
	return NULL;
}

static struct timespec frame_after_ms(long ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

/* Waits until the flag of the reader, offset bytes into it, is set; clears it. Ends as well when the
 * time has passed or the reader is closed. With the lock. */
static void frame_await(DWORD lun, size_t offset, long ms)
{
	struct timespec until = frame_after_ms(ms);
	struct reader *reader;
	bool *flag;
	int rc = 0;

	while ((reader = frame_find(lun)) && rc == 0) {
		flag = (bool *)((char *)reader + offset);
		if (*flag) {
			*flag = false;
			return;
		}
		rc = pthread_cond_clockwait(&frame_moved, &frame_lock, CLOCK_MONOTONIC, &until);
	}
}

/* An attribute or answer, if there is room for it. */
static RESPONSECODE frame_give(PDWORD length, PUCHAR value, const void *data, size_t size)
{
	if (*length < size)
		return IFD_ERROR_INSUFFICIENT_BUFFER;
	memcpy(value, data, size);
	*length = size;
	return IFD_SUCCESS;
}

/* TAG_IFD_POLLING_THREAD_WITH_TIMEOUT */
static RESPONSECODE frame_poll(DWORD lun, int timeout_ms)
{
	pthread_mutex_lock(&frame_lock);
	frame_await(lun, offsetof(struct reader, changed), timeout_ms);
	pthread_mutex_unlock(&frame_lock);
	return IFD_SUCCESS;
}

/* TAG_IFD_STOP_POLLING_THREAD */
static RESPONSECODE frame_stop(DWORD lun)
{
	struct reader *reader;

	pthread_mutex_lock(&frame_lock);
	reader = frame_find(lun);
	if (reader)
		reader->changed = true;
	pthread_cond_broadcast(&frame_moved);
	pthread_mutex_unlock(&frame_lock);
	return IFD_SUCCESS;
}

/* The attributes of a driver that can do all at once, and has these two functions. */
static RESPONSECODE frame_attribute(DWORD tag, PDWORD length, PUCHAR value)
{
	static RESPONSECODE (*const poll_function)(DWORD, int) = frame_poll;
	static RESPONSECODE (*const stop_function)(DWORD) = frame_stop;
	static const UCHAR one = 1, many = FRAME_LUNS;

	switch (tag) {
	case TAG_IFD_SIMULTANEOUS_ACCESS:
		return frame_give(length, value, &many, 1);
	case TAG_IFD_THREAD_SAFE:
	case TAG_IFD_SLOT_THREAD_SAFE:
		return frame_give(length, value, &one, 1);
	case TAG_IFD_POLLING_THREAD_WITH_TIMEOUT:
		return frame_give(length, value, &poll_function, sizeof(poll_function));
	case TAG_IFD_STOP_POLLING_THREAD:
		return frame_give(length, value, &stop_function, sizeof(stop_function));
	default:
		return IFD_ERROR_TAG;
	}
}

EXPORT RESPONSECODE IFDHCreateChannelByName(DWORD Lun, LPSTR DeviceName)
{
	RESPONSECODE rc = IFD_COMMUNICATION_ERROR;

	pthread_mutex_lock(&frame_lock);
	for (size_t i = 0; i < FRAME_LUNS; i++) {
		if (frame_readers[i].used)
			continue;
		frame_readers[i] = (struct reader){ .lun = Lun };
		rc = own_open(&frame_readers[i].own, DeviceName ? DeviceName : "");
		frame_readers[i].used = rc == IFD_SUCCESS;
		break;
	}
	pthread_mutex_unlock(&frame_lock);
	return rc;
}

EXPORT RESPONSECODE IFDHCreateChannel(DWORD Lun, DWORD Channel)
{
	(void)Channel;
	return IFDHCreateChannelByName(Lun, NULL);
}

EXPORT RESPONSECODE IFDHCloseChannel(DWORD Lun)
{
	struct reader *reader;

	pthread_mutex_lock(&frame_lock);
	reader = frame_find(Lun);
	if (reader)
		reader->used = false;
	pthread_cond_broadcast(&frame_moved);
	pthread_mutex_unlock(&frame_lock);
	return reader ? IFD_SUCCESS : IFD_COMMUNICATION_ERROR;
}

EXPORT RESPONSECODE IFDHSetProtocolParameters(
	DWORD Lun, DWORD Protocol, UCHAR Flags, UCHAR PTS1, UCHAR PTS2, UCHAR PTS3)
{
	(void)Lun, (void)Protocol, (void)Flags, (void)PTS1, (void)PTS2, (void)PTS3;
	return IFD_SUCCESS;
}

#endif
