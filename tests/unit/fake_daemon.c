/* SPDX-License-Identifier: BSD-3-Clause */
#include "fake_daemon.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <pcsclite.h>

#define COMMANDS   0x44
#define PATIENCE_S 60

struct peer {
	struct fake *fake;
	struct peer *next;
	pthread_t thread;
	int fd;
	int dialect;
	bool open;
	bool registered; /* an event is due */
	bool parked;     /* a WIRE_EXT_WAIT is unanswered */
	struct wire_ext_wait wait;
	struct wire_ext_entry entries[FAKE_READERS];
};

struct fake {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t thread;
	const char *path;
	int listener;
	int dialect;
	bool stopping;
	struct peer *peers;
	struct wire_reader_state readers[FAKE_READERS];
	uint32_t serials[FAKE_READERS];
	uint32_t last_serial;
	uint32_t events;
	int32_t last_handle;
	unsigned transactions;
	unsigned requests[COMMANDS];
	unsigned override_times[COMMANDS];
	uint32_t override_rv[COMMANDS];
	uint32_t held;
	uint32_t rejected;
	uint32_t lie;
	bool hasty;
};

static void send_bytes(struct peer *peer, const void *bytes, size_t length)
{
	/* A peer that has gone is noticed by the next recv(). */
	(void)!send(peer->fd, bytes, length, MSG_NOSIGNAL);
}

/* The lock is held. */
static void send_event(struct peer *peer)
{
	struct wire_wait event = { 0 };

	peer->registered = false;
	send_bytes(peer, &event, sizeof(event));
}

/* The lock is held. */
static void send_states(struct peer *peer, unsigned slots)
{
	struct wire_reader_state states[WIRE_STATIC_STATES] = { 0 };

	memcpy(states, peer->fake->readers, sizeof(peer->fake->readers));
	send_bytes(peer, states, slots * sizeof(states[0]));
}

static uint32_t count_readers(const struct fake *fake)
{
	uint32_t count = 0;

	for (unsigned i = 0; i < FAKE_READERS; i++)
		count += fake->readers[i].readerName[0] != '\0';
	return count;
}

static bool differs(uint32_t seen, uint32_t serial)
{
	return seen != WIRE_EXT_SERIAL_ANY && seen != serial;
}

/* The lock is held. */
static void answer_wait(struct peer *peer, bool always)
{
	struct fake *fake = peer->fake;
	struct wire_ext_changes reply = { .events = fake->events, .readers = count_readers(fake) };
	struct wire_ext_change changes[FAKE_READERS] = { 0 };

	for (uint32_t i = 0; i < peer->wait.count; i++) {
		struct wire_ext_change change = {
			.index = i, .card = WIRE_EXT_SERIAL_GONE, .sharing = WIRE_EXT_SERIAL_GONE
		};

		for (unsigned r = 0; r < FAKE_READERS; r++) {
			if (strcmp(fake->readers[r].readerName, peer->entries[i].name) != 0)
				continue;
			change.state = fake->readers[r];
			change.card = change.sharing = fake->serials[r];
		}
		if (differs(peer->entries[i].card_seen, change.card) ||
			differs(peer->entries[i].sharing_seen, change.sharing))
			changes[reply.count++] = change;
	}
	if (!always && reply.count == 0 && !differs(peer->wait.events_seen, fake->events))
		return;
	peer->parked = false;
	send_bytes(peer, &reply, sizeof(reply));
	send_bytes(peer, changes, reply.count * sizeof(changes[0]));
}

static void do_version(struct peer *peer, union wire_body *body)
{
	struct wire_version request = body->version;
	int dialect = peer->fake->dialect;

	if (dialect == WIRE_DIALECT_EXT) {
		peer->dialect = wire_version_answer(&request, &body->version);
		return;
	}
	body->version.minor = dialect;
	body->version.rv = request.minor == dialect ? 0 : (uint32_t)SCARD_E_SERVICE_STOPPED;
}

