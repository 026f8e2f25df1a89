/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/replay/replay_script.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recording/pcapng.h"
#include "spec/ccid.h"
#include "vreader/bytes.h"

enum {
	FILE_MAX = 256 << 20,
	TAR_BLOCK = 512,
	TAR_SIZE_AT = 124, /* of ustar's header: the size, 12 octal digits */
	TAR_SIZE_LEN = 12,
	TAR_MAGIC_AT = 257,
};

void script_free(struct script *script)
{
	for (size_t i = 0; i < script->count; i++)
		free((void *)script->steps[i].entry.data);
	free(script->steps);
	*script = (struct script){ 0 };
}

static bool add(struct script *script, const struct recording_entry *entry)
{
	struct script_step *step;
	uint8_t *data;

	if (script->count == script->room) {
		size_t room = script->room ? 2 * script->room : 64;
		struct script_step *more = realloc(script->steps, room * sizeof(*more));

		if (!more)
			return false;
		script->steps = more;
		script->room = room;
	}
	data = malloc(entry->len ? entry->len : 1);
	if (!data)
		return false;
	if (entry->len)
		memcpy(data, entry->data, entry->len);
	step = &script->steps[script->count++];
	*step = (struct script_step){ .entry = *entry, .answers_to = SCRIPT_NONE };
	step->entry.data = data;
	return true;
}

static bool each(void *ctx, const struct recording_entry *entry)
{
	return add(ctx, entry);
}

static bool read_text(
	struct script *script, const char *text, size_t len, char *why, size_t why_size)
{
	uint8_t *data = malloc(RECORDING_DATA_MAX);
	const char *end = text + len;
	struct recording_entry entry;
	const char *expected = "out of memory";
	unsigned number = 1;
	bool good = data != NULL;

	text += strlen(RECORDING_MAGIC);
	while (good && (text = memchr(text, '\n', (size_t)(end - text)))) {
		enum recording_parsed parsed;

		number++;
		parsed = recording_parse(++text, &entry, data, RECORDING_DATA_MAX, &expected);
		good = parsed != RECORDING_WRONG;
		if (parsed == RECORDING_ENTRY)
			good = add(script, &entry);
	}
	if (!good)
		snprintf(why, why_size, "line %u: expected %s", number, expected);
	free(data);
	return good;
}

