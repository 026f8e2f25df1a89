/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/cards/slots.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "pcscd/cards/slot.h"
#include "pcscd/cards/events.h"

#define FIRST_PLACES WIRE_STATIC_STATES
#define MORE_PLACES  16
#define EVENTS_MAX   32767

static struct {
	pthread_mutex_t lock;
	struct slot **list; /* in the order of their ids */
	size_t count;
	size_t places; /* room in the list; 0 or at least FIRST_PLACES */
	uint32_t events;
} slots = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.events = 1,
};

/* With the list's lock held, so that the count changes together with the list. */
static void count_event(void)
{
	slots.events = slots.events >= EVENTS_MAX ? 1 : slots.events + 1;
}

static bool make_room(void)
{
	size_t places = slots.places ? slots.places + MORE_PLACES : FIRST_PLACES;
	struct slot **more;

	if (slots.count < slots.places)
		return true;
	more = reallocarray(slots.list, places, sizeof(struct slot *));
	if (!more)
		return false;
	slots.list = more;
	slots.places = places;
	return true;
}

/* With the lock held. */
static bool insert(struct slot *slot)
{
	size_t at = slots.count;

	if (!make_room())
		return false;
	for (; at > 0 && slots.list[at - 1]->id > slot->id; at--)
		slots.list[at] = slots.list[at - 1];
	slots.list[at] = slot_ref(slot);
	slots.count++;
	count_event();
	return true;
}

int slots_add(struct slot *slot)
{
	bool added;

	pthread_mutex_lock(&slots.lock);
	added = insert(slot);
	pthread_mutex_unlock(&slots.lock);
	if (!added)
		return -1;
	events_raise_reader(slot->name);
	return 0;
}

void slots_remove(struct slot *slot)
{
	bool found;
	size_t at = 0;

	pthread_mutex_lock(&slots.lock);
	while (at < slots.count && slots.list[at] != slot)
		at++;
	found = at < slots.count;
	if (found) {
		slots.count--;
		memmove(&slots.list[at], &slots.list[at + 1],
			(slots.count - at) * sizeof(struct slot *));
		count_event();
	}
	pthread_mutex_unlock(&slots.lock);
	if (found) {
		events_raise_reader(slot->name);
		slot_unref(slot);
	}
}

uint32_t slots_events(void)
{
	uint32_t events;

	pthread_mutex_lock(&slots.lock);
	events = slots.events;
	pthread_mutex_unlock(&slots.lock);
	return events;
}

struct slot *slots_by_name(const char *name)
{
	struct slot *slot = NULL;

	pthread_mutex_lock(&slots.lock);
	for (size_t i = 0; i < slots.count && !slot; i++) {
		if (strcmp(slots.list[i]->name, name) == 0)
			slot = slot_ref(slots.list[i]);
	}
	pthread_mutex_unlock(&slots.lock);
	return slot;
}

struct slot *slots_by_id(uint64_t id)
{
	struct slot *slot = NULL;

	pthread_mutex_lock(&slots.lock);
	for (size_t i = 0; i < slots.count && !slot; i++) {
		if (slots.list[i]->id == id)
			slot = slot_ref(slots.list[i]);
	}
	pthread_mutex_unlock(&slots.lock);
	return slot;
}

bool slots_look(const char *name, struct wire_reader_state *state, uint32_t *card_serial,
	uint32_t *sharing_serial)
{
	struct slot *slot = slots_by_name(name);

	if (!slot)
		return false;
	slot_lock(slot);
	slot_publish(slot, state);
	*card_serial = slot->card_serial;
	*sharing_serial = slot->sharing_serial;
	slot_unlock(slot);
	slot_unref(slot);
	return true;
}

char *slots_names(size_t *length, size_t *count)
{
	char *names;

	*length = *count = 0;
	pthread_mutex_lock(&slots.lock);
	names = malloc(slots.count * MAX_READERNAME + 1);
	for (size_t i = 0; i < slots.count && names; i++) {
		size_t size = strlen(slots.list[i]->name) + 1;

		memcpy(names + *length, slots.list[i]->name, size);
		*length += size;
		++*count;
	}
	pthread_mutex_unlock(&slots.lock);
	return names;
}

size_t slots_count(void)
{
	size_t count;

	pthread_mutex_lock(&slots.lock);
	count = slots.count;
	pthread_mutex_unlock(&slots.lock);
	return count;
}

size_t slots_places(void)
{
	size_t places;

	pthread_mutex_lock(&slots.lock);
	places = slots.places ? slots.places : FIRST_PLACES;
	pthread_mutex_unlock(&slots.lock);
	return places;
}

void slots_states(struct wire_reader_state *states, size_t count)
{
	memset(states, 0, count * sizeof(*states));
	pthread_mutex_lock(&slots.lock);
	for (size_t i = 0; i < slots.count && i < count; i++) {
		struct slot *slot = slots.list[i];

		slot_lock(slot);
		slot_publish(slot, &states[i]);
		slot_unlock(slot);
	}
	pthread_mutex_unlock(&slots.lock);
}

void slots_each(void (*look)(void *ctx, struct slot *slot), void *ctx)
{
	pthread_mutex_lock(&slots.lock);
	for (size_t i = 0; i < slots.count; i++)
		look(ctx, slots.list[i]);
	pthread_mutex_unlock(&slots.lock);
}
