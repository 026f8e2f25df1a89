/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What passed between a driver and a reader, entry by entry, and its text form: one line an entry,
 * behind the line RECORDING_MAGIC; lines that begin with '#' and empty lines mean nothing.
 *
 *	TIME out EP STATUS DATA            a bulk-OUT transfer
 *	TIME in EP STATUS DATA             a bulk-IN transfer
 *	TIME event EP STATUS DATA          an interrupt-IN transfer
 *	TIME control SETUP STATUS DATA     a control transfer, data of either direction
 *	TIME clear-halt EP STATUS          a halt of an endpoint was ended
 *	TIME reset STATUS                  the port was reset
 *	TIME call SLOT NAME VALUE DATA     the host called the driver
 *	TIME return SLOT NAME VALUE DATA   what it got, VALUE being the result
 *	TIME dropped COUNT                 entries that are missing here
 *	TIME quirk NAME = VALUE  # FILE:LINE [SECTION]
 *	                                   what a quirk file said of the reader, and was applied
 *
 * TIME is CLOCK_MONOTONIC in seconds with nine decimals, EP a bEndpointAddress, SETUP the setup
 * packet; these and DATA are hexadecimal, VALUE too. DATA is "-" when there is none. A byte that is
 * masked is "**"; with a stand-in other than 00, "*" and its digits. "+N" behind the data: N more
 * bytes were there and have not been kept. What is said of a quirk is the entry's data, as text.
 *
 * Pure functions; any thread.
 */
#ifndef CARDWIRE_RECORDING_ENTRY_H
#define CARDWIRE_RECORDING_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORDING_MAGIC "cardwire-recording 1"

enum {
	RECORDING_DATA_MAX = 65536 + 512, /* bytes of an entry */
	RECORDING_MASKS = 2,
};

enum recording_kind {
	RECORDING_OUT,
	RECORDING_IN,
	RECORDING_EVENT,
	RECORDING_CONTROL,
	RECORDING_CLEAR_HALT,
	RECORDING_RESET,
	RECORDING_CALL,
	RECORDING_RETURN,
	RECORDING_DROPPED,
	RECORDING_QUIRK,
};

/* How a transfer ended. */
enum recording_status {
	RECORDING_OK,
	RECORDING_STALL,
	RECORDING_TIMEOUT,
	RECORDING_CANCELLED,
	RECORDING_OVERFLOW,
	RECORDING_ERROR,
	RECORDING_GONE,
};

/* Calls of the host; `value` is the action, protocol number, control code. */
enum recording_call {
	RECORDING_OPEN,
	RECORDING_CLOSE,
	RECORDING_POWER,
	RECORDING_PROTOCOL,
	RECORDING_TRANSMIT,
	RECORDING_CONTROL_CALL,
	RECORDING_PRESENCE,
};

/* Bytes [start, end) of the data are not the real ones. Empty: unused. */
struct recording_mask {
	uint32_t start;
	uint32_t end;
};

struct recording_entry {
	int64_t at; /* CLOCK_MONOTONIC, ns */
	enum recording_kind kind;
	enum recording_status status;
	enum recording_call call;
	uint8_t endpoint;
	uint8_t setup[8];
	uint16_t slot;  /* of a call */
	uint64_t value; /* of a call or its return; number of entries dropped */
	struct recording_mask masks[RECORDING_MASKS];
	uint32_t missing; /* bytes behind the data that were not kept */
	uint32_t len;
	const uint8_t *data; /* the owner's, NULL if len is 0 */
};

/* True if byte `at` of the data is masked. */
bool recording_masked(const struct recording_entry *entry, size_t at);

/* Longest line of an entry with `len` bytes of data, with its end. */
size_t recording_line_max(size_t len);

/*
 * Writes the line, with a newline and a NUL, to TEXT, which has recording_line_max() bytes. Returns
 * its length without the NUL.
 */
size_t recording_print(const struct recording_entry *entry, char *text);

enum recording_parsed {
	RECORDING_ENTRY,
	RECORDING_NOTHING, /* an empty line, a comment */
	RECORDING_WRONG,
};

/*
 * Reads a line, which ends with a NUL or a newline. DATA has room for ROOM bytes; entry->data points
 * there. RECORDING_WRONG: *why says what was expected, statically.
 */
enum recording_parsed recording_parse(const char *line, struct recording_entry *entry,
	uint8_t *data, size_t room, const char **why);

/* Names as in the text; static. */
const char *recording_strkind(enum recording_kind kind);
const char *recording_strcall(enum recording_call call);

/* The number behind a name of LEN characters; -1: there is none. */
int recording_find_kind(const char *name, size_t len);
int recording_find_status(const char *name, size_t len);
int recording_find_call(const char *name, size_t len);

#endif
