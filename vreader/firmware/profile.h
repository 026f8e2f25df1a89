/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a virtual reader says of itself: identity, strings, CCID interfaces with their class
 * descriptors, and the lists behind GET_CLOCK_FREQUENCIES and GET_DATA_RATES. Everything else a
 * reader does follows from these. Plain data; copy it freely.
 */
#ifndef CARDWIRE_VREADER_PROFILE_H
#define CARDWIRE_VREADER_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spec/ccid.h"

enum {
	PROFILE_NAME_MAX = 64,
	/* Two endpoint numbers an interface, 15 of them in a device (USB 2.0 §9.6.6). */
	PROFILE_INTERFACES_MAX = 7,
	PROFILE_SWITCH_MAX = 64,
	PROFILE_ESCAPE_MAX = 8,
	PROFILE_LIST_MAX = 256, /* a count byte, and some answer 256 */
	/* Configuration, and per interface: interface, class and three endpoint descriptors. */
	PROFILE_CONFIG_MAX = 9 + PROFILE_INTERFACES_MAX * (9 + CCID_DESC_SIZE + 3 * 7),
};

/* Where the class descriptor stands among the others; readers differ. */
enum profile_place {
	PLACE_AFTER_INTERFACE, /* as CCID 1.1 §5 wants it */
	PLACE_AFTER_ENDPOINTS,
};

struct profile_interface {
	uint8_t number; /* bInterfaceNumber */
	uint8_t cls;
	uint8_t subclass;
	uint8_t protocol;
	uint8_t endpoints; /* 3: bulk and interrupt; 2: bulk; 1: interrupt; 0: none */
	char name[PROFILE_NAME_MAX];
	enum profile_place place;
	uint8_t ccid[CCID_DESC_SIZE];
	bool lies;                     /* it does what `ccid` says, and shows another: */
	uint8_t shown[CCID_DESC_SIZE]; /* instead */
	uint32_t contactless;          /* a bit for each slot that is for tags */
	bool exclusive;                /* one slot at a time has power */
	bool raw;                      /* contactless firmware with raw commands only (pn532.h) */
	uint8_t block_escape[PROFILE_ESCAPE_MAX]; /* an Escape that holds a T=1 block behind them */
	size_t block_escape_len;                  /* 0: there is none */
	size_t clock_count;
	uint32_t clocks[PROFILE_LIST_MAX]; /* kHz */
	size_t rate_count;
	uint32_t rates[PROFILE_LIST_MAX]; /* bit/s */
};

/* For a device that is no reader at first. */
struct profile_switch {
	uint8_t request[PROFILE_SWITCH_MAX]; /* setup packet and data of the control request */
	size_t len;                          /* 0: it is a reader from the start */
	uint16_t pid;                        /* of the reader */
};

struct profile {
	uint16_t vid;
	uint16_t pid;
	uint16_t bcd;
	bool high_speed; /* else full speed */
	char manufacturer[PROFILE_NAME_MAX];
	char product[PROFILE_NAME_MAX];
	char serial[PROFILE_NAME_MAX];
	struct profile_switch mode_switch;
	size_t interface_count;
	struct profile_interface interfaces[PROFILE_INTERFACES_MAX];
};

/* Fills in one of "extended", "short", "tpdu", "character", "contactless", "contactless-polled",
 * "contactless-raw", "dual" and "dual-exclusive". False: no such profile. */
bool profile_builtin(const char *name, struct profile *p);

/* Gives every interface a PIN pad that verifies and modifies, and two lines of 16 characters. */
void profile_add_pinpad(struct profile *p);

/* Descriptors as GET_DESCRIPTOR gives them; each returns its length, 0 when there is none. */
size_t profile_device_descriptor(const struct profile *p, uint8_t out[18]);
size_t profile_qualifier_descriptor(const struct profile *p, uint8_t out[10]);
size_t profile_config_descriptor(const struct profile *p, uint8_t out[PROFILE_CONFIG_MAX]);
size_t profile_string_descriptor(const struct profile *p, uint8_t index, uint8_t out[255]);

/* Addresses of the endpoints of the i-th interface. */
uint8_t profile_bulk_out(size_t i);
uint8_t profile_bulk_in(size_t i);
uint8_t profile_interrupt_in(size_t i);
uint16_t profile_bulk_packet(const struct profile *p);

enum {
	PROFILE_INTERRUPT_PACKET = 8,
};

#endif