/* The first file of an archive that is a recording; NULL: none. */
static const uint8_t *find_in_tar(const uint8_t *bytes, size_t len, size_t *found_len)
{
	size_t magic = strlen(RECORDING_MAGIC);

	while (len >= TAR_BLOCK && bytes[0]) {
		char digits[TAR_SIZE_LEN + 1] = "";
		size_t size;

		memcpy(digits, bytes + TAR_SIZE_AT, TAR_SIZE_LEN);
		size = strtoul(digits, NULL, 8);
		bytes += TAR_BLOCK;
		len -= TAR_BLOCK;
		if (size > len)
			return NULL;
		if (size > magic && memcmp(bytes, RECORDING_MAGIC, magic) == 0) {
			*found_len = size;
			return bytes;
		}
		size = (size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
		if (size > len)
			return NULL;
		bytes += size;
		len -= size;
	}
	return NULL;
}

/* The text ends with a NUL for the parser of lines. */
static bool read_copy(
	struct script *script, const uint8_t *bytes, size_t len, char *why, size_t why_size)
{
	char *text = malloc(len + 1);
	bool good;

	if (!text) {
		snprintf(why, why_size, "out of memory");
		return false;
	}
	memcpy(text, bytes, len);
	text[len] = '\0';
	good = read_text(script, text, len, why, why_size);
	free(text);
	return good;
}

static bool read_any(
	struct script *script, const uint8_t *bytes, size_t len, char *why, size_t why_size)
{
	size_t magic = strlen(RECORDING_MAGIC);
	const char *wrong;

	if (len > TAR_BLOCK && memcmp(bytes + TAR_MAGIC_AT, "ustar", 5) == 0) {
		bytes = find_in_tar(bytes, len, &len);
		if (!bytes) {
			snprintf(why, why_size, "no recording in this archive");
			return false;
		}
	}
	if (len > magic && memcmp(bytes, RECORDING_MAGIC, magic) == 0)
		return read_copy(script, bytes, len, why, why_size);
	if (pcapng_read(bytes, len, each, script, &wrong))
		return true;
	snprintf(why, why_size, "%s",
		len >= 4 && get_le32(bytes) == 0x0A0D0D0A
			? wrong
			: "neither a recording, nor a report, nor a capture file");
	return false;
}

unsigned script_slot(const struct recording_entry *entry)
{
	if (entry->kind == RECORDING_CALL || entry->kind == RECORDING_RETURN)
		return entry->slot;
	if ((entry->kind == RECORDING_OUT || entry->kind == RECORDING_IN) &&
		entry->len > CCID_MSG_bSlot)
		return entry->data[CCID_MSG_bSlot];
	return 0;
}

size_t script_next(
	const struct script *script, size_t after, enum recording_kind kind, unsigned slot)
{
	for (size_t i = after == SCRIPT_NONE ? 0 : after + 1; i < script->count; i++) {
		const struct script_step *step = &script->steps[i];

		if (!step->done && step->entry.kind == kind && script_slot(&step->entry) == slot)
			return i;
	}
	return SCRIPT_NONE;
}

/* The last command before an answer with its slot and bSeq; else the last command. */
static size_t command_of(const struct script *script, size_t answer)
{
	const struct recording_entry *in = &script->steps[answer].entry;
	size_t last = SCRIPT_NONE;

	for (size_t i = answer; i-- > 0;) {
		const struct recording_entry *out = &script->steps[i].entry;

		if (out->kind != RECORDING_OUT)
			continue;
		if (last == SCRIPT_NONE)
			last = i;
		if (in->len > CCID_MSG_bSeq && out->len > CCID_MSG_bSeq &&
			in->data[CCID_MSG_bSlot] == out->data[CCID_MSG_bSlot] &&
			in->data[CCID_MSG_bSeq] == out->data[CCID_MSG_bSeq])
			return i;
		/* bSeq comes round after 256 commands. */
		if (answer - i > 2048)
			break;
	}
	return last;
}

/* Finds out which transfers make up which answers. */
static void link_answers(struct script *script)
{
	size_t command = SCRIPT_NONE;
	size_t missing = 0; /* bytes of the message under way */

	for (size_t i = 0; i < script->count; i++) {
		struct script_step *step = &script->steps[i];

		if (step->entry.kind != RECORDING_IN)
			continue;
		if (missing == 0 && step->entry.len > 0) {
			command = command_of(script, i);
			step->begins = true;
			if (step->entry.len >= CCID_MSG_HEADER_SIZE)
				missing = CCID_MSG_HEADER_SIZE +
					  get_le32(step->entry.data + CCID_MSG_dwLength);
		}
		missing -= step->entry.len < missing ? step->entry.len : missing;
		if (step->entry.status != RECORDING_OK)
			missing = 0;
		step->answers_to = command;
		if (command == SCRIPT_NONE)
			step->done = true;
	}
}

/* Power comes before all else that can be understood without what was missed. */
static void skip_gap(struct script *script)
{
	size_t gap = SCRIPT_NONE;
	size_t power = SCRIPT_NONE;

	for (size_t i = 0; i < script->count; i++)
		if (script->steps[i].entry.kind == RECORDING_DROPPED)
			gap = i;
	if (gap == SCRIPT_NONE)
		return;
	for (size_t i = script->count; i-- > gap;) {
		const struct recording_entry *entry = &script->steps[i].entry;

		if (entry->kind == RECORDING_CALL && entry->call == RECORDING_POWER &&
			entry->value != 501)
			power = i;
	}
	for (size_t i = gap; i < script->count && i != power; i++)
		script->steps[i].done = true;
}

/* A recording may end in the middle of a call, whose answer nobody knows. */
static void drop_unfinished(struct script *script)
{
	for (size_t i = 0; i < script->count; i++) {
		const struct script_step *step = &script->steps[i];

		if (step->done || step->entry.kind != RECORDING_CALL ||
			script_next(script, i, RECORDING_RETURN, step->entry.slot) != SCRIPT_NONE)
			continue;
		for (; i < script->count; i++)
			script->steps[i].done = true;
	}
}

bool script_read(
	struct script *script, const uint8_t *bytes, size_t len, char *why, size_t why_size)
{
	*script = (struct script){ 0 };
	if (!read_any(script, bytes, len, why, why_size))
		return false;
	link_answers(script);
	skip_gap(script);
	drop_unfinished(script);
	return true;
}

static uint8_t *read_file(const char *path, size_t *len)
{
	FILE *file = fopen(path, "re");
	uint8_t *bytes = NULL;
	size_t room = 0;
	size_t got = 1;

	*len = 0;
	while (file && got > 0 && *len < FILE_MAX) {
		if (*len == room) {
			uint8_t *more = realloc(bytes, room += 65536 + room);

			if (!more)
				break;
			bytes = more;
		}
		got = fread(bytes + *len, 1, room - *len, file);
		*len += got;
	}
	if (file && (got > 0 || ferror(file))) {
		free(bytes);
		bytes = NULL;
	}
	if (file)
		fclose(file);
	return bytes;
}

bool script_load(struct script *script, const char *path, char *why, size_t why_size)
{
	size_t len;
	uint8_t *bytes = read_file(path, &len);
	char wrong[256];
	bool good = false;

	*script = (struct script){ 0 };
	if (!bytes) {
		snprintf(why, why_size, "%s: %s", path, strerror(errno));
		return false;
	}
	good = script_read(script, bytes, len, wrong, sizeof(wrong));
	if (!good)
		snprintf(why, why_size, "%s: %s", path, wrong);
	free(bytes);
	return good;
}
