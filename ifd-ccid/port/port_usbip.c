/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_usbip.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "connect.h"
#include "ifd-ccid/bytes.h"
#include "ifd-ccid/deadline.h"
#include "ifd-ccid/log.h"
#include "port_shared.h"
#include "spec/usb.h"
#include "usbip_msg.h"

enum {
	SEND_MS = 5000,    /* for the server to take one message */
	MESSAGE_MS = 5000, /* between the first byte of a message of the server and its last */
	REQUEST_MS = 3000, /* for a standard control request */
	CONFIGURATION_GUESS = 1024,
	RX_SIZE = 4096,
	MAX_CANCELLED = 64, /* commands taken back that the server never answered: remembered */
};

/* A command that the server has not answered yet. */
struct pending {
	uint32_t seqnum;
	struct port_transfer *transfer; /* NULL: cancelled, the answer is thrown away */
	bool in;
	bool unlink;     /* CMD_UNLINK ... */
	uint32_t victim; /* ... of this seqnum */
};

struct usbip {
	struct port port;
	char name[512];
	bool tcp;
	int fd;
	int wake; /* eventfd: the event thread shall end */
	pthread_t thread;
	bool running;
	struct usbip_device device;
	uint8_t device_descriptor[USB_DEVICE_SIZE];
	uint8_t *configuration;

	pthread_mutex_t configure_lock; /* held while the device is configured */
	bool configured;

	/* Held while one message is written. Taken before `lock`. */
	pthread_mutex_t send_lock;

	pthread_mutex_t lock; /* for what follows */
	pthread_cond_t received;
	bool gone;
	uint32_t seqnum;
	struct pending *table;
	size_t count;
	size_t room;
	struct port_transfer *receiving; /* its data is being read, or its done() runs */

	/* The event thread's own. */
	uint8_t rx[RX_SIZE];
	size_t rx_at;
	size_t rx_len;
};

static struct usbip *of(struct port *port)
{
	return (struct usbip *)port;
}

/* Sends all, waiting for room at most SEND_MS. A broken connection is left to the event thread. */
static bool send_all(struct usbip *u, struct iovec *iov, size_t count)
{
	int64_t deadline = deadline_in_ms(SEND_MS);
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = count };
	struct pollfd pfd = { .fd = u->fd, .events = POLLOUT };
	ssize_t n;

	while (msg.msg_iovlen > 0) {
		n = sendmsg(u->fd, &msg, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			if (poll(&pfd, 1, deadline_left_ms(deadline)) == 0)
				return false;
			continue;
		}
		if (n < 0)
			return false;
		while (msg.msg_iovlen > 0 && (size_t)n >= msg.msg_iov->iov_len) {
			n -= (ssize_t)msg.msg_iov->iov_len;
			msg.msg_iov++;
			msg.msg_iovlen--;
		}
		if (msg.msg_iovlen > 0) {
			msg.msg_iov->iov_base = (uint8_t *)msg.msg_iov->iov_base + n;
			msg.msg_iov->iov_len -= (size_t)n;
		}
	}
	return true;
}

/*
 * Receives at least one byte into `rx`, which is empty. Waits without end only between messages
 * (deadline 0): then the wake-up of close() ends it. False: the connection is over.
 */
static bool fill(struct usbip *u, int64_t deadline)
{
	struct pollfd pfd[2] = { { .fd = u->fd, .events = POLLIN },
		{ .fd = u->wake, .events = POLLIN } };
	int one = 1;
	ssize_t n;

	for (;;) {
		n = recv(u->fd, u->rx, sizeof(u->rx), MSG_DONTWAIT);
		if (n > 0)
			break;
		if (n == 0)
			return false;
		if (errno != EAGAIN && errno != EINTR)
			return false;
		if (poll(pfd, 2, deadline ? deadline_left_ms(deadline) : -1) == 0)
			return false;
		if (pfd[1].revents)
			return false;
	}
	/* The kernel forgets this after a while; without it an answer may wait 40 ms for an ACK. */
	if (u->tcp)
		(void)setsockopt(u->fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof(one));
	u->rx_at = 0;
	u->rx_len = (size_t)n;
	return true;
}

