/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Profiles from descriptor collections: a JSON array of objects, one a CCID interface, with the
 * fields vid, pid, bcdDevice (hexadecimal strings), iManufacturer, iProduct, iInterface (strings or
 * null), interface (numbers of the interface descriptor), ccid_descriptor_hex (the class
 * descriptor), and optionally file (objects of the same name make one device),
 * clock_frequencies_khz, data_rates_bps (arrays), descriptor_location.where.
 */
#ifndef CARDWIRE_VREADER_PROFILE_JSON_H
#define CARDWIRE_VREADER_PROFILE_JSON_H

#include "vreader/firmware/profile.h"

/* Loads one device of the file at path. select: its "file", or VID:PID; NULL: the first. False with
 * an explanation, file named, in why. */
bool profile_json_load(
	const char *path, const char *select, struct profile *p, char *why, size_t why_size);

#endif
