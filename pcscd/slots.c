/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/slots.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "pcscd/events.h"
#include "pcscd/slot.h"

#define FIRST_PLACES WIRE_STATIC_STATES
#define MORE_PLACES  16
#define EVENTS_MAX   32767

static struct {
	pthread_mutex_t lock;
	struct slot **places;
	size_t count;
	uint32_t events;
} slots = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.events = 1,
};

/* An empty place, if need be at the end of a longer list. With the lock held. */
static struct slot **free_place(void)
{
	struct slot **more;

	for (size_t i = 0; i < slots.count; i++) {
		if (!slots.places[i])
			return &slots.places[i];
	}
	more = reallocarray(slots.places, slots.count + MORE_PLACES, sizeof(struct slot *));
	if (!more)
		return NULL;
	memset(more + slots.count, 0, MORE_PLACES * sizeof(struct slot *));
	slots.places = more;
	slots.count += MORE_PLACES;
	return &slots.places[slots.count - MORE_PLACES];
}

/* With the list's lock held, so that the count changes together with the list. */
static void count_event(void)
{
	slots.events = slots.events >= EVENTS_MAX ? 1 : slots.events + 1;
}

int slots_add(struct slot *slot)
{
	struct slot **place;

	pthread_mutex_lock(&slots.lock);
	place = free_place();
	if (place) {
		*place = slot_ref(slot);
		count_event();
	}
	pthread_mutex_unlock(&slots.lock);
	if (!place)
		return -1;
	events_raise_reader(slot->name);
	return 0;
}

void slots_remove(struct slot *slot)
{
	bool found = false;

	pthread_mutex_lock(&slots.lock);
	for (size_t i = 0; i < slots.count && !found; i++) {
		found = slots.places[i] == slot;
		if (found) {
			slots.places[i] = NULL;
			count_event();
		}
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
		if (slots.places[i] && strcmp(slots.places[i]->name, name) == 0)
			slot = slot_ref(slots.places[i]);
	}
	pthread_mutex_unlock(&slots.lock);
	return slot;
}

struct slot *slots_by_id(uint64_t id)
{
	struct slot *slot = NULL;

	pthread_mutex_lock(&slots.lock);
	for (size_t i = 0; i < slots.count && !slot; i++) {
		if (slots.places[i] && slots.places[i]->id == id)
			slot = slot_ref(slots.places[i]);
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
		if (!slots.places[i])
			continue;
		strcpy(names + *length, slots.places[i]->name);
		*length += strlen(slots.places[i]->name) + 1;
		++*count;
	}
	pthread_mutex_unlock(&slots.lock);
	return names;
}

size_t slots_count(void)
{
	size_t count = 0;

	pthread_mutex_lock(&slots.lock);
	for (size_t i = 0; i < slots.count; i++)
		count += slots.places[i] != NULL;
	pthread_mutex_unlock(&slots.lock);
	return count;
}

size_t slots_places(void)
{
	size_t count;

	pthread_mutex_lock(&slots.lock);
	count = slots.count > FIRST_PLACES ? slots.count : FIRST_PLACES;
	pthread_mutex_unlock(&slots.lock);
	return count;
}

void slots_states(struct wire_reader_state *states, size_t count)
{
	memset(states, 0, count * sizeof(*states));
	pthread_mutex_lock(&slots.lock);
	for (size_t i = 0; i < slots.count && i < count; i++) {
		struct slot *slot = slots.places[i];

		if (!slot)
			continue;
		pthread_mutex_lock(&slot->lock);
		slot_publish(slot, &states[i]);
		pthread_mutex_unlock(&slot->lock);
	}
	pthread_mutex_unlock(&slots.lock);
}
