/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/readers/inventory.h"

#include <stdlib.h>
#include <string.h>

#include "pcscd/log.h"

enum item_state {
	ITEM_WAITING,  /* tried again at `due` */
	ITEM_DECLINED, /* no driver takes it */
	ITEM_COMING,   /* in the table, not up yet */
	ITEM_UP,       /* in the table, seen by clients */
	ITEM_LEAVING,  /* in the table, asked to go */
};

struct item {
	struct item *next;
	enum inventory_source source;
	enum item_state state;
	bool listed;  /* in the source's latest list */
	bool missing; /* a line said that it is not there */
	bool refused; /* a line said that no driver takes it */
	bool hope;    /* one of the drivers that were tried may take it another time */
	bool blocked; /* WAITING for another item of the same device to go */
	uint64_t id;  /* while in the table */
	size_t choice;
	unsigned tries; /* failures since it was up or changed */
	int64_t due;
	int64_t up_since;
	char *key;
	char *identity;
	char *access; /* as it was when the device was last tried, NULL: not known */
	struct reader_spec specs[INVENTORY_DRIVERS]; /* strings owned */
	size_t count;
};

struct inventory {
	const struct inventory_table *table;
	struct item *items;
};

static void specs_free(struct reader_spec *specs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free((char *)specs[i].base_name);
		free((char *)specs[i].library);
		free((char *)specs[i].device);
		free((char *)specs[i].origin);
		free((char *)specs[i].place);
		free((struct reader_power *)specs[i].power);
	}
}

/* A copy; NULL if there is nothing to copy, or memory is short. */
static struct reader_power *power_copy(const struct reader_power *power)
{
	struct reader_power *copy = power ? malloc(sizeof(*copy)) : NULL;

	if (copy)
		*copy = *power;
	return copy;
}

static bool spec_copy(struct reader_spec *to, const struct reader_spec *from)
{
	*to = *from;
	to->base_name = strdup(from->base_name);
	to->library = strdup(from->library);
	to->device = from->device ? strdup(from->device) : NULL;
	to->origin = strdup(from->origin);
	to->place = from->place ? strdup(from->place) : NULL;
	to->power = power_copy(from->power);
	return to->base_name && to->library && to->origin && (to->device || !from->device) &&
	       (to->place || !from->place) && (to->power || !from->power);
}

static void item_free(struct item *item)
{
	specs_free(item->specs, item->count);
	free(item->key);
	free(item->identity);
	free(item->access);
	free(item);
}

/* Takes identity and drivers over from what is wanted. False: memory is short, item unchanged. */
static bool item_describe(struct item *item, const struct wanted *wanted)
{
	struct reader_spec specs[INVENTORY_DRIVERS] = { 0 };
	char *identity = strdup(wanted->identity);
	bool ok = identity != NULL;

	for (size_t i = 0; i < wanted->count; i++)
		ok = spec_copy(&specs[i], &wanted->specs[i]) && ok;
	if (!ok) {
		specs_free(specs, wanted->count);
		free(identity);
		return false;
	}
	specs_free(item->specs, item->count);
	free(item->identity);
	memcpy(item->specs, specs, sizeof(specs));
	item->count = wanted->count;
	item->choice = 0;
	item->identity = identity;
	return true;
}

