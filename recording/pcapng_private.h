/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers and layouts of capture files: pcapng (draft-ietf-opsawg-pcapng) and usbmon's packets. */
#ifndef CARDWIRE_RECORDING_PCAPNG_PRIVATE_H
#define CARDWIRE_RECORDING_PCAPNG_PRIVATE_H

#include <stdint.h>

enum {
	PCAPNG_SECTION = 0x0A0D0D0A,
	PCAPNG_BYTE_ORDER = 0x1A2B3C4D,
	PCAPNG_INTERFACE = 1,
	PCAPNG_STATISTICS = 5,
	PCAPNG_PACKET = 6,

	PCAPNG_OPTION_END = 0,
	PCAPNG_OPTION_COMMENT = 1,
	PCAPNG_OPTION_TSRESOL = 9,

	LINKTYPE_USB_LINUX_MMAPPED = 220,

	USBMON_INTERRUPT = 1,
	USBMON_CONTROL = 2,
	USBMON_BULK = 3,
};

/* Before an enhanced packet block's data. */
struct pcapng_packet {
	uint32_t interface;
	uint32_t time_high;
	uint32_t time_low;
	uint32_t captured;
	uint32_t original;
};

/* usbmon's header as its mapped interface has it (the kernel's Documentation/usb/usbmon.rst). */
struct usbmon {
	uint64_t id;
	uint8_t type; /* 'S' or 'C' */
	uint8_t transfer;
	uint8_t endpoint;
	uint8_t address;
	uint16_t bus;
	char flag_setup; /* 0: there is one */
	char flag_data;  /* 0: there are some */
	int64_t seconds;
	int32_t microseconds;
	int32_t status; /* of the kernel's error numbers, negative */
	uint32_t length;
	uint32_t captured;
	uint8_t setup[8];
	int32_t interval;
	int32_t start_frame;
	uint32_t flags;
	uint32_t descriptors;
};

_Static_assert(sizeof(struct usbmon) == 64, "usbmon header");
_Static_assert(sizeof(struct pcapng_packet) == 20, "packet block");

#endif
