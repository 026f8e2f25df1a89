/* SPDX-License-Identifier: BSD-3-Clause */
/* Clients that would keep the server from serving others, or that die at a bad moment. */
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <ifdhandler.h>
#include <reader.h>
#include <winscard.h>

#include "ifd_scripted.h"
#include "raw_client.h"
#include "suite.h"
#include "pcscd/cards/slots.h"
#include "pcscd/cards/events.h"
#include "pcscd/clients/server.h"
#include "pcscd/clock.h"
#include "pcscd/readers/readers.h"

#define VERIFY_PIN (0x42330000 + FEATURE_VERIFY_PIN_DIRECT)
#define SOON_MS    60000 /* for what must come */
#define FLOOD      8192  /* requests that are written at once */
#define FLOODED    100   /* times, before others come */
#define CALMING    200   /* requests after which one thread serves all */
#define ROUNDS     50    /* of a client beside one that floods */
#define CROWD_SIZE 100

#define TURNED_AWAY 20

/* A thread that ends; joined by ended_soon(). */
struct helper {
	pthread_t thread;
	atomic_bool ended;
	atomic_bool stop;
	atomic_uint rounds;
	const struct raw_client *client;
};

static bool ended_soon(struct helper *helper)
{
	int64_t until = clock_now() + SOON_MS * CLOCK_MS;

	while (!atomic_load(&helper->ended) && clock_now() < until)
		poll(NULL, 0, 1);
	return atomic_load(&helper->ended);
}

/* A function of the driver, to be called past the server. */
static void *driver_function(const char *name)
{
	static void *driver;

	if (!driver)
		driver = dlopen(IFD_SCRIPTED, RTLD_LAZY);
	ck_assert_ptr_nonnull(driver);
	return dlsym(driver, name);
}

/* How often the server has aborted a call of the reader. */
static uint32_t aborts(void)
{
	void *symbol = driver_function("IFDHGetCapabilities");
	RESPONSECODE (*get)(DWORD lun, DWORD tag, PDWORD length, PUCHAR value);
	uint32_t counts[5];
	DWORD length = sizeof(counts);

	memcpy(&get, &symbol, sizeof(get));
	ck_assert_int_eq(get(0, SCRIPTED_COUNTS, &length, (PUCHAR)counts), IFD_SUCCESS);
	ck_assert_uint_eq(length, sizeof(counts));
	return counts[4];
}

/* Ends command 20. */
static void touch_card(void)
{
	void *symbol = driver_function("IFDHSetCapabilities");
	RESPONSECODE (*set)(DWORD lun, DWORD tag, DWORD length, PUCHAR value);
	UCHAR there = 1;

	memcpy(&set, &symbol, sizeof(set));
	ck_assert_int_eq(set(0, SCRIPTED_CARD, 1, &there), IFD_SUCCESS);
}

static void *raise_event(void *argument)
{
	struct helper *helper = argument;

	events_raise(RAW_READER);
	atomic_store(&helper->ended, true);
	return NULL;
}

/* With the list of readers in use by somebody. */
static void raise_beside(void *ctx, struct slot *slot)
{
	struct helper *helper = ctx;

	(void)slot;
	ck_assert_int_eq(pthread_create(&helper->thread, NULL, raise_event, helper), 0);
	ck_assert_msg(ended_soon(helper), "an event waits for a lock");
}

/*
 * A client waits for events, has a call in the driver, and dies; the call goes on. Telling events is
 * not the moment to do something about it: whoever tells them may hold locks.
 */
START_TEST(test_event_for_a_dead_client)
{
	struct raw_client dead = raw_shared();
	struct wire_reader_state state;
	struct helper helper = { 0 };
	int64_t until = clock_now() + SOON_MS * CLOCK_MS;

	raw_send(&dead, WIRE_WAIT_READER_STATE_CHANGE, NULL);
	raw_get_states(&dead, &state);
	raw_ask_transmit(&dead, dead.protocol, "\x20", 1, 100);
	ck_assert(!raw_is_readable(&dead, RAW_NEVER_MS));
	close(dead.fd);
	while (aborts() == 0 && clock_now() < until)
		poll(NULL, 0, 1);
	ck_assert_uint_gt(aborts(), 0);
	slots_each(raise_beside, &helper);
	pthread_join(helper.thread, NULL);
	touch_card();
}
END_TEST

