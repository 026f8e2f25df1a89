/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/readers/hotplug.h"

#include <string.h>

#include "pcscd/readers/places.h"

/* The name of a reader that no bundle lists: what the device says of itself. */
static const char *own_name(struct wanted_list *list, const struct usb_interface *interface)
{
	char maker[NAME_BASE_MAX + 1];
	char model[NAME_BASE_MAX + 1];

	name_ascii(maker, sizeof(maker), interface->manufacturer ? interface->manufacturer : "");
	name_ascii(model, sizeof(model), interface->product_name ? interface->product_name : "");
	if (!*maker && !*model)
		return wanted_string(
			list, "CCID Reader %04X:%04X", interface->vendor, interface->product);
	if (!*maker || !*model || strncmp(model, maker, strlen(maker)) == 0)
		return wanted_string(list, "%s", *model ? model : maker);
	return wanted_string(list, "%s %s", maker, model);
}

/* What tells a reader from its equals: its serial number and interface, and the port. */
static const char *place_of(struct wanted_list *list, const struct usb_interface *interface)
{
	const char *port = interface->path ? interface->path : interface->place;
	const char *colon = strchr(interface->place, ':');

	if (!interface->serial || !*interface->serial)
		return wanted_string(list, "%s", port);
	return wanted_string(
		list, "serial %s%s" PLACE_AT "%s", interface->serial, colon ? colon : "", port);
}

void hotplug_choose(struct wanted_list *list, const struct bundles *bundles,
	const struct name_rules *rules, const struct usb_interface *interface)
{
	struct bundle_match matches[BUNDLE_MATCHES] = { 0 };
	struct wanted wanted = { 0 };
	size_t count = bundles_match(bundles, interface->vendor, interface->product,
		interface->interface_class, matches);
	size_t named = 0;
	const char *device;
	const char *origin;
	const char *place;

	if (count == 0 || !interface->node)
		return;
	wanted.key = wanted_string(list, "%s", interface->place);
	wanted.identity = wanted_string(list, "%s %04x:%04x %s %s", interface->node,
		interface->vendor, interface->product, interface->serial ? interface->serial : "",
		interface->born ? interface->born : "");
	wanted.access = interface->access ? wanted_string(list, "%s", interface->access) : NULL;
	device = wanted_string(list, "usb:%04x/%04x:libudev:%d:%s", interface->vendor,
		interface->product, interface->interface_number, interface->node);
	origin = wanted_string(list, "usb %s", interface->place);
	place = place_of(list, interface);
	if (!device || !place)
		return;
	for (size_t i = 0; i < count; i++) {
		char name[NAME_BASE_MAX + 1];
		const char *friendly =
			matches[i].name ? matches[i].name : own_name(list, interface);

		if (!friendly)
			return;
		name_of_device(name, rules, friendly, interface->interface, interface->serial);
		if (name_is_ignored(rules, name))
			continue;
		wanted.specs[named++] = (struct reader_spec){
			.base_name = wanted_string(list, "%s", name),
			.library = wanted_library(list, matches[i].library),
			.device = device,
			.origin = origin,
			.place = place,
			.hotplug = true,
		};
	}
	wanted.count = named;
	wanted_add(list, &wanted);
}

_Static_assert(BUNDLE_MATCHES <= INVENTORY_DRIVERS, "each match has room in a wanted device");
