/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_WIRE_EXT_H
#define CARDWIRE_WIRE_EXT_H

/*
 * The extension that our own library and daemon speak to each other, on top of 4:6.
 *
 * Why: in the protocol everyone speaks, a client that asks for one reader gets all of them, each
 * event wakes everyone who waits, and status takes three round trips. Here a client names the
 * readers it means, gets those that differ from what it has seen, and is woken for no others.
 *
 * Agreement: the client sends VERSION 4:6 with rv = WIRE_EXT_HELLO | flags. Other daemons ignore rv
 * and overwrite it. Ours answers 4:6 with rv = WIRE_EXT_WELCOME instead of 0, and from then on
 * takes the commands below on that connection, beside all others. Without HELLO they are unknown.
 *
 * A CONNECT with rv = WIRE_EXT_TRY does not wait for a transaction: SCARD_E_SHARING_VIOLATION at
 * once. So asks who believes to hold it, and would wait for itself.
 *
 * On such a connection there is exactly one reply a request, in the order of the requests, but for
 * STOP, which has none. A daemon of this kind queues calls that have to wait for a slot: they are
 * answered when their turn comes, and SCARD_E_SHARING_VIOLATION is final.
 *
 * Serials: each slot has two numbers, `card` (it changes with readerState, the ATR, the event
 * counter and the existence of the reader) and `sharing` (with the class of readerSharing:
 * exclusive, none, some). New ones are drawn from one counter of the daemon, so that a reader that
 * went and came back has others than before. They mean nothing on another connection.
 */

#include "wire/messages.h"

#define WIRE_EXT_HELLO      0x43574800u /* "CWH", and flags in the low byte */
#define WIRE_EXT_HELLO_MASK 0xFFFFFF00u
#define WIRE_EXT_NO_BLOCKING                                                                       \
	0x01u                        /* flag: RECONNECT, STATUS and TRANSMIT don't wait for a
                                      transaction: SCARD_E_SHARING_VIOLATION at once */
#define WIRE_EXT_WELCOME 0x43575701u /* "CWW", version 1 of the extension */
#define WIRE_EXT_TRY     0x43575400u /* "CWT" */

/* The dialect of a connection on which this was agreed, where others have their minor version. */
#define WIRE_DIALECT_EXT 100

#define WIRE_EXT_SERIAL_NONE 0u          /* seen: nothing yet; differs from every serial */
#define WIRE_EXT_SERIAL_GONE 1u          /* `card` and `sharing` of a name that no reader has */
#define WIRE_EXT_SERIAL_ANY  0xFFFFFFFFu /* seen: I don't mind; differs from none */

/* Most entries in one WAIT. */
#define WIRE_EXT_ENTRIES_MAX 4096

/* Most bytes of names in the reply to LIST. */
#define WIRE_EXT_NAMES_MAX (WIRE_STATES_MAX * WIRE_READERNAME)

enum wire_ext_command {
	/* Request: struct wire_status. Reply: struct wire_ext_status. STATUS and the state at once. */
	WIRE_EXT_STATUS = 0x40,
	/* No body. Reply: struct wire_ext_list and the names. */
	WIRE_EXT_LIST = 0x41,
	/*
	 * Request: struct wire_ext_wait and its entries. Reply: struct wire_ext_changes and its
	 * changes: for each entry that differs, now. If none does and events_seen holds, the
	 * reply waits until one does, or for STOP. No other request is sent in the meantime.
	 * The daemon answers LIST and WAIT when its first look for readers is done.
	 */
	WIRE_EXT_WAIT = 0x42,
	/*
	 * No body, no reply: a WAIT that is pending is answered at once, with rv 0 and no changes. If
	 * its reply was already on its way there is nothing to do.
	 */
	WIRE_EXT_STOP = 0x43
};

struct wire_ext_status {
	int32_t hCard;
	uint32_t rv;                    /* as for STATUS; unless 0, state is all zero */
	struct wire_reader_state state; /* of the handle's reader */
};

struct wire_ext_list {
	uint32_t rv;
	uint32_t events;  /* as readerEvents of GET_READER_EVENTS */
	uint32_t readers; /* number of names */
	uint32_t length;  /* bytes that follow: the names, each with its NUL */
};

/* Flags of WAIT. */
#define WIRE_EXT_NOW 0x01u /* answer at once, whether anything differs or not */

struct wire_ext_wait {
	uint32_t count; /* entries that follow, 0..WIRE_EXT_ENTRIES_MAX; header.size counts them */
	uint32_t flags;
	uint32_t events_seen; /* differs from `events`: a change; or WIRE_EXT_SERIAL_ANY */
	uint32_t reserved;    /* 0 */
};

struct wire_ext_entry {
	char name[WIRE_READERNAME];
	uint32_t card_seen;
	uint32_t sharing_seen;
};

struct wire_ext_changes {
	uint32_t rv;
	uint32_t events;
	uint32_t readers; /* how many there are */
	uint32_t count;   /* changes that follow, in the order of their entries, one each at most */
};

struct wire_ext_change {
	uint32_t index; /* of the entry */
	uint32_t card;
	uint32_t sharing;
	struct wire_reader_state state; /* all zero if both serials are WIRE_EXT_SERIAL_GONE */
};

WIRE_CHECK_SIZE(wire_ext_status, 192);
WIRE_CHECK_AT(wire_ext_status, hCard, 0);
WIRE_CHECK_AT(wire_ext_status, rv, 4);
WIRE_CHECK_AT(wire_ext_status, state, 8);
WIRE_CHECK_SIZE(wire_ext_list, 16);
WIRE_CHECK_AT(wire_ext_list, rv, 0);
WIRE_CHECK_AT(wire_ext_list, events, 4);
WIRE_CHECK_AT(wire_ext_list, readers, 8);
WIRE_CHECK_AT(wire_ext_list, length, 12);
WIRE_CHECK_SIZE(wire_ext_wait, 16);
WIRE_CHECK_AT(wire_ext_wait, count, 0);
WIRE_CHECK_AT(wire_ext_wait, flags, 4);
WIRE_CHECK_AT(wire_ext_wait, events_seen, 8);
WIRE_CHECK_AT(wire_ext_wait, reserved, 12);
WIRE_CHECK_SIZE(wire_ext_entry, 136);
WIRE_CHECK_AT(wire_ext_entry, name, 0);
WIRE_CHECK_AT(wire_ext_entry, card_seen, 128);
WIRE_CHECK_AT(wire_ext_entry, sharing_seen, 132);
WIRE_CHECK_SIZE(wire_ext_changes, 16);
WIRE_CHECK_AT(wire_ext_changes, rv, 0);
WIRE_CHECK_AT(wire_ext_changes, events, 4);
WIRE_CHECK_AT(wire_ext_changes, readers, 8);
WIRE_CHECK_AT(wire_ext_changes, count, 12);
WIRE_CHECK_SIZE(wire_ext_change, 196);
WIRE_CHECK_AT(wire_ext_change, index, 0);
WIRE_CHECK_AT(wire_ext_change, card, 4);
WIRE_CHECK_AT(wire_ext_change, sharing, 8);
WIRE_CHECK_AT(wire_ext_change, state, 12);

#endif
