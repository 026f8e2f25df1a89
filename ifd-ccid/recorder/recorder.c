/* SPDX-License-Identifier: BSD-3-Clause */
#include "recorder.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ifd-ccid/deadline.h"
#include "recorder_store.h"
#include "spec/usb.h"

enum {
	GONE_MAX = 4,   /* recordings of devices that are gone */
	PRESENCES = 32, /* slots whose last presence is remembered */
};

struct recorder {
	struct recorder *next; /* the latest first; under list_lock, as the two below */
	unsigned references;
	bool gone;
	char *device;

	pthread_mutex_t lock; /* what follows */
	pthread_cond_t added;
	unsigned readers; /* that wait */
	bool closed;
	struct recorder_store store;

	/* A question for the card that has led to nothing yet, and what was answered last. */
	bool asking;
	struct recording_entry question;
	uint64_t presence[PRESENCES];
};

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct recorder *list;

static void free_recorder(struct recorder *r)
{
	pthread_mutex_destroy(&r->lock);
	pthread_cond_destroy(&r->added);
	free(r->device);
	recorder_store_free(&r->store);
	free(r);
}

/* With list_lock held. */
static void drop(struct recorder *r)
{
	if (--r->references == 0)
		free_recorder(r);
}

/* Of recordings that are gone, the oldest go. With list_lock held. */
static void trim(unsigned keep)
{
	struct recorder **link = &list;

	while (*link) {
		struct recorder *r = *link;

		if (r->gone && keep == 0) {
			*link = r->next;
			drop(r);
			continue;
		}
		keep -= r->gone;
		link = &r->next;
	}
}

__attribute__((destructor)) static void forget_gone(void)
{
	pthread_mutex_lock(&list_lock);
	trim(0);
	pthread_mutex_unlock(&list_lock);
}

struct recorder *recorder_new(const char *device, size_t bytes)
{
	struct recorder *r = bytes ? calloc(1, sizeof(*r)) : NULL;

	if (!r)
		return NULL;
	pthread_mutex_init(&r->lock, NULL);
	deadline_cond_init(&r->added);
	r->references = 1;
	r->device = strdup(device);
	if (!recorder_store_init(&r->store, bytes) || !r->device) {
		free_recorder(r);
		return NULL;
	}
	pthread_mutex_lock(&list_lock);
	r->next = list;
	list = r;
	pthread_mutex_unlock(&list_lock);
	return r;
}

void recorder_opened(struct recorder *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->store.opening = false;
	pthread_mutex_unlock(&r->lock);
}

static bool is_empty(struct recorder *r)
{
	bool empty;

	pthread_mutex_lock(&r->lock);
	empty = r->store.serial == 1;
	pthread_mutex_unlock(&r->lock);
	return empty;
}

/* With list_lock held. */
static void forget(struct recorder *r)
{
	struct recorder **link = &list;

	while (*link != r)
		link = &(*link)->next;
	*link = r->next;
	drop(r);
}

void recorder_gone(struct recorder *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->closed = true;
	pthread_cond_broadcast(&r->added);
	pthread_mutex_unlock(&r->lock);
	pthread_mutex_lock(&list_lock);
	r->gone = true;
	/* A device that is not there is tried again and again, which says nothing of what it did. */
	if (is_empty(r))
		forget(r);
	else
		trim(GONE_MAX);
	pthread_mutex_unlock(&list_lock);
}

/* With the lock held. */
static void add_locked(
	struct recorder *r, const struct recording_entry *entry, const struct mask_result *mask)
{
	recorder_store_add(&r->store, entry, mask);
	if (r->readers)
		pthread_cond_broadcast(&r->added);
}

static void add(
	struct recorder *r, const struct recording_entry *entry, const struct mask_result *mask)
{
	pthread_mutex_lock(&r->lock);
	if (r->asking) {
		r->asking = false;
		add_locked(r, &r->question, NULL);
	}
	add_locked(r, entry, mask);
	pthread_mutex_unlock(&r->lock);
}

void recorder_add(struct recorder *r, const struct recording_entry *entry)
{
	if (r)
		add(r, entry, NULL);
}

static enum recording_status status_of(enum port_status status)
{
	static const enum recording_status statuses[] = {
		[PORT_OK] = RECORDING_OK,
		[PORT_STALL] = RECORDING_STALL,
		[PORT_TIMEOUT] = RECORDING_TIMEOUT,
		[PORT_CANCELLED] = RECORDING_CANCELLED,
		[PORT_OVERFLOW] = RECORDING_OVERFLOW,
		[PORT_ERROR] = RECORDING_ERROR,
		[PORT_GONE] = RECORDING_GONE,
	};

