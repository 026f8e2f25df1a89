/* SPDX-License-Identifier: BSD-3-Clause */
#include "usbip_msg.h"

#include <string.h>

#include "ifd-ccid/bytes.h"
#include "spec/usb.h"

void usbip_put_import(uint8_t out[USBIP_REQ_IMPORT_SIZE], const char *busid)
{
	memset(out, 0, USBIP_REQ_IMPORT_SIZE);
	put_be16(out + USBIP_OP_version, USBIP_VERSION);
	put_be16(out + USBIP_OP_code, USBIP_OP_REQ_IMPORT);
	memcpy(out + USBIP_REQ_IMPORT_busid, busid, strnlen(busid, USBIP_BUSID_SIZE - 1));
}

const char *usbip_check_import(const uint8_t header[USBIP_OP_HEADER_SIZE])
{
	uint32_t status = be32(header + USBIP_OP_status);

	if (be16(header + USBIP_OP_code) != USBIP_OP_REP_IMPORT)
		return "the server's answer is not USB/IP";
	switch (status) {
	case USBIP_ST_OK:
		return NULL;
	case USBIP_ST_DEV_BUSY:
		return "the device is in use by another client of the server";
	case USBIP_ST_NODEV:
		return "the server has no such device";
	default:
		return "the server refuses the device";
	}
}

void usbip_get_device(const uint8_t record[USBIP_DEV_SIZE], struct usbip_device *device)
{
	device->busnum = be32(record + USBIP_DEV_busnum);
	device->devnum = be32(record + USBIP_DEV_devnum);
}

static void put_common(uint8_t *out, uint32_t command, uint32_t seqnum,
	const struct usbip_device *device, uint32_t direction, uint32_t ep)
{
	memset(out, 0, USBIP_HEADER_SIZE);
	put_be32(out + USBIP_command, command);
	put_be32(out + USBIP_seqnum, seqnum);
	put_be32(out + USBIP_devid, device->busnum << 16 | (device->devnum & 0xFFFF));
	put_be32(out + USBIP_direction, direction);
	put_be32(out + USBIP_ep, ep);
}

void usbip_put_submit(uint8_t out[USBIP_HEADER_SIZE], uint32_t seqnum,
	const struct usbip_device *device, uint8_t endpoint, bool in, size_t length,
	const uint8_t *setup)
{
	put_common(out, USBIP_CMD_SUBMIT, seqnum, device, in ? USBIP_DIR_IN : USBIP_DIR_OUT,
		endpoint & USB_ENDPOINT_NUMBER_MASK);
	put_be32(out + USBIP_SUBMIT_transfer_buffer_length, (uint32_t)length);
	if (setup)
		memcpy(out + USBIP_SUBMIT_setup, setup, USB_SETUP_SIZE);
}

void usbip_put_unlink(uint8_t out[USBIP_HEADER_SIZE], uint32_t seqnum,
	const struct usbip_device *device, uint32_t unlink_seqnum)
{
	put_common(out, USBIP_CMD_UNLINK, seqnum, device, USBIP_DIR_OUT, 0);
	put_be32(out + USBIP_UNLINK_unlink_seqnum, unlink_seqnum);
}

/* Linux errno numbers of either sign. */
static enum port_status status_of(uint32_t wire)
{
	enum {
		ENODEV_ON_WIRE = -19
	};
	int32_t number = (int32_t)wire;

	switch (number > 0 ? -number : number) {
	case USBIP_STATUS_OK:
	case USBIP_STATUS_EREMOTEIO: /* a short packet, which we allow */
		return PORT_OK;
	case USBIP_STATUS_EPIPE:
		return PORT_STALL;
	case USBIP_STATUS_EOVERFLOW:
		return PORT_OVERFLOW;
	case ENODEV_ON_WIRE:
	case USBIP_STATUS_ESHUTDOWN:
		return PORT_GONE;
	default:
		return PORT_ERROR;
	}
}

bool usbip_get_return(const uint8_t header[USBIP_HEADER_SIZE], struct usbip_return *ret)
{
	uint32_t command = be32(header + USBIP_command);

	if (command != USBIP_RET_SUBMIT && command != USBIP_RET_UNLINK)
		return false;
	ret->unlink = command == USBIP_RET_UNLINK;
	ret->seqnum = be32(header + USBIP_seqnum);
	ret->status = status_of(be32(header + USBIP_RET_status));
	ret->actual_length = ret->unlink ? 0 : be32(header + USBIP_RET_actual_length);
	return true;
}
