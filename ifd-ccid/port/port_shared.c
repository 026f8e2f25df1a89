/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_shared.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "ifd-ccid/deadline.h"
#include "ifd-ccid/log.h"

struct view;

struct shared {
	char *key;
	struct port *port; /* NULL: being opened, or that has failed */
	bool moving;       /* being opened or closed */
	bool gone;
	unsigned users; /* views, and threads that want to become one */
	struct view *views;
	struct view *turn; /* who has the turn, if anybody cares */
	struct shared *next;
};

/* What a user holds. */
struct view {
	struct port port;
	struct shared *shared;
	char *name;
	int claimed; /* bInterfaceNumber; -1: none */
	struct view *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* for all of the above */
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;  /* `moving` has become false */
static pthread_once_t given_once = PTHREAD_ONCE_INIT;
static pthread_cond_t given; /* a turn has been given back */
static struct shared *all;

static struct view *of(struct port *port)
{
	return (struct view *)port;
}

static struct port *under(struct port *port)
{
	return of(port)->shared->port;
}

/* With the lock held, which may be given up: the device that is open, or is to be opened by us. */
static struct shared *find(const char *key, bool *mine)
{
	struct shared *shared;

	for (;;) {
		shared = all;
		while (shared && (shared->gone || strcmp(shared->key, key) != 0))
			shared = shared->next;
		if (!shared || !shared->moving || !shared->port)
			break;
		/* It is being closed; a server wouldn't give it to us before that is over. */
		pthread_cond_wait(&moved, &lock);
	}
	*mine = !shared;
	if (shared) {
		shared->users++;
		return shared;
	}
	shared = calloc(1, sizeof(*shared));
	if (!shared)
		return NULL;
	shared->key = strdup(key);
	if (!shared->key) {
		free(shared);
		return NULL;
	}
	shared->moving = true;
	shared->users = 1;
	shared->next = all;
	all = shared;
	return shared;
}

static void on_gone(void *owner)
{
	struct shared *shared = owner;

	pthread_mutex_lock(&lock);
	shared->gone = true;
	for (struct view *view = shared->views; view; view = view->next)
		if (view->port.gone)
			view->port.gone(view->port.owner);
	pthread_mutex_unlock(&lock);
}

/* With the lock held, which is given up while the port is closed. */
static void drop(struct shared *shared)
{
	struct shared **link = &all;

	if (--shared->users > 0)
		return;
	shared->moving = true;
	pthread_mutex_unlock(&lock);
	if (shared->port)
		port_close(shared->port);
	pthread_mutex_lock(&lock);
	while (*link != shared)
		link = &(*link)->next;
	*link = shared->next;
	pthread_cond_broadcast(&moved);
	free(shared->key);
	free(shared);
}

static void view_close(struct port *port)
{
	struct view *view = of(port);
	struct shared *shared = view->shared;
	struct view **link = &shared->views;

	if (view->claimed >= 0 && shared->port->ops->unclaim)
		shared->port->ops->unclaim(shared->port, (uint8_t)view->claimed);
	pthread_mutex_lock(&lock);
	while (*link != view)
		link = &(*link)->next;
	*link = view->next;
	drop(shared);
	pthread_mutex_unlock(&lock);
	free(view->name);
	free(view);
}

static enum port_status view_claim(struct port *port, uint8_t interface, uint8_t alternate)
{
	struct view *view = of(port);
	enum port_status status;
	bool taken = false;

	pthread_mutex_lock(&lock);
	for (struct view *other = view->shared->views; other; other = other->next)
		taken = taken || other->claimed == interface;
	if (!taken)
		view->claimed = interface;
	pthread_mutex_unlock(&lock);
	if (taken) {
		log_line(LOG_ERROR, "device %s: another reader of ours uses interface %u",
			view->name, interface);
		return PORT_ERROR;
	}
	under(port)->leave_kernel_driver = port->leave_kernel_driver;
	status = port_claim(under(port), interface, alternate);
	if (status != PORT_OK) {
		pthread_mutex_lock(&lock);
		view->claimed = -1;
		pthread_mutex_unlock(&lock);
	}
	return status;
}

static bool view_submit(struct port *port, struct port_transfer *transfer)
{
	return port_submit(under(port), transfer);
}

static void view_cancel(struct port *port, struct port_transfer *transfer)
{
	port_cancel(under(port), transfer);
}

static void view_release(struct port *port, struct port_transfer *transfer)
{
	port_release(under(port), transfer);
}

static enum port_status view_clear_halt(struct port *port, uint8_t endpoint)
{
	return port_clear_halt(under(port), endpoint);
}

static enum port_status view_reset(struct port *port)
{
	struct view *view = of(port);
	bool alone;

