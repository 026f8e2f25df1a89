/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hostile USB/IP server with a hostile reader: it answers each request with the next piece of the
 * input, and closes when there is no more. The first byte chooses how much of a good start comes
 * before; a piece is either bytes as they are or the data of a return with the right number.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "ifd-ccid/bytes.h"
#include "ifd-ccid/deadline.h"
#include "ifd-ccid/device/device.h"
#include "spec/usb.h"
#include "spec/usbip.h"

static int listener = -1;
static char name[160];

static void listen_once(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char folder[] = "/tmp/fuzz-usbip-XXXXXX";

	if (listener >= 0)
		return;
	if (!mkdtemp(folder))
		abort();
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", folder);
	snprintf(name, sizeof(name), "usbip:unix:%s/1-1", address.sun_path);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
		listen(listener, 1) != 0)
		abort();
}

static const uint8_t good_device[USB_DEVICE_SIZE] = { 18, 1, 0, 2, 0, 0, 0, 64 };

static const uint8_t good_configuration[] = { 9, 2, 93, 0, 1, 1, 0, 0x80, 50, 9, 4, 0, 0, 3, 0x0B,
	0, 0, 0, 54, 0x21, 0x10, 0x01, 0, 7, 3, 0, 0, 0, 0xA0, 0x0F, 0, 0, 0xA0, 0x0F, 0, 0, 0,
	0x80, 0x25, 0, 0, 0x00, 0xC2, 0x01, 0x00, 0, 0xFE, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xBA,
	0x04, 0x02, 0, 0x0F, 0x01, 0, 0, 0xFF, 0xFF, 0, 0, 0, 1, 7, 5, 1, 2, 64, 0, 0, 7, 5, 0x82,
	2, 64, 0, 0, 7, 5, 0x83, 3, 8, 0, 10 };

struct server {
	const uint8_t *data; /* what is left of the input */
	size_t len;
	uint8_t start; /* bits: good answers to the first four requests */
	int fd;
};

static bool say(struct server *server, const uint8_t *bytes, size_t len)
{
	return send(server->fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static bool hear(struct server *server, uint8_t *bytes, size_t len)
{
	return recv(server->fd, bytes, len, MSG_WAITALL) == (ssize_t)len;
}

static bool say_return(
	struct server *server, const uint8_t *request, const uint8_t *data, size_t len)
{
	uint8_t header[USBIP_HEADER_SIZE] = { 0 };

	put_be32(header + USBIP_command, USBIP_RET_SUBMIT);
	memcpy(header + USBIP_seqnum, request + USBIP_seqnum, 4);
	put_be32(header + USBIP_RET_actual_length, (uint32_t)len);
	return say(server, header, sizeof(header)) && (len == 0 || say(server, data, len));
}

/* One byte: the kind in the highest bit, the length in the others. False: no more. */
static bool say_piece(struct server *server, const uint8_t *request)
{
	const uint8_t *piece = server->data + 1;
	size_t len;
	bool raw;

	if (server->len < 1)
		return false;
	raw = server->data[0] & 0x80;
	len = server->data[0] & 0x7F;
	if (len > server->len - 1)
		len = server->len - 1;
	server->data += len + 1;
	server->len -= len + 1;
	return raw || !request ? say(server, piece, len) : say_return(server, request, piece, len);
}

static bool say_import(struct server *server)
{
	uint8_t request[USBIP_REQ_IMPORT_SIZE];
	uint8_t import[USBIP_REP_IMPORT_SIZE] = { 0 };

	put_be16(import + USBIP_OP_code, USBIP_OP_REP_IMPORT);
	if (!hear(server, request, sizeof(request)))
		return false;
	return server->start & 1 ? say(server, import, sizeof(import)) : say_piece(server, NULL);
}

/* Answers one request, the NUMBERth. False: over. */
static bool serve_one(struct server *server, unsigned number)
{
	static const struct {
		const uint8_t *data;
		size_t len;
	} good[] = {
		{ good_device, sizeof(good_device) },
		{ good_configuration, sizeof(good_configuration) },
		{ NULL, 0 },
	};
	uint8_t request[USBIP_HEADER_SIZE];
	static uint8_t out[70000];
	size_t len;

	if (!hear(server, request, sizeof(request)))
		return false;
	len = be32(request + USBIP_SUBMIT_transfer_buffer_length);
	if (be32(request + USBIP_command) == USBIP_CMD_SUBMIT &&
		be32(request + USBIP_direction) == USBIP_DIR_OUT && len > 0 &&
		(len > sizeof(out) || !hear(server, out, len)))
		return false;
	if (number < 3 && server->start & 2U << number)
		return say_return(server, request, good[number].data, good[number].len);
	return say_piece(server, request);
}

static void *serve(void *arg)
{
	static const struct timeval quiet = { .tv_usec = 1000 };
	struct server *server = arg;
	unsigned number = 0;

	server->fd = accept(listener, NULL, NULL);
	if (server->fd < 0)
		abort();
	/* A client that waits for an answer which the input doesn't hold shall not wait long. */
	(void)setsockopt(server->fd, SOL_SOCKET, SO_RCVTIMEO, &quiet, sizeof(quiet));
	if (say_import(server))
		while (serve_one(server, number))
			number++;
	close(server->fd);
	return NULL;
}

static void use(struct device *device)
{
	static const uint8_t apdu[] = { 0, 0xB0, 0, 0, 0 };
	struct ccid_command command = {
		.type = PC_to_RDR_XfrBlock, .data = apdu, .len = sizeof(apdu)
	};
	struct ccid_patience patience = { .timeout_ms = 20, .ceiling_ms = 20 };
	struct ccid_answer answer;

	if (!device_slot_open(device, 0))
		return;
	device_call_begin(device, 0);
	for (int i = 0; i < 3; i++) {
		patience.end = deadline_in_ms(40);
		(void)device_exchange(device, 0, &command, &patience, false, &answer);
	}
	(void)device_presence(device, 0);
	device_call_end(device, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct server server = { .data = data + 1, .len = size - 1 };
	struct device *device;
	pthread_t thread;

	if (size < 1)
		return 0;
	server.start = data[0];
	listen_once();
	if (pthread_create(&thread, NULL, serve, &server) != 0)
		abort();
	device = device_open(name);
	if (device) {
		use(device);
		device_unref(device);
	}
	pthread_join(thread, NULL);
	return 0;
}
