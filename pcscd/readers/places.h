/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_PCSCD_PLACES_H
#define CARDWIRE_PCSCD_PLACES_H

/*
 * Which device number ("NAME 01 00") a reader had last, so that two equal readers keep
 * their names whatever the order in which they are plugged in, over restarts of the daemon too.
 *
 * A reader is known by its base name and its place: the port it is plugged into, or "WHO at PORT"
 * with its serial number. One with a serial number may move to another port; readers that have the
 * same one, as there are, are told apart by their ports. The memory is the file "places" in a
 * folder, one line a reader; it holds the PLACES_MAX readers seen last. Without a folder it lasts
 * as long as the daemon, and so does what has a place that begins with PLACE_TRANSIENT: configured
 * readers, which at each start are numbered in the order of the configuration, but keep their
 * numbers while servers come and go.
 *
 * places_pick() and places_keep() may be called from any thread, and don't touch the file. The
 * others are the main thread's.
 */

#include <stdbool.h>
#include <stddef.h>

#define PLACES_MAX      1000
#define PLACE_TRANSIENT '~'
#define PLACE_AT        " at " /* between who and where */

/* Reads the memory in `folder`; NULL: begin with nothing, write nothing. */
void places_open(const char *folder);

/* Writes the file if something changed since it was read or written; logs once what fails. */
void places_save(void);

/* Forgets everything, without writing. */
void places_close(void);

/*
 * The number for a reader: the one it had, if used[] (of `count`) doesn't say that it is taken; if
 * it has not been at this port, the one it had at another; otherwise the lowest that neither is
 * taken nor was last that of another reader with the same base name; otherwise the lowest that is
 * not taken; -1 if all are. `place` may be "".
 */
int places_pick(const char *base_name, const char *place, const bool *used, int count);

/* The reader has this number now. */
void places_keep(const char *base_name, const char *place, int number);

#endif