	pthread_mutex_lock(&lock);
	alone = view->shared->users == 1;
	pthread_mutex_unlock(&lock);
	if (alone)
		return port_reset(under(port));
	log_line(LOG_INFO, "device %s: not reset, since other readers of the device are in use",
		view->name);
	return PORT_ERROR;
}

static void init_given(void)
{
	deadline_cond_init(&given);
}

static bool view_take_turn(struct port *port, int64_t deadline)
{
	struct view *view = of(port);
	bool mine;

	pthread_once(&given_once, init_given);
	pthread_mutex_lock(&lock);
	while (view->shared->turn && deadline_cond_wait(&given, &lock, deadline) == 0)
		continue;
	mine = !view->shared->turn;
	if (mine)
		view->shared->turn = view;
	pthread_mutex_unlock(&lock);
	return mine;
}

static void view_give_turn(struct port *port)
{
	pthread_mutex_lock(&lock);
	of(port)->shared->turn = NULL;
	pthread_cond_broadcast(&given);
	pthread_mutex_unlock(&lock);
}

static const struct port_ops ops = {
	.close = view_close,
	.claim = view_claim,
	.submit = view_submit,
	.cancel = view_cancel,
	.release = view_release,
	.clear_halt = view_clear_halt,
	.reset = view_reset,
	.take_turn = view_take_turn,
	.give_turn = view_give_turn,
};

static struct view *view_new(const char *name, int interface, void (*gone)(void *), void *owner)
{
	struct view *view = calloc(1, sizeof(*view));

	if (!view)
		return NULL;
	view->name = strdup(name);
	if (!view->name) {
		free(view);
		return NULL;
	}
	view->claimed = -1;
	view->port.ops = &ops;
	view->port.interface = interface;
	view->port.gone = gone;
	view->port.owner = owner;
	return view;
}

/* With the lock held: VIEW becomes a user of the open device. */
static void attach(struct view *view, struct shared *shared)
{
	view->port.device = shared->port->device;
	view->port.configuration = shared->port->configuration;
	view->port.configuration_len = shared->port->configuration_len;
	view->port.bus = shared->port->bus;
	view->port.address = shared->port->address;
	memcpy(view->port.place, shared->port->place, sizeof(view->port.place));
	view->port.keeps_partial = shared->port->keeps_partial;
	view->port.framed = shared->port->framed;
	view->shared = shared;
	view->next = shared->views;
	shared->views = view;
	if (shared->gone && view->port.gone)
		view->port.gone(view->port.owner);
}

struct port *port_shared_open(const char *key, int interface, const char *name,
	struct port *(*open)(const char *name, void (*gone)(void *owner), void *owner),
	void (*gone)(void *owner), void *owner)
{
	struct view *view = view_new(name, interface, gone, owner);
	struct shared *shared;
	struct port *port = NULL;
	bool mine = false;

	if (!view)
		return NULL;
	pthread_mutex_lock(&lock);
	shared = find(key, &mine);
	if (mine && shared) {
		pthread_mutex_unlock(&lock);
		port = open(name, on_gone, shared);
		pthread_mutex_lock(&lock);
		shared->port = port;
		shared->moving = false;
		/* One that could not be opened is not to be found again. */
		shared->gone = shared->gone || !port;
		pthread_cond_broadcast(&moved);
	}
	while (shared && shared->moving)
		pthread_cond_wait(&moved, &lock);
	if (shared && shared->port) {
		attach(view, shared);
		pthread_mutex_unlock(&lock);
		return &view->port;
	}
	if (shared && !mine)
		log_line(LOG_ERROR, "device %s: could not be opened by its other reader", name);
	if (shared)
		drop(shared);
	pthread_mutex_unlock(&lock);
	free(view->name);
	free(view);
	return NULL;
}
