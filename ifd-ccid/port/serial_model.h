/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What serial readers are like, since they have no descriptors: read from serial.readers in the
 * bundle, whose head explains the form. Pure, but for serial_model_load().
 */
#ifndef CARDWIRE_CCID_SERIAL_MODEL_H
#define CARDWIRE_CCID_SERIAL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SERIAL_MAX_RATES = 64,
	SERIAL_MAX_ESCAPE = 16,
	/* Configuration, interface, class, two endpoints. */
	SERIAL_CONFIGURATION_SIZE = 9 + 9 + 54 + 2 * 7,
};

struct serial_escape {
	uint8_t bytes[SERIAL_MAX_ESCAPE];
	size_t len; /* 0: none */
};

struct serial_model {
	uint16_t vid;
	uint16_t pid;
	uint8_t slots;
	uint32_t clock_khz;
	uint32_t max_rate; /* bit/s of cards */
	uint32_t rates[SERIAL_MAX_RATES];
	size_t rate_count;
	uint32_t features;          /* dwFeatures */
	uint8_t pin;                /* bPINSupport */
	struct serial_escape probe; /* must be answered */
	struct serial_escape setup; /* sent after it */
	uint8_t bare;               /* 1: no serial line, messages as they are (serial_frame.h) */
	struct serial_escape speed_up; /* for a reader that wakes up at 9600 bit/s */
};

/*
 * Finds NAME (case ignored; NULL: the first of all) in TEXT. False: no such model or a wrong line;
 * WHY (of SIZE bytes) says which.
 */
bool serial_model_find(
	const char *text, const char *name, struct serial_model *model, char *why, size_t size);

/* The same from the bundle's serial.readers. */
bool serial_model_load(const char *name, struct serial_model *model, char *why, size_t size);

/* The descriptors it would have on USB: bulk endpoints, no interrupt endpoint. */
void serial_model_device(const struct serial_model *model, uint8_t out[18]);
void serial_model_configuration(
	const struct serial_model *model, uint8_t out[SERIAL_CONFIGURATION_SIZE]);

#endif
