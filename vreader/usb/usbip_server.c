/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/usb/usbip_server.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "spec/usb.h"
#include "spec/usbip.h"
#include "vreader/bytes.h"

enum {
	/* The longest transfer we take; no CCID message comes near. */
	TRANSFER_MAX = 1 << 20,
	/* URBs a client may have under way: bounds what it can make us hold. */
	URBS_MAX = 256,
	/* Unsent answers at which we stop reading from a client until it reads from us. */
	TX_HIGH = 4 << 20,
	CONNECTIONS_MAX = 1024,
	BUS = 1,
};

struct buffer {
	uint8_t *data;
	size_t len;
	size_t size;
};

struct connection {
	struct loop_source source;
	struct usbip_server *server;
	struct connection *next;
	struct export *export; /* after an import */
	struct buffer rx;
	struct buffer tx;
	uint32_t events; /* asked of the loop */
	size_t urbs;     /* under way */
	bool dead;       /* to be closed when nobody uses it */
	bool close_after_tx;
};

struct listener {
	struct loop_source source;
	struct usbip_server *server;
	struct listener *next;
};

struct export
{
	struct usb_device *device;
	struct connection *importer; /* NULL: free */
	bool plugged;
	char busid[USBIP_BUSID_SIZE];
	uint32_t devid;
};

struct usbip_server {
	struct loop *loop;
	struct export *exports;
	size_t export_count;
	struct connection *connections;
	size_t connection_count;
	struct listener *listeners;
};

/* --- Buffers -------------------------------------------------------------------------------- */

static uint8_t *buffer_grow(struct buffer *b, size_t n)
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

