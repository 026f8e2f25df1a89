/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/clients/polkit.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "pcscd/clock.h"

#define US_PER_S               UINT64_C(1000000)
#define ALLOW_USER_INTERACTION 1 /* flag of CheckAuthorization */

#define AUTHORITY                                                                                  \
	"org.freedesktop.PolicyKit1", "/org/freedesktop/PolicyKit1/Authority",                     \
		"org.freedesktop.PolicyKit1.Authority"
#define CANCEL_ID 32 /* bytes */

/* A question that was asked, or is taken back; in the queue, then in flight. */
struct asked {
	struct asked *next;
	bool cancel; /* those with this ticket that came before are taken back */
	struct polkit *polkit;
	sd_bus_slot *slot; /* in flight: dropping it drops the call */
	struct polkit_question question;
	char *reader;
};

struct polkit {
	polkit_callback callback;
	void *context;
	uint64_t timeout_us;
	pthread_t thread;
	int wake; /* eventfd */

	pthread_mutex_t lock;
	bool stop;
	struct asked *queue; /* newest first */

	/* The thread's own */
	sd_bus *bus;
	struct asked *flying;
};

static void asked_free(struct asked *asked)
{
	sd_bus_slot_unref(asked->slot);
	free(asked->reader);
	free(asked);
}

static void answer(struct asked *asked, enum polkit_answer verdict, const char *why)
{
	struct polkit *polkit = asked->polkit;

	polkit->callback(polkit->context, &asked->question, verdict, why);
	asked_free(asked);
}

static void take_off(struct polkit *polkit, struct asked *asked)
{
	struct asked **link = &polkit->flying;

	while (*link != asked)
		link = &(*link)->next;
	*link = asked->next;
}

/* An error of polkit's own is about the question; any other says that there is nobody to ask. */
static void answer_error(struct asked *asked, const sd_bus_error *error)
{
	static const char own[] = "org.freedesktop.PolicyKit1.Error.";
	bool refused = strncmp(error->name, own, sizeof(own) - 1) == 0;

	answer(asked, refused ? POLKIT_NO : POLKIT_ABSENT,
		error->message ? error->message : error->name);
}

static int on_reply(sd_bus_message *reply, void *context, sd_bus_error *error)
{
	struct asked *asked = context;
	int authorized = 0;

	(void)error;
	take_off(asked->polkit, asked);
	if (sd_bus_message_is_method_error(reply, NULL))
		answer_error(asked, sd_bus_message_get_error(reply));
	else if (sd_bus_message_enter_container(reply, 'r', "bba{ss}") <= 0 ||
		 sd_bus_message_read(reply, "b", &authorized) <= 0)
		answer(asked, POLKIT_ABSENT, "polkit's answer cannot be read");
	else
		answer(asked, authorized ? POLKIT_YES : POLKIT_NO, "");
	return 0;
}

/* What polkit knows a question by, among those of this bus connection. */
static const char *cancel_id(uint64_t ticket, char id[CANCEL_ID])
{
	snprintf(id, CANCEL_ID, "pcscd-%" PRIu64, ticket);
	return id;
}

/* Subject, action and details, as CheckAuthorization wants them. */
static int write_question(sd_bus_message *call, const struct polkit_question *question)
{
	char id[CANCEL_ID];
	int r = sd_bus_message_append(call, "(sa{sv})s", "unix-process", 3, "pid", "u",
		(uint32_t)question->pid, "start-time", "t", question->start_time, "uid", "i",
		(int32_t)question->uid, question->action);

	if (r >= 0 && question->reader)
		r = sd_bus_message_append(call, "a{ss}", 1, "reader", question->reader);
	else if (r >= 0)
		r = sd_bus_message_append(call, "a{ss}", 0);
	if (r >= 0)
		r = sd_bus_message_append(call, "us", (uint32_t)ALLOW_USER_INTERACTION,
			cancel_id(question->ticket, id));
	return r;
}

static int send_question(struct polkit *polkit, struct asked *asked)
{
	sd_bus_message *call = NULL;
	int r = sd_bus_message_new_method_call(polkit->bus, &call, AUTHORITY, "CheckAuthorization");

	if (r >= 0)
		r = write_question(call, &asked->question);
	if (r >= 0)
		r = sd_bus_call_async(
			polkit->bus, &asked->slot, call, on_reply, asked, polkit->timeout_us);
	sd_bus_message_unref(call);
	return r;
}

/* Clients name readers by any bytes; the bus takes UTF-8 only. */
static void make_ascii(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text >= 0x80)
			*text = '?';
}

static void ask(struct polkit *polkit, struct asked *asked)
{
	int r = 0;

	if (!polkit->bus)
		r = sd_bus_open_system(&polkit->bus);
	if (r >= 0)
		r = send_question(polkit, asked);
	if (r == -EINVAL && asked->reader) {
		make_ascii(asked->reader);
		r = send_question(polkit, asked);
	}
	if (r < 0) {
		answer(asked, POLKIT_ABSENT, strerror(-r));
		return;
	}
	asked->next = polkit->flying;
	polkit->flying = asked;
}

