/* SPDX-License-Identifier: BSD-3-Clause */
/* The messages of USB/IP: the list of devices, import, and then URBs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spec/usb.h"
#include "vreader/bytes.h"
#include "vreader/usb/usbip_private.h"

enum {
	/* The longest transfer we take; no CCID message comes near. */
	TRANSFER_MAX = 1 << 20,
	/* URBs a client may have under way: bounds what it can make us hold. */
	URBS_MAX = 256,
};

uint8_t *buffer_grow(struct buffer *b, size_t n)
{
	if (b->size - b->len < n) {
		size_t size = b->size ? b->size : 4096;
		uint8_t *data;

		while (size - b->len < n)
			size *= 2;
		data = realloc(b->data, size);
		if (!data)
			return NULL;
		b->data = data;
		b->size = size;
	}
	return b->data + b->len;
}

void buffer_drop(struct buffer *b, size_t n)
{
	b->len -= n;
	if (n && b->len)
		memmove(b->data, b->data + n, b->len);
}

/* Room for n bytes of answer, zeroed and counted; NULL kills the connection. */
static uint8_t *tx_reserve(struct connection *c, size_t n)
{
	uint8_t *p = buffer_grow(&c->tx, n);

	if (!p) {
		c->dead = true;
		return NULL;
	}
	memset(p, 0, n);
	c->tx.len += n;
	return p;
}

static void urb_complete(void *ctx, struct usb_urb *urb)
{
	struct connection *c = ctx;
	bool in = urb->ep & USB_DIR_IN;
	size_t data = in ? urb->actual : 0;
	uint8_t *p = tx_reserve(c, USBIP_HEADER_SIZE + data);

	c->urbs--;
	if (p) {
		put_be32(p + USBIP_command, USBIP_RET_SUBMIT);
		put_be32(p + USBIP_seqnum, urb->seqnum);
		put_be32(p + USBIP_RET_status, (uint32_t)urb->status);
		put_be32(p + USBIP_RET_actual_length, (uint32_t)urb->actual);
		if (data)
			memcpy(p + USBIP_HEADER_SIZE, urb->data, data);
	}
	free(urb);
}

static void put_device(const struct export *e, uint8_t *out)
{
	const struct profile *p = usb_device_profile(e->device);
	uint8_t d[USB_DEVICE_SIZE];

	profile_device_descriptor(p, d);
	snprintf((char *)out + USBIP_DEV_path, USBIP_DEV_PATH_SIZE, "/vreader/%s", e->busid);
	memcpy(out + USBIP_DEV_busid, e->busid, USBIP_BUSID_SIZE);
	put_be32(out + USBIP_DEV_busnum, USBIP_BUS);
	put_be32(out + USBIP_DEV_devnum, e->devid & 0xFFFF);
	put_be32(out + USBIP_DEV_speed, p->high_speed ? USBIP_SPEED_HIGH : USBIP_SPEED_FULL);
	put_be16(out + USBIP_DEV_idVendor, p->vid);
	put_be16(out + USBIP_DEV_idProduct, p->pid);
	put_be16(out + USBIP_DEV_bcdDevice, p->bcd);
	out[USBIP_DEV_bDeviceClass] = d[USB_DEVICE_bDeviceClass];
	out[USBIP_DEV_bDeviceSubClass] = d[USB_DEVICE_bDeviceSubClass];
	out[USBIP_DEV_bDeviceProtocol] = d[USB_DEVICE_bDeviceProtocol];
	out[USBIP_DEV_bConfigurationValue] = 1;
	out[USBIP_DEV_bNumConfigurations] = 1;
	out[USBIP_DEV_bNumInterfaces] = (uint8_t)p->interface_count;
}

static bool put_op_header(struct connection *c, uint16_t code, uint32_t status)
{
	uint8_t *p = tx_reserve(c, USBIP_OP_HEADER_SIZE);

	if (!p)
		return false;
	put_be16(p + USBIP_OP_version, USBIP_VERSION);
	put_be16(p + USBIP_OP_code, code);
	put_be32(p + USBIP_OP_status, status);
	return true;
}

static void list_one(struct connection *c, const struct export *e)
{
	const struct profile *p = usb_device_profile(e->device);
	uint8_t *out = tx_reserve(c, USBIP_DEV_SIZE + USBIP_INTF_SIZE * p->interface_count);

	if (!out)
		return;
	put_device(e, out);
	for (size_t i = 0; i < p->interface_count; i++) {
		uint8_t *intf = out + USBIP_DEV_SIZE + i * USBIP_INTF_SIZE;

		intf[USBIP_INTF_bInterfaceClass] = p->interfaces[i].cls;
		intf[USBIP_INTF_bInterfaceSubClass] = p->interfaces[i].subclass;
		intf[USBIP_INTF_bInterfaceProtocol] = p->interfaces[i].protocol;
	}
}

/* Lists what can be imported: what is plugged in and free. */
static void op_devlist(struct connection *c)
{
	struct usbip_server *s = c->server;
	uint32_t count = 0;
	uint8_t *p;

	for (size_t i = 0; i < s->export_count; i++)
		count += s->exports[i].plugged && !s->exports[i].importer;
	if (!put_op_header(c, USBIP_OP_REP_DEVLIST, USBIP_ST_OK))
		return;
	p = tx_reserve(c, 4);
	if (!p)
		return;
	put_be32(p, count);
	for (size_t i = 0; i < s->export_count; i++)
		if (s->exports[i].plugged && !s->exports[i].importer)
			list_one(c, &s->exports[i]);
	c->close_after_tx = true;
}