static void buffer_drop(struct buffer *b, size_t n)
{
	b->len -= n;
	if (b->len)
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

/* --- First phase: list and import ----------------------------------------------------------- */

static void put_device(const struct export *e, uint8_t *out)
{
	const struct profile *p = usb_device_profile(e->device);
	uint8_t d[USB_DEVICE_SIZE];

	profile_device_descriptor(p, d);
	snprintf((char *)out + USBIP_DEV_path, USBIP_DEV_PATH_SIZE, "/vreader/%s", e->busid);
	memcpy(out + USBIP_DEV_busid, e->busid, USBIP_BUSID_SIZE);
	put_be32(out + USBIP_DEV_busnum, BUS);
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

static void urb_complete(void *ctx, struct usb_urb *urb);

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

/* Bytes used of rx, 0 when more are needed. */
static size_t handle_op(struct connection *c)
{
	const uint8_t *b = c->rx.data;
	uint8_t busid[USBIP_BUSID_SIZE];
	size_t len;

	if (c->rx.len < USBIP_OP_HEADER_SIZE)
		return 0;
	switch (get_be16(b + USBIP_OP_code)) {
	case USBIP_OP_REQ_DEVLIST:
		op_devlist(c);
		return USBIP_OP_HEADER_SIZE;
	case USBIP_OP_REQ_IMPORT:
		if (c->rx.len < USBIP_REQ_IMPORT_SIZE)
			return 0;
		/* Some clients leave rubbish behind the terminating zero. */
		memset(busid, 0, sizeof(busid));
		len = strnlen((const char *)b + USBIP_REQ_IMPORT_busid, USBIP_BUSID_SIZE);
		memcpy(busid, b + USBIP_REQ_IMPORT_busid, len);
		op_import(c, busid);
		return USBIP_REQ_IMPORT_SIZE;
	default:
		c->dead = true;
		return 0;
	}
}

/* --- Second phase: URBs --------------------------------------------------------------------- */

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

/* Bytes used, 0 when more are needed or the client is to be dropped. */
static size_t handle_submit(struct connection *c, int64_t now)
{
	const uint8_t *b = c->rx.data;
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
	if (c->rx.len < used)
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

static size_t handle_unlink(struct connection *c)
{
	uint32_t target = get_be32(c->rx.data + USBIP_UNLINK_unlink_seqnum);
	struct usb_urb *urb = usb_device_unlink(c->export->device, target);
	uint8_t *p = tx_reserve(c, USBIP_HEADER_SIZE);

	if (p) {
		put_be32(p + USBIP_command, USBIP_RET_UNLINK);
		put_be32(p + USBIP_seqnum, get_be32(c->rx.data + USBIP_seqnum));
		put_be32(p + USBIP_RET_UNLINK_status, urb ? (uint32_t)USBIP_STATUS_ECONNRESET : 0);
	}
	if (urb) {
		c->urbs--;
		free(urb);
	}
	return USBIP_HEADER_SIZE;
}

static size_t handle_command(struct connection *c, int64_t now)
{
	if (c->rx.len < USBIP_HEADER_SIZE)
		return 0;
	if (get_be32(c->rx.data + USBIP_devid) == c->export->devid) {
		switch (get_be32(c->rx.data + USBIP_command)) {
		case USBIP_CMD_SUBMIT:
			return handle_submit(c, now);
		case USBIP_CMD_UNLINK:
			return handle_unlink(c);
		default:
			break;
		}
	}
	c->dead = true;
	return 0;
}

/* --- Connections ---------------------------------------------------------------------------- */

static void connection_destroy(struct connection *c)
{
	if (c->export) {
		usb_device_detach(c->export->device);
		c->export->importer = NULL;
	}
	loop_remove(c->server->loop, &c->source);
	close(c->source.fd);
	free(c->rx.data);
	free(c->tx.data);
	free(c);
}

static void connection_free(struct connection *c)
{
	struct connection **p = &c->server->connections;

	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
	c->server->connection_count--;
	connection_destroy(c);
}

static void connection_send(struct connection *c)
{
	size_t sent = 0;

	while (!c->dead && sent < c->tx.len) {
		ssize_t n = send(c->source.fd, c->tx.data + sent, c->tx.len - sent, MSG_NOSIGNAL);

		if (n > 0)
			sent += (size_t)n;
		else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		else if (n < 0 && errno != EINTR)
			c->dead = true;
	}
	buffer_drop(&c->tx, sent);
	if (c->close_after_tx && c->tx.len == 0)
		c->dead = true;
}

/* Asks the loop for what the connection can use now. */
static void connection_update(struct connection *c)
{
	uint32_t events = 0;

	if (c->tx.len < TX_HIGH && !c->close_after_tx)
		events |= EPOLLIN;
	if (c->tx.len)
		events |= EPOLLOUT;
	if (events != c->events && loop_change(c->server->loop, &c->source, events))
		c->events = events;
}

/* Everything that is whole in rx. */
static void connection_process(struct connection *c, int64_t now)
{
	size_t used = 1;

	while (!c->dead && !c->close_after_tx && used && c->tx.len < TX_HIGH) {
		used = c->export ? handle_command(c, now) : handle_op(c);
		buffer_drop(&c->rx, used);
	}
}

static void connection_receive(struct connection *c)
{
	/* Room for one read more than the longest message. */
	const size_t chunk = 65536;
	uint8_t *p = buffer_grow(&c->rx, chunk);
	ssize_t n;

	if (!p) {
		c->dead = true;
		return;
	}
	n = recv(c->source.fd, p, chunk, 0);
	if (n > 0)
		c->rx.len += (size_t)n;
	else if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
		c->dead = true;
}

/* Sends what waits, and ends the connection when it is over. */
static void connection_settle(struct connection *c)
{
	if (!c->dead && c->tx.len)
		connection_send(c);
	if (c->dead)
		connection_free(c);
	else
		connection_update(c);
}

static void connection_ready(struct loop_source *source, uint32_t events)
{
	struct connection *c = (struct connection *)source;

	if (events & EPOLLIN)
		connection_receive(c);
	else if (events & (EPOLLHUP | EPOLLERR))
		c->dead = true;
	/* Also what was left when the client did not read. */
	if (c->tx.len >= TX_HIGH)
		connection_send(c);
	if (!c->dead)
		connection_process(c, loop_now());
	connection_settle(c);
}

bool usbip_server_adopt(struct usbip_server *s, int fd)
{
	struct connection *c = calloc(1, sizeof(*c));
	int one = 1;

	if (!c || s->connection_count >= CONNECTIONS_MAX) {
		free(c);
		close(fd);
		return false;
	}
	/* Fails on a Unix socket, where it is not needed. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c->source.fd = fd;
	c->source.ready = connection_ready;
	c->server = s;
	c->events = EPOLLIN;
	if (!loop_add(s->loop, &c->source, c->events)) {
		close(fd);
		free(c);
		return false;
	}
	c->next = s->connections;
	s->connections = c;
	s->connection_count++;
	return true;
}

static void listener_ready(struct loop_source *source, uint32_t events)
{
	struct listener *l = (struct listener *)source;
	int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd >= 0)
		usbip_server_adopt(l->server, fd);
}

bool usbip_server_listen(struct usbip_server *s, int fd)
{
	struct listener *l = calloc(1, sizeof(*l));

	if (!l) {
		close(fd);
		return false;
	}
	l->source.fd = fd;
	l->source.ready = listener_ready;
	l->server = s;
	if (!loop_add(s->loop, &l->source, EPOLLIN)) {
		close(fd);
		free(l);
		return false;
	}
	l->next = s->listeners;
	s->listeners = l;
	return true;
}

/* --- The server ----------------------------------------------------------------------------- */

struct usbip_server *usbip_server_new(struct loop *loop, struct usb_device **devices, size_t count)
{
	struct usbip_server *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->loop = loop;
	s->exports = calloc(count ? count : 1, sizeof(*s->exports));
	if (!s->exports) {
		free(s);
		return NULL;
	}
	s->export_count = count;
	for (size_t i = 0; i < count; i++) {
		struct export *e = &s->exports[i];

		e->device = devices[i];
		e->plugged = true;
		e->devid = BUS << 16 | (uint32_t)(i + 1);
		snprintf(e->busid, sizeof(e->busid), "%d-%zu", BUS, i + 1);
	}
	return s;
}

void usbip_server_free(struct usbip_server *s)
{
	if (!s)
		return;
	while (s->connections) {
		struct connection *c = s->connections;

		s->connections = c->next;
		connection_destroy(c);
	}
	while (s->listeners) {
		struct listener *l = s->listeners;

		s->listeners = l->next;
		loop_remove(s->loop, &l->source);
		close(l->source.fd);
		free(l);
	}
	free(s->exports);
	free(s);
}

bool usbip_server_unplug(struct usbip_server *s, size_t i)
{
	struct export *e = &s->exports[i];

	if (!e->plugged)
		return false;
	e->plugged = false;
	if (e->importer)
		connection_free(e->importer);
	else
		usb_device_detach(e->device);
	return true;
}

bool usbip_server_plug(struct usbip_server *s, size_t i)
{
	if (s->exports[i].plugged)
		return false;
	s->exports[i].plugged = true;
	return true;
}

bool usbip_server_plugged(const struct usbip_server *s, size_t i)
{
	return s->exports[i].plugged;
}

bool usbip_server_imported(const struct usbip_server *s, size_t i)
{
	return s->exports[i].importer;
}

void usbip_server_run(struct usbip_server *s, int64_t now)
{
	for (size_t i = 0; i < s->export_count; i++) {
		struct export *e = &s->exports[i];

		if (usb_device_deadline(e->device) <= now)
			usb_device_run(e->device, now);
		if (e->importer && usb_device_gone(e->device))
			usbip_server_unplug(s, i);
		else if (e->importer && e->importer->tx.len)
			connection_settle(e->importer);
	}
}

int64_t usbip_server_deadline(const struct usbip_server *s)
{
	int64_t due = INT64_MAX;

	for (size_t i = 0; i < s->export_count; i++) {
		int64_t one = usb_device_deadline(s->exports[i].device);

		if (one < due)
			due = one;
	}
	return due;
}
