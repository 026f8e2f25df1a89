/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Numbers and layouts of the Universal Serial Bus specification, revision 2.0, chapters 5, 8 and 9.
 *
 * Descriptors and setup packets are byte strings, little endian. Layouts are given as offsets into
 * such a string, never as C structs, so that no compiler's padding or byte order gets in between.
 */
#ifndef CARDWIRE_SPEC_USB_H
#define CARDWIRE_SPEC_USB_H

/* Setup packet, 8 bytes (USB 2.0 §9.3, table 9-2). */
enum {
	USB_SETUP_bmRequestType = 0,
	USB_SETUP_bRequest = 1,
	USB_SETUP_wValue = 2,
	USB_SETUP_wIndex = 4,
	USB_SETUP_wLength = 6,
	USB_SETUP_SIZE = 8,
};

/* bmRequestType: direction, type and recipient, one of each or-ed (USB 2.0 §9.3.1, table 9-2). */
enum {
	USB_DIR_OUT = 0x00,
	USB_DIR_IN = 0x80,
	USB_DIR_MASK = 0x80,
	USB_TYPE_STANDARD = 0x00,
	USB_TYPE_CLASS = 0x20,
	USB_TYPE_VENDOR = 0x40,
	USB_TYPE_MASK = 0x60,
	USB_RECIP_DEVICE = 0x00,
	USB_RECIP_INTERFACE = 0x01,
	USB_RECIP_ENDPOINT = 0x02,
	USB_RECIP_OTHER = 0x03,
	USB_RECIP_MASK = 0x1F,
};

/* bRequest of standard requests (USB 2.0 §9.4, table 9-4). */
enum {
	USB_REQ_GET_STATUS = 0,
	USB_REQ_CLEAR_FEATURE = 1,
	USB_REQ_SET_FEATURE = 3,
	USB_REQ_SET_ADDRESS = 5,
	USB_REQ_GET_DESCRIPTOR = 6,
	USB_REQ_SET_DESCRIPTOR = 7,
	USB_REQ_GET_CONFIGURATION = 8,
	USB_REQ_SET_CONFIGURATION = 9,
	USB_REQ_GET_INTERFACE = 10,
	USB_REQ_SET_INTERFACE = 11,
	USB_REQ_SYNCH_FRAME = 12,
};

/* Feature selectors of CLEAR_FEATURE and SET_FEATURE (USB 2.0 §9.4, table 9-6). */
enum {
	USB_FEATURE_ENDPOINT_HALT = 0,
	USB_FEATURE_DEVICE_REMOTE_WAKEUP = 1,
	USB_FEATURE_TEST_MODE = 2,
};

/* Answer bits of GET_STATUS (USB 2.0 §9.4.5, figures 9-4 and 9-6). */
enum {
	USB_STATUS_DEVICE_SELF_POWERED = 0x0001,
	USB_STATUS_DEVICE_REMOTE_WAKEUP = 0x0002,
	USB_STATUS_ENDPOINT_HALT = 0x0001,
};

/* bDescriptorType (USB 2.0 §9.4, table 9-5). */
enum {
	USB_DT_DEVICE = 1,
	USB_DT_CONFIGURATION = 2,
	USB_DT_STRING = 3,
	USB_DT_INTERFACE = 4,
	USB_DT_ENDPOINT = 5,
	USB_DT_DEVICE_QUALIFIER = 6,
	USB_DT_OTHER_SPEED_CONFIGURATION = 7,
	USB_DT_INTERFACE_POWER = 8,
};

/* Every descriptor begins so (USB 2.0 §9.5). */
enum {
	USB_DESC_bLength = 0,
	USB_DESC_bDescriptorType = 1,
	USB_DESC_HEADER_SIZE = 2,
};