/* The lock is held. Requests whose reply is not the request; false if it is another one. */
static bool do_query(struct peer *peer, const struct wire_request *request)
{
	struct fake *fake = peer->fake;
	struct wire_reader_events events = { .readerEvents = fake->events };
	uint32_t slots = FAKE_READERS;

	switch (request->command) {
	case WIRE_GET_READERS_STATE:
		send_states(peer, WIRE_STATIC_STATES);
		return true;
	case WIRE_GET_READERS_STATE_SIZE:
		send_bytes(peer, &slots, sizeof(slots));
		return true;
	case WIRE_GET_READERS_STATE_ARRAY:
		send_states(peer, FAKE_READERS);
		return true;
	case WIRE_GET_READER_EVENTS:
		send_bytes(peer, &events, sizeof(events));
		return true;
	case WIRE_WAIT_READER_STATE_CHANGE:
		peer->registered = true;
		if (wire_reply_size(request->command, peer->dialect) > 0)
			send_states(peer, WIRE_STATIC_STATES);
		else if (fake->hasty)
			send_event(peer);
		return true;
	case WIRE_STOP_WAITING:
		if (peer->registered)
			send_event(peer);
		return true;
	default:
		return false;
	}
}

/* The lock is held. */
static void send_names(struct peer *peer)
{
	struct wire_ext_list reply = { .events = peer->fake->events };
	char names[FAKE_READERS * WIRE_READERNAME];

	for (unsigned i = 0; i < FAKE_READERS; i++) {
		const char *name = peer->fake->readers[i].readerName;

		if (!name[0])
			continue;
		memcpy(names + reply.length, name, strlen(name) + 1);
		reply.length += (uint32_t)strlen(name) + 1;
		reply.readers++;
	}
	send_bytes(peer, &reply, sizeof(reply));
	send_bytes(peer, names, reply.length);
}

/* The lock is held. The same for the extension. */
static bool do_extension(struct peer *peer, const struct wire_request *request)
{
	struct wire_ext_status status = { .hCard = request->body.status.hCard };

	switch (request->command) {
	case WIRE_EXT_LIST:
		send_names(peer);
		return true;
	case WIRE_EXT_STATUS:
		status.state = peer->fake->readers[0];
		send_bytes(peer, &status, sizeof(status));
		return true;
	case WIRE_EXT_WAIT:
		peer->wait = request->body.ext_wait;
		peer->parked = true;
		for (uint32_t i = 0; i < peer->wait.count && i < FAKE_READERS; i++)
			wire_ext_entry_at(request, i, &peer->entries[i]);
		answer_wait(peer, peer->wait.flags & WIRE_EXT_NOW);
		return true;
	case WIRE_EXT_STOP:
		if (peer->parked)
			answer_wait(peer, true);
		return true;
	default:
		return false;
	}
}

/*
 * The lock is held. CONNECT with a name that no reader has is refused, and one that does not wait, if
 * there is a transaction.
 */
static void do_connect(struct fake *fake, struct wire_connect *connect)
{
	if (connect->rv == WIRE_EXT_TRY && fake->transactions > 0) {
		connect->rv = (uint32_t)SCARD_E_SHARING_VIOLATION;
		return;
	}
	connect->rv = 0;
	for (unsigned i = 0; i < FAKE_READERS; i++) {
		if (connect->szReader[0] &&
			strcmp(fake->readers[i].readerName, connect->szReader) == 0) {
			connect->hCard = ++fake->last_handle;
			connect->dwActiveProtocol = SCARD_PROTOCOL_T1;
			return;
		}
	}
	connect->rv = (uint32_t)SCARD_E_UNKNOWN_READER;
}

static void set_rv(uint32_t command, union wire_body *body, uint32_t rv)
{
	uint8_t *bytes = (uint8_t *)body;
	int size = wire_body_size(command, WIRE_DIALECT_EXT);

	memcpy(bytes + size - sizeof(rv), &rv, sizeof(rv));
}

