/* SPDX-License-Identifier: BSD-3-Clause */
#include "quirk_apply.h"

#include <string.h>

static void patch(const struct quirk_set *set, uint8_t raw[CCID_DESC_SIZE])
{
	if (set->has[QUIRK_DESCRIPTOR])
		memcpy(raw, set->descriptor.bytes, CCID_DESC_SIZE);
	for (size_t i = 0; i < set->descriptor_patch.count; i++)
		for (uint8_t at = 0; at < set->descriptor_patch.list[i].size; at++)
			raw[set->descriptor_patch.list[i].offset + at] =
				(uint8_t)(set->descriptor_patch.list[i].value >> 8 * at);
}

void quirk_apply_level(uint32_t word, struct ccid_interface *interface)
{
	static const uint32_t features[] = {
		[LEVEL_CHARACTER] = CCID_FEATURE_LEVEL_CHARACTER,
		[LEVEL_TPDU] = CCID_FEATURE_LEVEL_TPDU,
		[LEVEL_SHORT_APDU] = CCID_FEATURE_LEVEL_SHORT_APDU,
		[LEVEL_EXTENDED_APDU] = CCID_FEATURE_LEVEL_EXTENDED_APDU,
	};

	interface->ccid.dwFeatures &= ~(uint32_t)CCID_FEATURE_LEVEL_MASK;
	interface->ccid.dwFeatures |= features[word];
	interface->ccid.level = descriptor_level(interface->ccid.dwFeatures);
}

static void apply_limits(const struct quirk_set *set, struct ccid_class *ccid)
{
	if (set->has[QUIRK_PROTOCOLS] && set->protocols)
		ccid->dwProtocols = set->protocols;
	if (set->has[QUIRK_IFSD])
		ccid->ifsd = (uint8_t)set->ifsd;
	if (set->has[QUIRK_CLOCK])
		ccid->dwDefaultClock = set->clock;
	if (set->has[QUIRK_MAX_DATA_RATE])
		ccid->dwMaxDataRate = set->max_data_rate;
	if (set->has[QUIRK_MAX_MESSAGE])
		ccid->max_message = set->max_message;
	if (set->has[QUIRK_BUSY_SLOTS])
		ccid->busy_slots = set->busy_slots < ccid->slots ? set->busy_slots : ccid->slots;
	if (set->has[QUIRK_PIN_SUPPORT])
		ccid->bPINSupport = (uint8_t)set->pin_support;
}

void quirk_apply(const struct quirk_set *set, struct ccid_interface *interface)
{
	patch(set, interface->raw);
	descriptor_class(interface->raw, &interface->ccid);
	interface->ccid.dwFeatures |= set->features_on;
	interface->ccid.dwFeatures &= ~set->features_off;
	if (set->has[QUIRK_EXCHANGE_LEVEL])
		quirk_apply_level(set->exchange_level, interface);
	apply_limits(set, &interface->ccid);
	if (set->has[QUIRK_PRESENCE] && set->presence != QUIRK_PRESENCE_INTERRUPT)
		interface->interrupt_in = 0;
}

uint32_t quirk_max_data_rate(
	const struct quirk_set *set, const struct ccid_interface *interface, unsigned slot)
{
	if (slot > 0 && set->has[QUIRK_OTHER_SLOTS_MAX_DATA_RATE])
		return set->other_slots_max_data_rate;
	return interface->ccid.dwMaxDataRate;
}

bool quirk_data_rates(
	const struct quirk_set *set, unsigned slot, uint32_t out[QUIRK_NUMBERS_MAX + 1])
{
	bool other = slot > 0 && set->has[QUIRK_OTHER_SLOTS_DATA_RATES];
	const struct quirk_numbers *rates = other ? &set->other_slots_data_rates : &set->data_rates;

	memcpy(out, rates->numbers, rates->count * sizeof(*out));
	out[rates->count] = 0;
	return rates->count > 0;
}