/* Reads LEN bytes; OUT NULL throws them away. FIRST: the message may be long in coming. */
static bool read_full(struct usbip *u, uint8_t *out, size_t len, bool first)
{
	int64_t deadline = first ? 0 : deadline_in_ms(MESSAGE_MS);

	while (len > 0) {
		size_t n = u->rx_len - u->rx_at;

		if (n == 0) {
			if (!fill(u, deadline))
				return false;
			continue;
		}
		if (n > len)
			n = len;
		if (out) {
			memcpy(out, u->rx + u->rx_at, n);
			out += n;
		}
		u->rx_at += n;
		len -= n;
		if (len > 0 && !deadline)
			deadline = deadline_in_ms(MESSAGE_MS);
	}
	return true;
}

/* With `lock` held. */
static struct pending *find(struct usbip *u, uint32_t seqnum)
{
	for (size_t i = 0; i < u->count; i++)
		if (u->table[i].seqnum == seqnum)
			return &u->table[i];
	return NULL;
}

static void forget(struct usbip *u, struct pending *entry)
{
	size_t at = (size_t)(entry - u->table);

	u->count--;
	memmove(entry, entry + 1, (u->count - at) * sizeof(*entry));
}

/* Keeps the memory of unanswered cancelled commands bounded: the oldest are forgotten. */
static void forget_old(struct usbip *u)
{
	size_t cancelled = 0;

	for (size_t i = u->count; i-- > 0;)
		if (!u->table[i].transfer && ++cancelled > MAX_CANCELLED)
			forget(u, &u->table[i]);
}

/* Adds an entry with the next sequence number. NULL: gone, or no memory (which ends the port). */
static struct pending *remember(struct usbip *u, struct port_transfer *transfer)
{
	struct pending *table;

	if (u->gone)
		return NULL;
	if (u->count == u->room) {
		table = realloc(u->table, (u->room + 16) * sizeof(*table));
		if (!table)
			return NULL;
		u->table = table;
		u->room += 16;
	}
	/* 0 is left out: some servers use it for "none". */
	if (++u->seqnum == 0)
		u->seqnum = 1;
	u->table[u->count] = (struct pending){ .seqnum = u->seqnum, .transfer = transfer };
	return &u->table[u->count++];
}

static bool is_in(const struct port_transfer *transfer)
{
	if (transfer->endpoint == 0)
		return (transfer->buffer[USB_SETUP_bmRequestType] & USB_DIR_MASK) == USB_DIR_IN;
	return (transfer->endpoint & USB_DIR_MASK) == USB_DIR_IN;
}

static bool usbip_submit(struct port *port, struct port_transfer *transfer)
{
	struct usbip *u = of(port);
	size_t skip = transfer->endpoint == 0 ? USB_SETUP_SIZE : 0;
	size_t len = transfer->length - skip;
	bool in = is_in(transfer);
	uint8_t header[USBIP_HEADER_SIZE];
	struct iovec iov[2] = { { header, sizeof(header) }, { transfer->buffer + skip, len } };
	struct pending *entry;

	transfer->actual = 0;
	pthread_mutex_lock(&u->send_lock);
	pthread_mutex_lock(&u->lock);
	entry = remember(u, transfer);
	if (entry) {
		entry->in = in;
		usbip_put_submit(header, entry->seqnum, &u->device, transfer->endpoint, in, len,
			skip ? transfer->buffer : NULL);
		if (transfer->zero_packet)
			put_be32(header + USBIP_SUBMIT_transfer_flags, USBIP_URB_ZERO_PACKET);
	}
	pthread_mutex_unlock(&u->lock);
	if (entry && !send_all(u, iov, in || len == 0 ? 1 : 2))
		shutdown(u->fd, SHUT_RDWR);
	pthread_mutex_unlock(&u->send_lock);
	return entry != NULL;
}

/* Takes the entry of a transfer out of the server's answers' way. False: it is not pending. */
static bool take_back(struct usbip *u, struct port_transfer *transfer, uint8_t *header)
{
	struct pending *unlink;

	for (size_t i = 0; i < u->count; i++) {
		if (u->table[i].transfer != transfer)
			continue;
		u->table[i].transfer = NULL;
		forget_old(u);
		unlink = remember(u, NULL);
		if (unlink) {
			unlink->unlink = true;
			unlink->victim = u->table[i].seqnum;
			usbip_put_unlink(header, unlink->seqnum, &u->device, unlink->victim);
		}
		return true;
	}
	return false;
}

