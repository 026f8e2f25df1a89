/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_LIBPCSCLITE_CONN_H
#define CARDWIRE_LIBPCSCLITE_CONN_H

/*
 * One connection to the daemon: opening it with the exchange of versions, requests and replies.
 *
 * A connection belongs to one thread at a time (see context.h); another may only shutdown() its
 * socket, which makes the call that waits on it return CONN_LOST. After any result but CONN_OK the
 * connection is good for nothing but conn_close().
 *
 * Deadlines. How long a call on a card takes the daemon decides: the card's answer, a PIN that is
 * typed in, a turn in a queue. It ends with the daemon's answer or its death, which the service
 * manager sees to if the daemon hangs. What the daemon answers from its head has CONN_PROMPT_MS,
 * even if it is stopped (conn_hurry()); opening a connection, which may ask the user for consent,
 * CONN_OPEN_MS; sending, CONN_SEND_TIMEOUT_S.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <winscard.h>

#include "wire/wire.h"

#define CONN_SEND_TIMEOUT_S 30
#define CONN_OPEN_MS        150000 /* the daemon itself gives up asking for consent before */
#define CONN_PROMPT_MS      30000
#define CONN_RESTART_MS     2000 /* for a daemon that ended before it took us to come back */
#define CONN_STOP_MS        2000 /* to end a wait: what comes of it is that there was no change */
#define CONN_CANCEL_MS      500  /* for what is under way when SCardCancel() comes */
#define CONN_SHORT          512  /* bytes of data that are copied rather than sent on their own */

struct conn {
	int fd;            /* -1: none */
	int dialect;       /* see wire/wire.h */
	uint32_t hContext; /* as the daemon knows the context of this connection */
	int64_t by;        /* replies must be there by then; DEADLINE_NEVER mostly */
	int wake_fd;       /* readable: within CONN_CANCEL_MS, too; -1 mostly */
};

enum conn_result {
	CONN_OK,
	CONN_UNSENT, /* the request couldn't be sent */
	CONN_LOST,   /* the other side closed the connection, or an error */
	CONN_RESET,  /* the other side closed it without having read everything */
	CONN_LATE,   /* the other side doesn't answer */
	CONN_BAD     /* the other side doesn't speak the protocol */
};

/* A request of which the reply is a struct, with data in both directions for some. */
struct conn_call {
	uint32_t command;
	union wire_body *body; /* in: the request's; out: the reply's */
	const void *data;      /* sent behind the body */
	size_t data_length;
	void *answer;                /* TRANSMIT and CONTROL: where the data of the reply goes, */
	size_t room;                 /* and how many bytes there are */
	void (*sent)(void *subject); /* called when the request is on its way; NULL mostly */
	void *subject;
};

/*
 * Connects to the daemon, agrees on a dialect and establishes a context of `scope`. `flags` are
 * WIRE_EXT_*. SCARD_S_SUCCESS: *conn is open. Otherwise it is closed: SCARD_E_NO_SERVICE,
 * SCARD_F_COMM_ERROR, SCARD_W_SECURITY_VIOLATION, SCARD_E_TIMEOUT if the daemon is silent, or what
 * the daemon says. `wake_fd` as for conn_hurry().
 */
LONG conn_open(struct conn *conn, uint32_t scope, uint32_t flags, int wake_fd);

/*
 * Closes; harmless if it is closed. The daemon is told even if a child process has a copy of the
 * socket, as one has that was forked while the connection was being opened.
 */
void conn_close(struct conn *conn);

/* Closes this process's copy of one that a parent uses. */
void conn_forget(struct conn *conn);

/*
 * What is asked from now on must be answered within `ms`, until conn_patient(): then it may take as
 * long as the daemon likes. When `wake_fd` (-1: none) becomes readable in the meantime, within
 * CONN_CANCEL_MS.
 */
void conn_hurry(struct conn *conn, uint32_t ms, int wake_fd);
void conn_patient(struct conn *conn);

/* True unless the other side has closed the connection. For one with no reply outstanding. */
bool conn_alive(const struct conn *conn);

/* Sends a request, waits for its reply and checks it: one send and, with luck, one recv. */
enum conn_result conn_call(struct conn *conn, const struct conn_call *call);

/* The two halves, for requests with other replies. */
enum conn_result conn_send(struct conn *conn, uint32_t command, const union wire_body *body,
	const void *data, size_t data_length);
enum conn_result conn_receive(struct conn *conn, void *bytes, size_t length);

/*
 * A reply of a struct and a tail whose length the struct tells. conn_receive_head() fills the struct,
 * and keeps what else has arrived; conn_receive_tail() gives the tail, malloc()ed (at least a byte
 * even if it is empty). CONN_BAD: more arrived than the tail is long, or there is no memory.
 */
struct conn_tail {
	uint8_t early[2048]; /* what arrived in one go, */
	size_t start, end;   /* and the part of it that is tail */
};

enum conn_result conn_receive_head(
	struct conn *conn, void *head, size_t length, struct conn_tail *tail);
enum conn_result conn_receive_tail(
	struct conn *conn, const struct conn_tail *tail, size_t length, void **bytes);

/* What comes of conn_wait(). */
enum conn_event {
	CONN_READABLE, /* or closed */
	CONN_WOKEN,    /* wake_fd is readable */
	CONN_TIMEOUT
};

/* Waits until `fd` or `wake_fd` (either may be -1) is readable, until `deadline`. */
enum conn_event conn_wait(int fd, int wake_fd, int64_t deadline);

/* A result as a return code of the API. */
LONG conn_error(enum conn_result result);

#endif
