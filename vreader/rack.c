/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/rack.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vreader/cards/catalog.h"

#include "vreader/cards/vpcd_port.h"

bool rack_init(struct rack *rack, const struct profile *profile, size_t count,
	const struct card_options *card)
{
	struct profile numbered = *profile;

	*rack = (struct rack){ .card = *card };
	rack->devices = calloc(count, sizeof(struct usb_device *));
	if (!rack->devices)
		return false;
	for (size_t i = 0; i < count; i++) {
		/* Serial numbers tell equal readers apart, and say that they are not real. */
		if (profile->serial[0])
			snprintf(numbered.serial, sizeof(numbered.serial), "%.40s-%zu",
				profile->serial, i + 1);
		rack->devices[i] = usb_device_new(&numbered);
		if (!rack->devices[i])
			return false;
		rack->count++;
	}
	return true;
}

void rack_free(struct rack *rack)
{
	vpcd_ports_free(rack->vpcd);
	for (size_t i = 0; i < rack->count; i++)
		usb_device_free(rack->devices[i]);
	free(rack->devices);
}

bool rack_find(const struct rack *rack, size_t reader, size_t slot, struct rack_slot *found)
{
	const size_t number = slot;

	if (reader >= rack->count)
		return false;
	for (size_t i = 0;; i++) {
		struct ccid_device *ccid = usb_device_ccid(rack->devices[reader], i);

		if (!ccid)
			return false;
		if (slot < ccid_slots(ccid)) {
			*found = (struct rack_slot){
				.reader = reader,
				.ccid = ccid,
				.slot = slot,
				.number = number,
				.vpcd = rack->vpcd,
				.loop = rack->loop,
				.state = rack->state,
			};
			return true;
		}
		slot -= ccid_slots(ccid);
	}
}

/* False when there is one already. */
static bool insert(const struct rack_slot *where, struct card *card)
{
	if (ccid_waits_for_cards(where->ccid))
		card_work_in(card, where->loop);
	return ccid_insert(where->ccid, where->slot, card);
}

const char *rack_insert_tag(
	const struct rack_slot *where, const struct tag_options *options, struct card_app *app)
{
	struct card *card = card_new_tag(tag_new(options, app));

	if (!card)
		return "out of memory";
	if (!ccid_contactless(where->ccid, where->slot)) {
		card_free(card);
		return "that slot is not for tags";
	}
	if (insert(where, card))
		return NULL;
	card_free(card);
	return "there is a card already";
}

static const char *insert_program(const struct rack_slot *where, const char *address)
{
	if (!where->vpcd || ccid_contactless(where->ccid, where->slot))
		return "that slot is not for card programs";
	return vpcd_ports_open(where->vpcd, address, where->ccid, where->slot);
}

enum {
	/* Waiting times of 25 s (T=1) and about 30 s (T=0, at 4 MHz; ISO 7816-3 §10.2, §11.4.3). */
	SLOW_BWI = 8,
	SLOW_WI = 255,
};

/* A card asks for time while it makes an RSA key, but not while it uses one: the ATR of a card with
 * keys asks for it beforehand. And it takes extended APDUs, which T=0 does not carry. Unless told
 * otherwise by hand. */
static struct card_options patient(const char *name, const struct card_options *options)
{
	struct card_options o = *options;

	if (!catalog_slow(name))
		return o;
	if (o.protocols == card_options_default.protocols)
		o.protocols = CARD_T1;
	if (o.bwi == card_options_default.bwi)
		o.bwi = SLOW_BWI;
	if (o.wi == card_options_default.wi)
		o.wi = SLOW_WI;
	return o;
}

/* The file of that slot's card in path, or NULL. */
static const char *state_path(const struct rack_slot *where, char *path, size_t size)
{
	if (!where->state)
		return NULL;
	if (where->reader == 0 && where->number == 0)
		snprintf(path, size, "%s", where->state);
	else
		snprintf(path, size, "%s.%zu.%zu", where->state, where->reader, where->number);
	return path;
}

const char *rack_insert(
	const struct rack_slot *where, const char *name, const struct card_options *options)
{
	const struct card_options waiting = patient(name, options);
	static char why[PATH_MAX + 128];
	char path[PATH_MAX];
	struct tag_options tag;
	struct card_app *app;
	struct card *card;

	if (strncmp(name, "vpcd:", strlen("vpcd:")) == 0)
		return insert_program(where, name + strlen("vpcd:"));
	if (tag_options_named(&tag, name))
		return rack_insert_tag(where, &tag, tag_wants_app(&tag) ? iso_card_new() : NULL);
	if (catalog_has(name) && ccid_present(where->ccid, where->slot))
		return "there is a card already";
	app = catalog_new(name, state_path(where, path, sizeof(path)), why, sizeof(why));
	if (!app)
		return why;
	if (ccid_contactless(where->ccid, where->slot)) {
		tag_options_named(&tag, "tag-a");
		return rack_insert_tag(where, &tag, app);
	}
	card = card_new(&waiting, app);
	if (!card)
		return "out of memory";
	insert(where, card);
	return NULL;
}

bool rack_load_faults(struct rack *rack, const char *path, char *why, size_t why_size)
{
	for (size_t i = 0; i < rack->count; i++) {
		struct fault_script *script = fault_load(path, why, why_size);

		if (!script)
			return false;
		usb_device_set_faults(rack->devices[i], script);
	}
	return true;
}