static void usbip_cancel(struct port *port, struct port_transfer *transfer)
{
	struct usbip *u = of(port);
	uint8_t header[USBIP_HEADER_SIZE] = { 0 };
	struct iovec iov = { header, sizeof(header) };
	bool mine;

	pthread_mutex_lock(&u->send_lock);
	pthread_mutex_lock(&u->lock);
	mine = take_back(u, transfer, header);
	pthread_mutex_unlock(&u->lock);
	if (mine && be32(header + USBIP_command) && !send_all(u, &iov, 1))
		shutdown(u->fd, SHUT_RDWR);
	pthread_mutex_unlock(&u->send_lock);
	if (mine) {
		transfer->status = PORT_CANCELLED;
		transfer->done(transfer);
		return;
	}
	/* Ended already, or just about to; done() may need send_lock. */
	pthread_mutex_lock(&u->lock);
	while (u->receiving == transfer)
		pthread_cond_wait(&u->received, &u->lock);
	pthread_mutex_unlock(&u->lock);
}

static void returned_unlink(struct usbip *u, const struct usbip_return *ret)
{
	struct pending *entry;
	struct pending *victim;

	pthread_mutex_lock(&u->lock);
	entry = find(u, ret->seqnum);
	if (entry && entry->unlink) {
		uint32_t seqnum = entry->victim;

		forget(u, entry);
		victim = find(u, seqnum);
		/* Status 0 says that the victim is answered; an answer still to come is expected. */
		if (victim && ret->status != PORT_OK)
			forget(u, victim);
	}
	pthread_mutex_unlock(&u->lock);
}

static void finish(struct usbip *u, struct port_transfer *transfer)
{
	transfer->done(transfer);
	pthread_mutex_lock(&u->lock);
	u->receiving = NULL;
	pthread_cond_broadcast(&u->received);
	pthread_mutex_unlock(&u->lock);
}

/* False: the stream can't be trusted any further. */
static bool returned_submit(struct usbip *u, const struct usbip_return *ret)
{
	struct port_transfer *transfer = NULL;
	struct pending *entry;
	size_t skip = 0;
	size_t data = 0;
	bool ok = true;

	pthread_mutex_lock(&u->lock);
	entry = find(u, ret->seqnum);
	if (entry && !entry->unlink) {
		data = entry->in ? ret->actual_length : 0;
		transfer = entry->transfer;
		u->receiving = transfer;
		forget(u, entry);
	}
	pthread_mutex_unlock(&u->lock);
	if (!entry) {
		log_line(LOG_ERROR, "%s: the server answers number %u, which was not asked",
			u->name, ret->seqnum);
		return false;
	}
	if (!transfer)
		return data <= UINT16_MAX * 2 && read_full(u, NULL, data, false);
	skip = transfer->endpoint == 0 ? USB_SETUP_SIZE : 0;
	transfer->status = ret->status;
	if (data > transfer->length - skip) {
		log_line(LOG_ERROR, "%s: the server sends %zu bytes where %zu were asked for",
			u->name, data, transfer->length - skip);
		ok = false;
	}
	if (ok)
		ok = read_full(u, transfer->buffer + skip, data, false);
	if (ok)
		transfer->actual = data;
	else
		transfer->status = PORT_GONE;
	finish(u, transfer);
	return ok;
}

/* Ends all that is pending. */
static void die(struct usbip *u)
{
	struct port_transfer *transfer;

	shutdown(u->fd, SHUT_RDWR);
	pthread_mutex_lock(&u->lock);
	u->gone = true;
	while (u->count > 0) {
		transfer = u->table[--u->count].transfer;
		if (!transfer)
			continue;
		u->receiving = transfer;
		pthread_mutex_unlock(&u->lock);
		transfer->status = PORT_GONE;
		finish(u, transfer);
		pthread_mutex_lock(&u->lock);
	}
	pthread_mutex_unlock(&u->lock);
	if (u->port.gone)
		u->port.gone(u->port.owner);
}

static void *events(void *arg)
{
	struct usbip *u = arg;
	uint8_t header[USBIP_HEADER_SIZE];
	struct usbip_return ret;
	bool ok = true;

	while (ok && read_full(u, header, sizeof(header), true)) {
		ok = usbip_get_return(header, &ret);
		if (!ok)
			log_line(LOG_ERROR, "%s: the server sends something else than answers",
				u->name);
		else if (ret.unlink)
			returned_unlink(u, &ret);
		else
			ok = returned_submit(u, &ret);
	}
	die(u);
	return NULL;
}

