/* SPDX-License-Identifier: BSD-3-Clause */
#include "usbip_link.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "ifd-ccid/bytes.h"
#include "ifd-ccid/deadline.h"
#include "ifd-ccid/log.h"

enum {
	SEND_MS = 5000,     /* for the server to take one message */
	MESSAGE_MS = 5000,  /* between the first byte of a message of the server and its last */
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

bool usbip_send(struct usbip *u, struct iovec *iov, size_t count)
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
		/* It may be a secret. */
		explicit_bzero(u->rx + u->rx_at, n);
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

bool usbip_submit(struct port *port, struct port_transfer *transfer)
{
	struct usbip *u = usbip_of(port);
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
	if (entry && !usbip_send(u, iov, in || len == 0 ? 1 : 2))
		shutdown(u->fd, SHUT_RDWR);
	pthread_mutex_unlock(&u->send_lock);
	return entry != NULL;
}

/* Takes the entry of a transfer out of the server's answers' way. False: it is not pending. */
static bool take_back(struct usbip *u, struct port_transfer *transfer, uint8_t *header)
{
	struct pending *unlink;
	uint32_t victim;

	for (size_t i = 0; i < u->count; i++) {
		if (u->table[i].transfer != transfer)
			continue;
		u->table[i].transfer = NULL;
		victim = u->table[i].seqnum;
		/* These move the table. */
		forget_old(u);
		unlink = remember(u, NULL);
		if (unlink) {
			unlink->unlink = true;
			unlink->victim = victim;
			usbip_put_unlink(header, unlink->seqnum, &u->device, victim);
		}
		return true;
	}
	return false;
}

void usbip_cancel(struct port *port, struct port_transfer *transfer)
{
	struct usbip *u = usbip_of(port);
	uint8_t header[USBIP_HEADER_SIZE] = { 0 };
	struct iovec iov = { header, sizeof(header) };
	bool mine;

	pthread_mutex_lock(&u->send_lock);
	pthread_mutex_lock(&u->lock);
	mine = take_back(u, transfer, header);
	pthread_mutex_unlock(&u->lock);
	if (mine && be32(header + USBIP_command) && !usbip_send(u, &iov, 1))
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

void *usbip_events(void *arg)
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