static bool same_string(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_power(const struct reader_power *a, const struct reader_power *b)
{
	return a && b ? a->grace == b->grace && a->on_demand == b->on_demand : a == b;
}

/* The origin is for messages only: a line that moved in its file is no other reader. */
static bool same_spec(const struct reader_spec *a, const struct reader_spec *b)
{
	return same_string(a->base_name, b->base_name) && same_string(a->library, b->library) &&
	       same_string(a->device, b->device) && a->channel == b->channel &&
	       same_power(a->power, b->power);
}

static bool item_is(const struct item *item, const struct wanted *wanted)
{
	if (strcmp(item->identity, wanted->identity) != 0 || item->count != wanted->count)
		return false;
	for (size_t i = 0; i < item->count; i++)
		if (!same_spec(&item->specs[i], &wanted->specs[i]))
			return false;
	return true;
}

static bool in_table(const struct item *item)
{
	return item->state == ITEM_COMING || item->state == ITEM_UP || item->state == ITEM_LEAVING;
}

static void item_later(struct item *item, int64_t now)
{
	int64_t interval = INVENTORY_RETRY_MIN;

	for (unsigned i = 0; i < item->tries && interval < INVENTORY_RETRY_MAX; i++)
		interval *= 2;
	if (interval > INVENTORY_RETRY_MAX)
		interval = INVENTORY_RETRY_MAX;
	item->tries++;
	item->state = ITEM_WAITING;
	item->due = now + interval;
}

/* The item that holds the device of `spec` in the table; NULL if it is going or unknown. */
static const struct item *holder(const struct inventory *inventory, const struct reader_spec *spec)
{
	for (const struct item *item = inventory->items; item; item = item->next) {
		const struct reader_spec *other = &item->specs[item->choice];

		if ((item->state == ITEM_COMING || item->state == ITEM_UP) &&
			same_string(other->library, spec->library) &&
			same_string(other->device, spec->device) && other->channel == spec->channel)
			return item;
	}
	return NULL;
}

/* Hands the device to the driver whose turn it is. */
static void item_start(struct inventory *inventory, struct item *item, int64_t now)
{
	struct reader_spec *spec = &item->specs[item->choice];
	const struct item *other;

	item->blocked = false;
	spec->again = item->missing || item->refused;
	switch (inventory->table->add(spec, &item->id)) {
	case READERS_OK:
		item->state = ITEM_COMING;
		break;
	case READERS_DUPLICATE:
		other = holder(inventory, spec);
		if (other && item->source == INVENTORY_CONF) {
			log_line(PCSC_LOG_ERROR,
				"%s: the device of reader \"%s\" is that of %s: reader left out",
				spec->origin, spec->base_name, other->specs[0].origin);
			item->state = ITEM_DECLINED;
			break;
		}
		item_later(item, now);
		item->blocked = true;
		break;
	case READERS_FAILED:
		item_later(item, now);
		break;
	}
}

static void item_restart(struct inventory *inventory, struct item *item, int64_t now)
{
	item->choice = 0;
	item->tries = 0;
	item->refused = false;
	item_start(inventory, item, now);
}

/* Asks the table to drop the item. */
static void item_leave(struct inventory *inventory, struct item *item)
{
	if (item->state == ITEM_LEAVING)
		return;
	item->state = ITEM_LEAVING;
	inventory->table->remove(item->id, item->source == INVENTORY_BUS);
}

static void item_missing(struct item *item, const char *what)
{
	if (item->missing)
		return;
	item->missing = true;
	log_line(PCSC_LOG_ERROR, "%s: reader \"%s\" (%s) %s; it is tried again until it is back",
		item->specs[0].origin, item->specs[0].base_name,
		item->specs[0].device ? item->specs[0].device : "by channel number", what);
}

/* It never came up: another driver, another time, or never. */
static void item_refused(
	struct inventory *inventory, struct item *item, enum readers_end why, int64_t now)
{
	if (item->choice == 0)
		item->hope = item->tries > 0; /* there was some */
	/* A library that can't be loaded won't be there in some seconds either. */
	item->hope = item->hope || why != READERS_END_OPEN_FAILED;
	if (item->choice + 1 < item->count) {
		item->choice++;
		item_start(inventory, item, now);
		return;
	}
	item->choice = 0;
	if (item->source == INVENTORY_CONF && why == READERS_END_REFUSED)
		item->missing = true; /* the table has said why */
	if (item->source == INVENTORY_CONF && (why == READERS_END_NO_DEVICE || item->missing)) {
		item_missing(item, "is not there");
		item_later(item, now);
		return;
	}
	item->refused = item->source == INVENTORY_BUS;
	if (item->source == INVENTORY_BUS && item->hope && item->tries < INVENTORY_BUS_TRIES) {
		item_later(item, now);
		return;
	}
	item->state = ITEM_DECLINED;
}

/* It was up and went by itself. */
static void item_lost(struct item *item, int64_t now)
{
	if (item->source == INVENTORY_CONF)
		item_missing(item, "is gone");
	if (now - item->up_since >= INVENTORY_STABLE)
		item->tries = 0;
	item_later(item, now);
}

static struct item *find_key(
	struct inventory *inventory, enum inventory_source source, const char *key)
{
	for (struct item *item = inventory->items; item; item = item->next)
		if (item->source == source && strcmp(item->key, key) == 0)
			return item;
	return NULL;
}

static struct item *find_id(struct inventory *inventory, uint64_t id)
{
	for (struct item *item = inventory->items; item; item = item->next)
		if (in_table(item) && item->id == id)
			return item;
	return NULL;
}

static void drop(struct inventory *inventory, struct item *item)
{
	struct item **link = &inventory->items;

	while (*link && *link != item)
		link = &(*link)->next;
	if (*link)
		*link = item->next;
	item_free(item);
}

struct inventory *inventory_new(const struct inventory_table *table)
{
	struct inventory *inventory = calloc(1, sizeof(*inventory));

	if (inventory)
		inventory->table = table;
	return inventory;
}

void inventory_free(struct inventory *inventory)
{
	if (!inventory)
		return;
	while (inventory->items)
		drop(inventory, inventory->items);
	free(inventory);
}

/* Notes who may open the device. Returns true if that is not as it was. */
static bool access_changed(struct item *item, const struct wanted *wanted)
{
	char *access;

	if (!wanted->access || same_string(item->access, wanted->access))
		return false;
	access = strdup(wanted->access);
	if (!access)
		return false;
	free(item->access);
	item->access = access;
	return true;
}

static void add_item(struct inventory *inventory, enum inventory_source source,
	const struct wanted *wanted, int64_t now)
{
	struct item *item = calloc(1, sizeof(*item));
	struct item **end = &inventory->items;

	if (item)
		item->key = strdup(wanted->key);
	if (!item || !item->key || !item_describe(item, wanted)) {
		log_line(PCSC_LOG_ERROR, "%s: out of memory", wanted->key);
		if (item)
			item_free(item);
		return;
	}
	item->source = source;
	item->listed = true;
	access_changed(item, wanted);
	/* At the end: readers come up in the order in which they are listed. */
	while (*end)
		end = &(*end)->next;
	*end = item;
	item_start(inventory, item, now);
}

/* An item whose key is still wanted. */
static void keep_item(struct inventory *inventory, struct item *item, const struct wanted *wanted,
	bool again, int64_t now)
{
	bool same = item_is(item, wanted);

	again = access_changed(item, wanted) || again;
	item->listed = true;
	if (!same && !item_describe(item, wanted)) {
		log_line(PCSC_LOG_ERROR, "%s: out of memory", wanted->key);
		return;
	}
	if (in_table(item)) {
		if (!same)
			item_leave(inventory, item);
	} else if (!same || again) {
		item_restart(inventory, item, now);
	}
}

void inventory_sync(struct inventory *inventory, enum inventory_source source,
	const struct wanted *wanted, size_t count, bool again, int64_t now)
{
	struct item *next;

	for (struct item *item = inventory->items; item; item = item->next)
		if (item->source == source)
			item->listed = false;
	for (size_t i = 0; i < count; i++) {
		struct item *item = find_key(inventory, source, wanted[i].key);

		if (item)
			item->listed = true;
	}
	/* What is gone goes first, so that what comes finds its device string free. */
	for (struct item *item = inventory->items; item; item = next) {
		next = item->next;
		if (item->source != source || item->listed)
			continue;
		if (in_table(item))
			item_leave(inventory, item);
		else
			drop(inventory, item);
	}
	for (size_t i = 0; i < count; i++) {
		struct item *item = find_key(inventory, source, wanted[i].key);

		if (item)
			keep_item(inventory, item, &wanted[i], again, now);
		else
			add_item(inventory, source, &wanted[i], now);
	}
}

void inventory_up(struct inventory *inventory, uint64_t id, int64_t now)
{
	struct item *item = find_id(inventory, id);

	if (!item || item->state != ITEM_COMING)
		return;
	item->state = ITEM_UP;
	item->up_since = now;
	if (item->missing)
		log_line(PCSC_LOG_ERROR, "%s: reader \"%s\" is back", item->specs[0].origin,
			item->specs[0].base_name);
	item->missing = false;
	item->refused = false;
}

void inventory_gone(
	struct inventory *inventory, uint64_t id, enum readers_end why, bool was_up, int64_t now)
{
	struct item *item = find_id(inventory, id);
	bool asked;

	if (!item)
		return;
	asked = item->state == ITEM_LEAVING;
	item->id = 0;
	for (struct item *other = inventory->items; other; other = other->next)
		if (other->blocked)
			other->due = now;
	if (!item->listed)
		drop(inventory, item);
	else if (asked)
		item_restart(inventory, item, now);
	else if (was_up)
		item_lost(item, now);
	else
		item_refused(inventory, item, why, now);
}

int64_t inventory_deadline(const struct inventory *inventory)
{
	int64_t deadline = INT64_MAX;

	for (const struct item *item = inventory->items; item; item = item->next)
		if (item->state == ITEM_WAITING && item->due < deadline)
			deadline = item->due;
	return deadline;
}

void inventory_tick(struct inventory *inventory, int64_t now)
{
	for (struct item *item = inventory->items; item; item = item->next)
		if (item->state == ITEM_WAITING && item->due <= now)
			item_start(inventory, item, now);
}
