/* SPDX-License-Identifier: BSD-3-Clause */
/* Which sections are meant by a device's facts, and what they make together. */
#include <fnmatch.h>
#include <string.h>

#include "quirk_private.h"

static bool usb_matches(const struct quirk_condition *when, const struct quirk_facts *facts)
{
	for (size_t i = 0; i < when->usb_count; i++) {
		const struct quirk_usb *usb = &when->usb[i];

		if ((usb->any_vid || usb->vid == facts->vid) &&
			(usb->any_pid || usb->pid == facts->pid))
			return true;
	}
	return when->usb_count == 0;
}

static bool interface_matches(const struct quirk_condition *when, const struct quirk_facts *facts)
{
	if (when->interface_class >= 0 && when->interface_class != facts->interface_class)
		return false;
	if (!when->interfaces)
		return true;
	return facts->interface >= 0 && facts->interface < QUIRK_INTERFACES_MAX &&
	       (when->interfaces & UINT32_C(1) << facts->interface);
}

static bool fields_match(const struct quirk_condition *when, const uint8_t *ccid)
{
	for (size_t i = 0; i < when->field_count; i++) {
		const struct quirk_field_match *field = &when->fields[i];
		uint32_t value = 0;

		if (!ccid)
			return false;
		for (uint8_t at = 0; at < field->size; at++)
			value |= (uint32_t)ccid[field->offset + at] << 8 * at;
		if ((value & field->mask) != field->value)
			return false;
	}
	return true;
}

static bool string_matches(
	const struct quirk_condition *when, enum quirk_string which, const char *string)
{
	if (!when->has_string[which])
		return true;
	return string && fnmatch(when->strings[which].text, string, 0) == 0;
}

/* All that can be told without asking the device anything. */
static bool matches_so_far(const struct quirk_condition *when, const struct quirk_facts *facts)
{
	return usb_matches(when, facts) &&
	       (!when->has_bcd ||
		       (facts->bcdDevice >= when->bcd_low && facts->bcdDevice <= when->bcd_high)) &&
	       interface_matches(when, facts) && fields_match(when, facts->ccid) &&
	       (facts->driver_options & when->driver_options) == when->driver_options;
}

static bool matches(const struct quirk_condition *when, const struct quirk_facts *facts)
{
	return matches_so_far(when, facts) &&
	       string_matches(when, QUIRK_STRING_MANUFACTURER, facts->manufacturer) &&
	       string_matches(when, QUIRK_STRING_PRODUCT, facts->product) &&
	       string_matches(when, QUIRK_STRING_FIRMWARE, facts->firmware);
}

/* Without any section: flags whose meaning is what "no" does are on. */
static void defaults(struct quirk_set *set)
{
	static const char no[] = "No:";

	memset(set, 0, sizeof(*set));
	for (size_t i = 0; i < QUIRK_COUNT; i++)
		if (quirk_properties[i].kind == QUIRK_FLAG &&
			strncmp(quirk_properties[i].meaning, no, sizeof(no) - 1) == 0)
			*(bool *)((char *)set + quirk_properties[i].offset) = true;
}

static void apply(
	const struct quirk_section *section, struct quirk_set *set, struct quirk_origin *origins)
{
	for (const struct quirk_value *value = section->values; value; value = value->next) {
		const struct quirk_property *property = &quirk_properties[value->id];

		memcpy((char *)set + property->offset, value->field, property->size);
		set->has[value->id] = true;
		if (origins)
			origins[value->id] =
				(struct quirk_origin){ section->file, section->name, value->line };
	}
}

void quirk_match(const struct quirk_table *table, const struct quirk_facts *facts,
	struct quirk_set *set, struct quirk_origin origins[QUIRK_COUNT])
{
	defaults(set);
	if (origins)
		memset(origins, 0, QUIRK_COUNT * sizeof(*origins));
	for (size_t i = 0; i < table->count; i++)
		if (matches(&table->sections[i].when, facts))
			apply(&table->sections[i], set, origins);
}

void quirk_section_set(const struct quirk_table *table, size_t section, struct quirk_set *set)
{
	defaults(set);
	apply(&table->sections[section], set, NULL);
}

bool quirk_wants_strings(const struct quirk_table *table, const struct quirk_facts *facts)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct quirk_condition *when = &table->sections[i].when;

		if ((when->has_string[QUIRK_STRING_MANUFACTURER] ||
			    when->has_string[QUIRK_STRING_PRODUCT]) &&
			matches_so_far(when, facts))
			return true;
	}
	return false;
}

bool quirk_wants_firmware(const struct quirk_table *table, const struct quirk_facts *facts)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct quirk_condition *when = &table->sections[i].when;

		if (when->has_string[QUIRK_STRING_FIRMWARE] && matches_so_far(when, facts))
			return true;
	}
	return false;
}

bool quirk_has_prefix(const struct quirk_prefixes *prefixes, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < prefixes->count; i++)
		if (prefixes->list[i].len <= len &&
			memcmp(prefixes->list[i].bytes, bytes, prefixes->list[i].len) == 0)
			return true;
	return false;
}
