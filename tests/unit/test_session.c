/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The server as its clients see it: bytes on a connection, with a reader whose driver does what it
 * is told (ifd_scripted.c). Each test has a server of its own, in this process.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ifdhandler.h>
#include <winscard.h>

#include "ifd_scripted.h"
#include "suite.h"
#include "pcscd/cards/slot.h"
#include "pcscd/cards/slots.h"
#include "pcscd/clients/peer.h"
#include "pcscd/clients/server.h"
#include "pcscd/clients/sessions.h"
#include "pcscd/clock.h"
#include "pcscd/log.h"
#include "pcscd/readers/readers.h"
#include "wire/wire.h"

#define READER   "Test 00 00"
#define LEASE_NS (2 * CLOCK_S)
#define GRACE_NS (300 * CLOCK_MS)
#define SOON_MS  60000 /* for what must come */
#define NEVER_MS 100   /* for what must not come */
#define CROWD    10
#define CROWD_NS (2 * CLOCK_S)

static atomic_bool reader_gone;

struct client {
	int fd;
	int dialect;
	uint32_t context;
	int32_t card;
	uint32_t protocol;
};

static void on_gone(void *ctx, uint64_t id, enum readers_end why, bool was_up)
{
	(void)ctx, (void)id;
	if (why == READERS_END_NO_DEVICE && was_up)
		atomic_store(&reader_gone, true);
}

static struct reader_spec spec = { .base_name = "Test", .library = IFD_SCRIPTED, .device = "1" };

static void setup(void)
{
	struct readers_callbacks callbacks = { .on_gone = on_gone };
	struct server_config config;
	uint64_t id;

	server_defaults(&config);
	DebugLogSetLevel(PCSC_LOG_CRITICAL);
	config.lease_ns = LEASE_NS;
	config.handshake_ns = 2 * CLOCK_S;
	config.max_handles_per_context = 4;
	ck_assert_int_eq(server_start(&config), 0);
	readers_init(&callbacks, GRACE_NS);
	ck_assert_int_eq(readers_add(&spec, &id), READERS_OK);
	ck_assert(readers_settle(clock_now() + 5 * CLOCK_S));
}

/* Stopping is a test, too: in time, and with nothing left running. */
static void teardown(void)
{
	int64_t deadline = clock_now() + 5 * CLOCK_S;

	ck_assert(server_stop(deadline));
	ck_assert(readers_stop(deadline));
	ck_assert(server_end(deadline));
}

static struct client dial(void)
{
	struct peer peer = { .pid = getpid(), .uid = getuid(), .gid = getgid() };
	struct client client = { .dialect = 6 };
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	ck_assert(sessions_add(pair[1], &peer, WIRE_STATIC_STATES));
	client.fd = pair[0];
	return client;
}

static void write_all(const struct client *client, const void *bytes, size_t length)
{
	ck_assert_int_eq(send(client->fd, bytes, length, MSG_NOSIGNAL), (ssize_t)length);
}

static bool is_readable(const struct client *client, int ms)
{
	struct pollfd ready = { .fd = client->fd, .events = POLLIN };

	return poll(&ready, 1, ms) == 1;
}

static void read_all(const struct client *client, void *bytes, size_t length)
{
	for (size_t at = 0; at < length;) {
		ssize_t got;

		ck_assert_msg(is_readable(client, SOON_MS), "no answer");
		got = recv(client->fd, (char *)bytes + at, length - at, 0);
		ck_assert_msg(got > 0, "the connection was closed");
		at += (size_t)got;
	}
}

static void assert_closed(const struct client *client)
{
	char byte;

	ck_assert_msg(is_readable(client, SOON_MS), "the connection was not closed");
	ck_assert_int_le(recv(client->fd, &byte, 1, 0), 0);
}

/* Dies, and returns when the server has noticed it. */
static void hang_up(const struct client *client)
{
	shutdown(client->fd, SHUT_WR);
	assert_closed(client);
	close(client->fd);
}

static void send_request(const struct client *client, uint32_t command, const union wire_body *body)
{
	uint8_t bytes[WIRE_REQUEST_MAX];
	size_t length = wire_encode(command, client->dialect, body, bytes);

	ck_assert_uint_gt(length, 0);
	write_all(client, bytes, length);
}

/* One request and its answer, in the same body. */
static void call(const struct client *client, uint32_t command, union wire_body *body)
{
	int size = wire_reply_size(command, client->dialect);

	ck_assert_int_gt(size, 0);
	send_request(client, command, body);
	read_all(client, body, (size_t)size);
}

static void establish(struct client *client)
{
	union wire_body body = { .version = { .major = 4, .minor = client->dialect } };

	call(client, WIRE_VERSION, &body);
	ck_assert_uint_eq(body.version.rv, SCARD_S_SUCCESS);
	body = (union wire_body){ .establish = { .dwScope = SCARD_SCOPE_SYSTEM } };
	call(client, WIRE_ESTABLISH_CONTEXT, &body);
	ck_assert_uint_eq(body.establish.rv, SCARD_S_SUCCESS);
	client->context = body.establish.hContext;
}

static uint32_t connect_card(struct client *client, uint32_t mode, uint32_t protocols)
{
	union wire_body body = { .connect = { .hContext = client->context,
					 .szReader = READER,
					 .dwShareMode = mode,
					 .dwPreferredProtocols = protocols } };

	call(client, WIRE_CONNECT, &body);
	client->card = body.connect.hCard;
	client->protocol = body.connect.dwActiveProtocol;
	return body.connect.rv;
}

/* A client with a shared handle. */
static struct client shared(void)
{
	struct client client = dial();

