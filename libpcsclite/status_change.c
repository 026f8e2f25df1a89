/* SPDX-License-Identifier: BSD-3-Clause */
#include "status_change.h"

#include <string.h>
#include <strings.h>

#define COUNTER_SHIFT 16
#define LOW_WORD      0xFFFFul

static DWORD counter_of(DWORD state)
{
	return (state >> COUNTER_SHIFT) & LOW_WORD;
}

/* One entry under evaluation. */
struct view {
	DWORD current; /* what the application believes */
	DWORD event;   /* what we tell it */
	bool hit;
};

static void set_clear(struct view *view, DWORD set, DWORD clear)
{
	view->event = (view->event & ~clear) | set;
}

static void hit_if(struct view *view, bool condition)
{
	view->hit = view->hit || condition;
}

bool status_change_is_pnp(const char *name)
{
	return strcasecmp(name, "\\\\?PnP?\\Notification") == 0;
}

static void evaluate_gone(struct view *view)
{
	view->event = SCARD_STATE_UNKNOWN | SCARD_STATE_UNAVAILABLE;
	hit_if(view, !(view->current & SCARD_STATE_UNKNOWN));
}

static void evaluate_counter(struct view *view, const struct wire_reader_state *state)
{
	DWORD counter = counter_of(view->current);

	if (view->current & SCARD_STATE_UNKNOWN) {
		set_clear(view, 0, SCARD_STATE_UNKNOWN);
		hit_if(view, true);
	}
	hit_if(view, counter != 0 && counter != state->eventCounter);
	view->event = (view->event & LOW_WORD) | ((DWORD)state->eventCounter << COUNTER_SHIFT);
}

static void evaluate_availability(struct view *view, const struct wire_reader_state *state)
{
	if (state->readerState & SCARD_UNKNOWN) {
		view->event = SCARD_STATE_UNAVAILABLE;
		hit_if(view, !(view->current & SCARD_STATE_UNAVAILABLE));
	} else if (view->current & SCARD_STATE_UNAVAILABLE) {
		set_clear(view, 0, SCARD_STATE_UNAVAILABLE);
		hit_if(view, true);
	}
}

static void evaluate_card(struct view *view, const struct wire_reader_state *state)
{
	if (state->readerState & SCARD_ABSENT) {
		set_clear(view, SCARD_STATE_EMPTY,
			SCARD_STATE_PRESENT | SCARD_STATE_UNKNOWN | SCARD_STATE_UNAVAILABLE |
				SCARD_STATE_ATRMATCH | SCARD_STATE_MUTE | SCARD_STATE_INUSE |
				SCARD_STATE_IGNORE);
		hit_if(view, view->current & SCARD_STATE_PRESENT);
	} else if (state->readerState & SCARD_PRESENT) {
		bool mute = state->readerState & SCARD_SWALLOWED;
		bool was_mute = view->current & SCARD_STATE_MUTE;

		set_clear(view, SCARD_STATE_PRESENT,
			SCARD_STATE_EMPTY | SCARD_STATE_UNKNOWN | SCARD_STATE_UNAVAILABLE |
				SCARD_STATE_MUTE | SCARD_STATE_IGNORE);
		hit_if(view, view->current & SCARD_STATE_EMPTY);
		set_clear(view, mute ? SCARD_STATE_MUTE : 0, 0);
		hit_if(view, mute != was_mute);
	}
}

static void evaluate_sharing(struct view *view, const struct wire_reader_state *state)
{
	DWORD both = SCARD_STATE_INUSE | SCARD_STATE_EXCLUSIVE;

	if (state->readerSharing == WIRE_SHARING_EXCLUSIVE) {
		set_clear(view, SCARD_STATE_EXCLUSIVE, SCARD_STATE_INUSE);
		hit_if(view, view->current & SCARD_STATE_INUSE);
	} else if (state->readerSharing >= 1 && (state->readerState & SCARD_PRESENT)) {
		set_clear(view, SCARD_STATE_INUSE, SCARD_STATE_EXCLUSIVE);
		hit_if(view, view->current & SCARD_STATE_EXCLUSIVE);
	} else if (state->readerSharing == 0) {
		set_clear(view, 0, both);
		hit_if(view, view->current & both);
	}
}

static void copy_atr(SCARD_READERSTATE *entry, const struct wire_reader_state *state)
{
	entry->cbAtr = state->readerState & SCARD_PRESENT ? state->cardAtrLength : 0;
	if (entry->cbAtr > sizeof(entry->rgbAtr))
		entry->cbAtr = 0;
	memcpy(entry->rgbAtr, state->cardAtr, entry->cbAtr);
}

bool status_change_evaluate(SCARD_READERSTATE *entry, const struct wire_reader_state *state)
{
	struct view view = { entry->dwCurrentState, entry->dwEventState, false };

	if (entry->dwCurrentState & SCARD_STATE_IGNORE)
		return false;
	if (!state) {
		evaluate_gone(&view);
	} else {
		evaluate_counter(&view, state);
		evaluate_availability(&view, state);
		copy_atr(entry, state);
		evaluate_card(&view, state);
		evaluate_sharing(&view, state);
	}
	hit_if(&view, view.current == SCARD_STATE_UNAWARE);
	if (view.hit)
		view.event |= SCARD_STATE_CHANGED;
	entry->dwEventState = view.event;
	return view.hit;
}

bool status_change_evaluate_pnp(SCARD_READERSTATE *entry, uint32_t events, bool moved)
{
	DWORD known = counter_of(entry->dwCurrentState);
	bool hit;

	if (entry->dwCurrentState & SCARD_STATE_IGNORE)
		return false;
	hit = moved || (known != 0 && events != 0 && known != events);
	entry->dwEventState =
		(entry->dwEventState & LOW_WORD) | ((DWORD)(events & LOW_WORD) << COUNTER_SHIFT);
	if (hit)
		entry->dwEventState |= SCARD_STATE_CHANGED;
	return hit;
}

bool status_change_minds_sharing(const SCARD_READERSTATE *entry)
{
	return entry->dwCurrentState & (SCARD_STATE_INUSE | SCARD_STATE_EXCLUSIVE);
}
