/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hostile clients: a few connections to a running server with one reader, which say what the input
 * says: whole requests about contexts and handles that exist, wrong ones, bytes of any kind, and
 * hanging up in the middle. Afterwards nothing of them may be left: no connection, no handle on the
 * reader, no lock, and a well-behaved client is served.
 */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <winscard.h>

#include "pcscd/cards/slot.h"
#include "pcscd/cards/slots.h"
#include "pcscd/peer.h"
#include "pcscd/clients/server.h"
#include "pcscd/clients/sessions.h"
#include "pcscd/clock.h"
#include "pcscd/log.h"
#include "pcscd/readers/readers.h"
#include "wire/wire.h"

#define CLIENTS  4
#define READER   "Fuzz 00 00"
#define WAIT_NS  (10 * CLOCK_S) /* for what must happen; longer is a find */
#define REPLY_MS 2              /* for a reply that may never come */

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

struct client {
	int fd;
	uint32_t context;
	int32_t card;
};

static void fail(const char *what)
{
	fprintf(stderr, "fuzz_session: %s\n", what);
	abort();
}

static void start_server(void)
{
	struct reader_spec spec = { .base_name = "Fuzz", .library = FUZZ_IFD, .device = "fuzz" };
	struct readers_callbacks callbacks = { 0 };
	struct server_config config;
	uint64_t id;

	server_defaults(&config);
	config.lease_ns = 5 * CLOCK_MS;
	config.handshake_ns = CLOCK_S;
	if (server_start(&config) < 0)
		fail("cannot start");
	readers_init(&callbacks, 20 * CLOCK_MS);
	if (readers_add(&spec, &id) != READERS_OK || !readers_settle(clock_now() + WAIT_NS))
		fail("no reader");
	DebugLogSetLevel(PCSC_LOG_CRITICAL);
}

static void connect_client(struct client *client)
{
	struct peer peer = { .pid = getpid(), .uid = getuid(), .gid = getgid() };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		fail("socketpair");
	if (!sessions_add(pair[1], &peer, WIRE_STATIC_STATES))
		fail("a connection was refused");
	*client = (struct client){ .fd = pair[0] };
}

/* Reads what has come; what looks like the handle asked for is remembered. */
static void read_reply(struct client *client, uint32_t command)
{
	struct pollfd ready = { .fd = client->fd, .events = POLLIN };
	union wire_body body;
	ssize_t got;

	if (poll(&ready, 1, REPLY_MS) <= 0)
		return;
	got = recv(client->fd, &body, sizeof(body), MSG_DONTWAIT);
	if (got <= 0) {
		close(client->fd);
		connect_client(client);
	} else if (command == WIRE_ESTABLISH_CONTEXT) {
		client->context = body.establish.hContext;
	} else if (command == WIRE_CONNECT) {
		client->card = body.connect.hCard;
	}
}

/* A request as a client would make it, with parts from the input. */
static void fill(const struct client *client, uint32_t command, const uint8_t random[4],
	union wire_body *body)
{
	memset(body, random[0] & 1 ? random[1] : 0, sizeof(*body));
	/* The handle is the first member of most. */
	body->status.hCard = client->card;
	switch (command) {
	case WIRE_ESTABLISH_CONTEXT:
		body->establish.dwScope = SCARD_SCOPE_SYSTEM;
		break;
	case WIRE_RELEASE_CONTEXT:
	case WIRE_CANCEL:
		body->release.hContext = client->context;
		break;
	case WIRE_CONNECT:
		body->connect.hContext = client->context;
		snprintf(body->connect.szReader, sizeof(body->connect.szReader), READER);
		body->connect.dwShareMode = random[2] % 4;
		body->connect.dwPreferredProtocols = random[3] % 8;
		break;
	case WIRE_RECONNECT:
		body->reconnect.dwShareMode = random[1] % 4;
		body->reconnect.dwPreferredProtocols = random[2] % 8;
		body->reconnect.dwInitialization = random[3] % 4;
		break;
	case WIRE_DISCONNECT:
	case WIRE_END_TRANSACTION:
		body->end.dwDisposition = random[1] % 4;
		break;
	case WIRE_TRANSMIT:
		body->transmit.ioSendPciProtocol = random[1] % 5;
		body->transmit.cbSendLength = random[2] % 8;
		body->transmit.pcbRecvLength = random[3];
		break;
	case WIRE_CONTROL:
		body->control.cbSendLength = random[2] % 8;
		body->control.cbRecvLength = random[3];
		break;
	case WIRE_VERSION:
		body->version.major = WIRE_VERSION_MAJOR;
		body->version.minor = random[1] % 8;
		body->version.rv = random[2] & 1 ? WIRE_EXT_HELLO : 0;
		break;
	case WIRE_EXT_WAIT:
		memset(&body->ext_wait, 0, sizeof(body->ext_wait));
		body->ext_wait.flags = random[1] & 1;
		body->ext_wait.events_seen = random[2] & 1 ? WIRE_EXT_SERIAL_ANY : random[3];
		break;
	default:
		break;
	}
}

static void send_request(struct client *client, uint32_t command, const uint8_t random[4])
{
	uint8_t bytes[WIRE_REQUEST_MAX + 16] = { 0 };
	union wire_body body;
	size_t length;

	fill(client, command, random, &body);
	length = wire_encode(command, random[0] & 2 ? WIRE_DIALECT_EXT : 6, &body, bytes);
	if (command == WIRE_TRANSMIT || command == WIRE_CONTROL) {
		/* Not command 02, which waits for its client to die, nor 03: the reader is to stay. */
		memset(bytes + length, 4 + random[0] % 8, 8);
		length += random[2] % 8;
	}
	if (random[0] & 4 && length > 1)
		length -= 1 + random[1] % (length - 1);
	send(client->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
	read_reply(client, command);
}

static void look(void *ctx, struct slot *slot)
{
	bool *free = ctx;

	slot_lock(slot);
	*free = slot->share.count == 0 && !slot->share.owner && !slot->share.turn &&
		!slot->share.first && !slot->share.recovering;
	slot_unlock(slot);
}

static void check_nothing_left(void)
{
	int64_t deadline = clock_now() + WAIT_NS;
	bool free = false;

	while (sessions_count() > 0 || !free) {
		if (clock_now() > deadline)
			fail("something is left behind");
		usleep(50);
		slots_each(look, &free);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static bool started;
	struct client clients[CLIENTS];

	if (!started)
		start_server();
	started = true;
	for (int i = 0; i < CLIENTS; i++)
		connect_client(&clients[i]);
	for (size_t at = 0; at + 6 <= size && at < 6 * 64; at += 6) {
		struct client *client = &clients[input[at] % CLIENTS];

		if (input[at] >= 0xF0) {
			close(client->fd);
			connect_client(client);
		} else if (input[at] >= 0xE0) {
			send(client->fd, input + at, 6, MSG_NOSIGNAL | MSG_DONTWAIT);
			read_reply(client, 0);
		} else {
			send_request(client, input[at + 1] % (WIRE_EXT_STOP + 1), input + at + 2);
		}
	}
	for (int i = 0; i < CLIENTS; i++)
		close(clients[i].fd);
	check_nothing_left();
	return 0;
}