	establish(&client);
	ck_assert_uint_eq(
		connect_card(&client, SCARD_SHARE_SHARED, SCARD_PROTOCOL_ANY), SCARD_S_SUCCESS);
	return client;
}

static void ask_begin(const struct client *client)
{
	union wire_body body = { .begin = { .hCard = client->card } };

	send_request(client, WIRE_BEGIN_TRANSACTION, &body);
}

static uint32_t read_begin(const struct client *client)
{
	struct wire_begin reply;

	read_all(client, &reply, sizeof(reply));
	return reply.rv;
}

static uint32_t begin(const struct client *client)
{
	ask_begin(client);
	return read_begin(client);
}

static uint32_t end(const struct client *client, uint32_t disposition)
{
	union wire_body body = { .end = { client->card, disposition, 0 } };

	call(client, WIRE_END_TRANSACTION, &body);
	return body.end.rv;
}

static uint32_t reconnect(const struct client *client, uint32_t mode, uint32_t action)
{
	union wire_body body = { .reconnect = { .hCard = client->card,
					 .dwShareMode = mode,
					 .dwPreferredProtocols = SCARD_PROTOCOL_ANY,
					 .dwInitialization = action } };

	call(client, WIRE_RECONNECT, &body);
	return body.reconnect.rv;
}

static uint32_t disconnect(const struct client *client, uint32_t disposition)
{
	union wire_body body = { .disconnect = { client->card, disposition, 0 } };

	call(client, WIRE_DISCONNECT, &body);
	return body.disconnect.rv;
}

static void ask_transmit(const struct client *client, uint32_t protocol, const void *command,
	uint32_t length, uint32_t room)
{
	union wire_body body = { .transmit = { .hCard = client->card,
					 .ioSendPciProtocol = protocol,
					 .cbSendLength = length,
					 .pcbRecvLength = room } };

	send_request(client, WIRE_TRANSMIT, &body);
	write_all(client, command, length);
}

/* The answer goes to `answer`, its length to *length. */
static uint32_t transmit(const struct client *client, uint32_t protocol, const void *command,
	uint32_t size, void *answer, uint32_t *length)
{
	struct wire_transmit reply;

	ask_transmit(client, protocol, command, size, *length);
	read_all(client, &reply, sizeof(reply));
	*length = reply.pcbRecvLength;
	if (reply.rv == SCARD_S_SUCCESS)
		read_all(client, answer, reply.pcbRecvLength);
	return reply.rv;
}

/* A short exchange; just its result. */
static uint32_t exchange(const struct client *client)
{
	static const uint8_t command[] = { 0, 1, 2, 3 };
	uint8_t answer[16];
	uint32_t length = sizeof(answer);
	uint32_t rv = transmit(client, client->protocol, command, sizeof(command), answer, &length);

	if (rv == SCARD_S_SUCCESS)
		ck_assert_mem_eq(answer, "\x00\x01\x02\x03\x90\x00", 6);
	return rv;
}

static uint32_t attribute(
	const struct client *client, uint32_t command, uint32_t id, void *value, uint32_t length)
{
	union wire_body body = { .getset = { .hCard = client->card, .dwAttrId = id } };

	memcpy(body.getset.pbAttr, value, length);
	body.getset.cbAttrLen = command == WIRE_SET_ATTRIB ? length : WIRE_ATTR;
	call(client, command, &body);
	if (command == WIRE_GET_ATTRIB && body.getset.rv == SCARD_S_SUCCESS)
		memcpy(value, body.getset.pbAttr, length);
	return body.getset.rv;
}

struct counts {
	uint32_t commands, resets, ups, downs;
};

static struct counts counts_of(const struct client *client)
{
	struct counts counts = { 0 };

	ck_assert_uint_eq(
		attribute(client, WIRE_GET_ATTRIB, SCRIPTED_COUNTS, &counts, sizeof(counts)),
		SCARD_S_SUCCESS);
	return counts;
}

/* A handle that isn't disturbed by resets: for counts and for moving the card. */
static struct client observer(void)
{
	struct client client = dial();

	establish(&client);
	ck_assert_uint_eq(connect_card(&client, SCARD_SHARE_DIRECT, 0), SCARD_S_SUCCESS);
	return client;
}

static struct counts fresh_counts(void)
{
	struct client client = observer();
	struct counts counts = counts_of(&client);

	ck_assert_uint_eq(disconnect(&client, SCARD_LEAVE_CARD), SCARD_S_SUCCESS);
	close(client.fd);
	return counts;
}

static void get_states(const struct client *client, struct wire_reader_state *first)
{
	struct wire_states_size size;
	struct wire_reader_state other;

	send_request(client, WIRE_GET_READERS_STATE_SIZE, NULL);
	read_all(client, &size, sizeof(size));
	ck_assert_uint_eq(size.slots, 16);
	send_request(client, WIRE_GET_READERS_STATE_ARRAY, NULL);
	read_all(client, first, sizeof(*first));
	for (uint32_t i = 1; i < size.slots; i++)
		read_all(client, &other, sizeof(other));
}

/* Waits until the reader's state is this. */
static void await_state(uint32_t state)
{
	struct client client = dial();
	struct wire_reader_state now;
	struct wire_wait message;

	establish(&client);
	for (;;) {
		send_request(&client, WIRE_WAIT_READER_STATE_CHANGE, NULL);
		get_states(&client, &now);
		if (now.readerState == state)
			break;
		read_all(&client, &message, sizeof(message));
	}
	close(client.fd);
}

