/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/cards/vpcd_port.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vreader/cards/vpcd.h"
#include "vreader/usb/address.h"

enum {
	ADDRESS_MAX = 256,
	CHUNK = 16384,
	/* A program that does not read: two of the largest commands wait for it at most. */
	OUT_MAX = 1 << 18,
};

struct port {
	struct loop_source listener;
	struct loop_source link; /* fd -1: no program */
	struct vpcd_ports *ports;
	struct port *next;
	struct ccid_device *ccid;
	size_t slot;
	char base[ADDRESS_MAX];    /* as it was asked for */
	char address[ADDRESS_MAX]; /* as it is */
	struct vpcd *vpcd;
	bool dead; /* the program is to be cut off */
	uint8_t *out;
	size_t out_len;
	size_t out_cap;
};

struct vpcd_ports {
	struct loop *loop;
	struct port *list;
	char why[512];
};

/* --- A connected program ---------------------------------------------------------------------- */

static void cut_off(struct port *p)
{
	struct vpcd *vpcd = p->vpcd;

	if (!vpcd)
		return;
	loop_remove(p->ports->loop, &p->link);
	close(p->link.fd);
	p->link.fd = -1;
	p->dead = true;
	if (vpcd_has_card(vpcd))
		ccid_remove(p->ccid, p->slot);
	p->vpcd = NULL;
	p->out_len = 0;
	vpcd_free(vpcd);
}

/* Ends the connection from within a call of vpcd.c: the program is gone at the next event. */
static void cut_off_later(struct port *p)
{
	p->dead = true;
	if (p->link.fd >= 0)
		shutdown(p->link.fd, SHUT_RDWR);
}

static bool keep(struct port *p, const uint8_t *bytes, size_t len)
{
	size_t want = p->out_len + len;
	uint8_t *out;

	if (want > OUT_MAX)
		return false;
	if (want > p->out_cap) {
		out = realloc(p->out, want);
		if (!out)
			return false;
		p->out = out;
		p->out_cap = want;
	}
	memcpy(p->out + p->out_len, bytes, len);
	p->out_len = want;
	return true;
}

static void on_send(void *ctx, const uint8_t *bytes, size_t len)
{
	struct port *p = ctx;
	ssize_t n = 0;

	if (p->dead)
		return;
	if (p->out_len == 0) {
		n = send(p->link.fd, bytes, len, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			cut_off_later(p);
			return;
		}
		if (n < 0)
			n = 0;
	}
	if ((size_t)n == len)
		return;
	if (!keep(p, bytes + n, len - (size_t)n) ||
		!loop_change(p->ports->loop, &p->link, EPOLLIN | EPOLLOUT))
		cut_off_later(p);
}

static bool flush(struct port *p)
{
	ssize_t n = send(p->link.fd, p->out, p->out_len, MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	p->out_len -= (size_t)n;
	memmove(p->out, p->out + n, p->out_len);
	return p->out_len || loop_change(p->ports->loop, &p->link, EPOLLIN);
}

static bool on_insert(void *ctx, struct card *card)
{
	struct port *p = ctx;

	return ccid_insert(p->ccid, p->slot, card);
}

static void on_removed(void *ctx)
{
	cut_off_later(ctx);
}

static void link_ready(struct loop_source *source, uint32_t events)
{
	struct port *p = (struct port *)((char *)source - offsetof(struct port, link));
	uint8_t chunk[CHUNK];
	ssize_t n;

	if (events & EPOLLOUT && !p->dead && !flush(p)) {
		cut_off(p);
		return;
	}
	if (!(events & ~(uint32_t)EPOLLOUT))
		return;
	n = recv(source->fd, chunk, sizeof(chunk), 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR) && !p->dead)
		return;
	if (n <= 0 || p->dead || !vpcd_receive(p->vpcd, chunk, (size_t)n))
		cut_off(p);
}

/* --- Listening -------------------------------------------------------------------------------- */

