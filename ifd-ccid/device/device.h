/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One CCID interface of one device: its slots share a port, a pair of bulk pipes and an interrupt
 * pipe. Here commands go out and answers are brought to the slot that waits for them.
 *
 * Ownership: device_open() gives the caller a device with one reference; each further slot takes
 * another. All memory that device_exchange() hands out belongs to the device.
 *
 * Threads: any thread may call any function; one exchange a slot at a time (the caller's turn).
 * Exchanges on different slots run side by side as far as bMaxCCIDBusySlots allows. device_abort(),
 * device_poll(), device_stop_poll() and device_removed() may be called while an exchange runs.
 */
#ifndef CARDWIRE_CCID_DEVICE_H
#define CARDWIRE_CCID_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ccid_msg.h"
#include "descriptor.h"
#include "ifd-ccid/quirk/quirk.h"

struct device;
struct recorder;

enum ccid_result {
	CCID_OK,
	CCID_REFUSED, /* the reader says that the command failed: bStatus and bError of the answer */
	CCID_TIMEOUT,  /* no answer in time; recovery has been done */
	CCID_ABORTED,  /* by device_abort(); recovery has been done */
	CCID_GARBLED,  /* a transfer failed or the answer is malformed; recovery has been done */
	CCID_ABSENT,   /* there is no card */
	CCID_LIMIT,    /* the command is longer than the reader takes, or can't be carried */
	CCID_OVERRUN,  /* the response is longer than the caller's buffer; all has been read */
	CCID_CARD,     /* the card broke its protocol and has to be reset */
	CCID_PROTOCOL, /* the protocol is not one of the reader's or the card's */
	CCID_BUSY,     /* other slots kept the reader busy all the time; nothing was sent */
	CCID_GONE,     /* the device has vanished */
};

/* How long a command may take. */
struct ccid_patience {
	int64_t timeout_ms; /* until the answer, or the next request for more time */
	int64_t ceiling_ms; /* longest wait that one request for more time can gain */
	int64_t end;        /* deadline of it all, whatever the reader asks for */
};

/*
 * Opens the device that a device string names (see port_open()): descriptors, interface, the
 * standing interrupt transfer. NULL after one error line.
 */
struct device *device_open(const char *name);

/* Takes another reference. */
struct device *device_ref(struct device *device);

/* Gives one back; the last closes the device. No exchange or poll runs on the caller's slot. */
void device_unref(struct device *device);

/* Its flight recorder; NULL: it has none. Valid as long as the device. */
struct recorder *device_recorder(const struct device *device);

/* The device string it was opened with. */
const char *device_name(const struct device *device);

const struct ccid_interface *device_interface(const struct device *device);
const struct device_descriptor *device_descriptor(const struct device *device);

/* What quirk files say about it; the same for the device's whole life. */
const struct quirk_set *device_quirks(const struct device *device);

/* Bus and address for SCARD_ATTR_CHANNEL_ID; 0 when unknown. */
void device_location(const struct device *device, uint8_t *bus, uint8_t *address);

/* Where it is plugged in: "BUS-PORT.PORT:CONFIGURATION.INTERFACE", or else its device string. */
#define DEVICE_PLACE_MAX 64
void device_place(const struct device *device, char place[DEVICE_PLACE_MAX]);

/*
 * Reads string descriptor INDEX as ASCII (other characters become '.'); at most SIZE - 1 characters
 * and the end. False: none, or not readable.
 */
bool device_string(struct device *device, uint8_t index, char *out, size_t size);

/* GET_DATA_RATES (CCID 1.1 §5.3.3): bit/s, ended by 0; NULL: no list, or no need for one. */
const uint32_t *device_rates(const struct device *device);

/* Prepares a slot, 0 … slots - 1. False: out of memory. */
bool device_slot_open(struct device *device, unsigned slot);

/*
 * One command and its answer. The answer's data is valid until the next exchange on the slot.
 * SECRET: the buffers are wiped, of the command at the end, of the answer at the next exchange.
 * After CCID_TIMEOUT, CCID_ABORTED and CCID_GARBLED a late answer is never taken for another's.
 */
enum ccid_result device_exchange(struct device *device, unsigned slot,
	const struct ccid_command *command, const struct ccid_patience *patience, bool secret,
	struct ccid_answer *answer);

/*
 * A call of the host begins and ends on a slot. device_abort() between the two makes the running
 * and all further exchanges of the call return CCID_ABORTED.
 */
void device_call_begin(struct device *device, unsigned slot);
void device_call_end(struct device *device, unsigned slot);

/*
 * Lets MS milliseconds of a call pass, for readers that need them. CCID_OK; CCID_ABORTED and
 * CCID_GONE, at once, if that happens.
 */
enum ccid_result device_pause(struct device *device, unsigned slot, int64_t ms);

/* Aborts the call that runs on the slot; harmless if none does. Does not wait. */
void device_abort(struct device *device, unsigned slot);

/* The device is off the bus, says the host: everything ends with CCID_GONE. */
void device_removed(struct device *device);

/* True when the device is known to have vanished. */
bool device_is_gone(struct device *device);

/*
 * Presence of a card in the slot: from what is known, or by GetSlotStatus. As it was last known while
 * other slots keep the reader busy. CCID_OK or CCID_ABSENT; other results as of device_exchange().
 */
enum ccid_result device_presence(struct device *device, unsigned slot);

/* We have powered the card up, or down. Called before a power command with false. */
void device_set_powered(struct device *device, unsigned slot, bool powered);
bool device_powered(struct device *device, unsigned slot);

/*
 * Whether a power-on has worked, for readers that can't be asked for a card (quirk presence =
 * power-on).
 */
void device_power_result(struct device *device, unsigned slot, bool worked);

/* True when card changes are told by interrupt messages. */
bool device_has_events(const struct device *device);

/*
 * Waits until something changed in the slot since the last device_presence(), or for TIMEOUT_MS, or
 * until device_stop_poll(). CCID_OK, or CCID_GONE.
 */
enum ccid_result device_poll(struct device *device, unsigned slot, int timeout_ms);

/* Makes the running or the next device_poll() of the slot return. */
void device_stop_poll(struct device *device, unsigned slot);

#endif