START_TEST(test_requests_in_one_piece_and_in_many)
{
	struct client client = dial();
	uint8_t bytes[2 * WIRE_REQUEST_MAX];
	union wire_body version = { .version = { .major = 4, .minor = 6 } };
	union wire_body establish_body = { .establish = { .dwScope = SCARD_SCOPE_SYSTEM } };
	size_t length = wire_encode(WIRE_VERSION, 6, &version, bytes);

	length += wire_encode(WIRE_ESTABLISH_CONTEXT, 6, &establish_body, bytes + length);
	write_all(&client, bytes, length);
	read_all(&client, &version, sizeof(version.version));
	read_all(&client, &establish_body, sizeof(establish_body.establish));
	ck_assert_uint_eq(version.version.rv, SCARD_S_SUCCESS);
	ck_assert_uint_ne(establish_body.establish.hContext, 0);
	for (size_t i = 0; i < length; i++)
		write_all(&client, bytes + i, 1);
	read_all(&client, &version, sizeof(version.version));
	read_all(&client, &establish_body, sizeof(establish_body.establish));
	ck_assert_uint_eq(establish_body.establish.rv, SCARD_S_SUCCESS);
	close(client.fd);
}
END_TEST

START_TEST(test_broken_protocol_closes_one_connection)
{
	struct client good = shared(), bad = dial();
	struct wire_header header = { .size = 99, .command = WIRE_CONNECT };
	union wire_body body = { .begin = { .hCard = good.card } };

	write_all(&bad, &header, sizeof(header));
	assert_closed(&bad);
	close(bad.fd);
	/* A handle of another connection is nobody's business. */
	bad = shared();
	send_request(&bad, WIRE_BEGIN_TRANSACTION, &body);
	assert_closed(&bad);
	close(bad.fd);
	/* Half a message, and then nothing. */
	bad = dial();
	write_all(&bad, &header, 5);
	assert_closed(&bad);
	close(bad.fd);
	ck_assert_uint_eq(exchange(&good), SCARD_S_SUCCESS);
	close(good.fd);
}
END_TEST

START_TEST(test_too_long_answer_is_kept)
{
	static const uint8_t command[] = { 1, 1, 0 };
	struct client client = shared();
	uint8_t answer[300];
	uint32_t length = 10;
	uint32_t before = counts_of(&client).commands;

	ck_assert_uint_eq(transmit(&client, client.protocol, command, 3, answer, &length),
		SCARD_E_INSUFFICIENT_BUFFER);
	ck_assert_uint_eq(length, 258);
	length = 257;
	ck_assert_uint_eq(transmit(&client, client.protocol, command, 3, answer, &length),
		SCARD_E_INSUFFICIENT_BUFFER);
	length = 258;
	ck_assert_uint_eq(
		transmit(&client, client.protocol, command, 3, answer, &length), SCARD_S_SUCCESS);
	ck_assert_uint_eq(answer[255], 0xA5);
	ck_assert_uint_eq(counts_of(&client).commands, before + 1);
	/* It is used up: the same command once more is run once more. */
	length = 258;
	ck_assert_uint_eq(
		transmit(&client, client.protocol, command, 3, answer, &length), SCARD_S_SUCCESS);
	ck_assert_uint_eq(counts_of(&client).commands, before + 2);
	/* Another command in between: it is gone. */
	length = 10;
	transmit(&client, client.protocol, command, 3, answer, &length);
	ck_assert_uint_eq(exchange(&client), SCARD_S_SUCCESS);
	length = 258;
	transmit(&client, client.protocol, command, 3, answer, &length);
	ck_assert_uint_eq(counts_of(&client).commands, before + 5);
	close(client.fd);
}
END_TEST

START_TEST(test_raw_leaves_others_their_protocol)
{
	struct client client = shared(), raw = dial();

	ck_assert_uint_eq(client.protocol, SCARD_PROTOCOL_T1);
	establish(&raw);
	ck_assert_uint_eq(
		connect_card(&raw, SCARD_SHARE_SHARED, SCARD_PROTOCOL_RAW), SCARD_S_SUCCESS);
	ck_assert_uint_eq(raw.protocol, SCARD_PROTOCOL_RAW);
	ck_assert_uint_eq(exchange(&raw), SCARD_S_SUCCESS);
	ck_assert_uint_eq(exchange(&client), SCARD_S_SUCCESS);
	close(client.fd);
	close(raw.fd);
}
END_TEST

START_TEST(test_protocols)
{
	struct client client = dial();

	establish(&client);
	ck_assert_uint_eq(connect_card(&client, SCARD_SHARE_SHARED, 0), SCARD_E_PROTO_MISMATCH);
	ck_assert_uint_eq(connect_card(&client, 9, 0), SCARD_E_PROTO_MISMATCH);
	ck_assert_uint_eq(connect_card(&client, 9, SCARD_PROTOCOL_T0), SCARD_E_INVALID_VALUE);
	ck_assert_uint_eq(
		connect_card(&client, SCARD_SHARE_SHARED, SCARD_PROTOCOL_T0), SCARD_S_SUCCESS);
	ck_assert_uint_eq(client.protocol, SCARD_PROTOCOL_T0);
	client.protocol = SCARD_PROTOCOL_T1;
	ck_assert_uint_eq(exchange(&client), SCARD_E_PROTO_MISMATCH);
	ck_assert_uint_eq(connect_card(&client, SCARD_SHARE_SHARED, SCARD_PROTOCOL_T1),
		SCARD_E_PROTO_MISMATCH);
	close(client.fd);
}
END_TEST

