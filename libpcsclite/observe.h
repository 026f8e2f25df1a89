/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_LIBPCSCLITE_OBSERVE_H
#define CARDWIRE_LIBPCSCLITE_OBSERVE_H

/*
 * Looking at readers, and waiting until they look different: one interface, two ways to do it.
 *
 * observe_ext.c asks our own daemon, which tells of the named readers only. observe_stock.c asks any
 * other: it fetches the array of all readers and is woken by any event. Waiting takes a connection
 * of its own; where a daemon sends array and event separately (4:3 and 4:6), the array is fetched
 * on a second one, so that the one is never mistaken for a part of the other.
 *
 * A daemon that dies under a wait is waited for: see observe_wait(). An observation belongs to one
 * thread.
 */

#include <stdbool.h>
#include <stddef.h>

#include "context.h"
#include "wire/wire.h"

/* One reader that is looked at. The first three are the caller's to set. */
struct observed {
	const char *name;   /* shorter than MAX_READERNAME, not empty */
	bool minds_sharing; /* be woken for changes in readerSharing too */
	bool ignored;       /* look at it, but don't be woken for it */
	bool exists;
	struct wire_reader_state state; /* if it exists */
	uint32_t card, sharing;         /* serials that were last seen (wire/ext.h) */
};

struct observation {
	struct context *context;
	struct observed *readers;
	size_t count;
	uint32_t prompt_ms; /* for the daemon to say what the readers look like */
	int wake_fd;        /* readable when that is no longer wanted; -1: always wanted */
	bool wants_events;  /* be woken when readers come and go */
	uint32_t events;    /* the daemon's count of such events, 0 if it has none */
	uint32_t total;     /* number of readers there are */
	/* The implementation's own; 0 at the beginning. */
	struct loan loan;
	bool connected;  /* `loan` is in use */
	bool armed;      /* the daemon is going to send something on it */
	bool fresh;      /* the readers have been looked at since the flag was cleared */
	int64_t began;   /* when the connection was armed */
	unsigned broken; /* armed connections that broke soon, one after the other */
};

/* What ends a wait. */
struct observe_limit {
	int64_t deadline;
	int wake_fd;
};

/*
 * Fills in what the readers look like now. Errors of conn_open() and conn_call(); SCARD_E_TIMEOUT if
 * the daemon doesn't answer.
 */
LONG observe_now(struct observation *observation);

/*
 * Waits until the readers may look different from the last time, and fills in how they look.
 * SCARD_E_TIMEOUT or SCARD_E_CANCELLED: a limit was reached. If the daemon dies, waits until it is
 * back and looks again; SCARD_E_NO_SERVICE if it isn't by the deadline, or doesn't answer.
 */
LONG observe_wait(struct observation *observation, const struct observe_limit *limit);

/* Gives back what the observation has borrowed. */
void observe_end(struct observation *observation);

/*
 * The names of all readers, each with its NUL, and their length together. *names is malloc()ed; NULL
 * if there is no reader. If the connection broke, the daemon gets OBSERVE_RESTART_MS to come back.
 */
#define OBSERVE_RESTART_MS 2000
LONG observe_names(struct context *context, char **names, size_t *length);

/* The state of the reader `name`; SCARD_E_READER_UNAVAILABLE if there is none. */
LONG observe_state(struct context *context, const char *name, struct wire_reader_state *state);

/* One way to do it. Functions set `armed` and `fresh` of the observation as they go. */
struct observer {
	/* Looks at the readers; with `arm`, has the daemon send something at the next change. */
	enum conn_result (*look)(struct observation *observation, bool arm);
	/* Reads what has arrived on an armed connection. */
	enum conn_result (*arrived)(struct observation *observation);
	/* Has the daemon not send anything, and reads what it had already sent. */
	enum conn_result (*disarm)(struct observation *observation);
	/* As observe_names(). */
	enum conn_result (*names)(struct conn *conn, char **names, size_t *length);
};

extern const struct observer observe_ext, observe_stock;

/* All slots of a daemon, *slots of them, sanitised and malloc()ed. On a connection that isn't
 * armed. */
enum conn_result observe_stock_fetch(
	struct conn *conn, struct wire_reader_state **states, size_t *slots);

#endif
