/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Numbers and layouts of the USB/IP protocol, version 1.1.1, as the Linux kernel documents it
 * (Documentation/usb/usbip_protocol.rst). Numbers are big endian, but the setup packet and the
 * descriptors inside keep USB's little endian. Layouts are offsets into byte strings.
 *
 * A connection starts with one request of the OP_ kind. After a successful OP_REP_IMPORT it
 * carries commands and returns of the USBIP_ kind, in both directions, until it is closed.
 */
#ifndef CARDWIRE_SPEC_USBIP_H
#define CARDWIRE_SPEC_USBIP_H

enum {
	USBIP_PORT = 3240,
	USBIP_VERSION = 0x0111,
};

/* Codes of the first phase. */
enum {
	USBIP_OP_REQ_DEVLIST = 0x8005,
	USBIP_OP_REP_DEVLIST = 0x0005,
	USBIP_OP_REQ_IMPORT = 0x8003,
	USBIP_OP_REP_IMPORT = 0x0003,
};

/* Header of the first phase: version u16, code u16, status u32. */
enum {
	USBIP_OP_version = 0,
	USBIP_OP_code = 2,
	USBIP_OP_status = 4,
	USBIP_OP_HEADER_SIZE = 8,
};

/* status of OP_REP_IMPORT, as the kernel's server gives it. */
enum {
	USBIP_ST_OK = 0,
	USBIP_ST_NA = 1,       /* refused */
	USBIP_ST_DEV_BUSY = 2, /* imported by somebody else */
	USBIP_ST_DEV_ERR = 3,
	USBIP_ST_NODEV = 4,
	USBIP_ST_ERROR = 5,
};

/* OP_REQ_IMPORT: header, then the bus id, padded with zeros. */
enum {
	USBIP_REQ_IMPORT_busid = 8,
	USBIP_BUSID_SIZE = 32,
	USBIP_REQ_IMPORT_SIZE = 40,
};

/* Device record; of OP_REP_IMPORT after the header, of OP_REP_DEVLIST after header and count. */
enum {
	USBIP_DEV_path = 0, /* 256 bytes, padded with zeros */
	USBIP_DEV_PATH_SIZE = 256,
	USBIP_DEV_busid = 256,
	USBIP_DEV_busnum = 288, /* u32 */
	USBIP_DEV_devnum = 292, /* u32 */
	USBIP_DEV_speed = 296,  /* u32, USBIP_SPEED_… */
	USBIP_DEV_idVendor = 300,
	USBIP_DEV_idProduct = 302,
	USBIP_DEV_bcdDevice = 304,
	USBIP_DEV_bDeviceClass = 306,
	USBIP_DEV_bDeviceSubClass = 307,
	USBIP_DEV_bDeviceProtocol = 308,
	USBIP_DEV_bConfigurationValue = 309,
	USBIP_DEV_bNumConfigurations = 310,
	USBIP_DEV_bNumInterfaces = 311,
	USBIP_DEV_SIZE = 312,
};

/* speed of a device record: the kernel's enum usb_device_speed. */
enum {
	USBIP_SPEED_UNKNOWN = 0,
	USBIP_SPEED_LOW = 1,
	USBIP_SPEED_FULL = 2,
	USBIP_SPEED_HIGH = 3,
};

/* OP_REP_DEVLIST: header, count u32, then per device a record and its interface records. */
enum {
	USBIP_REP_DEVLIST_ndev = 8,
	USBIP_REP_DEVLIST_devices = 12,
};

/* Interface record, in OP_REP_DEVLIST only: bNumInterfaces of them follow each device record. */
enum {
	USBIP_INTF_bInterfaceClass = 0,
	USBIP_INTF_bInterfaceSubClass = 1,
	USBIP_INTF_bInterfaceProtocol = 2,
	USBIP_INTF_SIZE = 4,
};

/* OP_REP_IMPORT: header, and when status is 0 a device record. */
enum {
	USBIP_REP_IMPORT_device = 8,
	USBIP_REP_IMPORT_SIZE = 320,
};

/* command of the second phase. */
enum {
	USBIP_CMD_SUBMIT = 1,
	USBIP_CMD_UNLINK = 2,
	USBIP_RET_SUBMIT = 3,
	USBIP_RET_UNLINK = 4,
};

/* Header of the second phase, 48 bytes: the common part, then one of the four layouts below. In
 * returns devid, direction and ep are 0 or repeated; only seqnum counts. */
enum {
	USBIP_command = 0,
	USBIP_seqnum = 4,
	USBIP_devid = 8, /* busnum << 16 | devnum */
	USBIP_direction = 12,
	USBIP_ep = 16,
	USBIP_HEADER_SIZE = 48,
	USBIP_DIR_OUT = 0,
	USBIP_DIR_IN = 1,
};

/* CMD_SUBMIT; the data of an OUT transfer follows the header. */
enum {
	USBIP_SUBMIT_transfer_flags = 20,
	USBIP_SUBMIT_transfer_buffer_length = 24,
	USBIP_SUBMIT_start_frame = 28,
	USBIP_SUBMIT_number_of_packets = 32, /* isochronous; else 0 or ffffffffh */
	USBIP_SUBMIT_interval = 36,
	USBIP_SUBMIT_setup = 40, /* 8 bytes, for ep 0 */
};

/* RET_SUBMIT; the data of an IN transfer follows the header, actual_length bytes. */
enum {
	USBIP_RET_status = 20, /* 0 or a negative errno of Linux */
	USBIP_RET_actual_length = 24,
	USBIP_RET_start_frame = 28,
	USBIP_RET_number_of_packets = 32,
	USBIP_RET_error_count = 36,
};

/* CMD_UNLINK: the submit to take back. RET_UNLINK: status -ECONNRESET when it was taken back (then
 * no RET_SUBMIT comes for it), 0 when it had been answered already. */
enum {
	USBIP_UNLINK_unlink_seqnum = 20,
	USBIP_RET_UNLINK_status = 20,
};

/* Bits of transfer_flags (the kernel's URB_ flags) that matter to a device. */
enum {
	USBIP_URB_SHORT_NOT_OK = 0x0001,
	USBIP_URB_ZERO_PACKET = 0x0040, /* OUT of full packets only: end it with an empty one */
};

/* status values, errno numbers of Linux on the wire whatever the host. */
enum {
	USBIP_STATUS_OK = 0,
	USBIP_STATUS_ENOENT = -2,
	USBIP_STATUS_EPIPE = -32, /* stall */
	USBIP_STATUS_EOVERFLOW = -75,
	USBIP_STATUS_ECONNRESET = -104,
	USBIP_STATUS_ESHUTDOWN = -108,
	USBIP_STATUS_EREMOTEIO = -121, /* short packet and SHORT_NOT_OK */
};

#endif
