/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_usbip.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connect.h"
#include "ifd-ccid/bytes.h"
#include "ifd-ccid/deadline.h"
#include "ifd-ccid/log.h"
#include "port_shared.h"
#include "usbip_link.h"

enum {
	REQUEST_MS = 3000, /* for a standard control request */
	CONFIGURATION_GUESS = 1024,
};

static void usbip_close(struct port *port)
{
	struct usbip *u = usbip_of(port);
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
	struct usbip *u = usbip_of(port);
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
	return request(usbip_of(port), USB_DIR_OUT | USB_TYPE_STANDARD | USB_RECIP_ENDPOINT,
		USB_REQ_CLEAR_FEATURE, USB_FEATURE_ENDPOINT_HALT, endpoint, NULL, 0, NULL);
}

/* USB/IP has no message for it; servers of Linux take the request a hub would get for its port. */
static enum port_status usbip_reset(struct port *port)
{
	enum {
		PORT_RESET = 4
	};
	struct usbip *u = usbip_of(port);
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
	if (!usbip_send(u, &iov, 1))
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
	if (pthread_create(&u->thread, NULL, usbip_events, u) != 0)
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