/* What was asked with the ticket gets no answer any more, and polkit is told so. */
static void take_back(struct polkit *polkit, uint64_t ticket)
{
	struct asked **link = &polkit->flying;
	char id[CANCEL_ID];

	while (*link) {
		struct asked *asked = *link;

		if (asked->question.ticket != ticket) {
			link = &asked->next;
			continue;
		}
		*link = asked->next;
		asked_free(asked);
		sd_bus_call_method_async(polkit->bus, NULL, AUTHORITY, "CancelCheckAuthorization",
			NULL, NULL, "s", cancel_id(ticket, id));
	}
}

/* The bus is gone: so are the answers. The next question opens it again. */
static void drop_bus(struct polkit *polkit, const char *why)
{
	while (polkit->flying) {
		struct asked *asked = polkit->flying;

		polkit->flying = asked->next;
		answer(asked, POLKIT_ABSENT, why);
	}
	polkit->bus = sd_bus_close_unref(polkit->bus);
}

/* Asks what has been queued, in order. Returns false if the thread is to end. */
static bool take_queue(struct polkit *polkit)
{
	struct asked *newest;
	struct asked *oldest = NULL;
	bool stop;

	pthread_mutex_lock(&polkit->lock);
	newest = polkit->queue;
	polkit->queue = NULL;
	stop = polkit->stop;
	pthread_mutex_unlock(&polkit->lock);
	while (newest) {
		struct asked *next = newest->next;

		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	while (oldest) {
		struct asked *next = oldest->next;

		if (oldest->cancel) {
			take_back(polkit, oldest->question.ticket);
			asked_free(oldest);
		} else if (stop)
			answer(oldest, POLKIT_ABSENT, "the daemon stops");
		else
			ask(polkit, oldest);
		oldest = next;
	}
	return !stop;
}

static void process_bus(struct polkit *polkit)
{
	int r = 0;

	while (polkit->bus && (r = sd_bus_process(polkit->bus, NULL)) > 0)
		;
	if (r < 0)
		drop_bus(polkit, strerror(-r));
}

static int bus_timeout_ms(sd_bus *bus)
{
	uint64_t due;
	int64_t left;

	if (sd_bus_get_timeout(bus, &due) < 0 || due == UINT64_MAX)
		return -1;
	left = (int64_t)due - clock_now() / 1000;
	if (left <= 0)
		return 0;
	left = (left + 999) / 1000;
	return left > INT_MAX ? INT_MAX : (int)left;
}

static void wait_for_something(struct polkit *polkit)
{
	struct pollfd fds[2] = { { .fd = polkit->wake, .events = POLLIN }, { .fd = -1 } };
	int timeout = -1;
	eventfd_t ignored;

	if (polkit->bus) {
		int events = sd_bus_get_events(polkit->bus);

		fds[1].fd = sd_bus_get_fd(polkit->bus);
		fds[1].events = (short)(events > 0 ? events : POLLIN);
		timeout = bus_timeout_ms(polkit->bus);
	}
	poll(fds, 2, timeout);
	eventfd_read(polkit->wake, &ignored);
}

static void *run(void *argument)
{
	struct polkit *polkit = argument;

	pthread_setname_np(pthread_self(), "polkit");
	while (take_queue(polkit)) {
		process_bus(polkit);
		wait_for_something(polkit);
	}
	drop_bus(polkit, "the daemon stops");
	return NULL;
}

struct polkit *polkit_open(polkit_callback callback, void *context, unsigned timeout_s)
{
	struct polkit *polkit = calloc(1, sizeof(*polkit));
	int error = ENOMEM;

	if (!polkit)
		return NULL;
	polkit->callback = callback;
	polkit->context = context;
	polkit->timeout_us = timeout_s * US_PER_S;
	pthread_mutex_init(&polkit->lock, NULL);
	polkit->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (polkit->wake >= 0)
		error = pthread_create(&polkit->thread, NULL, run, polkit);
	if (error) {
		if (polkit->wake >= 0)
			close(polkit->wake);
		pthread_mutex_destroy(&polkit->lock);
		free(polkit);
		errno = error;
		return NULL;
	}
	return polkit;
}

static void enqueue(struct polkit *polkit, struct asked *asked)
{
	pthread_mutex_lock(&polkit->lock);
	asked->next = polkit->queue;
	polkit->queue = asked;
	pthread_mutex_unlock(&polkit->lock);
	eventfd_write(polkit->wake, 1);
}

bool polkit_ask(struct polkit *polkit, const struct polkit_question *question)
{
	struct asked *asked = calloc(1, sizeof(*asked));

	if (!asked)
		return false;
	asked->polkit = polkit;
	asked->question = *question;
	if (question->reader) {
		asked->reader = strdup(question->reader);
		if (!asked->reader) {
			free(asked);
			return false;
		}
		asked->question.reader = asked->reader;
	}
	enqueue(polkit, asked);
	return true;
}

void polkit_cancel(struct polkit *polkit, uint64_t ticket)
{
	struct asked *asked = calloc(1, sizeof(*asked));

	if (!asked)
		return;
	*asked = (struct asked){
		.polkit = polkit, .cancel = true, .question = { .ticket = ticket }
	};
	enqueue(polkit, asked);
}

void polkit_close(struct polkit *polkit)
{
	if (!polkit)
		return;
	pthread_mutex_lock(&polkit->lock);
	polkit->stop = true;
	pthread_mutex_unlock(&polkit->lock);
	eventfd_write(polkit->wake, 1);
	pthread_join(polkit->thread, NULL);
	close(polkit->wake);
	pthread_mutex_destroy(&polkit->lock);
	free(polkit);
}
