/* SPDX-License-Identifier: BSD-3-Clause */
/* What both ways have in common: connections that break, and daemons that come back. */
#include "observe.h"

#include <stdlib.h>
#include <string.h>

#include "deadline.h"
#include "service.h"

/* A daemon that takes connections and drops them: how often and how long we give it a chance. */
#define DROPPED_MAX 10
#define DROPPED_MS  1000

static const struct observer *observer_of(const struct conn *conn)
{
	return conn->dialect == WIRE_DIALECT_EXT ? &observe_ext : &observe_stock;
}

static void forget_serials(struct observation *observation)
{
	for (size_t i = 0; i < observation->count; i++) {
		observation->readers[i].card = WIRE_EXT_SERIAL_NONE;
		observation->readers[i].sharing = WIRE_EXT_SERIAL_NONE;
	}
}

static void drop(struct observation *observation, enum conn_result result)
{
	if (observation->connected)
		context_return(observation->context, &observation->loan, result);
	observation->connected = false;
	observation->armed = false;
}

static LONG take_connection(struct observation *observation, bool fresh)
{
	LONG rv = context_borrow_unless(
		observation->context, &observation->loan, fresh, observation->wake_fd);

	observation->connected = rv == SCARD_S_SUCCESS;
	observation->armed = false;
	forget_serials(observation);
	return rv;
}

static enum conn_result look(struct observation *observation, bool arm)
{
	struct conn *conn = &observation->loan.conn;
	enum conn_result result;

	conn_hurry(conn, observation->prompt_ms, observation->wake_fd);
	result = observer_of(conn)->look(observation, arm);
	conn_patient(conn);
	if (result != CONN_OK)
		drop(observation, result);
	return result;
}

LONG observe_now(struct observation *observation)
{
	enum conn_result result = CONN_LOST;
	bool reused = false;
	LONG rv;

	observation->fresh = false;
	if (observation->connected) {
		reused = true;
	} else {
		rv = take_connection(observation, false);
		if (rv != SCARD_S_SUCCESS)
			return rv;
		reused = !observation->loan.fresh;
	}
	result = look(observation, false);
	if (result != CONN_OK && result != CONN_LATE && reused) {
		rv = take_connection(observation, true);
		if (rv != SCARD_S_SUCCESS)
			return rv;
		result = look(observation, false);
	}
	return conn_error(result);
}

/*
 * An armed connection broke, or couldn't be armed. A daemon that is restarted may do that to us
 * several times; one that always does it must not keep us busy.
 */
static void count_broken(struct observation *observation)
{
	bool soon = deadline_now() - observation->began < DROPPED_MS * NS_PER_MS;

	observation->broken = soon ? observation->broken + 1 : 0;
}

static LONG pause_broken(struct observation *observation, const struct observe_limit *limit)
{
	int64_t until = deadline_earlier(limit->deadline, deadline_in_ms(DROPPED_MS));

	if (observation->broken <= DROPPED_MAX)
		return SCARD_S_SUCCESS;
	if (conn_wait(-1, limit->wake_fd, until) == CONN_WOKEN)
		return SCARD_E_CANCELLED;
	return until == limit->deadline ? SCARD_E_TIMEOUT : SCARD_S_SUCCESS;
}

/* Connects as soon as there is a daemon, and looks at the readers. */
static LONG reconnect(struct observation *observation, const struct observe_limit *limit)
{
	struct service_watch watch;
	unsigned dropped = 0;
	LONG rv;

	service_watch_open(&watch);
	for (;;) {
		int64_t until = limit->deadline;
		enum service_event event;

		rv = take_connection(observation, true);
		if (rv == SCARD_S_SUCCESS)
			rv = conn_error(look(observation, false));
		if (rv == SCARD_S_SUCCESS || rv == SCARD_E_TIMEOUT ||
			context_released(observation->context))
			break;
		if (rv != SCARD_E_NO_SERVICE) {
			if (++dropped > DROPPED_MAX)
				break;
			until = deadline_earlier(until, deadline_in_ms(DROPPED_MS));
		}
		event = service_watch_wait(&watch, limit->wake_fd, until);
		if (event == SERVICE_WOKEN)
			rv = SCARD_E_CANCELLED;
		if (event == SERVICE_WOKEN ||
			(event == SERVICE_TIMEOUT && until == limit->deadline))
			break;
	}
	service_watch_close(&watch);
	/* Who waits has a time-out of his own, which this isn't. */
	return rv == SCARD_E_TIMEOUT ? SCARD_E_NO_SERVICE : rv;
}

/* Has an armed connection disarmed, by what has come or by us. */
static enum conn_result end_wait(struct observation *observation, enum conn_event event)
{
	static const uint32_t patience[] = {
		[CONN_READABLE] = CONN_PROMPT_MS,
		[CONN_WOKEN] = CONN_CANCEL_MS,
		[CONN_TIMEOUT] = CONN_STOP_MS,
	};
	struct conn *conn = &observation->loan.conn;
	enum conn_result result;

