/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_WIRE_MESSAGES_H
#define CARDWIRE_WIRE_MESSAGES_H

/*
 * The protocol between the client library and the daemon, versions 4:3 to 4:6.
 *
 * A Unix stream socket, both ends on one machine: integers are in host order and have 32 bits, so
 * that 32-bit and 64-bit programs share one layout. A request is a struct wire_header, a body of
 * fixed size and, for TRANSMIT and CONTROL, `cbSendLength` bytes of data that `size` doesn't count.
 * A reply has no header: it is the request's body with the results filled in and, where a
 * successful TRANSMIT or CONTROL has any, the data. Requests without a body answer with a struct of
 * their own. There is one reply a request, except for those about events; see wire_command.
 *
 * This header is the layout and nothing else. Lengths in messages are checked by wire/wire.h; what
 * our own library and daemon say to each other beyond this is in wire/ext.h.
 */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_VERSION_MAJOR     4
#define WIRE_VERSION_MINOR     6 /* what we speak */
#define WIRE_VERSION_MINOR_MIN 3 /* the oldest we understand */

/* Minor versions at which something changed. */
#define WIRE_MINOR_NO_WAIT_BODY  4 /* WAIT and STOP lose their body; WAIT answers with states */
#define WIRE_MINOR_READER_EVENTS 5 /* GET_READER_EVENTS */
#define WIRE_MINOR_DYNAMIC_ARRAY 6 /* GET_READERS_STATE_SIZE and _ARRAY; WAIT gives no states */

/* Limits, in bytes unless said otherwise. */
#define WIRE_READERNAME    128    /* with the final NUL */
#define WIRE_ATR           33     /* longest ATR */
#define WIRE_ATR_NONE      34     /* cardAtrLength of a slot that isn't ready or isn't used */
#define WIRE_ATTR          264u   /* longest attribute */
#define WIRE_DATA          65548u /* most data in one direction of TRANSMIT or CONTROL */
#define WIRE_STATIC_STATES 16     /* entries in the array of GET_READERS_STATE */
#define WIRE_STATES_MAX    65536  /* entries in any array */

/* Values of READER_STATE and of the client's view of protocols that aren't in public headers. */
#define WIRE_PROTOCOL_ANY_OLD                                                                      \
	0x1000                      /* in dwPreferredProtocols: any, as very old clients write it */
#define WIRE_SHARING_EXCLUSIVE (-1) /* readerSharing */
#define WIRE_HCARD_NONE        (-1) /* hCard in the reply to a refused CONNECT */

/* Commands. Numbers without a name here aren't used by anyone; a peer that sends them is closed. */
enum wire_command {
	WIRE_ESTABLISH_CONTEXT = 0x01,
	WIRE_RELEASE_CONTEXT = 0x02,
	WIRE_CONNECT = 0x04,
	WIRE_RECONNECT = 0x05,
	WIRE_DISCONNECT = 0x06,
	WIRE_BEGIN_TRANSACTION = 0x07,
	WIRE_END_TRANSACTION = 0x08,
	WIRE_TRANSMIT = 0x09, /* data follow the request, and the reply if rv is 0 */
	WIRE_CONTROL = 0x0A,  /* likewise */
	WIRE_STATUS = 0x0B,   /* only rv has a meaning; the rest comes from the reader states */
	WIRE_CANCEL = 0x0D,   /* on a connection of its own, without VERSION */
	WIRE_GET_ATTRIB = 0x0F,
	WIRE_SET_ATTRIB = 0x10,
	WIRE_VERSION = 0x11,
	/* Reply: struct wire_reader_state[WIRE_STATIC_STATES]. For peers below 4:6. */
	WIRE_GET_READERS_STATE = 0x12,
	/*
	 * Registers for the next event. Later exactly one struct wire_wait is sent: by the event,
	 * by a CANCEL, or as the answer to STOP. Before it, at once and in one piece, a peer of 4:4
	 * or 4:5 gets the states of GET_READERS_STATE. A peer of 4:3 sends a struct wire_wait as
	 * body.
	 */
	WIRE_WAIT_READER_STATE_CHANGE = 0x13,
	/* Ends the registration. No reply if an event has already ended it. 4:3: as above. */
	WIRE_STOP_WAITING = 0x14,
	WIRE_GET_READER_EVENTS = 0x15,      /* since 4:5; reply: struct wire_reader_events */
	WIRE_GET_READERS_STATE_SIZE = 0x16, /* since 4:6; reply: struct wire_states_size */
	WIRE_GET_READERS_STATE_ARRAY =
		0x17 /* since 4:6; reply: that many struct wire_reader_state */
};

struct wire_header {
	uint32_t size; /* of the body, without data */
	uint32_t command;
};

