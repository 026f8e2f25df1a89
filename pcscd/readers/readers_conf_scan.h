/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_PCSCD_READERS_CONF_SCAN_H
#define CARDWIRE_PCSCD_READERS_CONF_SCAN_H

/* The words of reader.conf: what readers_conf.l finds and readers_conf.c puts together. */

#include <stddef.h>

enum conf_token {
	CONF_END = 0,      /* end of the text */
	CONF_NEWLINE,      /* end of a line */
	CONF_WORD,         /* a bare word */
	CONF_QUOTED,       /* "…", quotes included */
	CONF_APOSTROPHED,  /* '…', quotes included */
	CONF_UNTERMINATED, /* a quote without an end on its line; up to the end of the line */
	CONF_STRAY,        /* a byte that belongs to nothing */
};

struct conf_scan;

/* A scanner over a copy of `length` bytes of `text`; NULL if memory is short. */
struct conf_scan *conf_scan_open(const char *text, size_t length);

/* The next token. *text (not terminated, valid until the next call), *length and *line are its. */
enum conf_token conf_scan_next(
	struct conf_scan *scan, const char **text, size_t *length, int *line);

/* Frees the scanner. */
void conf_scan_close(struct conf_scan *scan);

#endif