	conn_hurry(conn, patience[event], -1);
	result = event == CONN_READABLE ? observer_of(conn)->arrived(observation)
					: observer_of(conn)->disarm(observation);
	conn_patient(conn);
	return result;
}

/*
 * Waits on an armed connection. SCARD_F_COMM_ERROR if it broke, SCARD_E_NO_SERVICE if the daemon is
 * silent; then it was dropped.
 */
static LONG wait_armed(struct observation *observation, const struct observe_limit *limit)
{
	static const LONG codes[] = {
		[CONN_READABLE] = SCARD_S_SUCCESS,
		[CONN_WOKEN] = SCARD_E_CANCELLED,
		[CONN_TIMEOUT] = SCARD_E_TIMEOUT,
	};
	enum conn_event event =
		conn_wait(observation->loan.conn.fd, limit->wake_fd, limit->deadline);
	enum conn_result result = end_wait(observation, event);

	if (result != CONN_OK) {
		drop(observation, result);
		count_broken(observation);
	}
	if (result == CONN_LATE && event != CONN_WOKEN)
		return SCARD_E_NO_SERVICE;
	if (result != CONN_OK && event == CONN_READABLE)
		return SCARD_F_COMM_ERROR;
	return codes[event];
}

LONG observe_wait(struct observation *observation, const struct observe_limit *limit)
{
	enum conn_result result;
	LONG rv;

	observation->fresh = false;
	for (;;) {
		if (!observation->connected) {
			rv = pause_broken(observation, limit);
			if (rv == SCARD_S_SUCCESS)
				rv = reconnect(observation, limit);
			return context_released(observation->context) ? SCARD_E_CANCELLED : rv;
		}
		if (!observation->armed) {
			observation->began = deadline_now();
			result = look(observation, true);
			if (result == CONN_LATE)
				return SCARD_E_NO_SERVICE;
			if (result != CONN_OK) {
				count_broken(observation);
				continue;
			}
		}
		if (observation->fresh)
			return SCARD_S_SUCCESS;
		rv = wait_armed(observation, limit);
		if (rv == SCARD_E_TIMEOUT || rv == SCARD_E_CANCELLED || rv == SCARD_E_NO_SERVICE)
			return rv;
		if (observation->fresh)
			return SCARD_S_SUCCESS;
	}
}

void observe_end(struct observation *observation)
{
	enum conn_result result = CONN_OK;

	if (observation->connected && observation->armed)
		result = end_wait(observation, CONN_WOKEN);
	drop(observation, result);
}

/* *broke: there was a connection, and it broke. */
static LONG try_names(
	struct context *context, bool fresh, bool *broke, char **names, size_t *length)
{
	struct loan loan;
	enum conn_result result;
	LONG rv = context_borrow(context, &loan, fresh);

	*broke = false;
	if (rv != SCARD_S_SUCCESS)
		return rv;
	conn_hurry(&loan.conn, CONN_PROMPT_MS, -1);
	result = observer_of(&loan.conn)->names(&loan.conn, names, length);
	conn_patient(&loan.conn);
	context_return(context, &loan, result);
	*broke = result != CONN_OK && result != CONN_LATE;
	return conn_error(result);
}

LONG observe_names(struct context *context, char **names, size_t *length)
{
	int64_t deadline = deadline_in_ms(OBSERVE_RESTART_MS);
	struct service_watch watch;
	bool broke;
	LONG rv = try_names(context, false, &broke, names, length);

	if (!broke)
		return rv;
	/* The daemon was there a moment ago, so it may be about to come back. */
	service_watch_open(&watch);
	do {
		rv = try_names(context, true, &broke, names, length);
	} while (rv == SCARD_E_NO_SERVICE && !context_released(context) &&
		 service_watch_wait(&watch, -1, deadline) == SERVICE_CHANGED);
	service_watch_close(&watch);
	return rv;
}

static enum conn_result find_state(
	struct conn *conn, const char *name, struct wire_reader_state *state, bool *found)
{
	struct wire_reader_state *states = NULL;
	size_t slots = 0;
	enum conn_result result;

	conn_hurry(conn, CONN_PROMPT_MS, -1);
	result = observe_stock_fetch(conn, &states, &slots);
	conn_patient(conn);
	*found = false;
	for (size_t i = 0; result == CONN_OK && i < slots && !*found; i++) {
		if (strcmp(states[i].readerName, name) == 0) {
			*state = states[i];
			*found = true;
		}
	}
	free(states);
	return result;
}

LONG observe_state(struct context *context, const char *name, struct wire_reader_state *state)
{
	enum conn_result result = CONN_LOST;
	bool found = false;
	bool fresh = false;

	do {
		struct loan loan;
		LONG rv = context_borrow(context, &loan, fresh);

		if (rv != SCARD_S_SUCCESS)
			return rv;
		result = find_state(&loan.conn, name, state, &found);
		context_return(context, &loan, result);
		fresh = !loan.fresh && result != CONN_LATE;
	} while (result != CONN_OK && fresh);
	if (result != CONN_OK)
		return conn_error(result);
	return found ? SCARD_S_SUCCESS : SCARD_E_READER_UNAVAILABLE;
}