struct wire_version {
	int32_t major;
	int32_t minor;
	uint32_t rv; /* request: 0, or WIRE_EXT_HELLO (wire/ext.h) */
};

struct wire_establish {
	uint32_t dwScope;
	uint32_t hContext; /* out */
	uint32_t rv;
};

struct wire_release {
	uint32_t hContext;
	uint32_t rv;
};

struct wire_connect {
	uint32_t hContext;
	char szReader[WIRE_READERNAME];
	uint32_t dwShareMode;
	uint32_t dwPreferredProtocols;
	int32_t hCard;             /* out */
	uint32_t dwActiveProtocol; /* out */
	uint32_t rv;
};

struct wire_reconnect {
	int32_t hCard;
	uint32_t dwShareMode;
	uint32_t dwPreferredProtocols;
	uint32_t dwInitialization;
	uint32_t dwActiveProtocol; /* out */
	uint32_t rv;
};

struct wire_disconnect {
	int32_t hCard;
	uint32_t dwDisposition;
	uint32_t rv;
};

struct wire_begin {
	int32_t hCard;
	uint32_t rv;
};

struct wire_end {
	int32_t hCard;
	uint32_t dwDisposition;
	uint32_t rv;
};

struct wire_cancel {
	int32_t hContext;
	uint32_t rv;
};

struct wire_status {
	int32_t hCard;
	uint32_t rv;
};

struct wire_transmit {
	int32_t hCard;
	uint32_t ioSendPciProtocol;
	uint32_t ioSendPciLength;
	uint32_t cbSendLength;
	uint32_t ioRecvPciProtocol;
	uint32_t ioRecvPciLength;
	uint32_t pcbRecvLength; /* in: room; out: length of the answer, or the room it needs */
	uint32_t rv;
};

struct wire_control {
	int32_t hCard;
	uint32_t dwControlCode;
	uint32_t cbSendLength;
	uint32_t cbRecvLength;    /* room */
	uint32_t dwBytesReturned; /* out: length of the answer, or the room it needs */
	uint32_t rv;
};

struct wire_getset {
	int32_t hCard;
	uint32_t dwAttrId;
	uint8_t pbAttr[WIRE_ATTR];
	uint32_t cbAttrLen;
	uint32_t rv;
};

/* The event message, and the body of WAIT and STOP of 4:3. */
struct wire_wait {
	uint32_t timeOut; /* 0 from a server */
	uint32_t rv;      /* 0, or SCARD_E_CANCELLED */
};

struct wire_reader_events {
	uint32_t readerEvents; /* 1..32767, counts readers that come and go */
	uint32_t rv;
};

struct wire_states_size {
	uint32_t slots; /* never 0, never less than it was */
};

/* One slot as the daemon publishes it. A name of length 0: not used. */
struct wire_reader_state {
	char readerName[WIRE_READERNAME]; /* UTF-8, NUL-terminated */
	uint32_t eventCounter;            /* insertions and removals, modulo 65536 */
	uint32_t readerState;             /* SCARD_ABSENT, SCARD_PRESENT, … */
	int32_t readerSharing;            /* handles, or WIRE_SHARING_EXCLUSIVE */
	uint8_t cardAtr[WIRE_ATR];
	uint8_t pad[3];
	uint32_t cardAtrLength; /* up to WIRE_ATR, or WIRE_ATR_NONE */
	uint32_t cardProtocol;  /* SCARD_PROTOCOL_*, 0: none yet */
};

