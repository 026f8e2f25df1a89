/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Descriptors of a USB device turned once into checked structs: the device descriptor, and the CCID
 * interface within a configuration. Values that cannot be right are replaced here, so that behind
 * this border nobody checks them again.
 *
 * Pure functions; the structs hold no pointers.
 */
#ifndef CARDWIRE_CCID_DESCRIPTOR_H
#define CARDWIRE_CCID_DESCRIPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spec/ccid.h"

/* Longest CCID message there is: header, longest extended APDU (CCID 1.1 §5.1). */
#define CCID_MAX_MESSAGE (10 + 65544 + 2)

struct device_descriptor {
	uint16_t vid;
	uint16_t pid;
	uint16_t bcdDevice;
	uint8_t iManufacturer; /* string indices, 0: none */
	uint8_t iProduct;
	uint8_t iSerialNumber;
};

/* USB 2.0 §9.6.1. False: fewer than 18 bytes, or another type. */
bool descriptor_device(const uint8_t *bytes, size_t len, struct device_descriptor *device);

enum ccid_level {
	LEVEL_CHARACTER,
	LEVEL_TPDU,
	LEVEL_SHORT_APDU,
	LEVEL_EXTENDED_APDU,
};

/* CCID 1.1 §5.1; names are the specification's. */
struct ccid_class {
	uint16_t bcdCCID;
	unsigned slots;          /* bMaxSlotIndex + 1, 1..256 */
	unsigned busy_slots;     /* bMaxCCIDBusySlots, 1..slots */
	uint8_t bVoltageSupport; /* CCID_VOLTAGE_…; never 0 */
	uint32_t dwProtocols;    /* CCID_PROTOCOLS_T0 and _T1; never 0 */
	uint32_t dwDefaultClock; /* kHz, never 0 */
	uint32_t dwMaxDataRate;  /* bit/s */
	uint8_t bNumDataRatesSupported;
	uint8_t ifsd; /* dwMaxIFSD, 1..254 */
	uint32_t dwFeatures;
	enum ccid_level level; /* from dwFeatures */
	size_t max_message;    /* dwMaxCCIDMessageLength, bytes, 24..CCID_MAX_MESSAGE */
	uint16_t wLcdLayout;
	uint8_t bPINSupport; /* CCID_PIN_… */
};

struct ccid_interface {
	uint8_t bConfigurationValue;
	uint8_t bInterfaceNumber;
	uint8_t bAlternateSetting;
	uint8_t bInterfaceClass;
	uint8_t bInterfaceProtocol; /* CCID_PROTOCOL_… */
	uint8_t iInterface;
	uint8_t bulk_out; /* bEndpointAddress; 0: none, which only ICCD may have */
	uint8_t bulk_in;
	uint8_t interrupt_in;    /* 0: none */
	uint16_t bulk_in_packet; /* wMaxPacketSize, bytes; never 0 */
	uint16_t interrupt_packet;
	struct ccid_class ccid;
	uint8_t raw[CCID_DESC_SIZE]; /* the class descriptor as it came */
};

/*
 * Finds a CCID interface in a configuration descriptor of LEN bytes: bInterfaceNumber NUMBER, or the
 * first if NUMBER is -1. It has class 0Bh or FFh, and a class descriptor (type 21h, or FFh, of at
 * least 54 bytes) anywhere between its own descriptor and the next interface's; in the lowest
 * alternate setting that has all it needs. SUBSTITUTE (54 bytes, or NULL) is the class descriptor of
 * an interface that has none. False: there is none, *WHY (static) says what lacks.
 */
bool descriptor_find(const uint8_t *bytes, size_t len, int number, const uint8_t *substitute,
	struct ccid_interface *found, const char **why);

/* Reads a class descriptor of at least 54 bytes. */
void descriptor_class(const uint8_t *bytes, struct ccid_class *ccid);

/* The exchange level that dwFeatures name. */
enum ccid_level descriptor_level(uint32_t features);

#endif
