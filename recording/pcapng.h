/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Recordings as capture files (pcapng) with the link type of Linux's usbmon, so that Wireshark's
 * dissectors for USB and CCID show them. Written here and not by libpcap, which writes the older
 * format only: that one has no comments, and comments carry what is no USB transfer.
 *
 * Each transfer is a pair of packets, submission and completion. A packet's comments are:
 *
 *	masked START-END …   bytes of its data that are not the real ones
 *	any other            entries before this packet that are no transfers, as lines of entry.h
 *
 * Entries behind the last packet are comments of an interface statistics block.
 *
 * One thread a writer; reading is a pure function.
 */
#ifndef CARDWIRE_RECORDING_PCAPNG_H
#define CARDWIRE_RECORDING_PCAPNG_H

#include <stdio.h>

#include "recording/entry.h"

struct pcapng;

/*
 * Begins a file with the device at that bus and address. CLOCK_REALTIME is CLOCK_MONOTONIC and
 * OFFSET, in ns. The stream stays the caller's. NULL: out of memory, or it could not be written.
 */
struct pcapng *pcapng_new(FILE *out, uint16_t bus, uint8_t address, int64_t offset);

/* Adds an entry. False: out of memory, or it could not be written. */
bool pcapng_write(struct pcapng *pcapng, const struct recording_entry *entry);

/* Ends the file and frees; flushes the stream. False as above. NULL is allowed. */
bool pcapng_end(struct pcapng *pcapng);

/* Called for each entry; the data is valid in the call only. False: that is enough. */
typedef bool recording_each(void *ctx, const struct recording_entry *entry);

/*
 * Reads a capture file of this machine's byte order, ours or another one of that link type. False:
 * *why says what is wrong, statically; entries before it have been told.
 */
bool pcapng_read(
	const uint8_t *bytes, size_t len, recording_each *each, void *ctx, const char **why);

#endif
