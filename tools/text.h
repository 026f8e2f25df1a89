/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Text from elsewhere - names of devices, programs, sandboxes - for a terminal and for JSON:
 * whoever has chosen it shall command neither. Pure; any thread.
 */
#ifndef CARDWIRE_TOOLS_TEXT_H
#define CARDWIRE_TOOLS_TEXT_H

/* Each byte that is no part of a printable character in UTF-8 becomes a question mark, in place. */
void text_clean(char *text);

#endif
