/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Drivers and their channels, shared by the files that make them up: driver.c (libraries),
 * driver_channel.c (which channel waits for which, opening and closing), driver_call.c (the calls).
 */
#ifndef CARDWIRE_PCSCD_DRIVER_PRIVATE_H
#define CARDWIRE_PCSCD_DRIVER_PRIVATE_H

#include <pthread.h>

#include "pcscd/readers/driver.h"

#define NAME_SIZE 160 /* a reader's name in the log of APDUs; longer ones are cut there */

/* The entry points, as <ifdhandler.h> declares them. */
struct entry_points {
	RESPONSECODE (*create_by_name)(DWORD, LPSTR);
	RESPONSECODE (*create)(DWORD, DWORD);
	RESPONSECODE (*close)(DWORD);
	RESPONSECODE (*get_capabilities)(DWORD, DWORD, PDWORD, PUCHAR);
	RESPONSECODE (*set_capabilities)(DWORD, DWORD, DWORD, PUCHAR);
	RESPONSECODE (*set_protocol)(DWORD, DWORD, UCHAR, UCHAR, UCHAR, UCHAR);
	RESPONSECODE (*power)(DWORD, DWORD, PUCHAR, PDWORD);
	RESPONSECODE(*transmit)
	(DWORD, SCARD_IO_HEADER, PUCHAR, DWORD, PUCHAR, PDWORD, PSCARD_IO_HEADER);
	RESPONSECODE (*presence)(DWORD);
	RESPONSECODE (*control_v3)(DWORD, DWORD, PUCHAR, DWORD, PUCHAR, DWORD, LPDWORD);
	RESPONSECODE (*control_v2)(DWORD, PUCHAR, DWORD, PUCHAR, PDWORD);
	RESPONSECODE (*recording)(LPCSTR, uint64_t *, int, char *, PDWORD);
};

/* Who must wait for whom: calls of channels with the same lane are made one after the other. */
struct lane {
	pthread_mutex_t busy;
	unsigned references; /* under the driver's lock */
};

enum safety {
	SAFETY_UNKNOWN, /* not asked yet: no device was opened */
	SAFETY_NONE,
	SAFETY_READERS, /* readers may be called at once */
};

struct driver {
	struct driver *next; /* in the list of loaded ones */
	unsigned references; /* under registry_lock */
	int64_t idle_since;  /* ns, while there are no references */
	char *path;
	void *handle;
	int version;
	struct entry_points entry;

	/* Held while a device is opened and it isn't known whether others may be at the same time. */
	pthread_mutex_t opening;

	pthread_mutex_t lock; /* guards what follows; never held over a call */
	enum safety safety;
	struct lane *first_lane;
};

typedef RESPONSECODE (*poll_function)(DWORD, int);
typedef RESPONSECODE (*stop_function)(DWORD);

struct channel {
	struct driver *driver;
	struct lane *lane;
	DWORD lun;
	char *device;
	DWORD number;
	poll_function poll;
	stop_function stop;
	bool can_abort;
	bool wants_client;
	bool tell_removed; /* wants TAG_IFD_DEVICE_REMOVED */
	bool secret;       /* the last APDU was; in the channel's turn */
	char name[NAME_SIZE];
	const char *about_before; /* whom log lines named before channel_enter() */
};

/* Around each call of an entry point but those outside the lanes: waits for the channel's lane, and
 * names its reader in what is logged meanwhile. */
void channel_enter(struct channel *channel);
void channel_leave(struct channel *channel);

#endif