	return statuses[status];
}

/* Of a mask of the message, what lies in the bytes from OFFSET on. */
static void shift(struct mask_result *mask, size_t offset)
{
	for (size_t i = 0; i < RECORDING_MASKS; i++) {
		struct recording_mask *one = &mask->masks[i];

		if (one->end <= offset) {
			*one = (struct recording_mask){ 0 };
			continue;
		}
		one->start = one->start > offset ? one->start - (uint32_t)offset : 0;
		one->end -= (uint32_t)offset;
	}
	/* An error detection code that came apart stays as it is masked: zero. */
	if (offset)
		mask->stand_in_len = 0;
}

void recorder_bulk(struct recorder *r, uint8_t endpoint, enum port_status status,
	const uint8_t *message, size_t offset, size_t len, struct mask_secrecy *secrecy)
{
	bool in = endpoint & USB_DIR_IN;
	struct mask_result mask;
	struct recording_entry entry = {
		.kind = in ? RECORDING_IN : RECORDING_OUT,
		.status = status_of(status),
		.endpoint = endpoint,
		.len = (uint32_t)(len - offset),
		.data = message + offset,
	};

	if (!r)
		return;
	if (in)
		mask_answer(secrecy, message, len, &mask);
	else
		mask_command(secrecy, message, len, &mask);
	shift(&mask, offset);
	add(r, &entry, &mask);
}

void recorder_event(struct recorder *r, const struct port_transfer *transfer)
{
	struct recording_entry entry = {
		.kind = RECORDING_EVENT,
		.status = status_of(transfer->status),
		.endpoint = transfer->endpoint,
		.len = (uint32_t)transfer->actual,
		.data = transfer->buffer,
	};

	if (r)
		add(r, &entry, NULL);
}

void recorder_control(struct recorder *r, const uint8_t setup[8], enum port_status status,
	const uint8_t *data, size_t actual, struct mask_secrecy *secrecy)
{
	struct mask_result mask = { 0 };
	struct recording_entry entry = {
		.kind = RECORDING_CONTROL,
		.status = status_of(status),
		.len = (uint32_t)actual,
		.data = data,
	};

	if (!r)
		return;
	memcpy(entry.setup, setup, sizeof(entry.setup));
	if (secrecy && secrecy->shape != MASK_NOTHING)
		mask_control(secrecy, setup[0] & USB_DIR_IN, data, actual, &mask);
	add(r, &entry, &mask);
}

void recorder_quirk(struct recorder *r, const char *text)
{
	struct recording_entry entry = {
		.kind = RECORDING_QUIRK,
		.len = (uint32_t)strlen(text),
		.data = (const uint8_t *)text,
	};

	if (r)
		add(r, &entry, NULL);
}

static void call(struct recorder *r, const struct recording_entry *entry, bool secret)
{
	struct mask_result mask = { 0 };

	if (secret)
		mask_call(entry->kind == RECORDING_RETURN, entry->data, entry->len, &mask);
	add(r, entry, &mask);
}

void recorder_call(struct recorder *r, unsigned slot, enum recording_call which, uint64_t value,
	const uint8_t *data, size_t len, bool secret)
{
	struct recording_entry entry = {
		.kind = RECORDING_CALL,
		.call = which,
		.slot = (uint16_t)slot,
		.value = value,
		.len = (uint32_t)len,
		.data = data,
	};

	if (!r)
		return;
	if (which != RECORDING_PRESENCE) {
		call(r, &entry, secret);
		return;
	}
	/* Hosts ask all the time; it is told when something comes of it. */
	pthread_mutex_lock(&r->lock);
	if (r->asking)
		add_locked(r, &r->question, NULL);
	r->asking = true;
	r->question = entry;
	pthread_mutex_unlock(&r->lock);
}

/* Whether a question for the card has led to nothing, and to the same answer. */
static bool forget_question(struct recorder *r, unsigned slot, uint64_t result)
{
	uint64_t *last = &r->presence[slot % PRESENCES];
	bool nothing;

	pthread_mutex_lock(&r->lock);
	nothing = r->asking && r->question.slot == slot && *last == result;
	if (nothing)
		r->asking = false;
	*last = result;
	pthread_mutex_unlock(&r->lock);
	return nothing;
}

