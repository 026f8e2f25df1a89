/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/ctl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vreader/cards/card_options.h"
#include "vreader/firmware/pinpad.h"
#include "vreader/hex.h"
#include "vreader/usb/address.h"

enum {
	LINE_MAX_BYTES = 1024,
	WORDS_MAX = 16,
	CLIENTS_MAX = 64,
};

struct client {
	struct loop_source source;
	struct ctl *ctl;
	struct client *next;
	char line[LINE_MAX_BYTES];
	size_t len;
};

struct ctl {
	struct loop_source source;
	struct loop *loop;
	struct rack *rack;
	bool *quit;
	struct client *clients;
	size_t client_count;
};

/* A command being run: words[0] is its name. */
struct command {
	struct ctl *ctl;
	char *words[WORDS_MAX + 1];
	size_t count;
	FILE *answer;
	char why[512];
};

/* NULL when done, else what is wrong. */
typedef const char *(*command_handler)(struct command *c);

/* Moves *text behind a decimal number; false when there is none. */
static bool parse_index(const char **text, size_t *index)
{
	char *end;

	if (**text < '0' || **text > '9')
		return false;
	errno = 0;
	*index = strtoul(*text, &end, 10);
	*text = end;
	return !errno;
}

/* "READER" or "READER.SLOT". */
static const char *parse_slot(const struct command *c, struct rack_slot *found)
{
	const char *text = c->words[1];
	size_t reader, slot = 0;
	bool ok;

	if (c->count < 2)
		return "which reader?";
	ok = parse_index(&text, &reader);
	if (ok && *text == '.') {
		text++;
		ok = parse_index(&text, &slot);
	}
	if (!ok || *text)
		return "a reader is a number, or READER.SLOT";
	return rack_find(c->ctl->rack, reader, slot, found) ? NULL : "no such reader or slot";
}

/* insert READER tag-KIND [KEY=VALUE]...; tags with commands hold the card "iso". */
static const char *insert_tag(
	const struct command *c, const struct rack_slot *where, struct tag_options *options)
{
	const char *wrong = NULL;

	for (size_t i = 3; !wrong && i < c->count; i++)
		wrong = tag_options_set(options, c->words[i]);
	if (wrong)
		return wrong;
	return rack_insert_tag(where, options, tag_wants_app(options) ? iso_card_new() : NULL);
}

/* insert READER [CARD [KEY=VALUE]...] */
static const char *do_insert(struct command *c)
{
	struct card_options options = c->ctl->rack->card;
	struct tag_options tag;
	struct rack_slot where;
	const char *wrong = parse_slot(c, &where);

	if (!wrong && c->count > 2 && tag_options_named(&tag, c->words[2]))
		return insert_tag(c, &where, &tag);
	for (size_t i = 3; !wrong && i < c->count; i++)
		wrong = card_options_set(&options, c->words[i]);
	return wrong ? wrong : rack_insert(&where, c->count > 2 ? c->words[2] : "iso", &options);
}

static const char *do_remove(struct command *c)
{
	struct rack_slot where;
	const char *wrong = parse_slot(c, &where);

	if (wrong)
		return wrong;
	return ccid_remove(where.ccid, where.slot) ? NULL : "there is no card";
}

static const char *do_plug(struct command *c)
{
	struct rack_slot where;
	const char *wrong = parse_slot(c, &where);

	if (wrong)
		return wrong;
	return usbip_server_plug(c->ctl->rack->server, where.reader) ? NULL
								     : "it is plugged in already";
}

static const char *do_unplug(struct command *c)
{
	struct rack_slot where;
	const char *wrong = parse_slot(c, &where);

	if (wrong)
		return wrong;
	return usbip_server_unplug(c->ctl->rack->server, where.reader) ? NULL
								       : "it is not plugged in";
}

static const char *do_list(struct command *c)
{
	const struct rack *rack = c->ctl->rack;

	for (size_t i = 0; i < rack->count; i++) {
		const struct profile *p = usb_device_profile(rack->devices[i]);
		const char *state = !usbip_server_plugged(rack->server, i)   ? "unplugged"
				    : usbip_server_imported(rack->server, i) ? "imported"
									     : "free";
		struct rack_slot where;

		fprintf(c->answer, "%zu 1-%zu %s %s:", i, i + 1, state, p->product);
		for (size_t slot = 0; rack_find(rack, i, slot, &where); slot++)
			fprintf(c->answer, " %s",
				ccid_present(where.ccid, where.slot) ? "card" : "empty");
		fputc('\n', c->answer);
	}
	return NULL;
}

