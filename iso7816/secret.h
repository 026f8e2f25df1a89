/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Commands whose data must not be shown: those that carry PINs or keys.
 *
 * Pure functions; any thread.
 */
#ifndef CARDWIRE_ISO7816_SECRET_H
#define CARDWIRE_ISO7816_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Finds the data field of such a command in LEN bytes, which may be the command or hold it at any
 * offset (a block, a reader's message). True: bytes [*start, *end) are to be masked. A command at
 * the beginning counts however wrong its lengths are; further on it must end where the bytes end.
 * The commands are those of ISO 7816-4 §11.6 and ISO 7816-9, those by which common cards take keys
 * (PUT DATA, PUT KEY, LOAD KEYS), common cards' own for PINs, and those that write keys or passwords
 * of memory tags. The password for PACE in what a reader is given to open a
 * channel (PC/SC part 10 amendment 1) counts, too.
 */
bool secret_span(const uint8_t *bytes, size_t len, size_t *start, size_t *end);

/*
 * True if the data of a command APDU, or its response but for SW1 SW2, is not to be shown: the
 * commands above; all with secure messaging (ISO 7816-4 §5.4.1); ENVELOPE, which may hold any
 * command; DECIPHER (ISO 7816-8 §11.8), whose response is a key; commands to the reader (CLA FFh)
 * that hold a command of these, or the key of a memory card.
 */
bool secret_command(const uint8_t *apdu, size_t len);

/*
 * The same for what a slot sends one after the other: GET RESPONSE brings the response of the command
 * before it, and BEFORE says whether that was secret.
 */
bool secret_exchange(bool before, const uint8_t *apdu, size_t len);

/*
 * Where a secret command or its response is shown, bytes [*start, *end) are masked: of the command
 * all behind Lc (ISO 7816-4 §5.1), of the response all but SW1 SW2.
 */
void secret_command_span(const uint8_t *apdu, size_t len, size_t *start, size_t *end);
void secret_response_span(size_t len, size_t *start, size_t *end);

#endif