#define WIRE_CHECK_SIZE(type, bytes)                                                               \
	static_assert(sizeof(struct type) == (bytes), #type " has another size on the wire")
#define WIRE_CHECK_AT(type, member, at)                                                            \
	static_assert(offsetof(struct type, member) == (at), #member " is elsewhere on the wire")

WIRE_CHECK_SIZE(wire_header, 8);
WIRE_CHECK_AT(wire_header, size, 0);
WIRE_CHECK_AT(wire_header, command, 4);
WIRE_CHECK_SIZE(wire_version, 12);
WIRE_CHECK_AT(wire_version, major, 0);
WIRE_CHECK_AT(wire_version, minor, 4);
WIRE_CHECK_AT(wire_version, rv, 8);
WIRE_CHECK_SIZE(wire_establish, 12);
WIRE_CHECK_AT(wire_establish, dwScope, 0);
WIRE_CHECK_AT(wire_establish, hContext, 4);
WIRE_CHECK_AT(wire_establish, rv, 8);
WIRE_CHECK_SIZE(wire_release, 8);
WIRE_CHECK_AT(wire_release, hContext, 0);
WIRE_CHECK_AT(wire_release, rv, 4);
WIRE_CHECK_SIZE(wire_connect, 152);
WIRE_CHECK_AT(wire_connect, hContext, 0);
WIRE_CHECK_AT(wire_connect, szReader, 4);
WIRE_CHECK_AT(wire_connect, dwShareMode, 132);
WIRE_CHECK_AT(wire_connect, dwPreferredProtocols, 136);
WIRE_CHECK_AT(wire_connect, hCard, 140);
WIRE_CHECK_AT(wire_connect, dwActiveProtocol, 144);
WIRE_CHECK_AT(wire_connect, rv, 148);
WIRE_CHECK_SIZE(wire_reconnect, 24);
WIRE_CHECK_AT(wire_reconnect, hCard, 0);
WIRE_CHECK_AT(wire_reconnect, dwShareMode, 4);
WIRE_CHECK_AT(wire_reconnect, dwPreferredProtocols, 8);
WIRE_CHECK_AT(wire_reconnect, dwInitialization, 12);
WIRE_CHECK_AT(wire_reconnect, dwActiveProtocol, 16);
WIRE_CHECK_AT(wire_reconnect, rv, 20);
WIRE_CHECK_SIZE(wire_disconnect, 12);
WIRE_CHECK_AT(wire_disconnect, hCard, 0);
WIRE_CHECK_AT(wire_disconnect, dwDisposition, 4);
WIRE_CHECK_AT(wire_disconnect, rv, 8);
WIRE_CHECK_SIZE(wire_begin, 8);
WIRE_CHECK_AT(wire_begin, hCard, 0);
WIRE_CHECK_AT(wire_begin, rv, 4);
WIRE_CHECK_SIZE(wire_end, 12);
WIRE_CHECK_AT(wire_end, hCard, 0);
WIRE_CHECK_AT(wire_end, dwDisposition, 4);
WIRE_CHECK_AT(wire_end, rv, 8);
WIRE_CHECK_SIZE(wire_cancel, 8);
WIRE_CHECK_AT(wire_cancel, hContext, 0);
WIRE_CHECK_AT(wire_cancel, rv, 4);
WIRE_CHECK_SIZE(wire_status, 8);
WIRE_CHECK_AT(wire_status, hCard, 0);
WIRE_CHECK_AT(wire_status, rv, 4);
WIRE_CHECK_SIZE(wire_transmit, 32);
WIRE_CHECK_AT(wire_transmit, hCard, 0);
WIRE_CHECK_AT(wire_transmit, ioSendPciProtocol, 4);
WIRE_CHECK_AT(wire_transmit, ioSendPciLength, 8);
WIRE_CHECK_AT(wire_transmit, cbSendLength, 12);
WIRE_CHECK_AT(wire_transmit, ioRecvPciProtocol, 16);
WIRE_CHECK_AT(wire_transmit, ioRecvPciLength, 20);
WIRE_CHECK_AT(wire_transmit, pcbRecvLength, 24);
WIRE_CHECK_AT(wire_transmit, rv, 28);
WIRE_CHECK_SIZE(wire_control, 24);
WIRE_CHECK_AT(wire_control, hCard, 0);
WIRE_CHECK_AT(wire_control, dwControlCode, 4);
WIRE_CHECK_AT(wire_control, cbSendLength, 8);
WIRE_CHECK_AT(wire_control, cbRecvLength, 12);
WIRE_CHECK_AT(wire_control, dwBytesReturned, 16);
WIRE_CHECK_AT(wire_control, rv, 20);
WIRE_CHECK_SIZE(wire_getset, 280);
WIRE_CHECK_AT(wire_getset, hCard, 0);
WIRE_CHECK_AT(wire_getset, dwAttrId, 4);
WIRE_CHECK_AT(wire_getset, pbAttr, 8);
WIRE_CHECK_AT(wire_getset, cbAttrLen, 272);
WIRE_CHECK_AT(wire_getset, rv, 276);
WIRE_CHECK_SIZE(wire_wait, 8);
WIRE_CHECK_AT(wire_wait, timeOut, 0);
WIRE_CHECK_AT(wire_wait, rv, 4);
WIRE_CHECK_SIZE(wire_reader_events, 8);
WIRE_CHECK_AT(wire_reader_events, readerEvents, 0);
WIRE_CHECK_AT(wire_reader_events, rv, 4);
WIRE_CHECK_SIZE(wire_states_size, 4);
WIRE_CHECK_SIZE(wire_reader_state, 184);
WIRE_CHECK_AT(wire_reader_state, readerName, 0);
WIRE_CHECK_AT(wire_reader_state, eventCounter, 128);
WIRE_CHECK_AT(wire_reader_state, readerState, 132);
WIRE_CHECK_AT(wire_reader_state, readerSharing, 136);
WIRE_CHECK_AT(wire_reader_state, cardAtr, 140);
WIRE_CHECK_AT(wire_reader_state, cardAtrLength, 176);
WIRE_CHECK_AT(wire_reader_state, cardProtocol, 180);

#endif
