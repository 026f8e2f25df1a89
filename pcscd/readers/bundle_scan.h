/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_PCSCD_BUNDLE_SCAN_H
#define CARDWIRE_PCSCD_BUNDLE_SCAN_H

/* The pieces of a property list: what bundle.l finds and bundle.c understands. */

#include <stddef.h>

enum plist_token {
	PLIST_END = 0,   /* end of the text */
	PLIST_OPEN,      /* <name …>; the text is the name */
	PLIST_CLOSE,     /* </name>; the text is the name */
	PLIST_EMPTY,     /* <name …/>; the text is the name */
	PLIST_TEXT,      /* a run of characters between tags */
	PLIST_ENTITY,    /* "&…;"; the text is what is between */
	PLIST_AMPERSAND, /* an ampersand that begins no entity */
	PLIST_OPENED,    /* a comment, a CDATA section or an instruction without an end */
	PLIST_BAD,       /* a tag that isn't one */
};

struct plist_scan;

/* A scanner over a copy of `length` bytes of `text`; NULL if memory is short. */
struct plist_scan *plist_scan_open(const char *text, size_t length);

/* The next token. *text (not terminated, valid until the next call), *length and *line are its. */
enum plist_token plist_scan_next(
	struct plist_scan *scan, const char **text, size_t *length, int *line);

/* Frees the scanner. */
void plist_scan_close(struct plist_scan *scan);

#endif
