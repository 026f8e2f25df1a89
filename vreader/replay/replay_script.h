/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a replay follows: the entries of a recording (recording/entry.h), read from its text, from a
 * capture file, or from the archive of a report, which holds the text. Whoever loads a script frees
 * it. One thread; afterwards read-only but for `done`.
 */
#ifndef CARDWIRE_VREADER_REPLAY_SCRIPT_H
#define CARDWIRE_VREADER_REPLAY_SCRIPT_H

#include "recording/entry.h"

#define SCRIPT_NONE SIZE_MAX

struct script_step {
	struct recording_entry entry; /* its data is the script's */
	bool done;
	bool begins;       /* IN: a message begins here, and is not gone on with */
	size_t answers_to; /* IN: the OUT it belongs to, or SCRIPT_NONE */
};

struct script {
	struct script_step *steps;
	size_t count;
	size_t room;
};

/*
 * Reads a recording of any of the three kinds. False with an explanation in why; what was read is to
 * be freed all the same. Of an archive the first recording is taken.
 */
bool script_read(
	struct script *script, const uint8_t *bytes, size_t len, char *why, size_t why_size);

/* The same from a file. */
bool script_load(struct script *script, const char *path, char *why, size_t why_size);
void script_free(struct script *script);

/* The first step behind `after` of that kind for that slot (by its message or call) that is not
 * done; SCRIPT_NONE. */
size_t script_next(
	const struct script *script, size_t after, enum recording_kind kind, unsigned slot);

/* The slot of a message or call; 0 for all others. */
unsigned script_slot(const struct recording_entry *entry);

#endif