static void op_import(struct connection *c, const uint8_t *busid)
{
	struct usbip_server *s = c->server;
	struct export *e = NULL;
	uint8_t *p;

	for (size_t i = 0; i < s->export_count; i++)
		if (memcmp(s->exports[i].busid, busid, USBIP_BUSID_SIZE) == 0 &&
			s->exports[i].plugged)
			e = &s->exports[i];
	if (!e || e->importer) {
		put_op_header(c, USBIP_OP_REP_IMPORT, e ? USBIP_ST_DEV_BUSY : USBIP_ST_NODEV);
		c->close_after_tx = true;
		return;
	}
	if (!put_op_header(c, USBIP_OP_REP_IMPORT, USBIP_ST_OK))
		return;
	p = tx_reserve(c, USBIP_DEV_SIZE);
	if (!p)
		return;
	put_device(e, p);
	e->importer = c;
	c->export = e;
	usb_device_attach(e->device, urb_complete, c);
}

/* Bytes used, 0 when more are needed. */
static size_t handle_op(struct connection *c, const uint8_t *b, size_t len)
{
	uint8_t busid[USBIP_BUSID_SIZE];
	size_t named;

	if (len < USBIP_OP_HEADER_SIZE)
		return 0;
	switch (get_be16(b + USBIP_OP_code)) {
	case USBIP_OP_REQ_DEVLIST:
		op_devlist(c);
		return USBIP_OP_HEADER_SIZE;
	case USBIP_OP_REQ_IMPORT:
		if (len < USBIP_REQ_IMPORT_SIZE)
			return 0;
		/* Some clients leave rubbish behind the terminating zero. */
		memset(busid, 0, sizeof(busid));
		named = strnlen((const char *)b + USBIP_REQ_IMPORT_busid, USBIP_BUSID_SIZE);
		memcpy(busid, b + USBIP_REQ_IMPORT_busid, named);
		op_import(c, busid);
		return USBIP_REQ_IMPORT_SIZE;
	default:
		c->dead = true;
		return 0;
	}
}

/* Bytes used, 0 when more are needed or the client is to be dropped. */
static size_t handle_submit(struct connection *c, const uint8_t *b, size_t len, int64_t now)
{
	bool in = get_be32(b + USBIP_direction) == USBIP_DIR_IN;
	uint32_t length = get_be32(b + USBIP_SUBMIT_transfer_buffer_length);
	uint32_t packets = get_be32(b + USBIP_SUBMIT_number_of_packets);
	uint32_t flags = get_be32(b + USBIP_SUBMIT_transfer_flags);
	uint32_t ep = get_be32(b + USBIP_ep);
	size_t used = USBIP_HEADER_SIZE + (in ? 0 : (size_t)length);
	struct usb_urb *urb;

	/* There are no isochronous endpoints here, so nothing may follow that describes packets. */
	if (length > TRANSFER_MAX || ep > USB_ENDPOINT_NUMBER_MASK || c->urbs >= URBS_MAX ||
		(packets != 0 && packets != 0xFFFFFFFF)) {
		c->dead = true;
		return 0;
	}
	if (len < used)
		return 0;
	urb = calloc(1, sizeof(*urb) + length);
	if (!urb) {
		c->dead = true;
		return 0;
	}
	urb->seqnum = get_be32(b + USBIP_seqnum);
	urb->ep = (uint8_t)(ep | (in ? USB_DIR_IN : USB_DIR_OUT));
	urb->zero_packet = flags & USBIP_URB_ZERO_PACKET;
	urb->short_not_ok = flags & USBIP_URB_SHORT_NOT_OK;
	memcpy(urb->setup, b + USBIP_SUBMIT_setup, sizeof(urb->setup));
	urb->length = length;
	if (!in && length)
		memcpy(urb->data, b + USBIP_HEADER_SIZE, length);
	c->urbs++;
	usb_device_submit(c->export->device, urb, now);
	return used;
}

static size_t handle_unlink(struct connection *c, const uint8_t *b)
{
	uint32_t target = get_be32(b + USBIP_UNLINK_unlink_seqnum);
	struct usb_urb *urb = usb_device_unlink(c->export->device, target);
	uint8_t *p = tx_reserve(c, USBIP_HEADER_SIZE);

	if (p) {
		put_be32(p + USBIP_command, USBIP_RET_UNLINK);
		put_be32(p + USBIP_seqnum, get_be32(b + USBIP_seqnum));
		put_be32(p + USBIP_RET_UNLINK_status, urb ? (uint32_t)USBIP_STATUS_ECONNRESET : 0);
	}
	if (urb) {
		c->urbs--;
		free(urb);
	}
	return USBIP_HEADER_SIZE;
}

static size_t handle_command(struct connection *c, const uint8_t *b, size_t len, int64_t now)
{
	if (len < USBIP_HEADER_SIZE)
		return 0;
	if (get_be32(b + USBIP_devid) == c->export->devid) {
		switch (get_be32(b + USBIP_command)) {
		case USBIP_CMD_SUBMIT:
			return handle_submit(c, b, len, now);
		case USBIP_CMD_UNLINK:
			return handle_unlink(c, b);
		default:
			break;
		}
	}
	c->dead = true;
	return 0;
}

size_t usbip_take(struct connection *c, const uint8_t *bytes, size_t len, int64_t now)
{
	return c->export ? handle_command(c, bytes, len, now) : handle_op(c, bytes, len);
}