/* As many requests without an answer as the socket takes, again and again. */
static void *flood(void *argument)
{
	static struct wire_header requests[FLOOD];
	struct helper *helper = argument;

	for (size_t i = 0; i < FLOOD; i++)
		requests[i].command = WIRE_STOP_WAITING;
	while (!atomic_load(&helper->stop) &&
		send(helper->client->fd, requests, sizeof(requests), MSG_NOSIGNAL) > 0)
		atomic_fetch_add(&helper->rounds, 1);
	return NULL;
}

static void ask_events(const struct raw_client *client)
{
	union wire_body body;

	raw_call(client, WIRE_GET_READER_EVENTS, &body);
	ck_assert_uint_eq(body.reader_events.rv, SCARD_S_SUCCESS);
}

/*
 * A client that sends without end does not keep others waiting: neither those who ask for what takes
 * no time, so that one thread serves all (see pool.h), nor others.
 */
START_TEST(test_flood)
{
	struct raw_client busy = raw_dial(), other = raw_shared();
	struct helper helper = { .client = &busy };

	raw_establish(&busy);
	for (int i = 0; i < CALMING; i++)
		ask_events(&other);
	ck_assert_int_eq(pthread_create(&helper.thread, NULL, flood, &helper), 0);
	while (atomic_load(&helper.rounds) < FLOODED)
		poll(NULL, 0, 1);
	for (int i = 0; i < ROUNDS; i++) {
		ask_events(&other);
		if (i % 2)
			ck_assert_uint_eq(raw_exchange(&other), SCARD_S_SUCCESS);
	}
	atomic_store(&helper.stop, true);
	shutdown(busy.fd, SHUT_RDWR);
	pthread_join(helper.thread, NULL);
	close(busy.fd);
	close(other.fd);
}
END_TEST

/* Each request of a crowd of them is answered, and in order, though not in one go. */
START_TEST(test_many_requests_at_once)
{
	struct raw_client client = raw_dial();
	union wire_body body = { .establish = { .dwScope = SCARD_SCOPE_SYSTEM } };
	struct wire_establish reply;

	for (int i = 0; i < CROWD_SIZE; i++) {
		body.establish.dwScope = i % 2 ? SCARD_SCOPE_SYSTEM : 99;
		raw_send(&client, WIRE_ESTABLISH_CONTEXT, &body);
	}
	for (int i = 0; i < CROWD_SIZE; i++) {
		raw_read(&client, &reply, sizeof(reply));
		ck_assert_uint_eq(reply.rv, i % 2 ? SCARD_S_SUCCESS : SCARD_E_INVALID_VALUE);
	}
	/* And it is served as before. */
	raw_establish(&client);
	close(client.fd);
}
END_TEST

/* The place of a socket without a file. */
static socklen_t place(struct sockaddr_un *address)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			   (size_t)snprintf(address->sun_path + 1, sizeof(address->sun_path) - 1,
				   "test_session_hostile-%d", (int)getpid()));
}

/* A socket at which clients may queue. */
static int listen_somewhere(void)
{
	struct sockaddr_un address;
	socklen_t length = place(&address);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, length), 0);
	ck_assert_int_eq(listen(fd, 2 * CROWD_SIZE), 0);
	return fd;
}

static struct raw_client new_socket(void)
{
	struct raw_client client = { .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
		.dialect = 6 };

	ck_assert_int_ge(client.fd, 0);
	return client;
}

static void connect_socket(const struct raw_client *client)
{
	struct sockaddr_un address;
	socklen_t length = place(&address);

	ck_assert_int_eq(connect(client->fd, (struct sockaddr *)&address, length), 0);
}

static struct raw_client dial_in(void)
{
	struct raw_client client = new_socket();

	connect_socket(&client);
	return client;
}

/* All who wait at the door are let in. */
START_TEST(test_crowd_at_the_door)
{
	static struct raw_client clients[CROWD_SIZE];
	int fd = listen_somewhere();

	for (size_t i = 0; i < CROWD_SIZE; i++)
		clients[i] = dial_in();
	ck_assert_int_eq(server_listen(fd, WIRE_STATIC_STATES), 0);
	for (size_t i = CROWD_SIZE; i-- > 0;)
		raw_establish(&clients[i]);
	for (size_t i = 0; i < CROWD_SIZE; i++)
		close(clients[i].fd);
}
END_TEST