static void usbip_close(struct port *port)
{
	struct usbip *u = of(port);
	uint64_t one = 1;

	if (u->running) {
		(void)!write(u->wake, &one, sizeof(one));
		shutdown(u->fd, SHUT_RDWR);
		pthread_join(u->thread, NULL);
	}
	if (u->fd >= 0)
		close(u->fd);
	if (u->wake >= 0)
		close(u->wake);
	pthread_mutex_destroy(&u->configure_lock);
	pthread_mutex_destroy(&u->send_lock);
	pthread_mutex_destroy(&u->lock);
	pthread_cond_destroy(&u->received);
	free(u->table);
	free(u->configuration);
	free(u);
}

static enum port_status request(struct usbip *u, uint8_t type, uint8_t request, unsigned value,
	unsigned index, uint8_t *data, size_t length, size_t *actual)
{
	uint8_t setup[USB_SETUP_SIZE] = { type, request };

	put_le16(setup + USB_SETUP_wValue, (uint16_t)value);
	put_le16(setup + USB_SETUP_wIndex, (uint16_t)index);
	put_le16(setup + USB_SETUP_wLength, (uint16_t)length);
	return port_control(&u->port, setup, data, actual, deadline_in_ms(REQUEST_MS));
}

static enum port_status set_configuration(struct usbip *u)
{
	return request(u, USB_DIR_OUT | USB_TYPE_STANDARD | USB_RECIP_DEVICE,
		USB_REQ_SET_CONFIGURATION, u->configuration[USB_CONFIG_bConfigurationValue], 0,
		NULL, 0, NULL);
}

/* Once only: to configure again would reset the interfaces that are in use. */
static enum port_status configure(struct usbip *u)
{
	enum port_status status = PORT_OK;

	pthread_mutex_lock(&u->configure_lock);
	if (!u->configured)
		status = set_configuration(u);
	u->configured = status == PORT_OK;
	pthread_mutex_unlock(&u->configure_lock);
	return status;
}

static enum port_status usbip_claim(struct port *port, uint8_t interface, uint8_t alternate)
{
	struct usbip *u = of(port);
	enum port_status status = configure(u);

	if (status == PORT_OK && alternate != 0)
		status = request(u, USB_DIR_OUT | USB_TYPE_STANDARD | USB_RECIP_INTERFACE,
			USB_REQ_SET_INTERFACE, alternate, interface, NULL, 0, NULL);
	if (status != PORT_OK)
		log_line(LOG_ERROR, "%s: can't configure the device: %s", u->name,
			port_strstatus(status));
	return status;
}

static enum port_status usbip_clear_halt(struct port *port, uint8_t endpoint)
{
	return request(of(port), USB_DIR_OUT | USB_TYPE_STANDARD | USB_RECIP_ENDPOINT,
		USB_REQ_CLEAR_FEATURE, USB_FEATURE_ENDPOINT_HALT, endpoint, NULL, 0, NULL);
}

/* USB/IP has no message for it; servers of Linux take the request a hub would get for its port. */
static enum port_status usbip_reset(struct port *port)
{
	enum {
		PORT_RESET = 4
	};
	struct usbip *u = of(port);
	enum port_status status = request(u, USB_DIR_OUT | USB_TYPE_CLASS | USB_RECIP_OTHER,
		USB_REQ_SET_FEATURE, PORT_RESET, 1, NULL, 0, NULL);

	return status == PORT_OK ? set_configuration(u) : status;
}

static const struct port_ops ops = {
	.close = usbip_close,
	.claim = usbip_claim,
	.submit = usbip_submit,
	.cancel = usbip_cancel,
	.clear_halt = usbip_clear_halt,
	.reset = usbip_reset,
};