/* The lock is held. Requests that come back with their results filled in. */
static void do_call(struct peer *peer, struct wire_request *request)
{
	struct fake *fake = peer->fake;
	union wire_body *body = &request->body;
	struct wire_transmit *transmit = &body->transmit;
	bool overridden = fake->override_times[request->command] > 0;
	size_t tail = 0;

	if (overridden) {
		fake->override_times[request->command]--;
		set_rv(request->command, body, fake->override_rv[request->command]);
	} else if (request->command == WIRE_VERSION) {
		do_version(peer, body);
	} else if (request->command == WIRE_ESTABLISH_CONTEXT) {
		body->establish.hContext = (uint32_t)++fake->last_handle;
	} else if (request->command == WIRE_CONNECT) {
		do_connect(fake, &body->connect);
	} else if (request->command == WIRE_BEGIN_TRANSACTION) {
		fake->transactions++;
	} else if (request->command == WIRE_END_TRANSACTION) {
		fake->transactions -= fake->transactions > 0;
	} else if (request->command == WIRE_GET_ATTRIB) {
		body->getset.cbAttrLen = 3;
		memcpy(body->getset.pbAttr, "abc", 3);
	} else if (request->command == WIRE_CONTROL) {
		tail = request->tail_length;
		body->control.dwBytesReturned = (uint32_t)tail;
	} else if (request->command == WIRE_TRANSMIT) {
		tail = request->tail_length + 2;
		if (tail > transmit->pcbRecvLength) {
			transmit->rv = (uint32_t)SCARD_E_INSUFFICIENT_BUFFER;
		}
		transmit->pcbRecvLength = (uint32_t)tail + fake->lie;
		tail = transmit->rv ? 0 : tail;
	}
	send_bytes(peer, body, (size_t)wire_reply_size(request->command, peer->dialect));
	if (tail > 0)
		send_bytes(peer, request->tail, request->tail_length);
	if (tail > request->tail_length)
		send_bytes(peer, "\x90\x00", 2);
}

static void handle(struct peer *peer, struct wire_request *request)
{
	struct fake *fake = peer->fake;

	pthread_mutex_lock(&fake->lock);
	fake->requests[request->command]++;
	pthread_cond_broadcast(&fake->changed);
	while (fake->held == request->command && !fake->stopping)
		pthread_cond_wait(&fake->changed, &fake->lock);
	if (fake->rejected == request->command &&
		!(request->command == WIRE_EXT_WAIT && request->body.ext_wait.flags))
		shutdown(peer->fd, SHUT_RDWR);
	else if (!do_query(peer, request) && !do_extension(peer, request))
		do_call(peer, request);
	pthread_mutex_unlock(&fake->lock);
}

static void *serve(void *argument)
{
	static const size_t size = WIRE_MESSAGE_MAX;
	struct peer *peer = argument;
	uint8_t *bytes = malloc(size);
	size_t length = 0;
	ssize_t n;

	while ((n = recv(peer->fd, bytes + length, size - length, 0)) > 0) {
		struct wire_request request;
		size_t used;

		length += (size_t)n;
		while (wire_decode(bytes, length, peer->dialect, &request, &used) == WIRE_OK) {
			handle(peer, &request);
			length -= used;
			memmove(bytes, bytes + used, length);
		}
	}
	free(bytes);
	pthread_mutex_lock(&peer->fake->lock);
	peer->open = false;
	peer->registered = peer->parked = false;
	pthread_cond_broadcast(&peer->fake->changed);
	close(peer->fd);
	pthread_mutex_unlock(&peer->fake->lock);
	return NULL;
}