static const char *do_stats(struct command *c)
{
	struct rack_slot where;
	const char *wrong = parse_slot(c, &where);
	const struct usb_stats *usb;
	const struct ccid_stats *ccid;

	if (wrong)
		return wrong;
	usb = usb_device_stats(c->ctl->rack->devices[where.reader]);
	ccid = ccid_stats(where.ccid);
	fprintf(c->answer, "control %" PRIu64 "\nbulk_out %" PRIu64 "\nbulk_in %" PRIu64 "\n",
		usb->control, usb->bulk_out, usb->bulk_in);
	fprintf(c->answer, "interrupt %" PRIu64 "\nstalls %" PRIu64 "\nresets %" PRIu64 "\n",
		usb->interrupt, usb->stalls, usb->resets);
	fprintf(c->answer, "messages_out %" PRIu64 "\nmessages_in %" PRIu64 "\n",
		ccid->messages_out, ccid->messages_in);
	fprintf(c->answer, "power_ons %" PRIu64 "\nxfr_blocks %" PRIu64 "\napdus %" PRIu64 "\n",
		ccid->power_ons, ccid->xfr_blocks, ccid->apdus);
	return NULL;
}

/* faults READER FILE|none */
static const char *do_faults(struct command *c)
{
	struct rack_slot where;
	const char *wrong = parse_slot(c, &where);
	struct fault_script *script = NULL;

	if (wrong)
		return wrong;
	if (c->count < 3)
		return "expected: faults READER FILE, or none";
	if (strcmp(c->words[2], "none") != 0) {
		script = fault_load(c->words[2], c->why, sizeof(c->why));
		if (!script)
			return c->why;
	}
	usb_device_set_faults(c->ctl->rack->devices[where.reader], script);
	return NULL;
}

/* escape READER COMMAND ANSWER, in hexadecimal; ANSWER may be "-" for none. */
static const char *do_escape(struct command *c)
{
	uint8_t command[32];
	uint8_t answer[64];
	struct rack_slot where;
	const char *wrong = parse_slot(c, &where);
	size_t len;
	size_t answer_len = 0;

	if (wrong)
		return wrong;
	if (c->count < 4 || !hex_parse(c->words[2], command, sizeof(command), &len) ||
		(strcmp(c->words[3], "-") != 0 &&
			!hex_parse(c->words[3], answer, sizeof(answer), &answer_len)))
		return "expected: escape READER HEX HEX";
	return ccid_teach_escape(where.ccid, command, len, answer, answer_len)
		       ? NULL
		       : "it can't learn that, or no more";
}

/* keys READER KEYS [MS]: types ahead; "-" forgets what was typed. */
static const char *do_keys(struct command *c)
{
	struct rack_slot where;
	const char *wrong = parse_slot(c, &where);
	const char *gap = c->count > 3 ? c->words[3] : "0";
	size_t gap_ms;

	if (wrong)
		return wrong;
	if (c->count < 3 || !parse_index(&gap, &gap_ms) || *gap || gap_ms > 60000)
		return "expected: keys READER KEYS [MILLISECONDS]";
	if (strcmp(c->words[2], "-") == 0)
		pinpad_forget(where.ccid);
	else if (!pinpad_press(where.ccid, c->words[2], (uint32_t)gap_ms))
		return "keys are 0 to 9, E enter, C clear, X cancel, and not too many";
	return NULL;
}

/* display READER: the prompt, a star for each digit typed, the language asked for. */
static const char *do_display(struct command *c)
{
	struct rack_slot where;
	const char *wrong = parse_slot(c, &where);
	const struct pinpad *pad;

	if (wrong)
		return wrong;
	pad = pinpad_of(where.ccid);
	fprintf(c->answer, "%s\n%s\nlanguage %04X\n", pad->prompt, pad->typed, pad->language);
	return NULL;
}

/* secure READER: bMessageType and data of the last PC_to_RDR_Secure. */
static const char *do_secure(struct command *c)
{
	struct rack_slot where;
	const char *wrong = parse_slot(c, &where);
	const struct pinpad *pad;

	if (wrong)
		return wrong;
	pad = pinpad_of(where.ccid);
	fprintf(c->answer, "%02X ", pad->secure_type);
	for (size_t i = 0; i < pad->secure_len; i++)
		fprintf(c->answer, "%02X", pad->secure[i]);
	fputc('\n', c->answer);
	return NULL;
}

static const char *do_quit(struct command *c)
{
	*c->ctl->quit = true;
	return NULL;
}