START_TEST(test_internal_attributes_are_not_for_clients)
{
	static const uint32_t ids[] = { TAG_IFD_SLOTNUM, TAG_IFD_THREAD_SAFE,
		TAG_IFD_SLOT_THREAD_SAFE, TAG_IFD_SLOTS_NUMBER, TAG_IFD_SIMULTANEOUS_ACCESS,
		TAG_IFD_POLLING_THREAD_KILLABLE, TAG_IFD_STOP_POLLING_THREAD,
		TAG_IFD_POLLING_THREAD_WITH_TIMEOUT, TAG_IFD_DEVICE_REMOVED, TAG_IFD_CARDWIRE_ABORT,
		TAG_IFD_CARDWIRE_CLIENT, TAG_IFD_CARDWIRE_CONTACTLESS };
	struct client client = shared();
	char value[sizeof(READER)] = "";

	for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
		ck_assert_uint_eq(attribute(&client, WIRE_GET_ATTRIB, ids[i], value, 1),
			SCARD_E_UNSUPPORTED_FEATURE);
		ck_assert_uint_eq(attribute(&client, WIRE_SET_ATTRIB, ids[i], value, 1),
			SCARD_E_UNSUPPORTED_FEATURE);
	}
	ck_assert_uint_eq(attribute(&client, WIRE_GET_ATTRIB, 0x7FFF0003, value, sizeof(value)),
		SCARD_S_SUCCESS);
	ck_assert_str_eq(value, READER);
	close(client.fd);
}
END_TEST

START_TEST(test_exclusive_and_back)
{
	struct client client = shared(), other = dial();

	establish(&other);
	ck_assert_uint_eq(
		reconnect(&client, SCARD_SHARE_EXCLUSIVE, SCARD_LEAVE_CARD), SCARD_S_SUCCESS);
	ck_assert_uint_eq(connect_card(&other, SCARD_SHARE_SHARED, SCARD_PROTOCOL_ANY),
		SCARD_E_SHARING_VIOLATION);
	ck_assert_uint_eq(connect_card(&other, SCARD_SHARE_DIRECT, 0), SCARD_E_SHARING_VIOLATION);
	ck_assert_uint_eq(end(&client, SCARD_LEAVE_CARD), SCARD_E_NOT_TRANSACTED);
	ck_assert_uint_eq(
		reconnect(&client, SCARD_SHARE_SHARED, SCARD_LEAVE_CARD), SCARD_S_SUCCESS);
	ck_assert_uint_eq(
		connect_card(&other, SCARD_SHARE_SHARED, SCARD_PROTOCOL_ANY), SCARD_S_SUCCESS);
	ck_assert_uint_eq(begin(&other), SCARD_S_SUCCESS);
	close(client.fd);
	close(other.fd);
}
END_TEST

/* Exclusive access begins when no call of others is under way any more. */
START_TEST(test_exclusive_waits_for_a_call)
{
	struct client busy = shared(), client = dial();
	union wire_body body = { .connect = { .szReader = READER,
					 .dwShareMode = SCARD_SHARE_EXCLUSIVE,
					 .dwPreferredProtocols = SCARD_PROTOCOL_ANY } };
	struct wire_connect reply;

	establish(&client);
	ask_transmit(&busy, busy.protocol, "\2", 1, 100);
	ck_assert(!is_readable(&busy, NEVER_MS));
	body.connect.hContext = client.context;
	send_request(&client, WIRE_CONNECT, &body);
	ck_assert(!is_readable(&client, NEVER_MS));
	close(busy.fd);
	read_all(&client, &reply, sizeof(reply));
	ck_assert_uint_eq(reply.rv, SCARD_S_SUCCESS);
	close(client.fd);
}
END_TEST

/* A refusal must not touch the card. */
START_TEST(test_refused_reconnect_does_not_reset)
{
	struct client client = shared(), other = shared();
	uint32_t before = counts_of(&client).resets;

	ck_assert_uint_eq(reconnect(&other, SCARD_SHARE_EXCLUSIVE, SCARD_RESET_CARD),
		SCARD_E_SHARING_VIOLATION);
	ck_assert_uint_eq(counts_of(&client).resets, before);
	ck_assert_uint_eq(exchange(&client), SCARD_S_SUCCESS);
	close(client.fd);
	close(other.fd);
}
END_TEST

START_TEST(test_reset_is_told_to_others)
{
	struct client client = shared(), other = shared();

	ck_assert_uint_eq(
		reconnect(&client, SCARD_SHARE_SHARED, SCARD_RESET_CARD), SCARD_S_SUCCESS);
	ck_assert_uint_eq(exchange(&client), SCARD_S_SUCCESS);
	ck_assert_uint_eq(exchange(&other), SCARD_W_RESET_CARD);
	ck_assert_uint_eq(begin(&other), SCARD_W_RESET_CARD);
	ck_assert_uint_eq(reconnect(&other, SCARD_SHARE_SHARED, SCARD_LEAVE_CARD), SCARD_S_SUCCESS);
	ck_assert_uint_eq(exchange(&other), SCARD_S_SUCCESS);
	ck_assert_uint_eq(exchange(&client), SCARD_S_SUCCESS);
	close(client.fd);
	close(other.fd);
}
END_TEST

START_TEST(test_queue_of_transactions)
{
	struct client first = shared(), second = shared(), third = shared();

	ck_assert_uint_eq(begin(&first), SCARD_S_SUCCESS);
	ask_begin(&second);
	ck_assert(!is_readable(&second, NEVER_MS));
	ask_begin(&third);
	ck_assert_uint_eq(exchange(&first), SCARD_S_SUCCESS);
	ck_assert_uint_eq(end(&first, SCARD_LEAVE_CARD), SCARD_S_SUCCESS);
	ck_assert_uint_eq(read_begin(&second), SCARD_S_SUCCESS);
	ck_assert(!is_readable(&third, 0));
	ck_assert_uint_eq(end(&second, SCARD_LEAVE_CARD), SCARD_S_SUCCESS);
	ck_assert_uint_eq(read_begin(&third), SCARD_S_SUCCESS);
	close(first.fd);
	close(second.fd);
	close(third.fd);
}
END_TEST

