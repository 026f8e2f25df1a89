/* SPDX-License-Identifier: BSD-3-Clause */
/* Who listens, who is connected, and which device each has. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vreader/usb/address.h"
#include "vreader/usb/usbip_private.h"

enum {
	/* Connections beside one importer for each device. */
	CONNECTIONS_MORE = 1024,
};

struct listener {
	struct loop_source source;
	struct usbip_server *server;
	struct listener *next;
};

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

	if (c->tx.len < USBIP_TX_HIGH && !c->close_after_tx)
		events |= EPOLLIN;
	if (c->tx.len)
		events |= EPOLLOUT;
	if (events != c->events && loop_change(c->server->loop, &c->source, events))
		c->events = events;
}

/* Everything that is whole in rx. */
static void connection_process(struct connection *c, int64_t now)
{
	size_t at = 0, used = 1;

	while (!c->dead && !c->close_after_tx && at < c->rx.len && used &&
		c->tx.len < USBIP_TX_HIGH) {
		used = usbip_take(c, c->rx.data + at, c->rx.len - at, now);
		at += used;
	}
	buffer_drop(&c->rx, at);
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
	if (c->tx.len >= USBIP_TX_HIGH)
		connection_send(c);
	if (!c->dead)
		connection_process(c, loop_now());
	connection_settle(c);
}

bool usbip_server_adopt(struct usbip_server *s, int fd)
{
	struct connection *c = calloc(1, sizeof(*c));

	if (!c || s->connection_count >= s->export_count + CONNECTIONS_MORE) {
		free(c);
		close(fd);
		return false;
	}
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
	int fd = address_accept(source->fd);

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
		e->devid = USBIP_BUS << 16 | (uint32_t)(i + 1);
		snprintf(e->busid, sizeof(e->busid), "%d-%zu", USBIP_BUS, i + 1);
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