static const struct {
	const char *name;
	size_t words; /* with the name, at most */
	command_handler run;
} commands[] = {
	{ "insert", WORDS_MAX, do_insert },
	{ "remove", 2, do_remove },
	{ "plug", 2, do_plug },
	{ "unplug", 2, do_unplug },
	{ "list", 1, do_list },
	{ "stats", 2, do_stats },
	{ "faults", 3, do_faults },
	{ "escape", 4, do_escape },
	{ "keys", 4, do_keys },
	{ "display", 2, do_display },
	{ "secure", 2, do_secure },
	{ "quit", 1, do_quit },
};

static const char *run_words(struct command *c)
{
	for (size_t i = 0; c->count && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, c->words[0]) == 0)
			return c->count > commands[i].words ? "too many words" : commands[i].run(c);
	return "no such command; there are: insert, remove, plug, unplug, list, stats, faults, "
	       "escape, keys, display, secure, quit";
}

static void client_destroy(struct client *client)
{
	loop_remove(client->ctl->loop, &client->source);
	close(client->source.fd);
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

/* The answer is some kilobytes at most and the socket's buffer is empty, so that one send takes it
 * all; a client that made the buffer smaller gets what fits. */
static void answer_line(struct client *client)
{
	struct command c = { .ctl = client->ctl };
	char *text = NULL, *save = NULL;
	size_t size = 0, head_len;
	const char *wrong;
	char head[600];

	for (char *w = strtok_r(client->line, " \t\r", &save); w && c.count <= WORDS_MAX;
		w = strtok_r(NULL, " \t\r", &save))
		c.words[c.count++] = w;
	c.answer = open_memstream(&text, &size);
	if (!c.answer)
		return;
	wrong = run_words(&c);
	fclose(c.answer);
	if (wrong)
		head_len = (size_t)snprintf(head, sizeof(head), "error %s\n", wrong);
	else
		head_len = (size_t)snprintf(head, sizeof(head), "ok\n");
	if (send(client->source.fd, head, head_len, MSG_NOSIGNAL) == (ssize_t)head_len && size)
		(void)!send(client->source.fd, text, size, MSG_NOSIGNAL);
	free(text);
}

static void client_ready(struct loop_source *source, uint32_t events)
{
	struct client *client = (struct client *)source;
	ssize_t n;
	char *end;

	(void)events;
	n = recv(source->fd, client->line + client->len, sizeof(client->line) - client->len, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		client->len += (size_t)n;
		end = memchr(client->line, '\n', client->len);
		if (!end && client->len < sizeof(client->line))
			return;
		if (end) {
			*end = '\0';
			answer_line(client);
		}
	}
	client_free(client);
}

static void ctl_ready(struct loop_source *source, uint32_t events)
{
	struct ctl *ctl = (struct ctl *)source;
	int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
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

/* Reads all the server says, at most a minute long. NULL: it did not answer. */
static char *read_answer(int fd)
{
	struct timeval minute = { .tv_sec = 60 };
	size_t size = 0;
	char *text = NULL;
	FILE *out = open_memstream(&text, &size);
	char chunk[4096];
	ssize_t n;

	if (!out)
		return NULL;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &minute, sizeof(minute));
	while ((n = recv(fd, chunk, sizeof(chunk), 0)) > 0)
		fwrite(chunk, 1, (size_t)n, out);
	fclose(out);
	return text;
}

static int print_answer(const char *text)
{
	static const char error[] = "error ";

	if (text && strncmp(text, "ok\n", 3) == 0) {
		fputs(text + 3, stdout);
		return 0;
	}
	if (text && strncmp(text, error, strlen(error)) == 0)
		fprintf(stderr, "vreader: %s", text + strlen(error));
	else
		fprintf(stderr, "vreader: the server gave no answer\n");
	return 1;
}

int ctl_client(const char *path, char *const words[])
{
	char line[LINE_MAX_BYTES], why[256];
	size_t len = 0;
	char *text;
	int fd, status;

	for (size_t i = 0; words[i]; i++) {
		len += (size_t)snprintf(line + len, sizeof(line) - len, "%s%s", words[i],
			words[i + 1] ? " " : "\n");
		if (len >= sizeof(line)) {
			fprintf(stderr, "vreader: the command is too long\n");
			return 1;
		}
	}
	fd = address_connect_unix(path, why, sizeof(why));
	if (fd < 0) {
		fprintf(stderr, "vreader: cannot reach the server at %s\n", why);
		return 1;
	}
	if (send(fd, line, len, MSG_NOSIGNAL) != (ssize_t)len) {
		fprintf(stderr, "vreader: %s: %s\n", path, strerror(errno));
		close(fd);
		return 1;
	}
	text = read_answer(fd);
	close(fd);
	status = print_answer(text);
	free(text);
	return status;
}
