/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests' driver understands beyond the usual; see ifd_scripted.c. */
#ifndef CARDWIRE_TESTS_IFD_SCRIPTED_H
#define CARDWIRE_TESTS_IFD_SCRIPTED_H

#define SCRIPTED_CARD   0x00017F01          /* attribute: is the card there */
#define SCRIPTED_COUNTS 0x00017F02          /* attribute: what the card has been through */
#define SCRIPTED_NAME   "Z\xC3\xA4hler\x01" /* what it calls each reader */
#define SCRIPTED_ECHO   0x42000001          /* control code: gives back what is sent */

#endif
