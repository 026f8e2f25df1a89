/* SPDX-License-Identifier: BSD-3-Clause */
/* The properties, the fields of a class descriptor, and sections in a row. */
#include "quirk_private.h"

#include <stdlib.h>
#include <string.h>

#include "spec/ccid.h"

const struct quirk_property quirk_properties[QUIRK_COUNT] = {
/* What stands behind QUIRK_LATE() in the table is numbered from here. */
#define LATE_FROM QUIRK_INIT_ESCAPE
#define QUIRK(id, field_name, kind_name, name_text, low_value, high_value, unit_text,              \
	meaning_text, needed_text)                                                                 \
	[QUIRK_##id] = {                                                                           \
		.name = (name_text),                                                               \
		.field = #field_name,                                                              \
		.kind = QUIRK_##kind_name,                                                         \
		.low = (low_value),                                                                \
		.high = (high_value),                                                              \
		.unit = (unit_text),                                                               \
		.meaning = (meaning_text),                                                         \
		.needed = (needed_text),                                                           \
		.offset = offsetof(struct quirk_set, field_name),                                  \
		.size = sizeof(((struct quirk_set *)NULL)->field_name),                            \
		.late = QUIRK_##id >= LATE_FROM,                                                   \
	},
#define QUIRK_LATE()
#include "quirk_properties.h"
};

struct field {
	const char *name;
	uint8_t offset;
	uint8_t size;
};

#define FIELD(name, size)                                                                          \
	{                                                                                          \
#name, CCID_DESC_##name, (size)                                                    \
	}

static const struct field fields[] = {
	FIELD(bcdCCID, 2),
	FIELD(bMaxSlotIndex, 1),
	FIELD(bVoltageSupport, 1),
	FIELD(dwProtocols, 4),
	FIELD(dwDefaultClock, 4),
	FIELD(dwMaximumClock, 4),
	FIELD(bNumClockSupported, 1),
	FIELD(dwDataRate, 4),
	FIELD(dwMaxDataRate, 4),
	FIELD(bNumDataRatesSupported, 1),
	FIELD(dwMaxIFSD, 4),
	FIELD(dwSynchProtocols, 4),
	FIELD(dwMechanical, 4),
	FIELD(dwFeatures, 4),
	FIELD(dwMaxCCIDMessageLength, 4),
	FIELD(bClassGetResponse, 1),
	FIELD(bClassEnvelope, 1),
	FIELD(wLcdLayout, 2),
	FIELD(bPINSupport, 1),
	FIELD(bMaxCCIDBusySlots, 1),
};

bool quirk_descriptor_field(const char *name, uint8_t *offset, uint8_t *size)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (strcmp(fields[i].name, name) == 0) {
			*offset = fields[i].offset;
			*size = fields[i].size;
			return true;
		}
	}
	return false;
}

const char *quirk_descriptor_name(uint8_t offset)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (fields[i].offset == offset)
			return fields[i].name;
	return "?";
}

const char *quirk_word(const char *words, unsigned i, size_t *len)
{
	for (;; i--) {
		words += strspn(words, " ");
		*len = strcspn(words, " ");
		if (*len == 0)
			return NULL;
		if (i == 0)
			return words;
		words += *len;
	}
}

struct quirk_table *quirk_table_new(void)
{
	return calloc(1, sizeof(struct quirk_table));
}

void quirk_section_free(struct quirk_section *section)
{
	while (section->values) {
		struct quirk_value *value = section->values;

		section->values = value->next;
		free(value->field);
		free(value);
	}
	free(section->when.usb);
	free(section->when.strings);
	free(section->name);
	memset(section, 0, sizeof(*section));
}

void quirk_table_free(struct quirk_table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < table->count; i++)
		quirk_section_free(&table->sections[i]);
	for (size_t i = 0; i < table->file_count; i++)
		free(table->files[i]);
	free(table->sections);
	free(table->files);
	free(table);
}

bool quirk_table_append(struct quirk_table *table, struct quirk_section *section)
{
	struct quirk_section *more =
		reallocarray(table->sections, table->count + 1, sizeof(*table->sections));

	if (!more) {
		quirk_section_free(section);
		return false;
	}
	table->sections = more;
	table->sections[table->count++] = *section;
	memset(section, 0, sizeof(*section));
	return true;
}

const char *quirk_table_file(struct quirk_table *table, const char *name)
{
	char **more = reallocarray(table->files, table->file_count + 1, sizeof(*table->files));
	char *copy = strdup(name);

	if (more)
		table->files = more;
	if (!more || !copy) {
		free(copy);
		return NULL;
	}
	table->files[table->file_count++] = copy;
	return copy;
}

size_t quirk_table_count(const struct quirk_table *table)
{
	return table->count;
}

const char *quirk_section_name(const struct quirk_table *table, size_t section)
{
	return table->sections[section].name;
}

const struct quirk_usb *quirk_section_usb(
	const struct quirk_table *table, size_t section, size_t *count)
{
	*count = table->sections[section].when.usb_count;
	return table->sections[section].when.usb;
}
