/* SPDX-License-Identifier: BSD-3-Clause */
/* The calls about readers: listing them, and waiting for changes. */
#include <stdlib.h>
#include <string.h>

#include <winscard.h>

#include "deadline.h"
#include "give.h"
#include "observe.h"
#include "status_change.h"

LONG SCardListReaderGroups(SCARDCONTEXT hContext, LPSTR mszGroups, LPDWORD pcchGroups)
{
	static const char groups[] = "SCard$DefaultReaders\0";
	struct context *context;

	if (!pcchGroups)
		return SCARD_E_INVALID_PARAMETER;
	context = context_get(hContext);
	if (!context)
		return SCARD_E_INVALID_HANDLE;
	context_put(context);
	return give_bytes(mszGroups, pcchGroups, groups, sizeof(groups));
}

LONG SCardListReaders(
	SCARDCONTEXT hContext, LPCSTR mszGroups, LPSTR mszReaders, LPDWORD pcchReaders)
{
	struct context *context;
	char *names = NULL;
	size_t length = 0;
	LONG rv;

	(void)mszGroups;
	if (!pcchReaders)
		return SCARD_E_INVALID_PARAMETER;
	context = context_get(hContext);
	if (!context)
		return SCARD_E_INVALID_HANDLE;
	rv = observe_names(context, &names, &length);
	context_put(context);
	if (rv != SCARD_S_SUCCESS) {
		*pcchReaders = 0;
	} else if (!names) {
		*pcchReaders = 1;
		rv = SCARD_E_NO_READERS_AVAILABLE;
	} else {
		char *longer = realloc(names, length + 1);

		names = longer ? longer : names;
		if (longer)
			names[length++] = '\0';
		rv = longer ? give_bytes(mszReaders, pcchReaders, names, length)
			    : SCARD_E_NO_MEMORY;
	}
	free(names);
	return rv;
}

/* One SCardGetStatusChange(). */
struct change {
	SCARD_READERSTATE *entries;
	size_t count;
	struct observation observation;
	struct observed *
		*of;     /* an entry's reader; NULL for the entry of readers that come and go */
	bool begun;      /* the first look has been evaluated */
	uint32_t events; /* at the first look */
	uint32_t total;
};

static LONG check_entries(const SCARD_READERSTATE *entries, DWORD count)
{
	bool all_ignored = true;

	if (!entries && count > 0)
		return SCARD_E_INVALID_PARAMETER;
	for (DWORD i = 0; i < count; i++) {
		if (!entries[i].szReader)
			return SCARD_E_INVALID_VALUE;
		if (!(entries[i].dwCurrentState & SCARD_STATE_IGNORE))
			all_ignored = false;
	}
	return all_ignored ? SCARD_S_SUCCESS : SCARD_E_TIMEOUT;
}

/* Prepares the observation. SCARD_E_UNKNOWN_READER for names that no reader can have. */
static LONG change_prepare(struct change *change)
{
	struct observation *observation = &change->observation;

	observation->readers = calloc(change->count, sizeof(*observation->readers));
	change->of = calloc(change->count, sizeof(struct observed *));
	if (!observation->readers || !change->of)
		return SCARD_E_NO_MEMORY;
	for (size_t i = 0; i < change->count; i++) {
		const SCARD_READERSTATE *entry = &change->entries[i];
		struct observed *reader;

		if (status_change_is_pnp(entry->szReader)) {
			observation->wants_events = true;
			continue;
		}
		if (!entry->szReader[0] || strlen(entry->szReader) >= MAX_READERNAME)
			return SCARD_E_UNKNOWN_READER;
		reader = &observation->readers[observation->count++];
		reader->name = entry->szReader;
		reader->ignored = entry->dwCurrentState & SCARD_STATE_IGNORE;
		reader->minds_sharing = status_change_minds_sharing(entry);
		change->of[i] = reader;
	}
	return observation->count > WIRE_EXT_ENTRIES_MAX ? SCARD_E_NO_MEMORY : SCARD_S_SUCCESS;
}

static LONG change_begin(struct change *change)
{
	const struct observation *observation = &change->observation;

	for (size_t i = 0; i < observation->count; i++) {
		if (!observation->readers[i].exists)
			return SCARD_E_UNKNOWN_READER;
	}
	for (size_t i = 0; i < change->count; i++)
		change->entries[i].dwEventState = 0;
	change->events = observation->events;
	change->total = observation->total;
	return SCARD_S_SUCCESS;
}

