/* SPDX-License-Identifier: BSD-3-Clause */
/* What pcscctl doctor knows the library by: its interface says nothing of who made it. */

__attribute__((used, retain)) static const char ident[] = "cardwire libpcsclite " CARDWIRE_VERSION;
