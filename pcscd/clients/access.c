/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/clients/access.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pcscd/peer.h"
#include "pcscd/clients/polkit.h"
#include "pcscd/clock.h"
#include "pcscd/log.h"

#define SEEN_DENIALS 32  /* programs, users and actions remembered */
#define PEER_GROUPS  256 /* groups of a peer that are looked at */
#define PROGRAM_SIZE 256

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

static const char *const actions[] = {
	[ACCESS_PCSC] = "org.debian.pcsc-lite.access_pcsc",
	[ACCESS_CARD] = "org.debian.pcsc-lite.access_card",
};

/* A denial that was logged. */
struct denial {
	uid_t uid;
	const char *action;
	char program[PROGRAM_SIZE];
	int64_t at;
	unsigned held_back;
};

struct access {
	const struct options *options;
	void (*verdict)(uint64_t ticket, bool allowed);
	pthread_mutex_t lock; /* guards what follows */
	struct polkit *polkit;
	bool closing;
	bool told_absent; /* the line that polkit isn't there was written */
	struct denial denials[SEEN_DENIALS];
};

struct access *access_open(
	const struct options *options, void (*verdict)(uint64_t ticket, bool allowed))
{
	struct access *access = calloc(1, sizeof(*access));

	if (!access)
		return NULL;
	access->options = options;
	access->verdict = verdict;
	pthread_mutex_init(&access->lock, NULL);
	return access;
}

void access_close(struct access *access)
{
	if (!access)
		return;
	pthread_mutex_lock(&access->lock);
	access->closing = true;
	pthread_mutex_unlock(&access->lock);
	polkit_close(access->polkit);
	pthread_mutex_destroy(&access->lock);
	free(access);
}

/* When the process began, in clock ticks since boot (field 22 of /proc/PID/stat); 0: not known. */
static uint64_t start_time_of(pid_t pid)
{
	char text[1024];
	char path[64];
	char *field;
	FILE *file;
	size_t length;

	snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	length = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[length] = '\0';
	/* The second field is the program's name, which may hold anything; it ends at the last ')'. */
	field = strrchr(text, ')');
	for (int i = 2; field && i < 22; i++)
		field = strchr(field + 1, ' ');
	return field ? strtoull(field + 1, NULL, 10) : 0;
}

/*
 * True if the process that made the connection has ended, in which case its pid may be somebody
 * else's. Where the kernel can't say (before Linux 6.5) polkit compares the uid.
 */
static bool has_ended(int peer_fd)
{
	struct pollfd end = { .fd = -1, .events = POLLIN };
	socklen_t size = sizeof(end.fd);
	bool ended;

	if (getsockopt(peer_fd, SOL_SOCKET, SO_PEERPIDFD, &end.fd, &size) < 0)
		return false;
	ended = poll(&end, 1, 0) == 1;
	close(end.fd);
	return ended;
}

