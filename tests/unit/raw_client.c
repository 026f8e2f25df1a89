/* SPDX-License-Identifier: BSD-3-Clause */
#include "raw_client.h"

#include <poll.h>
#include <semaphore.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <winscard.h>

#include "ifd_scripted.h"
#include "suite.h"
#include "pcscd/peer.h"
#include "pcscd/clients/server.h"
#include "pcscd/clients/sessions.h"
#include "pcscd/log.h"

#define GRACE_NS (300 * CLOCK_MS)

static sem_t gone;

static void on_gone(void *ctx, uint64_t id, enum readers_end why, bool was_up)
{
	(void)ctx, (void)id;
	if (why == READERS_END_NO_DEVICE && was_up)
		sem_post(&gone);
}

void raw_serve(const char *slots, const struct reader_power *power)
{
	struct reader_spec spec = {
		.base_name = "Test", .library = IFD_SCRIPTED, .device = slots, .power = power
	};
	struct readers_callbacks callbacks = { .on_gone = on_gone };
	struct server_config config;
	uint64_t id;

	DebugLogSetLevel(PCSC_LOG_CRITICAL);
	ck_assert_int_eq(sem_init(&gone, 0, 0), 0);
	server_defaults(&config);
	config.lease_ns = RAW_LEASE_NS;
	config.handshake_ns = 2 * CLOCK_S;
	config.max_handles_per_context = RAW_HANDLES;
	config.max_kept_per_user = RAW_KEPT;
	ck_assert_int_eq(server_start(&config), 0);
	readers_init(&callbacks, GRACE_NS);
	ck_assert_int_eq(readers_add(&spec, &id), READERS_OK);
	ck_assert(readers_settle(clock_now() + RAW_SOON));
}

void raw_setup(void)
{
	raw_serve("1", NULL);
}

void raw_teardown(void)
{
	int64_t deadline = clock_now() + RAW_SOON;

	ck_assert(server_stop(deadline));
	ck_assert(readers_stop(deadline));
	ck_assert(server_end(deadline));
}

void raw_await_gone(void)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += RAW_SOON / CLOCK_S;
	ck_assert_msg(sem_timedwait(&gone, &until) == 0, "the reader is still there");
}

struct raw_client raw_dial(void)
{
	struct peer peer = { .pid = getpid(), .uid = getuid(), .gid = getgid() };
	struct raw_client client = { .dialect = 6 };
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	ck_assert(sessions_add(pair[1], &peer, WIRE_STATIC_STATES));
	client.fd = pair[0];
	return client;
}

void raw_write(const struct raw_client *client, const void *bytes, size_t length)
{
	ck_assert_int_eq(send(client->fd, bytes, length, MSG_NOSIGNAL), (ssize_t)length);
}

bool raw_is_readable(const struct raw_client *client, int ms)
{
	struct pollfd ready = { .fd = client->fd, .events = POLLIN };

	return poll(&ready, 1, ms) == 1;
}

void raw_read(const struct raw_client *client, void *bytes, size_t length)
{
	for (size_t at = 0; at < length;) {
		ssize_t got;

		ck_assert_msg(raw_is_readable(client, RAW_SOON / CLOCK_MS), "no answer");
		got = recv(client->fd, (char *)bytes + at, length - at, 0);
		ck_assert_msg(got > 0, "the connection was closed");
		at += (size_t)got;
	}
}

void raw_assert_closed(const struct raw_client *client)
{
	char byte;

	ck_assert_msg(
		raw_is_readable(client, RAW_SOON / CLOCK_MS), "the connection was not closed");
	ck_assert_int_le(recv(client->fd, &byte, 1, 0), 0);
}

void raw_hang_up(const struct raw_client *client)
{
	shutdown(client->fd, SHUT_WR);
	raw_assert_closed(client);
	close(client->fd);
}

void raw_send(const struct raw_client *client, uint32_t command, const union wire_body *body)
{
	uint8_t bytes[WIRE_REQUEST_MAX];
	size_t length = wire_encode(command, client->dialect, body, bytes);

	ck_assert_uint_gt(length, 0);
	raw_write(client, bytes, length);
}

void raw_call(const struct raw_client *client, uint32_t command, union wire_body *body)
{
	int size = wire_reply_size(command, client->dialect);

	ck_assert_int_gt(size, 0);
	raw_send(client, command, body);
	raw_read(client, body, (size_t)size);
}

void raw_establish(struct raw_client *client)
{
	union wire_body body = { .version = { .major = 4, .minor = client->dialect } };

	raw_call(client, WIRE_VERSION, &body);
	ck_assert_uint_eq(body.version.rv, SCARD_S_SUCCESS);
	body = (union wire_body){ .establish = { .dwScope = SCARD_SCOPE_SYSTEM } };
	raw_call(client, WIRE_ESTABLISH_CONTEXT, &body);
	ck_assert_uint_eq(body.establish.rv, SCARD_S_SUCCESS);
	client->context = body.establish.hContext;
}

uint32_t raw_connect(struct raw_client *client, uint32_t mode, uint32_t protocols)
{
	union wire_body body = { .connect = { .hContext = client->context,
					 .szReader = RAW_READER,
					 .dwShareMode = mode,
					 .dwPreferredProtocols = protocols } };

	raw_call(client, WIRE_CONNECT, &body);
	client->card = body.connect.hCard;
	client->protocol = body.connect.dwActiveProtocol;
	return body.connect.rv;
}