void recorder_return(struct recorder *r, unsigned slot, enum recording_call which, uint64_t result,
	const uint8_t *data, size_t len, bool secret)
{
	struct recording_entry entry = {
		.kind = RECORDING_RETURN,
		.call = which,
		.slot = (uint16_t)slot,
		.value = result,
		.len = (uint32_t)len,
		.data = data,
	};

	if (!r || (which == RECORDING_PRESENCE && forget_question(r, slot, result)))
		return;
	call(r, &entry, secret);
}

/* Which of a device's recordings is meant: that of now, or the last, if there is nothing in that. */
static int rank(struct recorder *r)
{
	if (is_empty(r))
		return 0;
	return r->gone ? 1 : 2;
}

/* Finds a recording, with a reference. */
static struct recorder *find(const char *device, bool *gone)
{
	struct recorder *found = NULL;

	pthread_mutex_lock(&list_lock);
	for (struct recorder *r = list; r; r = r->next)
		if (strcmp(r->device, device) == 0 && (!found || rank(r) > rank(found)))
			found = r;
	if (found) {
		found->references++;
		*gone = found->gone;
	}
	pthread_mutex_unlock(&list_lock);
	return found;
}

static void wait_for(struct recorder *r, uint64_t serial, int timeout_ms)
{
	int64_t deadline = deadline_in_ms(timeout_ms);

	pthread_mutex_lock(&r->lock);
	r->readers++;
	while (serial >= r->store.serial && !r->closed)
		if (deadline_cond_wait(&r->added, &r->lock, deadline) != 0)
			break;
	r->readers--;
	pthread_mutex_unlock(&r->lock);
}

static bool take(struct recorder *r, struct recorder_cursor *c, struct recording_entry *entry)
{
	bool there;

	pthread_mutex_lock(&r->lock);
	there = recorder_store_take(&r->store, c, entry);
	pthread_mutex_unlock(&r->lock);
	return there;
}

/* Entries from the cursor on, until `end` or the room does not hold the longest line. */
static size_t print(
	struct recorder *r, struct recorder_cursor *c, uint64_t end, char *text, size_t room)
{
	struct recording_entry entry;
	size_t used = 0;

	while (c->serial < end && room - used > recording_line_max(RECORDING_DATA_MAX) &&
		take(r, c, &entry))
		used += recording_print(&entry, text + used);
	return used;
}

/* All but the opening is passed over. There is room for a line. */
static size_t print_gap(struct recorder *r, struct recorder_cursor *c, char *text)
{
	struct recording_entry entry = { .kind = RECORDING_DROPPED, .at = deadline_now() };

	pthread_mutex_lock(&r->lock);
	entry.value = r->store.serial - c->serial;
	c->serial = r->store.serial;
	pthread_mutex_unlock(&r->lock);
	return recording_print(&entry, text);
}

enum recorder_found recorder_read(
	const char *device, uint64_t *position, int timeout_ms, char *text, size_t *length)
{
	struct recorder_cursor cursor = { .data = malloc(RECORDING_DATA_MAX) };
	size_t room = *length;
	bool gone = false;
	struct recorder *r = cursor.data ? find(device, &gone) : NULL;

	*length = 0;
	if (!r) {
		free(cursor.data);
		return RECORDER_NONE;
	}
	if (*position == UINT64_MAX) {
		cursor.serial = 1;
		*length = print(r, &cursor, r->store.head_end, text, room);
		*length += print_gap(r, &cursor, text + *length);
		*position = cursor.serial;
	} else {
		cursor.serial = *position ? *position : 1;
		wait_for(r, cursor.serial, timeout_ms);
		*length = print(r, &cursor, UINT64_MAX, text, room);
		*position = cursor.serial;
	}
	pthread_mutex_lock(&list_lock);
	drop(r);
	pthread_mutex_unlock(&list_lock);
	free(cursor.data);
	return gone ? RECORDER_GONE : RECORDER_LIVE;
}

void recorder_list(char *text, size_t *length)
{
	size_t room = *length;

	*length = 0;
	pthread_mutex_lock(&list_lock);
	for (const struct recorder *r = list; r; r = r->next) {
		size_t need = strlen(r->device) + strlen("live \n");

		if (room - *length <= need)
			break;
		*length += (size_t)snprintf(text + *length, room - *length, "%s %s\n",
			r->gone ? "gone" : "live", r->device);
	}
	pthread_mutex_unlock(&list_lock);
}