/* OP_REQ_IMPORT and its answer, before the event thread runs. NULL, or what went wrong. */
static const char *import(struct usbip *u, const char *busid, int64_t deadline)
{
	uint8_t message[USBIP_REQ_IMPORT_SIZE];
	uint8_t reply[USBIP_REP_IMPORT_SIZE];
	struct iovec iov = { message, sizeof(message) };
	struct pollfd pfd = { .fd = u->fd, .events = POLLIN };
	size_t want = USBIP_OP_HEADER_SIZE;
	const char *why;
	size_t have = 0;
	ssize_t n;

	usbip_put_import(message, busid);
	if (!send_all(u, &iov, 1))
		return "the server closes the connection";
	while (have < want) {
		if (poll(&pfd, 1, deadline_left_ms(deadline)) == 0)
			return "the server doesn't answer";
		n = recv(u->fd, reply + have, want - have, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return "the server closes the connection";
		have += n > 0 ? (size_t)n : 0;
		if (have == USBIP_OP_HEADER_SIZE && want == USBIP_OP_HEADER_SIZE) {
			why = usbip_check_import(reply);
			if (why)
				return why;
			want = USBIP_REP_IMPORT_SIZE;
		}
	}
	usbip_get_device(reply + USBIP_REP_IMPORT_device, &u->device);
	return NULL;
}

static enum port_status get_descriptor(
	struct usbip *u, uint8_t type, uint8_t *out, size_t length, size_t *actual)
{
	return request(u, USB_DIR_IN | USB_TYPE_STANDARD | USB_RECIP_DEVICE, USB_REQ_GET_DESCRIPTOR,
		(unsigned)type << 8, 0, out, length, actual);
}

/* NULL, or what went wrong. */
static const char *read_descriptors(struct usbip *u)
{
	size_t length = CONFIGURATION_GUESS;
	size_t actual;

	if (get_descriptor(u, USB_DT_DEVICE, u->device_descriptor, USB_DEVICE_SIZE, &actual) !=
			PORT_OK ||
		actual != USB_DEVICE_SIZE)
		return "can't read the device descriptor";
	for (;;) {
		uint8_t *bytes = realloc(u->configuration, length);
		size_t total;

		if (!bytes)
			return "out of memory";
		u->configuration = bytes;
		if (get_descriptor(u, USB_DT_CONFIGURATION, bytes, length, &actual) != PORT_OK ||
			actual < USB_CONFIG_SIZE)
			return "can't read the configuration descriptor";
		total = le16(bytes + USB_CONFIG_wTotalLength);
		if (total <= length || length > CONFIGURATION_GUESS)
			break;
		length = total;
	}
	u->port.device = u->device_descriptor;
	u->port.configuration = u->configuration;
	u->port.configuration_len = actual;
	return NULL;
}

/* NULL, or what went wrong. */
static const char *start(struct usbip *u, const struct usbip_address *address)
{
	int64_t deadline = deadline_in_ms(PORT_OPEN_MS);
	const char *why = NULL;

	u->tcp = address->host[0] != '\0';
	u->fd = u->tcp ? connect_tcp(address->host, address->port, deadline, &why)
		       : connect_unix(address->path, deadline, &why);
	if (u->fd < 0)
		return why;
	why = import(u, address->busid, deadline);
	if (why)
		return why;
	u->wake = eventfd(0, EFD_CLOEXEC);
	if (u->wake < 0)
		return strerror(errno);
	if (pthread_create(&u->thread, NULL, events, u) != 0)
		return "can't start a thread";
	u->running = true;
	return read_descriptors(u);
}

/* The device as a whole. */
static struct port *open_device(const char *name, void (*gone)(void *owner), void *owner)
{
	struct usbip_address address;
	struct usbip *u;
	const char *why;

	if (!usbip_parse(name, &address))
		return NULL;
	u = calloc(1, sizeof(*u));
	if (!u)
		return NULL;
	u->port.ops = &ops;
	u->port.gone = gone;
	u->port.owner = owner;
	u->port.interface = -1;
	u->fd = -1;
	u->wake = -1;
	strncpy(u->name, name, sizeof(u->name) - 1);
	pthread_mutex_init(&u->configure_lock, NULL);
	pthread_mutex_init(&u->send_lock, NULL);
	pthread_mutex_init(&u->lock, NULL);
	pthread_cond_init(&u->received, NULL);
	why = start(u, &address);
	if (!why) {
		u->port.bus = (uint8_t)u->device.busnum;
		u->port.address = (uint8_t)u->device.devnum;
		snprintf(u->port.place, sizeof(u->port.place), "%s", address.busid);
		return &u->port;
	}
	log_line(LOG_ERROR, "device %s: %s", name, why);
	usbip_close(&u->port);
	return NULL;
}

struct port *port_usbip_open(const char *name, void (*gone)(void *owner), void *owner)
{
	struct usbip_address address;
	char key[sizeof(address) + 16];

	if (!usbip_parse(name, &address)) {
		log_line(LOG_ERROR,
			"device %s: expected usbip:HOST:PORT/BUSID or usbip:unix:PATH/BUSID", name);
		return NULL;
	}
	snprintf(key, sizeof(key), USBIP_PREFIX "%s:%s:%s/%s", address.host, address.port,
		address.path, address.busid);
	return port_shared_open(key, address.interface, name, open_device, gone, owner);
}