/* True if anything is a change. */
static bool change_evaluate(struct change *change)
{
	const struct observation *observation = &change->observation;
	bool moved = observation->events != change->events || observation->total != change->total;
	bool hit = false;

	for (size_t i = 0; i < change->count; i++) {
		SCARD_READERSTATE *entry = &change->entries[i];
		const struct observed *reader = change->of[i];

		if (!reader)
			hit |= status_change_evaluate_pnp(entry, observation->events, moved);
		else
			hit |= status_change_evaluate(
				entry, reader->exists ? &reader->state : NULL);
	}
	return hit;
}

/* Evaluates a look at the readers. SCARD_E_TIMEOUT: nothing has changed yet. */
static LONG change_look(struct change *change)
{
	if (!change->begun) {
		LONG rv = change_begin(change);

		if (rv != SCARD_S_SUCCESS)
			return rv;
		change->begun = true;
	}
	return change_evaluate(change) ? SCARD_S_SUCCESS : SCARD_E_TIMEOUT;
}

static LONG change_wait(struct change *change, int64_t deadline)
{
	struct observe_limit limit = {
		.deadline = deadline,
		.wake_fd = change->observation.wake_fd,
	};
	LONG rv;

	do {
		rv = observe_wait(&change->observation, &limit);
		if (rv != SCARD_S_SUCCESS)
			break;
		rv = change_look(change);
	} while (rv == SCARD_E_TIMEOUT);
	/* Changes that don't end a wait are shown all the same. */
	if (rv == SCARD_E_TIMEOUT && observe_now(&change->observation) == SCARD_S_SUCCESS)
		rv = change_look(change);
	return rv;
}

static bool service_is_away(LONG rv)
{
	return rv == SCARD_E_NO_SERVICE || rv == SCARD_F_COMM_ERROR ||
	       rv == SCARD_W_SECURITY_VIOLATION;
}

/* For a look at the readers: what the application would wait, but not less than a busy daemon
 * needs. */
static uint32_t prompt_of(DWORD timeout)
{
	if (timeout >= CONN_PROMPT_MS)
		return CONN_PROMPT_MS;
	return timeout < CONN_STOP_MS ? CONN_STOP_MS : (uint32_t)timeout;
}

static int64_t deadline_of(DWORD timeout)
{
	return timeout >= INFINITE ? DEADLINE_NEVER : deadline_in_ms((uint32_t)timeout);
}

/* Looks at the readers. *nothing: there is nothing to see yet, but there may be. */
static LONG change_first_look(struct change *change, bool *nothing)
{
	LONG rv = observe_now(&change->observation);

	*nothing = false;
	/* A daemon that is there but silent is not waited for. */
	if (rv == SCARD_E_TIMEOUT)
		return SCARD_E_NO_SERVICE;
	if (rv == SCARD_S_SUCCESS)
		rv = change_look(change);
	*nothing = rv == SCARD_E_TIMEOUT || service_is_away(rv);
	return rv;
}

/* Looks, and waits if there is nothing to see. */
static LONG change_await(struct change *change, int64_t deadline)
{
	struct context *context = change->observation.context;
	struct waiter waiter;
	bool nothing;
	LONG rv = context_enter_wait(context, &waiter);

	if (rv != SCARD_S_SUCCESS)
		return rv;
	change->observation.wake_fd = waiter.wake_fd;
	rv = change_first_look(change, &nothing);
	if (nothing || rv == SCARD_E_NO_SERVICE) {
		LONG begun = context_begin_wait(context, &waiter);

		if (begun == SCARD_S_SUCCESS && nothing)
			rv = change_wait(change, deadline);
	}
	change->observation.wake_fd = -1;
	return context_leave_wait(context, &waiter) ? SCARD_E_CANCELLED : rv;
}

LONG SCardGetStatusChange(
	SCARDCONTEXT hContext, DWORD dwTimeout, SCARD_READERSTATE *rgReaderStates, DWORD cReaders)
{
	struct change change = { .entries = rgReaderStates, .count = cReaders };
	int64_t deadline = deadline_of(dwTimeout);
	bool nothing;
	LONG rv = check_entries(rgReaderStates, cReaders);

	if (rv != SCARD_E_TIMEOUT)
		return rv;
	change.observation.context = context_get(hContext);
	if (!change.observation.context)
		return SCARD_E_INVALID_HANDLE;
	rv = change_prepare(&change);
	if (rv == SCARD_S_SUCCESS) {
		change.observation.prompt_ms = prompt_of(dwTimeout);
		change.observation.wake_fd = -1;
		rv = dwTimeout > 0 ? change_await(&change, deadline)
				   : change_first_look(&change, &nothing);
		observe_end(&change.observation);
	}
	free(change.observation.readers);
	free(change.of);
	context_put(change.observation.context);
	return rv;
}