START_TEST(test_death_of_the_holder)
{
	struct client holder = shared(), waiter = shared();
	uint32_t before = counts_of(&waiter).resets;

	ck_assert_uint_eq(begin(&holder), SCARD_S_SUCCESS);
	ask_begin(&waiter);
	close(holder.fd);
	ck_assert_uint_eq(read_begin(&waiter), SCARD_W_RESET_CARD);
	ck_assert_uint_eq(
		reconnect(&waiter, SCARD_SHARE_SHARED, SCARD_LEAVE_CARD), SCARD_S_SUCCESS);
	ck_assert_uint_eq(begin(&waiter), SCARD_S_SUCCESS);
	ck_assert_uint_eq(counts_of(&waiter).resets, before + 1);
	close(waiter.fd);
}
END_TEST

START_TEST(test_death_outside_of_a_transaction)
{
	struct client client = shared(), other = shared();
	uint32_t before = counts_of(&other).resets;

	close(client.fd);
	ck_assert_uint_eq(exchange(&other), SCARD_S_SUCCESS);
	ck_assert_uint_eq(counts_of(&other).resets, before);
	close(other.fd);
}
END_TEST

START_TEST(test_death_of_a_waiter)
{
	struct client holder = shared(), dead = shared(), waiter = shared();

	ck_assert_uint_eq(begin(&holder), SCARD_S_SUCCESS);
	ask_begin(&dead);
	ck_assert(!is_readable(&dead, NEVER_MS));
	ask_begin(&waiter);
	hang_up(&dead);
	ck_assert_uint_eq(end(&holder, SCARD_LEAVE_CARD), SCARD_S_SUCCESS);
	ck_assert_uint_eq(read_begin(&waiter), SCARD_S_SUCCESS);
	close(holder.fd);
	close(waiter.fd);
}
END_TEST

/* The card never answers; its client dies; the next one is served within two seconds. */
START_TEST(test_death_in_a_driver_call)
{
	struct client stuck = shared(), other = shared();
	int64_t before;

	ask_transmit(&stuck, stuck.protocol, "\2", 1, 100);
	ck_assert(!is_readable(&stuck, NEVER_MS));
	before = clock_now();
	close(stuck.fd);
	ck_assert_uint_eq(exchange(&other), SCARD_S_SUCCESS);
	ck_assert_int_lt(clock_now() - before, 2 * CLOCK_S);
	close(other.fd);
}
END_TEST

START_TEST(test_silent_holder_is_evicted)
{
	struct client holder = shared(), waiter = shared(), late = dial();
	int64_t before = clock_now();

	establish(&late);
	ck_assert_uint_eq(begin(&holder), SCARD_S_SUCCESS);
	ask_begin(&waiter);
	ck_assert_uint_eq(
		connect_card(&late, SCARD_SHARE_SHARED, SCARD_PROTOCOL_ANY), SCARD_S_SUCCESS);
	ck_assert_int_ge(clock_now() - before, LEASE_NS);
	ck_assert_uint_eq(read_begin(&waiter), SCARD_W_RESET_CARD);
	ck_assert_uint_eq(exchange(&holder), SCARD_W_RESET_CARD);
	ck_assert_uint_eq(end(&holder, SCARD_LEAVE_CARD), SCARD_W_RESET_CARD);
	ck_assert_uint_eq(exchange(&late), SCARD_S_SUCCESS);
	close(holder.fd);
	close(waiter.fd);
	close(late.fd);
}
END_TEST

/* Two handles of one connection: the second can't wait for the first, whose End would come after. */
START_TEST(test_own_transaction_is_not_waited_for)
{
	struct client first = shared(), second = first;

	ck_assert_uint_eq(begin(&first), SCARD_S_SUCCESS);
	ck_assert_uint_eq(connect_card(&second, SCARD_SHARE_SHARED, SCARD_PROTOCOL_ANY),
		SCARD_E_SHARING_VIOLATION);
	ck_assert_uint_eq(end(&first, SCARD_LEAVE_CARD), SCARD_S_SUCCESS);
	ck_assert_uint_eq(
		connect_card(&second, SCARD_SHARE_SHARED, SCARD_PROTOCOL_ANY), SCARD_S_SUCCESS);
	ck_assert_uint_eq(begin(&first), SCARD_S_SUCCESS);
	ck_assert_uint_eq(begin(&second), SCARD_E_SHARING_VIOLATION);
	close(first.fd);
}
END_TEST

static void move_card_anyhow(const struct client *client, uint8_t present)
{
	attribute(client, WIRE_SET_ATTRIB, SCRIPTED_CARD, &present, 1);
}

