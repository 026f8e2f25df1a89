/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The readers of one server process, and what can be done to them by hand: cards in and out,
 * plugs in and out. Slots are numbered through: reader by reader, interface by interface.
 */
#ifndef CARDWIRE_VREADER_RACK_H
#define CARDWIRE_VREADER_RACK_H

#include <stdbool.h>
#include <stddef.h>

#include "vreader/cards/card.h"
#include "vreader/usb/usb_device.h"
#include "vreader/usb/usbip_server.h"

struct rack {
	struct usb_device **devices;
	size_t count;
	struct card_options card; /* for cards inserted later */
	struct usbip_server *server;
	struct vpcd_ports *vpcd; /* NULL: no card programs (vpcd_port.h) */
	struct loop *loop;       /* that cards may do long work in */
	const char *state;       /* file of the first slot's card; NULL: cards forget */
};

/* Where a card can be put. */
struct rack_slot {
	size_t reader;
	struct ccid_device *ccid;
	size_t slot;
	size_t number;           /* of the slot in its reader, counted over the interfaces */
	struct vpcd_ports *vpcd; /* of the rack */
	struct loop *loop;       /* of the rack */
	const char *state;       /* of the rack */
};

/* count readers of one profile, empty. False without memory. */
bool rack_init(struct rack *rack, const struct profile *profile, size_t count,
	const struct card_options *card);
void rack_free(struct rack *rack);

/* Finds the n-th slot of a reader, counted over its interfaces. False: no such reader or slot. */
bool rack_find(const struct rack *rack, size_t reader, size_t slot, struct rack_slot *found);

/*
 * Makes a card by its name (catalog.h) and inserts it; into a contactless slot, as the
 * application of a tag; or makes a tag by its name. "vpcd:ADDRESS" has the slot wait for a card
 * program there. The card of another slot than the first has its state in FILE.READER.SLOT. NULL
 * when done, else what is wrong, until the next call.
 */
const char *rack_insert(
	const struct rack_slot *where, const char *card, const struct card_options *options);

/* Brings a tag into the field; APP as for tag_new(), taken over. NULL when done, else what is
 * wrong. */
const char *rack_insert_tag(
	const struct rack_slot *where, const struct tag_options *options, struct card_app *app);

/* Makes every reader misbehave by the script. False with an explanation in why. */
bool rack_load_faults(struct rack *rack, const char *path, char *why, size_t why_size);

#endif
