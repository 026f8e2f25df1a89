/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a card remembers without power: named byte strings in one file. Changes are made in memory;
 * state_commit() writes all of them or none: into a file beside it that is synced and then renamed.
 * A process that is killed at any moment leaves the file as it was at some commit, and after a
 * commit that has returned, as it was at that one.
 *
 * The file is text, a line for each string, with a checksum at the end. It is locked as long as it
 * is open: it belongs to one card. Not thread-safe.
 */
#ifndef CARDWIRE_VREADER_CARDS_STATE_H
#define CARDWIRE_VREADER_CARDS_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	STATE_NAME_MAX = 63,       /* letters, digits, '.', '-' and '_' */
	STATE_FILE_MAX = 16 << 20, /* bytes */
};

struct state;

/* Opens the file or, where there is none, begins an empty state that the first commit writes. path
 * NULL: in memory only. NULL with an explanation in why: unreadable, damaged, in use, no memory. */
struct state *state_open(const char *path, char *why, size_t why_size);
/* Changes without a commit are lost. state may be NULL. */
void state_close(struct state *state);

/* NULL: no such string. Valid until the next put, delete or commit. */
const uint8_t *state_get(const struct state *state, const char *name, size_t *len);
/* Copies len bytes, which may be 0. Without memory the next commit fails. */
void state_put(struct state *state, const char *name, const void *data, size_t len);
void state_delete(struct state *state, const char *name);
/* All strings whose names begin so. */
void state_delete_all(struct state *state, const char *prefix);

/* The number below 256 in a string of one byte; absent: what to give instead. */
uint8_t state_get_byte(const struct state *state, const char *name, uint8_t absent);
void state_put_byte(struct state *state, const char *name, uint8_t value);

/* Writes what has changed since the last commit. False: it could not be written, and everything is
 * again as at the last commit. */
bool state_commit(struct state *state);

#endif