/* A card that does not answer to reset is tried again by each connection. */
START_TEST(test_mute_card)
{
	struct client client = shared(), mover = observer();
	struct wire_reader_state state;
	uint8_t how = 2;

	attribute(&mover, WIRE_SET_ATTRIB, SCRIPTED_CARD, &how, 1);
	ck_assert_uint_eq(reconnect(&client, SCARD_SHARE_SHARED, SCARD_RESET_CARD),
		SCARD_W_UNRESPONSIVE_CARD);
	get_states(&client, &state);
	ck_assert_uint_eq(state.readerState, 0x0C);
	ck_assert_uint_eq(state.cardAtrLength, 0);
	ck_assert_uint_eq(connect_card(&client, SCARD_SHARE_SHARED, SCARD_PROTOCOL_ANY),
		SCARD_W_UNPOWERED_CARD);
	ck_assert_uint_eq(
		reconnect(&mover, SCARD_SHARE_DIRECT, SCARD_LEAVE_CARD), SCARD_W_UNRESPONSIVE_CARD);
	ck_assert_uint_eq(disconnect(&mover, SCARD_LEAVE_CARD), SCARD_S_SUCCESS);
	ck_assert_uint_eq(connect_card(&mover, SCARD_SHARE_DIRECT, 0), SCARD_S_SUCCESS);
	how = 1;
	attribute(&mover, WIRE_SET_ATTRIB, SCRIPTED_CARD, &how, 1);
	ck_assert_uint_eq(
		connect_card(&client, SCARD_SHARE_SHARED, SCARD_PROTOCOL_ANY), SCARD_S_SUCCESS);
	ck_assert_uint_eq(exchange(&client), SCARD_S_SUCCESS);
	close(client.fd);
	close(mover.fd);
}
END_TEST

START_TEST(test_two_slots)
{
	struct client client = shared();
	union wire_body body = { .connect = { .hContext = client.context,
					 .szReader = "Test 00 01",
					 .dwShareMode = SCARD_SHARE_EXCLUSIVE,
					 .dwPreferredProtocols = SCARD_PROTOCOL_ANY } };
	struct client other = client;
	uint32_t commands;

	call(&client, WIRE_CONNECT, &body);
	ck_assert_uint_eq(body.connect.rv, SCARD_S_SUCCESS);
	other.card = body.connect.hCard;
	commands = counts_of(&client).commands;
	ck_assert_uint_eq(begin(&client), SCARD_S_SUCCESS);
	ck_assert_uint_eq(exchange(&other), SCARD_S_SUCCESS);
	ck_assert_uint_eq(counts_of(&other).commands, 1);
	ck_assert_uint_eq(counts_of(&client).commands, commands);
	close(client.fd);
}
END_TEST

START_TEST(test_power_on_demand)
{
	struct client client = observer();
	struct wire_reader_state state;

	get_states(&client, &state);
	ck_assert_uint_eq(state.readerState, SCARD_PRESENT);
	ck_assert_uint_eq(counts_of(&client).ups, 0);
	ck_assert_uint_eq(
		connect_card(&client, SCARD_SHARE_SHARED, SCARD_PROTOCOL_ANY), SCARD_S_SUCCESS);
	get_states(&client, &state);
	ck_assert_uint_eq(state.readerState, 0x34);
	ck_assert_uint_eq(counts_of(&client).ups, 1);
	close(client.fd);
}
END_TEST

/* One of many clients that do whatever they like; whatever it is, each call is answered. */
static void *live(void *arg)
{
	unsigned seed = *(unsigned *)arg;
	int64_t until = clock_now() + CROWD_NS;
	struct client client = { .fd = -1 };
	union wire_body body;

	while (clock_now() < until) {
		int what = rand_r(&seed) % 16;

		if (client.fd < 0 || what == 0) {
			if (client.fd >= 0)
				close(client.fd);
			client = dial();
			establish(&client);
		}
		if (!client.card) {
			connect_card(&client, 1 + (uint32_t)rand_r(&seed) % 3, SCARD_PROTOCOL_ANY);
			continue;
		}
		body = (union wire_body){ .status = { .hCard = client.card } };
		if (what < 5)
			exchange(&client);
		else if (what < 8)
			begin(&client);
		else if (what < 11)
			end(&client, (uint32_t)rand_r(&seed) % 3);
		else if (what == 11)
			call(&client, WIRE_STATUS, &body);
		else if (what == 12)
			move_card_anyhow(&client, rand_r(&seed) % 4 != 0);
		else if (what < 15)
			reconnect(&client, 1 + (uint32_t)rand_r(&seed) % 3,
				(uint32_t)rand_r(&seed) % 3);
		else if (disconnect(&client, (uint32_t)rand_r(&seed) % 3) == SCARD_S_SUCCESS)
			client.card = 0;
	}
	close(client.fd);
	return NULL;
}

START_TEST(test_crowd)
{
	pthread_t threads[CROWD];
	unsigned seeds[CROWD];
	struct client client;

	for (unsigned i = 0; i < CROWD; i++) {
		seeds[i] = i;
		ck_assert_int_eq(pthread_create(&threads[i], NULL, live, &seeds[i]), 0);
	}
	for (unsigned i = 0; i < CROWD; i++)
		pthread_join(threads[i], NULL);
	/* A new card, because the old one may be without power. */
	client = observer();
	move_card_anyhow(&client, 0);
	await_state(SCARD_ABSENT);
	close(client.fd);
	client = observer();
	move_card_anyhow(&client, 1);
	close(client.fd);
	await_state(0x34);
	client = shared();
	ck_assert_uint_eq(exchange(&client), SCARD_S_SUCCESS);
	close(client.fd);
}
END_TEST

static void setup_two_slots(void)
{
	spec.device = "2";
	setup();
}

static void setup_on_demand(void)
{
	static const struct reader_power power = { .grace = -1, .on_demand = true };

	spec.power = &power;
	setup();
}

static void move_card(const struct client *client, uint8_t present)
{
	ck_assert_uint_eq(
		attribute(client, WIRE_SET_ATTRIB, SCRIPTED_CARD, &present, 1), SCARD_S_SUCCESS);
}