/* Drivers that use select() must not get high descriptors because there are many clients. */
START_TEST(test_low_descriptors_are_left)
{
	struct rlimit limit;
	struct raw_client client;
	int before, after;

	ck_assert_int_eq(server_listen(listen_somewhere(), WIRE_STATIC_STATES), 0);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_cur <= FD_SETSIZE + CROWD_SIZE)
		return;
	client = new_socket();
	before = fcntl(client.fd, F_DUPFD_CLOEXEC, 0);
	close(before);
	connect_socket(&client);
	raw_establish(&client);
	after = fcntl(client.fd, F_DUPFD_CLOEXEC, 0);
	close(after);
	ck_assert_int_eq(after, before);
	after = fcntl(client.fd, F_DUPFD_CLOEXEC, FD_SETSIZE);
	close(after);
	ck_assert_int_gt(after, FD_SETSIZE);
	close(client.fd);
}
END_TEST

/*
 * When descriptors have run out, clients are turned away at once; when there are some again, they are
 * served.
 */
START_TEST(test_no_descriptors_left)
{
	enum {
		LIMIT = 200
	};
	struct rlimit limit = { .rlim_cur = LIMIT, .rlim_max = LIMIT };
	struct raw_client clients[TURNED_AWAY], late;
	int fds[LIMIT];
	int count = 0;

	ck_assert_int_eq(server_listen(listen_somewhere(), WIRE_STATIC_STATES), 0);
	for (size_t i = 0; i < TURNED_AWAY; i++)
		clients[i] = new_socket();
	late = new_socket();
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	while (count < LIMIT && (fds[count] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		count++;
	ck_assert_int_lt(count, LIMIT);
	for (size_t i = 0; i < TURNED_AWAY; i++)
		connect_socket(&clients[i]);
	for (size_t i = 0; i < TURNED_AWAY; i++)
		raw_assert_closed(&clients[i]);
	while (count > 0)
		close(fds[--count]);
	connect_socket(&late);
	raw_establish(&late);
	for (size_t i = 0; i < TURNED_AWAY; i++)
		close(clients[i].fd);
	close(late.fd);
}
END_TEST

/* A PIN that is to be typed in, once another's call is over: that is not waited for. */
START_TEST(test_cancel_in_the_queue)
{
	struct raw_client stuck = raw_shared(), client = raw_shared(), other = raw_dial();
	union wire_body body = { .control = { client.card, .dwControlCode = VERIFY_PIN } };
	union wire_body cancel = { .cancel = { .hContext = (int32_t)client.context } };
	struct wire_control reply;

	raw_ask_transmit(&stuck, stuck.protocol, "\2", 1, 100);
	ck_assert(!raw_is_readable(&stuck, RAW_NEVER_MS));
	raw_send(&client, WIRE_CONTROL, &body);
	ck_assert(!raw_is_readable(&client, RAW_NEVER_MS));
	raw_call(&other, WIRE_CANCEL, &cancel);
	ck_assert_uint_eq(cancel.cancel.rv, SCARD_S_SUCCESS);
	raw_read(&client, &reply, sizeof(reply));
	ck_assert_uint_eq(reply.rv, SCARD_E_CANCELLED);
	ck_assert(!raw_is_readable(&stuck, 0));
	/* The next one is not meant. */
	raw_send(&client, WIRE_CONTROL, &body);
	ck_assert(!raw_is_readable(&client, RAW_NEVER_MS));
	close(stuck.fd);
	raw_read(&client, &reply, sizeof(reply));
	ck_assert_uint_eq(reply.rv, SCARD_E_UNSUPPORTED_FEATURE);
	ck_assert_uint_eq(raw_exchange(&client), SCARD_S_SUCCESS);
	close(client.fd);
	close(other.fd);
}
END_TEST

/* Other requests in the queue are none that SCardCancel ends. */
START_TEST(test_cancel_of_others_in_the_queue)
{
	struct raw_client stuck = raw_shared(), client = raw_shared(), other = raw_dial();
	union wire_body cancel = { .cancel = { .hContext = (int32_t)client.context } };
	struct wire_transmit reply;
	uint8_t answer[3];

	raw_ask_transmit(&stuck, stuck.protocol, "\2", 1, 100);
	ck_assert(!raw_is_readable(&stuck, RAW_NEVER_MS));
	raw_ask_transmit(&client, client.protocol, "\5", 1, sizeof(answer));
	ck_assert(!raw_is_readable(&client, RAW_NEVER_MS));
	raw_call(&other, WIRE_CANCEL, &cancel);
	ck_assert(!raw_is_readable(&client, RAW_NEVER_MS));
	close(stuck.fd);
	raw_read(&client, &reply, sizeof(reply));
	ck_assert_uint_eq(reply.rv, SCARD_S_SUCCESS);
	ck_assert_uint_eq(reply.pcbRecvLength, sizeof(answer));
	raw_read(&client, answer, sizeof(answer));
	ck_assert_mem_eq(answer, "\5\x90\0", 3);
	close(client.fd);
	close(other.fd);
}
END_TEST

static struct raw_client extended(void)
{
	struct raw_client client = raw_dial();
	union wire_body body = { 0 };

	wire_version_ask(&body.version, 0);
	raw_call(&client, WIRE_VERSION, &body);
	ck_assert_uint_eq(body.version.rv, WIRE_EXT_WELCOME);
	client.dialect = WIRE_DIALECT_EXT;
	return client;
}

/* Waits for as many readers as one may, none of which there is; the server may hang up meanwhile. */
static void wait_for_many(const struct raw_client *client, uint32_t flags)
{
	static struct wire_ext_entry entries[WIRE_EXT_ENTRIES_MAX];
	union wire_body body = { .ext_wait = { .count = WIRE_EXT_ENTRIES_MAX,
					 .flags = flags,
					 .events_seen = WIRE_EXT_SERIAL_ANY } };
	const uint8_t *bytes = (const uint8_t *)entries;
	ssize_t sent = 1;

	for (size_t i = 0; i < WIRE_EXT_ENTRIES_MAX; i++) {
		snprintf(entries[i].name, sizeof(entries[i].name), "%zu", i);
		entries[i].card_seen = entries[i].sharing_seen = WIRE_EXT_SERIAL_GONE;
	}
	raw_send(client, WIRE_EXT_WAIT, &body);
	for (size_t at = 0; at < sizeof(entries) && sent > 0; at += (size_t)sent)
		sent = send(client->fd, bytes + at, sizeof(entries) - at, MSG_NOSIGNAL);
}

/* What the connections of one user may keep in memory is bounded; who goes, gives it back. */
START_TEST(test_much_is_kept)
{
	enum {
		TOO_MANY = 1 + RAW_KEPT / (WIRE_EXT_ENTRIES_MAX * sizeof(struct wire_ext_entry))
	};
	struct raw_client clients[TOO_MANY], late;
	struct pollfd ends[TOO_MANY];
	struct wire_ext_changes changes;

	for (size_t i = 0; i < TOO_MANY; i++) {
		clients[i] = extended();
		wait_for_many(&clients[i], 0);
		ends[i] = (struct pollfd){ .fd = clients[i].fd, .events = POLLIN };
	}
	ck_assert_int_gt(poll(ends, TOO_MANY, SOON_MS), 0);
	for (size_t i = 0; i < TOO_MANY; i++)
		raw_hang_up(&clients[i]);
	late = extended();
	wait_for_many(&late, WIRE_EXT_NOW);
	raw_read(&late, &changes, sizeof(changes));
	ck_assert_uint_eq(changes.rv, SCARD_S_SUCCESS);
	ck_assert_uint_eq(changes.count, 0);
	close(late.fd);
}
END_TEST

/* Who says that it believes to hold the transaction itself is told at once that there is one. */
START_TEST(test_connect_that_does_not_wait)
{
	struct raw_client holder = raw_shared(), client = extended();
	union wire_body body = { 0 };

	raw_call(&client, WIRE_ESTABLISH_CONTEXT, &body);
	client.context = body.establish.hContext;
	ck_assert_uint_eq(raw_begin(&holder), SCARD_S_SUCCESS);
	for (int i = 0; i < 2; i++) {
		int64_t before = clock_now();

		body = (union wire_body){ .connect = { .hContext = client.context,
						  .szReader = RAW_READER,
						  .dwShareMode = SCARD_SHARE_SHARED,
						  .dwPreferredProtocols = SCARD_PROTOCOL_ANY,
						  .rv = WIRE_EXT_TRY } };
		raw_call(&client, WIRE_CONNECT, &body);
		ck_assert_int_lt(clock_now() - before, RAW_LEASE_NS);
		ck_assert_uint_eq(body.connect.rv, i ? SCARD_S_SUCCESS : SCARD_E_SHARING_VIOLATION);
		if (i == 0)
			ck_assert_uint_eq(raw_end(&holder, SCARD_LEAVE_CARD), SCARD_S_SUCCESS);
	}
	close(holder.fd);
	close(client.fd);
}
END_TEST

/* Between its two questions there come more readers than the client was told of. */
START_TEST(test_more_readers_between_questions)
{
	struct reader_spec many = { .base_name = "Many", .library = IFD_SCRIPTED, .device = "9" };
	struct raw_client client = raw_dial();
	struct wire_states_size size, more;
	struct wire_reader_state state;
	uint64_t id;

	raw_establish(&client);
	raw_send(&client, WIRE_GET_READERS_STATE_SIZE, NULL);
	raw_read(&client, &size, sizeof(size));
	ck_assert_int_eq(readers_add(&many, &id), READERS_OK);
	many.device = "9 more";
	ck_assert_int_eq(readers_add(&many, &id), READERS_OK);
	ck_assert(readers_settle(clock_now() + 5 * CLOCK_S));
	ck_assert_uint_gt(slots_places(), size.slots);
	raw_send(&client, WIRE_GET_READERS_STATE_ARRAY, NULL);
	raw_send(&client, WIRE_GET_READERS_STATE_SIZE, NULL);
	for (uint32_t i = 0; i < size.slots; i++)
		raw_read(&client, &state, sizeof(state));
	raw_read(&client, &more, sizeof(more));
	ck_assert_uint_eq(more.slots, slots_places());
	close(client.fd);
}
END_TEST

/* An idle server that is to end takes no clients, and one that isn't idle goes on. */
START_TEST(test_retire)
{
	struct raw_client client;
	struct pollfd waiting;
	int64_t until = clock_now() + SOON_MS * CLOCK_MS;
	int fd = listen_somewhere();
	bool retired;

	ck_assert_int_eq(server_listen(fd, WIRE_STATIC_STATES), 0);
	client = dial_in();
	raw_establish(&client);
	ck_assert(!server_retire());
	raw_hang_up(&client);
	client = dial_in();
	raw_establish(&client);
	ck_assert(!server_retire());
	raw_hang_up(&client);
	/* The client sees the end of its connection before the server has done with it. */
	while (!(retired = server_retire()) && clock_now() < until)
		poll(NULL, 0, 1);
	ck_assert(retired);
	client = dial_in();
	waiting = (struct pollfd){ .fd = fd, .events = POLLIN };
	ck_assert_int_eq(poll(&waiting, 1, SOON_MS), 1);
	ck_assert(!raw_is_readable(&client, RAW_NEVER_MS));
	close(client.fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("hostile clients");
	TCase *tests = tcase_create("server");

	tcase_add_checked_fixture(tests, raw_setup, raw_teardown);
	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, test_event_for_a_dead_client);
	tcase_add_test(tests, test_flood);
	tcase_add_test(tests, test_many_requests_at_once);
	tcase_add_test(tests, test_crowd_at_the_door);
	tcase_add_test(tests, test_low_descriptors_are_left);
	tcase_add_test(tests, test_no_descriptors_left);
	tcase_add_test(tests, test_cancel_in_the_queue);
	tcase_add_test(tests, test_cancel_of_others_in_the_queue);
	tcase_add_test(tests, test_much_is_kept);
	tcase_add_test(tests, test_connect_that_does_not_wait);
	tcase_add_test(tests, test_more_readers_between_questions);
	tcase_add_test(tests, test_retire);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
