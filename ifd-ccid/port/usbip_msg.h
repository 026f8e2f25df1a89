/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * USB/IP messages of the client's side: requests written, answers read into checked structs.
 * Numbers and layouts: spec/usbip.h. Pure functions.
 */
#ifndef CARDWIRE_CCID_USBIP_MSG_H
#define CARDWIRE_CCID_USBIP_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "port.h"
#include "spec/usbip.h"

/* Writes OP_REQ_IMPORT for a bus id of less than 32 characters. */
void usbip_put_import(uint8_t out[USBIP_REQ_IMPORT_SIZE], const char *busid);

/* What OP_REP_IMPORT says about the device; its identifiers are not trusted and not kept. */
struct usbip_device {
	uint32_t busnum;
	uint32_t devnum;
};

/* Reads the 8-byte header of OP_REP_IMPORT. NULL: success, the device record follows; or why not. */
const char *usbip_check_import(const uint8_t header[USBIP_OP_HEADER_SIZE]);

/* Reads the device record behind it. */
void usbip_get_device(const uint8_t record[USBIP_DEV_SIZE], struct usbip_device *device);

/* Writes the header of CMD_SUBMIT for a transfer; SETUP is NULL unless for endpoint 0. */
void usbip_put_submit(uint8_t out[USBIP_HEADER_SIZE], uint32_t seqnum,
	const struct usbip_device *device, uint8_t endpoint, bool in, size_t length,
	const uint8_t *setup);

/* Writes CMD_UNLINK. */
void usbip_put_unlink(uint8_t out[USBIP_HEADER_SIZE], uint32_t seqnum,
	const struct usbip_device *device, uint32_t unlink_seqnum);

struct usbip_return {
	bool unlink;     /* RET_UNLINK; else RET_SUBMIT */
	uint32_t seqnum; /* of the command it answers */
	enum port_status status;
	uint32_t actual_length; /* RET_SUBMIT */
};

/* Reads the header of a return. False: it is neither RET_SUBMIT nor RET_UNLINK. */
bool usbip_get_return(const uint8_t header[USBIP_HEADER_SIZE], struct usbip_return *ret);

#endif