/* Device descriptor (USB 2.0 §9.6.1, table 9-8). */
enum {
	USB_DEVICE_bcdUSB = 2,
	USB_DEVICE_bDeviceClass = 4,
	USB_DEVICE_bDeviceSubClass = 5,
	USB_DEVICE_bDeviceProtocol = 6,
	USB_DEVICE_bMaxPacketSize0 = 7,
	USB_DEVICE_idVendor = 8,
	USB_DEVICE_idProduct = 10,
	USB_DEVICE_bcdDevice = 12,
	USB_DEVICE_iManufacturer = 14,
	USB_DEVICE_iProduct = 15,
	USB_DEVICE_iSerialNumber = 16,
	USB_DEVICE_bNumConfigurations = 17,
	USB_DEVICE_SIZE = 18,
};

/* Device qualifier descriptor of a device that can do both speeds (USB 2.0 §9.6.2, table 9-9). */
enum {
	USB_QUALIFIER_bcdUSB = 2,
	USB_QUALIFIER_bDeviceClass = 4,
	USB_QUALIFIER_bDeviceSubClass = 5,
	USB_QUALIFIER_bDeviceProtocol = 6,
	USB_QUALIFIER_bMaxPacketSize0 = 7,
	USB_QUALIFIER_bNumConfigurations = 8,
	USB_QUALIFIER_SIZE = 10,
};

/* Configuration descriptor; its interfaces follow it (USB 2.0 §9.6.3, table 9-10). */
enum {
	USB_CONFIG_wTotalLength = 2,
	USB_CONFIG_bNumInterfaces = 4,
	USB_CONFIG_bConfigurationValue = 5,
	USB_CONFIG_iConfiguration = 6,
	USB_CONFIG_bmAttributes = 7,
	USB_CONFIG_bMaxPower = 8,
	USB_CONFIG_SIZE = 9,
};

/* bmAttributes of a configuration (USB 2.0 §9.6.3). */
enum {
	USB_CONFIG_ATTR_RESERVED_ONE = 0x80,
	USB_CONFIG_ATTR_SELF_POWERED = 0x40,
	USB_CONFIG_ATTR_REMOTE_WAKEUP = 0x20,
};

/* Interface descriptor (USB 2.0 §9.6.5, table 9-12). */
enum {
	USB_INTERFACE_bInterfaceNumber = 2,
	USB_INTERFACE_bAlternateSetting = 3,
	USB_INTERFACE_bNumEndpoints = 4,
	USB_INTERFACE_bInterfaceClass = 5,
	USB_INTERFACE_bInterfaceSubClass = 6,
	USB_INTERFACE_bInterfaceProtocol = 7,
	USB_INTERFACE_iInterface = 8,
	USB_INTERFACE_SIZE = 9,
};

/* Endpoint descriptor (USB 2.0 §9.6.6, table 9-13). */
enum {
	USB_ENDPOINT_bEndpointAddress = 2,
	USB_ENDPOINT_bmAttributes = 3,
	USB_ENDPOINT_wMaxPacketSize = 4,
	USB_ENDPOINT_bInterval = 6,
	USB_ENDPOINT_SIZE = 7,
};

/* Parts of bEndpointAddress, bmAttributes and wMaxPacketSize (USB 2.0 §9.6.6). */
enum {
	USB_ENDPOINT_NUMBER_MASK = 0x0F,
	USB_ENDPOINT_XFER_MASK = 0x03,
	USB_ENDPOINT_XFER_CONTROL = 0,
	USB_ENDPOINT_XFER_ISOCHRONOUS = 1,
	USB_ENDPOINT_XFER_BULK = 2,
	USB_ENDPOINT_XFER_INTERRUPT = 3,
	USB_ENDPOINT_PACKET_SIZE_MASK = 0x07FF,
};

/* Packet sizes of bulk endpoints: the one of high speed, the largest of full speed (USB 2.0
 * §5.8.3). */
enum {
	USB_BULK_PACKET_FULL_SPEED = 64,
	USB_BULK_PACKET_HIGH_SPEED = 512,
};

/* String descriptor: UTF-16LE after the header; index 0 lists the languages (USB 2.0 §9.6.7). */
enum {
	USB_STRING_bString = 2,
	USB_STRING_MAX_SIZE = 255,
	USB_LANGID_ENGLISH_US = 0x0409,
};

#endif
