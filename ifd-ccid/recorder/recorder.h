/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The flight recorder: what passed between the driver and a device, always on, in a ring of bounded
 * size, with secrets masked as they are written. Each device has one; the last few of devices that
 * are gone, or could not be opened, are kept until the library is unloaded, if there is anything in
 * them.
 *
 * What is recorded until recorder_opened() - descriptors, what was asked to open the device - is kept
 * apart and stays when the ring comes round.
 *
 * Ownership: recorder_new() gives the caller one reference, recorder_gone() takes it back. A
 * recorder may be NULL everywhere: nothing is recorded then.
 *
 * Threads: any. Nothing here waits but recorder_read(), which holds no lock while it does.
 */
#ifndef CARDWIRE_CCID_RECORDER_H
#define CARDWIRE_CCID_RECORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ifd-ccid/port/port.h"
#include "recorder_mask.h"
#include "recording/entry.h"

struct recorder;

/* For the device of that name; BYTES of ring. NULL: BYTES is 0, or out of memory. */
struct recorder *recorder_new(const char *device, size_t bytes);

/* The device is open: what follows goes to the ring. */
void recorder_opened(struct recorder *recorder);

/* The device is closed; nothing is recorded any more. */
void recorder_gone(struct recorder *recorder);

/* Adds an entry; its `at` is set here. Masked bytes of the data are not looked at, but for
 * stand-ins. */
void recorder_add(struct recorder *recorder, const struct recording_entry *entry);

/*
 * Adds a bulk transfer. MESSAGE is what it belongs to, of which it is the bytes from OFFSET on, LEN
 * in all until here; of a command LEN is all. SECRECY as for mask_message().
 */
void recorder_bulk(struct recorder *recorder, uint8_t endpoint, enum port_status status,
	const uint8_t *message, size_t offset, size_t len, struct mask_secrecy *secrecy);

/* Adds an interrupt transfer. */
void recorder_event(struct recorder *recorder, const struct port_transfer *transfer);

/*
 * Adds a control transfer; ACTUAL bytes of DATA in its data stage, whatever its direction. SECRECY
 * may be NULL: it carries nothing for a card.
 */
void recorder_control(struct recorder *recorder, const uint8_t setup[8], enum port_status status,
	const uint8_t *data, size_t actual, struct mask_secrecy *secrecy);

/* Adds what a quirk file said of the reader: one property, as recording/entry.h has it. */
void recorder_quirk(struct recorder *recorder, const char *text);

/*
 * Adds a call of the host, or its return; but no question for the card's presence that led to no
 * exchange and was answered like the last. DATA: command or response, APDU or Escape; SECRET:
 * it, or the command that it answers, is not to be shown.
 */
void recorder_call(struct recorder *recorder, unsigned slot, enum recording_call call,
	uint64_t value, const uint8_t *data, size_t len, bool secret);
void recorder_return(struct recorder *recorder, unsigned slot, enum recording_call call,
	uint64_t result, const uint8_t *data, size_t len, bool secret);

enum recorder_found {
	RECORDER_NONE, /* no recording of that device */
	RECORDER_LIVE,
	RECORDER_GONE, /* the device is gone: there will be no more */
};

/*
 * Reads the recording of a device, or of the one that had its name last, as lines of
 * recording/entry.h; not the magic. *POSITION: 0 for all, UINT64_MAX for what was kept of the
 * opening and then only what comes; it is moved behind what was read. Waits up to TIMEOUT_MS
 * until there is something. *LENGTH: room in TEXT in, which must be RECORDER_TEXT_MIN at least;
 * whole lines out, perhaps none; no NUL.
 */
enum recorder_found recorder_read(
	const char *device, uint64_t *position, int timeout_ms, char *text, size_t *length);

#define RECORDER_TEXT_MIN ((size_t)256 << 10) /* holds the longest line and more */

/* Writes a line "live DEVICE" or "gone DEVICE" for each recording. *LENGTH: room in, length out. */
void recorder_list(char *text, size_t *length);

#endif