static void welcome(struct port *p, int fd)
{
	const struct vpcd_host host = {
		.send = on_send, .insert = on_insert, .removed = on_removed, .ctx = p
	};

	p->link.fd = fd;
	p->dead = false;
	if (!loop_add(p->ports->loop, &p->link, EPOLLIN)) {
		close(fd);
		p->link.fd = -1;
		return;
	}
	p->vpcd = vpcd_new(&host);
	if (!p->vpcd) {
		loop_remove(p->ports->loop, &p->link);
		close(fd);
		p->link.fd = -1;
	}
}

/* One card a slot: whoever comes second is turned away. */
static void listener_ready(struct loop_source *source, uint32_t events)
{
	struct port *p = (struct port *)source;
	int fd = address_accept(source->fd);

	(void)events;
	if (fd < 0)
		return;
	/* That the last one is gone may be told only after this. */
	if (p->dead)
		cut_off(p);
	if (p->vpcd || ccid_present(p->ccid, p->slot))
		close(fd);
	else
		welcome(p, fd);
}

/* The n-th address of a row that begins with base. False: it does not fit, or is no address. */
static bool nth_address(const char *base, size_t n, char out[ADDRESS_MAX])
{
	const char *colon = strrchr(base, ':');
	unsigned long port;
	char *end;

	if (n == 0)
		return snprintf(out, ADDRESS_MAX, "%s", base) < ADDRESS_MAX;
	if (strncmp(base, "unix:", 5) == 0)
		return snprintf(out, ADDRESS_MAX, "%s.%zu", base, n) < ADDRESS_MAX;
	if (!colon)
		return false;
	port = strtoul(colon + 1, &end, 10);
	return end != colon + 1 && !*end && port && port + n <= 65535 &&
	       snprintf(out, ADDRESS_MAX, "%.*s:%lu", (int)(colon - base), base, port + n) <
		       ADDRESS_MAX;
}

static size_t count_base(const struct vpcd_ports *ports, const char *base)
{
	size_t n = 0;

	for (const struct port *p = ports->list; p; p = p->next)
		n += strcmp(p->base, base) == 0;
	return n;
}

static const char *open_port(struct port *p)
{
	struct vpcd_ports *ports = p->ports;

	if (!nth_address(p->base, count_base(ports, p->base), p->address))
		return "not an address: give vpcd:unix:PATH or vpcd:tcp:HOST:PORT";
	p->listener.fd = address_listen(p->address, ports->why, sizeof(ports->why));
	if (p->listener.fd < 0)
		return ports->why;
	if (loop_add(ports->loop, &p->listener, EPOLLIN))
		return NULL;
	snprintf(ports->why, sizeof(ports->why), "%s: %s", p->address, strerror(errno));
	close(p->listener.fd);
	address_forget(p->address);
	return ports->why;
}

const char *vpcd_ports_open(
	struct vpcd_ports *ports, const char *address, struct ccid_device *ccid, size_t slot)
{
	const char *wrong;
	struct port *p;

	if (!ccid_waits_for_cards(ccid))
		return "card programs take their time: give the reader bulk pipes";
	for (p = ports->list; p; p = p->next)
		if (p->ccid == ccid && p->slot == slot)
			return "this slot waits for a card program already";
	if (strlen(address) >= ADDRESS_MAX)
		return "the address is too long";
	p = calloc(1, sizeof(*p));
	if (!p)
		return "out of memory";
	*p = (struct port){ .ports = ports, .ccid = ccid, .slot = slot };
	p->listener.ready = listener_ready;
	p->link = (struct loop_source){ .fd = -1, .ready = link_ready };
	memcpy(p->base, address, strlen(address));
	wrong = open_port(p);
	if (wrong) {
		free(p);
		return wrong;
	}
	p->next = ports->list;
	ports->list = p;
	return NULL;
}

struct vpcd_ports *vpcd_ports_new(struct loop *loop)
{
	struct vpcd_ports *ports = calloc(1, sizeof(*ports));

	if (ports)
		ports->loop = loop;
	return ports;
}

void vpcd_ports_free(struct vpcd_ports *ports)
{
	struct port *next;

	for (struct port *p = ports ? ports->list : NULL; p; p = next) {
		next = p->next;
		cut_off(p);
		loop_remove(ports->loop, &p->listener);
		close(p->listener.fd);
		address_forget(p->address);
		free(p->out);
		free(p);
	}
	free(ports);
}