struct raw_client raw_shared(void)
{
	struct raw_client client = raw_dial();

	raw_establish(&client);
	ck_assert_uint_eq(
		raw_connect(&client, SCARD_SHARE_SHARED, SCARD_PROTOCOL_ANY), SCARD_S_SUCCESS);
	return client;
}

struct raw_client raw_observer(void)
{
	struct raw_client client = raw_dial();

	raw_establish(&client);
	ck_assert_uint_eq(raw_connect(&client, SCARD_SHARE_DIRECT, 0), SCARD_S_SUCCESS);
	return client;
}

void raw_ask_begin(const struct raw_client *client)
{
	union wire_body body = { .begin = { .hCard = client->card } };

	raw_send(client, WIRE_BEGIN_TRANSACTION, &body);
}

uint32_t raw_read_begin(const struct raw_client *client)
{
	struct wire_begin reply;

	raw_read(client, &reply, sizeof(reply));
	return reply.rv;
}

uint32_t raw_begin(const struct raw_client *client)
{
	raw_ask_begin(client);
	return raw_read_begin(client);
}

uint32_t raw_end(const struct raw_client *client, uint32_t disposition)
{
	union wire_body body = { .end = { client->card, disposition, 0 } };

	raw_call(client, WIRE_END_TRANSACTION, &body);
	return body.end.rv;
}

uint32_t raw_reconnect(const struct raw_client *client, uint32_t mode, uint32_t action)
{
	union wire_body body = { .reconnect = { .hCard = client->card,
					 .dwShareMode = mode,
					 .dwPreferredProtocols = SCARD_PROTOCOL_ANY,
					 .dwInitialization = action } };

	raw_call(client, WIRE_RECONNECT, &body);
	return body.reconnect.rv;
}

uint32_t raw_disconnect(const struct raw_client *client, uint32_t disposition)
{
	union wire_body body = { .disconnect = { client->card, disposition, 0 } };

	raw_call(client, WIRE_DISCONNECT, &body);
	return body.disconnect.rv;
}

void raw_ask_transmit(const struct raw_client *client, uint32_t protocol, const void *command,
	uint32_t length, uint32_t room)
{
	union wire_body body = { .transmit = { .hCard = client->card,
					 .ioSendPciProtocol = protocol,
					 .cbSendLength = length,
					 .pcbRecvLength = room } };

	raw_send(client, WIRE_TRANSMIT, &body);
	raw_write(client, command, length);
}

uint32_t raw_transmit(const struct raw_client *client, uint32_t protocol, const void *command,
	uint32_t size, void *answer, uint32_t *length)
{
	struct wire_transmit reply;

	raw_ask_transmit(client, protocol, command, size, *length);
	raw_read(client, &reply, sizeof(reply));
	*length = reply.pcbRecvLength;
	if (reply.rv == SCARD_S_SUCCESS)
		raw_read(client, answer, reply.pcbRecvLength);
	return reply.rv;
}

uint32_t raw_exchange(const struct raw_client *client)
{
	static const uint8_t command[] = { 0, 1, 2, 3 };
	uint8_t answer[16];
	uint32_t length = sizeof(answer);
	uint32_t rv =
		raw_transmit(client, client->protocol, command, sizeof(command), answer, &length);

	if (rv == SCARD_S_SUCCESS)
		ck_assert_mem_eq(answer, "\x00\x01\x02\x03\x90\x00", 6);
	return rv;
}

uint32_t raw_attribute(const struct raw_client *client, uint32_t command, uint32_t id, void *value,
	uint32_t length)
{
	union wire_body body = { .getset = { .hCard = client->card, .dwAttrId = id } };

	memcpy(body.getset.pbAttr, value, length);
	body.getset.cbAttrLen = command == WIRE_SET_ATTRIB ? length : WIRE_ATTR;
	raw_call(client, command, &body);
	if (command == WIRE_GET_ATTRIB && body.getset.rv == SCARD_S_SUCCESS)
		memcpy(value, body.getset.pbAttr, length);
	return body.getset.rv;
}

struct raw_counts raw_counts_of(const struct raw_client *client)
{
	struct raw_counts counts = { 0 };

	ck_assert_uint_eq(
		raw_attribute(client, WIRE_GET_ATTRIB, SCRIPTED_COUNTS, &counts, sizeof(counts)),
		SCARD_S_SUCCESS);
	return counts;
}

void raw_get_states(const struct raw_client *client, struct wire_reader_state *first)
{
	struct wire_states_size size;
	struct wire_reader_state other;

	raw_send(client, WIRE_GET_READERS_STATE_SIZE, NULL);
	raw_read(client, &size, sizeof(size));
	ck_assert_uint_eq(size.slots, 16);
	raw_send(client, WIRE_GET_READERS_STATE_ARRAY, NULL);
	raw_read(client, first, sizeof(*first));
	for (uint32_t i = 1; i < size.slots; i++)
		raw_read(client, &other, sizeof(other));
}

void raw_await_state(uint32_t state)
{
	struct raw_client client = raw_dial();
	struct wire_reader_state now;
	struct wire_wait message;

	raw_establish(&client);
	for (;;) {
		raw_send(&client, WIRE_WAIT_READER_STATE_CHANGE, NULL);
		raw_get_states(&client, &now);
		if (now.readerState == state)
			break;
		raw_read(&client, &message, sizeof(message));
	}
	close(client.fd);
}