START_TEST(test_card_goes_and_comes)
{
	struct client client = shared(), mover = observer();
	struct wire_reader_state state;

	get_states(&client, &state);
	ck_assert_uint_eq(state.readerState, 0x34);
	ck_assert_uint_eq(state.eventCounter, 0);
	ck_assert_int_eq(state.readerSharing, 2);
	move_card(&mover, 0);
	await_state(SCARD_ABSENT);
	ck_assert_uint_eq(exchange(&client), SCARD_W_REMOVED_CARD);
	ck_assert_uint_eq(
		reconnect(&client, SCARD_SHARE_SHARED, SCARD_RESET_CARD), SCARD_E_NO_SMARTCARD);
	ck_assert_uint_eq(exchange(&client), SCARD_W_REMOVED_CARD);
	/* It is told of it like everybody else. */
	ck_assert_uint_eq(
		reconnect(&mover, SCARD_SHARE_DIRECT, SCARD_LEAVE_CARD), SCARD_E_NO_SMARTCARD);
	ck_assert_uint_eq(disconnect(&mover, SCARD_LEAVE_CARD), SCARD_S_SUCCESS);
	ck_assert_uint_eq(connect_card(&mover, SCARD_SHARE_DIRECT, 0), SCARD_S_SUCCESS);
	move_card(&mover, 1);
	await_state(0x34);
	get_states(&client, &state);
	ck_assert_uint_eq(state.eventCounter, 2);
	ck_assert_uint_eq(exchange(&client), SCARD_W_REMOVED_CARD);
	ck_assert_uint_eq(
		reconnect(&client, SCARD_SHARE_SHARED, SCARD_LEAVE_CARD), SCARD_S_SUCCESS);
	ck_assert_uint_eq(exchange(&client), SCARD_S_SUCCESS);
	close(client.fd);
	close(mover.fd);
}
END_TEST

/* A name of the administrator's, which the driver knows, for a reader from the bus only. */
START_TEST(test_name_of_the_driver)
{
	struct reader_spec plugged = spec;
	struct slot *slot;
	uint64_t id;

	plugged.base_name = "What it says of itself";
	plugged.device = "2";
	plugged.hotplug = true;
	ck_assert_int_eq(readers_add(&plugged, &id), READERS_OK);
	ck_assert(readers_settle(clock_now() + 5 * CLOCK_S));
	for (int i = 0; i < 2; i++) {
		slot = slots_by_name(i ? "Z\xC3\xA4hler. 01 01" : "Z\xC3\xA4hler. 01 00");
		ck_assert_ptr_nonnull(slot);
		slot_unref(slot);
	}
	slot = slots_by_name(READER);
	ck_assert_ptr_nonnull(slot);
	slot_unref(slot);
}
END_TEST

/* An event between a 4:6 client's registration and its states is told after the states. */
START_TEST(test_event_waits_for_the_states)
{
	struct client client = dial(), mover = observer();
	struct wire_reader_state state;
	struct wire_wait message;

	establish(&client);
	send_request(&client, WIRE_WAIT_READER_STATE_CHANGE, NULL);
	move_card(&mover, 0);
	await_state(SCARD_ABSENT);
	ck_assert(!is_readable(&client, NEVER_MS));
	get_states(&client, &state);
	ck_assert_str_eq(state.readerName, READER);
	read_all(&client, &message, sizeof(message));
	ck_assert_uint_eq(message.rv, SCARD_S_SUCCESS);
	/* The registration is used up. */
	send_request(&client, WIRE_STOP_WAITING, NULL);
	ck_assert(!is_readable(&client, NEVER_MS));
	close(client.fd);
	close(mover.fd);
}
END_TEST

START_TEST(test_cancel)
{
	struct client client = dial(), other = dial();
	union wire_body body = { .cancel = { .hContext = 1 } };
	struct wire_reader_state state;
	struct wire_wait message;

	establish(&client);
	call(&other, WIRE_CANCEL, &body);
	ck_assert_uint_eq(body.cancel.rv, SCARD_E_INVALID_HANDLE);
	send_request(&client, WIRE_WAIT_READER_STATE_CHANGE, NULL);
	get_states(&client, &state);
	body.cancel.hContext = (int32_t)client.context;
	call(&other, WIRE_CANCEL, &body);
	ck_assert_uint_eq(body.cancel.rv, SCARD_S_SUCCESS);
	read_all(&client, &message, sizeof(message));
	ck_assert_uint_eq(message.rv, SCARD_E_CANCELLED);
	close(client.fd);
	close(other.fd);
}
END_TEST

START_TEST(test_unused_card_is_powered_off)
{
	struct client client = shared();
	struct counts before = counts_of(&client), after;
	int64_t until = clock_now() + 5 * CLOCK_S;

	ck_assert_uint_eq(disconnect(&client, SCARD_LEAVE_CARD), SCARD_S_SUCCESS);
	do {
		after = fresh_counts();
	} while (after.downs == before.downs && clock_now() < until);
	ck_assert_uint_eq(after.downs, before.downs + 1);
	await_state(0x34);
	ck_assert_uint_eq(
		connect_card(&client, SCARD_SHARE_SHARED, SCARD_PROTOCOL_ANY), SCARD_S_SUCCESS);
	ck_assert_uint_eq(exchange(&client), SCARD_S_SUCCESS);
	ck_assert_uint_eq(counts_of(&client).ups, before.ups + 1);
	close(client.fd);
}
END_TEST