static void *accept_peers(void *argument)
{
	struct fake *fake = argument;
	int fd;

	while ((fd = accept4(fake->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		struct peer *peer = calloc(1, sizeof(*peer));

		pthread_mutex_lock(&fake->lock);
		*peer = (struct peer){ .fake = fake,
			.next = fake->peers,
			.fd = fd,
			.dialect = fake->dialect,
			.open = true };
		fake->peers = peer;
		pthread_create(&peer->thread, NULL, serve, peer);
		if (fake->stopping)
			shutdown(fd, SHUT_RDWR);
		pthread_cond_broadcast(&fake->changed);
		pthread_mutex_unlock(&fake->lock);
	}
	return NULL;
}

struct fake *fake_new(const char *path, int dialect)
{
	struct fake *fake = calloc(1, sizeof(*fake));

	pthread_mutex_init(&fake->lock, NULL);
	pthread_cond_init(&fake->changed, NULL);
	fake->path = path;
	fake->dialect = dialect;
	fake->events = 1;
	fake->last_handle = 1000;
	fake->last_serial = 1;
	for (unsigned i = 0; i < FAKE_READERS; i++)
		fake->readers[i].cardAtrLength = WIRE_ATR_NONE;
	return fake;
}

void fake_listen(struct fake *fake)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = fake->path;

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	unlink(path);
	fake->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(fake->listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
		listen(fake->listener, 16) != 0 || chmod(path, 0666) != 0)
		abort();
	pthread_create(&fake->thread, NULL, accept_peers, fake);
}

struct fake *fake_start(const char *path, int dialect)
{
	struct fake *fake = fake_new(path, dialect);

	fake_listen(fake);
	return fake;
}

void fake_stop(struct fake *fake)
{
	pthread_mutex_lock(&fake->lock);
	fake->stopping = true;
	for (struct peer *peer = fake->peers; peer; peer = peer->next) {
		if (peer->open)
			shutdown(peer->fd, SHUT_RDWR);
	}
	pthread_cond_broadcast(&fake->changed);
	pthread_mutex_unlock(&fake->lock);
	shutdown(fake->listener, SHUT_RDWR);
	pthread_join(fake->thread, NULL);
	close(fake->listener);
	unlink(fake->path);
	while (fake->peers) {
		struct peer *peer = fake->peers;

		fake->peers = peer->next;
		pthread_join(peer->thread, NULL);
		free(peer);
	}
	free(fake);
}

void fake_set_reader(struct fake *fake, unsigned index, const char *name, uint32_t state,
	int32_t sharing, uint32_t counter)
{
	struct wire_reader_state *reader = &fake->readers[index];

	pthread_mutex_lock(&fake->lock);
	if (!reader->readerName[0] != !name[0])
		fake->events++;
	if (!(state & SCARD_PRESENT))
		fake->transactions = 0;
	*reader = (struct wire_reader_state){ .eventCounter = counter,
		.readerState = state,
		.readerSharing = sharing,
		.cardAtr = { 0x3B, 0x80, 0x01, 0x81 },
		.cardAtrLength = state & SCARD_PRESENT ? 4 : 0,
		.cardProtocol = state & SCARD_PRESENT ? SCARD_PROTOCOL_T1 : 0 };
	strncpy(reader->readerName, name, sizeof(reader->readerName) - 1);
	fake->serials[index] = ++fake->last_serial;
	for (struct peer *peer = fake->peers; peer; peer = peer->next) {
		if (peer->registered)
			send_event(peer);
		if (peer->parked)
			answer_wait(peer, false);
	}
	pthread_mutex_unlock(&fake->lock);
}

void fake_answer(struct fake *fake, uint32_t command, uint32_t rv, unsigned times)
{
	pthread_mutex_lock(&fake->lock);
	fake->override_rv[command] = rv;
	fake->override_times[command] = times;
	pthread_mutex_unlock(&fake->lock);
}

void fake_hold(struct fake *fake, uint32_t command)
{
	pthread_mutex_lock(&fake->lock);
	fake->held = command;
	pthread_cond_broadcast(&fake->changed);
	pthread_mutex_unlock(&fake->lock);
}

void fake_reject(struct fake *fake, uint32_t command)
{
	pthread_mutex_lock(&fake->lock);
	fake->rejected = command;
	pthread_mutex_unlock(&fake->lock);
}

void fake_lie(struct fake *fake, uint32_t bytes)
{
	pthread_mutex_lock(&fake->lock);
	fake->lie = bytes;
	pthread_mutex_unlock(&fake->lock);
}

void fake_hasty_events(struct fake *fake, bool hasty)
{
	pthread_mutex_lock(&fake->lock);
	fake->hasty = hasty;
	pthread_mutex_unlock(&fake->lock);
}

unsigned fake_requests(struct fake *fake, uint32_t command)
{
	unsigned count;

	pthread_mutex_lock(&fake->lock);
	count = fake->requests[command];
	pthread_mutex_unlock(&fake->lock);
	return count;
}

/* The lock is held. */
static unsigned count_peers(const struct fake *fake)
{
	unsigned count = 0;

	for (const struct peer *peer = fake->peers; peer; peer = peer->next)
		count += peer->open;
	return count;
}

unsigned fake_connections(struct fake *fake)
{
	unsigned count;

	pthread_mutex_lock(&fake->lock);
	count = count_peers(fake);
	pthread_mutex_unlock(&fake->lock);
	return count;
}

bool fake_await(struct fake *fake, uint32_t command, unsigned count)
{
	struct timespec until;
	int result = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_S;
	pthread_mutex_lock(&fake->lock);
	while (fake->requests[command] < count && result == 0)
		result = pthread_cond_timedwait(&fake->changed, &fake->lock, &until);
	pthread_mutex_unlock(&fake->lock);
	return result == 0;
}

bool fake_await_connections(struct fake *fake, unsigned count)
{
	struct timespec until;
	int result = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_S;
	pthread_mutex_lock(&fake->lock);
	while (count_peers(fake) != count && result == 0)
		result = pthread_cond_timedwait(&fake->changed, &fake->lock, &until);
	pthread_mutex_unlock(&fake->lock);
	return result == 0;
}
