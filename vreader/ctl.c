/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/ctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vreader/ctl_commands.h"
#include "vreader/usb/address.h"

enum {
	CLIENTS_MAX = 64,
};

struct client {
	struct loop_source source;
	struct ctl *ctl;
	struct client *next;
	char line[CTL_LINE_MAX];
	size_t len;
	char *answer; /* NULL: the line is not whole yet */
	size_t answer_len;
	size_t sent;
};

struct ctl {
	struct loop_source source;
	struct loop *loop;
	struct rack *rack;
	bool *quit;
	struct client *clients;
	size_t client_count;
};

static void client_destroy(struct client *client)
{
	loop_remove(client->ctl->loop, &client->source);
	close(client->source.fd);
	free(client->answer);
	free(client);
}

static void client_free(struct client *client)
{
	struct client **p = &client->ctl->clients;

	while (*p != client)
		p = &(*p)->next;
	*p = client->next;
	client->ctl->client_count--;
	client_destroy(client);
}

/* Sends what the client takes now of its answer. True: something is left. */
static bool send_answer(struct client *client)
{
	while (client->sent < client->answer_len) {
		ssize_t n = send(client->source.fd, client->answer + client->sent,
			client->answer_len - client->sent, MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		client->sent += (size_t)n;
	}
	return false;
}

/* Takes what the client says until there is a line. True: it goes on. */
static bool receive_line(struct client *client)
{
	struct ctl *ctl = client->ctl;
	ssize_t n = recv(client->source.fd, client->line + client->len,
		sizeof(client->line) - client->len, 0);
	char *end;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	client->len += (size_t)n;
	end = memchr(client->line, '\n', client->len);
	if (!end)
		return n > 0 && client->len < sizeof(client->line);
	*end = '\0';
	client->answer = ctl_run_line(ctl->rack, ctl->quit, client->line, &client->answer_len);
	return client->answer && send_answer(client) &&
	       loop_change(ctl->loop, &client->source, EPOLLOUT);
}

static void client_ready(struct loop_source *source, uint32_t events)
{
	struct client *client = (struct client *)source;

	(void)events;
	if (!(client->answer ? send_answer(client) : receive_line(client)))
		client_free(client);
}

static void ctl_ready(struct loop_source *source, uint32_t events)
{
	struct ctl *ctl = (struct ctl *)source;
	int fd = address_accept(source->fd);
	struct client *client;

	(void)events;
	if (fd < 0)
		return;
	client = ctl->client_count < CLIENTS_MAX ? calloc(1, sizeof(*client)) : NULL;
	if (!client) {
		close(fd);
		return;
	}
	client->source.fd = fd;
	client->source.ready = client_ready;
	client->ctl = ctl;
	if (!loop_add(ctl->loop, &client->source, EPOLLIN)) {
		close(fd);
		free(client);
		return;
	}
	client->next = ctl->clients;
	ctl->clients = client;
	ctl->client_count++;
}

struct ctl *ctl_new(struct loop *loop, struct rack *rack, int fd, bool *quit)
{
	struct ctl *ctl = calloc(1, sizeof(*ctl));

	if (!ctl) {
		close(fd);
		return NULL;
	}
	ctl->source.fd = fd;
	ctl->source.ready = ctl_ready;
	ctl->loop = loop;
	ctl->rack = rack;
	ctl->quit = quit;
	if (!loop_add(loop, &ctl->source, EPOLLIN)) {
		close(fd);
		free(ctl);
		return NULL;
	}
	return ctl;
}

void ctl_free(struct ctl *ctl)
{
	if (!ctl)
		return;
	while (ctl->clients) {
		struct client *client = ctl->clients;

		ctl->clients = client->next;
		client_destroy(client);
	}
	loop_remove(ctl->loop, &ctl->source);
	close(ctl->source.fd);
	free(ctl);
}
