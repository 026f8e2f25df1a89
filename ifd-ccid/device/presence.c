/* SPDX-License-Identifier: BSD-3-Clause */
#include "presence.h"

#include "spec/ccid.h"

static void gone(struct presence *presence)
{
	presence->state = PRESENCE_ABSENT;
	presence->powered = false;
	presence->owed = presence->told;
	presence->events++;
}

bool presence_notice(struct presence *presence, uint8_t bits)
{
	bool present = bits & CCID_NOTIFY_PRESENT;

	if (present && presence->state == PRESENCE_PRESENT) {
		if (!(bits & CCID_NOTIFY_CHANGED) || !presence->powered)
			return false;
		/* Perhaps another card, perhaps late news of this one: its power tells. */
		presence->doubtful = true;
		presence->events++;
		return true;
	}
	presence->doubtful = false;
	if (present) {
		presence->state = PRESENCE_PRESENT;
		presence->events++;
		return true;
	}
	if (presence->state == PRESENCE_ABSENT)
		return false;
	gone(presence);
	return true;
}

bool presence_answer(struct presence *presence, uint8_t icc, bool events_work)
{
	if (icc == CCID_ICC_ABSENT) {
		if (presence->state == PRESENCE_ABSENT)
			return false;
		gone(presence);
		return true;
	}
	if (icc > CCID_ICC_ABSENT)
		return false;
	if (presence->state == PRESENCE_ABSENT) {
		if (events_work)
			presence->doubtful = true;
		else
			presence->state = PRESENCE_PRESENT;
		presence->events++;
		return true;
	}
	presence->state = PRESENCE_PRESENT;
	if (icc == CCID_ICC_INACTIVE && presence->powered) {
		presence_power_lost(presence);
		return true;
	}
	return false;
}

void presence_status(struct presence *presence, uint8_t icc, uint32_t events)
{
	if (icc > CCID_ICC_ABSENT)
		return;
	presence_answer(presence, icc, false);
	/* presence_answer() itself counts a change; what came meanwhile counted before it. */
	presence->doubtful = false;
	if (presence->events - events > 1)
		presence->doubtful = true;
}

void presence_power_lost(struct presence *presence)
{
	if (!presence->powered)
		return;
	presence->powered = false;
	presence->owed = presence->told;
	presence->events++;
}

bool presence_must_ask(const struct presence *presence, bool events_work)
{
	return !events_work || presence->doubtful || presence->state == PRESENCE_UNKNOWN;
}

bool presence_tell(struct presence *presence)
{
	presence->seen = presence->events;
	presence->told = presence->state == PRESENCE_PRESENT;
	if (presence->told && presence->owed) {
		/* The next look finds the new card at once. */
		presence->told = false;
		presence->events++;
	}
	/* News that came with the answer: nobody else would have it looked into. */
	if (presence->doubtful)
		presence->events++;
	presence->owed = false;
	return presence->told;
}