static bool in_group(const struct peer *peer, int peer_fd, gid_t group)
{
	gid_t groups[PEER_GROUPS];
	socklen_t size = sizeof(groups);

	if (peer->gid == group)
		return true;
	if (getsockopt(peer_fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
		return false;
	for (size_t i = 0; i < size / sizeof(groups[0]); i++)
		if (groups[i] == group)
			return true;
	return false;
}

/* Whether one of the --allow rules names the peer. */
static bool is_named(const struct options *options, const struct peer *peer, int peer_fd)
{
	for (size_t i = 0; i < options->allow_count; i++) {
		const struct allow_rule *rule = &options->allow[i];

		if (rule->group ? in_group(peer, peer_fd, rule->id) : peer->uid == rule->id)
			return true;
	}
	return false;
}

/* With the lock held: the entry for this denial, or the oldest one, emptied. */
static struct denial *find_denial(
	struct access *access, uid_t uid, const char *action, const char *program)
{
	struct denial *oldest = &access->denials[0];

	for (size_t i = 0; i < SEEN_DENIALS; i++) {
		struct denial *denial = &access->denials[i];

		if (denial->action == action && denial->uid == uid &&
			strcmp(denial->program, program) == 0)
			return denial;
		if (denial->at < oldest->at)
			oldest = denial;
	}
	*oldest = (struct denial){ .uid = uid, .action = action };
	snprintf(oldest->program, sizeof(oldest->program), "%s", program);
	return oldest;
}

static void log_denial(struct access *access, pid_t pid, uid_t uid, const char *action,
	const char *reader, const char *reason)
{
	char program[PROGRAM_SIZE];
	struct denial *denial;
	int64_t now = clock_now();
	unsigned held_back;
	bool quiet;

	peer_program(pid, program, sizeof(program));
	pthread_mutex_lock(&access->lock);
	denial = find_denial(access, uid, action, program);
	quiet = denial->at && now - denial->at < ACCESS_QUIET_S * CLOCK_S;
	held_back = denial->held_back;
	denial->held_back = quiet ? held_back + 1 : 0;
	if (!quiet)
		denial->at = now;
	pthread_mutex_unlock(&access->lock);
	if (quiet)
		return;
	log_line(PCSC_LOG_ERROR,
		"denied: %s (pid %ld, uid %lu) asked for %s%s%s: %s; remedies: a local active "
		"session, a polkit rule for the action, or pcscd --allow uid:%lu%s",
		program, (long)pid, (unsigned long)uid, action, reader ? " on " : "",
		reader ? reader : "", reason, (unsigned long)uid,
		held_back ? " (and earlier ones, not logged)" : "");
}

static void log_absent(const char *why)
{
	log_line(PCSC_LOG_ERROR,
		"polkit cannot be asked (%s): only root, uid %lu and those named by --allow may "
		"use readers; --disable-polkit lets everybody",
		why, (unsigned long)geteuid());
}

static const char *denial_reason(enum polkit_answer answer, const char *why)
{
	if (answer == POLKIT_ABSENT)
		return "polkit cannot be asked";
	return *why ? why : "polkit says no";
}

static void on_answer(void *context, const struct polkit_question *question,
	enum polkit_answer answer, const char *why)
{
	struct access *access = context;
	bool closing;
	bool told;

	pthread_mutex_lock(&access->lock);
	closing = access->closing;
	told = access->told_absent;
	access->told_absent = told || answer == POLKIT_ABSENT;
	pthread_mutex_unlock(&access->lock);
	if (closing)
		return;
	log_about_client(question->pid);
	log_about_reader(question->reader);
	if (answer == POLKIT_ABSENT && !told)
		log_absent(why);
	if (answer != POLKIT_YES)
		log_denial(access, question->pid, question->uid, question->action, question->reader,
			denial_reason(answer, why));
	log_about_reader(NULL);
	log_about_client(0);
	access->verdict(question->ticket, answer == POLKIT_YES);
}

/* The conversation with polkit; begun if it is not yet. NULL if it can't be. */
static struct polkit *conversation(struct access *access)
{
	struct polkit *polkit;

	pthread_mutex_lock(&access->lock);
	if (!access->polkit)
		access->polkit = polkit_open(on_answer, access, ACCESS_ANSWER_S);
	polkit = access->polkit;
	pthread_mutex_unlock(&access->lock);
	return polkit;
}

static enum access_verdict ask(struct access *access, const struct peer *peer, int peer_fd,
	enum access_action action, const char *reader, uint64_t ticket)
{
	struct polkit_question question = {
		.ticket = ticket,
		.pid = peer->pid,
		.uid = peer->uid,
		.start_time = start_time_of(peer->pid),
		.action = actions[action],
		.reader = reader,
	};
	struct polkit *polkit = conversation(access);

	/* A process of a container that this pid namespace doesn't show; polkit couldn't either. */
	if (peer->pid <= 0) {
		log_denial(access, 0, peer->uid, actions[action], reader,
			"its process is in a container and cannot be seen from here");
		return ACCESS_DENIED;
	}
	/* After the start time was read: it is the client's if the client is still there now. */
	if (has_ended(peer_fd))
		return ACCESS_DENIED;
	if (polkit && polkit_ask(polkit, &question))
		return ACCESS_PENDING;
	log_denial(access, peer->pid, peer->uid, actions[action], reader, strerror(ENOMEM));
	return ACCESS_DENIED;
}

enum access_verdict access_check(struct access *access, const struct peer *peer, int peer_fd,
	enum access_action action, const char *reader, uint64_t ticket)
{
	const struct options *options = access->options;

	if (peer->uid == 0 || peer->uid == geteuid() || is_named(options, peer, peer_fd))
		return ACCESS_ALLOWED;
	if (options->polkit)
		return ask(access, peer, peer_fd, action, reader, ticket);
	if (options->allow_count == 0)
		return ACCESS_ALLOWED;
	log_denial(
		access, peer->pid, peer->uid, actions[action], reader, "no --allow rule names it");
	return ACCESS_DENIED;
}

void access_cancel(struct access *access, uint64_t ticket)
{
	struct polkit *polkit;

	pthread_mutex_lock(&access->lock);
	polkit = access->polkit;
	pthread_mutex_unlock(&access->lock);
	if (polkit)
		polkit_cancel(polkit, ticket);
}