/* A client that doesn't read gets all its answers later, in order, and bothers nobody. */
START_TEST(test_answers_wait_for_a_slow_reader)
{
	enum {
		REQUESTS = 400,
		SLOTS = 16
	};
	struct client slow = dial(), quick = shared();
	struct wire_reader_state state;
	struct wire_header header = { .command = WIRE_GET_READERS_STATE_ARRAY };
	int sent = 0;

	establish(&slow);
	while (sent < REQUESTS &&
		send(slow.fd, &header, sizeof(header), MSG_DONTWAIT) == sizeof(header))
		sent++;
	ck_assert_int_gt(sent, 10);
	ck_assert_uint_eq(exchange(&quick), SCARD_S_SUCCESS);
	for (int i = 0; i < sent * SLOTS; i++) {
		read_all(&slow, &state, sizeof(state));
		ck_assert_str_eq(state.readerName, i % SLOTS ? "" : READER);
	}
	close(slow.fd);
	close(quick.fd);
}
END_TEST

START_TEST(test_reader_that_vanishes)
{
	struct client client = shared(), waiting = dial();
	struct wire_reader_state state;
	struct wire_wait message;
	uint8_t answer[16];
	uint32_t length = sizeof(answer);

	establish(&waiting);
	send_request(&waiting, WIRE_WAIT_READER_STATE_CHANGE, NULL);
	get_states(&waiting, &state);
	ck_assert_uint_eq(transmit(&client, client.protocol, "\3", 1, answer, &length),
		SCARD_E_READER_UNAVAILABLE);
	read_all(&waiting, &message, sizeof(message));
	ck_assert_uint_eq(begin(&client), SCARD_E_INVALID_VALUE);
	ck_assert_uint_eq(disconnect(&client, SCARD_RESET_CARD), SCARD_S_SUCCESS);
	for (int64_t until = clock_now() + 60 * CLOCK_S; clock_now() < until;) {
		if (atomic_load(&reader_gone))
			break;
		poll(NULL, 0, 1);
	}
	ck_assert(atomic_load(&reader_gone));
	get_states(&waiting, &state);
	ck_assert_str_eq(state.readerName, "");
	close(client.fd);
	close(waiting.fd);
}
END_TEST

/* ECONNRESET would be a denial for the client's library: it must read an end. */
START_TEST(test_stop_with_unread_requests)
{
	struct client holder = shared();
	struct client waiter = shared();
	union wire_body body = { .status = { .hCard = waiter.card } };
	char byte;

	ck_assert_uint_eq(begin(&holder), SCARD_S_SUCCESS);
	ask_begin(&waiter);
	ck_assert(!is_readable(&waiter, NEVER_MS));
	send_request(&waiter, WIRE_STATUS, &body);
	ck_assert(server_stop(clock_now() + 5 * CLOCK_S));
	ck_assert_int_eq(recv(waiter.fd, &byte, 1, 0), 0);
	ck_assert_int_eq(recv(holder.fd, &byte, 1, 0), 0);
	close(waiter.fd);
	close(holder.fd);
}
END_TEST

START_TEST(test_limit_of_handles)
{
	struct client client = shared();

	for (int i = 1; i < 4; i++)
		ck_assert_uint_eq(connect_card(&client, SCARD_SHARE_SHARED, SCARD_PROTOCOL_ANY),
			SCARD_S_SUCCESS);
	ck_assert_uint_eq(
		connect_card(&client, SCARD_SHARE_SHARED, SCARD_PROTOCOL_ANY), SCARD_E_NO_MEMORY);
	close(client.fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session");
	TCase *tests = tcase_create("server");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, test_requests_in_one_piece_and_in_many);
	tcase_add_test(tests, test_broken_protocol_closes_one_connection);
	tcase_add_test(tests, test_too_long_answer_is_kept);
	tcase_add_test(tests, test_raw_leaves_others_their_protocol);
	tcase_add_test(tests, test_protocols);
	tcase_add_test(tests, test_internal_attributes_are_not_for_clients);
	tcase_add_test(tests, test_exclusive_and_back);
	tcase_add_test(tests, test_exclusive_waits_for_a_call);
	tcase_add_test(tests, test_refused_reconnect_does_not_reset);
	tcase_add_test(tests, test_reset_is_told_to_others);
	tcase_add_test(tests, test_queue_of_transactions);
	tcase_add_test(tests, test_death_of_the_holder);
	tcase_add_test(tests, test_death_outside_of_a_transaction);
	tcase_add_test(tests, test_death_of_a_waiter);
	tcase_add_test(tests, test_death_in_a_driver_call);
	tcase_add_test(tests, test_silent_holder_is_evicted);
	tcase_add_test(tests, test_own_transaction_is_not_waited_for);
	tcase_add_test(tests, test_card_goes_and_comes);
	tcase_add_test(tests, test_name_of_the_driver);
	tcase_add_test(tests, test_event_waits_for_the_states);
	tcase_add_test(tests, test_cancel);
	tcase_add_test(tests, test_unused_card_is_powered_off);
	tcase_add_test(tests, test_answers_wait_for_a_slow_reader);
	tcase_add_test(tests, test_reader_that_vanishes);
	tcase_add_test(tests, test_limit_of_handles);
	tcase_add_test(tests, test_stop_with_unread_requests);
	tcase_add_test(tests, test_mute_card);
	tcase_add_test(tests, test_crowd);
	suite_add_tcase(suite, tests);
	tests = tcase_create("two slots");
	tcase_add_checked_fixture(tests, setup_two_slots, teardown);
	tcase_add_test(tests, test_two_slots);
	suite_add_tcase(suite, tests);
	tests = tcase_create("power on demand");
	tcase_add_checked_fixture(tests, setup_on_demand, teardown);
	tcase_add_test(tests, test_power_on_demand);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
